"""Packed models: made at first use, kept where they can be kept, and never used for another model."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from nmt.checkpoint.export import export
from nmt.checkpoint.folder import load_model, save_shortlist
from nmt.checkpoint.manifest import PACKED, verify_folder
from nmt.checkpoint.packed import PackedModel, load_packed
from nmt.errors import ModelError
from nmt.model.candidates import Shortlist
from nmt.system.files import CHECKSUMS, add_file, format_checksums, read_checksums, verify_checksums
from nmt.system.native_library import LIBRARY
from nmt.types import EOS

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the native library is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(MODELS / "gru", tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nmt"


def load(folder: Path) -> PackedModel:
    model = load_packed(folder, "int8")
    assert model is not None
    return model


def test_a_packed_model_is_kept_in_its_folder(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder)
    assert PACKED in verify_checksums(folder)
    assert not cache.exists()
    monkeypatch.setattr("nmt.checkpoint.packed._pack", None)  # it is not packed again
    second = load(folder)
    assert second.config == first.config == load_model(folder).config
    assert second.tokenizers.target.vocabulary() == first.tokenizers.target.vocabulary()
    assert PACKED not in verify_folder(folder)  # so that neither an export nor PyTorch reads it


def test_float32_is_kept_in_the_cache(folder: Path, cache: Path) -> None:
    before = sorted(os.listdir(folder))
    assert load_packed(folder, "fp32") is not None
    assert sorted(os.listdir(folder)) == before
    [file] = cache.iterdir()
    written = file.stat().st_mtime_ns
    assert load_packed(folder, "fp32") is not None
    assert file.stat().st_mtime_ns == written


def test_nothing_is_written_through_a_link_to_the_checksums(folder: Path, cache: Path) -> None:
    (folder / CHECKSUMS).rename(folder / "sums")
    (folder / CHECKSUMS).symlink_to("sums")
    content = (folder / "sums").read_bytes()
    load(folder)
    assert (folder / "sums").read_bytes() == content
    assert len(list(cache.iterdir())) == 1


def test_nothing_is_written_through_a_packed_link(folder: Path, cache: Path, tmp_path: Path) -> None:
    load(folder)
    shutil.move(folder / PACKED, tmp_path / "outside")
    (folder / PACKED).symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match="a link that leaves its folder"):
        load_packed(folder, "int8")
    (tmp_path / "outside").write_text("precious")
    sums = read_checksums(folder)
    (folder / CHECKSUMS).write_text(format_checksums({name: sums[name] for name in sums if name != PACKED}))
    load(folder)  # the link is not listed, so it is not read
    assert (tmp_path / "outside").read_text() == "precious"
    assert len(list(cache.iterdir())) == 1


def test_without_any_place_a_model_is_packed_each_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.checkpoint.packed._is_writable", lambda _: False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    load(folder)
    load(folder)
    assert PACKED not in os.listdir(folder)


def test_a_new_shortlist_is_packed(folder: Path) -> None:
    assert not load(folder).has_shortlist
    sizes = load(folder).network.architecture
    best = np.full((sizes.source_size, 2), EOS)
    save_shortlist(folder, Shortlist(target_size=sizes.target_size, frequent=np.array([EOS, 4]), best=best))
    assert load(folder).has_shortlist
    assert load(folder).network.architecture.best == 2


def test_an_export_has_its_own_packed_file(folder: Path, tmp_path: Path) -> None:
    load(folder)
    export(folder, tmp_path / "small")
    assert PACKED not in os.listdir(tmp_path / "small")
    load(tmp_path / "small")
    assert PACKED in verify_checksums(tmp_path / "small")


def test_a_packed_file_of_another_model_is_replaced(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(MODELS / "rnn", tmp_path / "other")
    load(other)
    add_file(folder, PACKED, (other / PACKED).read_bytes())
    assert load(folder).config.model.cell == "gru"
    before = read_checksums(folder)[PACKED]
    add_file(folder, PACKED, b"nmt-pack of another version")
    assert load(folder).config.model.cell == "gru"
    assert read_checksums(folder)[PACKED] == before


def test_damage_is_reported(folder: Path) -> None:
    load(folder)
    (folder / PACKED).write_bytes((folder / PACKED).read_bytes()[:-1])
    with pytest.raises(ModelError, match=f"{PACKED}: damaged or cut short"):
        load_packed(folder, "int8")


@pytest.mark.parametrize("name", ["copy", "gnmt", "bideep", "layer_norm_lstm"])
def test_other_networks_are_left_to_pytorch(name: str, tmp_path: Path) -> None:
    shutil.copytree(MODELS / name, tmp_path / name)
    assert load_packed(tmp_path / name, "int8") is None
    assert PACKED not in os.listdir(tmp_path / name)
