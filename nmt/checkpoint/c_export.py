"""Export of a model as a C library: the model file, the sources of the library, and programs that use it.

nmt/native/embed/ has the files of the folder that are not sources of the library. Words with a $ in them are replaced.
"""

import shutil
from pathlib import Path
from string import Template

from nmt.checkpoint.c_file import build_file
from nmt.checkpoint.export import load_for_export
from nmt.checkpoint.folder import Model
from nmt.checkpoint.web import find_unsupported_tokenizer
from nmt.errors import ModelError
from nmt.native.build import FLAGS, FOLDER, VARIANTS, BuildError, compile_library, find_compiler
from nmt.native.packing import find_unpackable_part
from nmt.system.files import whole_tree

MODEL = "model.nmt"
SOURCES = ("text.c", "network.c", "pack.c", "library.c", "engine.c")  # training has further sources
_WITHOUT_TRAINING = "-DNMT_WITHOUT_TRAINING"


def export_c(folder: str | Path, output: str | Path) -> bool:
    """Write a folder with the model in `folder` as a C library, and compile the library if there is a compiler.

    Args:
        folder: a model folder, or the output folder of a training run. The best checkpoint of a run is exported.
        output: the folder to write. It must not exist.

    Returns:
        Whether the library was compiled.

    Raises:
        ModelError: the folder contains no model or a damaged model, a weight is not finite, or the library does not
            know a part of the network or of the tokenizer.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    model, path = load_for_export(folder, output)
    part = find_unpackable_part(model.config.model) or find_unsupported_tokenizer(path, model.config)
    if part:
        raise ModelError(f"{path}: no C library for models with {part}; nmt-translate can use the folder")
    try:
        content = build_file(model, path)
    except ValueError as error:
        raise ModelError(f"{path}: no C library for this model: {error}; nmt-translate can use the folder") from error
    with whole_tree(output) as draft:
        (draft / MODEL).write_bytes(content)
        _copy_sources(draft)
        _copy_examples(draft, model, len(content))
        try:
            (draft / "lib").mkdir()
            flags = (_WITHOUT_TRAINING, f"-I{draft / 'include'}")
            compile_library(find_compiler(), draft / "lib" / "libnmt.so", draft / "src", flags)
        except BuildError:
            (draft / "lib").rmdir()
            return False
    return True


def _copy_sources(folder: Path) -> None:
    for name in ("include", "src"):
        (folder / name).mkdir()
    headers = [path.name for path in FOLDER.glob("*.h") if path.name != "nmt.h"]
    training = {path.name for path in FOLDER.glob("train_*.h")} - {"train_variant.h"}
    for name in sorted({*SOURCES, *headers} - training):
        shutil.copyfile(FOLDER / name, folder / "src" / name)
    shutil.copyfile(FOLDER / "nmt.h", folder / "include" / "nmt.h")


def _copy_examples(folder: Path, model: Model, size: int) -> None:
    """Copy the files of nmt/native/embed/."""
    own = FOLDER / "embed"
    shutil.copytree(own / "rust", folder / "examples" / "rust")
    shutil.copyfile(own / "translate.c", folder / "examples" / "translate.c")
    data = model.config.data
    several = len(data.target_languages) > 1
    variants = {name: forms[0] for kinds in VARIANTS.values() for name, forms in kinds.items()}
    flags = [flag for flag in FLAGS if flag not in ("-O3", "-g0")]
    words = {
        "FLAGS": " ".join([*flags, _WITHOUT_TRAINING]),
        "VARIANT_FLAGS": "\n".join(f"{name}_FLAGS := {own_flags}" for name, own_flags in variants.items()),
        "SOURCES": " and ".join(data.source_languages),
        "TARGETS": " and ".join(data.target_languages),
        "LANGUAGE": f" {data.target_languages[0]}" if several else "",
        "EXAMPLE": "A man rides a horse." if data.source_languages[0].startswith("en") else "...",
        "SIZE": f"{size:,}",
    }
    for name in ("Makefile", "README.md"):
        text = Template((own / name).read_text(encoding="utf-8")).safe_substitute(words)
        (folder / name).write_text(text, encoding="utf-8")
