"""Whole training runs: from text to a model folder, with interruptions and errors."""

import json
import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import tiny
import warm

from nmt.checkpoint.folder import load_model
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.training_text import load_known_words, load_languages
from nmt.commands.train import main
from nmt.config.load import dump_config
from nmt.config.schema import Config
from nmt.errors import ConfigError, DataError, Interrupted, MachineError, ModelError, UserError
from nmt.native import library
from nmt.search.options import SearchOptions
from nmt.system.locks import lock_folder
from nmt.training.run import train
from nmt.training.shortlist import learn_shortlist
from nmt.training.trainer import Trainer
from nmt.translation.translator import Translator


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


def test_contents_of_the_output_folder(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {".lock", "best", "checkpoints", "metrics.jsonl", "train.log", "tensorboard"}
    assert len(Translator.load(tmp_path / "run").translate(["red cat", ""])) == 2


@pytest.mark.skipif(library.load() is None, reason="the native library is not compiled")
def test_the_best_checkpoint_is_packed_for_translation(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    packed = tmp_path / "run" / "best" / "packed.nmt"
    before = packed.stat()
    Translator.load(tmp_path / "run", device="cpu").translate(["red cat"])
    assert (packed.stat().st_ino, packed.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_capped_vocabulary_resumes_with_the_same_configuration(prefix: Path, tmp_path: Path) -> None:
    for epochs in (1, 2):
        config = tiny.config(prefix, "tokenizer.vocabulary_size=4000", f"training.epochs={epochs}")
        train(config, tmp_path / "run", resume=True)
    model = load_model(tmp_path / "run" / "best")
    assert model.config.tokenizer.vocabulary_size == 4000
    assert model.tokenizers.source.size < 4000
    assert model.network.source_embedding.weight.shape[0] == model.tokenizers.source.size


def test_training_learns_to_translate(prefix: Path, tmp_path: Path) -> None:
    """Word-for-word translation of unseen combinations, which needs attention."""
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


def test_kind_of_tokenizer(prefix: Path, tmp_path: Path) -> None:
    for kind, tokens in {"words": ["red", "cat"], "characters": list("red cat")}.items():
        train(tiny.config(prefix, f"tokenizer.kind={kind}"), tmp_path / kind)
        ((translation,),) = Translator.load(tmp_path / kind).nbest(["red cat"])
        assert translation.source_tokens == tokens


def test_separate_tokenizers(prefix: Path, tmp_path: Path) -> None:
    overrides = ["tokenizer.joint=false", "model.tied_embeddings=two_way"]
    train(tiny.config(prefix, *overrides), tmp_path / "run")
    names = {path.name for path in (tmp_path / "run" / "best").iterdir()}
    assert {"source.json", "target.json"} <= names
    assert "tokenizer.json" not in names


def test_beam_of_validation(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Mock(side_effect=SearchOptions)
    monkeypatch.setattr("nmt.training.validation.SearchOptions", build)
    train(tiny.config(prefix, "validation.beam=3", "validation.metric=bleu"), tmp_path / "run")
    assert {call.kwargs["beam"] for call in build.call_args_list} == {3}


@pytest.mark.parametrize(
    ("metric", "title"), [("loss", "loss"), ("bleu", "BLEU"), ("chrf", "chrF2"), ("auto", "chrF2")]
)
def test_metric_of_validation(
    prefix: Path, tmp_path: Path, metric: str, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    train(tiny.config(prefix, f"validation.metric={metric}"), tmp_path / "run")
    [best] = re.findall(rf"; best {title} ([\d.]+) at update \d+", caplog.text)
    assert f"best so far ({title} {best})" in caplog.text


def test_the_default_metric_chooses_by_chrf_where_bleu_is_low(prefix: Path, tmp_path: Path) -> None:
    train(tiny.config(prefix, "validation.metric=auto", "validation.every=3"), tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if record["kind"] == "valid"]
    assert all(record["bleu"] < 10 for record in records)
    best = max(records, key=lambda record: (record["chrf"], -record["update"]))
    assert (tmp_path / "run" / "best").resolve().name == f"update-{best['update']:08}"


def test_max_length_excludes_pairs(prefix: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair to learn from"):
        train(tiny.config(prefix, "data.max_length=1"), tmp_path / "run")


def interrupt(monkeypatch: pytest.MonkeyPatch, updates: int) -> None:
    """Send a signal after this many updates."""
    update, count = Trainer.update_weights, 0

    def stopping(trainer: Trainer, *arguments: object) -> None:
        nonlocal count
        update(trainer, *arguments)  # type: ignore[arg-type]
        count += 1
        if count == updates:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "update_weights", stopping)


def test_resuming_after_a_signal_is_exact(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = Mock(wraps=learn_shortlist)
    monkeypatch.setattr("nmt.training.shortlist.learn_shortlist", learned)
    train(config, tmp_path / "whole")
    interrupt(monkeypatch, 7)
    with pytest.raises(Interrupted) as interrupted:
        train(config, tmp_path / "parts")
    assert interrupted.value.signal == signal.SIGTERM
    assert learned.call_count == 1  # in the whole training
    train(config, tmp_path / "parts", resume=True)
    assert learned.call_count == 2
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_the_best_checkpoint_identifies_its_languages(prefix: Path, tmp_path: Path) -> None:
    train(tiny.config(prefix, "training.max_updates=2", "training.shortlist=false"), tmp_path / "run")
    languages = load_languages(tmp_path / "run")
    assert languages
    assert languages.languages == ("en", "de")
    assert languages.identify("one two three")["en"] > 0.5
    assert languages.identify("eins zwei drei")["de"] > 0.5


def test_the_best_checkpoint_knows_the_source_words_of_its_training_text(prefix: Path, tmp_path: Path) -> None:
    with prefix.with_suffix(".en").open("a") as english, prefix.with_suffix(".de").open("a") as german:
        english.write("zebra held\nelephant\n")
        german.write("zebra gehalten\n\n")
    held_out = tmp_path / "test.tsv"
    held_out.write_text("en\tde\nzebra held\tzebra gehalten\n", encoding="utf-8")
    settings = ("data.drop_overlap=true", f"data.valid={held_out}", "training.max_updates=1")
    train(tiny.config(prefix, *settings), tmp_path / "run")
    known = load_known_words(tmp_path / "run")
    assert known
    assert known.count_unknown(["One RED cat, an elephant!", "zebra"], "en") == (3, 6)


SMALL = ("model.embedding_size=16", "model.encoder_size=16", "model.decoder_size=16", "training.batch_tokens=64")


def train_and_die(place: str, count: int, arguments: list[str]) -> None:
    """Run nmt-train in this process, and kill it at an update or in the middle of writing a checkpoint."""
    calls = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return wrapped

    if place == "update":
        Trainer.update_weights = deadly(Trainer.update_weights)  # type: ignore[method-assign]
    if place == "save":
        os.fsync = deadly(os.fsync)
    sys.exit(main(arguments))


def test_resuming_after_kill_9_is_exact(prefix: Path, tmp_path: Path) -> None:
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

    def run(place: str, count: int, output: str, *more: str) -> int | None:
        command = [*arguments, "--output", str(tmp_path / output), *more]
        return warm.run(train_and_die, place, count, command).status

    assert run("never", 0, "whole") == 0
    assert run("update", 5, "parts") == -signal.SIGKILL
    assert run("save", 12, "parts", "--resume") == -signal.SIGKILL  # in the middle of writing a checkpoint
    assert run("update", 4, "parts", "--resume") == -signal.SIGKILL
    assert run("never", 0, "parts", "--resume") == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert not [path for path in (tmp_path / "parts").rglob(".*") if path.is_dir()]


def test_resuming_a_finished_training_does_nothing(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    train(config, tmp_path / "run")
    before = weights(tmp_path / "run")
    train(config, tmp_path / "run", resume=True)
    assert "nothing left to do" in caplog.text
    assert weights(tmp_path / "run") == before


def test_patience_starts_over_with_another_metric(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    settings = ("training.learning_rate=0", "validation.patience=1", "validation.every=1", "training.shortlist=false")
    train(tiny.config(prefix, *settings, "validation.metric=loss"), tmp_path / "run")
    begun = CheckpointFolder(tmp_path / "run").all()[-1].name
    train(tiny.config(prefix, *settings, "validation.metric=loss"), tmp_path / "run", resume=True)
    assert "nothing left to do" in caplog.text
    caplog.clear()
    train(tiny.config(prefix, *settings, "validation.metric=bleu"), tmp_path / "run", resume=True)
    assert "nothing left to do" not in caplog.text
    assert CheckpointFolder(tmp_path / "run").all()[-1].name > begun


def test_a_resumed_run_keeps_its_metric(prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Earlier versions had another default."""
    caplog.set_level(logging.INFO, "nmt")
    train(tiny.config(prefix, "validation.metric=bleu"), tmp_path / "run")
    train(tiny.config(prefix, "validation.metric=auto", "training.epochs=4"), tmp_path / "run", resume=True)
    assert "validation.metric: the best checkpoint is still chosen by bleu" in caplog.text
    assert len(re.findall(r"; best BLEU [\d.]+ at update", caplog.text)) == 2
    newest, _ = CheckpointFolder(tmp_path / "run").newest()
    assert newest
    assert load_model(newest).config.validation.metric == "bleu"
    train(tiny.config(prefix, "validation.metric=chrf", "training.epochs=5"), tmp_path / "run", resume=True)
    assert re.search(r"; best chrF2 [\d.]+ at update", caplog.text)


def test_kill_before_the_link_to_the_best_is_repaired(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    chosen = (tmp_path / "run" / "best").readlink()
    (tmp_path / "run" / "best").unlink()
    train(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "best").readlink() == chosen


def test_damaged_checkpoint_is_reported_and_the_previous_one_used(
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
    missing = tiny.config(tmp_path / "nowhere", f"data.held_out={tmp_path / 'neither'}", "data.drop_overlap=true")
    faulty(
        missing, output, DataError, r"(?s)data\.train: .*nowhere.*\ndata\.valid: .*nowhere.*\ndata\.held_out: .*neither"
    )
    (tmp_path / "empty.tsv").write_text("")
    empty = tiny.config(prefix, f"data.train={tmp_path / 'empty.tsv'}", "data.valid={dataset: ./nowhere}")
    message = (
        r"(?s)data\.train: .*empty\.tsv: contains no sentence pairs.*\ndata\.valid: \./nowhere: no such file or folder"
    )
    faulty(empty, output, DataError, message)
    assert not output.exists()
    too_small = tiny.config(prefix, "tokenizer.kind=unigram", "tokenizer.vocabulary_size=270")
    faulty(too_small, output, ConfigError, "vocabulary_size: 270 is too small")
    (tmp_path / "file").write_text("")
    faulty(config, tmp_path / "file", MachineError, "is a file")
    train(config, output)
    faulty(config, output, ConfigError, "already contains a training run; add --resume")
    changed = tiny.config(prefix, "model.decoder_size=32", "data.max_ratio=3", "training.seed=2")
    message = r"(?s)data\.max_ratio: 6.0 before, 3.0 now.*model\.decoder_size.*training\.seed: 1 before, 2 now"
    faulty(changed, output, ConfigError, message, resume=True)
    changed = tiny.config(prefix, "data.train=[{path: other, tag: <bt>}]")
    message = (
        rf"data\.train: \[{{path: {prefix}}}\] before, \[{{path: other, tag: <bt>}}\] now; "
        "--resume needs the same value"
    )
    faulty(changed, output, ConfigError, message, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_another_process_trains_in_is_refused(config: Config, tmp_path: Path, resume: bool) -> None:
    (tmp_path / "run").mkdir()
    with lock_folder(tmp_path / "run"):
        faulty(config, tmp_path / "run", MachineError, "run: process [0-9]+ on .* is using this folder", resume=resume)
        assert os.listdir(tmp_path / "run") == [".lock"]


def test_command_refuses_a_locked_folder_in_one_line(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    with lock_folder(tmp_path / "run"):
        assert main([str(tmp_path / "config.yaml"), "--output", str(tmp_path / "run"), "--resume"]) == 2
    assert re.fullmatch(
        r"nmt-train: error: .*run: process [0-9]+ on .* is using this folder; .*\n", capsys.readouterr().err
    )


def test_the_lock_is_held_until_the_end(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def check() -> None:
        with pytest.raises(MachineError, match="is using this folder"), lock_folder(tmp_path / "run"):
            pass
        refused.append(True)

    monkeypatch.setattr("nmt.training.run.check_new_training", lambda _: check())
    monkeypatch.setattr("nmt.training.run.add_shortlist_to", lambda *_: check())
    train(config, tmp_path / "run")
    assert refused == [True, True]
    with lock_folder(tmp_path / "run"):
        pass


def test_missing_extra_is_reported_before_training(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    faulty(tiny.config(prefix, "training.tensorboard=true"), tmp_path / "run", MachineError, r"nmt\[tensorboard\]")
    assert not (tmp_path / "run").exists()


def test_missing_bf16_is_reported_before_training(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.system.devices.runs_bf16", lambda _: False)
    faulty(tiny.config(prefix, "training.precision=bf16"), tmp_path / "run", MachineError, "precision bf16")
    assert not (tmp_path / "run").exists()


def test_resuming_with_no_checkpoint_starts(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run")


SAMPLED = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=290", "tokenizer.sampling=0.2", "training.epochs=1")


def test_ctrl_c_also_reaches_the_background_process(prefix: Path, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all its processes: the update is finished and saved, and one message is printed."""
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


def test_resuming_with_sampling_is_exact(prefix: Path, tmp_path: Path) -> None:
    settings = (*SAMPLED, "training.schedule=constant")
    train(tiny.config(prefix, *settings), tmp_path / "whole")
    train(tiny.config(prefix, *settings, "training.max_updates=5"), tmp_path / "parts")
    train(tiny.config(prefix, *settings), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert not multiprocessing.active_children()


def test_a_resumed_training_keeps_its_update_size_unless_it_is_changed(prefix: Path, tmp_path: Path) -> None:
    def tokens(*overrides: str) -> int:
        train(tiny.config(prefix, *overrides), tmp_path / "run", resume=True)
        newest, _ = CheckpointFolder(tmp_path / "run").newest()
        assert newest
        return int(json.loads((newest / "state.json").read_text())["size"]["tokens"])

    assert tokens("training.max_updates=2", "training.accumulate=2") == 128
    assert tokens("training.max_updates=4", "training.accumulate=2", "training.learning_rate=0.01") == 128
    assert tokens("training.max_updates=6", "training.batch_tokens=32") == 32


def test_a_training_starts_from_another_model(prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fine-tuning with a new tag: the frozen part stays, the rest learns, --resume does not need the first model."""
    caplog.set_level(logging.INFO, "nmt")
    settings = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=310", "training.schedule=constant")
    train(tiny.config(prefix, *settings), tmp_path / "first")
    first = load_model(tmp_path / "first")
    tuned = [*settings, f"training.start_from={tmp_path / 'first'}", "training.freeze=[encoder]", "training.seed=3"]
    tuned += ['tokenizer.symbols=["<fr>"]', "training.shortlist=false"]
    train(tiny.config(prefix, *tuned), tmp_path / "whole")
    assert "has 310 of 311 target tokens" in caplog.text
    whole = load_model(tmp_path / "whole")
    assert whole.tokenizers.source.encode("<fr> dog")[-1] != 310
    assert 310 in whole.tokenizers.source.encode("<fr> dog")
    for name, weight in whole.network.named_parameters():
        same = weight.shape == first.network.get_parameter(name).shape and weight.equal(
            first.network.get_parameter(name)
        )
        assert same == name.startswith("encoder.")
    validations = [
        json.loads(line)
        for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
        if '"valid"' in line
    ]
    assert validations[0]["loss"] < 5.0  # three epochs of the first model do not reach this
    train(tiny.config(prefix, *tuned, "training.max_updates=5"), tmp_path / "parts")
    (tmp_path / "first").rename(tmp_path / "gone")
    train(tiny.config(prefix, *tuned), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    faulty(tiny.config(prefix, *tuned), tmp_path / "new", ModelError, "first: no such folder")


def test_missing_vocabulary_is_reported_before_training(prefix: Path, tmp_path: Path) -> None:
    config = tiny.config(prefix, f"tokenizer.source_model={tmp_path / 'no.model'}", "tokenizer.kind=bpe")
    faulty(config, tmp_path / "run", ConfigError, r"no\.model: not a usable SentencePiece \.model")
    assert not (tmp_path / "run").exists()


def test_start_from_another_network_is_reported_before_training(prefix: Path, tmp_path: Path) -> None:
    train(tiny.config(prefix, "training.epochs=1", "training.shortlist=false"), tmp_path / "first")
    other = tiny.config(prefix, f"training.start_from={tmp_path / 'first'}", "model.decoder_size=18")
    faulty(other, tmp_path / "other", ConfigError, "decoder_size is 16 there and 18 here")
    assert not (tmp_path / "other").exists()


def test_resuming_minimum_risk_training_is_exact(prefix: Path, tmp_path: Path) -> None:
    shared = ("training.shortlist=false", "training.schedule=constant", "training.learning_rate=0.01")
    train(tiny.config(prefix, *shared), tmp_path / "first")
    risk = (*shared, f"training.start_from={tmp_path / 'first'}", "training.objective=risk", "training.risk_samples=3")
    mixed = (*risk, "training.likelihood_share=0.2", "training.epochs=1")
    train(tiny.config(prefix, *mixed), tmp_path / "whole")
    train(tiny.config(prefix, *mixed, "training.max_updates=5"), tmp_path / "parts")
    train(tiny.config(prefix, *mixed), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    for number, change in enumerate(("risk_cost=chrf", "risk_sharpness=0.5", "risk_samples=4", "likelihood_share=0")):
        train(tiny.config(prefix, *mixed, f"training.{change}"), tmp_path / f"other{number}")
        assert weights(tmp_path / f"other{number}") != weights(tmp_path / "whole")


def test_training_outside_the_main_thread(prefix: Path, tmp_path: Path) -> None:
    short = tiny.config(prefix, "training.max_updates=1")
    with ThreadPoolExecutor(1) as executor:
        executor.submit(train, short, tmp_path / "run").result()
    assert Translator.load(tmp_path / "run").translate("red cat")
    with pytest.raises(TypeError, match="config is a str, not a Config"):
        train("configs/quickstart.yaml", tmp_path / "other")  # type: ignore[arg-type]
