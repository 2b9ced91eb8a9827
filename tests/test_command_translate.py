"""nmt-translate as a process: bytes on standard input to bytes on standard output."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from nmt.commands.translate import main
from nmt.train import train

COMMAND = [sys.executable, "-m", "nmt.commands.translate"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    prefix = tiny.write_corpus(folder)
    train(tiny.config(prefix, "tokenizer.kind=unigram", "tokenizer.vocabulary_size=300"), folder / "run")
    return folder / "run"


def translate(model: Path, content: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, str(model), "--threads", "1", *options]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def test_any_bytes_give_as_many_lines(model: Path) -> None:
    generator = random.Random(5)
    lines = [generator.randbytes(generator.randrange(30)).replace(b"\n", b"") for _ in range(60)]
    lines += [b"", b"   ", "😀 \u2028 \x0c".encode(), b"\xff\xfe", b"a\x00b", b"red cat\r", b"\r", b"word " * 500]
    done = translate(model, b"\n".join(lines), "--beam", "2")
    assert done.returncode == 0, done.stderr
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
    objects = [json.loads(line) for line in translate(model, content, "--json").stdout.splitlines()]
    assert [item["line"] for item in objects] == [1, 2, 3]
    first = objects[0]["translations"][0]
    assert len(first["alignment"]) == len(first["tokens"])
    assert all(0 <= position < len(objects[0]["source_tokens"]) for position in first["alignment"])


def test_length_limits_change_the_output(model: Path) -> None:
    content = b"red cat house dog\n"
    usual = ["--json", "--length-penalty", "3", "--beam", "4"]
    one = json.loads(translate(model, content, *usual, "--max-length-factor", "0", "--max-length-extra", "1").stdout)
    assert len(one["translations"][0]["tokens"]) == 1
    several = json.loads(
        translate(model, content, *usual, "--max-length-factor", "1", "--max-length-extra", "0").stdout
    )
    assert 1 < len(several["translations"][0]["tokens"]) <= len(several["source_tokens"]) + 1


def test_each_line_typed_is_answered_at_once_and_ctrl_c_ends_it_quietly(model: Path) -> None:
    # Processes that a shell starts in the background inherit a SIGINT that is ignored; a terminal's do not.
    attentive = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = attentive + "from nmt.commands.translate import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(model), "--threads", "1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
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
        ("<<< cat > /dev/full", "the output cannot be written (No space left on device)"),
    ],
)
def test_faults_of_input_and_output_are_one_line(model: Path, redirection: str, message: str) -> None:
    command = f"{sys.executable} -m nmt.commands.translate {model} --threads 1 {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=100)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nmt-translate: error: {message}".encode())
    assert done.stderr.count(b"\n") == 1


def test_a_closed_output_ends_it_quietly(model: Path) -> None:
    command = f"yes 'red cat' | {sys.executable} -m nmt.commands.translate {model} --threads 1 --beam 1 | head -1"
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
