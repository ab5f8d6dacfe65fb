"""What `--objectives` says, in the units strategies work in."""

__all__ = ["costs", "worst_accuracy_percent"]

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import CapKind, Cost
from fleetnas_search_spaces.errors import InvalidArgumentError, near_names

_ACCURACY = "accuracy"
_KINDS = {"latency": CapKind.LATENCY_MS} | {
    str(kind): kind for kind in CapKind if kind is not CapKind.LATENCY_MS
}


def costs(config: SearchConfig) -> tuple[Cost, ...]:
    """The axes of the front beside accuracy; a latency is one axis for each device.

    Raises:
        InvalidArgumentError: An unknown axis, one named twice, a worst value that is no number above zero, or a
            front of one axis.
    """
    axes = _axes(config)
    found: list[Cost] = []
    for name, worst in axes.items():
        if name == "latency":
            found += [Cost(CapKind.LATENCY_MS, device, worst) for device in config.devices]
        elif name != _ACCURACY:
            found.append(Cost(_KINDS[name], worst=worst))
    if axes and (_ACCURACY not in axes or not found):
        raise InvalidArgumentError(
            f"the objectives are '{','.join(config.objectives)}'; name accuracy and at least one of "
            f"{', '.join(_KINDS)}, e.g. --objectives accuracy,latency."
        )
    return tuple(found)


def worst_accuracy_percent(config: SearchConfig) -> float:
    """The accuracy up to which a network is of no use; 0 where the user does not say."""
    return _axes(config).get(_ACCURACY) or 0.0


def _axes(config: SearchConfig) -> dict[str, float | None]:
    axes: dict[str, float | None] = {}
    for text in config.objectives:
        name, colon, worst = text.partition(":")
        known = (_ACCURACY, *_KINDS)
        if name not in known:
            raise InvalidArgumentError(f"no objective '{name}'; {near_names(name, known)}")
        if name in axes:
            raise InvalidArgumentError(f"the objective '{name}' is named twice; name it once.")
        axes[name] = _worst(text, worst) if colon else None
    return axes


def _worst(text: str, worst: str) -> float:
    try:
        value = float(worst)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InvalidArgumentError(
            f"the objective '{text}' has no number above zero behind its colon; write e.g. latency:30."
        )
    return value
