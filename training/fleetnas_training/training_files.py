"""Trainings from a CSV: columns ``arch`` and ``accuracy``, maybe one for the fidelity and one for a proxy."""

__all__ = ["read_trainings"]

import csv
import io
from collections.abc import Iterable, Mapping

from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_training.trainings import Training, Trainings

_FIDELITIES = ("fidelity", "epochs")


def read_trainings(text: str, space: SearchSpace, fidelity: str = "", proxy: str = "") -> Trainings:
    """Reads a table of trainings; several rows of one network are repeated trainings.

    Args:
        fidelity: The one that is predicted; without it the largest number in the column ``fidelity`` or ``epochs``.
        proxy: A column of numbers that are no accuracies and cost less, e.g. of a score; rows may leave it or the
            accuracy empty.

    Raises:
        InvalidArgumentError: A column is missing, a value is no number, a code none of the space; as ``Trainings``.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or ()
    for name in ("arch", "accuracy", *([proxy] if proxy else [])):
        if name not in columns:
            raise InvalidArgumentError(
                f"the columns are {', '.join(columns)[:120] or 'none'}: one must be '{name}', as in 'arch,accuracy'."
            )
    column = next((one for one in _FIDELITIES if one in columns), "")
    rows: list[Training] = []
    for line, row in enumerate(reader, 2):
        rows += _row(line, row, space, column, proxy)
    proxies = frozenset({proxy} if any(one.level == proxy for one in rows) and proxy else ())
    levels = _ordered({one.level for one in rows} - proxies, fidelity)
    return Trainings(space, tuple(rows), (*proxies, *levels), proxies)


def _row(
    line: int, row: Mapping[str, str | None], space: SearchSpace, column: str, proxy: str
) -> Iterable[Training]:
    try:
        architecture = space.canonical(space.parse(row["arch"] or ""))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"line {line}: {error}") from error
    if row["accuracy"] or not proxy:
        yield Training(
            architecture, _number(line, row, "accuracy"), (row[column] or "").strip() if column else ""
        )
    if proxy and row[proxy]:
        yield Training(architecture, _number(line, row, proxy), proxy)


def _number(line: int, row: Mapping[str, str | None], name: str) -> float:
    try:
        return float(row[name] or "")
    except ValueError:
        raise InvalidArgumentError(
            f"line {line} has '{row[name] or ''}' for '{name}': give a number."
        ) from None


def _ordered(levels: set[str], top: str) -> tuple[str, ...]:
    """Rising, without what is above ``top``."""
    if top and top not in levels:
        raise InvalidArgumentError(
            f"no training has the fidelity '{top}': there are {', '.join(sorted(levels))[:120] or 'none'}."
        )
    if len(levels) < 2:
        return tuple(levels) or ("",)
    try:
        rising = sorted(levels, key=float)
    except ValueError:
        raise InvalidArgumentError(
            f"the fidelities {', '.join(sorted(levels))[:120]} are not all numbers: give each a number that rises "
            "with its cost, such as epochs."
        ) from None
    return tuple(rising[: rising.index(top) + 1] if top else rising)
