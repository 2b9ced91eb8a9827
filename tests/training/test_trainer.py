"""The training loop: what each setting does, and exact resuming."""

import itertools
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
import tiny
import torch

from nmt.checkpoint.folder import build_network, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.tensors import load_tensors
from nmt.config.schema import Config
from nmt.data.batching import Batches
from nmt.data.cursor import Cursor, Update, UpdateSize, World
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.data.updates import UpdateOptions
from nmt.errors import DivergenceError, Interrupted, ModelError
from nmt.metrics.standard import Auto
from nmt.model.seq2seq import Seq2Seq
from nmt.system.signals import StopSignal
from nmt.tokenizers.build import train_tokenizers
from nmt.training.distributed import Processes
from nmt.training.log import NoLog, TrainingLog
from nmt.training.resume import Checkpoint, Position
from nmt.training.time_limit import TimeLimit
from nmt.training.trainer import Trainer

Figures = Iterator[float]


class Factory:
    """Makes trainers that share a corpus."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, itertools.count()
        self.prefix = tiny.write_corpus(folder)

    def config(self, *overrides: str) -> Config:
        return tiny.config(self.prefix, *overrides)

    def trainer(self, config: Config, output: Path | None = None, figures: Figures | None = None) -> Trainer:
        output = output or self.folder / f"output{next(self.numbers)}"
        tokenizers = train_tokenizers(
            config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
        )
        stores = prepare(config, tokenizers, self.folder / "prepared")
        settings = config.training
        source = Batches(
            stores,
            tokenizers=tokenizers,
            weights=None,
            options=UpdateOptions(
                size=UpdateSize(
                    tokens=settings.batch_tokens * settings.accumulate,
                    sentences=settings.batch_sentences and settings.batch_sentences * settings.accumulate,
                ),
                shares_per_process=settings.accumulate,
                sampling=False,
                seed=settings.seed,
            ),
        )
        values = figures or itertools.repeat(1.0)
        checkpoints = CheckpointFolder(output)
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
        return Trainer(
            build_network(config, tokenizers),
            source=source,
            tokenizers=tokenizers,
            config=config,
            validate=lambda network: {"loss": next(values), "bleu": 0.0},
            checkpoints=checkpoints,
        )

    def run(self, *overrides: str, figures: Figures | None = None) -> Trainer:
        trainer = self.trainer(self.config(*overrides), figures=figures)
        go(trainer)
        return trainer


def go(trainer: Trainer, stop: StopSignal | None = None) -> None:
    output, update = trainer.checkpoints.output, trainer.position.update
    with TrainingLog(output, update=update, every=1, bar=False, tensorboard=False) as log:
        trainer.run(log, stop or StopSignal())


def call_after(before: Callable[..., None], function: Callable[..., Any], *arguments: Any) -> Any:
    before(*arguments)
    return function(*arguments)


def losses(trainer: Trainer) -> list[float]:
    lines = (trainer.checkpoints.output / "metrics.jsonl").read_text().splitlines()
    return [record["loss"] for record in map(json.loads, lines) if record["kind"] == "train"]


def weights(network: Seq2Seq) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in unique_weights(network).values()])


@pytest.fixture
def factory(tmp_path: Path) -> Factory:
    return Factory(tmp_path)


def test_the_loss_falls(factory: Factory) -> None:
    course = losses(factory.run("training.epochs=12", "training.learning_rate=0.01"))
    assert course[-1] < 0.7 * course[0]


def test_the_same_seed_gives_the_same_weights(factory: Factory) -> None:
    first, second, other = factory.run(), factory.run(), factory.run("training.seed=2")
    assert torch.equal(weights(first.averaged), weights(second.averaged))
    assert not torch.equal(weights(first.averaged), weights(other.averaged))


@pytest.mark.parametrize(
    "override",
    [
        "training.batch_tokens=100",
        "training.batch_sentences=3",
        "training.accumulate=2",
        "training.optimizer=adam",
        "training.optimizer=muon",
        "training.learning_rate=0.002",
        "training.betas=[0.8, 0.9]",
        "training.weight_decay=0.3",
        "training.schedule=constant",
        "training.warmup=20",
        "training.clip_norm=0.05",
        "training.label_smoothing=0.3",
        pytest.param("training.precision=bf16", marks=tiny.needs_bf16),
        "model.dropout=0.4",
    ],
)
def test_each_setting_changes_the_weights(factory: Factory, override: str) -> None:
    base = ["training.optimizer=adamw", "training.precision=fp32", "training.epochs=1", "model.decoder_layers=2"]
    assert not torch.equal(weights(factory.run(*base).network), weights(factory.run(*base, override).network))


def test_accumulated_gradients_are_those_of_one_large_batch(factory: Factory) -> None:
    """The loss is summed over all tokens of the update; it is not a mean of the means of batches."""
    trainer = factory.trainer(factory.config("training.precision=fp32", "model.dropout=0", "training.accumulate=3"))
    for name in ("dropout", "embedding_dropout", "output_dropout"):
        object.__setattr__(trainer.network.config, name, 0.0)
    batches = next(trainer.source.updates(Cursor())).batches
    assert len(batches) == 3
    summed, tokens = trainer.accumulate_gradients(batches)
    reference = sum(tiny.loss(trainer.network, batch, label_smoothing=0.1) for batch in batches)
    assert isinstance(reference, torch.Tensor)
    assert summed == pytest.approx(reference.item(), rel=1e-5)
    assert tokens == sum(int(batch.target_lengths.sum()) for batch in batches)


def test_accumulation_at_half_the_budget_is_the_same_training(factory: Factory) -> None:
    """Pairs and dropout masks are the same. Gradients are summed in another order, so the weights differ slightly."""
    settings = [
        "training.precision=fp32",
        "training.epochs=1",
        "model.dropout=0.3",
    ]
    whole = factory.run(*settings, "training.batch_tokens=96")
    for shares in (2, 3):
        cut = factory.run(*settings, f"training.batch_tokens={96 // shares}", f"training.accumulate={shares}")
        assert cut.position == whole.position
        assert losses(cut) == pytest.approx(losses(whole), rel=1e-4)
        torch.testing.assert_close(weights(cut.network), weights(whole.network), rtol=1e-3, atol=1e-4)


def test_a_checkpoint_from_another_version_is_refused() -> None:
    for progress in ('{"update": 3, "epoch": 1, "batch": 2}', "", "[]"):
        with pytest.raises(ModelError, match="another version"):
            Position.from_json(progress)


def test_moving_average_is_saved(factory: Factory) -> None:
    trainer = factory.run("training.ema=0.9")
    saved = load_tensors(trainer.checkpoints.path(trainer.position.update) / "model.safetensors")
    for name, weight in unique_weights(trainer.averaged).items():
        assert torch.equal(saved[name], weight)
    assert not torch.equal(weights(trainer.averaged), weights(trainer.network))
    plain = factory.run("training.ema=0")
    assert torch.equal(weights(plain.averaged), weights(plain.network))
    assert torch.equal(weights(plain.network), weights(trainer.network))


def test_limits(factory: Factory) -> None:
    assert factory.run("training.max_updates=7").position.update == 7
    one, two = factory.run("training.epochs=1"), factory.run("training.epochs=2")
    assert two.position.update == 2 * one.position.update


@pytest.mark.parametrize(("seconds", "updates"), [(2.0, 24), (4.0, 16), (100.0, 5)])
def test_training_ends_in_time(factory: Factory, seconds: float, updates: int) -> None:
    """An update takes a second, and a validation takes `seconds`, where 2 are planned."""
    now = 0.0

    def validate(_: Seq2Seq) -> dict[str, float]:
        nonlocal now
        now += seconds
        return {"loss": 1.0 / now, "bleu": 0.0}

    def count(*_: object) -> None:
        nonlocal now
        now += 1.0

    trainer = factory.trainer(factory.config("training.epochs=1000", "validation.every=4"))
    trainer.validate, trainer.objective = validate, partial(call_after, count, trainer.objective)
    trainer.run(NoLog(), StopSignal(), TimeLimit(end=40.0, validation=2.0, ending=4.0, clock=lambda: now))
    assert trainer.position.update == trainer.position.best_update == trainer.saved_update == updates
    if seconds < 10:
        assert now + 4.0 * max(1.0, seconds / 2) == 40.0


def test_validation_chooses_the_best_and_patience_ends(factory: Factory) -> None:
    overrides = ("validation.every=2", "validation.patience=3", "training.epochs=100", "training.checkpoint_every=1000")
    trainer = factory.run(*overrides, figures=iter([3.0, 2.0, 2.5, 2.0, 2.1, 0.0]))
    assert trainer.position.update == 10
    assert (trainer.position.best, trainer.position.best_update) == (2.0, 4)
    assert trainer.checkpoints.best() == trainer.checkpoints.path(4).resolve()
    assert [path.name for path in trainer.checkpoints.all()] == [
        "update-00000004",
        "update-00000008",
        "update-00000010",
    ]


def test_higher_bleu_is_better(factory: Factory) -> None:
    trainer = factory.trainer(factory.config("validation.metric=bleu", "validation.every=1", "training.max_updates=3"))
    figures = iter([1.0, 3.0, 2.0])
    trainer.validate = lambda network: {"loss": 0.0, "bleu": next(figures)}
    go(trainer)
    assert (trainer.position.best, trainer.position.best_update) == (3.0, 2)


def test_auto_decides_on_patience_and_the_plateau_schedule(factory: Factory) -> None:
    """Three improvements by chrF2, one by BLEU, and two validations that are worse: by BLEU, and by chrF2."""
    settings = ("validation.metric=auto", "validation.every=1", "validation.patience=2", "training.epochs=100")
    plateau = ("training.schedule=plateau", "training.plateau_patience=2")
    trainer = factory.trainer(factory.config(*settings, *plateau))
    scores = [(3.0, 15.0), (2.0, 18.0), (1.0, 18.9), (10.5, 17.0), (10.4, 40.0), (9.9, 60.0), (99.0, 99.0)]
    figures = (Auto.combine(*pair, by_characters=False) for pair in scores)
    trainer.validate = lambda network: {"loss": 0.0, "auto": next(figures)}
    go(trainer)
    assert (trainer.position.update, trainer.position.cuts) == (6, 1)
    assert (trainer.position.best, trainer.position.best_update) == (10.5, 4)


def test_plateau_schedule_lowers_the_learning_rate(factory: Factory) -> None:
    settings = (
        "training.schedule=plateau",
        "training.plateau_patience=2",
        "training.max_updates=6",
        "validation.every=1",
    )
    assert factory.run(*settings, figures=iter([1.0, 2.0, 2.0, 2.0, 2.0, 2.0])).position.cuts == 2
    assert factory.run(*settings, "training.plateau_patience=5", figures=iter([1.0] + [2.0] * 5)).position.cuts == 1
    others = ("training.schedule=constant", *settings[1:])
    assert factory.run(*others, figures=iter([1.0] + [2.0] * 5)).position.cuts == 0


def test_checkpoints_between_validations(factory: Factory) -> None:
    settings = (
        "training.checkpoint_every=2",
        "training.keep_checkpoints=3",
        "validation.every=100",
        "training.max_updates=9",
    )
    names = [path.name for path in factory.run(*settings).checkpoints.all()]
    assert names == ["update-00000006", "update-00000008", "update-00000009"]


def resumed(factory: Factory, config: Config, output: Path, figures: Figures) -> Trainer:
    trainer = factory.trainer(config, output, figures)
    newest, complaints = trainer.checkpoints.newest()
    assert newest
    assert not complaints
    trainer.restore(Checkpoint.load(newest))
    return trainer


@pytest.mark.parametrize("ema", [0, 0.9])
@pytest.mark.parametrize("signal_after", [1, 5, 8])
def test_resuming_is_exact(factory: Factory, ema: float, signal_after: int) -> None:
    def figures() -> Figures:
        return iter([3.0, 4.0, 4.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])

    config = factory.config(
        f"training.ema={ema}", "validation.every=4", "training.schedule=plateau", "training.plateau_patience=1"
    )
    whole = factory.trainer(config, figures=figures())
    go(whole)

    stopped = factory.trainer(config, figures=figures())
    stop = StopSignal()
    update = after(signal_after, lambda: setattr(stop, "number", signal.SIGTERM), stopped.update_weights)
    stopped.update_weights = update  # type: ignore[method-assign, assignment]
    with pytest.raises(Interrupted) as interrupted:
        go(stopped, stop)
    assert interrupted.value.signal == signal.SIGTERM
    rest = itertools.islice(figures(), signal_after // 4, None)
    continued = resumed(factory, config, stopped.checkpoints.output, rest)
    assert continued.position.update == signal_after
    go(continued)
    assert continued.position == whole.position
    assert losses(continued) == losses(whole)
    newest = [trainer.checkpoints.all()[-1] for trainer in (whole, continued)]
    for name in ("model.safetensors", "training.safetensors", "state.json"):
        assert (newest[0] / name).read_bytes() == (newest[1] / name).read_bytes()


def after(
    count: int, action: Callable[[], None], method: Callable[[Update, TrainingLog | NoLog], None]
) -> Callable[[Update, TrainingLog | NoLog], None]:
    calls = itertools.count(1)

    def wrapped(update: Update, log: TrainingLog | NoLog) -> None:
        method(update, log)
        if next(calls) == count:
            action()

    return wrapped


def test_an_infinite_loss_is_an_error(factory: Factory) -> None:
    trainer = factory.trainer(factory.config())
    with torch.no_grad():
        trainer.network.output.bias.fill_(float("inf"))
    with pytest.raises(DivergenceError, match=r"lower training\.learning_rate"):
        go(trainer)


def test_raising_a_limit_continues(factory: Factory) -> None:
    first = factory.run("training.epochs=1")
    assert first.position.has_ended(first.config)
    again = resumed(factory, factory.config("training.epochs=1"), first.checkpoints.output, itertools.repeat(1.0))
    assert again.position.has_ended(again.config)
    longer = resumed(factory, factory.config("training.epochs=2"), first.checkpoints.output, itertools.repeat(1.0))
    assert not longer.position.has_ended(longer.config)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_an_infinite_gradient_changes_no_weight(factory: Factory, value: float) -> None:
    trainer = factory.trainer(factory.config())
    before = weights(trainer.network)
    trainer.network.source_embedding.weight.register_hook(lambda gradient: torch.full_like(gradient, value))
    with pytest.raises(
        DivergenceError, match=r"the gradient's norm is (inf|nan) at update 1; lower training\.learning_rate"
    ):
        go(trainer)
    assert torch.equal(weights(trainer.network), before)


@pytest.mark.parametrize("override", ["validation.metric=bleu", "validation.beam=2", "validation.sentences=5"])
def test_validation_with_other_settings_starts_over(factory: Factory, override: str) -> None:
    """The best value and the counts of validations without improvement mean nothing for another kind of value."""
    first = factory.run("training.epochs=3", figures=iter([1.0, 2.0, 3.0]))
    folder = first.checkpoints.path(first.position.update)
    again = factory.trainer(factory.config(override), first.checkpoints.output)
    again.restore(Checkpoint.load(folder))
    assert (first.position.best, first.position.stale, first.position.plateau) == (1.0, 2, 2)
    assert again.position == replace(first.position, best=None, stale=0, plateau=0)


def test_validation_with_the_same_settings_continues(factory: Factory) -> None:
    first = factory.run("training.epochs=3", figures=iter([1.0, 2.0, 3.0]))
    again = factory.trainer(
        factory.config("validation.patience=7", "training.schedule=plateau"), first.checkpoints.output
    )
    again.restore(Checkpoint.load(first.checkpoints.path(first.position.update)))
    assert again.position == first.position


def test_an_update_with_a_zero_gradient(factory: Factory) -> None:
    """The norm, by which clipping divides, is 0."""
    trainer = factory.trainer(
        factory.config("training.max_updates=1", "training.weight_decay=0", "training.clip_norm=1")
    )
    before = weights(trainer.network)
    for weight in trainer.network.parameters():
        weight.register_hook(torch.zeros_like)
    go(trainer)
    assert torch.equal(weights(trainer.network), before)


@pytest.mark.parametrize(("clip_norm", "scale"), [(0.0, 1.0), (0.01, 0.01), (100.0, 1.0)])
def test_gradients_per_token_are_clipped(
    factory: Factory, clip_norm: float, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimizer divides the summed gradients by `scale`."""
    scales, norms = [], []
    trainer = factory.trainer(factory.config("training.max_updates=1", f"training.clip_norm={clip_norm}"))
    monkeypatch.setattr("nmt.training.trainer.make_step", lambda *_, scale, rate: scales.append((scale, rate)))
    log = Mock(update=lambda **figures: norms.append((figures["norm"], figures["tokens"])))
    trainer.run(log, StopSignal())
    ((norm, tokens),) = norms
    assert norm > 0.01
    expected = tokens if scale == 1.0 else tokens * norm / clip_norm
    assert float(scales[0][0]) == pytest.approx(expected, rel=1e-5)


