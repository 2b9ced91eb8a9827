"""nmt-train as a command: its arguments, its exit status, its one-line messages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from nmt.checkpoint.folder import load_model
from nmt.commands.train import main
from nmt.config.load import dump_config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    text = dump_config(tiny.config(tiny.write_corpus(tmp_path)))
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "config.yaml"


def test_overrides_and_options_in_any_order(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "run")
    assert main([str(path), "training.max_updates=2", "--output", output, "training.log_every=1"]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "done after update 2" in captured.err
    assert main([str(path), "--resume", "training.max_updates=2", "--output", output]) == 0
    assert "nothing left to do" in capfd.readouterr().err


@pytest.mark.slow
def test_one_of_two_that_start_at_once_trains(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nmt.commands.train", str(path), "--output", str(tmp_path / "run")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=200)[1] for process in both]
    refused = [error for process, error in zip(both, errors, strict=True) if process.returncode == 2]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    # The other one may start only after the first has ended. Then it finds a finished training.
    assert re.search(r"process [0-9]+ on .* is using this folder|already contains a training run", refused[0])
    assert load_model(tmp_path / "run")


def test_all_faults_at_once(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(path), "model.dropuot=0.2", "training.epochs=many", "--output", str(tmp_path / "run")]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("nmt-train: error: ") for line in lines)
    assert "did you mean model.dropout?" in lines[0]
    assert "whole number" in lines[1]
    assert not (tmp_path / "run").exists()


def test_a_missing_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml"), "--output", str(tmp_path / "run")]) == 2
    assert "none.yaml: cannot be read (No such file or directory)" in capfd.readouterr().err


def test_output_is_required(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    fault = "nmt-train: error: the following arguments are required: --output; see nmt-train --help\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, fault)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text with a heading, in the working directory."""
    prefix = tiny.write_corpus(tmp_path)
    sides = [prefix.with_suffix(f".{side}").read_text(encoding="utf-8").splitlines() for side in ("en", "de")]
    lines = ["en\tde", *("\t".join(pair) for pair in zip(*sides, strict=True))]
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = (
    "tokenizer.vocabulary_size=290",
    "model.embedding_size=8",
    "model.encoder_size=8",
    "model.decoder_size=8",
    "training.max_updates=1",
    "training.threads=1",
    "training.shortlist=false",
)


def test_a_text_needs_no_other_argument(text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs.tsv", *QUICK]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "text: 116 training pairs, en (" in captured.err
    assert "to translate: nmt-translate runs/en-de < FILE" in captured.err
    assert load_model(text / "runs" / "en-de").config.data.target_language == "de"


def test_several_texts_are_one(text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = (text / "pairs.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (text / "first.tsv").write_text("".join(lines[1:61]), encoding="utf-8")
    (text / "second.tsv").write_text("".join([lines[0], *lines[61:]]), encoding="utf-8")
    assert main(["first.tsv", "second.tsv", *QUICK]) == 0  # the heading of the second names the languages
    assert "text: 116 training pairs, en (" in capfd.readouterr().err


def test_two_files_and_an_output_folder(text: Path) -> None:
    arguments = ["--source", "text.en", "--target", "text.de", "--to", "nds", "--output", "here", "--minutes", "5"]
    assert main([*arguments, *QUICK]) == 0
    config = load_model(text / "here").config
    assert (config.data.source_language, config.data.target_language) == ("en", "nds")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.tsv", "--from", "en", "--to", "de"], "none.tsv: no such file"),
        (["none.tsv"], "none.tsv: no such file"),
        (["pairs.tsv", "--from", "chr", "--to", "en"], "has no 'chr', only 'en', 'de'"),
        (["pairs.tsv", "--from", "en", "--to", "en"], "--from and --to are both en; give the sides different names"),
        (["pairs.tsv", "--from", "../en", "--to", "de"], "--from: '../en' is not a language"),
        (["plain.tsv", "--to", "de"], "plain.tsv: does not tell its languages; name them, such as --from chr --to en"),
        (["pairs.tsv", "text.tsv"], "text.tsv: no such file"),
        (["pairs.tsv", "config.yaml"], "config.yaml: is a configuration, but pairs.tsv is for a text without one"),
        (
            ["config.yaml", "--from", "en", "--to", "de"],
            "config.yaml: is a configuration, but --from, --to is for a text",
        ),
        (["config.yaml", "--minutes", "5"], "config.yaml: is a configuration, but --minutes is for a text"),
        (
            ["config.yaml", "--source", "text.en", "--target", "text.de"],
            "config.yaml: is a configuration, but --source",
        ),
        (["--source", "text.en"], "give --source and --target together"),
        (["pairs.tsv", "--valid", "none.tsv"], "data.valid: none.tsv: no such file"),
        (["pairs.tsv", "--test", "text.en,none.de"], "data.held_out: none.de: no such file"),
        (["pairs.tsv", "--monolingual", "news.txt"], "--monolingual news.txt: does not tell its language"),
        (["pairs.tsv", "--monolingual", "none.de"], "none.de: no such file; check the path"),
        (["pairs.tsv", "--start-from", "none"], "none: no such folder"),
        (["pairs.tsv", "--mix", "pairs.tsv"], "--mix is for training that continues from a model; add --start-from"),
        (["pairs.tsv", "--rounds", "2"], "--rounds is for text that models translate; add --monolingual FILE or --div"),
        (["pairs.tsv", "--diversify", "--copy"], "--copy is for text in one language; add --monolingual FILE"),
        (["pairs.tsv", "epochs=3"], "an override is written section.key=value"),
        (["pairs.tsv", "model.dropuot=3"], "did you mean model.dropout?"),
        (["text", "--from", "en", "--to", "fr"], "text: found no text.fr"),
    ],
)
def test_misuse_is_one_line(text: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    (text / "config.yaml").write_text("{}", encoding="utf-8")
    (text / "plain.tsv").write_text("red cat\trote Katze\n", encoding="utf-8")
    assert main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("nmt-train: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not (text / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: CONFIG or TEXT"),
        (["model.dropout=0.2"], "the following arguments are required: CONFIG or TEXT"),
        (["config.yaml"], "the following arguments are required: --output"),
        (["config.json"], "the following arguments are required: --output"),
        (["pairs.tsv", "--minutes", "0"], "argument --minutes: must be a number, above 0"),
    ],
)
def test_missing_arguments(text: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (text / "config.json").write_text('{"training": {}}', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
