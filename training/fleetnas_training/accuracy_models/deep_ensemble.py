"""Family `deep-ensemble`: small networks from different starts; where they disagree, nothing is known."""

__all__ = ["DEEP_ENSEMBLE"]

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fleetnas_training.accuracy_models.training_set import (
    Family,
    Floats,
    Held,
    Ints,
    Learned,
    Settings,
    TrainingSet,
    fold_numbers,
)

if TYPE_CHECKING:
    from torch import Tensor

_MEMBERS = 5
_HIDDEN = 32
_STEPS = 300
_RATE = 0.01
_DECAY = 0.01


class _Ensemble:
    """Runs in numpy: predicting needs no torch.

    Args:
        layers: Weights and biases in turn, each of shape ``(members, inputs, outputs)`` or ``(members, 1, outputs)``.
    """

    def __init__(self, layers: list[Floats], noise_variance: float) -> None:
        self._layers = layers
        self.noise_variance = noise_variance

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        first, first_bias, second, second_bias, last, last_bias = self._layers
        hidden = np.tanh(features @ first + first_bias)
        hidden = np.tanh(hidden @ second + second_bias)
        outputs: Floats = (hidden @ last + last_bias)[:, :, 0]
        return outputs.mean(axis=0), outputs.var(axis=0, ddof=1)


def _learn(data: TrainingSet) -> Learned:
    """Trains the members of all ten folds and of the whole at once, as one batch of independent networks.

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    NeurIPS 2017; here with one variance for the noise, from the folds, as a hundred trainings do not show more.
    """
    folds = fold_numbers(data.ids)
    count = int(folds.max()) + 1
    seen = np.stack([*(folds != fold for fold in range(count)), np.ones(len(folds), dtype=bool)])
    with _one_thread():
        layers = _train(data.features, data.targets, np.repeat(seen, _MEMBERS, axis=0))
    mean, variance = np.empty(len(folds)), np.empty(len(folds))
    for fold in range(count):
        out, own = folds == fold, slice(fold * _MEMBERS, (fold + 1) * _MEMBERS)
        member = _Ensemble([one[own] for one in layers], 0.0)
        mean[out], variance[out] = member.predict(data.features[out], data.ids[out])
    noise = max(float((np.square(data.targets - mean) - variance).mean()), 1e-6)
    whole = [one[-_MEMBERS:].tolist() for one in layers]
    return Learned({"noise_variance": noise, "layers": whole}, Held(mean, variance + noise))


def _restore(data: TrainingSet, settings: Settings) -> _Ensemble:
    return _Ensemble([np.array(one) for one in settings["layers"]], settings["noise_variance"])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from more, and threads that wait for a busy core cost minutes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(features: Floats, targets: Floats, seen: NDArray[np.bool_]) -> list[Floats]:
    """One network for each row of ``seen``, which says which trainings it learns from; shape ``(networks, N)``."""
    import torch

    inputs, wanted = torch.tensor(features, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    weights = torch.tensor(seen / seen.sum(axis=1, keepdims=True), dtype=torch.float32)
    random = torch.Generator().manual_seed(0)
    layers: list[Tensor] = []
    for fan_in, fan_out in ((features.shape[1], _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, 1)):
        start = torch.randn(len(seen), fan_in, fan_out, generator=random) / fan_in**0.5
        layers += [start.requires_grad_(), torch.zeros(len(seen), 1, fan_out).requires_grad_()]
    optimizer = torch.optim.AdamW(layers, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for _ in range(_STEPS):
        hidden = torch.tanh(inputs @ layers[0] + layers[1])
        hidden = torch.tanh(hidden @ layers[2] + layers[3])
        outputs = (hidden @ layers[4] + layers[5])[:, :, 0]
        loss = (weights * (outputs - wanted).square()).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return [one.detach().double().numpy() for one in layers]


DEEP_ENSEMBLE = Family("deep-ensemble", _learn, _restore, package="torch", extra="train")
