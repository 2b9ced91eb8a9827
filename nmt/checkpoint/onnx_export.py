"""Export of a model as ONNX graphs with its tokenizers. nmt/checkpoint/onnx.md is the README of the folder."""

import json
import shutil
from pathlib import Path
from string import Template
from typing import Any

from nmt.checkpoint.export import load_for_export, quantize_matrices
from nmt.checkpoint.folder import Model, dequantize
from nmt.checkpoint.manifest import MANIFEST, SCALE, WEIGHTS
from nmt.checkpoint.onnx_graph import OPSET, build_encoder, build_step
from nmt.checkpoint.tensors import load_tensors
from nmt.checkpoint.web import find_unsupported_tokenizer
from nmt.errors import ModelError
from nmt.native.packing import find_unpackable_part
from nmt.system.files import whole_tree
from nmt.tokenizers.files import NORMALIZATION, TRUECASE
from nmt.types import BOS, EOS, PAD, UNK

_README = Path(__file__).with_name("onnx.md")


def export_onnx(folder: str | Path, output: str | Path) -> None:
    """Write a folder with the model in `folder` as ONNX graphs, in float32 and in int8.

    Args:
        folder: a model folder, or the output folder of a training run. The best checkpoint of a run is exported.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: the folder contains no model or a damaged model, a weight is not finite, or the graphs cannot have a
            part of the network or of the tokenizer.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    model, path = load_for_export(folder, output)
    part = find_unpackable_part(model.config.model) or find_unsupported_tokenizer(path, model.config)
    if part:
        raise ModelError(f"{path}: no ONNX for models with {part}; nmt-translate and nmt-serve can use the folder")
    weights = dequantize(load_tensors(path / WEIGHTS, MANIFEST[WEIGHTS].max_bytes))
    quantized = quantize_matrices(weights, path / WEIGHTS)
    arrays = {name: weight.numpy() for name, weight in weights.items()}
    names = [name for name in weights if name + SCALE in quantized]
    matrices = {name: (quantized[name].numpy(), quantized[name + SCALE].numpy()) for name in names}
    target = model.tokenizers.target
    sizes = {"vocabulary": target.size, "producible": target.producible.stop}
    with whole_tree(output) as draft:
        for precision, own in (("fp32", {}), ("int8", matrices)):
            (draft / precision).mkdir()
            encoder = build_encoder(model.config.model, arrays, own)
            step = build_step(model.config.model, arrays, own, **sizes)
            (draft / precision / "encoder.onnx").write_bytes(encoder.SerializeToString(deterministic=True))
            (draft / precision / "step.onnx").write_bytes(step.SerializeToString(deterministic=True))
        files = [*_name_models(model), NORMALIZATION, TRUECASE]
        for name in files:
            if (path / name).exists():
                shutil.copyfile(path / name, draft / name)
        description = json.dumps(_describe(model), ensure_ascii=False, indent=1)
        (draft / "description.json").write_text(description + "\n", encoding="utf-8")
        (draft / "README.md").write_text(_write_readme(model), encoding="utf-8")


def _name_models(model: Model) -> list[str]:
    """Return the names of the files with the tokens of the source and of the target side."""
    return ["tokenizer.model"] if model.config.tokenizer.joint else ["source.model", "target.model"]


def _describe(model: Model) -> dict[str, Any]:
    data, target = model.config.data, model.tokenizers.target
    tags = {tag: model.tokenizers.source.encode_tags([tag])[0] for tag in data.tags}
    return {
        "source_languages": data.source_languages,
        "target_languages": data.target_languages,
        "special_tokens": {"pad": PAD, "unknown": UNK, "bos": BOS, "eos": EOS},
        "tags": tags,
        "target_tags": data.target_tags,
        "target_size": target.size,
        "max_tokens": data.max_segment_tokens,
    }


def _write_readme(model: Model) -> str:
    data, names = model.config.data, _name_models(model)
    tag, note = "", ""
    if data.target_tags:
        first = f"<2{data.target_languages[0]}>"
        (id_,) = model.tokenizers.source.encode_tags([first])
        tag, note = f"{id_}, ", f", after the tag of the target language: {id_} for {data.target_languages[0]}"
    words = {
        "SOURCES": " and ".join(data.source_languages),
        "TARGETS": " and ".join(data.target_languages),
        "TOKENIZERS": ", ".join(f"`{name}`" for name in names),
        "SOURCE_MODEL": names[0],
        "TARGET_MODEL": names[-1],
        "OPSET": str(OPSET),
        "BOS": str(BOS),
        "EOS": str(EOS),
        "TAG_NOTE": note,
        "TAG": tag,
    }
    return Template(_README.read_text(encoding="utf-8")).substitute(words)
