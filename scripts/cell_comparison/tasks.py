"""Two small tasks that require memory over a distance, with random sequences.

The distance is the number of steps between the step that reads an item and the step that must know it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

SYMBOLS, COPIED = 8, 4  # the alphabet of the copy task, and the number of symbols to remember
KINDS = 8  # the number of words of each kind in the agreement task
BLANK, GO = SYMBOLS, SYMBOLS + 1
PLURAL, PREPOSITION, ADJECTIVE = (
    KINDS,
    2 * KINDS,
    3 * KINDS,
)  # the first id of each kind of word; singular nouns begin at 0
THAT, VERB = 4 * KINDS, 4 * KINDS + 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task: random sequences, and the answers that are expected at their last steps."""

    title: str
    inputs: int
    """The number of different input ids."""
    outputs: int
    """The number of different answers."""
    least: int
    """The shortest distance."""
    draw: Callable[[int, int, Generator], tuple[Tensor, Tensor]]
    """Draws B sequences from a distance, B and a generator: ids (B, T), and the answers (B, A) at the last A steps."""

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / self.outputs


def copy(distance: int, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw symbols, blanks, and a sign to repeat the symbols.

    The task is from Hochreiter & Schmidhuber (1997) and Arjovsky et al. (2016).
    """
    symbols = torch.randint(SYMBOLS, (count, COPIED), generator=generator)
    rest = torch.full((count, distance), BLANK)
    rest[:, distance - COPIED] = GO  # this input asks for the first symbol
    return torch.cat([symbols, rest], dim=1), symbols


def agreement(distance: int, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Predict whether two verbs are singular or plural. Each verb agrees with its subject, not with the nouns between.

    One clause is nested in the other: the keys near old doors THAT the man beside new cars VERB VERB. The inner verb
    comes first, and the distance is measured for the outer verb (after Linzen et al. 2016; Lakretz et al. 2019).
    """
    middle = (distance - 1) // 2  # the first step of the inner clause
    numbers = torch.randint(2, (count, distance + 1), generator=generator)
    words = torch.randint(KINDS, (count, distance + 1), generator=generator)
    kinds = torch.arange(distance + 1) % 3
    nouns = words + PLURAL * numbers
    ids = torch.where(kinds == 0, nouns, words + torch.where(kinds == 1, PREPOSITION, ADJECTIVE))
    ids[:, middle], ids[:, -2:] = THAT, VERB
    ids[:, middle + 1] = nouns[:, middle + 1]
    return ids, numbers[:, [middle + 1, 0]]


TASKS = {
    "copy": Task(title="copying", inputs=SYMBOLS + 2, outputs=SYMBOLS, least=COPIED, draw=copy),
    "agreement": Task(title="agreement", inputs=VERB + 1, outputs=2, least=4, draw=agreement),
}
