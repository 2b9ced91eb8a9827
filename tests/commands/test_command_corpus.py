"""nmt-corpus: all commands on a tiny model, each option, and messages."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import warm
from corpus_tools import copy_model, make_lines, write_lines

from nmt.commands.corpus import main
from nmt.search.options import MbrOptions, SampleOptions, SearchOptions
from nmt.translation.translator import Translator

LINES = make_lines(30)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.txt", LINES)


def corpus(*arguments: object) -> warm.Ended:
    """Run a command that starts workers, in its own process."""
    return warm.run_command(main, *map(str, arguments))


def translate(folder: Path, model: Path, text: Path, *options: str) -> list[str]:
    job = folder / "job"
    done = corpus("translate", job, "--model", model, "--input", text, "--workers", 1, *options)
    assert done.status == 0, done.stderr
    assert main(["merge", str(job), str(folder / "merged")]) == 0
    return (folder / "merged").read_text(encoding="utf-8").splitlines()


def test_a_job_from_start_to_end(tmp_path: Path, model: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = Translator.load(model).translate(LINES)
    assert translate(tmp_path, model, text, "--shard-mib", "0.0005") == expected
    job = str(tmp_path / "job")
    capsys.readouterr()
    assert main(["status", job, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    shards = status["shards"]
    assert shards > 1
    assert status["lines"] == 30
    assert main(["status", job]) == 0
    assert capsys.readouterr().out.startswith(f"{shards} of {shards} shards done (done)\n30 lines, 0 failed")
    assert main(["verify", job]) == 0
    assert capsys.readouterr().out == f"{shards} shards are complete and unchanged\n"
    again = corpus("translate", job, "--model", model, "--input", text, "--shard-mib", "0.0005")
    assert again.status == 0
    assert f"0 of {shards} shards left" in again.stderr.decode()
    (tmp_path / "job" / "output" / "000000.txt").write_bytes(b"")
    assert main(["verify", job]) == 2
    assert "1 of" in capsys.readouterr().err


def test_each_option_of_search_and_text_has_an_effect(tmp_path: Path, model: Path) -> None:
    text = write_lines(tmp_path / "in.txt", ["one two", "x http://a.b y", "<b>one</b> two"])
    lines = text.read_text(encoding="utf-8").splitlines()
    translator = Translator.load(model, precision="fp32")
    options = SearchOptions(beam=1, max_length_factor=0.5, max_length_extra=1)
    found = translate(
        tmp_path, model, text, "--precision", "fp32", "--beam", "1", "--max-length-factor", "0.5",
        "--max-length-extra", "1", "--no-protect", "--no-guard",
    )  # fmt: skip
    assert found == translator.translate(lines, options, protect=False, guard=False)
    assert found != translator.translate(lines, SearchOptions(max_length_factor=0.5, max_length_extra=1), guard=False)
    (tmp_path / "markup").mkdir()
    assert translate(tmp_path / "markup", model, text, "--format", "html") == Translator.load(model).translate(
        lines, markup="html"
    )
    settings = json.loads((tmp_path / "job" / "job.json").read_bytes())["settings"]
    assert settings["beam"] == 1
    assert settings["protect"] is False


def test_samples_depend_on_the_seed_and_not_on_shards(tmp_path: Path, model: Path, text: Path) -> None:
    translator = Translator.load(model)
    sampling = SampleOptions(seed=3, temperature=0.9, top_k=20)
    found = translate(tmp_path, model, text, "--sample", "--seed", "3", "--temperature", "0.9", "--top-k", "20")
    assert found == translator.translate(LINES, sampling)
    assert found != translator.translate(LINES, replace(sampling, seed=4))
    for size in ("4", "0.0005"):
        (tmp_path / size).mkdir()
        found = translate(tmp_path / size, model, text, "--mbr", "4", "--seed", "2", "--shard-mib", size)
        mbr = MbrOptions(sampling=SampleOptions(samples=4, temperature=0.7, seed=2), search=SearchOptions(nbest=5))
        assert found == translator.translate(LINES, mbr)
    other = corpus("translate", tmp_path / "4" / "job", "--model", model, "--input", text, "--mbr", "5", "--seed", "2")
    assert other.status == 2
    assert b"its job has mbr = 4, not 5; repeat the command" in other.stderr


def test_a_model_that_is_not_packed_yet_is_the_same_model(tmp_path: Path, text: Path) -> None:
    model = copy_model(tmp_path)
    translate(tmp_path, model, text)
    assert (model / "packed.nmt").exists()
    again = corpus("translate", tmp_path / "job", "--model", model, "--input", text)
    assert again.status == 0, again.stderr


def test_output_can_be_merged_to_a_pipe(tmp_path: Path, model: Path, text: Path) -> None:
    translate(tmp_path, model, text)
    assert corpus("merge", tmp_path / "job", "-").stdout == (tmp_path / "merged").read_bytes()


@pytest.mark.slow
def test_ray_writes_the_same_and_replaces_actors(tmp_path: Path, model: Path) -> None:
    """In a new process, because Ray leaves threads and sockets to the end of the process."""
    pytest.importorskip("ray")
    text = write_lines(tmp_path / "in.txt", make_lines(3000))
    job = tmp_path / "job"
    command = [sys.executable, "-W", "ignore", "-m", "nmt.commands.corpus", "translate", str(job), "--engine", "ray"]
    command += ["--model", str(model), "--input", str(text), "--workers", "1", "--shard-mib", "0.002"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while process.poll() is None and not list((job / "done").glob("*")):
        time.sleep(0.01)
    owner = json.loads(next((job / "done").glob("*")).read_bytes())["owner"]
    os.kill(int(owner.split("@")[-2]), signal.SIGKILL)
    message = process.communicate(timeout=200)[1].decode()
    assert process.returncode == 0, message
    assert "an actor died; shard" in message
    assert main(["merge", str(job), str(tmp_path / "merged")]) == 0
    expected = Translator.load(model).translate(make_lines(3000))
    assert (tmp_path / "merged").read_text(encoding="utf-8").splitlines() == expected


def test_columns_of_json(tmp_path: Path, model: Path) -> None:
    rows = [{"id": number, "de": line} for number, line in enumerate(LINES)]
    text = write_lines(tmp_path / "in.jsonl", [json.dumps(row) for row in rows])
    found = map(json.loads, translate(tmp_path, model, text, "--column", "de", "--result", "en"))
    expected = Translator.load(model).translate(LINES)
    assert list(found) == [{**row, "en": translation} for row, translation in zip(rows, expected, strict=True)]


@pytest.mark.parametrize("per", ["sentence", "token"])
def test_scores_are_those_of_the_translator(tmp_path: Path, model: Path, per: str) -> None:
    targets = Translator.load(model).translate(LINES)
    pairs = write_lines(tmp_path / "in.tsv", [f"{a}\t{b}" for a, b in zip(LINES, targets, strict=True)])
    done = corpus("score", tmp_path / "job", "--model", model, "--input", pairs, "--per", per, "--workers", 1)
    assert done.status == 0, done.stderr
    scores = Translator.load(model, shortlist=False).score(LINES, targets)
    expected = [one.log_probability if per == "sentence" else one.per_token for one in scores]
    found = (tmp_path / "job" / "output" / "000000.txt").read_text().splitlines()
    assert [float(line) for line in found] == pytest.approx(expected, abs=1e-4)


def test_checks_name_the_faults_of_pairs(tmp_path: Path) -> None:
    good = [f"This is sentence {number}.\tDas ist Satz {number}." for number in range(20)]
    bad = ["The same long text here.\tThe same long text here.", "FranÃ§ais\tx", "a  b\t", "no tab"]
    pairs = write_lines(tmp_path / "in.tsv", [*good, *bad])
    done = corpus("check", tmp_path / "job", "--input", pairs, "--workers", 1)
    assert done.status == 0, done.stderr
    found = (tmp_path / "job" / "output" / "000000.txt").read_text().splitlines()
    assert found == [""] * 20 + ["untranslated", "mojibake", "empty,spaces", ""]
    assert "1 lines failed and are empty" in done.stderr.decode()


@pytest.mark.slow
def test_shares_make_the_same_output(tmp_path: Path, model: Path, text: Path) -> None:
    arguments = ["translate", tmp_path / "job", "--model", model, "--input", text, "--shard-mib", "0.0003"]
    for index in range(3):
        assert corpus(*arguments, "--workers", 1, "--shard", f"{index}/3").status == 0
    assert main(["merge", str(tmp_path / "job"), str(tmp_path / "merged")]) == 0
    expected = Translator.load(model).translate(LINES)
    assert (tmp_path / "merged").read_text(encoding="utf-8").splitlines() == expected


def test_another_command_in_the_same_folder_is_refused(tmp_path: Path, model: Path, text: Path) -> None:
    translate(tmp_path, model, text)
    done = corpus("translate", tmp_path / "job", "--model", model, "--input", text, "--beam", 2)
    assert done.status == 2
    assert done.stderr.decode() == (
        f"nmt-corpus: error: {tmp_path / 'job'}: its job has beam = its default, not 2; repeat the command of this "
        "job, or name another folder\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "xx"], "xx"),
        (["--column", "x"], "--column: only for .jsonl and .parquet; leave it out"),
        (["--address", "auto"], "--address: only with --engine ray; add it"),
        (["--shard", "3/3"], "must be I/N with I from 0 to N - 1, such as 0/8, not '3/3'"),
        (["--shard-mib", "0"], "must be a number of MiB, from 0.0001 to 1024, not '0'"),
        (["--workers", "0"], "must be a whole number"),
        (["--seed", "2"], "--seed: only with --sample or --mbr; add one of them"),
        (["--sample", "--mbr", "2"], "--sample: not with --mbr, which draws samples itself; leave one out"),
    ],
)
def test_bad_options_are_one_line_and_start_no_job(
    tmp_path: Path, model: Path, text: Path, options: list[str], message: str
) -> None:
    done = corpus("translate", tmp_path / "job", "--model", model, "--input", text, *options)
    assert done.status == 2
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "job").exists()
