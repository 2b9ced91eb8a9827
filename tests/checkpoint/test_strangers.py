"""Model folders of strangers: nothing outside is read or written, and sizes are compared before memory is taken."""

import hashlib
import json
import os
import resource
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from nmt.checkpoint.average import average
from nmt.checkpoint.export import export
from nmt.checkpoint.folder import build_network, load_model, save_model, unique_weights
from nmt.checkpoint.manifest import MANIFEST, verify_folder
from nmt.checkpoint.run_folder import find_model_folder
from nmt.checkpoint.tensors import load_tensors
from nmt.data.readers import read_corpora
from nmt.errors import ModelError
from nmt.system.files import CHECKSUMS, format_checksums
from nmt.tokenizers.build import train_tokenizers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    config = tiny.config(tiny.write_corpus(tmp_path / "corpus"))
    pairs = read_corpora(config.data.train, config.data)
    tokenizers = train_tokenizers(config.tokenizer, (pair.sides for pair in pairs))
    save_model(tmp_path / "model", unique_weights(build_network(config, tokenizers)), tokenizers, config)
    return tmp_path / "model"


def list_files(folder: Path, *more: str) -> None:
    """Renew the list of checksums, with further names."""
    names = [path.name for path in folder.iterdir() if path.name != CHECKSUMS]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in {*names, *more}}
    (folder / CHECKSUMS).write_text(format_checksums(sums), encoding="utf-8")


@pytest.mark.parametrize("name", ["../payload", "/etc/passwd", "a/b", "a\\b", "..", ".", "a\x1b[31m", "\u202ea", "-rf"])
def test_names_that_leave_the_folder(folder: Path, name: str) -> None:
    path = folder / CHECKSUMS
    lines = path.read_text(encoding="utf-8").splitlines()[:-1]
    sums = {line[66:]: line[:64] for line in lines} | {name: "0" * 64}
    path.write_text(format_checksums(sums), encoding="utf-8")
    for use in (load_model, lambda path: export(path, path.parent / "new")):
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            use(folder)
    assert sorted(os.listdir(folder.parent)) == ["corpus", "model"]


def test_other_files_are_neither_read_nor_copied(folder: Path) -> None:
    (folder / "payload").write_text("x", encoding="utf-8")
    (folder / "secret").symlink_to("/etc/passwd")
    list_files(folder, "payload", "secret")
    before = set(os.listdir(folder))
    export(folder, folder.parent / "small")
    average([folder, folder], folder.parent / "mean")
    for new in ("small", "mean"):
        assert set(os.listdir(folder.parent / new)) == before - {"payload", "secret"}
    (folder / "payload").unlink()  # not even counted
    assert load_model(folder)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    path.touch()
    try:
        os.truncate(path, 200 << 30)
    except OSError:  # a file system with smaller files
        os.truncate(path, 5 << 30)


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (make_pipe, "not a regular file"),
    "a folder": (lambda path: path.mkdir(), "not a regular file"),
    "a huge file": (make_sparse, "are allowed"),
    "a link outside": (lambda path: path.symlink_to("/etc/passwd"), "a link that leaves its folder"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "a link that leaves its folder"),
    "a circle": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "nothing": (lambda _: None, "missing|no readable"),
}


@pytest.mark.parametrize("name", ["config.yaml", "tokenizer.json", "model.safetensors", CHECKSUMS])
@pytest.mark.parametrize("kind", HOSTILE)
def test_only_regular_files_of_bounded_size_are_read(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    make, says = HOSTILE[kind]
    make(folder / name)
    with pytest.raises(ModelError, match=rf"{says}|not a model folder"):
        load_model(folder)


def test_links_inside_the_folder_and_in_a_cache_of_the_hub_are_followed(folder: Path) -> None:
    (folder / "weights").mkdir()
    shutil.move(folder / "model.safetensors", folder / "weights" / "1")
    (folder / "model.safetensors").symlink_to("weights/1")
    assert load_model(folder)

    repository = folder.parent / "models--nmt--tiny"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, name in enumerate((*MANIFEST, CHECKSUMS)):
        if (folder / name).exists():
            shutil.copyfile(folder / name, repository / "blobs" / f"{number:040x}")
            (snapshot / name).symlink_to(f"../../blobs/{number:040x}")
    assert load_model(snapshot)
    (snapshot / "config.yaml").unlink()
    (snapshot / "config.yaml").symlink_to(f"../../../{folder.name}/config.yaml")
    with pytest.raises(ModelError, match="leaves its folder"):
        load_model(snapshot)


def test_the_best_checkpoint_is_inside(folder: Path) -> None:
    output = folder.parent / "output"
    (output / "checkpoints").mkdir(parents=True)
    (output / "best").symlink_to(folder)
    with pytest.raises(ModelError, match=r"a link that leaves .*output; name the model folder itself"):
        find_model_folder(output)


def test_an_incomplete_list(folder: Path) -> None:
    path = folder / CHECKSUMS
    text = path.read_text(encoding="utf-8")
    *lines, seal = text.splitlines(keepends=True)
    cut = [
        "",
        seal,
        "".join(lines[:-1]),
        "".join(lines[1:]),
        "".join([*lines[1:], seal]),
        text[:-1],
        text * 2,
        text[1:],
    ]
    for wrong in cut:
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ModelError, match="copy the whole folder again"):
            load_model(folder)
    path.write_text("".join(lines), encoding="utf-8")  # as older versions wrote it
    rules = {"normalization.json", "truecase.json"}
    assert verify_folder(folder) == {"config.yaml", "model.safetensors", "tokenizer.json", *rules}


