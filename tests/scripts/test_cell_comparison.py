"""The comparison of cells: its networks, tasks, gradients and gates, and the page that reports the results."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import warm
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator
from torch.nn import functional as F

pytest.importorskip("matplotlib")

from cell_comparison import memory, translation
from cell_comparison.document import Origin, format_page, join_words
from cell_comparison.figures import average_accuracies, compute_reach, find_mastered_distance
from cell_comparison.gates import gates, read_sentence
from cell_comparison.main import run_script
from cell_comparison.memory import Reader, Settings, gradient_norms, parameters, study
from cell_comparison.sizes import CELLS, TOLERANCE, find_equal_size
from cell_comparison.tasks import BLANK, COPIED, GO, KINDS, PLURAL, PREPOSITION, SYMBOLS, TASKS, THAT, VERB
from cell_comparison.translation import TEST, VALID, Recipe, score, train_and_score
from cell_comparison.work import Job, results

from nmt.config.load import load_config
from nmt.config.schema import ModelConfig
from nmt.errors import ConfigError, DataError, ModelError
from nmt.model.cells import TorchLayer
from nmt.training.run import train

ROOT = Path(__file__).parents[2]
QUICK = memory.quick()

each_cell = pytest.mark.parametrize("cell", CELLS)
each_task = pytest.mark.parametrize("task", TASKS)


# ---- sizes


@given(st.integers(1, 30), st.integers(0, 50), st.integers(5_000, 200_000))
def test_size_is_the_nearest_possible(square: int, linear: int, wanted: int) -> None:
    def count(size: int) -> int:
        return square * size**2 + linear * size

    best = min(range(1, 500), key=lambda size: abs(count(size) - wanted))
    if abs(count(best) - wanted) > TOLERANCE * wanted:
        with pytest.raises(ConfigError, match="within 1%"):
            find_equal_size(count, wanted)
    else:
        assert find_equal_size(count, wanted) == best


@each_task
def test_networks_of_all_cells_have_the_same_number_of_parameters(task: str) -> None:
    wanted = parameters(TASKS[task], "lstm", Settings().size, Settings().embedding)
    for cell in CELLS:
        size = find_equal_size(lambda size: parameters(TASKS[task], cell, size, Settings().embedding), wanted)  # noqa: B023
        assert abs(parameters(TASKS[task], cell, size, Settings().embedding) - wanted) <= TOLERANCE * wanted


def test_translation_models_of_all_cells_have_the_same_number_of_parameters() -> None:
    path = str(ROOT / "configs" / "multi30k-fast.yaml")
    recipe, counts = Recipe(config=path), {}
    for cell in CELLS:
        model = load_config(path, recipe.of(cell)).model
        assert (model.cell, model.encoder_size) == (cell, 2 * model.decoder_size)
        counts[cell] = translation.parameters(model)
    assert recipe.of("lstm") == []
    assert max(abs(each - counts["lstm"]) for each in counts.values()) <= TOLERANCE * counts["lstm"]


# ---- tasks


@given(st.integers(COPIED, 20), st.integers(0, 99))
def test_copying(distance: int, seed: int) -> None:
    ids, answers = TASKS["copy"].draw(distance, 3, Generator().manual_seed(seed))
    for row, symbols in zip(ids.tolist(), answers.tolist(), strict=True):
        blanks = [BLANK] * (distance - COPIED)
        assert row == [*symbols, *blanks, GO, *[BLANK] * (COPIED - 1)]
        assert all(0 <= symbol < SYMBOLS for symbol in symbols)
        for index in range(COPIED):  # said at the last steps, so far from where it was read
            assert len(row) - COPIED + index - row.index(symbols[index], 0, COPIED) >= distance - COPIED
    assert TASKS["copy"].inputs == max(BLANK, GO) + 1


@given(st.integers(4, 30), st.integers(0, 99))
def test_agreement(distance: int, seed: int) -> None:
    """The first noun of each clause decides."""
    ids, answers = TASKS["agreement"].draw(distance, 3, Generator().manual_seed(seed))
    for row, (inner, outer) in zip(ids.tolist(), answers.tolist(), strict=True):
        assert len(row) == distance + 1
        assert row[-2:] == [VERB, VERB]
        clauses = row[: row.index(THAT)], row[row.index(THAT) + 1 :]
        first_nouns = [next(word for word in clause if word < PREPOSITION) for clause in clauses]
        assert [int(noun >= PLURAL) for noun in first_nouns] == [outer, inner]
        assert first_nouns == [clause[0] for clause in clauses]
        assert THAT not in clauses[1]
    assert (PLURAL, PREPOSITION) == (KINDS, 2 * KINDS)  # singular nouns come first, then plural ones, then other words


@each_task
def test_sequences_depend_on_the_seed_only(task: str) -> None:
    first, again, other = (TASKS[task].draw(9, 4, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


# ---- networks and gradients


def nudged(state: tuple[torch.Tensor, ...], part: int, nudge: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A state with another h, or another c and what follows of it for h = o ⊙ tanh(c)."""
    if part == 0:
        return (state[0] + nudge, *state[1:])
    h, c = state
    return h / torch.tanh(c) * torch.tanh(c + nudge), c + nudge


