"""Fine-tuning. A network and its vocabularies are initialized from another model, and parts of it can be frozen."""

import dataclasses
import logging
from collections.abc import Iterable

import torch
from torch import nn

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.folder import Model, unique_weights
from nmt.checkpoint.run_folder import find_model_folder
from nmt.config.schema import ModelConfig, TokenizerConfig
from nmt.errors import ConfigError
from nmt.model.seq2seq import Seq2Seq
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.tokenizers.build import add_symbols
from nmt.tokenizers.files import load_tokenizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.types import EOS

logger = logging.getLogger(__name__)

# The weights that have one row per token, and the side of these tokens.
_TOKEN_WEIGHTS = {
    "source_embedding.weight": "source",
    "target_embedding.weight": "target",
    "output.weight": "target",
    "output.bias": "target",
}


def reuse_tokenizers(config: TokenizerConfig, start: Model) -> Tokenizers | None:
    """Return the tokenizers of a model, with the new symbols of the configuration.

    Return None if the configuration of the tokenizer differs in more than new symbols, `sampling`, `normalization` and
    `truecase`.

    Raises:
        ConfigError: a new symbol is not allowed.
    """
    before = start.config.tokenizer
    new = tuple(symbol for symbol in config.symbols if symbol not in before.symbols)
    free = ("sampling", "symbols", "normalization", "truecase")
    same = dataclasses.replace(before, **{name: getattr(config, name) for name in free}) == config
    if not same or len(before.symbols) + len(new) != len(config.symbols):
        return None
    stored = dataclasses.replace(config, normalization=before.normalization, truecase=before.truecase)
    tokenizers = load_tokenizers(stored, find_model_folder(start.name))
    if config.normalization != before.normalization:
        tokenizers = dataclasses.replace(tokenizers, normalizers=build_normalizers(config.normalization))
    if not config.truecase:
        tokenizers = dataclasses.replace(tokenizers, truecaser=None)
    return add_symbols(tokenizers, new) if new else tokenizers


def check_start(config: ModelConfig, start: str) -> None:
    """Check that a network can be initialized from the model in the folder `start`.

    Raises:
        ModelError: the model is missing or damaged.
        ConfigError: the networks differ in more than their vocabularies.
    """
    other = load_folder_config(find_model_folder(start)).model
    differences = [
        f"{key} is {getattr(other, key)} there and {getattr(config, key)} here"
        for key in config.list_differences(other)
    ]
    if differences:
        raise ConfigError(
            f"training.start_from: the network of {start} differs ({', '.join(differences)}); "
            "set the keys of model to the values there"
        )


def adopt_weights(network: Seq2Seq, tokenizers: Tokenizers, start: Model) -> None:
    """Copy the weights of a model into a network. The two may differ only in their vocabularies.

    The embeddings and the output layer have one row for each token. If the model has a token with the same name, the
    row of this token is copied. Otherwise, the row keeps its initial weights.
    """
    weights = unique_weights(start.network)
    ids = {
        side: _match_tokens(getattr(tokenizers, side), getattr(start.tokenizers, side)) for side in ("source", "target")
    }
    for name, weight in unique_weights(network).items():
        if name in _TOKEN_WEIGHTS:
            own, others = ids[_TOKEN_WEIGHTS[name]]
            weight[own] = weights[name][others].to(weight.device)
        else:
            weight.copy_(weights[name])
    known, size = len(ids["target"][0]), tokenizers.target.size
    logger.info("starting from %s, which has %d of %d target tokens", start.name, known, size)


def _match_tokens(own: Tokenizer, other: Tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the tokens that two vocabularies have in common. Return their ids in `own` and their ids in `other`."""
    special = list(range(EOS + 1))
    own_names, other_names = (tokenizer.vocabulary()[EOS + 1 :] for tokenizer in (own, other))
    other_ids = {name: number for number, name in enumerate(other_names, start=EOS + 1)}
    pairs = [(number, other_ids[name]) for number, name in enumerate(own_names, start=EOS + 1) if name in other_ids]
    ids = torch.tensor([*zip(special, special, strict=True), *pairs])
    return ids[:, 0], ids[:, 1]


def freeze(network: Seq2Seq, parts: Iterable[str]) -> None:
    """Exclude parts of a network from training. `training.freeze` explains the names of the parts.

    If a frozen part shares weights with another part, these weights are frozen in both parts.
    """
    modules: dict[str, tuple[nn.Module, ...]] = {
        "embeddings": (network.source_embedding, network.target_embedding),
        "encoder": (network.encoder,),
        "decoder": (network.decoder,),
        "attention": (network.decoder.attention,),
        "softmax": (network.project, network.output),
    }
    for part in parts:
        for module in modules[part]:
            module.requires_grad_(False)
