"""The keys of a corpus in `data.train`, `data.valid` and `data.held_out`. nmt/config/schema.py has all other keys."""

from dataclasses import dataclass
from typing import Annotated

from nmt.config.fields import Range


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """A parallel corpus. A corpus can also be written as a string, which is then its `path`."""

    path: str | None = None
    """The common prefix of two text files, or a file that contains both sides. The prefix `data/train` means the
    files data/train.en and data/train.de, whose extensions are the languages. A file that contains both sides ends
    in .tsv, .csv, .txt (with tabs or with `source ||| target`), .jsonl, .json, .parquet, .tmx, .xlf, .xliff or .zip.
    All files can be compressed, and then end in .gz, .zst, .xz or .bz2. A URL (s3://, hf://, https://) can be given
    instead of a path. The path can also be a pattern, as in `shards/*.tsv` or `shards/part-*`: the corpus then
    consists of all matching files. `*` matches any part of a file name, `?` a character, `[...]` one of several
    characters, and `**` any number of folders. A name that exists is not a pattern. Pairs with more than 131,072
    characters on a side are left out and counted."""
    source: str | None = None
    """The file with the source side, instead of `path`. The file may be compressed (.gz, .zst, .xz, .bz2)."""
    target: str | None = None
    """The file with the target side. Line N of this file is the translation of line N of `source`."""
    dataset: str | None = None
    """A Hugging Face dataset, instead of `path`: its name on the hub, or the path of a local folder or file."""
    name: str | None = None
    """The configuration (subset) of the dataset."""
    split: str = "train"
    """The split of the dataset. Without `streaming`, the split may be a slice such as `train[:1000]`."""
    source_column: str | int | None = None
    """The column that contains the source: a name, or a number counted from 1. This key is for datasets and for .tsv,
    .csv, .txt, .jsonl, .json and .parquet files. In files with objects, the name is a key of the objects, or of an
    object in their key `translation`. By default, the name is the source language, a variant of the language (de-AT for
    de), `source` or `src`. A table has a heading if its first row contains the names of both columns. Without a
    heading, the source is column 1."""
    target_column: str | int | None = None
    """The column that contains the target, in the same form as `source_column`. By default, the name is the target
    language, a variant of the language, `target`, `tgt` or `trg`. Without a heading, the target is column 2."""
    source_language: str | None = None
    """The source language of this corpus. The default is `data.source_language`."""
    target_language: str | None = None
    """The target language of this corpus. The default is `data.target_language`. If the training corpora have several
    target languages, `data.target_tags` must be true."""
    tag: str | None = None
    """A token that is put before each source sentence of this corpus. For example, the tag `<bt>` marks back-translated
    text (Caswell et al. 2019). A validation corpus can have a tag of the training corpora. Corpora in `held_out` have
    no tags."""
    streaming: bool = False
    """Read the pairs of this training corpus when they are needed, instead of storing all of them before training. This
    is meant for corpora that are larger than the disk. If one training corpus is streaming, all training corpora are
    read in this way. The lines of a file are then read in their order, the files of a pattern in a new random
    order in each epoch, and duplicates are found only within `shuffle_buffer`. For `valid` and `held_out`, this key is
    allowed only with `dataset`. The dataset is then read while it is downloaded, and is not stored first."""
    weight: Annotated[float | None, Range(most=1_000_000, above=0)] = None
    """The share of this corpus in the training pairs, relative to the weights of the other corpora. Either all training
    corpora have a weight, or none has. Without weights, corpora are read in proportion to their sizes. The sizes of
    streams are unknown, so streams without weights are read round-robin until each stream has ended."""