SIZES: list[dict[str, Any]] = [
    {"embedding_size": 16_384},
    {"encoder_size": 16_384},
    {"decoder_size": 16_384},
    {"encoder_layers": 32, "encoder_size": 16_384},
    {"decoder_transitions": 32, "decoder_size": 4096},
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes_are_compared_before_memory_is_taken(folder: Path, sizes: dict[str, Any]) -> None:
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    for key, value in sizes.items():
        text = "\n".join(f"  {key}: {value}" if line.startswith(f"  {key}:") else line for line in text.split("\n"))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    list_files(folder)
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (300 << 20), before[1]))
    try:
        with pytest.raises(ModelError, match=r"does not fit config\.yaml"):
            load_model(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def write_header(path: Path, header: object, data: bytes = b"", length: int | None = None) -> None:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded) if length is None else length) + encoded + data)


def entry(shape: object, offsets: object, dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


TWICE = b'{"a": %b, "a": %b}' % tuple(json.dumps(entry([1], [at, at + 4])).encode() for at in (0, 4))
HEADERS: list[tuple[object, int, int | None]] = [
    ({}, 0, 2**63),
    ({}, 0, 2**64 - 1),
    ({}, 0, 0),
    ({}, 8, None),
    (b"[" * 100_000, 0, None),
    (b"nonsense", 0, None),
    (b'{"a": 1' + b"0" * 6000 + b"}", 0, None),
    ({"a": entry([2], [0, 8])}, 4, None),
    ({"a": entry([2**31, 2**31, 2**31], [0, 8])}, 8, None),
    ({"a": entry([2], [0, 8]), "b": entry([2], [4, 12])}, 12, None),
    ({"a": entry([2], [0, 8]), "b": entry([2], [12, 20])}, 20, None),
    ({"a": entry([-2], [8, 0])}, 8, None),
    ({"a": entry([2.0], [0, 8])}, 8, None),
    ({"a": entry([True, 2], [0, 8])}, 8, None),
    ({"a": entry([2], [0, 8], "F8_E4M3")}, 8, None),
    ({"a": entry([2], [0, 8], ["F32"])}, 8, None),
    ({"a": entry([1] * 60, [0, 4])}, 4, None),
    ({"a": 3}, 0, None),
    ([], 0, None),
    (TWICE, 8, None),
]  # fmt: skip


@pytest.mark.parametrize(("header", "size", "length"), HEADERS, ids=lambda value: str(value)[:50])
def test_headers_that_lie(tmp_path: Path, header: object, size: int, length: int | None) -> None:
    write_header(tmp_path / "x.safetensors", header, bytes(size), length)
    with pytest.raises(ModelError, match=r"cannot be read .*; copy the whole folder again"):
        load_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("spaces", [0, 1, 7])
def test_tensors_need_not_be_aligned(tmp_path: Path, spaces: int) -> None:
    header = json.dumps({"a": entry([2], [0, 8]), "none": entry([0, 3], [8, 8])}).encode() + b" " * spaces
    write_header(tmp_path / "x.safetensors", header, struct.pack("<ff", 1.5, -2.0))
    tensors = load_tensors(tmp_path / "x.safetensors")
    assert tensors["a"].tolist() == [1.5, -2.0]
    assert tensors["none"].shape == (0, 3)


def test_scales_must_fit_their_matrices(folder: Path) -> None:
    model = load_model(folder)
    weights = unique_weights(model.network)
    name = "target_embedding.weight"
    rows = weights[name].size(0)
    small = weights | {name: torch.ones_like(weights[name], dtype=torch.int8)}
    for scale in (torch.ones(1_000_000), torch.ones(rows, 1), torch.ones(rows).double(), torch.ones(rows).int()):
        save_model(folder, small | {f"{name}.scale": scale}, model.tokenizers, model.config)
        with pytest.raises(ModelError, match=rf"{name}\.scale does not fit {name}"):
            load_model(folder)


def test_the_manifest_covers_what_is_written(folder: Path) -> None:
    assert set(os.listdir(folder)) <= {*MANIFEST, CHECKSUMS}
