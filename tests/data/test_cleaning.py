"""nmt/data/cleaning.py: hashes, the set of those seen, and the report."""

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.cleaning import CleaningReport, SeenHashes, contains, hash_pairs
from nmt.data.pair import Pair


@settings(deadline=None, max_examples=100)
@given(chunks=st.lists(st.lists(st.integers(0, 60)), max_size=12))
def test_seen_is_a_set_with_first_occurrences(chunks):
    seen, expected = SeenHashes(), set()
    for chunk in chunks:
        fresh = []
        for number in chunk:
            fresh.append(number not in expected)
            expected.add(number)
        assert seen.add(np.array(chunk, dtype=np.uint64)).tolist() == fresh


def test_seen_keeps_few_runs_of_eight_bytes_a_hash():
    seen = SeenHashes()
    generator = np.random.default_rng(1)
    for _ in range(200):
        seen.add(generator.integers(0, 2**63, size=100, dtype=np.uint64))
    assert len(seen._runs) < 12
    assert sum(run.nbytes for run in seen._runs) == 200 * 100 * 8


@settings(deadline=None, max_examples=50)
@given(run=st.sets(st.integers(0, 30)), hashes=st.lists(st.integers(0, 30)))
def test_contains_is_membership(run, hashes):
    found = contains(np.array(sorted(run), dtype=np.uint64), np.array(hashes, dtype=np.uint64))
    assert found.tolist() == [number in run for number in hashes]


def test_hashes_tell_the_sides_apart():
    sides = [("a b", "c"), ("a", "b c"), ("a b c", ""), ("", "a b c"), ("c", "a b"), ("a b", "c")]
    hashes = hash_pairs([Pair(*each) for each in sides]).tolist()
    assert hashes[0] == hashes[5]
    assert len(set(hashes)) == 5
    assert len(hash_pairs([])) == 0


def test_hashes_tell_tags_apart_unless_asked_not_to():
    pairs = [Pair("a", "b"), Pair("a", "b", ("<x>",)), Pair("a", "b", ("<x>", "<y>")), Pair("a", "b", ("<y>", "<x>"))]
    assert len(set(hash_pairs(pairs).tolist())) == 4
    assert set(hash_pairs(pairs, tags=False).tolist()) == {int(hash_pairs(pairs[:1])[0])}


def test_hashes_are_the_same_in_every_process():
    code = "from nmt.data.cleaning import Pair, hash_pairs; print(hash_pairs([Pair('one', 'zwölf')])[0])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) == hash_pairs([Pair("one", "zwölf")])[0]


def test_reports_add_up_and_read_well():
    report = CleaningReport(read=5, kept=2, empty=1, long=2) + CleaningReport(read=4, kept=3, duplicates=1)
    assert report == CleaningReport(read=9, kept=5, empty=1, long=2, duplicates=1)
    assert str(report) == (
        "5 of 9 pairs kept; left out: 1 with an empty side, 1 duplicates, 2 too long (data.max_length)"
    )
    assert str(CleaningReport(read=3, kept=3)) == "3 of 3 pairs kept"
