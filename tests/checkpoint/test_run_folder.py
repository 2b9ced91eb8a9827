"""The output folder of a training run: checkpoints, and the link to the best one."""

import os
import shutil
from pathlib import Path

import pytest
import tiny

from nmt.checkpoint.folder import TrainingState, build_network, load_model, save_model, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder, find_model_folder
from nmt.data.readers import read_corpora
from nmt.errors import MachineError
from nmt.system.files import DRAFT
from nmt.tokenizers.build import train_tokenizers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint."""
    config = tiny.config(tiny.write_corpus(tmp_path))
    pairs = (pair.sides for pair in read_corpora(config.data.train, config.data))
    tokenizers = train_tokenizers(config.tokenizer, pairs)
    weights = unique_weights(build_network(config, tokenizers))
    save_model(tmp_path / "model", weights, tokenizers, config, TrainingState(tensors=weights, progress="{}"))
    return tmp_path / "model"


def checkpoints(output: Path, folder: Path, *updates: int) -> CheckpointFolder:
    result = CheckpointFolder(output)
    result.folder.mkdir(parents=True)
    for update in updates:
        shutil.copytree(folder, result.path(update))
    return result


def test_the_best_and_the_newest_are_kept(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10, 15, 20, 100)
    saved.choose(10)
    saved.prune(2)
    assert [path.name for path in saved.all()] == ["update-00000010", "update-00000020", "update-00000100"]
    assert saved.best() == saved.path(10).resolve()
    assert load_model(tmp_path / "out").config.model.encoder_size == 16
    saved.choose(100)
    saved.prune(2)
    assert [path.name for path in saved.all()] == ["update-00000020", "update-00000100"]


def test_a_damaged_checkpoint_is_skipped(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10)
    assert saved.newest() == (saved.path(10), [])
    (saved.path(10) / "training.safetensors").write_bytes(b"")
    newest, complaints = saved.newest()
    assert newest == saved.path(5)
    assert len(complaints) == 1
    assert "training.safetensors" in complaints[0]
    assert "copy the whole folder" not in complaints[0]
    (saved.path(5) / "model.safetensors").unlink()
    newest, complaints = saved.newest()
    assert newest is None
    assert [("00000010" in text, "00000005" in text) for text in complaints] == [(True, False), (False, True)]


def test_the_best_checkpoint_is_a_link(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10)
    assert saved.best() is None
    saved.choose_saved(7)  # was never saved
    assert saved.best() is None
    saved.choose_saved(5)
    assert os.readlink(tmp_path / "out" / "best") == "checkpoints/update-00000005"
    shutil.rmtree(saved.path(5))
    assert saved.best() is None


@pytest.mark.parametrize("stale", ["link", "file"])
def test_choosing_replaces_the_draft_of_a_killed_process(tmp_path: Path, folder: Path, stale: str) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10)
    saved.choose(5)
    draft = tmp_path / "out" / f"{DRAFT}best"
    if stale == "link":
        draft.symlink_to("checkpoints/update-00000005")
    else:
        draft.write_text("")
    saved.choose(10)
    assert saved.best() == saved.path(10).resolve()
    assert not os.path.lexists(draft)


def test_choosing_without_write_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="best: cannot be written"):
        CheckpointFolder(tmp_path / "file").choose(5)


def test_checkpoints_after_an_update_are_dropped(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10, 15, 100)
    saved.drop_after(10)
    assert saved.all() == [saved.path(5), saved.path(10)]


def test_the_best_among_the_newest_counts_as_one_of_them(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10, 15)
    saved.choose(15)
    saved.prune(1)
    assert saved.all() == [saved.path(15)]


def test_checkpoints_are_in_the_order_of_their_updates(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 1_000_000, 99, 100_000)
    assert saved.all() == [saved.path(99), saved.path(100_000), saved.path(1_000_000)]


def test_a_folder_and_its_output_folder_are_the_same_model(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10)
    saved.choose(5)
    assert find_model_folder(saved.path(10)) == saved.path(10)
    assert find_model_folder(tmp_path / "out") == saved.path(5).resolve()
    assert load_model(tmp_path / "out").name == str(tmp_path / "out")
