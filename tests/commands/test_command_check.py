"""nmt-check as a command: what it reads, its exit status, its messages, and the cleaned text."""

import json
from pathlib import Path

import pytest
from grammar_corpus.main import write

from nmt.commands.check import main


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    write(folder, {"test": 200, "valid": 200, "train": 1500}, seed=1)
    return folder


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    for file in clean.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.yaml").write_text(
        f"data:\n  source_language: en\n  target_language: de\n  train: {tmp_path}/train\n  valid: {tmp_path}/valid\n"
        f"  held_out: {tmp_path}/test\n",
        encoding="utf-8",
    )
    return tmp_path


def read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def plant(path: Path, lines: dict[int, str]) -> None:
    """Replace lines of a file."""
    content = read(path)
    for index, line in lines.items():
        content[index] = line
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")


def test_text_is_named_in_three_ways(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, valid = str(folder / "train"), str(folder / "valid")
    for arguments in (
        [str(folder / "config.yaml"), "data.held_out=[]"],
        [train, "--from", "en", "--to", "de", f"data.valid={valid}"],
        [f"--source={train}.en", f"--target={train}.de", f"--valid-source={valid}.en", f"--valid-target={valid}.de"],
    ):
        assert main(arguments) == 0
        output = " ".join(capsys.readouterr().out.split())  # long paths break lines
        assert "(200 pairs)" in output
        assert "(1,500 pairs)" in output
        assert output.endswith("nothing found")


def test_a_severe_finding_gives_status_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(folder / "train.de", dict(enumerate(read(folder / "train.en"))))
    assert main([str(folder / "config.yaml"), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["findings"][0]["severity"] == "severe"
    assert {corpus["set"] for corpus in content["corpora"]} == {"train", "valid", "held_out"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one text"),
        (["a", "b"], "name one text"),
        (["a", "--source", "b", "--target", "c"], "name one text"),
        (["--source", "a"], "give --source and --target together"),
        (["a", "--from", "en"], "say its languages with --from and --to"),
        (["a.yaml", "--from", "en"], "for text without a configuration"),
        (["none.yaml"], "none.yaml: cannot be read"),
        (["none", "--from", "en", "--to", "de"], "none: found no none.en and no none.de"),
        (["--source", "none.en", "--target", "none.de"], "none.en: no such file"),
        (["a", "--from", "en", "--to", "de", "data.max_ratio=x"], "data.max_ratio"),
    ],
)
def test_faults_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err


def test_empty_files_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "valid.en").write_text("")
    (folder / "valid.de").write_text("")
    assert main([str(folder / "config.yaml")]) == 2
    assert "contains no sentence pairs" in capsys.readouterr().err


def test_fix_writes_cleaned_text(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = read(folder / "train.en"), read(folder / "train.de")
    plant(folder / "train.en", {10: target[10], 20: "", 30: source[31], 40: read(folder / "test.en")[5].upper()})
    plant(folder / "train.de", {10: source[10], 30: target[31], 40: read(folder / "test.de")[5].upper()})
    plant(folder / "train.de", {50: f"  {target[50]}\u00a0 ", 60: source[60], 70: target[70].replace(" ", "\u200b ")})
    plant(folder / "valid.de", {3: f"{read(folder / 'valid.de')[3]} "})
    assert main([str(folder / "config.yaml"), "--fix", str(tmp_path / "fixed")]) == 0
    errors = capsys.readouterr().err
    for done in ("1 exchanged", "1 empty", "1 duplicates", "1 also in valid or held_out", "1 untranslated"):
        assert done in errors
    fixed = tmp_path / "fixed"
    gone = {20, 31, 40, 60}
    assert read(fixed / "train.en") == [
        source[31] if i == 30 else line for i, line in enumerate(source) if i not in gone
    ]
    assert read(fixed / "train.de") == [
        target[31] if i == 30 else line for i, line in enumerate(target) if i not in gone
    ]
    assert [line.strip() for line in read(folder / "valid.de")] == read(fixed / "valid.de")
    assert len(read(fixed / "held_out.en")) == 200
    assert main([str(fixed / "train"), "--from", "en", "--to", "de", f"data.valid={fixed / 'valid'}"]) == 0
    assert "nothing found" in capsys.readouterr().out


@pytest.mark.parametrize(("side", "star"), [("en", False), ("de", False), ("de", True)])
def test_fix_aligns_text_again(folder: Path, tmp_path: Path, side: str, star: bool) -> None:
    before = dict(zip(read(folder / "train.en"), read(folder / "train.de"), strict=True))
    if star:  # the second file that matches is misaligned
        for language in ("en", "de"):
            (folder / f"train-0.{language}").write_bytes((folder / f"train.{language}").read_bytes())
    lines = read(folder / f"train.{side}")
    del lines[700]
    (folder / f"train.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    path = f"data.train={folder}/train{'*' * star}"
    assert main([str(folder / "config.yaml"), path, "--fix", str(tmp_path / "fixed")]) == 1
    stem = tmp_path / "fixed" / ("train-2" if star else "train")
    pairs = list(zip(read(Path(f"{stem}.en")), read(Path(f"{stem}.de")), strict=True))
    assert len(pairs) > 1400
    assert sum(before[source] != target for source, target in pairs) <= 2


def test_fix_never_writes_over_anything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    for existing in (folder, folder / "train.en"):
        assert main([str(folder / "config.yaml"), "--fix", str(existing)]) == 2
        assert "exists already" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


def test_fix_leaves_nothing_after_an_error(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(folder / "train.de", dict.fromkeys(range(1500), ""))
    assert main([str(folder / "config.yaml"), "--fix", str(tmp_path / "fixed")]) == 2
    assert "no pair would be left" in capsys.readouterr().err
    assert not (tmp_path / "fixed").exists()
    assert not list(tmp_path.glob(".nmt-draft*"))
