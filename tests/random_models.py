"""Model folders with networks of random weights, and with tokenizers of any kind."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch

from nmt.checkpoint.folder import save_model, save_shortlist, unique_weights
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.tokenizers.build import train_tokenizers

ENGLISH = ["A red cat sees the green house.", "Two dogs run, and one dog stands still!", "The blue house is THE house."]
ODD_LINES = [
    *ENGLISH,
    "",
    "   ",
    "two  DOGS RUN",
    "A RED CAT SEES THE HOUSE.",
    "a red cat. A dog! Ünïcödé 字?",
    "1234 …",
    "你好世界",
    "A ﬁne cat\u00a0sees \u200ba dog too",
    "cat " * 9,
]
"""Lines in which blanks, case, sentences, unknown characters and length differ from ordinary text."""
GERMAN = ["Eine rote Katze sieht das grüne Haus.", "Zwei Hunde rennen, einer steht still!", "Das blaue Haus."]


def save_network(
    folder: Path,
    settings: dict[str, Any],
    tokenizer: dict[str, Any],
    *,
    tags: bool = False,
    language: str = "de",
    targets: Sequence[str] = GERMAN,
) -> Path:
    """Save a network with random weights, which are larger than initial ones, so that few scores are nearly equal.

    `language` is the target language, and `targets` are the lines from which its tokens are learned.
    """
    config = tiny.config(tiny.write_corpus(folder))
    tied = {} if tokenizer.get("joint", True) else {"tied_embeddings": "two_way"}
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **{**tied, **settings}),
        tokenizer=dataclasses.replace(config.tokenizer, **tokenizer),
        data=dataclasses.replace(config.data, target_tags=tags, several_sentences=0.0, target_language=language),
    )
    pairs = list(zip(ENGLISH * 5, list(targets) * 5, strict=True))
    tokenizers = train_tokenizers(config.tokenizer, pairs, config.data.tags)
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    network = Seq2Seq(config.model, **sizes, generator=torch.Generator().manual_seed(1))
    weights = {name: weight * 2 for name, weight in unique_weights(network).items()}
    save_model(folder / "model", weights, tokenizers, config)
    best = np.random.default_rng(1).integers(4, tokenizers.target.size - tags, (tokenizers.source.size, 3))
    frequent = np.arange(4, tokenizers.target.size - tags, 5)
    save_shortlist(folder / "model", Shortlist(target_size=tokenizers.target.size, frequent=frequent, best=best))
    return folder / "model"
