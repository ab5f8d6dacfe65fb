"""A small recurrent network that draws architectures, choice after choice, and learns from their rewards."""

__all__ = ["LstmPolicy"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SPREAD = 0.1
_CLIP_NORM = 5.0
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class _Step:
    """What the gradient of one decision needs: one LSTM cell, one head."""

    joined: Floats  # input and hidden state before, shape (2H,)
    gates: tuple[Floats, Floats, Floats, Floats]  # input, forget, output, candidate
    cell_before: Floats
    cell_tanh: Floats
    hidden: Floats
    probabilities: Floats
    slope: Floats  # of the logits by the head's output


class LstmPolicy:
    """One LSTM layer and a softmax for each decision; each choice is the next decision's input.

    Args:
        option_counts: Options of each decision.
        hidden_size: Width of the layer and of the embedding of choices.
        temperature: Divides the heads' outputs; the higher, the more uniform the draws.
        tanh_constant: Bounds the logits to plus and minus this; None: they have no bounds.
        seed: Of the first weights.

    Source: Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017.
    """

    def __init__(
        self,
        option_counts: Sequence[int],
        *,
        hidden_size: int,
        temperature: float,
        tanh_constant: float | None,
        seed: int = 0,
    ) -> None:
        self._counts = tuple(option_counts)
        self._size = hidden_size
        self._temperature = temperature
        self._tanh_constant = tanh_constant
        rng = np.random.default_rng(seed)

        def drawn(*shape: int) -> Floats:
            return rng.uniform(-_SPREAD, _SPREAD, shape)

        self.weights = {
            "embedding": drawn(max(self._counts) + 1, hidden_size),  # row 0: before the first decision
            "cell": drawn(2 * hidden_size, 4 * hidden_size),
            "cell_bias": np.zeros(4 * hidden_size),
        }
        for index, count in enumerate(self._counts):
            self.weights[f"head{index}"] = drawn(hidden_size, count)
            self.weights[f"bias{index}"] = np.zeros(count)
        self._moments = {name: (np.zeros_like(one), np.zeros_like(one)) for name, one in self.weights.items()}
        self._updates = 0

    def sample(self, rng: Random) -> tuple[int, ...]:
        """Draws every choice."""
        choices: list[int] = []
        hidden, cell = np.zeros(self._size), np.zeros(self._size)
        for index in range(len(self._counts)):
            step, cell = self._step(index, choices[-1] if choices else None, hidden, cell)
            hidden = step.hidden
            drawn = int(np.searchsorted(np.cumsum(step.probabilities), rng.random(), side="right"))
            choices.append(min(drawn, self._counts[index] - 1))
        return tuple(choices)

    def probabilities(self, choices: Sequence[int]) -> list[Floats]:
        """Of every option of each decision, after the choices before it."""
        return [step.probabilities for step in self._steps(choices)]

    def reinforce(self, choices: Sequence[int], advantage: float, entropy: float, rate: float) -> None:
        """One step of Adam down the gradient of ``loss``.

        Args:
            rate: The learning rate.
        """
        gradients = self.gradients(choices, advantage, entropy)
        norm = math.sqrt(sum(float(np.square(one).sum()) for one in gradients.values()))
        scale = min(1.0, _CLIP_NORM / norm) if norm > 0.0 else 1.0
        self._updates += 1
        first, second = (1.0 - beta**self._updates for beta in _BETAS)
        for name, gradient in gradients.items():
            mean, square = self._moments[name]
            mean += (1.0 - _BETAS[0]) * (scale * gradient - mean)
            square += (1.0 - _BETAS[1]) * (np.square(scale * gradient) - square)
            self.weights[name] -= rate * (mean / first) / (np.sqrt(square / second) + _EPSILON)

    def loss(self, choices: Sequence[int], advantage: float, entropy: float) -> float:
        """``-advantage * log p(choices) - entropy * (sum of the entropies of all decisions)``.

        Entropy counts every option of a decision, drawn or not.
        """
        total = 0.0
        for choice, probabilities in zip(choices, self.probabilities(choices), strict=True):
            logs = np.log(probabilities)
            total += entropy * float(probabilities @ logs) - advantage * float(logs[choice])
        return total

    def gradients(self, choices: Sequence[int], advantage: float, entropy: float) -> dict[str, Floats]:
        """Of ``loss``, by the name of the weights."""
        steps = self._steps(choices)
        gradients = {name: np.zeros_like(one) for name, one in self.weights.items()}
        to_hidden, to_cell = np.zeros(self._size), np.zeros(self._size)
        for index in reversed(range(len(steps))):
            step = steps[index]
            to_logits = self._to_logits(step.probabilities, choices[index], advantage, entropy) * step.slope
            gradients[f"head{index}"] += np.outer(step.hidden, to_logits)
            gradients[f"bias{index}"] += to_logits
            to_hidden = to_hidden + self.weights[f"head{index}"] @ to_logits
            to_gates, to_cell = _through_cell(step, to_hidden, to_cell)
            gradients["cell"] += np.outer(step.joined, to_gates)
            gradients["cell_bias"] += to_gates
            to_joined = self.weights["cell"] @ to_gates
            row = choices[index - 1] + 1 if index else 0
            gradients["embedding"][row] += to_joined[: self._size]
            to_hidden = to_joined[self._size :]
        return gradients

    @staticmethod
    def _to_logits(probabilities: Floats, choice: int, advantage: float, entropy: float) -> Floats:
        logs = np.log(probabilities)
        to_logits: Floats = (
            entropy * probabilities * (logs - probabilities @ logs) + advantage * probabilities
        )
        to_logits[choice] -= advantage
        return to_logits

    def _steps(self, choices: Sequence[int]) -> list[_Step]:
        steps: list[_Step] = []
        hidden, cell = np.zeros(self._size), np.zeros(self._size)
        for index in range(len(self._counts)):
            step, cell = self._step(index, choices[index - 1] if index else None, hidden, cell)
            hidden = step.hidden
            steps.append(step)
        return steps

    def _step(self, index: int, before: int | None, hidden: Floats, cell: Floats) -> tuple[_Step, Floats]:
        """One decision after the choice before it; returns the new cell too."""
        joined = np.concatenate([self.weights["embedding"][0 if before is None else before + 1], hidden])
        raw = joined @ self.weights["cell"] + self.weights["cell_bias"]
        into, forget, out, candidate = np.split(raw, 4)
        gates = (_sigmoid(into), _sigmoid(forget), _sigmoid(out), np.tanh(candidate))
        new_cell = gates[1] * cell + gates[0] * gates[3]
        cell_tanh = np.tanh(new_cell)
        new_hidden = gates[2] * cell_tanh
        logits = (
            new_hidden @ self.weights[f"head{index}"] + self.weights[f"bias{index}"]
        ) / self._temperature
        slope = np.full(len(logits), 1.0 / self._temperature)
        if self._tanh_constant is not None:
            bounded = np.tanh(logits)
            logits, slope = self._tanh_constant * bounded, slope * self._tanh_constant * (1.0 - bounded**2)
        exponentials = np.exp(logits - logits.max())
        probabilities = np.maximum(exponentials / exponentials.sum(), 1e-12)
        return _Step(joined, gates, cell, cell_tanh, new_hidden, probabilities, slope), new_cell


def _through_cell(step: _Step, to_hidden: Floats, to_cell: Floats) -> tuple[Floats, Floats]:
    """Gradients of the four gates before their functions, joined, and of the cell before."""
    into, forget, out, candidate = step.gates
    to_cell = to_cell + to_hidden * out * (1.0 - step.cell_tanh**2)
    to_gates = np.concatenate(
        [
            to_cell * candidate * into * (1.0 - into),
            to_cell * step.cell_before * forget * (1.0 - forget),
            to_hidden * step.cell_tanh * out * (1.0 - out),
            to_cell * into * (1.0 - candidate**2),
        ]
    )
    return to_gates, to_cell * forget


def _sigmoid(values: Floats) -> Floats:
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result
