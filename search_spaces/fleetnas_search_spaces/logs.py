"""Logs of every process of ours: text for people or one JSON object a line, never with a secret."""

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "JsonFormatter", "TextFormatter", "set_up_logging"]

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# No line should hold one; should a library print a call's metadata, this still keeps the token out.
_SECRET = re.compile(
    r"(?i)(bearer\s+|(?:(?<!fencing_)token|secret|credential|authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer\s+)?)"
    r"[^\s'\",;)]+"
)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, what was given as ``extra``, and
    ``error`` with its type and trace where there is one.

    The fleet's own keys: ``event``, ``job``, ``device``, ``search``, ``trial``, ``state``, ``fault``.
    """

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        values |= {key: _plain(value) for key, value in _extras(record).items()}
        if record.exc_info:
            values["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(values, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, then ``key=value`` for each ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs = "".join(
            f" {key}={value}" for key, value in _extras(record).items() if value not in ("", None)
        )
        line = f"{time} {record.levelname} {record.getMessage()}{pairs}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return without_secrets(line)


def set_up_logging(form: str, level: str, stream: TextIO | None = None) -> None:
    """Sends every logger's lines to ``stream`` (standard error when None), in one of ``LOG_FORMATS``."""
    handler = logging.StreamHandler(stream or _StandardError())
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class _StandardError:
    """Whatever ``sys.stderr`` is at the time; the one there at the start may be closed by then."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def without_secrets(text: str) -> str:
    """``text`` with what follows ``Bearer``, ``token=`` and the like blotted out."""
    return _SECRET.sub(r"\1***", text)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return without_secrets(str(value))
