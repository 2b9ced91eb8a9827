"""nmt/data/batching.py and updates.py: each pair once, within the limits, shares by weight, reproducible by seed."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.data.batch import Batch
from nmt.data.batching import Batches, make_text_batches
from nmt.data.cleaning import CleaningReport
from nmt.data.cursor import Cursor, Update, UpdateSize, World
from nmt.data.pair import Pair, encode_pairs
from nmt.data.store import PairStore, StoreWriter
from nmt.data.updates import CORPUS, MIX, SAMPLING, UPDATES, UpdateOptions, make_generator, split_groups
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.types import EOS, PAD

WORDS = train_tokenizers(TokenizerConfig(kind="words"), [("a b", "c d")])


def store(folder: Path, lengths: list[tuple[int, int]], begin: int = 0) -> PairStore:
    """A store whose pair i has lengths[i] pieces, all of them 4 + begin + i, so that it can be told from the others."""
    folder.mkdir()
    with StoreWriter(folder, sizes=(1 << 20, 1 << 20), text=False) as writer:
        sources = [[4 + begin + index] * length for index, (length, _) in enumerate(lengths)]
        targets = [[4 + begin + index] * length for index, (_, length) in enumerate(lengths)]
        writer.add([Pair("", "")] * len(lengths), sources, targets)
        writer.finish(CleaningReport(), None)
    return PairStore(folder)


def batches(
    stores: list[PairStore],
    weights: Sequence[float] | None = None,
    *,
    tokens: int = 40,
    sentences: int | None = None,
    **changes: Any,
) -> Batches:
    options = UpdateOptions(
        size=UpdateSize(tokens=tokens, sentences=sentences), **{"sampling": False, "seed": 1, **changes}
    )
    return Batches(stores, tokenizers=WORDS, weights=weights, options=options)


def epoch_of(plan: Batches, epoch: int) -> list[Batch]:
    """The batches of an epoch; an update is one batch."""
    updates = [plan.update(epoch, number) for number in range(plan.count(epoch))]
    return [batch for update in updates for batch in update.batches]


def pairs_of(batch: Batch) -> list[int]:
    """Return the pairs of a batch, after a check of its shape and padding."""
    for ids, lengths in ((batch.source, batch.source_lengths), (batch.target, batch.target_lengths)):
        assert ids.dtype == lengths.dtype == torch.int64
        assert ids.size(1) == lengths.max()
        for row, length in zip(ids, lengths, strict=True):
            assert row[length - 1] == EOS
            assert (row[length:] == PAD).all()
            assert len(set(row[: length - 1].tolist())) == 1
    assert (batch.source[:, 0] == batch.target[:, 0]).all()
    return [int(first) - 4 for first in batch.source[:, 0]]


def content(epoch: list[Batch]) -> list[list[list[int]]]:
    return [[batch.source.tolist(), batch.target.tolist()] for batch in epoch]


LENGTHS = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=60)


@settings(max_examples=50)
@given(lengths=LENGTHS, tokens=st.integers(1, 60), sentences=st.none() | st.integers(1, 5), split=st.integers(0, 60))
def test_each_pair_once_an_epoch_within_the_limits(
    lengths: list[tuple[int, int]],
    tokens: int,
    sentences: int | None,
    split: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    parts = [(0, lengths[:split]), (split, lengths[split:])]
    stores = [store(folder / str(begin), part, begin) for begin, part in parts if part]
    plan = batches(stores, tokens=tokens, sentences=sentences)
    for epoch in range(2):
        made = epoch_of(plan, epoch)
        assert len(made) == plan.count(epoch)
        assert sorted(pair for batch in made for pair in pairs_of(batch)) == list(range(len(lengths)))
        for batch in made:
            longest = max(batch.source.size(1), batch.target.size(1))
            assert batch.sentences == 1 or batch.sentences * longest <= tokens
            assert batch.sentences <= (sentences or len(lengths))


def many(folder: Path, count: int = 300) -> PairStore:
    generator = np.random.default_rng(3)
    return store(folder / f"many{count}", [tuple(pair) for pair in generator.integers(1, 15, size=(count, 2)).tolist()])


def test_updates_are_a_pure_function_of_seed_and_place(tmp_path: Path) -> None:
    one = many(tmp_path)
    plan = batches([one])
    count = plan.count(0)
    made = list(islice(plan.updates(Cursor()), 2 * count + 5))
    places = [Cursor(), *(update.after for update in made)]
    assert places[count] == Cursor(epoch=1)
    assert places[2 * count + 1] == Cursor(epoch=2, update=1)
    for index in (0, 1, count - 1, count, count + 7, 2 * count):
        again = list(islice(batches([one]).updates(places[index]), 4))
        assert [same(update) for update in again] == [same(update) for update in made[index : index + 4]]


def same(update: Update) -> object:
    """Convert an update to lists, which can be compared."""
    parts = [(part.source.tolist(), part.target.tolist(), part.first, part.update_sentences) for part in update.batches]
    return parts, update.after, update.progress


def test_progress_is_in_epochs(tmp_path: Path) -> None:
    plan = batches([many(tmp_path)])
    progress: list[Any] = [update.progress for update in islice(plan.updates(Cursor()), plan.count(0) + 1)]
    assert all(before < after for before, after in pairwise(progress))
    assert progress[-2] == 1.0
    assert 1.0 < progress[-1] < 1.1


@settings(max_examples=50)
@given(lengths=LENGTHS, tokens=st.integers(1, 60), sentences=st.none() | st.integers(1, 9), data=st.data())
def test_an_update_is_the_same_however_it_is_cut(
    lengths: list[tuple[int, int]],
    tokens: int,
    sentences: int | None,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    one = store(tmp_path_factory.mktemp("stores") / "s", lengths)
    size = data.draw(st.integers(1, 4), "processes")
    shares = data.draw(st.integers(1, 4), "shares")
    options: dict[str, Any] = {"tokens": tokens, "sentences": sentences}
    plan = batches([one], **options)
    ranks = [
        batches([one], **options, shares_per_process=shares, world=World(rank=rank, size=size)) for rank in range(size)
    ]
    for number in range(plan.count(0)):
        whole, parts = plan.update(0, number), [rank.update(0, number) for rank in ranks]
        assert all((part.after, part.progress) == (whole.after, whole.progress) for part in parts)
        made = [batch for part in parts for batch in part.batches]
        assert [pair for batch in made for pair in pairs_of(batch)] == pairs_of(whole.batches[0])
        first = 0
        for batch in made:
            assert (batch.first, batch.update_sentences) == (first, whole.batches[0].sentences)
            first += batch.sentences
        sizes = [batch.sentences for batch in made]
        assert max(sizes) - min(sizes) <= 1
        assert all(len(part.batches) <= shares for part in parts)
        assert len(made) == min(size * shares, first)


def test_seeds_of_different_purposes_differ() -> None:
    purposes = [(1, CORPUS, 0), (1, MIX, 0), (1, UPDATES, 0), (1, SAMPLING, 0), (2, CORPUS, 0), (1, CORPUS, 1)]
    assert len({make_generator(*purpose).integers(1 << 60) for purpose in purposes}) == len(purposes)


def test_no_batches_where_there_are_more_processes_than_pairs(tmp_path: Path) -> None:
    one = store(tmp_path / "s", [(2, 2)])
    counts = [len(batches([one], world=World(rank=rank, size=3)).update(0, 0).batches) for rank in range(3)]
    assert sorted(counts) == [0, 0, 1]


def test_epochs_and_seeds_differ(tmp_path: Path) -> None:
    one = many(tmp_path)
    orders = [
        [pairs_of(batch) for batch in epoch_of(batches([one], seed=seed), epoch)]
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    members = [{frozenset(batch) for batch in order} for order in orders]
    assert len(members[0] & members[1]) < len(members[0]) / 2  # other batches, not the same in another order


def test_indices_outside_the_epoch(tmp_path: Path) -> None:
    plan = batches([many(tmp_path)])
    for index in (-1, plan.count(0)):
        with pytest.raises(IndexError):
            plan.update(0, index)


def test_little_padding_and_random_order_of_lengths(tmp_path: Path) -> None:
    made = epoch_of(batches([many(tmp_path, 3000)], tokens=150), 0)
    padded = sum(batch.target.numel() for batch in made)
    real = sum(batch.target_tokens for batch in made)
    assert padded / real < 1.05
    lengths = [batch.target.size(1) for batch in made]
    assert lengths != sorted(lengths)


def test_pair_over_the_budget_is_a_batch_of_its_own(tmp_path: Path) -> None:
    plan = batches([store(tmp_path / "s", [(50, 3), (2, 2), (3, 60), (2, 2)])], tokens=10)
    assert sorted(sorted(pairs_of(batch)) for batch in epoch_of(plan, 0)) == [[0], [1, 3], [2]]


def test_budget_counts_the_end_of_sentence(tmp_path: Path) -> None:
    four = store(tmp_path / "s", [(4, 4)] * 4)
    assert batches([four], tokens=20).count(0) == 1
    assert batches([four], tokens=19).count(0) == 2
    assert batches([four], tokens=20, sentences=3).count(0) == 2


@given(longest=st.lists(st.integers(1, 9), min_size=1, max_size=30), tokens=st.integers(1, 40), most=st.integers(1, 6))
def test_groups_are_greedy(longest: list[int], tokens: int, most: int) -> None:
    borders = [0]
    for index in range(1, len(longest) + 1):
        part = longest[borders[-1] : index]
        if len(part) > 1 and (len(part) * max(part) > tokens or len(part) > most):
            borders.append(index - 1)
    assert split_groups(np.array(longest), tokens, most).tolist() == [*borders, len(longest)]


class TestWeights:
    def test_shares(self, tmp_path: Path) -> None:
        stores = [store(tmp_path / "a", [(2, 2)] * 90), store(tmp_path / "b", [(2, 2)] * 10, 90)]
        for weights, shares in (((1.0, 1.0), (50, 50)), ((1.0, 3.0), (25, 75)), ((8.0, 2.0), (80, 20))):
            made = [pair for batch in epoch_of(batches(stores, weights=weights), 0) for pair in pairs_of(batch)]
            assert (sum(pair < 90 for pair in made), sum(pair >= 90 for pair in made)) == shares

    def test_sizes_as_weights_are_each_pair_once(self, tmp_path: Path) -> None:
        stores = [store(tmp_path / "a", [(2, 2)] * 9), store(tmp_path / "b", [(2, 2)] * 3, 9)]
        made = [pair for batch in epoch_of(batches(stores, weights=(9, 3)), 4) for pair in pairs_of(batch)]
        assert sorted(made) == list(range(12))

    def test_tiny_weight_still_gives_a_pair(self, tmp_path: Path) -> None:
        stores = [store(tmp_path / "a", [(2, 2)] * 9), store(tmp_path / "b", [(2, 2)] * 3, 9)]
        made = [pair for batch in epoch_of(batches(stores, weights=(1000, 1)), 0) for pair in pairs_of(batch)]
        assert sum(pair >= 9 for pair in made) == 1

    @settings(max_examples=30)
    @given(
        sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)), weights=st.tuples(st.integers(1, 9), st.integers(1, 9))
    )
    def test_no_pair_is_ever_more_than_one_turn_ahead(
        self, sizes: tuple[int, int], weights: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("stores")
        begins = (0, sizes[0])
        stores = [store(folder / str(i), [(2, 2)] * sizes[i], begins[i]) for i in range(2)]
        plan = batches(stores, weights=weights)
        seen = Counter(dict.fromkeys(range(sum(sizes)), 0))
        for epoch in range(5):
            seen.update(pair for batch in epoch_of(plan, epoch) for pair in pairs_of(batch))
            for begin, size in zip(begins, sizes, strict=True):
                turns = [seen[pair] for pair in range(begin, begin + size)]
                assert max(turns) - min(turns) <= 1


def test_corpora_are_mixed_within_batches(tmp_path: Path) -> None:
    stores = [store(tmp_path / "a", [(2, 2)] * 100), store(tmp_path / "b", [(2, 2)] * 100, 100)]
    for batch in epoch_of(batches(stores, tokens=120), 0):
        pairs = pairs_of(batch)
        assert 0 < sum(pair < 100 for pair in pairs) < len(pairs)


class TestSampling:
    LINES = [(f"la lu li {word}", f"ba bu bi {word}") for word in ("lala", "bubu", "libu", "bala", "lubi", "bilu")] * 4

    @pytest.fixture
    def tokenizers(self) -> Tokenizers:
        return train_tokenizers(TokenizerConfig(kind="bpe", vocabulary_size=275, sampling=0.3), self.LINES)

    @pytest.fixture
    def stored(self, tokenizers: Tokenizers, tmp_path: Path) -> PairStore:
        return self.stored_in(tmp_path, tokenizers)

    def stored_in(self, tmp_path: Path, tokenizers: Tokenizers) -> PairStore:
        with StoreWriter(tmp_path, sizes=(275, 275), text=True) as writer:
            pairs = [Pair(*sides) for sides in self.LINES]
            writer.add(pairs, *encode_pairs(pairs, tokenizers))
            writer.finish(CleaningReport(), None)
        return PairStore(tmp_path)

    def made(
        self,
        stored: PairStore,
        tokenizers: Tokenizers,
        *,
        tokens: int = 100,
        sentences: int | None = None,
        **changes: Any,
    ) -> Batches:
        size = UpdateSize(tokens=tokens, sentences=sentences)
        options = UpdateOptions(size=size, **{"sampling": True, "seed": 1, **changes})
        return Batches([stored], tokenizers=tokenizers, weights=None, options=options)

    def test_text_is_the_same_and_pieces_are_not(self, stored: PairStore, tokenizers: Tokenizers) -> None:
        plain = epoch_of(self.made(stored, tokenizers, sampling=False), 0)
        sampled = epoch_of(self.made(stored, tokenizers), 0)
        assert [self.text(batch, tokenizers) for batch in plain] == [self.text(batch, tokenizers) for batch in sampled]
        assert content(plain) != content(sampled)

    @staticmethod
    def text(batch: Batch, tokenizers: Tokenizers) -> list[tuple[str, str]]:
        return [
            (tokenizers.source.decode(source.tolist()), tokenizers.target.decode(target.tolist()))
            for source, target in zip(batch.source, batch.target, strict=True)
        ]

    def test_samples_depend_on_epoch_and_seed_only(self, stored: PairStore, tokenizers: Tokenizers) -> None:
        expected = content(epoch_of(self.made(stored, tokenizers), 1))
        again = self.made(stored, tokenizers)
        epoch_of(again, 0)
        assert content(epoch_of(again, 1)) == expected
        assert content(list(again.update(1, 1).batches)) == expected[1:2]
        assert content(epoch_of(again, 2)) != expected

    def test_samples_change_with_the_update(self, tokenizers: Tokenizers, tmp_path: Path) -> None:
        (tmp_path / "s").mkdir()
        pairs = [Pair("la lu li lala bubu libu bala", "ba bu bi lubi bilu bala")] * 6
        with StoreWriter(tmp_path / "s", sizes=(275, 275), text=True) as writer:
            writer.add(pairs, *encode_pairs(pairs, tokenizers))
            writer.finish(CleaningReport(), None)
        made = self.made(PairStore(tmp_path / "s"), tokenizers, sentences=1)
        assert len({str(batch.source.tolist()) for batch in epoch_of(made, 0)}) > 1

    def test_both_sides_of_a_pair_are_sampled_independently(self, tmp_path: Path) -> None:
        line = "la lu li lala bubu libu bala lubi bilu"
        tokenizers = train_tokenizers(
            TokenizerConfig(kind="bpe", vocabulary_size=275, sampling=0.5), [(line, line), *self.LINES]
        )
        pairs = [Pair(line, line)] * 8
        with StoreWriter(tmp_path, sizes=(275, 275), text=True) as writer:
            writer.add(pairs, *encode_pairs(pairs, tokenizers))
            writer.finish(CleaningReport(), None)
        (batch,) = self.made(PairStore(tmp_path), tokenizers, tokens=10_000).update(0, 0).batches
        assert all(source != target for source, target in rows(batch))

    def test_tags_come_before_sampled_sources(self, tmp_path: Path) -> None:
        tokenizers = train_tokenizers(
            TokenizerConfig(kind="bpe", vocabulary_size=275, sampling=0.5), self.LINES, ["<a>", "<b>"]
        )
        pairs = [Pair(source, target, ("<b>", "<a>")) for source, target in self.LINES]
        with StoreWriter(tmp_path, sizes=(277, 277), text=True) as writer:
            writer.add(pairs, *encode_pairs(pairs, tokenizers))
            writer.finish(CleaningReport(), None)
        for batch in epoch_of(self.made(PairStore(tmp_path), tokenizers), 0):
            assert batch.source[:, :2].tolist() == [[276, 275]] * batch.sentences
            assert batch.target.max() < 275

    @pytest.mark.parametrize("kind", ["unigram", "bpe"])
    def test_samples_are_the_same_however_an_update_is_cut(
        self, kind: Literal["unigram", "bpe"], tmp_path: Path
    ) -> None:
        tokenizers = train_tokenizers(TokenizerConfig(kind=kind, vocabulary_size=275, sampling=0.3), self.LINES)
        stored = self.stored_in(tmp_path, tokenizers)
        whole = epoch_of(self.made(stored, tokenizers, tokens=200), 0)
        expected = [text for batch in whole for text in rows(batch)]
        for size, shares in ((1, 2), (2, 1), (3, 2)):
            options: dict[str, Any] = {"tokens": 200, "shares_per_process": shares}
            ranks = [
                self.made(stored, tokenizers, **options, world=World(rank=rank, size=size)) for rank in range(size)
            ]
            updates = [rank.update(0, number) for number in range(ranks[0].count(0)) for rank in ranks]
            assert [text for update in updates for batch in update.batches for text in rows(batch)] == expected

    def test_a_process_samples_its_own_share_only(
        self, stored: PairStore, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []
        sample = type(tokenizers.source).sample

        def record(self: Tokenizer, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
            seen.extend(texts)
            return sample(self, texts, seeds)

        monkeypatch.setattr(type(tokenizers.source), "sample", record)
        update = self.made(stored, tokenizers, tokens=200, world=World(rank=1, size=2)).update(0, 0)
        assert len(seen) == 2 * update.batches[0].sentences


def rows(batch: Batch) -> list[tuple[list[int], list[int]]]:
    """The pairs of a batch without padding."""
    sides = zip(batch.source, batch.source_lengths, batch.target, batch.target_lengths, strict=True)
    return [(source[:long].tolist(), target[:length].tolist()) for source, long, target, length in sides]


def test_planning_thirty_thousand_pairs_is_fast(tmp_path: Path) -> None:
    plan = batches([many(tmp_path, 30_000)], tokens=1024)
    begin = time.process_time()
    plan.count(0)
    assert time.process_time() - begin < 0.5  # 0.01 s on an idle machine


class TestTextBatches:
    def test_keeps_every_pair(self) -> None:
        sides = [("a b", "c"), ("", ""), ("a", ""), ("", "d c"), ("b " * 9, "c")] * 3
        pairs = [Pair(*each) for each in sides]
        made = list(make_text_batches(pairs, WORDS, 12))
        decoded = [
            (WORDS.source.decode(source.tolist()), WORDS.target.decode(target.tolist()))
            for batch in made
            for source, target in zip(batch.source, batch.target, strict=True)
        ]
        assert Counter(decoded) == Counter((source.strip(), target) for source, target in sides)
        for batch in made:
            assert batch.sentences == 1 or batch.sentences * max(batch.source.size(1), batch.target.size(1)) <= 12
        assert [batch.target.size(1) for batch in made] == sorted(batch.target.size(1) for batch in made)

    def test_empty_sides_are_the_end_of_sentence_alone(self) -> None:
        (batch,) = make_text_batches([Pair("", "")], WORDS, 10)
        assert batch.source.tolist() == batch.target.tolist() == [[EOS]]
        assert batch.source_lengths.tolist() == [1]

    def test_no_pairs_are_no_batches(self) -> None:
        assert list(make_text_batches([], WORDS, 10)) == []

    def test_budget_changes_the_batches(self) -> None:
        pairs = [Pair("a b", "c")] * 10
        assert len(list(make_text_batches(pairs, WORDS, 30))) == 1
        assert len(list(make_text_batches(pairs, WORDS, 15))) == 2


@pytest.mark.parametrize("tokens", [20, 160])
def test_a_place_among_updates_of_another_size(tokens: int, tmp_path: Path) -> None:
    one = many(tmp_path)
    before, after = (batches([one], tokens=size) for size in (40, tokens))
    place = Cursor(epoch=2, update=before.count(2) // 3)
    converted = after.convert(place, place.update / before.count(2))
    assert converted.epoch == 2
    assert converted.update / after.count(2) == pytest.approx(place.update / before.count(2), abs=1 / after.count(2))
    assert after.convert(place, 0.999).update == after.count(2) - 1
