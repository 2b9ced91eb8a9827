"""nmt-export --format web: a static folder with the page, the engine and the model."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiny

from nmt import Translator
from nmt.checkpoint import web
from nmt.checkpoint.web import export_web, find_unsupported_part
from nmt.commands.export import main
from nmt.tokenizers.model_file import find_own_treatment
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.web import FOLDER, list_files

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
LINES = ["They will play in the morning.", "The famous sister will cry."]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "exported"
    assert main(["--format", "web", str(MODELS / "input_feeding"), str(folder)]) == 0
    return folder


def test_the_folder_has_the_page_the_engine_and_a_model_folder(exported: Path) -> None:
    files = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert set(list_files()) < files
    assert files - set(list_files()) == {
        *("offline.js", "package.json", "model/web.json", "model/config.yaml", "model/checksums.sha256"),
        *("model/model.safetensors", "model/tokenizer.model", "model/shortlist.safetensors"),
    }
    assert not any(path.is_symlink() for path in exported.rglob("*"))
    assert {oct(path.stat().st_mode & 0o777) for path in (exported, exported / "model")} == {"0o755"}
    assert Translator.load(exported / "model").translate(LINES)
    page = (exported / "index.html").read_text(encoding="utf-8")
    assert 'content="browser"' in page
    assert 'content="server"' in (FOLDER / "index.html").read_text(encoding="utf-8")


def test_the_description_and_the_list_of_kept_files(exported: Path) -> None:
    content = json.loads((exported / "model" / "web.json").read_text(encoding="utf-8"))
    assert content["data"] == {
        "source_languages": ["en"],
        "target_languages": ["de"],
        "target_tags": False,
        "tags": [],
        "split": False,
        "guard": False,
        "max_tokens": 200,
    }
    assert all((exported / "model" / file["name"]).stat().st_size == file["bytes"] for file in content["files"])
    offline = json.loads(
        re.sub("^self.OFFLINE = |;$", "", (exported / "offline.js").read_text(encoding="utf-8").strip())
    )
    read = {f"model/{file['name']}" for file in content["files"]} | {"model/web.json", "./"}
    assert set(offline["files"]) == read | {*list_files()} - {"service-worker.js"}


def test_equal_models_give_equal_folders(exported: Path, tmp_path: Path) -> None:
    export_web(exported / "model", tmp_path / "again")
    for path in exported.rglob("*"):
        # The order of the checksums is that of the file system, and the packed file is written by translation.
        if path.is_file() and path.name not in ("checksums.sha256", "packed.nmt"):
            assert (tmp_path / "again" / path.relative_to(exported)).read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_what_the_engine_does_not_know_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {
        "bideep": "model.decoder=conditional",
        "copy": "model.decoder=conditional",
        "gnmt": "model.attention=additive",
        "gru": "model.attention=additive",
        "languages": "model.attention=multi_head",
        "layer_norm_lstm": "model.cell=layer_norm_lstm",
        "parallel": "tokenizer.kind=characters",
        "rnn": "model.attention=multi_head",
    }
    status = main(["--format", "web", str(MODELS / name), str(tmp_path / "web")])
    error = capsys.readouterr().err
    if part := refused.get(name, ""):
        assert status == 2
        assert f"no web page for models with {part}; nmt-translate and nmt-serve can use the folder" in error
        assert error.count("\n") == 1
        assert not list(tmp_path.iterdir())
    else:
        assert status == 0


def test_tokenizers_that_normalize_text_are_refused(tmp_path: Path) -> None:
    lines = ["a small text", "another text"] * 30
    own = {
        "vocab_size": 17,
        "hard_vocab_limit": False,
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": 2,
        "eos_id": 3,
        "minloglevel": 2,
    }
    plain = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    kinds: dict[str, dict[str, Any]] = {
        "its own normalization rules": {"remove_extra_whitespaces": False},
        "remove_extra_whitespaces=true": {"normalization_rule_name": "identity"},
        "add_dummy_prefix=false": {**plain, "add_dummy_prefix": False},
        "treat_whitespace_as_suffix=true": {**plain, "treat_whitespace_as_suffix": True},
    }
    train: Any = sentencepiece.SentencePieceTrainer.train
    for expected, options in kinds.items():
        train(sentence_iterator=iter(lines), model_prefix=str(tmp_path / "tokenizer"), **own, **options)
        assert find_own_treatment((tmp_path / "tokenizer.model").read_bytes()) == expected
        config = tiny.config(tmp_path, "tokenizer.kind=unigram")
        assert find_unsupported_part(tmp_path, config) == f"{expected} (tokenizer.model)"
    assert isinstance(SubwordTokenizer.load(tmp_path / "tokenizer.model"), SubwordTokenizer)


def test_words_and_characters_are_refused(tmp_path: Path) -> None:
    for kind in ("words", "characters"):
        assert (
            find_unsupported_part(tmp_path, tiny.config(tmp_path, f"tokenizer.kind={kind}")) == f"tokenizer.kind={kind}"
        )


def test_symbols_of_things_are_refused(tmp_path: Path) -> None:
    config = tiny.config(tmp_path, "tokenizer.kind=bpe", "data.placeholder_share=0.2")
    assert find_unsupported_part(tmp_path, config) == "data.placeholder_share"


def test_faults_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").mkdir()
    for model, output, message in (
        (MODELS / "input_feeding", "taken", "taken: exists already; name a new folder"),
        (tmp_path / "nowhere", "new", "nowhere: no such folder"),
    ):
        assert main(["--format", "web", str(model), str(tmp_path / output)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(web, "describe", fail)
    assert main(["--format", "web", str(MODELS / "input_feeding"), str(tmp_path / "new")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