@each_cell
def test_gradients_equal_finite_differences(cell: str) -> None:
    """The loss after a nudge to one part of the state at one step, in float64."""
    short = dataclasses.replace(QUICK, reach=5)
    task, network = TASKS["agreement"], Reader(TASKS["agreement"], cell, 3, 4, Generator().manual_seed(1))
    found = gradient_norms(network, task, short)
    assert list(found) == (["h", "c"] if cell == "lstm" else ["h"])
    ids, answers = task.draw(short.reach, short.followed, Generator().manual_seed(0))
    exact, size = network.double(), 1e-6

    def loss(step: int, part: int, nudge: torch.Tensor) -> torch.Tensor:
        state = exact.layer.zero_state(exact.embedding(ids[:, 0]))
        for index, embedded in enumerate(exact.embedding(ids).unbind(dim=1)):
            state = exact.layer.step(embedded, state)
            if index == step:
                state = nudged(state, part, nudge)
        return F.cross_entropy(exact.readout(state[0]), answers[:, -1], reduction="none")

    with torch.no_grad():
        for part, norms in enumerate(found.values()):
            for distance, norm in enumerate(norms):
                nudges = size * torch.eye(3, dtype=torch.float64)
                last = ids.size(1) - 1 - distance
                slopes = torch.stack([loss(last, part, nudge) - loss(last, part, -nudge) for nudge in nudges]) / (
                    2 * size
                )
                assert float(slopes.norm(dim=0).mean()) == pytest.approx(norm, abs=1e-8)


@each_task
def test_study_depends_on_the_seed_only(task: str) -> None:
    first, again, other = (study(task, "gru", seed, QUICK) for seed in (1, 1, 2))
    assert first == again
    assert first["before"] != other["before"]
    assert first["before"] != first["after"]
    assert set(first["accuracy"]) == {"4", "8"}
    assert len(first["before"]["h"]) == QUICK.reach + 1
    assert json.loads(json.dumps(first)) == first


def test_a_short_task_is_learned() -> None:
    easy = dataclasses.replace(QUICK, updates=250, longest=5, distances=(4, 5), tested=200, learning_rate=0.01)
    assert min(study("agreement", "lstm", 1, easy)["accuracy"].values()) > 0.9


# ---- work


def double(number: int, settings: Settings) -> dict[str, int]:
    CALLS.append(number)
    return {"result": 2 * number}


CALLS: list[int] = []


def test_finished_jobs_are_not_repeated(tmp_path: Path) -> None:
    def jobs(*numbers: int) -> list[Job]:
        given = [{"number": number, "settings": QUICK} for number in numbers]
        return [Job(name=f"job-{index}", function=double, settings=each) for index, each in enumerate(given)]

    CALLS.clear()
    expected = {"job-0": {"result": 2}, "job-1": {"result": 4}}
    for _ in range(2):
        assert results(jobs(1, 2), tmp_path / "work", processes=1) == expected
    assert CALLS == [1, 2]
    assert results(jobs(1, 3), tmp_path / "work", processes=1)["job-1"] == {"result": 6}  # other settings
    (tmp_path / "work" / "job-0.json").write_text("{cut", encoding="utf-8")
    results(jobs(1, 3), tmp_path / "work", processes=1)
    assert CALLS == [1, 2, 3, 1]


