"""Train a recurrent layer on a task, and measure how far back its gradient reaches."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cell_comparison.sizes import find_equal_size
from cell_comparison.tasks import TASKS, Task
from nmt.config.schema import ModelConfig
from nmt.model.parts import build_layer

FORGET_BIAS = 1.0  # as in translation models


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings for training and testing the networks."""

    size: int = 64
    """The size of the LSTM. The other cells have the size with the same number of parameters."""
    embedding: int = 16
    updates: int = 2000
    batch: int = 32
    learning_rate: float = 0.003
    clip_norm: float = 1.0
    longest: int = 50
    """The longest distance in training."""
    distances: tuple[int, ...] = (5, 10, 20, 30, 50, 75, 100, 200, 400)
    """The distances in the test."""
    tested: int = 512
    """The number of test sequences for each distance."""
    reach: int = 100
    """The distance up to which gradients are measured."""
    followed: int = 64
    """The number of sequences over which the norms of gradients are averaged."""


class Reader(nn.Module):
    """A network of an embedding, one recurrent layer and a linear readout. It maps ids to scores of answers."""

    def __init__(self, task: Task, cell: Any, size: int, embedding: int, generator: Generator | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(task.inputs, embedding)
        self.layer = build_layer(ModelConfig(cell=cell), embedding, size)
        self.readout = nn.Linear(size, task.outputs)
        if generator:
            nn.init.normal_(self.embedding.weight, generator=generator)
            self.layer.initialize(FORGET_BIAS, generator)
            nn.init.xavier_uniform_(self.readout.weight, generator=generator)
            nn.init.zeros_(self.readout.bias)

    def forward(self, ids: Tensor, answers: int) -> Tensor:
        """Return the scores (B, A, outputs) at the last A steps of ids (B, T)."""
        embedded = self.embedding(ids)
        outputs = self.layer(embedded, self.layer.zero_state(embedded[:, 0]))
        scores: Tensor = self.readout(outputs[:, -answers:])
        return scores


def parameters(task: Task, cell: str, size: int, embedding: int) -> int:
    return sum(weight.numel() for weight in Reader(task, cell, size, embedding, None).parameters())


def study(task_name: str, cell: str, seed: int, settings: Settings) -> dict[str, Any]:
    """Train one network. Return its accuracy by distance, and its gradients before and after training."""
    task = TASKS[task_name]
    wanted = parameters(task, "lstm", settings.size, settings.embedding)
    size = find_equal_size(lambda size: parameters(task, cell, size, settings.embedding), wanted)
    network = Reader(task, cell, size, settings.embedding, Generator().manual_seed(seed))
    before = gradient_norms(network, task, settings)
    learn(network, task, seed, settings)
    return {
        "size": size,
        "parameters": parameters(task, cell, size, settings.embedding),
        "accuracy": {str(distance): accuracy(network, task, distance, settings) for distance in settings.distances},
        "before": before,
        "after": gradient_norms(network, task, settings),
    }


def learn(network: Reader, task: Task, seed: int, settings: Settings) -> None:
    """Train with Adam. Each batch has its own distance, at most `settings.longest`."""
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for _ in range(settings.updates):
        distance = int(torch.randint(task.least, settings.longest + 1, (), generator=generator))
        ids, answers = task.draw(distance, settings.batch, generator)
        loss = F.cross_entropy(network(ids, answers.size(1)).flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()


@torch.no_grad()
def accuracy(network: Reader, task: Task, distance: int, settings: Settings) -> float:
    """Compute the share of correct answers at a distance. All networks are tested on the same sequences."""
    ids, answers = task.draw(distance, settings.tested, Generator().manual_seed(distance))
    return float((network(ids, answers.size(1)).argmax(dim=-1) == answers).double().mean())


def gradient_norms(network: Reader, task: Task, settings: Settings) -> dict[str, list[float]]:
    """Compute ‖∂L_T / ∂s_{T−d}‖ for d = 0, 1, ..., as means over sequences, for each part s of the state.

    The parts are h and, in an LSTM, c. L_T is the loss at the last step only. The gradient of c includes its effect on
    h in the same step, h = o ⊙ tanh(c).
    The gradients are computed in float64, because some are too small for float32.
    """
    ids, answers = task.draw(settings.reach, settings.followed, Generator().manual_seed(0))
    exact = Reader(task, network.layer.cell, network.layer.hidden_size, network.embedding.embedding_dim, None).double()
    exact.load_state_dict(network.state_dict())
    states = unroll(exact, ids)
    loss = F.cross_entropy(exact.readout(states[-1][0]), answers[:, -1], reduction="sum")  # sequences do not mix
    parts = {}
    for part, tensors in zip("hc", zip(*states, strict=True), strict=False):
        gradients = torch.autograd.grad(loss, tensors, retain_graph=True)[::-1]
        parts[part] = [float(gradient.norm(dim=-1).mean()) for gradient in gradients[: settings.reach + 1]]
    return parts


def unroll(network: Reader, ids: Tensor) -> list[tuple[Tensor, ...]]:
    """Compute the state after each step with the equations of the cell."""
    state = network.layer.zero_state(network.embedding(ids[:, 0]))
    states = []
    for embedded in network.embedding(ids).unbind(dim=1):
        state = network.layer.step(embedded, state)
        states.append(state)
    return states


def quick() -> Settings:
    """Return settings for a test of a few seconds. The networks learn nothing."""
    return dataclasses.replace(
        Settings(), size=32, updates=2, longest=6, distances=(4, 8), tested=8, reach=8, followed=2
    )
