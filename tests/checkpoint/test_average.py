"""nmt-average: the mean of models, and models that cannot be averaged."""

import shutil
from pathlib import Path

import pytest
import tiny
import torch

from nmt.checkpoint.average import cosine, find_newest_checkpoints
from nmt.checkpoint.folder import load_model
from nmt.checkpoint.manifest import LANGUAGES
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.tensors import load_tensors
from nmt.checkpoint.training_text import load_known_words, load_languages
from nmt.commands.average import main
from nmt.system.files import add_file, verify_checksums
from nmt.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = ("training.max_updates=9", "training.checkpoint_every=3", "training.keep_checkpoints=3")
    train(tiny.config(tiny.write_corpus(folder), *settings, "validation.every=9"), folder / "run")
    return folder / "run"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "model.safetensors")


def test_the_mean_of_the_last_checkpoints(run: Path, tmp_path: Path) -> None:
    assert main([str(run), "--last", "3", "--output", str(tmp_path / "mean")]) == 0
    parts = [weights(folder) for folder in CheckpointFolder(run).all()]
    assert len(parts) == 3
    for name, mean in weights(tmp_path / "mean").items():
        torch.testing.assert_close(mean, torch.stack([part[name] for part in parts]).mean(dim=0))
    names = {"config.yaml", "tokenizer.json", "normalization.json", "truecase.json", "model.safetensors"}
    assert verify_checksums(tmp_path / "mean") == names
    assert load_model(tmp_path / "mean").config == load_model(run).config


def test_models_by_name(run: Path, tmp_path: Path) -> None:
    first, second, third = CheckpointFolder(run).all()
    assert main([str(first), str(first), str(third), "--output", str(tmp_path / "mean")]) == 0
    for name, mean in weights(tmp_path / "mean").items():
        torch.testing.assert_close(mean, (2 * weights(first)[name] + weights(third)[name]) / 3)
    assert main([str(second), "--output", str(tmp_path / "same")]) == 0
    assert all(torch.equal(weight, weights(second)[name]) for name, weight in weights(tmp_path / "same").items())
    assert find_newest_checkpoints(run, 2) == [second, third]


def test_mean_is_rounded_once(run: Path, tmp_path: Path) -> None:
    """The mean of equal weights is each of them to the last bit, for which sums in float32 are too coarse."""
    first = CheckpointFolder(run).all()[0]
    assert main([*[str(first)] * 7, "--output", str(tmp_path / "same")]) == 0
    assert all(torch.equal(mean, weights(first)[name]) for name, mean in weights(tmp_path / "same").items())


def test_the_cosine_of_two_networks() -> None:
    ones = {"a": torch.ones(2, 2), "b": torch.ones(5)}
    halves = {"b": torch.cat([torch.ones(2), -torch.ones(3)]), "a": torch.ones(2, 2)}
    assert cosine(ones, ones) == pytest.approx(1)
    assert cosine(ones, halves) == pytest.approx((6 - 3) / 9)


def test_averaging_independent_models_warns(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in ((1, "same"), (2, "other")):
        config = tiny.config(
            run.parent / "text", "training.max_updates=5", "training.shortlist=false", f"training.seed={seed}"
        )
        train(config, tmp_path / name)
        capsys.readouterr()
        assert main([str(run), str(tmp_path / name), "--output", str(tmp_path / f"mean-{name}")]) == 0
        assert load_languages(tmp_path / f"mean-{name}")  # of the first model
        assert load_known_words(tmp_path / f"mean-{name}")
        assert (": not related to " in capsys.readouterr().err) == (name == "other")


def test_faults_are_one_line_and_leave_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def other(name: str, *overrides: str) -> None:
        config = tiny.config(run.parent / "text", "training.max_updates=1", "training.shortlist=false", *overrides)
        train(config, tmp_path / name)

    other("larger", "model.decoder_size=18", "model.bridge=final")
    other("words", "tokenizer.vocabulary_size=20")
    shutil.copytree(run / "checkpoints" / "update-00000009", tmp_path / "model")
    capsys.readouterr()
    before = sorted(tmp_path.iterdir())
    faults = {
        (str(tmp_path / "larger"),): "in model.decoder_size, model.bridge; average models of one configuration",
        (str(tmp_path / "words"),): "in the source vocabulary, the target vocabulary; average",
        (str(tmp_path / "nowhere"),): "nowhere: no such folder",
        ("--last", "4"): "holds 3 checkpoints, not 4; ask for fewer",
        (str(tmp_path / "model"), "--last", "1"): "model: holds 0 checkpoints, not 1",
    }
    for arguments, message in faults.items():
        assert main([str(run), *arguments, "--output", str(tmp_path / "mean")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("nmt-average: error: ")
        assert message in error
        assert error.count("\n") == 1
    assert main([str(run), "--output", str(tmp_path / "model")]) == 2
    assert "model: exists already; name a new folder" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_keys_that_act_in_training_only_may_differ(run: Path, tmp_path: Path) -> None:
    train(tiny.config(run.parent / "text", "training.max_updates=1", "model.dropout=0.3"), tmp_path / "other")
    assert main([str(run), str(tmp_path / "other"), "--output", str(tmp_path / "mean")]) == 0


def test_damaged_languages_leave_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    shutil.copytree(Path(__file__).parents[1] / "models" / "0.1.0" / "rnn", model)
    add_file(model, LANGUAGES, b"not a model of languages")
    assert main([str(model), "--output", str(tmp_path / "mean")]) == 2
    assert LANGUAGES in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
