"""docs/howto/pipelines.md: the Makefile runs from text to hub, and files of other tools are read as the page says."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from fake_hub import run_hub

from nmt.config.corpus import CorpusConfig
from nmt.config.load import dump_config
from nmt.config.schema import DataConfig
from nmt.data.readers import read_pairs

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "pipelines.md").read_text(encoding="utf-8")
COMMANDS = ("check", "train", "evaluate", "hub")


def write_text(folder: Path) -> None:
    folder.mkdir()
    pairs = [(f"{a} {b}", f"{x} {y}") for a, x in tiny.PAIRS for b, y in tiny.PAIRS]
    for name, part in {"train": pairs[:100], "valid": pairs[100:120], "test": pairs[120:]}.items():
        for side, ending in enumerate(("en", "de")):
            (folder / f"{name}.{ending}").write_text("".join(f"{pair[side]}\n" for pair in part), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_makefile_runs_from_text_to_hub(tmp_path: Path) -> None:
    (makefile,) = re.findall(r"^```make\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "Makefile").write_text(makefile, encoding="utf-8")
    write_text(tmp_path / "data")
    config = tiny.config(Path("clean/train"), "data.valid=clean/valid", "training.epochs=1")
    (tmp_path / "recipe.yaml").write_text(dump_config(config), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    for name in COMMANDS:
        command = tmp_path / "bin" / f"nmt-{name}"
        command.write_text(f'#!/bin/sh\necho {name} >> calls\nexec "{sys.executable}" -m nmt.commands.{name} "$@"\n')
        command.chmod(0o755)

    with run_hub() as hub:
        environment = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_test",
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": "1",
        }

        def make(*arguments: str) -> list[str]:
            """Run make, and return the commands that it has run."""
            (tmp_path / "calls").write_text("")
            done = subprocess.run(
                ["make", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return (tmp_path / "calls").read_text().split()

        assert make() == ["check", "train", "evaluate", "hub"]
        assert not hub.commits
        assert make("push") == ["hub"]
        assert make("push") == []
        (tmp_path / "data" / "test.de").touch()
        (tmp_path / "clean" / "report").touch()  # as if only the evaluation had to be repeated
        (tmp_path / "runs" / "en-de" / "trained").touch()
        assert make() == ["evaluate", "hub"]

    run = tmp_path / "runs" / "en-de"
    commit = (run / "commit").read_text().strip()
    pushed, named = hub.commits["me/en-de"]
    assert pushed == commit
    card = hub.files[named]["README.md"].decode()
    assert f"hf://me/en-de@{commit}" in card
    (bleu, *_) = json.loads((run / "test.json").read_text())["scores"]
    assert f"| test, 24 sentences | BLEU | {bleu['score']:.2f} |" in card


def read(**corpus: object) -> list[tuple[str, str]]:
    data = DataConfig(source_language="en", target_language="de")
    return [(pair.source, pair.target) for pair in read_pairs(CorpusConfig(**corpus), data)]  # type: ignore[arg-type]


def test_files_of_opusfilter_and_opuscleaner_are_corpora(tmp_path: Path) -> None:
    """Check the formats of OpusFilter 3 (docs/usage.md) and OpusCleaner (opuscleaner/clean.py)."""
    (tmp_path / "filtered.en.gz").write_bytes(gzip.compress(b"a\nb\n"))
    (tmp_path / "filtered.de.gz").write_bytes(gzip.compress(b"x\ny\n"))
    assert read(path=str(tmp_path / "filtered")) == [("a", "x"), ("b", "y")]
    (tmp_path / "own.tsv.gz").write_bytes(gzip.compress(b"x\ta\ny\tb\n"))  # the columns are de and en
    assert read(path=str(tmp_path / "own.tsv.gz"), source_column=2, target_column=1) == [("a", "x"), ("b", "y")]
