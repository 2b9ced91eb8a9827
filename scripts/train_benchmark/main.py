"""Compare the target tokens per second and the peak memory of training configurations and other toolkits.

    scripts/bench-train configs/bench-std.yaml data.train=DIR/train data.valid=DIR/val --variant model.decoder=parallel

Each contender is a process with one thread on one core, and a GPU if training.device finds one. The contenders take
turns, and the result is the median of the rounds. Tokens are target tokens and one end of sentence per sentence,
without padding. Start, validation and the first updates are not measured.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch

from nmt.checkpoint.folder import build_network
from nmt.config.load import load_config
from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.data.batching import Batches
from nmt.data.cursor import Cursor, UpdateSize
from nmt.data.prepare import prepare
from nmt.data.readers import read_round_robin
from nmt.data.updates import UpdateOptions
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import Seq2Seq
from nmt.system.devices import autocast_dtype, choose_device
from nmt.system.machine import keep_memory
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.training.objective import Likelihood
from nmt.training.optimizer import build_optimizers, make_step
from train_benchmark.parts import Parts, Products, by_part, ceiling, peak
from train_benchmark.plain import PlainSeq2Seq

STARTER = Path(__file__).parents[1] / "bench-train"

WARM_UP = 50  # the number of updates before the measurement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a configuration of nmt-train")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="overrides")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="'section.key=value ...'",
        help="an override; measure the configuration with it too",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="COMMAND",
        help="another toolkit: a command whose last line is THROUGHPUT NAME TOKENS_PER_SECOND PEAK_MIB",
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="measure torchrun with N processes too, one core per process"
    )
    parser.add_argument("--updates", type=int, default=150, help="the number of updates that are measured (150)")
    parser.add_argument("--rounds", type=int, default=3, help="the number of rounds (3)")
    parser.add_argument("--core", type=int, default=0, help="the number of the core (0)")
    parser.add_argument(
        "--profile", action="store_true", help="only measure the parts of an update, and the limit of the machine"
    )
    # An option for the process of the reference.
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    if options.profile or options.plain:
        torch.set_num_threads(1)
        config = load_config(options.config, options.overrides)
        (show_profile if options.profile else run_plain)(config, options.updates)
    else:
        compare(options)


# ---- contenders in turns


def compare(options: argparse.Namespace) -> None:
    given = [options.config, *options.overrides]
    ours = {"nmt": given} | {f"nmt {change}": [*given, *change.split()] for change in options.variant}
    speeds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}

    def note(name: str, speed: float, peak: float) -> None:
        speeds.setdefault(name, []).append(speed)
        memory.setdefault(name, []).append(peak)
        print(f"{name:40}  {speed:7.0f} tokens/s  {peak:6.0f} MiB", flush=True)

    for number in range(options.rounds):
        print(f"round {number + 1}", flush=True)
        for name, arguments in ours.items():
            note(name, *train(arguments, options.updates, [options.core]))
            if options.processes:
                cores = range(options.core, options.core + options.processes)
                note(f"{name}, {options.processes} processes", *train(arguments, options.updates, cores))
        plain = [sys.executable, str(STARTER), "--plain", *given, "--updates", str(max(10, options.updates // 3))]
        for command in (plain, *map(shlex.split, options.against)):
            note(*throughput(command, options.core))
    table(speeds, memory)


def table(speeds: dict[str, list[float]], memory: dict[str, list[float]]) -> None:
    first = median(next(iter(speeds.values())))
    print(f"\n{'contender':40}  {'tokens/s':>8}  {'least':>7}  {'most':>7}  {'MiB':>6}  nmt is faster by")
    for name, values in speeds.items():
        middle = median(values)
        peak = max(memory[name])
        print(f"{name:40}  {middle:8.0f}  {min(values):7.0f}  {max(values):7.0f}  {peak:6.0f}  {first / middle:.2f}")


def train(arguments: Sequence[str], updates: int, cores: Sequence[int]) -> tuple[float, float]:
    """Run nmt-train. Return its tokens per second and the peak memory of one process in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"training.max_updates={WARM_UP + updates}", "training.log_every=10", "training.threads=1"]
        program = [sys.executable, "-m", "nmt.commands.train"]
        if len(cores) > 1:
            program = [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                f"--nproc-per-node={len(cores)}",
                "-m",
                "nmt.commands.train",
            ]
        command = [*program, *arguments, *settings, "validation.sentences=8", "--output", folder]
        _, peak = run(command, cores)
        records = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    speeds = [
        record["tokens_per_second"] for record in records if record["kind"] == "train" and record["update"] > WARM_UP
    ]
    return median(speeds), peak


def throughput(command: Sequence[str], core: int) -> tuple[str, float, float]:
    """Run a command. Return the name, the speed and the peak memory in its last line."""
    output, _ = run(command, [core])
    _, name, speed, peak = output.strip().splitlines()[-1].split()
    return name, float(speed), float(peak)


