"""The code for each kind of processor finds the translations of the plain C code. An emulator runs code for aarch64."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from native_tools import PRECISIONS, make_network, make_sentences, make_shortlist, pack

from nmt.native.build import FOLDER, compile_library, find_compiler
from nmt.native.library import FLOAT32, INT8
from nmt.system.native_library import LIBRARY

SIZE = 300  # tokens of each vocabulary
SENTENCES = make_sentences(1, SIZE, [13, 7, 7, 7, 5, 3, 2, 1])
NETWORKS = {
    "input feeding": {"decoder": "input_feeding", "attention": "general", "encoder_layers": 2},
    "parallel": {"decoder": "parallel", "attention": "dot", "decoder_layers": 2, "tied_embeddings": "three_way"},
    "gru": {"cell": "gru", "attention": "additive", "bridge": "mean", "layer_norm": True},
    "rnn": {"cell": "rnn", "attention": "multi_head", "attention_heads": 2, "decoder_layers": 2, "residual": True},
}
EMULATOR = ("qemu-aarch64", "-cpu", "max", "-L", "/usr/aarch64-linux-gnu")

Translation = tuple[float, list[int]]  # the score and the ids

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler was found")]


@dataclass(frozen=True, kw_only=True)
class Program:
    """The driver for one kind of processor."""

    command: tuple[str, ...]

    def search(self, network: Path, variant: str, beam: int) -> list[Translation] | None:
        """Return the translations of the sentences, or None if the processor cannot run the variant."""
        result = subprocess.run(
            [*self.command, str(network), str(beam)],
            input="".join(f"{' '.join(map(str, sentence.source))}\n" for sentence in SENTENCES),
            env={**os.environ, "NMT_NATIVE": variant},
            capture_output=True,
            text=True,
            check=True,
        )
        used, *lines = result.stdout.splitlines()
        found = [(float(score), [int(token) for token in ids]) for score, *ids in map(str.split, lines)]
        return found if used == variant else None


def compile_driver(folder: Path, compiler: str, library: Path) -> Path:
    driver, source = folder / "driver", Path(__file__).with_name("driver.c")
    rest = [f"-I{FOLDER}", str(source), str(library), f"-Wl,-rpath,{library.parent}", "-lm"]
    subprocess.run([compiler, "-O1", "-o", str(driver), *rest], check=True)
    return driver


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(command=(str(compile_driver(tmp_path_factory.mktemp("here"), "cc", LIBRARY)),))


@pytest.fixture(scope="module")
def aarch64(tmp_path_factory: pytest.TempPathFactory) -> Program:
    compiler = "aarch64-linux-gnu-gcc"
    if not (shutil.which(compiler) and shutil.which(EMULATOR[0])):
        pytest.skip("packages that are not installed: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user")
    folder = tmp_path_factory.mktemp("aarch64")
    with pytest.MonkeyPatch.context() as context:
        context.setenv("CC", compiler)
        assert compile_library(find_compiler(), folder / "libnmt.so") == ["plain", "neon"]
    return Program(command=(*EMULATOR, str(compile_driver(folder, compiler, folder / "libnmt.so"))))


@pytest.fixture(params=NETWORKS)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    sizes = {"embedding_size": 32, "encoder_size": 64, "decoder_size": 64}
    return {**sizes, **NETWORKS[request.param]}


@pytest.fixture(params=PRECISIONS)
def precision(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.fixture
def network(precision: int, settings: dict[str, Any], tmp_path: Path) -> Path:
    """A packed network, which this machine packs. The file is the same for every kind of processor."""
    path = tmp_path / "packed.nmt"
    path.write_bytes(pack(make_network(2, SIZE, **settings), precision, make_shortlist(3, SIZE, 40)))
    return path


def check(program: Program, variant: str, here: Program, network: Path, precision: int) -> None:
    """Compare with the plain code on this machine.

    Instructions differ in how they round. In int8, the last bit of an activation may become another of its 255 values.
    """
    tolerance = {FLOAT32: 1e-5, INT8: 1e-3}[precision]
    for beam in (1, 5):
        expected, found = here.search(network, "plain", beam), program.search(network, variant, beam)
        assert expected is not None
        assert len(expected) == len(SENTENCES)
        if found is None:
            pytest.skip(f"the library or the processor does not have {variant}")
        for (score, ids), (expected_score, expected_ids) in zip(found, expected, strict=True):
            assert ids == expected_ids
            assert score == pytest.approx(expected_score, abs=tolerance, rel=tolerance)


@pytest.mark.parametrize("variant", ["avx2", "avx512vnni", "neon"])
def test_variants_of_this_machine(variant: str, here: Program, network: Path, precision: int) -> None:
    check(here, variant, here, network, precision)


@pytest.mark.parametrize("variant", ["plain", "neon"])
def test_variants_of_aarch64(variant: str, here: Program, aarch64: Program, network: Path, precision: int) -> None:
    check(aarch64, variant, here, network, precision)
