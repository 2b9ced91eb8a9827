"""The cut of a text into training text, a validation set and a test set."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.load import parse_config
from nmt.config.schema import DataConfig
from nmt.errors import DataError
from nmt.training.choose.held_out import choose_rows, choose_size, cut_text, label_families

PAIRS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=60)


def group_families(pairs: list[tuple[int, int]]) -> set[frozenset[int]]:
    """Find the families by walking from pair to pair."""
    neighbors = defaultdict(set)
    for index, (source, target) in enumerate(pairs):
        neighbors["source", source].add(index)
        neighbors["target", target].add(index)
    families, left = set(), set(range(len(pairs)))
    while left:
        family, new = set[int](), {left.pop()}
        while new:
            index = new.pop()
            family.add(index)
            source, target = pairs[index]
            new |= (neighbors["source", source] | neighbors["target", target]) - family
        families.add(frozenset(family))
        left -= family
    return families


def as_keys(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


@given(PAIRS)
def test_families_are_connected_components(pairs: list[tuple[int, int]]) -> None:
    labels = label_families(as_keys([pair[0] for pair in pairs]), as_keys([pair[1] for pair in pairs])).tolist()
    found = defaultdict(set)
    for index, label in enumerate(labels):
        found[label].add(index)
    assert {frozenset(family) for family in found.values()} == group_families(pairs)


@given(PAIRS, st.integers(1, 8))
@settings(deadline=None)
def test_a_family_is_never_divided(pairs: list[tuple[int, int]], size: int) -> None:
    sources, targets = as_keys([pair[0] for pair in pairs]), as_keys([pair[1] for pair in pairs])
    parts = [set(rows.tolist()) for rows in choose_rows(sources, targets, [size, size])]
    assert not parts[0] & parts[1]
    families = group_families(pairs)
    if sum(len(family) for family in families if len(family) <= 2) >= size:  # otherwise, the text repeats too much
        for family in families:
            assert all(family <= part or not family & part for part in parts)
            assert len(family) <= 2 or not any(family & part for part in parts)
    assert all(len(part) <= size + 1 for part in parts)


def test_the_cut_does_not_depend_on_the_order_of_the_pairs() -> None:
    generator = np.random.default_rng(1)
    sources, targets = generator.integers(1, 2**62, size=(2, 500)).astype(np.uint64)
    order = generator.permutation(500)
    parts = choose_rows(sources, targets, [40, 30])
    shuffled = choose_rows(sources[order], targets[order], [40, 30])
    assert [len(part) for part in parts] == [40, 30]
    for part, other in zip(parts, shuffled, strict=True):
        assert sources[part].tolist() == sources[order][other].tolist()


def test_the_cut_does_not_depend_on_the_direction() -> None:
    sources, targets = np.random.default_rng(1).integers(1, 2**62, size=(2, 500)).astype(np.uint64)
    sources[:5] = targets[:5]
    forth, back = choose_rows(sources, targets, [40, 30]), choose_rows(targets, sources, [40, 30])
    assert [part.tolist() for part in forth] == [part.tolist() for part in back]


@pytest.mark.parametrize(
    ("pairs", "size"), [(100, 10), (1_000, 100), (3_883, 200), (11_639, 349), (29_000, 870), (215_027, 2_000)]
)
def test_sizes(pairs: int, size: int) -> None:
    assert choose_size(pairs) == size


def write_text(path: Path, pairs: list[tuple[str, str]]) -> DataConfig:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    data = {"source_language": "chr", "target_language": "en", "train": str(path)}
    return parse_config({"data": data}).data


def read(folder: Path, name: str) -> list[tuple[str, str]]:
    sides = [(folder / f"{name}.{language}").read_text("utf-8").splitlines() for language in ("chr", "en")]
    return list(zip(*sides, strict=True))


def test_every_pair_is_in_one_file(tmp_path: Path) -> None:
    pairs = [(f"Wort {number}", f"word {number}") for number in range(300)]
    data = write_text(tmp_path / "text.tsv", [("", "nothing"), *pairs, ("bad \ufffd", "bytes")])
    cut = cut_text(data, tmp_path / "data", ["valid", "test"])
    sets = {name: read(tmp_path / "data", name) for name in ("train", "valid", "test")}
    assert {name: len(each) for name, each in sets.items()} == cut.sizes == {"train": 240, "valid": 30, "test": 30}
    assert sorted([*sets["train"], *sets["valid"], *sets["test"]]) == sorted(pairs)
    assert sets["train"] == [pair for pair in pairs if pair in set(sets["train"])]  # in the order of the text
    assert (cut.report.read, cut.report.kept, cut.report.empty, cut.report.unreadable) == (302, 300, 1, 1)


def test_near_duplicates_stay_together(tmp_path: Path) -> None:
    pairs = [(f"Das Haus Nr. {number}", f"The house no. {number}") for number in range(200)]
    pairs += [(f"das haus, nr. {number}!", f"the HOUSE: no. {number}") for number in range(200)]  # on both sides
    pairs += [(f"Ein Hund {number}", f"A dog {number}") for number in range(200)]
    pairs += [(f"ein Hund - {number}", f"One dog, {number}") for number in range(200)]  # only the source
    pairs += [("...", "!!!"), ("???", "!!!")]  # without letters
    cut_text(write_text(tmp_path / "text.tsv", pairs), tmp_path / "data", ["valid", "test"])
    sets = [read(tmp_path / "data", name) for name in ("train", "valid", "test")]
    letters = [
        {"".join(filter(str.isalnum, side.lower())) for pair in each for side in pair if any(map(str.isalnum, side))}
        for each in sets
    ]
    assert len(sets[1]) == len(sets[2]) == 80
    assert not letters[0] & letters[1]
    assert not letters[0] & letters[2]
    assert not letters[1] & letters[2]


def test_a_set_has_no_pair_twice(tmp_path: Path) -> None:
    pairs = [(f"Wort {number}", f"word {number}") for number in range(150)] * 2
    cut_text(write_text(tmp_path / "text.tsv", pairs), tmp_path / "data", ["test"])
    test = read(tmp_path / "data", "test")
    assert len(test) == len(set(test)) == 15
    assert not (tmp_path / "data" / "valid.en").exists()


def test_text_in_which_every_sentence_is_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [(f"Wort {number}", f"word {number % 20}") for number in range(400)]
    cut = cut_text(write_text(tmp_path / "text.tsv", pairs), tmp_path / "data", ["valid", "test"])
    assert cut.sizes == {"train": 320, "valid": 40, "test": 40}
    assert "most sentences of the text belong to several pairs" in caplog.text


def test_short_text_is_refused(tmp_path: Path) -> None:
    data = write_text(tmp_path / "text.tsv", [(f"Wort {number}", f"word {number}") for number in range(99)])
    with pytest.raises(
        DataError, match=r"too short to cut off validation and test sets .99 of 99 pairs kept.; give at"
    ):
        cut_text(data, tmp_path / "data", ["valid", "test"])
    assert not (tmp_path / "data").exists()
