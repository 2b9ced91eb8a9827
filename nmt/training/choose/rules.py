"""The rules by which the settings of training follow from the text.

RULES is the table of settings by number of pairs. To change a rule after new measurements, change its row, and run
scripts/write-configuration-docs, which copies the table into docs/howto/train.md.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from nmt.training.choose.measure import TextMeasures


class Rule(NamedTuple):
    """The settings for texts of up to this many pairs."""

    pairs: int
    """The largest number of training pairs, after cleaning, for which this rule is meant."""
    joint: int
    """The size of the vocabulary if both sides share it."""
    apart: int
    """The size of each vocabulary if the sides have their own."""
    embedding: int
    encoder: int
    decoder: int
    dropout: float
    """The dropout rate of the embeddings and of the attentional vector."""
    batch: int
    """The tokens of an update."""
    rate: float
    epochs: int
    evidence: str
    """The text on which the rule was measured. It is an empty string if the rule lies between measured rules."""


RULES: tuple[Rule, ...] = (
    # pairs, vocabulary: joint, apart, sizes: embedding, encoder, decoder, dropout, batch, rate, epochs, measured on
    Rule(2_500, 1_000, 1_000, 256, 512, 512, 0.5, 600, 0.003, 60, ""),
    Rule(7_500, 2_000, 2_000, 256, 512, 512, 0.5, 1_200, 0.003, 30, "Spanish-Asháninka, 3,883 pairs"),
    Rule(20_000, 4_000, 4_000, 256, 512, 512, 0.5, 1_800, 0.003, 20, "Cherokee-English, 11,639 pairs"),
    Rule(40_000, 6_000, 4_000, 256, 512, 512, 0.5, 3_600, 0.003, 16, "Multi30k, 29,000 pairs"),
    Rule(100_000, 8_000, 3_500, 256, 512, 512, 0.4, 3_600, 0.003, 12, "Tanaka, 50,000 pairs"),
    Rule(400_000, 10_000, 6_000, 256, 512, 512, 0.3, 3_600, 0.003, 8, ""),
    Rule(2_000_000_000, 16_000, 12_000, 512, 1_024, 1_024, 0.2, 7_200, 0.002, 6, ""),
)
"""The rules by number of pairs. The first row whose `pairs` is large enough applies."""

SMALL = Rule(0, 0, 0, 128, 256, 128, 0.2, 900, 0.003, 0, "configs/multi30k-fast.yaml")
"""The network, the dropout and the batch for a time in which the network of the rule would make too few updates."""

COMMON: Mapping[str, Mapping[str, Any]] = {
    "tokenizer": {"kind": "unigram"},
    "model": {
        "cell": "lstm",
        "encoder_layers": 1,
        "decoder": "input_feeding",
        "decoder_layers": 1,
        "attention": "general",
        "layer_norm": True,
        "dropout": 0.0,
    },
    "training": {"schedule": "cosine", "label_smoothing": 0.1},
    "validation": {"metric": "auto", "beam": 1, "patience": 10},
}
"""The settings that do not depend on the text."""

VALIDATIONS = 24
"""The number of validations of a training."""
FEWEST_UPDATES = 600
"""With less time than for this many updates, a smaller network is trained."""
_SHARED_SCRIPT = 0.5  # the sides share a vocabulary from this share of letters in the same scripts on
_MANY_CHARACTERS = 1_000  # a side with more different characters than this is written in Chinese characters or the like
_COVERAGE = 0.9995
_BYTES_AND_SPECIAL = 260  # tokens of every vocabulary
_PIECES_PER_CHARACTER = 1.5  # a vocabulary has at least this many tokens for each different character
_AVERAGED = 0.065  # the moving average of weights spans this share of all updates
_WARMUP, _WARMUP_SHARE = 200, 0.1

Content = dict[str, dict[str, Any]]


def find_rule(pairs: int) -> Rule:
    """Return the first rule for texts of at least this many pairs."""
    return next(rule for rule in RULES if pairs <= rule.pairs)


def shrink_rule(rule: Rule) -> Rule:
    """Return the rule with the smaller network, for a short time."""
    return rule._replace(
        embedding=SMALL.embedding,
        encoder=SMALL.encoder,
        decoder=SMALL.decoder,
        dropout=min(rule.dropout, SMALL.dropout),
        batch=min(rule.batch, SMALL.batch),
        rate=SMALL.rate,
    )


def choose_settings(measures: TextMeasures, rule: Rule, given: Mapping[str, Mapping[str, Any]]) -> Content:
    """Choose all settings that do not depend on the number of updates. `plan_length` chooses the others.

    Args:
        measures: the measures of the training text.
        rule: the rule for its number of pairs.
        given: the settings that the user has chosen. The other settings are chosen to fit them.

    Returns:
        A configuration without its section `data`. The settings in `given` are not part of it.
    """
    content = {section: dict(keys) for section, keys in COMMON.items()}
    tokenizer, model, training = content["tokenizer"], content["model"], content["training"]
    joint = given.get("tokenizer", {}).get("joint", shares_vocabulary(measures))
    subwords = given.get("tokenizer", {}).get("kind", "unigram") in ("unigram", "bpe")
    tokenizer["joint"] = joint
    coverage = 1.0
    if subwords and max(side.count_characters() for side in measures.sides) > _MANY_CHARACTERS:
        tokenizer["character_coverage"] = coverage = _COVERAGE
    characters = [side.count_characters(coverage) for side in measures.sides]
    fewest = (sum(characters) if joint else max(characters)) * _PIECES_PER_CHARACTER + _BYTES_AND_SPECIAL
    tokenizer["vocabulary_size"] = max(rule.joint if joint else rule.apart, round(fewest))
    model["tied_embeddings"] = "three_way" if joint else "two_way"
    model["embedding_size"] = rule.embedding
    model["encoder_size"], model["decoder_size"] = rule.encoder, rule.decoder
    model["embedding_dropout"] = model["output_dropout"] = rule.dropout
    training["epochs"], training["batch_tokens"], training["learning_rate"] = rule.epochs, rule.batch, rule.rate
    return content


def shares_vocabulary(measures: TextMeasures) -> bool:
    """Return whether both sides should share a vocabulary. Otherwise, each side has its own."""
    return measures.shared_script >= _SHARED_SCRIPT


def plan_length(updates: int, validations: int) -> Content:
    """Choose the settings that depend on the number of updates and of validations of the whole training."""
    average = 1 - 1 / max(1.0, _AVERAGED * updates)
    return {
        "training": {
            "warmup": min(_WARMUP, round(_WARMUP_SHARE * updates)),
            "ema": round(min(average, 0.9995), 4),
        },
        "validation": {"every": max(1, -(-updates // validations))},
    }
