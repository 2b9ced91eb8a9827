"""Shards: every line once whatever the ranges, lines that fail, and output that appears whole."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from corpus_tools import TEXT, read_output, shout, start_job, write_lines
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.corpus.inputs import look_up, open_input
from nmt.corpus.items import Columns, Item, Work
from nmt.corpus.job import Shard
from nmt.corpus.ledger import Ledger
from nmt.corpus.lines import BATCH, MAX_LINE_BYTES, read_lines
from nmt.corpus.shard import Attempt, Position, process_shard
from nmt.data.text_files import import_zstd
from nmt.errors import DataError, MachineError

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12), max_size=30)


def process(ledger: Ledger, work: Work = shout, columns: Columns = TEXT, **attempt: object) -> list[Position]:
    """Process all shards, and return the positions that were reported."""
    positions: list[Position] = []
    for shard in ledger.job.shards:
        process_shard(ledger, Attempt(shard=shard, **attempt), work, columns, positions.append)  # type: ignore[arg-type]
    return positions


def read_failed(folder: Path) -> list[dict[str, object]]:
    files = sorted((folder / "failed").iterdir())
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def copy(items: Sequence[Item]) -> list[str]:
    return [item.text or "" for item in items]


@example(lines=["\ufeff"], ending="", size=1, feed="\n")
@example(lines=["\ufeffa", "\ufeffb"], ending="\n", size=2, feed="\n")
@given(lines=LINES, ending=st.sampled_from(["\n", ""]), size=st.integers(1, 60), feed=st.sampled_from(["\n", "\r\n"]))
def test_every_line_is_in_one_shard(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ending: str, size: int, feed: str
) -> None:
    content = (feed.join(lines) + ending).encode()
    path = tmp_path_factory.getbasetemp() / "in"
    path.write_bytes(content)
    found, read = [], 0
    for start in range(0, len(content), size):
        stop = min(start + size, len(content))
        shard = Shard(number=0, file=look_up(str(path)), start=start, stop=stop)
        with open_input(shard.file, max(0, start - 1), stop) as stream:
            reader, batches = read_lines(shard, stream, TEXT)
            found += [item.text for items in batches for item in items]
        read += reader.size
    expected = content.decode().split("\n")
    if expected[-1] == "":
        expected.pop()
    if expected:
        expected[0] = expected[0].removeprefix("\ufeff")
    assert found == [line.removesuffix("\r") for line in expected]
    assert read == len(content)


def test_a_line_that_is_too_long_fails(tmp_path: Path) -> None:
    lines = ["a", "é" * MAX_LINE_BYTES, "b", "c" * MAX_LINE_BYTES, "d" * (MAX_LINE_BYTES + 1), "e"]
    for size in (1 << 18, 1 << 20, 1 << 30):
        folder = tmp_path / str(size)
        ledger = start_job(folder, write_lines(tmp_path / "in", lines), shard_bytes=size)
        process(ledger, copy)
        assert read_output(ledger).decode().split("\n") == ["a", "", "b", lines[3], "", "e", ""]
        failed = read_failed(folder)
        assert [entry["reason"] for entry in failed] == ["has more than 1,048,576 bytes"] * 2
        assert [entry["text"] for entry in failed] == ["é" * 1000, "d" * 1000]
        assert sum(marker.input_bytes for marker in ledger.read_done().values()) == os.path.getsize(tmp_path / "in")


def test_lines_that_raise_an_error_are_isolated(tmp_path: Path) -> None:
    poison = {3, 4, 200, BATCH + 1}
    lines = [f"poison {number}" if number in poison else f"line {number}" for number in range(BATCH + 50)]

    def work(items: Sequence[Item]) -> list[str]:
        if any("poison" in (item.text or "") for item in items):
            raise ValueError("it is poison\nmore")
        return shout(items)

    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", lines))
    process(ledger, work)
    assert read_output(ledger).decode().splitlines() == ["" if "poison" in line else line.upper() for line in lines]
    failed = read_failed(tmp_path / "job")
    assert failed[0] == {
        "file": str(tmp_path / "in"), "shard": 0, "line": 4, "reason": "ValueError: it is poison", "text": "poison 3"
    }  # fmt: skip
    assert [entry["line"] for entry in failed] == [number + 1 for number in sorted(poison)]
    assert ledger.read_done()[0].failed == 4
    process(ledger)  # an attempt without failures removes their record
    assert not (tmp_path / "job" / "failed" / "000000.jsonl").exists()


def test_careful_lines_are_alone_and_skipped_lines_fail(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(2 * BATCH + 10)]
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", lines))
    first = BATCH - 2
    positions = process(ledger, careful=(first, first + 4), skip=frozenset({first + 1}))
    ranges = [(position.first, position.last) for position in positions]
    alone = [(first + number, first + number + 1) for number in range(4)]
    assert ranges == [(0, first), *alone[:2], *alone[2:], (BATCH + 2, 2 * BATCH), (2 * BATCH, len(lines))]
    expected = [line.upper() for line in lines]
    expected[first + 1] = ""
    assert read_output(ledger).decode().splitlines() == expected


def test_bytes_that_are_not_utf8_are_replaced_and_counted(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"gr\xfcn\nrot\n")
    ledger = start_job(tmp_path / "job", tmp_path / "in")
    process(ledger, copy)
    assert read_output(ledger).decode() == "gr\ufffdn\nrot\n"
    assert ledger.read_done()[0].replaced == 1


@pytest.mark.parametrize("ending", [".gz", ".zst", ".xz", ".bz2"])
def test_compressed_files_stay_compressed_and_equal(tmp_path: Path, ending: str) -> None:
    lines = [f"line {number}" for number in range(1000)]
    content = "".join(f"{line}\n" for line in lines).encode()
    modules: dict[str, Any] = {".gz": gzip, ".xz": lzma, ".bz2": bz2, ".zst": import_zstd("a file")}
    module = modules[ending]
    (tmp_path / f"in{ending}").write_bytes(module.compress(content))
    outputs = []
    for name in ("one", "two"):
        ledger = start_job(tmp_path / name, tmp_path / f"in{ending}", shard_bytes=100)
        process(ledger)
        assert len(ledger.job.shards) == 1
        outputs.append(read_output(ledger))
    assert module.decompress(outputs[0]) == content.upper()
    assert outputs[0] == outputs[1]


def test_json_keeps_all_keys(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 1, "text": "a\nb", "more": [1.5, None]},
        {"text": None},
        {"text": "é", "translation": "old"},
    ]
    bad = ["", "[1]", '{"id": 2}', '{"text": 3}', "{"]
    write_lines(tmp_path / "in.jsonl", [*map(json.dumps, rows), *bad])
    ledger = start_job(tmp_path / "job", tmp_path / "in.jsonl", shard_bytes=30)
    process(ledger)
    found = [json.loads(line) for line in read_output(ledger).splitlines()]
    assert found[:3] == [
        {**rows[0], "translation": "A\nB"},
        {"text": None, "translation": None},
        {"text": "é", "translation": "É"},
    ]
    assert found[3:] == [
        {"translation": ""}, {"translation": ""}, {"id": 2, "translation": ""}, {"text": 3, "translation": ""},
        {"translation": ""},
    ]  # fmt: skip
    assert sum(marker.failed for marker in ledger.read_done().values()) == 5


def test_pairs_of_text_need_one_tab(tmp_path: Path) -> None:
    pairs = Columns(source="source", target="target", result="score")
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", ["a\tb", "a", "a\tb\tc"]), task="score")
    process(ledger, lambda items: [f"{item.text}-{item.target}" for item in items], pairs)
    assert read_output(ledger).decode().splitlines() == ["a-b", "", ""]


def test_input_that_is_not_text_fails(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(gzip.compress(b"text\n" * 100))
    with pytest.raises(DataError, match=r"in: looks like gzip; decompress it first"):
        process(start_job(tmp_path / "job", tmp_path / "in"))
    (tmp_path / "in.gz").write_bytes(gzip.compress(os.urandom(10_000))[:-100])
    with pytest.raises(DataError, match=r"in\.gz: cannot be read"):
        process(start_job(tmp_path / "job2", tmp_path / "in.gz"))


def test_input_that_vanishes_or_changes_fails_and_leaves_no_output(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in", ["line"] * 600)
    ledger = start_job(tmp_path / "job", path)

    def change(items: Sequence[Item]) -> list[str]:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write("more\n")
        return shout(items)

    with pytest.raises(DataError, match=r"in: has changed since the job was planned \(3,000 bytes then"):
        process(ledger, change)
    path.unlink()
    with pytest.raises(DataError, match=r"in: cannot be read \(No such file or directory\)"):
        process(ledger)
    assert not ledger.output.sizes("")
    assert not ledger.read_done()
    assert list((tmp_path / "job" / "output" / ".nmt-draft-shards").iterdir()) == []


def test_an_error_of_the_machine_ends_the_shard(tmp_path: Path) -> None:
    def work(items: Sequence[Item]) -> list[str]:
        raise MemoryError(len(items))

    with pytest.raises(MachineError, match="too little memory"):
        process(start_job(tmp_path / "job", write_lines(tmp_path / "in", ["a"])), work)