class RecordingProcesses(Processes):
    """Processes whose messages are recorded and change nothing."""

    calls: ClassVar[list[str]] = []

    def sum(self, tensors: Sequence[torch.Tensor]) -> None:
        self.calls.append("sum")

    def barrier(self) -> None:
        self.calls.append("barrier")


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupted_process_waits_until_the_first_one_has_saved(factory: Factory, rank: int) -> None:
    trainer = factory.trainer(factory.config())
    trainer.processes = RecordingProcesses(world=World(rank=rank, size=2))
    RecordingProcesses.calls.clear()
    stop = StopSignal()
    stop.number = signal.SIGINT
    saved = trainer._write
    trainer._write = lambda: (trainer.processes.calls.append("save"), saved())  # type: ignore[attr-defined, method-assign, assignment]
    with pytest.raises(Interrupted, match="stopped after update 1; --resume continues from there"):
        go(trainer, stop)
    assert RecordingProcesses.calls == ["sum", *(["save"] if rank == 0 else []), "barrier"]


def test_lowering_a_limit_below_the_position_ends(factory: Factory) -> None:
    first = factory.run("training.max_updates=9")
    again = resumed(factory, factory.config("training.max_updates=5"), first.checkpoints.output, itertools.repeat(1.0))
    assert again.position.has_ended(again.config)


def test_another_update_size_continues_at_the_same_fraction_of_the_epoch(factory: Factory) -> None:
    first = factory.run("training.max_updates=4")
    assert first.position.epochs_done is not None
    folder, config = first.checkpoints.path(4), factory.config("training.max_updates=5", "training.batch_tokens=16")
    smaller = factory.trainer(config, first.checkpoints.output)
    smaller.restore(Checkpoint.load(folder))
    assert smaller.position.cursor.update > 2 * first.position.cursor.update
    go(smaller)
    assert smaller.position.epochs_done == pytest.approx(first.position.epochs_done, abs=0.1)
