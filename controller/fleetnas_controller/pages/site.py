"""The files of the page, as ``agents/page/build.py`` made them."""

__all__ = ["PageSite", "SiteFile", "find_site"]

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError

_VARIABLE = "FLEETNAS_PAGE"
_CHECKOUT = Path(__file__).resolve().parents[3]
# Where hatch_build.py puts the page in a wheel.
_PACKED = Path(__file__).resolve().parent / "built"
_PROTOCOL = 1
_HOME = "index.html"


@dataclass(frozen=True, slots=True)
class SiteFile:
    """Attributes:
    path: The file; a compressed copy lies beside it under the same name with ``.gz``.
    """

    path: Path
    content_type: str


@dataclass(frozen=True, slots=True)
class PageSite:
    """What may be served, by address relative to the page; nothing else of the folder is."""

    files: dict[str, SiteFile]

    def file(self, address: str) -> SiteFile:
        """Raises NotFoundError."""
        found = self.files.get(address or _HOME)
        if found is None:
            raise NotFoundError(
                f"the page has no file '{address[:80]}'. Open the link of 'fleetnas device token'."
            )
        return found


def find_site(folder: Path | None = None) -> PageSite:
    """The built page.

    Args:
        folder: None: the one in the environment's FLEETNAS_PAGE; without it the checkout's ``build/page``, or the
            one that came with an installed package.

    Raises:
        FailedPreconditionError: It is not built, or of other sources than those of this checkout.
    """
    folder = folder or _usual_folder()
    cure = f"build it with 'make page', or say where it is with {_VARIABLE}."
    if folder == _PACKED:
        cure = f"install a wheel that 'make wheel' built, or say where a page is with {_VARIABLE}."
    try:
        listed = json.loads((folder / "files.json").read_text(encoding="utf-8"))
        if listed["protocol"] != _PROTOCOL or not _is_of(listed.get("sources"), _CHECKOUT):
            raise FailedPreconditionError(f"the page in '{folder}' is of another version: {cure}")
        return PageSite(
            {
                name: SiteFile(folder / "site" / name, content_type)
                for name, content_type in listed["files"].items()
            }
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FailedPreconditionError(f"no page in '{folder}': {cure}") from error


def _usual_folder() -> Path:
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    return _CHECKOUT / "build" / "page" if _in_checkout(_CHECKOUT) else _PACKED


def _in_checkout(checkout: Path) -> bool:
    return (checkout / "agents" / "page").is_dir()


def _is_of(sources: dict[str, str] | None, checkout: Path) -> bool:
    """Whether the page was made of what is there now; where only the package is installed, nobody can tell.

    Args:
        sources: SHA-256 by path; None: built before this was noted.
    """
    if not _in_checkout(checkout):
        return True
    if sources is None:
        return False
    return all(
        (checkout / name).is_file() and hashlib.sha256((checkout / name).read_bytes()).hexdigest() == sha256
        for name, sha256 in sources.items()
    )