def test_changed_dependencies_repeat_a_job(tmp_path: Path) -> None:
    def job(checksums: str) -> list[Job]:
        given = {"number": 1, "settings": QUICK}
        return [Job(name="scored", function=double, settings=given, depends={"checksums": checksums})]

    CALLS.clear()
    for checksums in ("a", "a", "b"):
        results(job(checksums), tmp_path / "work", processes=1)
    assert CALLS == [1, 1]


# ---- gates


def test_gates_equal_those_of_the_layer() -> None:
    layer = TorchLayer(ModelConfig(cell="lstm"), 4, 5)
    layer.initialize(1.0, Generator().manual_seed(1))
    inputs = torch.randn(7, 4, generator=Generator().manual_seed(2))
    seen = gates(layer, inputs)
    zero = layer.zero_state(inputs[:1])
    torch.testing.assert_close(seen["hidden"], layer(inputs.unsqueeze(0), zero)[0])
    # h = o ⊙ tanh(c); and what f keeps of c, and i lets in, is the next c: |c' − f ⊙ c| <= i, as |g| <= 1.
    torch.testing.assert_close(seen["hidden"], seen["output"] * torch.tanh(seen["cell"]))
    assert torch.all((seen["cell"][1:] - seen["forget"][1:] * seen["cell"][:-1]).abs() <= seen["input"][1:] + 1e-6)


# ---- figures


def result(**accuracy: float) -> dict[str, Any]:
    return {"accuracy": {name.strip("_"): value for name, value in accuracy.items()}}


def test_means_deviations_and_what_is_mastered() -> None:
    found = [result(_5=1.0, _10=0.9, _20=0.5, _40=1.0), result(_5=0.9, _10=0.95, _20=0.7, _40=1.0)]
    assert average_accuracies(found)[20] == pytest.approx((0.6, 0.2 / 2**0.5))
    assert average_accuracies(found[:1])[20] == (0.5, 0)
    assert find_mastered_distance(found) == 10
    assert find_mastered_distance([result(_5=0.5, _10=1.0)]) is None


def test_gradients_are_relative_and_their_mean_geometric() -> None:
    found = [{"before": {"h": [2.0, 1.0, 0.0]}}, {"before": {"h": [4.0, 0.5, 0.0]}}]
    assert compute_reach(found, "before") == pytest.approx([1, 0.25, 0])


# ---- translation models


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for language in ("en", "de"):
        text = tiny.write_corpus(folder).with_suffix(f".{language}").read_text(encoding="utf-8")
        for name in ("train", VALID, TEST):
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def models(corpus: Path) -> list[str]:
    for cell in CELLS:
        train(tiny.config(corpus / "text", f"model.cell={cell}", "training.epochs=1"), corpus / cell)
    return [str(corpus / cell) for cell in CELLS]


@pytest.mark.slow
def test_a_model_is_trained_once_and_scored(corpus: Path, models: list[str]) -> None:
    folder = str(corpus / "trained")
    recipe = {"config": f"{models[2]}/best/config.yaml", "overrides": ["training.epochs=1", "data.drop_overlap=false"]}
    found = train_and_score("lstm", corpus=str(corpus), folder=folder, **recipe)  # type: ignore[arg-type]
    assert found == score("lstm", str(corpus), folder)
    assert [each["name"] for each in found[TEST]["scores"]] == ["BLEU", "chrF2"]
    assert found[TEST]["lengths"][0]["sentences"] == len(tiny.PAIRS) ** 2
    assert found["seconds"] > 0
    assert json.loads(json.dumps(found)) == found


