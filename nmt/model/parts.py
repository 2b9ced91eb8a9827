"""Functions that build parts of a network from its configuration.

The parts are recurrent layers, attention, and the layer that computes the attentional vector. Encoder stacks, decoders
and output layers consist of these parts. Their classes are listed in nmt/model/seq2seq.py.
"""

from collections.abc import Callable

from nmt.config.schema import ModelConfig
from nmt.model import attention
from nmt.model.attention import Attention
from nmt.model.cells import TorchLayer
from nmt.model.classics.context_gate import GatedCombine
from nmt.model.classics.coverage import CoverageAttention
from nmt.model.classics.layer_norm_lstm import LayerNormLSTM
from nmt.model.classics.multi_head_additive import MultiHeadAdditiveAttention
from nmt.model.classics.transitions import DeepTransitionLayer
from nmt.model.combine import Combine
from nmt.model.layer import RecurrentLayer

CELLS: dict[str, Callable[[ModelConfig, int, int], RecurrentLayer]] = {
    "lstm": TorchLayer,
    "gru": TorchLayer,
    "rnn": TorchLayer,
    "layer_norm_lstm": LayerNormLSTM,
}

ATTENTIONS: dict[str, Callable[[ModelConfig], Attention]] = {
    **attention.ATTENTIONS,
    "multi_head_additive": MultiHeadAdditiveAttention,
}


def build_layer(config: ModelConfig, input_size: int, hidden_size: int, transitions: int = 1) -> RecurrentLayer:
    """Create a recurrent layer with the configured cell. If `transitions` > 1, the layer has deep transitions."""
    if transitions > 1:
        return DeepTransitionLayer(config, input_size, hidden_size, transitions)
    return CELLS[config.cell](config, input_size, hidden_size)


def build_attention(config: ModelConfig) -> Attention:
    """Create the configured attention."""
    return CoverageAttention(config) if config.coverage else ATTENTIONS[config.attention](config)


def build_combine(config: ModelConfig) -> Combine | GatedCombine:
    """Create the configured layer that computes the attentional vector."""
    return GatedCombine(config) if config.context_gate else Combine(config)
