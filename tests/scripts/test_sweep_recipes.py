"""scripts/sweep-recipes on a corpus that trains in a second."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import warm
from experiments.halving import choose_settings, is_hopeless, plan_run, run_script
from experiments.records import Record, append_record, read_log

from nmt.config.load import dump_config, load_config

RECORD = Record(
    corpus="a",
    setting="x",
    overrides=[],
    length=1,
    seed=1,
    bleu=10,
    chrf=30,
    loss=1,
    updates=9,
    best_update=9,
    minutes=1,
    stopped=False,
    curve=[],
    commit="",
    key="x",
)


def write_recipe(folder: Path, *overrides: str) -> Path:
    recipe = folder / "tiny.yaml"
    recipe.write_text(dump_config(tiny.config(tiny.write_corpus(folder), "validation.metric=auto", *overrides)))
    return recipe


def sweep(folder: Path, plan: Any) -> warm.Ended:
    (folder / "plan.yaml").write_text(json.dumps(plan))
    return warm.run_command(
        run_script, str(folder / "plan.yaml"), "--output", str(folder / "runs"), "training.shortlist=false"
    )


@pytest.mark.slow
def test_the_best_settings_are_trained_longer(tmp_path: Path) -> None:
    plan = {
        "corpora": {"words": str(write_recipe(tmp_path, "training.epochs=12", "training.learning_rate=0.03"))},
        "settings": {"base": [], "still": ["training.learning_rate=0"]},
        "rounds": [{"length": 0.5}, {"length": 1, "keep": 1}],
    }
    first = sweep(tmp_path, plan)
    assert first.status == 0, first.stderr
    log = tmp_path / "runs" / "runs.jsonl"
    base, still, long = read_log(log).values()
    assert (base.setting, still.setting, long.setting) == ("base", "still", "base")
    assert (base.length, still.length, long.length) == (0.5, 0.5, 1)
    assert base.updates * 2 == still.updates * 2 == long.updates
    assert still.chrf < base.chrf
    assert [folder.name for folder in (tmp_path / "runs" / "words").iterdir()] == ["base 1 1"]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.stdout.decode().splitlines()]
    assert table[0] == ["corpus", "length", "setting", "BLEU", "chrF2", "updates", "minutes", "overrides"]
    assert [(row[1], row[2]) for row in table[2:]] == [("1", "base"), ("0.5", "base"), ("0.5", "still")]
    before = log.read_bytes()
    assert sweep(tmp_path, plan).stdout == first.stdout
    assert log.read_bytes() == before


@pytest.mark.slow
def test_a_recipe_is_chosen_for_a_text(tmp_path: Path) -> None:
    text = tmp_path / "text.tsv"
    prefix = tiny.write_corpus(tmp_path)
    sides = [prefix.with_suffix(ending).read_text(encoding="utf-8").splitlines() for ending in (".en", ".de")]
    text.write_text("".join(f"{one}\t{other}\n" for one, other in zip(*sides, strict=True)), encoding="utf-8")
    small = ["model.encoder_size=16", "model.decoder_size=16", "model.embedding_size=16", "training.max_updates=2"]
    plan = {
        "corpora": {"words": {"text": str(text), "from": "en", "to": "de"}},
        "settings": {"small": small},
        "rounds": [{"length": 1}],
    }
    answer = sweep(tmp_path, plan)
    assert answer.status == 0, answer.stderr
    assert (tmp_path / "runs" / "words" / "recipe.yaml").is_file()
    assert [record.updates for record in read_log(tmp_path / "runs" / "runs.jsonl").values()] == [2]


def test_lengths_follow_the_number_of_updates(tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path, "training.epochs=20", "training.warmup=24", "training.ema=0.93", "validation.every=10"
    )
    assert plan_run(recipe, ["training.seed=2"], [], 1) == ["training.seed=2", "training.epochs=20"]
    quarter = load_config(recipe, plan_run(recipe, [], [], 0.25))
    assert (quarter.training.epochs, quarter.validation.every, quarter.training.warmup) == (5, 3, 6)
    setting = ["training.batch_tokens=32", "training.warmup=7", "training.epochs=40"]
    changed = load_config(recipe, plan_run(recipe, [], setting, 0.5))
    assert (changed.training.epochs, changed.validation.every, changed.training.warmup) == (20, 20, 7)
    limited = load_config(recipe, plan_run(recipe, [], ["training.max_updates=100"], 0.25))
    assert limited.training.max_updates == 25


def test_settings_are_ranked_by_all_corpora_and_the_baseline_is_kept() -> None:
    scores = {"base": (1, 1), "good": (5, 9), "better": (9, 6), "fair": (6, 2)}
    records = [
        replace(RECORD, setting=name, corpus=corpus, chrf=chrf)
        for name, figures in scores.items()
        for corpus, chrf in zip("ab", figures, strict=True)
    ]
    assert choose_settings(list(scores), records, 1) == ["base", "better"]
    assert choose_settings(list(scores), records, 0.5) == ["base", "good", "better"]
    assert choose_settings(list(scores), records, 4) == list(scores)


def test_trainings_that_are_far_behind_end_early() -> None:
    rivals = [replace(RECORD, curve=[10.0] * 11 + [40.0] * 13), replace(RECORD, curve=[90.0] * 12, stopped=True)]
    assert not is_hopeless([1.0] * 11, rivals)
    assert is_hopeless([1.0] * 12, rivals)
    assert not is_hopeless([33.0, *[1.0] * 11], rivals)
    assert not is_hopeless([1.0] * 12, [])


def test_a_log_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append_record(path, RECORD)
    path.write_bytes(path.read_bytes() + b'{"corpus": "b"')
    append_record(path, replace(RECORD, key="y"))
    assert [record.key for record in read_log(path).values()] == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rounds": []}, "must hold corpora, settings and rounds"),
        ({"settings": {"a": "model.dropout=0.5"}}, "a setting is a list of overrides"),
        ({"settings": {"a": ["model.dropuot=0.5"]}}, "model.dropuot"),
        ({"settings": {"a": ["validation.metric=loss"]}}, "validation.metric must be auto or chrf"),
        ({"rounds": [{"length": 1, "corpora": ["b"]}]}, "round 1: b is not among the corpora, a"),
        ({"rounds": [{"length": 0}]}, "round 1: length and keep must be numbers above 0"),
        ({"rounds": [{"keep": 1}]}, "round 1: must be {length: 0.25}"),
        ({"corpora": {"a": {"path": "x"}}}, "must be the path of a recipe, or have keys of from, source"),
    ],
)
def test_faults_of_a_plan(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    plan = {"corpora": {"a": str(write_recipe(tmp_path))}, "settings": {"a": []}, "rounds": [{"length": 1}], **change}
    answer = sweep(tmp_path, plan)
    assert answer.status == 2
    assert fault in answer.stderr.decode()