def test_errors_are_reported(corpus: Path, models: list[str]) -> None:
    with pytest.raises(ModelError, match=r"its cell is rnn, not lstm; name models of rnn, gru, lstm, in this order"):
        score("lstm", str(corpus), models[0])
    with pytest.raises(ModelError, match="its cell is rnn"):
        read_sentence(models[0], "red cat")
    with pytest.raises(DataError, match=r"val\.en: no such file"):
        score("rnn", str(corpus / "nowhere"), models[0])
    config = f"{models[1]}/best/config.yaml"
    with pytest.raises(ModelError, match="nmt-train failed for gru"):
        train_and_score("gru", config, [], str(corpus / "nowhere"), str(corpus / "none"))


def test_gates_along_a_sentence(models: list[str]) -> None:
    seen = read_sentence(models[2], "red cat house")
    assert seen["pieces"] == ["red", "cat", "house", "</s>"]
    for direction in ("forward", "backward"):
        assert {name: len(values) for name, values in seen[direction].items()} == dict.fromkeys(
            ("forget", "input", "output", "cell"), 4
        )
    assert [len(row) for row in seen["forget"]] == [4] * len(seen["units"])
    # The first piece that the backward layer reads is the last: it forgets as a layer that has read nothing else does.
    alone = read_sentence(models[2], "")
    assert seen["backward"]["forget"][-1] == pytest.approx(alone["backward"]["forget"][0])
    assert seen["forward"]["forget"][-1] != pytest.approx(alone["forward"]["forget"][0])


# ---- the page


def test_page_contains_the_figures(models: list[str], corpus: Path) -> None:
    studies = {task: {cell: [study(task, cell, 1, QUICK)] for cell in CELLS} for task in TASKS}
    for task, cells in studies.items():
        for cell, each in cells.items():
            each[0]["accuracy"] = {"4": 1.0, "8": 1.0 if (task, cell) == ("copy", "lstm") else 0.25}
    scored = {cell: score(cell, str(corpus), folder) for cell, folder in zip(CELLS, models, strict=True)}
    for value, cell in enumerate(CELLS):
        scored[cell][TEST]["scores"][0] |= {"score": 30.0 + 2 * value, "margin": 1.5}
    origin = Origin(command="the command", commit="abc", machine="a machine", torch="2")
    page = format_page(studies, QUICK, [1], scored, read_sentence(models[2], "red cat"), origin)
    assert "{{" not in page
    assert "copying: RNN 4, GRU 4 and LSTM 8." in page
    assert "agreement: RNN 4, GRU 4 and LSTM 4." in page
    assert "the LSTM has the highest BLEU, 2.00 above the GRU: more than half" in page
    assert "| LSTM | 100 ± 0 | 25 ± 0 |" in " ".join(page.split())
    without = format_page(studies, QUICK, [1], None, None, origin)
    assert "## Translation" not in without
    assert "## The gates along" not in without
    assert page.startswith(without[: without.index("## How this was made")])


def test_format_list() -> None:
    assert [join_words(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.slow
def test_whole_command(corpus: Path, models: list[str], tmp_path: Path) -> None:
    folders = ["--output", str(tmp_path / "docs"), "--work", str(tmp_path / "work")]
    quick = ["--quick", "--processes", "2"]
    done = warm.run_command(run_script, str(corpus), *folders, *quick, "--models", *models)
    assert done.status == 0, done.stderr
    page = (tmp_path / "docs" / "cells.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((cells/\w+\.svg)\)", page)
    assert len(pictures) == 5
    assert {str(path.relative_to(tmp_path / "docs")) for path in (tmp_path / "docs" / "cells").iterdir()} == set(
        pictures
    )
    assert str(tmp_path) not in page
    assert "scripts/compare-cells DIR_OF_MULTI30K --output docs --models RNN GRU LSTM" in page


def test_errors_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = warm.run_command(run_script, "--output", str(tmp_path), "--quick", "--work", str(tmp_path / "file"))
    assert done.status == 2
    assert re.fullmatch(r"compare-cells: error: .*file: cannot be written.*\n", done.stderr.decode())
