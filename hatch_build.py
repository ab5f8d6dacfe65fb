"""Puts the built page into the wheel: a controller installed from it serves pages without node or a checkout."""

__all__ = ["PageHook"]

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_WITHOUT = "FLEETNAS_WITHOUT_PAGE"
_INSIDE = "fleetnas_controller/pages/built"


class PageHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Ends the build in one line where the page is not built, or of other sources than those beside this file."""
        # An editable install finds what `make page` builds, whenever it is built.
        if version == "editable" or os.environ.get(_WITHOUT):
            return
        root = Path(self.root)
        check = [sys.executable, str(root / "agents" / "page" / "build.py"), "--check"]
        answer = subprocess.run(check, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            self.app.abort(f"{answer.stderr.strip()} For a wheel that serves no pages set {_WITHOUT}=1.")
        # Not the packages that the page was bundled from, which lie beside it.
        for name in ("files.json", "site"):
            build_data["force_include"][str(root / "build" / "page" / name)] = f"{_INSIDE}/{name}"
