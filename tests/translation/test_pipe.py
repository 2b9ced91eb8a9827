"""The pipe: for any input bytes, one output line per input line, in order and in time."""

import errno
import gzip
import io
import logging
import os
import threading
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmt.data.encodings import BYTE_ORDER_MARK, LineDecoder, find_other_kind
from nmt.errors import DataError, MachineError
from nmt.translation import pipe
from nmt.translation.request import Request


class Slow(io.RawIOBase):
    """A source that gives a few bytes at a time, as a pipe does."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size = io.BytesIO(content), size

    def read(self, size: int = -1, /) -> bytes:
        return self.content.read(min(size, self.size))


def copy(requests: Sequence[Request]) -> list[str]:
    return [request.text for request in requests]


def show(text: str, number: int) -> str:
    return f"{number} {text}"


def through(content: bytes, max_lines: int = 4, size: int = 7) -> list[bytes]:
    """What a pipe that writes capitals makes of some bytes."""
    sink = io.BytesIO()
    windows: list[int] = []

    def upper(requests: Sequence[Request]) -> list[str]:
        windows.append(len(requests))
        return [request.text.upper() for request in requests]

    pipe.run_pipe(Slow(content, size), sink, translate=upper, show=lambda text, number: text, max_lines=max_lines)
    assert all(0 < window <= max_lines for window in windows)
    return sink.getvalue().split(b"\n")


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 30))
def test_line_count_is_kept_for_any_bytes(lines: list[bytes], size: int) -> None:
    if lines:
        lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
    content = b"".join(line + b"\n" for line in lines)
    assume(not any(find_other_kind(content[:end]) for end in range(len(content) + 1)))
    decoder = LineDecoder(name="t")
    expected = [decoder.decode(line).upper().encode("utf-8", errors="replace") for line in lines]
    assert through(content, size=size) == [*expected, b""]


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_what_is_not_utf_8_text_is_refused(size: int) -> None:
    for content in ("A man.\n".encode("utf-16"), "A man.\n".encode("utf-16-le"), gzip.compress(b"A man.\n" * 9)):
        with pytest.raises(DataError, match=r"^the input looks like (UTF-16|gzip); "):
            through(content, size=size)


def test_lines_that_are_not_utf_8_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    assert through(b"a\nb\xe4\n\xe4\n", max_lines=1) == [b"A", "B\ufffd".encode(), "\ufffd".encode(), b""]
    (message,) = caplog.messages
    assert message.startswith("the input: 2 of 3 lines are not UTF-8, the first is line 2; ")


def test_byte_order_mark_is_removed() -> None:
    mark = BYTE_ORDER_MARK
    assert through(mark + b"a\n" + mark + b"b\n") == [b"A", mark + b"B", b""]
    assert through(mark + b"a", size=2) == [b"A", b""]


def test_a_missing_last_line_feed() -> None:
    assert through(b"a\nb") == [b"A", b"B", b""]
    assert through(b"a\n\n") == [b"A", b"", b""]
    assert through(b"") == [b""]


def test_each_line_is_answered_when_the_input_pauses() -> None:
    read_input, write_input = os.pipe()
    read_output, write_output = os.pipe()
    with (
        open(read_input, "rb", buffering=0) as source,
        open(write_output, "wb") as sink,
        open(read_output, "rb") as answers,
    ):
        thread = threading.Thread(
            target=pipe.run_pipe,
            args=(source, sink),
            kwargs={"translate": copy, "show": show},
        )
        thread.start()
        for number in range(1, 4):  # each answer is read before the next line is written
            os.write(write_input, b"line\n")
            assert answers.readline() == f"{number} line\n".encode()
        os.close(write_input)
        thread.join()


def test_line_numbers_continue_in_the_next_window() -> None:
    windows: list[list[str | None]] = []

    def translate(requests: Sequence[Request]) -> list[str]:
        windows.append([request.name for request in requests])
        return copy(requests)

    sink = io.BytesIO()
    pipe.run_pipe(io.BytesIO(b"a\na\na\nb\na\n"), sink, translate=translate, show=show, max_lines=3)
    assert sink.getvalue() == b"1 a\n2 a\n3 a\n4 b\n5 a\n"
    assert windows == [["line 1", "line 2", "line 3"], ["line 4", "line 5"]]


def test_endless_line_is_cut_with_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(pipe, "MAX_LINE_BYTES", 10)
    assert through(b"a\n" + b"x" * 100 + b"\nb\n" + b"y" * 50, size=8) == [b"A", b"X" * 10, b"B", b"Y" * 10, b""]
    assert [record.getMessage()[:7] for record in caplog.records] == ["line 2:", "line 4:"]
    assert through(b"x" * 10 + b"\n" + b"y" * 10, size=8) == [b"X" * 10, b"Y" * 10, b""]
    assert len(caplog.records) == 2  # lines of exactly this length are not cut


def test_reading_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "MAX_AHEAD_BYTES", 50)
    windows = list(pipe.ReadAhead(Slow(b"ten bytes\n" * 100, 1000), 1000).windows())
    assert sum(map(len, windows)) == 100
    assert max(map(len, windows)) <= 6
    windows = list(pipe.ReadAhead(io.BytesIO(b"a\n" * 100), 7).windows())
    assert sum(map(len, windows)) == 100
    assert max(map(len, windows)) == 7


def test_error_of_the_source_is_raised() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise OSError("gone")

    with pytest.raises(DataError, match="the input cannot be read \\(gone\\)"):
        pipe.run_pipe(Broken(), io.BytesIO(), translate=copy, show=show)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(OSError(errno.ENOSPC, "No space left on device"), MachineError), (BrokenPipeError(), BrokenPipeError)],
)
def test_error_of_the_sink_is_raised(failure: OSError, raised: type[Exception]) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise failure

    with pytest.raises(raised, match=r"No space left|^$"):
        pipe.run_pipe(io.BytesIO(b"a\n"), Full(), translate=copy, show=show)


def test_a_steady_trickle_is_answered_before_it_fills_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "PAUSE", 60.0)  # never a pause
    monkeypatch.setattr(pipe, "PATIENCE", 0.0)
    read_end, write_end = os.pipe()
    with open(read_end, "rb", buffering=0) as source, open(write_end, "wb", buffering=0) as sink:
        windows = pipe.ReadAhead(source, 1000).windows()
        for number in range(3):
            sink.write(b"%d\n" % number)
            assert next(windows) == [str(number)]
