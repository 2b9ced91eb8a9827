"""nmt-translate as a process: bytes on standard input to bytes on standard output."""

import dataclasses
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny
import warm

from nmt.commands import translate as command
from nmt.commands.streams import open_stdin, open_stdout
from nmt.commands.translate import WINDOW, main
from nmt.errors import ModelError
from nmt.search.options import SampleOptions, SearchOptions
from nmt.system.machine import cores
from nmt.training.run import train
from nmt.translation.request import Translation, Word
from nmt.translation.translator import Translator


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    prefix = tiny.write_corpus(folder)
    settings = ("tokenizer.kind=unigram", "tokenizer.vocabulary_size=300", *tiny.WHOLE_VECTORS)
    train(tiny.config(prefix, *settings), folder / "run")
    return folder / "run"


def translate(model: Path, content: bytes, *options: str) -> warm.Ended:
    return warm.run_command(main, str(model), "--threads", "1", *options, content=content)


def test_any_bytes_give_as_many_lines(model: Path) -> None:
    generator = random.Random(5)
    lines = [generator.randbytes(generator.randrange(30)).replace(b"\n", b"") for _ in range(60)]
    lines += [b"", b"   ", "😀 \u2028 \x0c".encode(), b"\xff\xfe", b"a\x00b", b"red cat\r", b"\r", b"word " * 500]
    done = translate(model, b"\n".join(lines), "--beam", "2")
    assert done.status == 0, done.stderr
    output = done.stdout.split(b"\n")
    assert output.pop() == b""
    assert len(output) == len(lines)
    assert output[60:62] == [b"", b""]
    assert b"line 68: " in done.stderr  # the long one


def test_options_change_the_output(model: Path) -> None:
    content = b"red cat\n\nblue house\n"
    best = translate(model, content, "--nbest", "2", "--beam", "3").stdout.decode().splitlines()
    assert [line.split(" ||| ")[0] for line in best] == ["1", "1", "2", "3", "3"]
    assert float(best[0].split(" ||| ")[2]) >= float(best[1].split(" ||| ")[2])
    other = (
        translate(model, content, "--nbest", "2", "--beam", "3", "--length-penalty", "0").stdout.decode().splitlines()
    )
    assert other != best
    covered = translate(model, content, "--nbest", "2", "--beam", "3", "--coverage-penalty", "1")
    assert float(covered.stdout.decode().split(" ||| ")[2].split("\n")[0]) < float(best[0].split(" ||| ")[2])
    sentences = translate(model, b"red cat.\nblue house.\n").stdout.split(b"\n")
    assert translate(model, b"red cat. blue house.\n", "--split").stdout == b" ".join(sentences[:2]) + b"\n"
    objects = [json.loads(line) for line in translate(model, content, "--json").stdout.splitlines()]
    assert [item["line"] for item in objects] == [1, 2, 3]
    first = objects[0]["translations"][0]
    assert len(first["alignment"]) == len(first["tokens"])
    assert all(0 <= position < len(objects[0]["source_tokens"]) for position in first["alignment"])


def test_alignments_are_in_pharaoh_form(model: Path) -> None:
    content = b"red cat house\n\n"
    first, blank = translate(model, content, "--alignments").stdout.decode().splitlines()
    found = json.loads(translate(model, content, "--json").stdout.splitlines()[0])["translations"][0]
    assert first == found["text"] + " ||| " + " ".join(f"{i}-{j}" for i, j in found["word_alignment"])
    assert blank == " ||| "
    tokens = translate(model, content, "--alignments", "tokens", "--nbest", "2").stdout.decode().splitlines()[0]
    links = sorted((i, j) for j, i in enumerate(found["alignment"]))
    assert tokens.split(" ||| ")[3] == " ".join(f"{i}-{j}" for i, j in links)
    assert translate(model, content, "--alignments", "words", "--format", "xml").status == 2


def test_tags_and_things_are_carried_over(model: Path) -> None:
    done = translate(model, b"<b>red cat</b> <br/>\n<b>red\n", "--format", "xml")
    assert [line.count(b"<b>") == line.count(b"</b>") > 0 for line in done.stdout.splitlines()] == [True, True]
    assert b"line 2: not well-formed XML" in done.stderr
    assert b"{0}" in translate(model, b"red {0} cat\n").stdout
    (shown,) = json.loads(translate(model, b"red {0} cat\n", "--json").stdout)["translations"]
    assert shown["copied"] == ["{0}"]
    assert b"{0}" not in translate(model, b"red {0} cat\n", "--no-protect").stdout


