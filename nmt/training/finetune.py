"""How a training begins that starts from another model: its vocabulary and its weights; and which weights stay as they are."""

import dataclasses
import logging
from collections.abc import Iterable

import torch
from torch import nn

from nmt.checkpoint.folder import Model, load_folder_config, model_folder, unique_weights
from nmt.config.schema import ModelConfig, TokenizerConfig
from nmt.errors import ConfigError
from nmt.model.seq2seq import Seq2Seq
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.tokenizers.build import add_symbols, load_tokenizers
from nmt.types import EOS

logger = logging.getLogger(__name__)

# The weights with a row for each piece, and of which vocabulary.
_ROWS = {
    "source_embedding.weight": "source",
    "target_embedding.weight": "target",
    "output.weight": "target",
    "output.bias": "target",
}


def adopted_tokenizers(config: TokenizerConfig, start: Model) -> Tokenizers | None:
    """The vocabulary of a model, with the symbols that are new; None where the configuration asks for another one.

    Raises:
        ConfigError: a new symbol cannot be one.
    """
    before = start.config.tokenizer
    new = tuple(symbol for symbol in config.symbols if symbol not in before.symbols)
    same = dataclasses.replace(before, sampling=config.sampling, symbols=config.symbols) == config
    if not same or len(before.symbols) + len(new) != len(config.symbols):
        return None
    tokenizers = load_tokenizers(config, model_folder(start.name))
    return add_symbols(tokenizers, new) if new else tokenizers


def check_start(config: ModelConfig, start: str) -> None:
    """Whether a network can begin with the weights of a model, `start` its folder.

    Raises:
        ModelError: there is none, or it is damaged.
        ConfigError: its network differs from the one that is wanted in more than its vocabularies.
    """
    there = load_folder_config(model_folder(start)).model
    different = [
        f"{key} is {getattr(there, key)} there and {getattr(config, key)} here"
        for key in config.list_differences(there)
    ]
    if different:
        raise ConfigError(
            f"training.start_from: the network of {start} is another one ({', '.join(different)}); "
            "set the keys of model to those there"
        )


def adopt_weights(network: Seq2Seq, tokenizers: Tokenizers, start: Model) -> None:
    """Copy the weights of a model into a network: those of a piece to the piece of the same name, all others as they are.

    Pieces that the model does not know keep their initial weights. The networks are alike but for their vocabularies.
    """
    weights = unique_weights(start.network)
    rows = {side: _known(getattr(tokenizers, side), getattr(start.tokenizers, side)) for side in ("source", "target")}
    for name, weight in unique_weights(network).items():
        if name in _ROWS:
            own, others = rows[_ROWS[name]]
            weight[own] = weights[name][others].to(weight.device)
        else:
            weight.copy_(weights[name])
    known, size = len(rows["target"][0]), tokenizers.target.size
    logger.info("starting from %s, which knows %d of %d target pieces", start.name, known, size)


def _known(own: Tokenizer, other: Tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids of the pieces that both have, in each; the special ones are the same everywhere."""
    special = list(range(EOS + 1))
    ours, others = (tokenizer.vocabulary()[EOS + 1 :] for tokenizer in (own, other))
    places = {name: place for place, name in enumerate(others, start=EOS + 1)}
    pairs = [(place, places[name]) for place, name in enumerate(ours, start=EOS + 1) if name in places]
    ids = torch.tensor([*zip(special, special, strict=True), *pairs])
    return ids[:, 0], ids[:, 1]


def freeze(network: Seq2Seq, parts: Iterable[str]) -> None:
    """Keep the weights of these parts as they are: see `training.freeze`. What shares weights with them is kept too."""
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
