"""Packs: what one target is known to do, as JSON with a version and a hash. No code runs when one is read."""

__all__ = ["Pack", "read_pack", "write_pack"]

import json
from collections.abc import Sequence
from dataclasses import dataclass

from fleetnas_latency import rows
from fleetnas_latency.repository import LatencyEntry, Observation
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import DataLossError
from fleetnas_search_spaces.sealed_json import seal, unseal

_FORMAT = "fleetnas-latency-pack"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Pack:
    """The knowledge of one target.

    Attributes:
        origin, licence: Where the numbers come from and under which terms they may be passed on; may be empty.
        entries: Learned ones, with the space each belongs to.
    """

    target: Target
    observations: Sequence[Observation] = ()
    entries: Sequence[LatencyEntry] = ()
    origin: str = ""
    licence: str = ""


def write_pack(pack: Pack) -> str:
    """The pack as text; the same pack gives the same text."""
    content = {
        "target": rows.from_target(pack.target),
        "origin": pack.origin,
        "licence": pack.licence,
        "observations": [rows.from_observation(one) for one in pack.observations],
        "entries": [rows.from_entry(one, pack.target, one.space) for one in pack.entries],
    }
    return json.dumps(seal(_FORMAT, _VERSION, content), indent=1, sort_keys=True) + "\n"


def read_pack(text: str) -> Pack:
    """Inverse of ``write_pack``.

    Raises:
        InvalidArgumentError: It is no pack.
        DataLossError: It is of a newer version, was cut or was changed.
    """
    content = unseal(text, _FORMAT, _VERSION, noun="pack", cure="get it again")
    try:
        target = rows.to_target(content["target"])
        return Pack(
            target,
            tuple(rows.to_observation(one, target) for one in content["observations"]),
            tuple(rows.to_entry(one) for one in content["entries"]),
            content["origin"],
            content["licence"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataLossError(f"the pack lacks or misspells {error}: write it again.") from error
