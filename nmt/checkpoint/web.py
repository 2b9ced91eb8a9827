"""Export of a model to a static folder that translates in the browser, without a server.

The folder contains the page and the engine of nmt/web/, and the model as a folder in int8, which nmt also reads:

    index.html, page/, engine/, ...   copies of the files in nmt/web/
    offline.js                        the files that the browser keeps, so that the page works without a network
    package.json                      makes the folder an npm package, which exports `translate`
    model/                            the model folder
    model/web.json                    what the engine needs to know of config.yaml
"""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from nmt.checkpoint.export import load_for_export, write_int8
from nmt.checkpoint.folder import Model
from nmt.checkpoint.manifest import CONFIG, KNOWN_WORDS, LANGUAGES, MANIFEST
from nmt.config.schema import Config
from nmt.errors import ModelError
from nmt.system.files import CHECKSUMS, whole_tree
from nmt.system.opening import read_file
from nmt.tokenizers.base import MAX_TOKENIZER_BYTES
from nmt.tokenizers.files import tokenizer_files
from nmt.tokenizers.model_file import find_own_treatment
from nmt.web import FOLDER, list_files

FORMAT = 1
MODEL, DESCRIPTION = "model", "web.json"
_SERVER, _BROWSER = 'name="engine" content="server"', 'name="engine" content="browser"'

SUPPORTED: dict[str, tuple[object, ...]] = {
    "cell": ("lstm", "gru", "rnn"),
    "decoder": ("input_feeding", "parallel"),
    "attention": ("dot", "general"),
    "encoder_stack": ("bidirectional",),
    "encoder_transitions": (1,),
    "decoder_transitions": (1,),
    "coverage": (False,),
    "context_gate": (False,),
    "output": ("softmax",),
}
"""The values of the keys of `model` that the engine knows. It knows all values of the other keys."""

_DESCRIBED = (
    *("cell", "decoder", "attention", "bridge", "tied_embeddings", "embedding_scale", "residual", "layer_norm"),
    *("embedding_size", "encoder_size", "encoder_layers", "decoder_size", "decoder_layers"),
)


def export_web(folder: str | Path, output: str | Path) -> None:
    """Write a static folder that translates in the browser with the model in `folder`.

    Args:
        folder: a model folder, or the output folder of a training run. The best checkpoint of a run is exported.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: the folder contains no model or a damaged model, a weight is not finite, or the engine does not know
            a part of the network or of the tokenizer.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    model, path = load_for_export(folder, output)
    if part := find_unsupported_part(path, model.config):
        raise ModelError(f"{path}: no web page for models with {part}; nmt-translate and nmt-serve can use the folder")
    with whole_tree(output) as draft:
        for name in list_files():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FOLDER / name, draft / name)
        page = draft / "index.html"
        page.write_text(page.read_text(encoding="utf-8").replace(_SERVER, _BROWSER), encoding="utf-8")
        write_int8(path, draft / MODEL, leave_out={LANGUAGES, KNOWN_WORDS})
        description = json.dumps(describe(model, draft / MODEL), ensure_ascii=False, indent=1)
        (draft / MODEL / DESCRIPTION).write_text(description + "\n", encoding="utf-8")
        (draft / "package.json").write_text(_write_package(model.config), encoding="utf-8")
        (draft / "offline.js").write_text(_write_offline(draft), encoding="utf-8")


def find_unsupported_part(path: Path, config: Config) -> str | None:
    """Return the first part of a model that the engine does not know, or None if it knows all parts."""
    values = {key: getattr(config.model, key) for key in SUPPORTED}
    for key, value in values.items():
        if value not in SUPPORTED[key]:
            return f"model.{key}={str(value).lower()}"
    if config.data.placeholder_share:
        return "data.placeholder_share"
    return find_unsupported_tokenizer(path, config)


def find_unsupported_tokenizer(path: Path, config: Config) -> str | None:
    """Return what keeps other programs than SentencePiece from using the tokenizers of a model, or None."""
    if config.tokenizer.kind not in ("unigram", "bpe"):
        return f"tokenizer.kind={config.tokenizer.kind}"
    for name in tokenizer_files(config.tokenizer):
        if name.endswith(".model") and (own := find_own_treatment(read_file(path / name, MAX_TOKENIZER_BYTES))):
            return f"{own} ({name})"
    return None


def describe(model: Model, folder: Path) -> dict[str, Any]:
    """Return the content of web.json for the model in `folder`."""
    data = model.config.data
    files = [name for name in sorted(MANIFEST) if name != CONFIG and (folder / name).exists()]
    return {
        "format": FORMAT,
        "model": {key: getattr(model.config.model, key) for key in _DESCRIBED},
        "length_penalty": model.config.validation.length_penalty,
        "confidence": [model.config.validation.confidence_scale, model.config.validation.confidence_offset],
        "data": {
            "source_languages": data.source_languages,
            "target_languages": data.target_languages,
            "target_tags": data.target_tags,
            "tags": data.tags,
            "split": data.single_sentences,
            "guard": data.several_sentences is not None,
            "max_tokens": data.max_segment_tokens,
        },
        "files": [{"name": name, "bytes": (folder / name).stat().st_size} for name in files],
    }


def _write_package(config: Config) -> str:
    """Return package.json. The name contains the languages."""
    languages = "-".join([config.data.source_languages[0], *config.data.target_languages])
    content = {
        "name": "nmt-" + re.sub("[^a-z0-9-]", "-", languages.lower()),
        "version": "1.0.0",
        "description": f"Translation from {config.data.source_languages[0]} to {config.data.target_languages[0]}",
        "type": "module",
        "exports": "./engine/nmt.js",
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _write_offline(folder: Path) -> str:
    """Return offline.js, which lists the files of the folder that the page reads. Its version is their checksum."""
    unread = {f"{MODEL}/{CONFIG}", f"{MODEL}/{CHECKSUMS}", "package.json", "service-worker.js"}
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = sorted(name for name in names if name not in unread)
    digest = hashlib.sha256()
    for name in files:
        digest.update((folder / name).read_bytes())
    content = {"version": digest.hexdigest()[:16], "files": ["./", *files]}
    return f"self.OFFLINE = {json.dumps(content, indent=1)};\n"