def test_length_limits_change_the_output(model: Path) -> None:
    content = b"red cat house dog\n"
    usual = ["--json", "--length-penalty", "3", "--beam", "4"]
    one = json.loads(translate(model, content, *usual, "--max-length-factor", "0", "--max-length-extra", "1").stdout)
    assert len(one["translations"][0]["tokens"]) == 1
    several = json.loads(
        translate(model, content, *usual, "--max-length-factor", "1", "--max-length-extra", "0").stdout
    )
    assert 1 < len(several["translations"][0]["tokens"]) <= len(several["source_tokens"]) + 1


def test_sampling_options_change_the_output(model: Path) -> None:
    content = b"red cat\n\nblue house\nred cat\n"

    def sampled(*options: str) -> list[str]:
        return translate(model, content, "--sample", *options).stdout.decode().splitlines()

    one, two = sampled(), sampled("--nbest", "2")
    assert len(one) == 4
    assert (one[0], one[1]) == (one[3], "")
    assert [line.split(" ||| ")[0] for line in two] == ["1", "1", "2", "3", "3", "4", "4"]
    assert two[0].split(" ||| ")[1] == one[0] != two[1].split(" ||| ")[1]
    assert sampled("--seed", "2") != one == sampled("--seed", "1", "--temperature", "1")
    greedy = translate(model, content, "--beam", "1").stdout.decode().splitlines()
    assert sampled("--top-k", "1") == sampled("--temperature", "0") == greedy != one
    found = json.loads(sampled("--json", "--nbest", "2")[0])["translations"]
    assert [f"{sample['score']:.4f}" for sample in found] == [line.split(" ||| ")[2] for line in two[:2]]
    assert len(found[0]["alignment"]) == len(found[0]["tokens"])


def test_minimum_bayes_risk(model: Path) -> None:
    content = b"red cat\n\nblue house\n"

    def chosen(*options: str) -> list[str]:
        done = translate(model, content, "--mbr", "6", "--nbest", "2", *options)
        assert done.status == 0, done.stderr
        return done.stdout.decode().splitlines()

    two = chosen("--seed", "3")
    assert two == chosen("--seed", "3") != chosen("--seed", "4")
    assert chosen("--temperature", "0") != two
    found = json.loads(chosen("--json", "--seed", "3")[0])["translations"]
    assert [f"{one['score']:.4f}" for one in found] == [line.split(" ||| ")[2] for line in two[: len(found)]]
    assert len(found[0]["alignment"]) == len(found[0]["tokens"])


def test_guarded_lines_are_counted() -> None:
    model = Path(__file__).parents[1] / "models" / "0.1.0" / "parallel"
    content = b"They are rich.\nA beautiful student is poor.\n1 2 3\n"
    options = ("--beam", "3", "--nbest", "3", "--precision", "fp32")
    plain, guarded = (translate(model, content, *options, *guard) for guard in ((), ("--guard",)))
    assert b"searched again" not in plain.stderr
    assert guarded.stderr == b"searched again: 1 for loops\n"
    assert plain.stdout.splitlines()[:3] == guarded.stdout.splitlines()[:3]
    assert plain.stdout.splitlines()[3] != guarded.stdout.splitlines()[3]
    assert guarded.stdout.splitlines()[6:] == [b"3 ||| 1 2 3 ||| 0.0000"]
    shown = [json.loads(line) for line in translate(model, content, *options, "--guard", "--json").stdout.splitlines()]
    assert [line["translations"][0]["searched_again"] for line in shown] == [[], ["loop"], []]
    assert [line["translations"][0]["faults"] for line in shown] == [[], [], []]


