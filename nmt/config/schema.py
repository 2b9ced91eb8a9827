"""The configuration as frozen dataclasses. nmt/config/load.py reads them from YAML and the command line.

Each key of the configuration is a field. The declaration of the field gives the type, the default and the bounds of the
key, and the keys that the key depends on. The docstring of the field explains the key. docs/configuration.md is
generated from these declarations and docstrings. The keys of a corpus are in nmt/config/corpus.py, and rules about
several keys are in nmt/config/rules.py.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from nmt.config.corpus import CorpusConfig
from nmt.config.fields import OneOf, OnlyWith, Range, TrainingOnly, fields_of
from nmt.metrics.standard import COSTS, MEASURES
from nmt.types import TERM_TAGS

MAX_LAYER_SIZE = 16_384
"""The largest size of a layer."""
MAX_SEGMENT_TOKENS = 200
"""The limit of a segment in translation. An LSTM that was trained on sentences translates longer segments badly."""
MAX_COUNT = 1_000_000_000
"""A bound for counts that no training run reaches. Every number has a bound, so that no number can overflow."""

SENTENCEPIECE = OnlyWith("tokenizer.kind", "unigram", "bpe")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The corpora, and the limits for training pairs."""

    source_language: str = "en"
    """The source language. Its code is also the extension of source files, and the name of the source column."""
    target_language: str = "de"
    """The target language. Its code is also the extension of target files, and the name of the target column."""
    target_tags: bool = False
    """Put a token for the target language, such as `<2de>`, before each source sentence. One model can then translate
    into several languages (Johnson et al. 2017). `nmt-translate --to de` chooses the language."""
    train: tuple[CorpusConfig, ...] = ()
    """The training corpora."""
    temperature: Annotated[float | None, Range(1, 100)] = None
    """Give each training corpus the weight size^(1/temperature) (Arivazhagan et al. 2019). The size is the number of
    pairs after cleaning. With 1, the corpora are read in proportion to their sizes. Larger values make the shares of
    the corpora more equal. 5 is usual for languages with very different amounts of text. This key cannot be used
    together with `weight`."""
    valid: tuple[CorpusConfig, ...] = ()
    """The validation corpora. The scores on these corpora decide which checkpoint is the best."""
    held_out: tuple[CorpusConfig, ...] = ()
    """Other corpora, for example test sets. Only `drop_overlap` uses them."""
    max_length: Annotated[int, Range(1, 100_000)] = 200
    """Leave out training pairs that have more tokens than this on one side."""
    max_ratio: Annotated[float, Range(1, 1_000_000)] = 6.0
    """Leave out training pairs in which one side has more than this many times the tokens of the other side."""
    drop_duplicates: bool = True
    """If a training corpus contains the same pair several times, keep only the first one."""
    drop_overlap: bool = True
    """Leave out training pairs that also occur in `valid` or `held_out`."""
    several_sentences: Annotated[float | None, Range(0, 1)] = None
    """The share of source lines that contain several sentences. By default, the share is measured on the first 10,000
    lines of `train` at the start of training. If it is less than 0.1, the model later translates each sentence of a
    line separately. A request or `--no-split` can change this."""
    placeholder_share: Annotated[float, Range(0, 1), SENTENCEPIECE] = 0.0
    """In this share of training pairs, names, numbers and other things that are equal on both sides are replaced by
    symbols, or symbols are inserted on both sides. The model then copies URLs, numbers and other things to the right
    place. Without this key, they are placed by attention. Eight symbols are added to the vocabulary. 0.2 is usual."""
    term_share: Annotated[float, Range(0, 1), OnlyWith("tokenizer.joint", True)] = 0.0
    """In this share of training pairs, the dictionary forms of some target words are written beside their source words
    (Dinu et al. 2019; Bergmanis & Pinnis 2021). `nmt-translate --terms` then gives terms to the model in the same way,
    and the model inflects them. 0.5 is usual. This requires the extra `nmt[terms]`."""
    shuffle_buffer: Annotated[int, Range(1, 100_000_000)] = 100_000
    """The number of pairs of a stream that are read at a time. These pairs are shuffled and grouped by length."""

    @property
    def streams(self) -> bool:
        """Whether the training pairs are streamed."""
        return any(corpus.streaming for corpus in self.train)

    @property
    def single_sentences(self) -> bool:
        """Whether hardly any source line contains several sentences. False for models of version 0.2.0 or older."""
        return self.several_sentences is not None and self.several_sentences < 0.1

    @property
    def max_segment_tokens(self) -> int:
        """The limit of a segment in translation. It is larger for models that learned from longer pairs."""
        return max(MAX_SEGMENT_TOKENS, self.max_length)

    def languages(self, corpus: CorpusConfig) -> tuple[str, str]:
        """Return the source language and the target language of a corpus."""
        return corpus.source_language or self.source_language, corpus.target_language or self.target_language

    @property
    def source_languages(self) -> tuple[str, ...]:
        """The source languages of the training corpora, in their order."""
        return tuple(dict.fromkeys(self.languages(corpus)[0] for corpus in self.train)) or (self.source_language,)

    @property
    def target_languages(self) -> tuple[str, ...]:
        """The target languages of the training corpora, in their order."""
        return tuple(dict.fromkeys(self.languages(corpus)[1] for corpus in self.train)) or (self.target_language,)

    @property
    def corpus_tags(self) -> tuple[str, ...]:
        """The tags of the training corpora, in their order."""
        return tuple(dict.fromkeys(corpus.tag for corpus in self.train if corpus.tag is not None))

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags in the order of their ids: tags of target languages, of corpora, and of terms."""
        languages = (tag for language in self.target_languages for tag in self.tags_before(language, None))
        return tuple(dict.fromkeys((*languages, *self.corpus_tags, *(TERM_TAGS if self.term_share else ()))))

    def tags_before(self, target_language: str, tag: str | None) -> tuple[str, ...]:
        """Return the tags of a source sentence. `tag` is the tag of its corpus, or None."""
        return (f"<2{target_language}>",) * self.target_tags + ((tag,) if tag is not None else ())


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The tokenizer, which splits text into tokens, and the vocabulary."""

    kind: Literal["unigram", "bpe", "words", "characters"] = "unigram"
    """The kind of tokens. `unigram` and `bpe` are subwords that SentencePiece learns. `words` (text between spaces) and
    `characters` serve as baselines."""
    vocabulary_size: Annotated[int, Range(5, 1_000_000)] = 8000
    """The number of tokens in the vocabulary, including the four special tokens and the byte tokens. If the training
    text yields fewer tokens, the vocabulary is smaller, and a warning gives its size."""
    joint: bool = True
    """Learn one vocabulary from both sides. If false, each side has its own vocabulary."""
    character_coverage: Annotated[float, Range(0.9, 1), SENTENCEPIECE] = 1.0
    """The share of the characters in the training text that get a token. 0.9995 is usual for Chinese and Japanese."""
    byte_fallback: Annotated[bool, SENTENCEPIECE] = True
    """Represent a character that is not in the vocabulary by the tokens of its bytes. No character is then unknown."""
    symbols: Annotated[tuple[str, ...], SENTENCEPIECE] = ()
    """Strings that are always a single token, for example placeholders. Do not list tags of corpora or of target
    languages here, because they are added to the vocabulary automatically."""
    sampling: Annotated[float, Range(0, 1), SENTENCEPIECE] = 0.0
    """The strength of subword regularization in training. 0 switches it off. For `unigram`, this value is the smoothing
    parameter α of sampled segmentations (Kudo 2018). Usual values are 0.1 to 0.5. With smaller values, segmentations
    vary more, and the model learns more slowly. For `bpe`, this value is the dropout rate of merges (Provilkov et al.
    2020). 0.1 is usual."""
    normalization: str = "standard"
    """The rules that change every line before it is tokenized, in training and in translation. `standard` composes
    accents (NFC), replaces white space by single spaces, and deletes invisible characters. It keeps the joiners that a
    script or an emoji needs. On the source side, it also replaces variants of letters and signs, such as full-width
    letters, and all variants of quotes and apostrophes by `"` and `'`. On the target side, it keeps quotes and no-break
    spaces. `nfc` and `nfkc` apply only this Unicode normalization form. `none` changes nothing. Any other value is the
    path of a YAML file whose rules are added to the standard rules. The rules are stored in the model folder."""
    truecase: bool = True
    """If the case of a source word is unusual, change it to the usual case of the word in the training text. Text in
    capitals, in title case or in lower case is then translated like ordinary text. The translation of a line in
    capitals is in capitals."""
    training_lines: Annotated[int, Range(1, MAX_COUNT)] = 1_000_000
    """The largest number of training pairs from which the vocabulary is learned. The pairs are taken round-robin from
    the corpora."""
    source_model: Annotated[str | None, SENTENCEPIECE] = None
    """A SentencePiece .model file to use instead of learning a vocabulary. If `joint` is true, both sides use this
    file. The file then determines the size, the coverage, the byte tokens and the symbols of the vocabulary."""
    target_model: Annotated[str | None, SENTENCEPIECE] = None
    """The .model file of the target side. It is needed with `source_model` if `joint` is false."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of the network."""

    cell: Literal["lstm", "gru", "rnn", "layer_norm_lstm"] = "lstm"
    """The recurrent cell: an LSTM with forget gates (Hochreiter & Schmidhuber 1997), a GRU (Cho et al. 2014) or a plain
    tanh RNN. `layer_norm_lstm` is an LSTM with layer normalization inside the cell (Ba et al. 2016). It trains in a
    slow loop over time steps."""
    embedding_size: Annotated[int, Range(1, MAX_LAYER_SIZE)] = 256
    """The size of the embeddings of both sides."""
    embedding_scale: Annotated[float, Range(0.01, 1000)] = 4.0
    """The factor by which embeddings are multiplied before they enter the network. Embeddings that are tied to the
    softmax are small, but recurrent layers learn faster from larger inputs. In Vaswani et al. 2017 (section 3.4), the
    factor is the square root of the embedding size."""
    tied_embeddings: Literal["none", "two_way", "three_way"] = "three_way"
    """The weights that are shared. `two_way`: the target embeddings and the softmax share weights. `three_way`: the
    source embeddings share these weights too. `three_way` requires a joint vocabulary."""
    encoder_layers: Annotated[int, Range(1, 32)] = 1
    """The number of layers in the encoder."""
    encoder_stack: Literal["bidirectional", "gnmt", "alternating"] = "bidirectional"
    """The kind of the encoder layers above the first layer, which is always bidirectional. `bidirectional`: these
    layers are bidirectional too. `gnmt`: these layers only read forward (Wu et al. 2016). `alternating`: the forward
    half of a layer reads the backward half of the layer below, and the backward half reads the forward half (Zhou et
    al. 2016). Together with `encoder_transitions`, `alternating` is the BiDeep encoder of Miceli Barone et al. 2017."""
    encoder_size: Annotated[int, Range(2, MAX_LAYER_SIZE)] = 512
    """The size of the output of an encoder layer. In a bidirectional layer, each direction has half of this size."""
    encoder_transitions: Annotated[int, Range(1, 32), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """The number of cells that an encoder layer applies one after the other in each time step. Only the first cell
    reads the input of the layer. Source: deep transition (Pascanu et al. 2014; Miceli Barone et al. 2017). With two or
    more cells, the encoder trains in a slow loop over time steps."""
    decoder_layers: Annotated[int, Range(1, 32)] = 1
    """The number of layers in the decoder."""
    decoder_size: Annotated[int, Range(1, MAX_LAYER_SIZE)] = 512
    """The size of the output of a decoder layer."""
    decoder_transitions: Annotated[int, Range(1, 32), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """The number of cells that a decoder layer applies one after the other in each time step, as with
    `encoder_transitions`. The first layer of the `conditional` decoder has an additional cell before attention."""
    decoder: Literal["input_feeding", "parallel", "conditional"] = "input_feeding"
    """The connection of attention to the decoder layers. `input_feeding`: the attentional vector is part of the input
    of the next time step (Luong et al. 2015). `parallel`: attention follows the first layer, and the context is part of
    the input of the layers above (GNMT, Wu et al. 2016). This decoder trains without a loop over time steps, and works
    best with two layers or more. `conditional`: the first layer applies one cell to the previous token, computes
    attention, and applies another cell to the context. The layers above read the output of the first layer and the
    context. This is the cGRU of Sennrich et al. 2017, with any cell."""
    attention: Literal["dot", "general", "additive", "multi_head", "multi_head_additive"] = "general"
    """The function that computes the attention score of a query and an encoder output. `dot` and `general`: Luong et
    al. 2015. `dot` requires that encoder_size and decoder_size are equal. `additive`: Bahdanau et al. 2015.
    `multi_head`: scaled dot products in several heads (Vaswani et al. 2017). `multi_head_additive`: additive scores in
    several heads (RNMT+, Chen et al. 2018)."""
    attention_heads: Annotated[
        int, Range(1, 1024), OnlyWith("model.attention", "multi_head", "multi_head_additive")
    ] = 4
    """The number of attention heads. decoder_size must be a multiple of this number."""
    coverage: Annotated[
        bool,
        OnlyWith("model.attention", "additive"),
        OnlyWith("model.decoder", "input_feeding", "conditional", why="it attends step by step"),
    ] = False
    """Let the attention score of a source token depend on the sum of its previous attention weights (Tu et al. 2016;
    See et al. 2017). The sum shows how much of the token has been translated already."""
    context_gate: bool = False
    """Compute the attentional vector with a gate that weighs the context against the decoder state (Tu et al. 2017,
    the variant "both sides")."""
    output: Literal["softmax", "copy"] = "softmax"
    """The layer that computes probabilities from the attentional vector. `softmax`: a softmax over the target
    vocabulary. `copy`: a mixture of this softmax and the attention weights of the source tokens, so that tokens can be
    copied. A gate computes the shares of the two (pointer-generator, See et al. 2017). `copy` requires a joint
    vocabulary."""
    bridge: Literal["none", "final", "mean"] = "mean"
    """The initial states of the decoder. `none`: the states are zero. `final`: tanh layers compute the states from the
    final outputs of the encoder. `mean`: tanh layers compute the states from the mean of the encoder outputs."""
    residual: bool = True
    """Add the input of each layer to its output if the sizes are equal. The first layer has no such connection."""
    layer_norm: bool = False
    """Normalize the output of each recurrent layer."""
    forget_bias: Annotated[
        float, Range(-100, 100), OnlyWith("model.cell", "lstm", "layer_norm_lstm"), TrainingOnly()
    ] = 1.0
    """The initial value of the forget gate's bias (Jozefowicz et al. 2015)."""
    dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """The dropout rate of the inputs of the recurrent layers above the first layer. An encoder or decoder with one
    layer has no such inputs. In the `conditional` decoder, dropout also applies to the context that the first layer
    reads. The mask is the same for all time steps (Gal & Ghahramani 2016)."""
    embedding_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """The dropout rate of the embeddings of both sides. The mask is the same for all time steps."""
    state_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.0
    """The dropout rate of the recurrent state h before each time step. The mask is the same for all time steps (Gal &
    Ghahramani 2016; Semeniuta et al. 2016). With `lstm`, training is hardly slower. Other cells then train in a slow
    loop over time steps."""
    output_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """The dropout rate of the attentional vector before the softmax. The mask is the same for all time steps."""

    def list_differences(self, other: "ModelConfig") -> list[str]:
        """List the keys in which two trained networks differ. Keys that only affect training are ignored."""
        return [
            name
            for name, field in fields_of(ModelConfig).items()
            if not field.training_only and getattr(self, name) != getattr(other, name)
        ]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The optimizer, its schedule and the training loop."""

    epochs: Annotated[int, Range(1, MAX_COUNT)] = 20
    """The number of passes over the training pairs."""
    start_from: str | None = None
    """The model folder, or the output folder of an earlier training run, whose weights are the initial weights
    (fine-tuning). `model` must describe the same network as in the earlier training. If `tokenizer` is the same as in
    the earlier training, the vocabulary is kept. The keys `sampling`, `normalization` and `truecase` may differ, and
    additional `symbols` become additional tokens. If other keys of `tokenizer` differ, a new vocabulary is learned.
    Tokens that are in both vocabularies then keep their weights."""
    freeze: tuple[Literal["embeddings", "encoder", "decoder", "attention", "softmax"], ...] = ()
    """The parts of the network whose weights are not trained. Weights that are tied to a frozen part are not trained
    either. `attention` is the attention of the decoder."""
    max_updates: Annotated[int | None, Range(1, MAX_COUNT)] = None
    """The number of updates after which training stops, even if `epochs` is not reached. The cosine schedule ends at
    the same update."""
    batch_tokens: Annotated[int, Range(1, 10_000_000)] = 1024
    """The largest size of a batch in tokens. The size is the number of pairs times the length of the longest side."""
    batch_sentences: Annotated[int | None, Range(1, 1_000_000)] = None
    """The largest number of pairs in a batch, in addition to the limit on tokens."""
    accumulate: Annotated[int, Range(1, 10_000)] = 1
    """The number of batches in one update of each process. Their gradients are added up. These batches have equal
    numbers of pairs, so a batch of long pairs can have up to twice `batch_tokens`."""
    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """The optimizer. `adam`: Adam (Kingma & Ba 2015). `adamw`: Adam with decoupled weight decay (Loshchilov & Hutter
    2019). `muon`: Muon (Jordan et al. 2024) for the inner matrices, and `adamw` for embeddings, softmax and vectors.
    Muon makes steps of equal size in all directions of a matrix. It makes updates slower on a CPU."""
    learning_rate: Annotated[float, Range(0, 100)] = 0.002
    """The learning rate at its peak, after warmup."""
    betas: tuple[Annotated[float, Range(0, below=1)], Annotated[float, Range(0, below=1)]] = (0.9, 0.98)
    """The decay rates of the first and the second moment in Adam."""
    weight_decay: Annotated[float | None, Range(0, 100)] = None
    """The strength λ of weight decay. With `adamw` and `muon`, each update multiplies the weights by 1 - λ · learning
    rate. The default is then 0.01. With `adam`, each update adds λ · weights to the gradients. The default is then 0,
    because gradients per token are much smaller than 0.01 · weights. Biases and normalization weights do not decay."""
    schedule: Literal["constant", "inverse_sqrt", "cosine", "plateau"] = "cosine"
    """The learning rate after warmup. `constant`: the rate stays at its peak. `inverse_sqrt`: the rate is proportional
    to the inverse square root of the number of updates. `cosine`: the rate falls to zero along half a cosine, which
    ends with training. `plateau`: the rate is multiplied by `plateau_factor` after `plateau_patience` validations in a
    row without improvement."""
    warmup: Annotated[int, Range(0, MAX_COUNT)] = 400
    """The number of updates in which the learning rate rises linearly to its peak."""
    plateau_factor: Annotated[float, Range(0, 1), OnlyWith("training.schedule", "plateau")] = 0.5
    """The factor by which the learning rate is multiplied when validation has stopped improving."""
    plateau_patience: Annotated[int, Range(1, MAX_COUNT), OnlyWith("training.schedule", "plateau")] = 2
    """The number of validations in a row without improvement after which the learning rate is reduced."""
    clip_norm: Annotated[float, Range(0, 1_000_000)] = 1.0
    """The largest norm of the gradient of an update. A gradient with a larger norm is scaled to this norm. 0 switches
    clipping off."""
    label_smoothing: Annotated[float, Range(0, 0.95)] = 0.1
    """The share of the target probability that is spread evenly over the vocabulary (Szegedy et al. 2016)."""
    objective: Literal["likelihood", "risk"] = "likelihood"
    """The objective of training. `likelihood`: maximize the likelihood of the human translations. `risk`: minimize the
    expected cost of translations that are sampled from the model (minimum risk training, Shen et al. 2016). `risk`
    requires `start_from`. A batch then takes about `risk_samples` times the memory and time."""
    risk_samples: Annotated[int, Range(2, 1000), OnlyWith("training.objective", "risk")] = 16
    """The number of translations that are sampled for each source sentence."""
    risk_cost: Annotated[str, OneOf(COSTS), OnlyWith("training.objective", "risk")] = "bleu"
    """The metric that determines the cost of a translation. The cost is the difference between a perfect score and the
    score of the translation."""
    risk_sharpness: Annotated[float, Range(0.0001, 1000), OnlyWith("training.objective", "risk")] = 0.005
    """The exponent α of the weights of samples. A sample with probability P in the model has a weight proportional to
    P^α."""
    likelihood_share: Annotated[float, Range(0, 1), OnlyWith("training.objective", "risk")] = 0.0
    """The share of the likelihood in the loss of risk training (Edunov et al. 2018). Settings of the likelihood, such
    as `label_smoothing`, affect only this share."""
    ema: Annotated[float, Range(0, 0.999999)] = 0.998
    """The decay per update of the moving average of the weights. The averaged weights are the weights that are
    validated and saved for translation. 0 switches averaging off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """The precision of matrix products in training. `auto` chooses bf16 if the processor or GPU has native bf16
    products, and fp32 otherwise."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    """The seed of all random numbers: for initial weights, the order of the pairs, dropout and sampling."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """The device on which to train. `auto` chooses the GPU if the machine has one."""
    threads: Annotated[int | None, Range(1, 1024)] = None
    """The number of CPU threads of each process. By default, the cores of the machine are divided among its processes.
    A resumed run gives exactly the same weights only with the same number of threads."""
    log_every: Annotated[int, Range(1, MAX_COUNT)] = 50
    """The number of updates between two log lines."""
    checkpoint_every: Annotated[int, Range(1, MAX_COUNT)] = 500
    """The number of updates between two checkpoints. In addition, each validation saves a checkpoint."""
    keep_checkpoints: Annotated[int, Range(2, MAX_COUNT)] = 2
    """The number of newest checkpoints to keep, in addition to the best checkpoint."""
    shortlist: bool = True
    """Learn a shortlist after the last update: the likely target tokens of each source token, so that translation need
    not score the whole vocabulary. It is saved with the best checkpoint if it costs at most 0.1 chrF2 in validation."""
    tensorboard: bool = False
    """Write TensorBoard events to OUTPUT/tensorboard. This requires the extra `nmt[tensorboard]`."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Validation during training, which compares checkpoints."""

    every: Annotated[int | None, Range(1, MAX_COUNT)] = None
    """The number of updates between two validations. By default, validation follows each epoch."""
    metric: Annotated[str, OneOf(tuple(MEASURES))] = "auto"
    """The score that decides which checkpoint is the best: a metric of translations, or the loss per token (`loss`).
    `auto` compares checkpoints with a BLEU of at least 10 by BLEU, and prefers them to all others, which it compares
    by chrF2, because a low BLEU depends on few sentences. If a target language is scored by characters (Chinese,
    Japanese, Korean, Thai, Lao, Khmer, Burmese, Tibetan and Dzongkha), `auto` is chrF2. A resumed run with `auto` keeps
    its earlier metric. chrF2 (`chrf`) suits languages with many word forms or without spaces. chrF2++ (`chrf++`) also
    compares words. If validation corpora have different target languages or tags, the mean of their scores decides."""
    beam: Annotated[int, Range(1, 1000)] = 1
    """The beam size of validation translations. 1 is greedy search."""
    sentences: Annotated[int | None, Range(1, MAX_COUNT)] = None
    """The number of validation pairs to use, from the start of the corpora. By default, all pairs are used. If the
    validation corpora have different target languages or tags, this number applies to each corpus."""
    length_penalty: Annotated[float | None, Range(0, 10)] = None
    """The length penalty of translations by this model, by default 1. Validations during training do not use it.
    `nmt-train TEXT` sets it at the end, to what gains most on the validation text."""
    confidence_scale: Annotated[float, Range(0, 100)] = 1.0
    """The factor of log(p / (1 - p)) in the confidence in a word. Training sets it and the offset at the end."""
    confidence_offset: Annotated[float, Range(-100, 100)] = 0.0
    """The number that is added to that product."""
    patience: Annotated[int | None, Range(1, MAX_COUNT)] = None
    """The number of validations in a row without improvement after which training stops. By default, training does not
    stop early."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration of a training run."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    @property
    def needs_text(self) -> bool:
        """Whether training needs the text of pairs, because their ids differ each time that they are used."""
        return self.tokenizer.sampling > 0 or self.data.placeholder_share > 0 or self.data.term_share > 0
