"""The configuration as frozen dataclasses, which nmt/config/load.py reads from YAML and the command line.

Everything known about a key is written at its field: type, default, bounds, the keys that it depends on, and its meaning, from
which docs/configuration.md is generated. Rules between two keys or more are in nmt/config/rules.py.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from nmt.config.fields import OneOf, OnlyWith, Range, TrainingOnly, fields_of
from nmt.metrics.standard import COSTS, MEASURES

SENTENCEPIECE = OnlyWith("tokenizer.kind", "unigram", "bpe")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One parallel corpus. A string instead of the keys is its `path`."""

    path: str | None = None
    """The prefix of two text files, or one file that holds both sides. The prefix `data/train` reads data/train.en and
    data/train.de, compressed or not; the endings are the languages. A line of a .tsv file holds source, tab, target. A
    line of a .jsonl file holds an object with a key for each language, or with a `translation` object of such keys.
    Compressed files end in .gz, .zst or .xz. A file may be given by its URL (s3://, hf://, https://)."""
    source: str | None = None
    """The file with the source side, instead of `path`: plain, .gz, .zst or .xz."""
    target: str | None = None
    """The file with the target side. Line n translates line n of `source`."""
    dataset: str | None = None
    """A Hugging Face dataset, instead of `path`: a name on the hub, or a local folder or file."""
    name: str | None = None
    """The configuration (subset) of the dataset."""
    split: str = "train"
    """The split of the dataset. It may be a slice such as `train[:1000]`, but not with `streaming`."""
    source_column: str | None = None
    """The column of the dataset, or the key in a .jsonl file, with the source. The default is the source language.
    Columns within `translation` are found as well."""
    target_column: str | None = None
    """The column of the dataset, or the key in a .jsonl file, with the target. The default is the target language."""
    source_language: str | None = None
    """The source language of this corpus. The default is that of `data`."""
    target_language: str | None = None
    """The target language of this corpus. The default is that of `data`. If the training corpora have several,
    `data.target_tags` must be true."""
    tag: str | None = None
    """A token before each source sentence of this corpus, for example `<bt>` for back-translated text (Caswell et al.
    2019). Validation corpora may have the tags of training corpora. Corpora in `held_out` have none."""
    streaming: bool = False
    """In `train`: read, clean and tokenize pairs when they are needed instead of storing the whole corpus first, for
    corpora that are larger than the disk. All training corpora are then read in this way, files in their order, and
    duplicates are found only within `shuffle_buffer`. Elsewhere, for datasets only: read rows as they arrive instead of
    downloading the whole dataset first."""
    weight: Annotated[float | None, Range(above=0)] = None
    """Share of this corpus in the training pairs, relative to the weights of the other corpora. Give every corpus a
    weight or none. Without weights, a corpus is drawn in proportion to its size. Streams, whose sizes are unknown, are
    then read round-robin until each has ended."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The text to learn from, and the pairs to leave out."""

    source_language: str = "en"
    """The source language: the ending of its files and its key in datasets."""
    target_language: str = "de"
    """The target language: the ending of its files and its key in datasets."""
    target_tags: bool = False
    """Put a token that names the target language, such as `<2de>`, before each source sentence, so that one model
    translates into several languages (Johnson et al. 2017). `nmt-translate --to de` chooses the language."""
    train: tuple[CorpusConfig, ...] = ()
    """The training corpora."""
    temperature: Annotated[float | None, Range(1)] = None
    """Draw training corpora in proportion to size^(1/temperature), where the size is the number of pairs after cleaning
    (Arivazhagan et al. 2019). At 1 the shares are in proportion to size; the larger the value, the closer they are to
    equal. 5 is usual for languages with very different amounts of text. Use it instead of weights."""
    valid: tuple[CorpusConfig, ...] = ()
    """The validation corpora, on which the best checkpoint is chosen."""
    held_out: tuple[CorpusConfig, ...] = ()
    """Further corpora, for example test sets. They are used by `drop_overlap` only."""
    max_length: Annotated[int, Range(1)] = 200
    """Leave out training pairs with more tokens than this on either side."""
    max_ratio: Annotated[float, Range(1)] = 6.0
    """Leave out training pairs in which one side has more than this many times the tokens of the other side."""
    drop_duplicates: bool = True
    """Keep only the first of identical training pairs within each corpus."""
    drop_overlap: bool = True
    """Leave out training pairs that also occur in `valid` or `held_out`."""
    shuffle_buffer: Annotated[int, Range(1)] = 100_000
    """Number of pairs of a stream that are read, shuffled and sorted into updates of similar lengths at a time."""

    @property
    def streams(self) -> bool:
        """Whether the training pairs are streamed."""
        return any(corpus.streaming for corpus in self.train)

    def languages(self, corpus: CorpusConfig) -> tuple[str, str]:
        """The source and the target language of a corpus."""
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
        """All tags that a source sentence may have, in the order of their ids: target languages, then corpora."""
        languages = (tag for language in self.target_languages for tag in self.tags_before(language, None))
        return tuple(dict.fromkeys((*languages, *self.corpus_tags)))

    def tags_before(self, target_language: str, tag: str | None) -> tuple[str, ...]:
        """The tags of a source sentence with this target language, from a corpus with this tag."""
        return (f"<2{target_language}>",) * self.target_tags + ((tag,) if tag is not None else ())


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes token ids."""

    kind: Literal["unigram", "bpe", "words", "characters"] = "unigram"
    """`unigram` and `bpe` are learned by SentencePiece. `words`, which splits at spaces, and `characters` are
    baselines."""
    vocabulary_size: Annotated[int, Range(5)] = 8000
    """Number of tokens, including the four special tokens and the byte tokens. `characters` has at most this many."""
    joint: bool = True
    """Learn one vocabulary from both sides. If false, each side has its own vocabulary."""
    character_coverage: Annotated[float, Range(0.9, 1), SENTENCEPIECE] = 1.0
    """Share of the characters of the text that become tokens. 0.9995 is usual for Chinese and Japanese."""
    byte_fallback: Annotated[bool, SENTENCEPIECE] = True
    """Spell characters without a token in bytes, so that no text is unknown."""
    symbols: Annotated[tuple[str, ...], SENTENCEPIECE] = ()
    """Strings that always remain one token, for example placeholders. Tags of corpora and of target languages need not
    be listed here; their ids follow the vocabulary."""
    sampling: Annotated[float, Range(0, 1), SENTENCEPIECE] = 0.0
    """Subword regularization in training; 0 is off. For `unigram` it is the smoothing α of sampled segmentations (Kudo
    2018; 0.1 to 0.5): the smaller it is, the more the segmentations vary and the slower the model learns. For `bpe` it
    is the dropout of merges (Provilkov et al. 2020; 0.1)."""
    training_lines: Annotated[int, Range(1)] = 1_000_000
    """Learn the vocabulary from at most this many lines per side, taken round-robin from the corpora."""
    source_model: Annotated[str | None, SENTENCEPIECE] = None
    """A SentencePiece .model file to use instead of learning one. With `joint` it is used for both sides. Its size,
    coverage, byte tokens and symbols replace those given here."""
    target_model: Annotated[str | None, SENTENCEPIECE] = None
    """The .model file of the target side, if not `joint`."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    cell: Literal["lstm", "gru", "rnn", "layer_norm_lstm"] = "lstm"
    """The recurrent cell: LSTM with forget gates (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014) or plain tanh
    RNN. `layer_norm_lstm` normalizes within the LSTM (Ba et al. 2016) and trains in a loop over time."""
    embedding_size: Annotated[int, Range(1)] = 256
    """Size of the embeddings of both sides."""
    embedding_scale: Annotated[float, Range(0.01)] = 4.0
    """Factor by which embeddings are multiplied before they enter the network. Weights that are tied to the softmax are
    small, and recurrent layers learn faster from larger inputs. Vaswani et al. 2017 (section 3.4) use the square root
    of the size."""
    tied_embeddings: Literal["none", "two_way", "three_way"] = "three_way"
    """Weights that are shared. `two_way`: the target embeddings and the softmax. `three_way`: the source embeddings
    too, which needs a joint vocabulary."""
    encoder_layers: Annotated[int, Range(1)] = 1
    """Number of layers in the encoder."""
    encoder_stack: Literal["bidirectional", "gnmt", "alternating"] = "bidirectional"
    """The layers above the encoder's first layer, which is bidirectional. `bidirectional`: layers like the first.
    `gnmt`: forward layers (Wu et al. 2016). `alternating`: each direction reads the output of the other direction below
    it (Zhou et al. 2016; with `encoder_transitions`, BiDeep of Miceli Barone et al. 2017)."""
    encoder_size: Annotated[int, Range(2)] = 512
    """Size of an encoder layer's output. In a bidirectional layer, each direction has half of it."""
    encoder_transitions: Annotated[int, Range(1), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """Number of cells that an encoder layer applies in turn within a time step. Only the first of them reads the input
    (deep transition: Pascanu et al. 2014; Miceli Barone et al. 2017). Two and more train in a loop over time."""
    decoder_layers: Annotated[int, Range(1)] = 1
    """Number of layers in the decoder."""
    decoder_size: Annotated[int, Range(1)] = 512
    """Size of a decoder layer."""
    decoder_transitions: Annotated[int, Range(1), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """Number of cells of a decoder layer, as in `encoder_transitions`. The first layer of the `conditional` decoder has
    one more, before attention."""
    decoder: Literal["input_feeding", "parallel", "conditional"] = "input_feeding"
    """How attention is connected to the layers. `input_feeding`: the attentional vector is part of the next step's
    input (Luong et al. 2015). `parallel`: the first layer attends, and its context is part of the input of the layers
    above (GNMT, Wu et al. 2016); training needs no loop over time; it works best with two layers or more.
    `conditional`: the first layer attends between its transition on the previous token and one on the context (the cGRU
    of Sennrich et al. 2017, with any cell); the layers above read its output and the context."""
    attention: Literal["dot", "general", "additive", "multi_head", "multi_head_additive"] = "general"
    """Score of a query and an encoder output. `dot` and `general`: Luong et al. 2015. `additive`: Bahdanau et al. 2015.
    `multi_head`: scaled dot products in several heads, Vaswani et al. 2017. `multi_head_additive`: several additive
    heads, RNMT+ of Chen et al. 2018. `dot` needs encoder_size = decoder_size."""
    attention_heads: Annotated[int, Range(1), OnlyWith("model.attention", "multi_head", "multi_head_additive")] = 4
    """Number of attention heads. It must divide decoder_size."""
    coverage: Annotated[
        bool,
        OnlyWith("model.attention", "additive"),
        OnlyWith("model.decoder", "input_feeding", "conditional", why="it attends step by step"),
    ] = False
    """Let the attention score depend on the sum of all previous attention weights, from which the decoder knows what it
    has translated (Tu et al. 2016; See et al. 2017)."""
    context_gate: bool = False
    """Weigh the context against the decoder's state by a gate in the attentional vector (Tu et al. 2017, both
    sides)."""
    output: Literal["softmax", "copy"] = "softmax"
    """How the attentional vector becomes probabilities. `softmax`: over the target vocabulary. `copy`: a softmax or a
    copy of a source token, weighed by a gate (pointer-generator, See et al. 2017); it needs a joint vocabulary."""
    bridge: Literal["none", "final", "mean"] = "mean"
    """Initial states of the decoder. `none`: zeros. `final`: the encoder's final outputs, through tanh layers. `mean`:
    the mean of the encoder's outputs, through tanh layers."""
    residual: bool = True
    """Add a layer's input to its output where the sizes agree, from the second layer up."""
    layer_norm: bool = False
    """Normalize the output of each recurrent layer."""
    forget_bias: Annotated[float, OnlyWith("model.cell", "lstm", "layer_norm_lstm"), TrainingOnly()] = 1.0
    """Initial value of the bias of an LSTM's forget gate (Jozefowicz et al. 2015)."""
    dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """Dropout on the inputs of recurrent layers above the first, so a side with one layer has none, and in the
    `conditional` decoder on the context that its first layer reads. The mask is the same for all time steps (Gal &
    Ghahramani 2016)."""
    embedding_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """Dropout on the embeddings of both sides. The mask is the same for all time steps."""
    word_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.0
    """Share of the input tokens of both sides whose whole embedding is dropped."""
    state_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.0
    """Dropout on the recurrent state h before each time step. The mask is the same for all time steps (Gal & Ghahramani
    2016; Semeniuta et al. 2016). It is cheap for `lstm`; other cells then train in a loop over time."""
    output_dropout: Annotated[float, Range(0, 0.95), TrainingOnly()] = 0.3
    """Dropout on the attentional vector before the softmax. The mask is the same for all time steps."""

    def list_differences(self, other: "ModelConfig") -> list[str]:
        """The keys in which two trained networks differ. Keys that act in training only are ignored."""
        return [
            name
            for name, field in fields_of(ModelConfig).items()
            if not field.training_only and getattr(self, name) != getattr(other, name)
        ]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The optimizer, its schedule and the training loop."""

    epochs: Annotated[int, Range(1)] = 20
    """Number of passes over the training pairs."""
    start_from: str | None = None
    """A model folder, or the output folder of a training, to take the initial weights from (fine-tuning). `model` must
    describe the same network. If `tokenizer` is that of the earlier training, its vocabulary is kept; `sampling` may
    differ, and further `symbols` add tokens. If `tokenizer` differs otherwise, a new vocabulary is learned, and the
    tokens that are in both keep their weights."""
    freeze: tuple[Literal["embeddings", "encoder", "decoder", "attention", "softmax"], ...] = ()
    """Parts whose weights, and the weights tied to them, are not trained. `attention` is the decoder's attention."""
    max_updates: Annotated[int | None, Range(1)] = None
    """Stop after this many updates even if epochs are left. The cosine schedule then ends there, too."""
    batch_tokens: Annotated[int, Range(1)] = 1024
    """Largest size of a batch in tokens: the number of pairs times the length of the longest side, padding included."""
    batch_sentences: Annotated[int | None, Range(1)] = None
    """Largest number of pairs in a batch, in addition to the limit on tokens."""
    accumulate: Annotated[int, Range(1)] = 1
    """Number of batches whose gradients each process adds up for one update. These batches have equal numbers of pairs,
    so a batch of long pairs may have up to twice `batch_tokens`."""
    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """`adam`: Kingma & Ba 2015. `adamw`: with decoupled weight decay (Loshchilov & Hutter 2019). `muon`: updates of
    equal size in all directions for the matrices between layers (Jordan et al. 2024), which takes time on a CPU, and
    `adamw` for the other weights."""
    learning_rate: Annotated[float, Range(0)] = 0.002
    """The learning rate at its peak, after warmup."""
    betas: tuple[Annotated[float, Range(0, below=1)], Annotated[float, Range(0, below=1)]] = (0.9, 0.98)
    """Decay rates of the two moments of Adam."""
    weight_decay: Annotated[float | None, Range(0)] = None
    """For `adamw` and `muon`, the weights shrink by this share of the learning rate in each update; the default is
    0.01. For `adam`, this share of the weights is added to the gradients; the default is 0, because gradients per token
    are so small that 0.01 would dominate them. Biases and normalization weights are exempt."""
    schedule: Literal["constant", "inverse_sqrt", "cosine", "plateau"] = "cosine"
    """The learning rate after warmup. `constant`: the same rate. `inverse_sqrt`: in proportion to the inverse square
    root of the update. `cosine`: half a cosine that reaches zero at the end of training. `plateau`: multiplied by
    `plateau_factor` whenever validation has not improved `plateau_patience` times in a row."""
    warmup: Annotated[int, Range(0)] = 400
    """Number of updates in which the learning rate rises linearly to its peak."""
    plateau_factor: Annotated[float, Range(0, 1), OnlyWith("training.schedule", "plateau")] = 0.5
    """Factor by which the learning rate is multiplied when validation has stopped improving."""
    plateau_patience: Annotated[int, Range(1), OnlyWith("training.schedule", "plateau")] = 2
    """Number of validations without improvement before the learning rate is reduced."""
    clip_norm: Annotated[float, Range(0)] = 1.0
    """Largest norm of the gradient of an update. A larger gradient is scaled down to it; 0 is off."""
    label_smoothing: Annotated[float, Range(0, 0.95)] = 0.1
    """Share of the probability that is spread evenly over the vocabulary (Szegedy et al. 2016)."""
    r_drop: Annotated[float, Range(0)] = 0.0
    """Weight α of R-Drop (Liang et al. 2021), the divergence between two predictions of each token under different
    dropout; 0 is off. Updates take nearly twice as long."""
    guided_alignment: Annotated[float, Range(0)] = 0.0
    """Weight of a loss that draws attention to the source token that is aligned with each target token (Chen et al.
    2016); 0 is off. The alignment comes from IBM model 1, which is learned from the training pairs before the first
    update."""
    objective: Literal["likelihood", "risk"] = "likelihood"
    """What training optimizes. `likelihood`: the likelihood of the human translations. `risk`: the expected cost of
    translations that are sampled from the model (minimum risk, Shen et al. 2016), for a model that was trained by
    likelihood (`start_from`). A batch then takes about `risk_samples` times the memory and time."""
    risk_samples: Annotated[int, Range(2), OnlyWith("training.objective", "risk")] = 16
    """Number of translations sampled for each source sentence."""
    risk_cost: Annotated[str, OneOf(COSTS), OnlyWith("training.objective", "risk")] = "bleu"
    """Metric of single sentences. The cost of a translation is the distance of its score from a perfect one."""
    risk_sharpness: Annotated[float, Range(0.0001), OnlyWith("training.objective", "risk")] = 0.005
    """Exponent α of the model's probabilities, by which the samples are weighted."""
    likelihood_share: Annotated[float, Range(0, 1), OnlyWith("training.objective", "risk")] = 0.0
    """Share of the likelihood in the loss (Edunov et al. 2018). Settings of the likelihood, such as `label_smoothing`,
    act on this share only."""
    ema: Annotated[float, Range(0, 0.999999)] = 0.998
    """Decay per update of the moving average of the weights, which is validated and saved for translation; 0 is off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of matrix products in training. `auto`: bf16 where the processor or GPU multiplies it natively, fp32
    elsewhere."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    """Seed of everything random: initial weights, order of the pairs, dropout, sampling."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train. `auto`: on the GPU if there is one."""
    threads: Annotated[int | None, Range(1)] = None
    """Number of CPU threads. By default, all cores are divided among the processes on the machine. Resuming a training
    exactly needs the same number."""
    log_every: Annotated[int, Range(1)] = 50
    """Number of updates between two log lines."""
    checkpoint_every: Annotated[int, Range(1)] = 500
    """Number of updates between two checkpoints, in addition to those at validations."""
    keep_checkpoints: Annotated[int, Range(2)] = 2
    """Number of newest checkpoints to keep, in addition to the best."""
    shortlist: bool = True
    """After the last update, learn which target tokens to consider for each source token, so that translation need not
    score the whole vocabulary. The shortlist is saved with the best checkpoint if it costs at most 0.1 BLEU in
    validation."""
    tensorboard: bool = False
    """Write TensorBoard events to OUTPUT/tensorboard (needs the extra `nmt[tensorboard]`)."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """How checkpoints are compared during training."""

    every: Annotated[int | None, Range(1)] = None
    """Number of updates between two validations. By default, validation follows each epoch."""
    metric: Annotated[str, OneOf(tuple(MEASURES))] = "bleu"
    """The score that decides which checkpoint is the best: a metric of its translations, or its loss per token. chrF2
    (`chrf`) counts characters, so it suits languages with many word forms or without spaces; chrF2++ counts words too.
    If the validation corpora differ in target language or tag, scores are means over these groups."""
    beam: Annotated[int, Range(1, 1000)] = 1
    """Beam size of the validation translations; 1 is greedy search."""
    sentences: Annotated[int | None, Range(1)] = None
    """Validate on the first pairs only, at most this many. If the validation corpora differ in target language or tag,
    the number is for each group."""
    patience: Annotated[int | None, Range(1)] = None
    """Stop after this many validations in a row without improvement. By default, training does not stop early."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration of a training."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
