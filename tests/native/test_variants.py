"""The code for each kind of processor finds the translations of the plain C code. An emulator runs code for aarch64."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from native_tools import PRECISIONS, make_network, make_sentences, make_shortlist, packed

from nmt.native.build import FOLDER, compile_library, find_compiler

SIZE = 300  # tokens of each vocabulary
SENTENCES = make_sentences(1, SIZE, [1, 2, 3, 5, 8, 13, 21, 34, 7, 7, 7])
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
    """The driver for one kind of processor, and the variants of the library that can be tested with it."""

    command: tuple[str, ...]
    variants: list[str]

    def search(self, network: Path, variant: str, beam: int) -> list[Translation] | None:
        """Return the translations of the sentences, or None if the processor cannot run the variant."""
        result = subprocess.run(
            [*self.command, str(network), str(beam)],
            input="".join(f"{' '.join(map(str, ids))}\n" for ids in SENTENCES),
            env={**os.environ, "NMT_NATIVE": variant},
            capture_output=True,
            text=True,
            check=True,
        )
        used, *lines = result.stdout.splitlines()
        found = [(float(score), [int(token) for token in ids]) for score, *ids in map(str.split, lines)]
        return found if used == variant else None


def compile_driver(folder: Path, compiler: str, emulator: Sequence[str] = ()) -> Program:
    with pytest.MonkeyPatch.context() as context:
        context.setenv("CC", compiler)
        variants = compile_library(find_compiler(), folder / "libnmt.so")
    driver, source = folder / "driver", Path(__file__).with_name("driver.c")
    rest = [f"-I{FOLDER}", str(source), str(folder / "libnmt.so"), f"-Wl,-rpath,{folder}", "-lm"]
    subprocess.run([compiler, "-O1", "-o", str(driver), *rest], check=True)
    return Program(command=(*emulator, str(driver)), variants=variants)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return compile_driver(tmp_path_factory.mktemp("here"), "cc")


@pytest.fixture(scope="module")
def aarch64(tmp_path_factory: pytest.TempPathFactory) -> Program:
    compiler = "aarch64-linux-gnu-gcc"
    if not (shutil.which(compiler) and shutil.which(EMULATOR[0])):
        pytest.skip("packages that are not installed: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user")
    return compile_driver(tmp_path_factory.mktemp("aarch64"), compiler, EMULATOR)


@pytest.fixture(params=NETWORKS)
def settings(request: pytest.FixtureRequest) -> dict[str, object]:
    sizes = {"embedding_size": 32, "encoder_size": 64, "decoder_size": 64}
    return {**sizes, **NETWORKS[request.param]}


@pytest.fixture(params=PRECISIONS)
def network(request: pytest.FixtureRequest, settings: dict[str, object], tmp_path: Path) -> Path:
    """A packed network, which this machine packs. The file is the same for every kind of processor."""
    content = packed(make_network(2, SIZE, **settings), request.param, make_shortlist(3, SIZE, 40))
    path = tmp_path / "packed.nmt"
    path.write_bytes(content._content)
    return path


def check(program: Program, variant: str, here: Program, network: Path) -> None:
    """Compare with the plain code on this machine. Different instructions may round the last bit differently."""
    for beam in (1, 5):
        expected, found = here.search(network, "plain", beam), program.search(network, variant, beam)
        assert expected is not None
        assert len(expected) == len(SENTENCES)
        if found is None:
            pytest.skip(f"this processor cannot run {variant}")
        assert [ids for _, ids in found] == [ids for _, ids in expected]
        assert [score for score, _ in found] == pytest.approx([score for score, _ in expected], abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("variant", ["avx2", "avx512vnni", "neon"])
def test_variants_of_this_machine(variant: str, here: Program, network: Path) -> None:
    if variant not in here.variants:
        pytest.skip(f"{variant} is for other processors")
    check(here, variant, here, network)


@pytest.mark.parametrize("variant", ["plain", "neon"])
def test_variants_of_aarch64(variant: str, here: Program, aarch64: Program, network: Path) -> None:
    assert aarch64.variants == ["plain", "neon"]
    check(aarch64, variant, here, network)
