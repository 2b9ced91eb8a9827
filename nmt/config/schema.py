"""The configuration as frozen dataclasses, which nmt/config/load.py reads from YAML and the command line.

Everything known about a key is written at its field: type, default, bounds, the keys that it depends on, and its meaning, from
which docs/configuration.md is generated. Rules between two keys or more are in nmt/config/rules.py.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from nmt.config.fields import OnlyWith, Range


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One parallel corpus. A bare string stands for its `path`."""

    path: str | None = None
    """A prefix (`data/train` reads data/train.en and data/train.de, compressed or not, by the languages of `data`), or a
    .tsv or .jsonl file (.gz, .zst and .xz too), or the URL of one (s3://, hf://, https://). A .tsv line holds source, tab,
    target; a .jsonl line holds an object with one key per language, or with a `translation` object of such keys."""
    source: str | None = None
    """The source side's file, instead of `path`: plain, .gz, .zst or .xz."""
    target: str | None = None
    """The target side's file, aligned with `source` line by line."""
    dataset: str | None = None
    """A Hugging Face dataset, instead of `path`: a name on the hub, or a local folder or file."""
    name: str | None = None
    """The configuration (subset) of the dataset."""
    split: str = "train"
    """The split of the dataset, slices such as `train[:1000]` included (slices not with `streaming`)."""
    source_column: str | None = None
    """The dataset's column or JSON key with the source; by default the source language, in `translation` too."""
    target_column: str | None = None
    """The dataset's column or JSON key with the target; by default the target language."""
    source_language: str | None = None
    """This corpus' source language; by default that of `data`."""
    target_language: str | None = None
    """This corpus' target language; by default that of `data`. Where training corpora have several, `data.target_tags` tells them
    apart."""
    tag: str | None = None
    """A piece of its own before each source sentence of this corpus, `<bt>` for back-translated text say (Caswell et al. 2019).
    Not for `held_out`; in `valid` only those of `train`."""
    streaming: bool = False
    """Training: read pairs, clean and tokenise them as they are needed, instead of storing the whole corpus first, for corpora
    larger than disk or patience; then all training corpora are read so, files in their order. Duplicates are only found
    within `shuffle_buffer`. Elsewhere, datasets only: read rows as they arrive instead of downloading all first."""
    weight: Annotated[float | None, Range(above=0)] = None
    """This corpus' share of the training pairs, relative to the other corpora's weights. By default, in proportion to its
    size; of streams, whose sizes are unknown, pairs then come in turn until each has come to its end. Give every corpus a
    weight or none."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which text to learn from, and which pairs to leave out."""

    source_language: str = "en"
    """The language translated from: the ending of file names and the key of datasets."""
    target_language: str = "de"
    """The language translated into."""
    target_tags: bool = False
    """Put a piece that names the target language, `<2de>`, before each source sentence, so that one model translates into several
    languages (Johnson et al. 2017); `nmt-translate --to de` chooses."""
    train: tuple[CorpusConfig, ...] = ()
    """The training corpora: one or a list."""
    temperature: Annotated[float | None, Range(1)] = None
    """Draw training corpora in proportion to size^(1/temperature) (Arivazhagan et al. 2019), sizes as cleaning leaves them: at 1
    in proportion to size, the higher the more evenly; 5 is usual for languages of very unlike sizes. Instead of weights."""
    valid: tuple[CorpusConfig, ...] = ()
    """The validation corpora, on which checkpoints are chosen: one or a list."""
    held_out: tuple[CorpusConfig, ...] = ()
    """Further corpora, test sets for example, that are used for nothing but `drop_overlap`."""
    max_length: Annotated[int, Range(1)] = 200
    """Leave out training pairs with more pieces than this on either side."""
    max_ratio: Annotated[float, Range(1)] = 6.0
    """Leave out training pairs in which one side has over this many times the other side's pieces."""
    drop_duplicates: bool = True
    """Keep only the first of training pairs that are the same on both sides, within each corpus."""
    drop_overlap: bool = True
    """Leave out training pairs that stand, the same on both sides, in `valid` or `held_out`."""
    shuffle_buffer: Annotated[int, Range(1)] = 100_000
    """Pairs of a stream that are read, shuffled and sorted into updates of like lengths at a time."""

    @property
    def streams(self) -> bool:
        """Whether the training pairs are a stream."""
        return any(corpus.streaming for corpus in self.train)

    def languages(self, corpus: CorpusConfig) -> tuple[str, str]:
        """Source and target language of a corpus."""
        return corpus.source_language or self.source_language, corpus.target_language or self.target_language

    @property
    def source_languages(self) -> tuple[str, ...]:
        """Those that are learned from."""
        return tuple(dict.fromkeys(self.languages(corpus)[0] for corpus in self.train)) or (self.source_language,)

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Those that are learned."""
        return tuple(dict.fromkeys(self.languages(corpus)[1] for corpus in self.train)) or (self.target_language,)

    @property
    def corpus_tags(self) -> tuple[str, ...]:
        """Those of the training corpora."""
        return tuple(dict.fromkeys(corpus.tag for corpus in self.train if corpus.tag is not None))

    @property
    def tags(self) -> tuple[str, ...]:
        """All that may stand before a source sentence, in the order of their ids."""
        languages = (tag for language in self.target_languages for tag in self.tags_before(language, None))
        return tuple(dict.fromkeys((*languages, *self.corpus_tags)))

    def tags_before(self, target_language: str, tag: str | None) -> tuple[str, ...]:
        """What stands before a source sentence that is translated into this language, with this tag of a corpus."""
        return (f"<2{target_language}>",) * self.target_tags + ((tag,) if tag is not None else ())


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: Literal["unigram", "bpe", "words", "characters"] = "unigram"
    """SentencePiece `unigram` or `bpe`; `words` (split at spaces) and `characters` are the baselines."""
    vocabulary_size: Annotated[int, Range(5)] = 8000
    """Pieces, the four special ones and the byte pieces counted. `characters` takes at most so many."""
    joint: bool = True
    """One vocabulary learned from both sides; false: one for each side."""
    character_coverage: Annotated[float, Range(0.9, 1), OnlyWith("tokenizer.kind", "unigram", "bpe")] = 1.0
    """Share of the characters that get pieces of their own; 0.9995 is usual for Chinese or Japanese. SentencePiece
    only."""
    byte_fallback: Annotated[bool, OnlyWith("tokenizer.kind", "unigram", "bpe")] = True
    """Spell rare characters in bytes, so that no text is ever unknown. SentencePiece only."""
    symbols: Annotated[tuple[str, ...], OnlyWith("tokenizer.kind", "unigram", "bpe")] = ()
    """Strings in the text that always stay one piece, placeholders for example. SentencePiece only. Tags of corpora and of target
    languages need not stand here: their ids follow those of the vocabulary."""
    sampling: Annotated[float, Range(0, 1), OnlyWith("tokenizer.kind", "unigram", "bpe")] = 0.0
    """Subword regularisation in training: 0 is off; for `unigram` the smoothing α of sampled segmentations, which vary
    the more the smaller it is and slow down learning (Kudo 2018; 0.1 to 0.5), for `bpe` the dropout of merges (Provilkov et al.
    2020; 0.1)."""
    training_lines: Annotated[int, Range(1)] = 1_000_000
    """Learn the vocabulary from the first lines of the corpora, so many a side; of several corpora a line of each in turn."""
    source_model: Annotated[str | None, OnlyWith("tokenizer.kind", "unigram", "bpe")] = None
    """A SentencePiece .model to use instead of training one; with `joint` it serves both sides. Size, coverage, byte pieces and
    symbols are then those of the file."""
    target_model: Annotated[str | None, OnlyWith("tokenizer.kind", "unigram", "bpe")] = None
    """The target side's .model, when not `joint`."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    cell: Literal["lstm", "gru", "rnn", "layer_norm_lstm"] = "lstm"
    """The recurrent cell: LSTM (Hochreiter & Schmidhuber 1997, with forget gates), GRU (Cho et al. 2014), plain tanh
    RNN; `layer_norm_lstm` normalises within the LSTM (Ba et al. 2016), and trains in a loop over time."""
    embedding_size: Annotated[int, Range(1)] = 256
    """Size of the embeddings of both sides."""
    embedding_scale: Annotated[float, Range(0.01)] = 4.0
    """What embeddings are multiplied by on their way into the network (Vaswani et al. 2017, section 3.4, with the square root of
    their size). Recurrent layers learn faster from larger ones than tied weights can be; see docs/results.md."""
    tied_embeddings: Literal["none", "two_way", "three_way"] = "three_way"
    """`two_way`: target embeddings and softmax share their weights; `three_way`: the source embeddings too (needs a
    joint vocabulary)."""
    encoder_layers: Annotated[int, Range(1)] = 1
    """Layers in the encoder."""
    encoder_stack: Literal["bidirectional", "gnmt", "alternating"] = "bidirectional"
    """What stands above the encoder's first layer, which reads both ways: `bidirectional` layers like it; `gnmt`: layers that
    read forward (Wu et al. 2016); `alternating`: each direction reads what the other wrote below it (Zhou et al. 2016; with
    `encoder_transitions` BiDeep of Miceli Barone et al. 2017)."""
    encoder_size: Annotated[int, Range(2)] = 512
    """Size of an encoder layer's output, half of it for each direction where it reads both ways."""
    encoder_transitions: Annotated[int, Range(1), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """Cells of an encoder layer, one after another within a time step, of which only the first sees the input (deep transition:
    Pascanu et al. 2014; Miceli Barone et al. 2017); for `lstm`, `gru` and `rnn`. Two and more train in a loop over time."""
    decoder_layers: Annotated[int, Range(1)] = 1
    """Layers in the decoder."""
    decoder_size: Annotated[int, Range(1)] = 512
    """Size of a decoder layer."""
    decoder_transitions: Annotated[int, Range(1), OnlyWith("model.cell", "lstm", "gru", "rnn")] = 1
    """Cells of a decoder layer, as `encoder_transitions`. The first layer of `conditional` has one more, before attention."""
    decoder: Literal["input_feeding", "parallel", "conditional"] = "input_feeding"
    """`input_feeding`: the attentional vector joins the next step's input (Luong et al. 2015); `parallel`: the first layer
    attends and its context joins the input of the layers above (GNMT, Wu et al. 2016), no loop over time in training, best with
    two layers or more; `conditional`: the first layer attends between its transition on the previous piece and one on the
    context (the cGRU of Sennrich et al. 2017, with any cell), whose output and context the layers above get."""
    attention: Literal["dot", "general", "additive", "multi_head", "multi_head_additive"] = "general"
    """Score of a query against an encoder output: `dot` and `general` of Luong et al. 2015, `additive` of Bahdanau et al.
    2015; in several heads `multi_head`, scaled dot products of Vaswani et al. 2017, and `multi_head_additive`, RNMT+ of Chen et
    al. 2018. `dot` needs encoder_size = decoder_size."""
    attention_heads: Annotated[int, Range(1), OnlyWith("model.attention", "multi_head", "multi_head_additive")] = 4
    """Heads of `multi_head` and `multi_head_additive`; they must divide decoder_size."""
    coverage: bool = False
    """The score of attention depends on the sum of all weights before (Tu et al. 2016; See et al. 2017): it knows what is
    translated already. Needs `attention: additive` and a decoder that attends step by step."""
    context_gate: bool = False
    """A gate weighs the context against the decoder's state in the attentional vector (Tu et al. 2017, both sides)."""
    output: Literal["softmax", "copy"] = "softmax"
    """The output layer: a softmax over the target vocabulary; `copy` may also copy a source token (the pointer-generator of
    See et al. 2017; needs a joint vocabulary)."""
    bridge: Literal["none", "final", "mean"] = "mean"
    """Where the decoder's first states come from: zeros, the encoder's final outputs, or the mean of its outputs, through tanh
    layers."""
    residual: bool = True
    """Add a layer's input to its output where the sizes agree (from the second layer up)."""
    layer_norm: bool = False
    """Normalise the output of each recurrent layer."""
    forget_bias: Annotated[float, OnlyWith("model.cell", "lstm", "layer_norm_lstm")] = 1.0
    """First value of an LSTM's forget-gate bias (Jozefowicz et al. 2015)."""
    dropout: Annotated[float, Range(0, 0.95)] = 0.3
    """Dropout on the inputs of recurrent layers above the first, of which a side with one layer has none, and in `conditional` on
    the context that attention gives the first; the mask is shared over time (Gal & Ghahramani 2016)."""
    embedding_dropout: Annotated[float, Range(0, 0.95)] = 0.3
    """Dropout on the embeddings of both sides, the mask shared over time."""
    word_dropout: Annotated[float, Range(0, 0.95)] = 0.0
    """Share of the input words whose whole embedding is dropped, both sides."""
    state_dropout: Annotated[float, Range(0, 0.95)] = 0.0
    """Dropout on the state h of recurrent layers on its way into the next step, the mask shared over time (Gal & Ghahramani
    2016; Semeniuta et al. 2016). Cheap for `lstm`; other cells then train in a loop over time."""
    output_dropout: Annotated[float, Range(0, 0.95)] = 0.3
    """Dropout on the attentional vector before the softmax, the mask shared over time."""

    def unlike(self, other: "ModelConfig") -> list[str]:
        """Keys in which a trained network is another one; those that act in training alone do not count."""
        return [
            key.name
            for key in fields(self)
            if key.name not in _ACTING_IN_TRAINING and getattr(self, key.name) != getattr(other, key.name)
        ]


_ACTING_IN_TRAINING = {"dropout", "embedding_dropout", "word_dropout", "state_dropout", "output_dropout", "forget_bias"}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Optimiser, schedule and the loop."""

    epochs: Annotated[int, Range(1)] = 20
    """Passes over the training pairs."""
    start_from: str | None = None
    """A model folder or the output folder of a training to take the first weights from, for fine-tuning; `model` must have its
    sizes. Its vocabulary is kept where `tokenizer` is that of its training; there `sampling` may differ, and further `symbols`
    get further rows. A vocabulary that differs otherwise is learned anew, and pieces that both have keep their weights."""
    freeze: tuple[Literal["embeddings", "encoder", "decoder", "attention", "softmax"], ...] = ()
    """Parts whose weights stay as they are, and those tied to them; `attention` is the decoder's."""
    max_updates: Annotated[int | None, Range(1)] = None
    """Stop after so many updates even if epochs are left; the cosine schedule then ends there too."""
    batch_tokens: Annotated[int, Range(1)] = 1024
    """Token budget of a batch: pairs times the longest side's pieces, padding counted."""
    batch_sentences: Annotated[int | None, Range(1)] = None
    """Largest number of pairs in a batch, besides the token budget."""
    accumulate: Annotated[int, Range(1)] = 1
    """Batches whose gradients each process adds up for one update. They have as many pairs each, so that one of long pairs may
    have up to twice `batch_tokens`."""
    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """Adam (Kingma & Ba 2015), or with decoupled weight decay (Loshchilov & Hutter 2019). `muon`: the matrices between layers
    make steps of equal size in all directions (Jordan et al. 2024), which costs time on a CPU; the rest has `adamw`."""
    learning_rate: Annotated[float, Range(0)] = 0.002
    """The peak learning rate."""
    betas: tuple[Annotated[float, Range(0, below=1)], Annotated[float, Range(0, below=1)]] = (0.9, 0.98)
    """Decay rates of Adam's moments."""
    weight_decay: Annotated[float | None, Range(0)] = None
    """Of `adamw` and `muon`, 0.01 by default: weights shrink by so much of the learning rate. `adam` adds it to the gradients, by
    default nothing: per piece they are so small that 0.01 would leave nothing of them. Biases and normalisation weights are
    exempt."""
    schedule: Literal["constant", "inverse_sqrt", "cosine", "plateau"] = "cosine"
    """What follows the warm-up: a constant rate, the inverse square root of the update, a half cosine down to zero at the end
    of training, or a cut by `plateau_factor` whenever validation did not improve `plateau_patience` times in a row."""
    warmup: Annotated[int, Range(0)] = 400
    """Updates of linear warm-up."""
    plateau_factor: Annotated[float, Range(0, 1), OnlyWith("training.schedule", "plateau")] = 0.5
    """What the `plateau` schedule multiplies the rate with."""
    plateau_patience: Annotated[int, Range(1), OnlyWith("training.schedule", "plateau")] = 2
    """Validations without improvement before the `plateau` schedule cuts the rate."""
    clip_norm: Annotated[float, Range(0)] = 1.0
    """Largest norm of an update's gradients; 0 is off."""
    label_smoothing: Annotated[float, Range(0, 0.95)] = 0.1
    """Share of the probability spread evenly over the vocabulary (Szegedy et al. 2016)."""
    r_drop: Annotated[float, Range(0)] = 0.0
    """R-Drop (Liang et al. 2021): weight α of the divergence between two predictions of each piece under different dropout; 0 is
    off. Updates take nearly twice as long."""
    guided_alignment: Annotated[float, Range(0)] = 0.0
    """Weight of a loss that draws attention to the source piece that a target piece comes from (Chen et al. 2016), as IBM model 1
    says, which is learned from the training pairs before the first update; 0 is off."""
    objective: Literal["likelihood", "risk"] = "likelihood"
    """`likelihood` of the references, or, for a model that has learned by it (`start_from`), minimum `risk`: the expected cost of
    translations sampled from the model (Shen et al. 2016). A batch then takes about `risk_samples` times the memory and time."""
    risk_samples: Annotated[int, Range(2), OnlyWith("training.objective", "risk")] = 16
    """Of `risk`: translations sampled for each source sentence."""
    risk_cost: Annotated[Literal["bleu", "chrf"], OnlyWith("training.objective", "risk")] = "bleu"
    """Of `risk`: what a translation lacks of a perfect sentence BLEU or chrF."""
    risk_sharpness: Annotated[float, Range(0.0001), OnlyWith("training.objective", "risk")] = 0.005
    """Of `risk`: α, to the power of which the model's probabilities weigh the samples."""
    likelihood_share: Annotated[float, Range(0, 1), OnlyWith("training.objective", "risk")] = 0.0
    """Of `risk`: share of the likelihood in the loss (Edunov et al. 2018). What belongs to the likelihood, as `label_smoothing`
    does, acts on this share alone."""
    ema: Annotated[float, Range(0, 0.999999)] = 0.998
    """Decay per update of the moving average of the weights that is validated and saved for translation; 0 is off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of matrix products in training; `auto` takes bf16 where the processor or GPU multiplies it natively."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    """Seed of everything random: initial weights, order, dropout, sampling."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes the GPU if there is one."""
    threads: Annotated[int | None, Range(1)] = None
    """CPU threads; by default all cores, shared out to the processes of the machine. Exact resuming needs the same number."""
    log_every: Annotated[int, Range(1)] = 50
    """Updates between two log lines."""
    checkpoint_every: Annotated[int, Range(1)] = 500
    """Updates between two checkpoints, besides those at validations."""
    keep_checkpoints: Annotated[int, Range(2)] = 2
    """Newest checkpoints to keep, besides the best."""
    shortlist: bool = True
    """After the last update, learn for each source piece which target pieces go with it, so that translation need not score the
    whole vocabulary; stored with the best checkpoint where it costs no more than 0.1 BLEU in validation."""
    tensorboard: bool = False
    """Write TensorBoard events to OUTPUT/tensorboard (needs the extra `nmt[tensorboard]`)."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """How checkpoints are judged during training."""

    every: Annotated[int | None, Range(1)] = None
    """Updates between two validations; by default one after every epoch."""
    metric: Literal["bleu", "chrf", "loss"] = "bleu"
    """What decides which checkpoint is the best: BLEU or chrF2 of its translations, or its loss per token. chrF2 counts
    characters, and suits languages of many word forms, or without spaces. BLEU and chrF2 are means over the validation corpora
    where they differ in target language or tag."""
    beam: Annotated[int, Range(1, 1000)] = 1
    """Beam size of the validation translations; 1 is greedy."""
    sentences: Annotated[int | None, Range(1)] = None
    """Validate on the first so many pairs only; of each corpus where they differ in target language or tag."""
    patience: Annotated[int | None, Range(1)] = None
    """Stop after so many validations in a row without improvement; by default never."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration of a training."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