def test_lines_whose_fault_is_left_are_listed() -> None:
    guarded = command.Guarded()
    good = Translation(text="", score=0, source_tokens=[], tokens=[], alignment=[])
    bad = dataclasses.replace(good, searched_again=("loop",), faults=("loop",))
    guarded.add([[good], [bad]])
    guarded.add([[dataclasses.replace(good, searched_again=("omission", "loop"))], [bad]])
    assert guarded.left == [2, 4]
    assert guarded.again == {"loop": 3, "omission": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sample", "--beam", "5"], "--beam is for search"),
        (["--seed", "2", "--top-k", "3"], "--seed and --top-k: only with --sample or --mbr"),
        (["--sample", "--mbr", "4"], "--sample: not with --mbr"),
        (["--sample", "--temperature", "-1"], "must be a number, from 0 to 1,000"),
    ],
)
def test_sampling_options_that_do_not_go_together(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["model", *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], SearchOptions()),
        (["--json"], SearchOptions(attention=True)),
        (["--nbest", "2", "--beam", "3"], SearchOptions(nbest=2, beam=3)),
        (
            ["--length-penalty", "0", "--coverage-penalty", "1", "--max-length-factor", "3", "--max-length-extra", "0"],
            SearchOptions(length_penalty=0, coverage_penalty=1, max_length_factor=3, max_length_extra=0),
        ),
        (["--sample"], SampleOptions()),
        (["--sample", "--json"], SampleOptions(within=SearchOptions(beam=1, attention=True))),
        (
            ["--sample", "--nbest", "2", "--seed", "0", "--temperature", "0", "--top-k", "1", "--length-penalty", "2"],
            SampleOptions(samples=2, seed=0, temperature=0, top_k=1, within=SearchOptions(beam=1, length_penalty=2)),
        ),
    ],
)
def test_options_are_those_of_search_with_its_defaults(arguments: list[str], expected: object) -> None:
    options = command._parse(["model", *arguments])
    assert command.build_options(options, attention=options.json) == expected


def test_formats_of_the_output() -> None:
    best = Translation(
        text="ein Ä",
        score=-0.12345678,
        source_tokens=["<2de>", "a"],
        tokens=["e", "Ä"],
        alignment=[0, 1],
        word_alignment=[(0, 0), (1, 1)],
        words=[Word(start=0, end=3, probability=0.5, confidence=0.25)],
    )
    second = dataclasses.replace(best, text="", score=-1.0, tokens=[], alignment=[], word_alignment=[], words=[])
    assert command.format_best([best, second], 7) == "ein Ä"
    assert command.format_nbest([best, second], 7) == "7 ||| ein Ä ||| -0.1235\n7 |||  ||| -1.0000"
    assert command.format_json([best, second], 7) == (
        '{"line": 7, "source_tokens": ["<2de>", "a"], "translations": ['
        '{"text": "ein Ä", "score": -0.123457, "tokens": ["e", "Ä"], "alignment": [0, 1], '
        '"word_alignment": [[0, 0], [1, 1]], "searched_again": [], "faults": [], "confidence": 0.25, '
        '"words": [{"start": 0, "end": 3, "confidence": 0.25}]}, '
        '{"text": "", "score": -1.0, "tokens": [], "alignment": [], "word_alignment": [], '
        '"searched_again": [], "faults": [], "words": []}]}'
    )


def test_help_states_defaults_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "--beam K number of hypotheses kept for each sentence; 1 is greedy search; from 1 to 1,000; default: 5" in text
    )
    assert "--top-k K draw among the K most probable tokens; by default among all" in text


def test_interactive_input_and_ctrl_c(model: Path) -> None:
    # Processes that a shell starts in the background inherit a SIGINT that is ignored; a terminal's do not.
    attentive = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = attentive + "from nmt.commands.translate import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(model), "--threads", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdin.write(b"red cat\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        process.send_signal(signal.SIGINT)  # while the reader waits for input
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("0> /dev/null", "the input cannot be read (Bad file descriptor)"),
        ("<&-", "standard input is closed"),
        (">&-", "standard output is closed"),
        ("<<< cat > /dev/full", "the output cannot be written (No space left on device)"),
    ],
)
def test_faults_of_input_and_output_are_one_line(model: Path, redirection: str, message: str) -> None:
    command = f"{sys.executable} -m nmt.commands.translate {model} --threads 1 {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=100)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nmt-translate: error: {message}".encode())
    assert done.stderr.count(b"\n") == 1


