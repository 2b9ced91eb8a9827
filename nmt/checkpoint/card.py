"""The card of a model: README.md with metadata, as the Hugging Face hub shows it.

The card says what the model folder, its training run and the evaluation know, and nothing else.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nmt import __version__
from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.manifest import CONFIG
from nmt.config.schema import Config
from nmt.errors import DataError

_LOG = "train.log"
_TOLD = re.compile(r"pairs kept|vocabulary [\d,]+|done after update|shortlist:|test set")
_BAR = "\\|"  # in the cell of a table
_METRICS = {"BLEU": "bleu", "chrF2": "chrf", "chrF2++": "chrf", "TER": "ter"}


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """The scores of a test set."""

    name: str
    sentences: int
    scores: Sequence[tuple[str, float, str]]
    """The name, the value and the signature of each score."""


def read_scores(name: str, path: str) -> SetScores:
    """Read the scores that `nmt-evaluate --json` has printed.

    Raises:
        DataError: the file is missing, or has other content.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if unknown := next((one["name"] for one in content["scores"] if one["name"] not in _METRICS), None):
            raise DataError(f"{path}: has the score {unknown!r}; choose among {', '.join(_METRICS)}")
        scores = [(str(one["name"]), float(one["score"]), str(one["signature"])) for one in content["scores"]]
        return SetScores(name=name, sentences=int(content["sentences"]), scores=scores)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; write it with nmt-evaluate --json") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: has no scores; write it with nmt-evaluate --json") from error


def write_card(
    folder: Path,
    *,
    run: Path | None = None,
    name: str,
    revision: str | None = None,
    scores: Sequence[SetScores] = (),
    license_name: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """Write the card of a model.

    Args:
        folder: the model folder.
        run: the output folder of its training, whose log is quoted, or None.
        name: the name of the model, OWNER/NAME on the hub.
        revision: the commit of the model on the hub, or None if it is not known.
        scores: the scores of test sets.
        license_name: the license, such as cc-by-4.0. Without it, the card says that there is none.
        datasets: the names of the datasets on the hub from which the model was trained.

    Raises:
        ConfigError: the configuration of the model is damaged.
    """
    config = load_folder_config(folder)
    data = config.data
    address = f"hf://{name}" if "/" in name else name
    if revision:
        address += f"@{revision}"
    metadata = {
        "language": list(dict.fromkeys([*data.source_languages, *data.target_languages])),
        **({"license": license_name} if license_name else {}),
        "library_name": "nmt",
        "pipeline_tag": "translation",
        "tags": ["translation", "lstm", "recurrent"],
        **({"datasets": list(datasets)} if datasets else {}),
        "metrics": list(dict.fromkeys(_METRICS[score] for one in scores for score, _, _ in one.scores)),
        **({"model-index": [_index(name, scores)]} if scores else {}),
    }
    parts = [
        f"# {name}",
        _describe_use(address, config),
        "## Scores\n\n" + (_format_scores(scores) or "No scores were recorded."),
        "## Training\n\n" + _describe_training(run),
        _describe_repetition(address),
        "<details><summary>The recipe</summary>\n\n```yaml\n"
        + (folder / CONFIG).read_text(encoding="utf-8").strip()
        + "\n```\n\n</details>",
        "## Limits\n\n" + _describe_limits(config),
        "## License\n\n" + (f"`{license_name}`" if license_name else "The license was not stated."),
    ]
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(parts) + "\n"


def _index(name: str, scores: Sequence[SetScores]) -> Mapping[str, Any]:
    """Return the scores in the form of the hub's model-index."""
    return {
        "name": name,
        "results": [
            {
                "task": {"type": "translation", "name": "Translation"},
                "dataset": {"type": one.name, "name": one.name},
                "metrics": [
                    {"type": _METRICS[score], "name": score, "value": round(value, 2), "args": {"signature": signature}}
                    for score, value, signature in one.scores
                ],
            }
            for one in scores
        ],
    }


def _describe_use(address: str, config: Config) -> str:
    sources, targets = " or ".join(config.data.source_languages), " or ".join(config.data.target_languages)
    to = f", to={config.data.target_languages[0]!r}" if config.data.target_tags else ""
    return (
        f"A recurrent model that translates from {sources} to {targets}, made with nmt {__version__}.\n\n"
        "```python\nfrom nmt import Translator\n\n"
        f'translator = Translator.load("{address}")\n'
        f'print(translator.translate(["..."]{to}))\n```'
    )


def _describe_repetition(address: str) -> str:
    """Return the command that repeats the training. The recipe has all settings, however the training was started."""
    pull = f"nmt-hub pull {address} model\n" if address.startswith("hf://") else ""
    recipe = "model/config.yaml" if pull else "recipe.yaml"
    return (
        "This command trains with the same recipe, if the text is at the paths that the recipe names:\n\n"
        f"```sh\n{pull}nmt-train {recipe} --output runs/again\n```"
    )


def _format_scores(scores: Sequence[SetScores]) -> str:
    rows = [
        f"| {one.name}, {one.sentences:,} sentences | {score} | {value:.2f} | `{signature.replace('|', _BAR)}` |"
        for one in scores
        for score, value, signature in one.scores
    ]
    return "\n".join(["| set | metric | score | signature |", "|---|---|---|---|", *rows]) if rows else ""


def _describe_training(run: Path | None) -> str:
    log = (run / _LOG) if run else None
    if log is None or not log.is_file():
        return "The log of the training was not kept."
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if _TOLD.search(line)]
    return "From the log:\n\n```\n" + "\n".join(lines) + "\n```"


def _describe_limits(config: Config) -> str:
    lines = [
        f"- It has learned sentences of up to {config.data.max_length} tokens. Longer ones are translated in parts.",
        "- It translates each sentence on its own, without context.",
        "- Scores are for text like that of the test sets. On other text, the model is worse.",
        f"- The seed of the training is {config.training.seed}. Other seeds give other models and scores.",
    ]
    return "\n".join(lines)
