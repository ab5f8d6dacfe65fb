"""The packs that come with the package."""

__all__ = ["shipped_names", "shipped_operator_packs", "shipped_pack", "shipped_packs_of"]

import gzip
import zlib
from functools import cache
from importlib.resources import files

from fleetnas_latency.exchange.pack import Pack, read_pack
from fleetnas_latency.repository import ObservationKind
from fleetnas_search_spaces.errors import DataLossError, NotFoundError, near_names

_FOLDER = "fleetnas_latency.packs"
_ENDING = ".json.gz"


def shipped_names() -> tuple[str, ...]:
    """Of all packs, sorted; those of a space begin with its name."""
    found = (one.name for one in files(_FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING)))


@cache
def shipped_pack(name: str) -> Pack:
    """Reads one, its hash checked.

    Raises:
        NotFoundError: There is none of that name; near ones are named.
        DataLossError: The installed file is damaged.
    """
    names = shipped_names()
    if name not in names:
        raise NotFoundError(f"no pack '{name}' in the package; {near_names(name, names)}")
    content = files(_FOLDER).joinpath(name + _ENDING).read_bytes()
    try:
        text = gzip.decompress(content).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataLossError(f"pack '{name}' is damaged ({error}): install FleetNAS again.") from error
    return read_pack(text)


def shipped_packs_of(space_name: str) -> tuple[Pack, ...]:
    """Those with networks of that space; none for a space that nobody published."""
    prefix = f"{space_name}-"
    packs = (shipped_pack(name) for name in shipped_names() if name.startswith(prefix))
    return tuple(one for one in packs if any(entry.space == space_name for entry in one.entries))


def shipped_operator_packs() -> tuple[Pack, ...]:
    """Those of operators that were measured alone, which networks of no space can be predicted from."""
    packs = (shipped_pack(name) for name in shipped_names())
    return tuple(
        one for one in packs if any(each.kind is ObservationKind.OPERATOR for each in one.observations)
    )