def run(command: Sequence[str], cores: Sequence[int]) -> tuple[str, float]:
    """Run a command on these cores, one thread each. Return its output and its peak memory in MiB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if status:
            sys.exit(f"{shlex.join(command)} failed:\n{errors.read()[-2000:]}")
        output.seek(0)
        return output.read(), usage.ru_maxrss / 1024


# ---- the reference


def run_plain(config: Config, updates: int) -> None:
    """Train the plain network and print its speed."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizers, batches = load(config, Path(folder))
        device = choose_device(config.training.device)
        network = PlainSeq2Seq(config.model, tokenizers.source.size, tokenizers.target.size).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=config.training.learning_rate)
        tokens, begin = 0, time.perf_counter()
        for number, batch in enumerate(islice(batches, 10 + updates)):
            if number == 10:
                tokens, begin = 0, time.perf_counter()
            (network(batch.to(device), config.training.label_smoothing) / batch.target_tokens).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.training.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            tokens += batch.target_tokens
        speed = tokens / (time.perf_counter() - begin)
    peak = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])
    print("THROUGHPUT", "nn.LSTM,_float32,_eager", f"{speed:.1f}", peak // 1024)


def load(config: Config, folder: Path) -> tuple[Tokenizers, Iterator[Batch]]:
    """Return the tokenizers, and an endless iterator over the batches of the training."""
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_round_robin(config.data.train, config.data)), config.data.tags
    )
    source = Batches(
        prepare(config, tokenizers, folder),
        tokenizers=tokenizers,
        weights=None,
        options=UpdateOptions(
            size=UpdateSize(tokens=config.training.batch_tokens, sentences=config.training.batch_sentences),
            sampling=config.tokenizer.sampling > 0,
            seed=config.training.seed,
        ),
    )
    return tokenizers, (update.batches[0] for update in source.updates(Cursor()))


# ---- where the time goes


def show_profile(config: Config, updates: int) -> None:
    """Print the seconds of each part of an update, and compare its matrix products with the machine's limit."""
    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        tokenizers, batches = load(config, Path(folder))
        device = choose_device(config.training.device)
        network = build_network(config, tokenizers).to(device)
        optimizers = build_optimizers(network, config.training)
        dtype = autocast_dtype(config.training.precision, device)
        parts, tokens = Parts(), 0
        products = Products()
        for number in range(10 + updates):
            if number == 10:
                parts, tokens = Parts(), 0
            with parts.part("whole update"):
                with parts.part("data"):
                    batch = next(batches).to(device)
                update(network, optimizers, batch, config, dtype, parts)
            tokens += batch.target_tokens
        seen = [batch.to(device) for batch in islice(batches, min(20, updates))]
        # The native library computes the same products as torch, but only products of torch can be counted.
        with products, patch("nmt.model.autograd.native.load", return_value=None):
            for batch in seen:
                update(network, optimizers, batch, config, dtype, Parts())
        figures = {**by_part(network, seen, dtype, config.training.label_smoothing), **parts.medians()}
    whole, total = figures["whole update"], sum(parts.seconds["whole update"])
    for name, seconds in figures.items():
        print(f"{name:24} {1000 * seconds:8.1f} ms  {100 * seconds / whole:5.1f} %")
    counted = sum(batch.target_tokens for batch in seen)
    operations, least = (
        products.operations() / counted,
        ceiling(products.shapes, dtype or torch.float32, device) / counted,
    )
    achieved = operations * tokens / total
    print(f"tokens per second        {tokens / total:8.0f}")
    print(f"operations per token     {operations / 1e6:8.1f} million, in matrix products")
    print(f"achieved                 {achieved / 1e9:8.0f} GFLOP/s in the whole update")
    limits = {
        "ceiling of these shapes": operations / least,
        "large product": peak(dtype or torch.float32, device),
    }
    for name, limit in limits.items():
        print(f"{name:24} {limit / 1e9:8.0f} GFLOP/s; achieved {100 * achieved / limit:.0f} %")


def update(
    network: Seq2Seq,
    optimizers: list[torch.optim.Optimizer],
    batch: Batch,
    config: Config,
    dtype: torch.dtype | None,
    parts: Parts,
) -> None:
    """Run an update as the trainer does."""
    device = batch.source.device
    randomness = Randomness(generator=torch.Generator(device).manual_seed(1))
    with parts.part("forward and loss"), torch.autocast(device.type, dtype, enabled=dtype is not None):
        loss = Likelihood.of(config.training)(network, batch, randomness)
    with parts.part("backward"):
        loss.backward()
    with parts.part("norm and optimizer"):
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        float(torch.nn.utils.get_total_norm(gradients))
        scale = torch.tensor(float(batch.target_tokens), device=device)
        make_step(optimizers, rate=config.training.learning_rate, scale=scale)


def run_script() -> int:
    main()
    return 0
