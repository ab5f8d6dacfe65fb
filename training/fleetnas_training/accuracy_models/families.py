"""The families of accuracy models by name."""

__all__ = ["FAMILIES", "chosen_families", "family_named", "missing_families"]

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType

from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names
from fleetnas_training.accuracy_models.bayesian_ridge import BAYESIAN_RIDGE
from fleetnas_training.accuracy_models.boosting import BOOSTING
from fleetnas_training.accuracy_models.deep_ensemble import DEEP_ENSEMBLE
from fleetnas_training.accuracy_models.process import GAUSSIAN_PROCESS
from fleetnas_training.accuracy_models.training_set import Family

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {one.name: one for one in (GAUSSIAN_PROCESS, BAYESIAN_RIDGE, BOOSTING, DEEP_ENSEMBLE)}
)
"""In the order in which the first of equals is chosen."""


def missing_families() -> tuple[Family, ...]:
    """Those whose package is not installed."""
    return tuple(one for one in FAMILIES.values() if one.package and find_spec(one.package) is None)


def chosen_families(names: Sequence[str] = ()) -> tuple[Family, ...]:
    """The named ones; without names, all that are installed.

    Raises:
        NotFoundError: No family of that name.
        FailedPreconditionError: Its package is not installed.
    """
    if not names:
        missing = missing_families()
        return tuple(one for one in FAMILIES.values() if one not in missing)
    return tuple(family_named(one) for one in dict.fromkeys(names))


def family_named(name: str) -> Family:
    """As ``chosen_families``, of one name."""
    if name not in FAMILIES:
        raise NotFoundError(f"no accuracy model '{name}': {near_names(name, FAMILIES)}")
    family = FAMILIES[name]
    if family in missing_families():
        raise FailedPreconditionError(
            f"the accuracy model '{family.name}' needs {family.package}, which is not installed: "
            f"pip install 'fleetnas[{family.extra}]'."
        )
    return family
