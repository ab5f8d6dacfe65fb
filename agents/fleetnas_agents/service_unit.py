"""The systemd unit that keeps an agent running. Pure: text and paths."""

__all__ = ["ServiceUnit", "unit_folder", "unit_text", "wanted_link"]

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetnas_search_spaces.errors import InvalidArgumentError

_SYSTEM_FOLDER = Path("/etc/systemd/system")
_PLAIN = re.compile(r"[A-Za-z0-9@+=:,./_-]+")


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """What the unit says.

    Attributes:
        title: Of the device, for people.
        command: Program and arguments.
        folder: Where it runs, which relative paths in ``command`` begin at.
        environment: Beside what systemd sets; nothing secret, for everybody may read the unit.
        user: Whose process it is; empty in a user's own unit.
    """

    title: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    user: str = ""


def unit_folder(system: bool, environment: Mapping[str, str]) -> Path:
    """Where systemd looks for units of the machine, or of the user whose environment this is."""
    if system:
        return _SYSTEM_FOLDER
    configuration = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '~')}/.config"
    return Path(configuration).expanduser() / "systemd" / "user"


def wanted_link(unit: Path, system: bool) -> Path:
    """What ``systemctl enable`` makes, so that the unit starts by itself."""
    return unit.parent / f"{_wanted_by(system)}.wants" / unit.name


def unit_text(unit: ServiceUnit) -> str:
    """Raises InvalidArgumentError when a word holds what no unit can, such as a new line."""
    lines = [
        "[Unit]",
        f"Description=FleetNAS agent: {_literal(unit.title)}",
        "Wants=network-online.target",
        "After=network-online.target",
        # The controller may be away for a weekend: never give up.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *([f"User={_literal(unit.user)}"] if unit.user else []),
        f"WorkingDirectory={_literal(str(unit.folder))}",
        *(f"Environment={_word(f'{name}={value}')}" for name, value in sorted(unit.environment.items())),
        f"ExecStart={' '.join(_word(one) for one in unit.command)}",
        "Restart=always",
        "RestartSec=10",
        # Wrong usage stays wrong however often it is tried.
        "RestartPreventExitStatus=2",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        f"WantedBy={_wanted_by(bool(unit.user))}",
        "",
    ]
    return "\n".join(lines)


def _wanted_by(system: bool) -> str:
    return "multi-user.target" if system else "default.target"


def _word(text: str) -> str:
    """One argument, quoted as systemd.service(5) and systemd.syntax(7) say."""
    text = _literal(text).replace("$", "$$")
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(text: str) -> str:
    if not text.isprintable():
        raise InvalidArgumentError(
            f"{text!r} cannot stand in a service file: leave out what is no printable character."
        )
    return text.replace("%", "%%")
