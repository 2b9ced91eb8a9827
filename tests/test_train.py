"""A whole training as its users see it: text in, a model folder out, and no stop or fault that loses anything."""

import contextlib
import functools
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import pytest
import tiny

import nmt.train
from nmt.checkpoint import CheckpointFolder, load_model
from nmt.config import Config
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.errors import ConfigError, DataError, Interrupted, MachineError, UserError
from nmt.tokenizers.build import train_tokenizers
from nmt.train import add_shortlist, train
from nmt.training.shortlist import learn_shortlist
from nmt.training.trainer import Trainer
from nmt.translate import Translator


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


@pytest.fixture
def config(prefix: Path) -> Config:
    return tiny.config(prefix, "training.checkpoint_every=5", "training.tensorboard=true")


def weights(output: Path) -> bytes:
    newest, _ = CheckpointFolder(output).newest()
    assert newest
    return (newest / "model.safetensors").read_bytes() + (newest / "training.safetensors").read_bytes()


def test_the_output_folder(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"best", "checkpoints", "metrics.jsonl", "train.log", "tensorboard"}
    assert len(Translator.load(tmp_path / "run").translate(["red cat", ""])) == 2


def test_it_learns(prefix: Path, tmp_path: Path) -> None:
    """Word for word translation of unseen combinations: what attention is for."""
    sizes = ["model.embedding_size=32", "model.encoder_size=64", "model.decoder_size=64"]
    settings = ["training.epochs=40", "training.learning_rate=0.01", "training.batch_tokens=200", *sizes]
    held_out = {"red cat": "rot katze", "six house": "sechs haus", "one dog": "eins hund"}
    for ending in ("en", "de"):
        path = prefix.with_suffix(f".{ending}")
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line not in held_out and line not in held_out.values()]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    train(tiny.config(prefix, *settings), tmp_path / "run")
    assert Translator.load(tmp_path / "run").translate(list(held_out)) == list(held_out.values())


