"""The engine of one machine: whatever is killed, the output has the same bytes."""

from functools import partial
from pathlib import Path

import pytest
import warm
from corpus_kills import count_files, read_outputs, run_with_kills
from corpus_tools import TEXT, Deadly, copy_model, make_lines, read_output, start_job, write_lines

from nmt.commands.corpus import main
from nmt.corpus.local import check_task, run_local
from nmt.corpus.run import DEATHS, Share, Work, describe_time
from nmt.corpus.shard import Attempt, Position
from nmt.corpus.tasks import Task
from nmt.errors import DataError, MachineError, ModelError
from nmt.translation.translator import Translator


def test_a_line_that_kills_workers_fails_and_others_do_not(tmp_path: Path) -> None:
    lines = [*make_lines(300), "once", *make_lines(20), "poison", "last"]
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", lines), shard_bytes=4000)
    run_local(ledger, Deadly(name="translate", columns=TEXT, folder=tmp_path), workers=2)
    expected = ["" if line == "poison" else line.upper() for line in lines]
    assert read_output(ledger).decode().splitlines() == expected
    (failed,) = (tmp_path / "job" / "failed").iterdir()
    assert '"reason": "workers were killed at this line", "text": "poison"' in failed.read_text(encoding="utf-8")
    assert sum(marker.failed for marker in ledger.read_done().values()) == 1
    assert list((tmp_path / "job" / "claims").iterdir()) == []


@pytest.mark.slow
def test_workers_that_are_killed_at_once_end_the_job(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", ["a"]))
    task = Deadly(name="translate", columns=TEXT, folder=tmp_path, kill="start")
    with pytest.raises(MachineError, match="was killed, perhaps because memory ran out; run the same command again"):
        run_local(ledger, task, workers=1)
    with pytest.raises(MachineError, match="the process that loads the model was killed"):
        check_task(task)
    assert list((tmp_path / "job" / "claims").iterdir()) == []


def test_a_model_that_cannot_be_used_is_found_before_the_job(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        check_task(Task(name="translate", columns=TEXT, models=(str(tmp_path / "none"),)))


def test_the_other_shards_are_done_if_a_file_vanishes(tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / name, make_lines(5)) for name in ("a", "b", "c")]
    ledger = start_job(tmp_path / "job", *paths)
    paths[1].unlink()
    task = Deadly(name="translate", columns=TEXT, folder=tmp_path)
    with pytest.raises(DataError, match=r"b: cannot be read .*; all other shards are done, and the same command"):
        run_local(ledger, task, workers=1)
    assert ledger.read_done().keys() == {0, 2}


def test_shares_do_everything_once(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", make_lines(40)), shard_bytes=100)
    seen: list[int] = []
    for index in range(3):
        work = Work(ledger, Share(index=index, count=3))
        while attempt := work.take():
            seen.append(attempt.shard.number)
    assert sorted(seen) == [shard.number for shard in ledger.job.shards]


def test_processes_without_shares_claim_shards(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", make_lines(40)), shard_bytes=100)
    first, second = Work(ledger), Work(ledger)
    taken = [work.take() for work in (first, second, first, second)]
    numbers = [attempt.shard.number for attempt in taken if attempt]
    assert len(set(numbers)) == 4
    first.end()
    second.end()
    assert list((tmp_path / "job" / "claims").iterdir()) == []


def test_a_line_fails_after_some_deaths_in_succession(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", make_lines(5)))
    shard = ledger.job.shards[0]
    work = Work(ledger)
    attempt = work.bury(shard, None)
    assert attempt == Attempt(shard=shard)
    attempt = work.bury(shard, Position(shard=0, first=0, last=5))
    assert attempt == Attempt(shard=shard, careful=(0, 5))
    for _ in range(DEATHS):
        attempt = work.bury(shard, Position(shard=0, first=2, last=3))
    assert attempt == Attempt(shard=shard, careful=(0, 5), skip=frozenset({2}))


def test_deaths_at_different_lines_are_nobodys_fault(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", make_lines(5)))
    shard = ledger.job.shards[0]
    work = Work(ledger)
    for line in (0, 1, 2, 3, 4, 0, 1, 2, 3, 4):
        attempt = work.bury(shard, Position(shard=0, first=line, last=line + 1))
        assert attempt
        assert not attempt.skip


def test_checks_are_never_divided(tmp_path: Path) -> None:
    ledger = start_job(tmp_path / "job", write_lines(tmp_path / "in", ["a\tb"]))
    shard = ledger.job.shards[0]
    work = Work(ledger, can_divide=False)
    for _ in range(DEATHS):
        assert work.bury(shard, Position(shard=0, first=0, last=1)) == Attempt(shard=shard)
    assert work.bury(shard, Position(shard=0, first=0, last=1)) is None
    with pytest.raises(DataError, match="workers were killed while they checked it"):
        work.check()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (300, "5 min"), (10_000, "2.8 h"), (3e5, "3.5 days")]
)
def test_describe_time(seconds: float, text: str) -> None:
    assert describe_time(seconds) == text


@pytest.mark.slow
def test_kills_change_no_byte(tmp_path: Path) -> None:
    """A short form of scripts/kill-corpus."""
    model = copy_model(tmp_path)
    lines = make_lines(6000)
    write_lines(tmp_path / "in" / "a.txt", lines[:2500])
    write_lines(tmp_path / "in" / "b.txt", lines[2500:])
    arguments = ["translate", str(tmp_path / "job"), "--model", str(model), "--input", str(tmp_path / "in" / "*.txt")]
    arguments += ["--shard-mib", "0.004", "--workers", "2"]
    outcome = run_with_kills(arguments, partial(count_files, tmp_path / "job" / "done"), 30, kills=9, seed=3, delay=0.1)
    assert outcome.kills.total() == 9
    assert outcome.kills.keys() == {"worker", "driver", "all"}
    expected = "".join(f"{line}\n" for line in Translator.load(model).translate(lines))
    outputs = read_outputs(tmp_path / "job" / "output")
    assert len(outputs) > 30
    assert b"".join(outputs.values()).decode() == expected
    assert not [path for path in (tmp_path / "job").rglob("*") if path.name.startswith(".nmt-draft")]
    merged = tmp_path / "merged"
    assert warm.run_command(main, "merge", str(tmp_path / "job"), str(merged)).status == 0
    assert merged.read_text(encoding="utf-8") == expected
