"""Recipes for scripts/compare-weights: files of configs/, and a small network for each option that those lack."""

from collections.abc import Iterable
from dataclasses import dataclass

SETTINGS = (
    "data.train=corpus/train",
    "data.valid=corpus/valid",
    "data.held_out=corpus/test",
    "tokenizer.vocabulary_size=450",
    "training.batch_tokens=300",
    "training.warmup=5",
    "training.device=cpu",
    "training.precision=fp32",
    "training.threads=1",
    "training.shortlist=false",
    "validation.every=8",
    "validation.sentences=8",
)
"""Overrides of all training runs, so that one takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run: a file of configs/ and overrides."""

    name: str
    config: str
    overrides: tuple[str, ...] = ()


def small(name: str, *overrides: str) -> Recipe:
    sizes = ("model.embedding_size=32", "model.encoder_size=64", "model.decoder_size=64")
    return Recipe(name=name, config="quickstart.yaml", overrides=(*sizes, *overrides))


def corpora(key: str, given: Iterable[str]) -> str:
    return f"data.{key}=[{', '.join(f'{{{corpus}}}' for corpus in given)}]"


def languages(part: str) -> str:
    return corpora(part, (f"path: corpus/{part}, target_language: {language}" for language in ("de", "fr", "cs")))


START = "training.start_from=runs/small"

RECIPES = (
    Recipe(name="quickstart", config="quickstart.yaml"),
    Recipe(name="multi30k-fast", config="multi30k-fast.yaml"),
    Recipe(name="multi30k-en-de", config="multi30k-en-de.yaml"),
    Recipe(name="tanaka-en-ja", config="tanaka-en-ja.yaml"),
    Recipe(name="multi30k-many", config="multi30k-many.yaml", overrides=(languages("train"), languages("valid"))),
    Recipe(name="bahdanau", config="bahdanau.yaml"),
    Recipe(name="luong", config="luong.yaml"),
    Recipe(name="gnmt-small", config="gnmt-small.yaml"),
    Recipe(name="bideep", config="bideep.yaml"),
    Recipe(name="rnmt-small", config="rnmt-small.yaml"),
    small("small"),  # which others start from
    # the text
    small("words", "tokenizer.kind=words"),
    small("characters", "tokenizer.kind=characters"),
    small("sampling-bpe", "tokenizer.sampling=0.1"),
    small("sampling-unigram", "tokenizer.kind=unigram", "tokenizer.sampling=0.2"),
    small("tags", corpora("train", ("path: corpus/train", "path: corpus/train, tag: <bt>"))),
    small("weights", corpora("train", ("path: corpus/train, weight: 2", "path: corpus/more, weight: 1"))),
    small("temperature", corpora("train", ("path: corpus/train", "path: corpus/more")), "data.temperature=5"),
    small("streaming", corpora("train", ("path: corpus/train, streaming: true",)), "data.shuffle_buffer=50"),
    # the network
    small("gru", "model.cell=gru", "model.state_dropout=0.2", "model.encoder_transitions=2"),
    small("rnn", "model.cell=rnn", "model.decoder=conditional", "model.bridge=final"),
    small("layer-norm-lstm", "model.cell=layer_norm_lstm", "model.state_dropout=0.2"),
    small("gnmt", "model.encoder_layers=3", "model.encoder_stack=gnmt", "model.bridge=none"),
    small("alternating", "model.encoder_layers=2", "model.encoder_stack=alternating", "model.dropout=0.2"),
    small("dot", "model.attention=dot", "model.tied_embeddings=none"),
    small("multi-head", "model.attention=multi_head", "model.attention_heads=2", "model.decoder=parallel"),
    small("coverage", "model.attention=additive", "model.coverage=true"),
    small("context-gate", "model.context_gate=true"),
    small("copy", "model.output=copy"),
    small("state-dropout", "model.state_dropout=0.2"),
    # the training
    small("accumulate", "training.accumulate=2", "training.batch_sentences=10"),
    small("muon", "training.optimizer=muon"),
    small("plateau", "training.schedule=plateau", "training.plateau_patience=1", "training.ema=0"),
    small("freeze", START, "training.freeze=[embeddings, encoder]"),
    small("symbols", START, "tokenizer.symbols=[XX]"),
    small("other-vocabulary", START, "tokenizer.vocabulary_size=400"),
    small(
        "pairs",
        "data.max_length=15",
        "data.max_ratio=2",
        "tokenizer.byte_fallback=false",
        "tokenizer.vocabulary_size=250",
    ),
    small("start", "model.embedding_scale=1", "model.forget_bias=0", "training.seed=2"),
    small("adam", "training.optimizer=adam", "training.betas=[0.8, 0.99]", "training.weight_decay=0.1"),
    small("loss", "training.clip_norm=0", "training.label_smoothing=0.3"),
    small("risk", START, "training.objective=risk", "training.risk_samples=4", "training.likelihood_share=0.3"),
    small("risk-chrf", START, "training.objective=risk", "training.risk_samples=4", "training.risk_cost=chrf"),
)
