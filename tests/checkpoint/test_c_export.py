"""nmt-export --format c: a folder with a C library, the model in one file, and example programs."""

import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
from c_library import CModel

from nmt import Translator
from nmt.checkpoint.c_export import export_c
from nmt.checkpoint.export import export
from nmt.commands.export import main
from nmt.native.build import FLAGS, BuildError
from nmt.web import FOLDER

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
LINES = ["They will play in the morning.", "The famous sister will cry."]

pytestmark = pytest.mark.skipif(not (shutil.which("cc") and shutil.which("make")), reason="needs cc and make")


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise BuildError("no C compiler was found")

    monkeypatch.setattr("nmt.checkpoint.c_export.find_compiler", fail)


@pytest.mark.usefixtures("without_compiler")
def test_the_folder_without_a_compiler(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "exported"
    assert main(["--format", "c", str(MODELS / "input_feeding"), str(folder)]) == 0
    assert f"{folder}: no C compiler was found; run make in it where there is one" in caplog.text
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"model.nmt", "Makefile", "README.md", "include/nmt.h", "src/text.c", "examples/translate.c"} < files
    assert not any("train_softmax" in name or name.startswith("lib/") for name in files)
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md")]
    assert not any(word in text for text in texts for word in ("$FLAGS", "$VARIANT", "$SOURCES", "$LANGUAGE"))
    assert all(flag in texts[0] for flag in FLAGS if flag.startswith("-f"))  # they decide how sums are rounded
    export(MODELS / "input_feeding", tmp_path / "int8")
    own = Translator.load(tmp_path / "int8", precision="int8").translate(LINES, protect=False)
    assert [CModel(folder / "model.nmt").translate(line) for line in LINES] == own


@pytest.mark.usefixtures("without_compiler")
def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert not export_c(MODELS / "input_feeding", tmp_path / name)
    export(MODELS / "input_feeding", tmp_path / "int8")
    export_c(tmp_path / "int8", tmp_path / "again")
    files = [(tmp_path / name / "model.nmt").read_bytes() for name in ("one", "other", "again")]
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize(("name", "part"), [("bideep", "model.decoder=conditional"), ("gnmt", None)])
def test_what_the_library_does_not_know_is_refused(
    name: str, part: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if part is None:
        part = "model.encoder_stack=gnmt"
    assert main(["--format", "c", str(MODELS / name), str(tmp_path / "exported")]) == 2
    assert f"no C library for models with {part}; nmt-translate can use the folder" in capsys.readouterr().err
    assert not (tmp_path / "exported").exists()


def test_words_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nmt.training.run import train

    train(tiny.config(tiny.write_corpus(tmp_path)), tmp_path / "run")
    assert main(["--format", "c", str(tmp_path / "run"), str(tmp_path / "exported")]) == 2
    assert "no C library for models with tokenizer.kind=words" in capsys.readouterr().err


def test_the_abbreviations_are_those_of_the_browser() -> None:
    from nmt.checkpoint.c_file import _ABBREVIATIONS

    script = (FOLDER / "engine" / "sentences.js").read_text(encoding="utf-8")
    assert "".join(_ABBREVIATIONS.split()) in "".join(script.replace('"', "").replace("+", "").split())


@pytest.mark.slow
def test_the_example_programs(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    assert export_c(MODELS / "input_feeding", folder)
    assert (folder / "lib" / "libnmt.so").exists()
    subprocess.run(["make", "CFLAGS=-O1"], cwd=folder, check=True, capture_output=True)
    commands = [["build/translate", "model.nmt"]]
    if shutil.which("cargo"):
        rust = folder / "examples" / "rust"
        subprocess.run(["cargo", "build", "--release", "--offline"], cwd=rust, check=True, capture_output=True)
        commands.append(["examples/rust/target/release/translate", "model.nmt"])
    export(MODELS / "input_feeding", tmp_path / "int8")
    own = Translator.load(tmp_path / "int8", precision="int8").translate(LINES, protect=False)
    for command in commands:
        done = subprocess.run(command, cwd=folder, input="\n".join(LINES), capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == own
        failed = subprocess.run([*command[:1], "missing"], cwd=folder, capture_output=True, text=True, check=False)
        assert failed.returncode == 1
        assert "the file cannot be read" in failed.stderr
