"""The licences of what the page is bundled from, for everybody who gets the page."""

__all__ = ["notices"]

import json
from pathlib import Path
from typing import Any

_TEXTS = Path(__file__).resolve().parent / "licences"
_RULE = "-" * 80
# As the heads of their files say; their package.json names who publishes them.
_HOLDERS = {"onnxruntime-common": "Microsoft Corporation", "onnxruntime-web": "Microsoft Corporation"}
_HEAD = """FleetNAS's page is licensed under the Apache License, Version 2.0. It is bundled from the packages below.

What ONNX Runtime's WebAssembly is itself made of is listed by its project:
github.com/microsoft/onnxruntime, ThirdPartyNotices.txt under the tag of the version named below.
"""


def notices(npm: Path) -> str:
    """Names every package that the page may hold, with its version and the text of its licence.

    Args:
        npm: Where the packages are installed, beside the lock file they were installed from.

    Raises:
        ValueError: A package says neither by a file nor by a name known here how it is licensed.
    """
    lock = json.loads((npm / "package-lock.json").read_text(encoding="utf-8"))
    # Without a name of its own is the page itself; what is only for building it is not handed on.
    names = [name for name, facts in lock["packages"].items() if name and not facts.get("dev")]
    return "\n".join([_HEAD, *(_notice(npm / name) for name in sorted(names) if (npm / name).is_dir())])


def _notice(folder: Path) -> str:
    facts: dict[str, Any] = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    title = f"{facts['name']} {facts['version']}, {facts.get('license', 'no licence named')}"
    return f"{_RULE}\n{title}\n{_RULE}\n{_text(folder, facts)}\n"


def _text(folder: Path, facts: dict[str, Any]) -> str:
    """The package's own file; without one, the text of the licence it names, under the author it names."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.lower().startswith(("license", "licence")):
            return path.read_text(encoding="utf-8").strip()
    text = _TEXTS / f"{facts.get('license')}.txt"
    author = facts.get("author", "")
    holder = _HOLDERS.get(facts["name"]) or (author.get("name") if isinstance(author, dict) else author)
    if not text.is_file() or not holder:
        raise ValueError(
            f"{facts['name']} {facts['version']} comes without the text of its licence "
            f"('{facts.get('license')}'): put it into agents/page/licences, and its holder into notices.py."
        )
    return f"Copyright (c) {holder}\n\n{text.read_text(encoding='utf-8').strip()}"
