"""Model folders with damaged, crafted and hostile files, mostly with renewed checksums."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fuzzing.case import Case, Outcome, import_for_training
from fuzzing.models import configure, copy_models, train_outputs
from fuzzing.mutations import damage, mutate_json, mutate_yaml, replace_value
from nmt.checkpoint.average import average
from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.export import export
from nmt.checkpoint.manifest import MANIFEST
from nmt.commands import average as average_command
from nmt.commands import export as export_command
from nmt.commands import train as train_command
from nmt.commands import translate as translate_command
from nmt.config.load import dump_config
from nmt.system.files import CHECKSUMS
from nmt.translation.translator import Translator

LINES = ("red cat", "two", "", "a house, blue dogs and \u00e9 ⁇", "one two three four five six seven eight nine ten")
NAMES = (
    "../payload", "/tmp/nmt-fuzz-payload", "..", ".", "", "a/b", "a\\b", "..\\payload", "a\nb", "\x1b[31m", "-rf", "~",
    "payload", "x" * 300, "CON", "config.yaml/", "./config.yaml", "\u202e", " ", "training.safetensors",
)  # fmt: skip
"""Names that a list of checksums should not contain."""

Mutation = Callable[[Path, random.Random], str]
"""Changes a model folder, and returns a description of the change."""


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:
    """Train the models to damage, and import and compile what the cases use."""
    import_for_training()
    outputs = train_outputs(shared)
    (shared / "models").mkdir()
    models = copy_models(shared / "models", outputs)
    for kind in outputs:
        config = configure(shared / "text", kind)
        (shared / f"{kind}.yaml").write_text(dump_config(config), encoding="utf-8")
    for folder in models.values():
        Translator.load(folder, device="cpu", threads=1).translate(LINES, to=target_language(folder))
    export(models["words"], shared / "warm")
    average([models["words"], models["words"]], shared / "warm average")

    def make(draw: random.Random, folder: Path) -> Case:
        if draw.random() < 0.3:
            kind = draw.choice(list(outputs))
            shutil.copytree(outputs[kind], folder / "output", symlinks=True)
            return resume(draw, folder / "output", kind, shared)
        name = draw.choice(list(models))
        shutil.copytree(models[name], folder / "model")
        changes = mutate(folder / "model", draw)
        return draw.choice(USES)(f"{name}: {changes}", models[name])

    return make


def resume(draw: random.Random, output: Path, kind: str, shared: Path) -> Case:
    """Damage the output folder of a training run, and continue the run."""
    checkpoints = sorted((output / "checkpoints").iterdir())
    changes = [mutate(draw.choice(checkpoints), draw) for _ in range(draw.choice((1, 1, 2)))]
    if draw.random() < 0.3:
        changes.append(mutate_output(output, draw))
    kept = {path.name for path in (output / "checkpoints").iterdir()}
    (output / "checkpoints" / "update-mine").mkdir()
    arguments = [str(shared / f"{kind}.yaml"), "training.epochs=3", "--output", "output", "--resume"]

    def check(outcome: Outcome) -> str | None:
        left = {path.name for path in (outcome.folder / "output" / "checkpoints").iterdir()}
        if "update-mine" not in left:
            return "lost: a folder that the training did not write"
        return "lost: all checkpoints" if outcome.status and not kept & left else None

    return Case(
        name=f"resume {kind}: {'; '.join(changes)}", act=lambda: train_command.main(arguments), check=check, seconds=60
    )


def target_language(folder: Path) -> str:
    return load_folder_config(folder).data.target_languages[0]


def translate(name: str, original: Path) -> Case:
    language = target_language(original)

    def check(outcome: Outcome) -> str | None:
        lines = outcome.stdout.count(b"\n")
        return f"lost lines: {lines} of {len(LINES)}" if outcome.status == 0 and lines != len(LINES) else None

    return Case(
        name=f"translate {name}",
        act=lambda: translate_command.main(["model", "--to", language, "--threads", "1"]),
        stdin="".join(f"{line}\n" for line in LINES).encode(),
        check=check,
    )


def export_model(name: str, original: Path) -> Case:  # noqa: ARG001
    return Case(
        name=f"export {name}",
        act=lambda: export_command.main(["--format", "int8", "model", "new"]),
        check=check_new_folder,
    )


def average_models(name: str, original: Path) -> Case:
    return Case(
        name=f"average {name}",
        act=lambda: average_command.main(["model", str(original), "--output", "new"]),
        check=check_new_folder,
    )


def check_new_folder(outcome: Outcome) -> str | None:
    """Check that a written folder holds only files of a model, and that nothing is left after an error."""
    new = outcome.folder / "new"
    if outcome.status:
        return "half-written" if sorted(os.listdir(outcome.folder)) != ["model"] else None
    known = {name for name, file in MANIFEST.items() if file.reader != "training"} | {CHECKSUMS}
    surplus = [path.name for path in new.iterdir() if path.is_symlink() or path.name not in known]
    return f"copied: {surplus[0]}" if surplus else None


USES: Sequence[Callable[[str, Path], Case]] = (translate, translate, translate, export_model, average_models)


# ---- changes


def mutate(folder: Path, draw: random.Random) -> str:
    """Change a model folder in a random way, mostly with renewed checksums."""
    change = draw.choices([way for way, _ in WAYS], [weight for _, weight in WAYS])[0](folder, draw)
    if draw.random() < 0.85:
        renew_checksums(folder)
        return change
    return f"{change}, old checksums"


def renew_checksums(folder: Path) -> None:
    """Write the checksums of the files that the list names, as an attacker would."""
    path = folder / CHECKSUMS
    if not path.is_file() or path.is_symlink():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.split("  ", 1)[1] for line in lines if "  " in line and not line.startswith("#")]
    sums = dict.fromkeys(names, "0" * 64)
    for name in sums:
        with contextlib.suppress(OSError, ValueError):
            if (folder / name).is_file() and (folder / name).stat().st_size < 1 << 24:
                sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text("".join(f"{sums[name]}  {name}\n" for name in names), encoding="utf-8", errors="surrogateescape")


def change_bytes(folder: Path, draw: random.Random) -> str:
    path = draw.choice(sorted(folder.iterdir()))
    content, way = damage(path.read_bytes(), draw)
    path.write_bytes(content)
    return f"{way} in {path.name}"


def change_config(folder: Path, draw: random.Random) -> str:
    path = folder / "config.yaml"
    text, change = mutate_yaml(path.read_text(encoding="utf-8"), draw)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return f"config.yaml: {change!r:.80}"


def change_json(folder: Path, draw: random.Random) -> str:
    paths = [*folder.glob("*.json")]
    if not paths:
        return change_header(folder, draw)
    path = draw.choice(sorted(paths))
    text, change = mutate_json(path.read_text(encoding="utf-8"), draw)
    path.write_text(text, encoding="utf-8")
    return f"{path.name}: {change!r:.80}"


def change_header(folder: Path, draw: random.Random) -> str:
    """Change a shape, a type, a place, a name or the length in the header of a .safetensors file."""
    path = draw.choice(sorted(folder.glob("*.safetensors")))
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    name = draw.choice(names)
    match draw.randrange(8):
        case 0:
            size = draw.choice((0, 1, size - 1, size + 1, size + 8, len(content), 2**31, 2**40, 2**63, 2**64 - 1))
            path.write_bytes(struct.pack("<Q", size) + content[8:])
            return f"{path.name}: header of {size} bytes"
        case 1:
            header[name]["shape"] = draw.choice(
                ([], [2**31, 2**31], [0], [-1, 4], [1] * 70, [10**30], ["4"], [4.0], None)
            )
            change = f"{name} has shape {header[name]['shape']!r:.40}"
        case 2:
            header[name]["dtype"] = draw.choice(
                ("F64", "F16", "BF16", "I8", "I64", "U8", "BOOL", "F8_E4M3", "X", 3, None)
            )
            change = f"{name} has type {header[name]['dtype']}"
        case 3:
            header[name]["data_offsets"] = draw.choice(
                ([0, 2**62], [-8, 8], [8, 0], [0, 0], [1, 5], [0], None, [0.0, 4.0])
            )
            change = f"{name} is at {header[name]['data_offsets']}"
        case 4:
            other = draw.choice(names)
            header[name], header[other] = header[other], header[name]
            change = f"{name} and {other} are swapped"
        case 5:
            header[draw.choice(("x" * 10_000, "\x1b[31m", "", f"{name}x"))] = header.pop(name)
            change = f"{name} renamed"
        case 6:
            # The same number of bytes in another shape.
            shape = header[name]["shape"]
            header[name]["shape"] = draw.choice((shape[::-1], [1, *shape], [*shape, 1], [int(_product(shape))]))
            change = f"{name} has shape {header[name]['shape']}"
        case _:
            change = replace_value(header, draw)
    encoded = _encode(header)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    return f"{path.name}: {change:.80}"


def _encode(header: Any) -> bytes:
    try:
        text = json.dumps(header)
    except (ValueError, TypeError):
        text = "{}"
    encoded = text.encode("utf-8", "surrogatepass")
    return encoded + b" " * (-len(encoded) % 8)


def _product(shape: Sequence[int]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result


def change_values(folder: Path, draw: random.Random) -> str:
    """Change the values of a tensor: not a number, infinity, or ids out of range."""
    path = draw.choice(sorted(folder.glob("*.safetensors")))
    content = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    name = draw.choice([name for name in header if name != "__metadata__"])
    begin, end = header[name]["data_offsets"]
    fill = draw.choice((b"\xff", b"\x7f", b"\x80", b"\x00", struct.pack("<f", float("inf")), struct.pack("<i", 10**9)))
    wanted = draw.choice((4, end - begin))
    content[8 + size + begin : 8 + size + begin + wanted] = (fill * wanted)[:wanted]
    path.write_bytes(content)
    return f"{path.name}: {name} filled with {fill!r}"


def change_list(folder: Path, draw: random.Random) -> str:
    """Change the list of checksums."""
    path = folder / CHECKSUMS
    lines = path.read_text(encoding="utf-8").splitlines()
    match draw.randrange(4):
        case 0:
            del lines[draw.randrange(len(lines))]
            what = "without a line"
        case 1:
            what = f"with the name {(name := draw.choice(NAMES))!r:.30}"
            lines.insert(draw.randrange(len(lines)), f"{hashlib.sha256(b'payload').hexdigest()}  {name}")
            (folder / "payload").write_bytes(b"payload")
        case 2:
            lines = draw.choice(([], lines[:1], lines * 2, lines * 20_000, ["x" * 10**6]))
            what = f"of {len(lines)} lines"
        case _:
            index = draw.randrange(len(lines))
            changed, what = damage(lines[index].encode(), draw)
            lines[index] = changed.decode("utf-8", "replace")
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"{CHECKSUMS} {what}"


def replace_file(folder: Path, draw: random.Random) -> str:
    """Replace a file by a link, a pipe, a folder, a device, a huge sparse file, or nothing."""
    path = draw.choice(sorted(folder.iterdir()))
    content = path.read_bytes()
    path.unlink()
    match draw.randrange(8):
        case 0:
            target = draw.choice(
                ("/etc/passwd", "/dev/zero", "/dev/stdin", "../../canary", "/proc/self/environ", path.name)
            )
            path.symlink_to(target)
            return f"{path.name} is a link to {target}"
        case 1:
            os.mkfifo(path)
            return f"{path.name} is a pipe"
        case 2:
            path.mkdir()
            return f"{path.name} is a folder"
        case 3:
            path.touch()
            os.truncate(path, draw.choice((200 * 2**30, 2**40, len(content) + 8, 0)))
            return f"{path.name} is a sparse file"
        case 4:
            (folder / "inside").write_bytes(content)
            path.symlink_to("inside")
            return f"{path.name} is a link inside the folder"
        case 5:
            path.write_bytes(content)
            path.chmod(0)
            return f"{path.name} cannot be read"
        case 6:
            path.write_bytes(b"")
            return f"{path.name} is empty"
        case _:
            return f"{path.name} is missing"


def add_files(folder: Path, draw: random.Random) -> str:
    """Add files that a model folder does not have."""
    name = draw.choice(
        ("payload", "notes\x1b[31m", "a\nb", "model.py", "pickle.pkl", "training.pt", "tokenizer.model", "source.json")
    )
    if draw.random() < 0.5:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/etc/passwd")
    else:
        (folder / name).write_bytes(draw.randbytes(1000))
    with (folder / CHECKSUMS).open("a", encoding="utf-8") as stream:
        stream.write(f"{'0' * 64}  {name}\n")
    return f"with the file {name!r}"


def mutate_output(output: Path, draw: random.Random) -> str:
    """Change what lies beside the checkpoints of a training run."""
    match draw.randrange(4):
        case 0:
            path = output / "metrics.jsonl"
            lines = path.read_text(encoding="utf-8").splitlines()
            index = draw.randrange(len(lines))
            lines[index], change = mutate_json(lines[index], draw)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            return f"metrics.jsonl: {change!r:.60}"
        case 1:
            path = output / "metrics.jsonl"
            content, way = damage(path.read_bytes(), draw)
            path.write_bytes(content)
            return f"{way} in metrics.jsonl"
        case 2:
            name = draw.choice(
                ("metrics.jsonl", "train.log", "best", "checkpoints/update-00000001", ".lock", "prepared")
            )
            path = output / name
            if path.is_symlink() or path.is_file():
                path.unlink()
            path.symlink_to(draw.choice(("../../canary", "..", "../..", "checkpoints", name)))
            return f"{name} is a link"
        case _:
            name = draw.choice(("checkpoints/update-99999999", "checkpoints/update--5", "checkpoints/update-1e9"))
            (output / name).mkdir()
            return f"with {name}"


WAYS: Sequence[tuple[Mutation, float]] = (
    (change_bytes, 4), (change_config, 4), (change_json, 2), (change_header, 4), (change_values, 1), (change_list, 2),
    (replace_file, 2), (add_files, 1),
)  # fmt: skip
"""The ways to change a model folder, with their weights."""
