"""Claims of shards: alive, released, and dead, on this machine and on others."""

import json
import multiprocessing
import os
from pathlib import Path

from nmt.corpus.claims import LEASE, RENEWAL, Claims
from nmt.corpus.folders import open_folder
from nmt.corpus.owners import has_ended, name_owner


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def claims(folder: Path, clock: Clock) -> Claims:
    return Claims(open_folder(str(folder)), clock)


def write_claim(folder: Path, owner: str, renewals: int = 0) -> None:
    (folder / "claims").mkdir(exist_ok=True)
    (folder / "claims" / "000003").write_text(json.dumps({"owner": owner, "renewals": renewals}))


def test_a_claim_keeps_others_away_until_it_is_released(tmp_path: Path) -> None:
    clock = Clock()
    first, second = claims(tmp_path, clock), claims(tmp_path, clock)
    assert first.take(3)
    assert not second.take(3)
    assert second.take(4)
    first.release(3)
    assert second.take(3)
    second.release_all()
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_claim_of_another_machine_is_void_when_it_is_not_renewed(tmp_path: Path) -> None:
    clock = Clock()
    own = claims(tmp_path, clock)
    write_claim(tmp_path, "elsewhere@1@1")
    assert not own.take(3)
    clock.now += LEASE - 1
    write_claim(tmp_path, "elsewhere@1@1", renewals=1)
    assert not own.take(3)
    clock.now += LEASE - 1
    assert not own.take(3)
    clock.now += 1
    assert own.take(3)
    assert json.loads((tmp_path / "claims" / "000003").read_bytes())["owner"] == name_owner()


def test_a_damaged_claim_is_void_after_a_while(tmp_path: Path) -> None:
    clock = Clock()
    own = claims(tmp_path, clock)
    write_claim(tmp_path, "x")
    (tmp_path / "claims" / "000003").write_bytes(b"")
    assert not own.take(3)
    clock.now += LEASE
    assert own.take(3)


def test_claims_are_renewed(tmp_path: Path) -> None:
    clock = Clock()
    own = claims(tmp_path, clock)
    own.take(3)
    before = (tmp_path / "claims" / "000003").read_bytes()
    clock.now += RENEWAL - 1
    own.renew()
    assert (tmp_path / "claims" / "000003").read_bytes() == before
    clock.now += 1
    own.renew()
    assert (tmp_path / "claims" / "000003").read_bytes() != before


def _name(names: "multiprocessing.SimpleQueue[str]") -> None:
    names.put(name_owner())


def test_the_claim_of_a_dead_process_of_this_machine_is_void_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = context.SimpleQueue()
    process = context.Process(target=_name, args=(names,))
    process.start()
    dead = names.get()
    process.join()
    assert has_ended(dead)
    write_claim(tmp_path, dead)
    assert claims(tmp_path, Clock()).take(3)


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    node, pid, start = name_owner().rsplit("@", 2)
    assert int(pid) == os.getpid()
    assert not has_ended(f"{node}@{pid}@{start}")
    assert has_ended(f"{node}@{pid}@{int(start) + 1}") == (start != "0")
    assert not has_ended(f"other@{pid}@1")
    for damaged in ("", "x", f"{node}@x@1", f"{node}@{10**30}@1"):
        assert not has_ended(damaged)
