"""The models of a server: pairs of languages, names, codes, and pivots."""

from pathlib import Path

import pytest
import server_tools

from nmt import ConfigError
from nmt.server import models as module
from nmt.server.errors import RequestError
from nmt.server.models import Models, ServedModel, Step, find_language, load_models

EN_DE = server_tools.load_model("en-de")
FR_EN = server_tools.load_model("fr-en", "fr", "en")
EN_DE_2 = server_tools.load_model("second")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("EN", "en"),
        ("en-GB", "en"),
        ("pt_br", "pt-BR"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-PT"),
        ("zho", "zh"),
        ("xx", None),
    ],
)
def test_codes_of_languages(code: str, expected: str | None) -> None:
    assert find_language(code, ["en", "pt-BR", "pt-PT", "zh"]) == expected


def test_the_first_model_of_a_pair_is_the_default() -> None:
    models = Models([EN_DE, EN_DE_2])
    assert models.find_path("en", None) == (Step(model=EN_DE, source="en", target="de"),)
    assert models.find_path(None, None, model="second")[0].model is EN_DE_2
    with pytest.raises(RequestError, match="choose en-de or second"):
        models.find_path(None, None, model="third")


def test_a_pivot_joins_models_but_not_a_language_with_itself() -> None:
    back = server_tools.load_model("de-en", "de", "en")
    models = Models([EN_DE, FR_EN, back], "en")
    assert [step.model for step in models.find_path("fr", "de")] == [FR_EN, EN_DE]
    assert ("de", "de") not in models.paths
    assert set(models.paths) == {("en", "de"), ("fr", "en"), ("de", "en"), ("fr", "de")}
    assert set(Models([EN_DE, FR_EN]).paths) == {("en", "de"), ("fr", "en")}
    assert models.list_targets("fr") == ["en", "de"]


def test_a_direct_model_is_better_than_a_pivot() -> None:
    direct = server_tools.load_model("fr-de", "fr", "de")
    assert [step.model for step in Models([EN_DE, FR_EN, direct], "en").find_path("fr", "de")] == [direct]


def test_detection_is_limited_to_some_languages() -> None:
    models = Models([EN_DE, FR_EN])
    assert models.detect("wo ist das Haus und der Garten")[0][0] == "de"
    assert models.detect("wo ist das Haus und der Garten", ["en"])[0][0] == "en"
    assert models.detect("…") == []
    assert sum(value for _, value in models.detect("le chien est ici")) <= 1.0


def test_names_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        """Loads nothing, so that the test is quick."""

        @staticmethod
        def load(folder: str, **_: object) -> object:
            assert Path(folder).exists()
            return EN_DE.translator

    monkeypatch.setattr(module, "Translator", Loader)
    monkeypatch.setattr(module, "load_languages", lambda _: None)
    (tmp_path / "run" / "best").mkdir(parents=True)
    (tmp_path / "a=b").mkdir()
    monkeypatch.chdir(tmp_path)
    loaded = load_models(["run", "x=run", "run/best/../best/../../a=b"])
    assert [model.name for model in loaded.models] == ["run", "x", "a=b"]
    assert load_models(["run/best"]).models[0].name == "run"
    monkeypatch.chdir(tmp_path / "run")
    assert load_models(["."]).models[0].name == "run"
    with pytest.raises(ConfigError, match="another model is called run"):
        load_models([".", "run=."])


def test_models_of_one_language_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    same: ServedModel = server_tools.load_model("same", "en", "en")
    monkeypatch.setattr("nmt.server.models.Translator.load", lambda *_, **__: same.translator)
    monkeypatch.setattr(module, "load_languages", lambda _: None)
    with pytest.raises(ConfigError, match="same"):
        load_models(["same"])
