"""Commands on a disk that is full, and again after there is space."""

import contextlib
import ctypes
import json
import os
import random
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing.case import Case, import_for_training
from fuzzing.commands import CONFIG
from fuzzing.kills import start_training, wait
from fuzzing.models import ROOT, write_corpus
from nmt.commands import average, evaluate, export, train, translate
from nmt.system.files import DRAFT, verify_checksums
from nmt.translation.translator import Translator

MODEL = ROOT / "tests" / "models" / "0.1.0" / "input_feeding"
CLONE_NEWNS, CLONE_NEWUSER, MS_REMOUNT, MS_REC, MS_PRIVATE = 1 << 17, 1 << 28, 1 << 5, 1 << 14, 1 << 18  # of Linux
SPACE, BLOCK = 64 << 20, 4096
ACTIONS = ("train", "train", "train", "resume", "resume", "export", "average", "report", "translate")


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:
    """Train for a few updates, and return the function that makes a case."""
    import_for_training()
    write_corpus(shared)
    data = {"train": str(shared / "text"), "valid": str(shared / "text"), "drop_overlap": False}
    training = {**CONFIG["training"], "max_updates": 4, "checkpoint_every": 2}
    (shared / "config.json").write_text(json.dumps({**CONFIG, "data": data, "training": training}), encoding="utf-8")
    if wait(start_training(shared / "config.json", shared / "half", shared / "log")):
        raise RuntimeError((shared / "log").read_text(encoding="utf-8"))

    def make(draw: random.Random, folder: Path) -> Case:  # noqa: ARG001
        action, space = draw.choice(ACTIONS), int(2 ** draw.uniform(0, 19))
        return Case(
            name=f"{action} with {space:,} bytes", act=lambda: fill(shared, action, space), seconds=60, megabytes=1500
        )

    return make


def fill(shared: Path, action: str, space: int) -> int:
    """Run a command on a disk of limited size, then again on a larger one. Return the exit status of the first."""
    with limited_disk(Path("disk"), space, used=shared / "half" if action == "resume" else None) as (disk, enlarge):
        saved = sorted((disk / "out" / "checkpoints").glob("update-*"))
        status = act(action, shared, disk)
        assert status in (0, 2), f"exit status {status}"
        left = [path for path in disk.rglob(f"{DRAFT}*") if path.parent.name != "out"]
        assert not left, f"still there: {left}"
        for folder in saved:
            assert not status or verify_checksums(folder), "a checkpoint is lost"
        enlarge()
        again = act(action, shared, disk)
        assert again == 0 or (status == 0 and action in ("export", "average")), f"exit status {again} with enough space"
        if action in ("train", "resume", "export", "average"):
            assert Translator.load(disk / "out").translate(["red cat"])
    return status


def act(action: str, shared: Path, disk: Path) -> int:
    """Run a command that writes to the folder `disk`. Return its exit status."""
    out = str(disk / "out")
    match action:
        case "train" | "resume":
            more = ["training.max_updates=8"] if action == "resume" else []
            return train.main([str(shared / "config.json"), *more, "--output", out, "--resume"])
        case "export":
            return export.main([str(MODEL), out, "--format", "int8"])
        case "average":
            return average.main([str(MODEL), str(MODEL), "--output", out])
        case "report":
            texts = [f"--hypothesis={shared / 'text.de'}", f"--reference={shared / 'text.de'}"]
            return evaluate.main([*texts, "--report", str(disk / "report.html")])
    return translate_to(disk / "text.de", shared)


def translate_to(path: Path, shared: Path) -> int:
    """Translate a text to a file, as a shell redirects it."""
    streams = sys.stdin, sys.stdout
    try:
        with open(shared / "text.en", encoding="utf-8") as sys.stdin, open(path, "w", encoding="utf-8") as sys.stdout:
            return translate.main([str(MODEL), "--threads", "1"])
    except OSError:  # from closing the file
        return 2
    finally:
        sys.stdin, sys.stdout = streams


# ---- a disk


@contextlib.contextmanager
def limited_disk(folder: Path, space: int, used: Path | None) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Provide a folder with a limited space, and a function that enlarges the space.

    The folder is a file system in memory where the kernel allows it. Elsewhere, the size of each file is limited.

    Args:
        folder: the folder to make.
        space: the space in bytes.
        used: a training run that is copied to the folder as `out`. Its files do not take from the space.
    """
    folder.mkdir()
    mounted = enter_namespace() and mount(folder, SPACE)
    if used:
        shutil.copytree(used, folder / "out", symlinks=True)
        space += sum(path.lstat().st_size // BLOCK * BLOCK + BLOCK for path in used.rglob("*"))
    unlimited = resource.RLIM_INFINITY
    if mounted:
        mount(folder, max(space, BLOCK), MS_REMOUNT)
        yield folder, lambda: mount(folder, SPACE, MS_REMOUNT)
    else:  # standard error is a file, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(space, 2 * BLOCK), unlimited))
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))


def enter_namespace() -> bool:
    """Give this process separate file systems. Return whether the kernel allows it."""
    libc, user, group = ctypes.CDLL(None), os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS):
        if libc.unshare(CLONE_NEWNS | CLONE_NEWUSER):
            return False
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    return not libc.mount(b"none", b"/", None, MS_PRIVATE | MS_REC, None)


def mount(folder: Path, size: int, flags: int = 0) -> bool:
    """Mount a file system in memory of a size in bytes, or change the size. Return whether this succeeds."""
    return not ctypes.CDLL(None).mount(b"tmpfs", bytes(folder.resolve()), b"tmpfs", flags, f"size={size}".encode())
