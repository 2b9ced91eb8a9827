"""nmt/checkpoint/hub.py, nmt/checkpoint/card.py and nmt-hub: against a hub on this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from fake_hub import FakeHub, run_hub
from huggingface_hub import ModelCard

from nmt.checkpoint.hub import fetch, parse_address
from nmt.commands.hub import main
from nmt.errors import DataError
from nmt.translation.translator import Translator

# huggingface_hub gives its HTTP client a file in a way that the client is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "parallel"
TEXT = (MODEL.parent / "source.txt").read_text(encoding="utf-8").splitlines()[:3]
TOKEN = "hf_secretsecret"
SCORES = {
    "sentences": 1000,
    "references": 1,
    "scores": [
        {"name": "BLEU", "score": 38.614, "signature": "nrefs:1|case:mixed"},
        {"name": "chrF2", "score": 63.1, "signature": "nrefs:1|nw:0"},
    ],
}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with run_hub() as hub:
        yield hub


@pytest.fixture
def hub(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """An empty hub, and an empty cache."""
    server.commits.clear()
    server.files.clear()
    server.tokens.clear()
    server.refuse = False
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    fetch.cache_clear()
    return server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    (tmp_path / "other.json").write_text(json.dumps({"scores": [{"name": "spBLEU"}], "sentences": 1}))
    return folder


def push(model: Path, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["push", str(model), "me/parallel", *options]) == 0
    return capfd.readouterr().out.strip()


def test_a_model_travels(hub: FakeHub, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit = push(model, capfd)
    assert hub.commits["me/parallel"][0] == commit
    assert set(hub.files[commit]) == {
        *(file.name for file in MODEL.iterdir() if file.name != "packed.nmt"),
        "README.md",
    }
    expected = Translator.load(model).translate(TEXT)
    assert Translator.load("hf://me/parallel").translate(TEXT) == expected
    assert main(["pull", f"me/parallel@{commit}", str(tmp_path / "copy")]) == 0
    assert capfd.readouterr().out == f"{commit}\n"
    assert Translator.load(tmp_path / "copy").translate(TEXT) == expected
    source = json.loads((tmp_path / "copy" / "hub.json").read_text())
    assert source == {"repository": "me/parallel", "revision": commit}


def test_the_card_names_the_commit_of_its_model(
    hub: FakeHub, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commit = push(model, capfd)
    first, second = (hub.files[one] for one in hub.commits["me/parallel"])
    assert {name for name in first if first[name] != second[name]} == {"README.md"}
    card = second["README.md"].decode()
    assert f'Translator.load("hf://me/parallel@{commit}")' in card
    command = f"nmt-hub pull hf://me/parallel@{commit} model\nnmt-train model/config.yaml --output runs/again\n"
    assert command in card
    copy = str(tmp_path / "copy")
    assert main(["pull", f"me/parallel@{commit}", copy]) == 0
    assert main(["card", copy]) == 0
    assert command in capfd.readouterr().out
    assert main(["card", copy, "--name", "me/other"]) == 0
    assert commit not in capfd.readouterr().out
    (tmp_path / "copy" / "hub.json").write_text("[]")
    assert main(["card", copy]) == 2
    assert "hub.json: is damaged" in capfd.readouterr().err


def test_a_commit_stays_what_it_was(hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = push(model, capfd)
    second = push(model, capfd, "--license", "cc-by-4.0")
    assert first != second
    assert fetch(f"hf://me/parallel@{first}").name == first
    newest = fetch("hf://me/parallel")
    assert newest.name == hub.commits["me/parallel"][-1]
    assert f"@{second}" in (newest / "README.md").read_text(encoding="utf-8")


def test_without_a_network_the_cache_is_used(
    hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    push(model, capfd)
    newest = fetch("hf://me/parallel")
    fetch.cache_clear()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch("hf://me/parallel") == newest
    assert main(["pull", "me/other", str(model.parent / "copy")]) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert message == (
        "nmt-hub: error: hf://me/other: the hub cannot be reached, and the cache does not have this model; "
        "check the network"
    )
    assert main(["push", str(model), "me/parallel"]) == 2
    assert "me/parallel: the hub cannot be reached" in capfd.readouterr().err


def test_tampered_files_are_refused(hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit = push(model, capfd)
    files = hub.files[commit]
    hub.commit("me/parallel", {**files, "model.safetensors": files["model.safetensors"][:-1] + b"x"})
    assert main(["pull", "me/parallel", str(model.parent / "copy")]) == 2
    assert "model.safetensors" in capfd.readouterr().err
    assert not (model.parent / "copy").exists()


def test_only_files_of_models_are_downloaded(hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit = push(model, capfd)
    fetch.cache_clear()
    hub.commit("me/parallel", {**hub.files[commit], "evil.py": b"import os", "weights.bin": b"pickle"})
    names = {file.name for file in fetch("hf://me/parallel").iterdir()}
    assert names == set(hub.files[commit])
    hub.commit("me/parallel", {**hub.files[commit], "config.yaml": bytes(2 << 20)})
    fetch.cache_clear()
    assert main(["pull", "me/parallel", str(model.parent / "copy")]) == 2
    assert "config.yaml has 2,097,152 bytes, more than a model has" in capfd.readouterr().err


def test_a_commit_during_the_download_is_refused(
    hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = push(model, capfd)
    download = huggingface_hub.snapshot_download

    def commit_and_download(*arguments: Any, **options: Any) -> Any:
        hub.commit("me/parallel", {**hub.files[commit], "README.md": bytes(3 << 20)})
        return download(*arguments, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", commit_and_download)
    assert main(["pull", "me/parallel", str(model.parent / "copy")]) == 2
    assert "changed while it was downloaded; try again" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "me/nothing", "copy"], "the hub has no such repository, or you have no access"),
        (["pull", "me/parallel@nothing", "copy"], "the repository has no such revision"),
        (["pull", "me", "copy"], "is not an address of the hub"),
        (["pull", "me/empty", "copy"], "has no checksums.sha256, so it is not a model of nmt"),
        (["push", "nowhere", "me/parallel"], "nowhere: no such folder"),
        (["card", "model", "--scores", "x=none.json"], "none.json: no such file"),
        (["card", "model", "--scores", "x=model/config.yaml"], "config.yaml: has no scores"),
        (["card", "model", "--scores", "x=other.json"], "has the score 'spBLEU'; choose among BLEU"),
        (["card", "model", "--scores", "x"], "must be SET=FILE"),
    ],
)
def test_misuse_is_one_line(
    hub: FakeHub,
    model: Path,
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(model.parent)
    push(model, capfd)
    hub.commits["me/empty"] = []
    hub.commit("me/empty", {"README.md": b""})
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    error = capfd.readouterr().err
    assert status == 2
    assert message in error
    assert error.count("\n") == 1
    assert not Path("copy").exists()


def test_a_refused_upload_is_one_line(hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hub.refuse = True
    assert main(["push", str(model), "me/parallel"]) == 2
    error = capfd.readouterr().err
    assert "the hub refuses; check the name and the rights of your token" in error
    assert error.count("\n") == 1


def test_the_token_is_sent_and_never_shown(
    hub: FakeHub, model: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    commit = push(model, capfd)
    fetch("hf://me/parallel")
    main(["pull", "me/nothing", str(model.parent / "copy")])
    captured = capfd.readouterr()
    assert f"Bearer {TOKEN}" in hub.tokens
    assert TOKEN not in captured.out + captured.err + caplog.text
    assert not any(TOKEN.encode() in content for content in hub.files[commit].values())


def test_the_card_says_what_is_known(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copytree(model, run / "best")
    (run / "train.log").write_text("x data: 2 of 3 pairs kept; left out: 1 duplicates\nunrelated\n")
    given = ["--scores", f"test2016={tmp_path / 'scores.json'}", "--license", "cc-by-4.0", "--dataset", "me/text"]
    assert main(["card", str(run), "--name", "me/parallel", *given]) == 0
    card = ModelCard(capfd.readouterr().out)
    data: Any = card.data
    assert (data.language, data.license, data.library_name) == (["en", "de"], "cc-by-4.0", "nmt")
    assert (data.pipeline_tag, data.datasets, data.metrics) == ("translation", ["me/text"], ["bleu", "chrf"])
    assert data.eval_results is not None
    found = [(one.dataset_name, one.metric_name, one.metric_value, one.metric_args) for one in data.eval_results]
    assert found == [
        ("test2016", "BLEU", 38.61, {"signature": "nrefs:1|case:mixed"}),
        ("test2016", "chrF2", 63.1, {"signature": "nrefs:1|nw:0"}),
    ]
    assert "2 of 3 pairs kept" in card.text
    assert "unrelated" not in card.text
    assert 'Translator.load("hf://me/parallel")' in card.text
    assert "| test2016, 1,000 sentences | BLEU | 38.61 | `nrefs:1\\|case:mixed` |" in card.text


def test_a_card_without_scores_claims_none(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["card", str(model)]) == 0
    card = ModelCard(capfd.readouterr().out)
    data: Any = card.data
    assert data.eval_results is None
    assert "No scores were recorded." in card.text
    assert "The license was not stated." in card.text
    assert 'Translator.load("model")' in card.text
    assert "\nnmt-train recipe.yaml --output runs/again\n" in card.text


def test_addresses() -> None:
    assert parse_address("hf://a/b") == parse_address("hf:/a/b")
    assert parse_address("hf://a/b@v1.0").revision == "v1.0"
    for text in ("hf://a", "hf://a/b/c", "hf://a/b@", "hf://a/../b"):
        with pytest.raises(DataError, match="is not an address of the hub"):
            parse_address(text)