@pytest.mark.parametrize(
    "override",
    [
        "tokenizer.kind=characters",
        "tokenizer.joint=false",
        "validation.beam=3",
        "validation.metric=bleu",
        "data.max_length=1",
    ],
)
def test_settings_reach_their_place(
    prefix: Path, tmp_path: Path, override: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    overrides = ["model.tied_embeddings=two_way", override]
    if override == "data.max_length=1":
        with pytest.raises(DataError):
            train(tiny.config(prefix, *overrides), tmp_path / "run")
        return
    train(tiny.config(prefix, *overrides), tmp_path / "run")
    assert "done after update" in caplog.text


def test_a_stop_by_signal_is_saved_and_exact(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = Mock(wraps=learn_shortlist)
    monkeypatch.setattr("nmt.train.learn_shortlist", learned)
    train(config, tmp_path / "whole")
    update, count = Trainer._update, 0

    def stopping(trainer: Trainer, *arguments: object) -> None:
        nonlocal count
        update(trainer, *arguments)  # type: ignore[arg-type]
        count += 1
        if count == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_update", stopping)
    with pytest.raises(Interrupted) as interrupted:
        train(config, tmp_path / "parts")
    assert interrupted.value.signal == signal.SIGTERM
    assert learned.call_count == 1  # in the whole training
    train(config, tmp_path / "parts", resume=True)
    assert learned.call_count == 2
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


SMALL = ("model.embedding_size=16", "model.encoder_size=16", "model.decoder_size=16", "training.batch_tokens=64")

KILLED = """
import os, signal, sys
from nmt.commands.train import main
from nmt.training.trainer import Trainer
import nmt.files

place, count = sys.argv[1], int(sys.argv[2])
calls = 0

def deadly(function):
    def wrapped(*arguments, **keywords):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)
    return wrapped

if place == "update":
    Trainer._update = deadly(Trainer._update)
if place == "save":
    os.fsync = deadly(os.fsync)
sys.exit(main(sys.argv[3:]))
"""


def test_kill_9_at_any_moment_changes_nothing(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("tokenizer: {kind: words}\n", encoding="utf-8")
    arguments = [
        str(tmp_path / "config.yaml"),
        f"data.train={prefix}",
        f"data.valid={prefix}",
        "data.drop_overlap=false",
    ]
    arguments += [*SMALL, "tokenizer.vocabulary_size=60"]
    arguments += [
        "training.max_updates=16",
        "training.batch_tokens=64",
        "training.checkpoint_every=3",
        "training.threads=1",
    ]
    arguments += ["validation.sentences=4"]

    def run(place: str, count: int, output: str, *more: str) -> int:
        command = [
            sys.executable,
            "-c",
            KILLED,
            place,
            str(count),
            *arguments,
            "--output",
            str(tmp_path / output),
            *more,
        ]
        return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode

    assert run("never", 0, "whole") == 0
    assert run("update", 5, "parts") == -signal.SIGKILL
    assert run("save", 12, "parts", "--resume") == -signal.SIGKILL  # in the middle of writing a checkpoint
    assert run("update", 4, "parts", "--resume") == -signal.SIGKILL
    assert run("never", 0, "parts", "--resume") == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert not [path for path in (tmp_path / "parts").rglob(".*") if path.is_dir()]


def test_nothing_left_to_do(config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    train(config, tmp_path / "run")
    before = weights(tmp_path / "run")
    train(config, tmp_path / "run", resume=True)
    assert "nothing left to do" in caplog.text
    assert weights(tmp_path / "run") == before


def test_a_damaged_checkpoint_is_said_and_the_one_before_used(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(config, tmp_path / "run")
    whole = weights(tmp_path / "run")
    newest = CheckpointFolder(tmp_path / "run").all()[-1]
    with (newest / "model.safetensors").open("r+b") as stream:
        stream.truncate(100)
    train(config, tmp_path / "run", resume=True)
    assert "damaged or cut short" in caplog.text
    assert weights(tmp_path / "run") == whole


def faulty(config: Config, output: Path, error: type[UserError], message: str, *, resume: bool = False) -> None:
    with pytest.raises(error, match=message):
        train(config, output, resume=resume)


def test_faults(prefix: Path, config: Config, tmp_path: Path) -> None:
    output = tmp_path / "run"
    faulty(tiny.config(prefix, "data.train=null"), output, ConfigError, r"data\.train: names no corpus")
    faulty(tiny.config(tmp_path / "nowhere"), output, DataError, "nowhere")
    faulty(
        tiny.config(prefix, "tokenizer.kind=unigram", "tokenizer.vocabulary_size=5000"),
        output,
        ConfigError,
        "vocabulary_size",
    )
    (tmp_path / "file").write_text("")
    faulty(config, tmp_path / "file", MachineError, "is a file")
    train(config, output)
    faulty(config, output, ConfigError, "holds a training already; add --resume")
    changed = tiny.config(prefix, "model.decoder_size=32", "data.max_ratio=3")
    faulty(changed, output, ConfigError, r"(?s)data\.max_ratio: 6.0 before, 3.0 now.*model\.decoder_size", resume=True)


def test_resuming_with_no_checkpoint_starts(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run")


SAMPLED = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=290", "tokenizer.sampling=0.2", "training.epochs=1")


def test_a_stop_in_the_terminal_reaches_the_process_in_the_background_too(prefix: Path, tmp_path: Path) -> None:
    """Ctrl-C goes to all processes of the terminal: the update is finished and saved, and it is told once."""
    (tmp_path / "config.yaml").write_text("{}", encoding="utf-8")
    arguments = [f"data.train={prefix}", f"data.valid={prefix}", "data.drop_overlap=false", *SAMPLED, *SMALL]
    command = [sys.executable, "-m", "nmt.commands.train", str(tmp_path / "config.yaml"), *arguments]
    command += ["training.epochs=1000", "training.log_every=1", "--output", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "update 2 " in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 128 + signal.SIGINT
    assert rest.count("stopping after this update") == 1
    assert "Traceback" not in rest
    assert CheckpointFolder(tmp_path / "run").newest()[0]


def test_sampling_goes_on_exactly(prefix: Path, tmp_path: Path) -> None:
    settings = (*SAMPLED, "training.schedule=constant")
    train(tiny.config(prefix, *settings), tmp_path / "whole")
    train(tiny.config(prefix, *settings, "training.max_updates=5"), tmp_path / "parts")
    train(tiny.config(prefix, *settings), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert not multiprocessing.active_children()


def test_the_size_of_updates_stays_unless_it_is_changed(prefix: Path, tmp_path: Path) -> None:
    def tokens(*overrides: str) -> int:
        train(tiny.config(prefix, *overrides), tmp_path / "run", resume=True)
        newest, _ = CheckpointFolder(tmp_path / "run").newest()
        assert newest
        return int(json.loads((newest / "state.json").read_text())["size"]["tokens"])

    assert tokens("training.max_updates=2", "training.accumulate=2") == 128
    assert tokens("training.max_updates=4", "training.accumulate=2", "training.learning_rate=0.01") == 128
    assert tokens("training.max_updates=6", "training.batch_tokens=32") == 32


@pytest.mark.parametrize(
    ("temperature", "shares"), [("null", (100, 4)), ("1", (100, 4)), ("2", (87, 17)), ("1e9", (52, 52))]
)
def test_temperature_makes_weights_from_sizes(temperature: str, shares: tuple[int, int], tmp_path: Path) -> None:
    """√100 to √4 is 5 to 1: of the 104 pairs of an epoch, 87 and 17."""
    for name, size in (("large", 100), ("small", 4)):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{name} {number}\tx\n" for number in range(size)))
    corpora = [str(tmp_path / f"{name}.tsv") for name in ("large", "small")]
    config = tiny.config(tmp_path, f"data.train={corpora}", f"data.temperature={temperature}", "data.valid=[]")
    tokenizers = train_tokenizers(config.tokenizer, read_corpora(config.data.train, config.data))
    stores = prepare(config, tokenizers, tmp_path / "stores")
    batches = list(nmt.train._first_epoch(config, tokenizers, stores))
    names = Counter(name for batch in batches for name in tokenizers.source.pieces(batch.source[:, 0].tolist()))
    assert (names["large"], names["small"]) == shares


# ---- the shortlist


@pytest.fixture
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that are short beside a tiny vocabulary too, and no loss to networks that have learned next to nothing."""
    monkeypatch.setattr("nmt.train.learn_shortlist", functools.partial(learn_shortlist, frequent=2, best=2))
    monkeypatch.setattr("nmt.validation.bleu", lambda *_: 50.0)


@pytest.mark.usefixtures("_short_lists")
@pytest.mark.parametrize("kind", ["stored", "sampled", "streamed"])
def test_the_best_checkpoint_gets_a_shortlist(
    prefix: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    streamed = (f"data.train=[{{path: {prefix}, streaming: true}}]", "training.schedule=constant")
    config = tiny.config(prefix, *{"stored": (), "sampled": SAMPLED, "streamed": streamed}[kind])
    train(config, tmp_path / "run")
    shortlist = load_model(tmp_path / "run").shortlist
    assert shortlist
    assert (len(shortlist.frequent), shortlist.best.shape[1]) == (2, 2)
    assert re.search(
        r"shortlist: \d+ of \d+ pieces for a sentence, \d+ for 64, BLEU .+ with it, .+, kept;", caplog.text
    )
    assert not (tmp_path / "run" / "prepared").exists()
    train(config, tmp_path / "run", resume=True)
    assert caplog.text.count("shortlist: ") == 1


@pytest.mark.usefixtures("_short_lists")
def test_a_training_that_has_ended_gets_its_shortlist_later(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    assert load_model(tmp_path / "run").shortlist is None
    (tmp_path / "text.de").rename(tmp_path / "gone")
    train(tiny.config(prefix), tmp_path / "run", resume=True)
    assert "no shortlist: " in caplog.text
    (tmp_path / "gone").rename(tmp_path / "text.de")
    before = weights(tmp_path / "run")
    train(tiny.config(prefix), tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run").shortlist
    assert weights(tmp_path / "run") == before


@pytest.mark.usefixtures("_short_lists")
def test_a_model_folder_gets_a_shortlist_from_a_corpus_elsewhere(prefix: Path, tmp_path: Path) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    folder = shutil.copytree((tmp_path / "run" / "best").resolve(), tmp_path / "model")
    names = {path.name for path in folder.iterdir()}
    (tmp_path / "moved").mkdir()
    for ending in ("en", "de"):
        (tmp_path / f"text.{ending}").rename(tmp_path / "moved" / f"text.{ending}")
    assert add_shortlist(folder, tiny.config(tmp_path / "moved" / "text"))
    assert load_model(folder).shortlist
    assert {path.name for path in folder.iterdir()} - names == {"shortlist.safetensors"}


@pytest.mark.usefixtures("_short_lists")
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
def test_a_shortlist_leaves_nothing_else_and_a_training_alone(
    prefix: Path, tmp_path: Path, error: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    (tmp_path / "run" / "prepared" / "corpus-0").mkdir(parents=True)  # of a training that goes on
    model = shutil.copytree((tmp_path / "run" / "best").resolve(), tmp_path / "models" / "model")
    before = sorted(tmp_path.rglob("*"))
    if error:
        monkeypatch.setattr("nmt.train.learn_shortlist", Mock(side_effect=error))
    for folder in (tmp_path / "run", model):
        with pytest.raises(error) if error else contextlib.nullcontext():
            add_shortlist(folder)
    after = sorted(tmp_path.rglob("*"))
    assert [path.name for path in after if path not in before] == ([] if error else ["shortlist.safetensors"] * 2)
    assert not set(before) - set(after)


def test_a_training_ends_well_where_the_machine_keeps_it_from_a_shortlist(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.train.learn_shortlist", Mock(side_effect=MachineError("the disk is full")))
    train(tiny.config(prefix), tmp_path / "run")
    assert "no shortlist: the disk is full" in caplog.text
    assert not (tmp_path / "run" / "prepared").exists()


def test_a_shortlist_that_costs_too_much_is_not_kept(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    prefix.with_suffix(".de").rename(prefix.with_suffix(".ja"))  # whose BLEU is that of characters: the lines are short
    sizes = ["model.embedding_size=32", "model.encoder_size=64", "model.decoder_size=64", "data.target_language=ja"]
    config = tiny.config(
        prefix, "training.epochs=30", "training.learning_rate=0.01", "training.batch_tokens=200", *sizes
    )
    monkeypatch.setattr("nmt.train.learn_shortlist", functools.partial(learn_shortlist, frequent=1, best=0))
    train(config, tmp_path / "run")
    assert "not kept: it costs more than 0.1 BLEU" in caplog.text
    assert load_model(tmp_path / "run").shortlist is None
    monkeypatch.setattr("nmt.train.learn_shortlist", functools.partial(learn_shortlist, frequent=1, best=2))
    assert add_shortlist(tmp_path / "run")
    assert load_model(tmp_path / "run").shortlist


def test_a_shortlist_that_is_not_short_is_not_kept(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    train(tiny.config(prefix, "tokenizer.joint=false", "model.tied_embeddings=two_way"), tmp_path / "run")
    assert "not kept: too many to be of use" in caplog.text
    assert load_model(tmp_path / "run").shortlist is None