def test_a_full_disk_is_reported_even_if_python_writes_unbuffered(model: Path, tmp_path: Path) -> None:
    command = (
        f"ulimit -f 1; yes 'red cat' | head -1000 | {sys.executable} -m nmt.commands.translate {model} --threads 1"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            ["bash", "-c", command], stdout=out, stderr=subprocess.PIPE, check=False, timeout=100, env=environment
        )
    assert done.returncode == 2
    assert b"the output cannot be written" in done.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_closed_output_ends_the_command_silently(model: Path, threads: int) -> None:
    command = (
        f"yes 'red cat' | {sys.executable} -m nmt.commands.translate {model} --threads {threads} --beam 1 | head -1"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=100)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_faults(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(model), "--nbest", "6", "--beam", "5"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("nmt-translate: error: ")
    assert "no such folder" in lines[0]
    assert "enlarge the beam" in lines[1]
    assert len(lines) == 2
    with pytest.raises(SystemExit) as ended:
        main([str(model), "--beam", "0"])
    assert ended.value.code == 2


def test_threads_change_nothing(model: Path) -> None:
    content = "".join(f"{first} {second}\n" for first, _ in tiny.PAIRS for second, _ in tiny.PAIRS).encode()
    one, three = (translate(model, content, "--threads", threads) for threads in "13")
    assert one.stdout.count(b"\n") == 144
    assert (three.stdout, three.stderr) == (one.stdout, b"")


def test_options_reach_the_translator(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[dict[str, object]] = []

    def load(*folders: str, **named: object) -> None:
        loaded.append(named)
        raise ModelError("enough")

    monkeypatch.setattr(Translator, "load", load)
    options = "--batch-size 3 --threads 2 --precision fp32 --no-shortlist --device cpu"
    assert main([str(model), *options.split()]) == 2
    assert main([str(model)]) == 2
    assert loaded[0] == {"batch_size": 3, "threads": 2, "precision": "fp32", "shortlist": False, "device": "cpu"}
    assert loaded[1].pop("threads") == cores()
    assert loaded[1] == {"batch_size": None, "precision": "auto", "shortlist": True, "device": "auto"}


def test_as_much_is_read_ahead_as_the_threads_need(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr("nmt.translation.pipe.run_pipe", lambda *_, max_lines, **__: read.append(max_lines))
    monkeypatch.setattr("nmt.commands.translate.open_stdin", lambda: None)
    assert main([str(model), "--threads", "3"]) == 0
    gc.unfreeze()
    assert read == [WINDOW * Translator.load(model, threads=3).threads * 96]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_at_once(model: Path, number: int, status: int) -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from nmt.commands.translate import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(model), "--threads", "2"]
    with subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"red cat\n")
        process.stdin.flush()
        process.stdout.readline()
        os.killpg(process.pid, number)
        assert process.wait(timeout=60) == status
        assert process.stderr.read() == b""


def test_training_and_scoring_packages_are_not_imported(model: Path) -> None:
    code = f"""
import sys
from nmt.commands.translate import main
status = main([{str(model)!r}, "--threads", "1"])
heavy = ("nmt.training", "nmt.data.readers", "nmt.data.batching", "datasets", "sacrebleu", "tensorboard", "sympy")
heavy += ("torch._dynamo",)
packages = tuple(f"{{name}}." for name in heavy)
print(status, sorted(module for module in sys.modules if f"{{module}}.".startswith(packages)))
"""
    done = subprocess.run([sys.executable, "-c", code], input=b"red cat\n", capture_output=True, check=True)
    assert done.stdout.splitlines()[1] == b"0 []"


def test_standard_input_and_output_that_do_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    for descriptor in (read_end, write_end):
        os.set_blocking(descriptor, False)
    with open(read_end, "rb") as stdin, open(write_end, "wb") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        source, sink = open_stdin(), open_stdout()
        thread = threading.Timer(0.2, lambda: (sink.write(b"x" * 100_000), sink.flush()))
        thread.start()
        content = b""
        while len(content) < 100_000:
            chunk = source.read(1 << 16)
            assert chunk  # an empty pipe is waited for
            content += chunk
        thread.join()
        source.close()
        sink.close()


def test_help_does_not_wait_for_torch() -> None:
    code = """
import sys
from nmt.commands.translate import main
try:
    main(["--help"])
except SystemExit:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.endswith(b"False\n")
