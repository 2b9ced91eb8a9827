"""scripts/closest chooses the translation with the highest sentence BLEU from each n-best list."""

from pathlib import Path

import pytest
import warm
from experiments.closest import run_script
from sacrebleu import sentence_bleu

NBEST = [
    ["ein Mann reitet", "ein Mann reitet auf einem Pferd .", "ein Mann geht ."],
    [""],
    ["das Haus ||| alt", "das Haus ||| rot"],
    ["gleich\u2028gut", "gleich\u2028gut"],
]
REFERENCES = ["ein Mann reitet ein Pferd .", "", "ein Haus ||| rot", "anders"]


def run(folder: Path, nbest: str, *options: str) -> warm.Ended:
    (folder / "reference").write_text("".join(f"{line}\n" for line in REFERENCES), "utf-8")
    return warm.run_command(run_script, str(folder / "reference"), *options, content=nbest.encode())


def moses(lists: list[list[str]]) -> str:
    lines = [(number, text) for number, texts in enumerate(lists, start=1) for text in texts]
    return "".join(f"{number} ||| {text} ||| -0.5\n" for number, text in lines)


def test_the_closest_of_each_line(tmp_path: Path) -> None:
    done = run(tmp_path, moses(NBEST))
    expected = [
        max(texts, key=lambda text: sentence_bleu(text, [reference]).score)
        for texts, reference in zip(NBEST, REFERENCES, strict=True)
    ]
    assert (done.stderr, done.stdout.decode().split("\n")) == (b"", [*expected, ""])
    assert expected[2] == NBEST[2][1]


@pytest.mark.parametrize(
    ("nbest", "message"),
    [
        (moses(NBEST[:3]), "line 4: translations and references do not pair up"),
        (moses([*NBEST, ["zu viel"]]), "line 5: translations and references do not pair up"),
        ("ein Mann\n", "'ein Mann': not `number ||| text ||| score`"),
    ],
)
def test_faults(nbest: str, message: str, tmp_path: Path) -> None:
    done = run(tmp_path, nbest)
    assert done.status == 2
    assert done.stderr.decode().startswith(f"closest: error: {message}")
    assert done.stderr.count(b"\n") == 1
