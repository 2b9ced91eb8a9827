"""nmt/data/store.py: stores are written, mapped into memory, and checked for damage."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.cleaning import CleaningReport
from nmt.data.pair import Pair
from nmt.data.store import PairStore, StoreWriter
from nmt.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8)
TAGS = st.lists(TEXT, max_size=2).map(tuple)
IDS = st.lists(st.integers(0, 65535), max_size=6)
ITEM = st.tuples(st.builds(Pair, TEXT, TEXT, TAGS), IDS, IDS)


Item = tuple[Pair, list[int], list[int]]


def write(
    folder: Path, chunks: list[list[Item]], sizes: tuple[int, int] = (65536, 65536), text: bool = True
) -> PairStore:
    with StoreWriter(folder, sizes=sizes, text=text) as writer:
        for chunk in chunks:
            writer.add(
                [pair for pair, _, _ in chunk], [source for _, source, _ in chunk], [target for *_, target in chunk]
            )
        writer.finish(CleaningReport(read=9, kept=3, long=6), {"made": ["from", 1]})
    return PairStore(folder)


@settings(max_examples=50)
@given(chunks=st.lists(st.lists(ITEM, max_size=4), max_size=4))
def test_round_trip(chunks: list[list[Item]], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = write(tmp_path_factory.mktemp("store"), chunks)
    items = [item for chunk in chunks for item in chunk]
    assert len(store) == len(items)
    for index, (pair, source, target) in enumerate(items):
        assert store.source(index).tolist() == source
        assert store.target(index).tolist() == target
        assert store.pair(index) == pair
    sources, targets = store.lengths(np.arange(len(store)))
    assert sources.tolist() == [len(item[1]) for item in items]
    assert targets.tolist() == [len(item[2]) for item in items]
    some = np.arange(len(items))[::-2]
    assert [lengths.tolist() for lengths in store.lengths(some)] == [
        [len(items[index][side]) for index in some] for side in (1, 2)
    ]


ITEMS = [[(Pair("a", "ä"), [1, 2], [3]), (Pair("", "b"), [], [4, 5, 6])]]


def test_description_comes_back(tmp_path: Path) -> None:
    store = write(tmp_path, ITEMS)
    assert store.report == CleaningReport(read=9, kept=3, long=6)
    assert store.fingerprint == {"made": ["from", 1]}
    assert store.has_text


def test_width_of_ids_follows_the_vocabulary(tmp_path: Path) -> None:
    large = 65536
    with StoreWriter(tmp_path, sizes=(65536, 65537), text=False) as writer:
        writer.add([Pair("a", "b")], [[large - 1]], [[large]])
        writer.finish(CleaningReport(), None)
    assert (tmp_path / "source.ids").stat().st_size == 2
    assert (tmp_path / "target.ids").stat().st_size == 4
    store = PairStore(tmp_path)
    assert (store.source(0).tolist(), store.target(0).tolist()) == ([large - 1], [large])


def test_text_is_stored_only_when_asked_for(tmp_path: Path) -> None:
    assert not write(tmp_path, ITEMS, text=False).has_text
    assert not (tmp_path / "text").exists()


def test_ids_are_memory_mapped(tmp_path: Path) -> None:
    store = write(tmp_path, ITEMS)
    ids = store.source(0)
    while ids.base is not None and not isinstance(ids, np.memmap):
        ids = ids.base
    assert isinstance(ids, np.memmap) or type(ids).__name__ == "mmap"
    assert not store.source(0).flags.writeable


@pytest.mark.parametrize("name", ["source.ids", "target.ids", "source.offsets", "target.offsets", "text", "store.json"])
def test_damage_is_noticed(name: str, tmp_path: Path) -> None:
    write(tmp_path, ITEMS)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-1])
    with pytest.raises(DataError, match="not a readable store"):
        PairStore(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="not a readable store"):
        PairStore(tmp_path)


def test_unfinished_store_is_refused(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, sizes=(10, 10), text=False) as writer:
        writer.add([Pair("a", "b")], [[1]], [[2]])
    with pytest.raises(DataError, match="not a readable store"):
        PairStore(tmp_path)
