"""How the commands read their arguments, and what all that call a controller have."""

__all__ = [
    "DEFAULT_ADDRESS",
    "client_verb",
    "core",
    "duration_s",
    "interval_s",
    "listed_architectures",
    "pick_count",
    "priced",
    "quantity",
    "seconds",
    "share",
    "thread_count",
    "use_count",
    "verb",
]

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

DEFAULT_ADDRESS = "127.0.0.1:7070"
_LONGEST_S = 3650 * 86_400.0
_MOST_THREADS = 1_024
_MOST_USES = 10_000
_MOST_PICKS = 1_000


def verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """A command with one example in its help."""
    parser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  fleetnas {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def client_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """A command that calls a controller."""
    parser = verb(verbs, name, text, example, run)
    parser.add_argument("--controller", default=DEFAULT_ADDRESS, metavar="ADDR", help="default: %(default)s")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("fleet"), help="the controller's (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def core(text: str) -> int:
    """A core of this machine that this process may use; -1 for any of them."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    try:
        number = int(text)
    except ValueError:
        number = -2
    if number < -1 or (usable and number >= 0 and number not in usable):
        named = ", ".join(map(str, usable)) or "0, 1, ..."
        raise argparse.ArgumentTypeError(f"'{text}' is no core here; give one of {named}, or -1 for any")
    return number


def thread_count(text: str) -> int:
    """From 1 to 1,024."""
    if not text.isdecimal() or not 0 < int(text) <= _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of threads; give 1 to {_MOST_THREADS:,}")
    return int(text)


def seconds(text: str) -> float:
    """Above zero, a day at most."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time in seconds; give e.g. 20, 86400 at most")
    return value


def interval_s(text: str) -> float:
    """As ``duration_s``; 0 for ``off``."""
    return 0.0 if text == "off" else duration_s(text)


def duration_s(text: str) -> float:
    """Reads ``90s``, ``15m``, ``24h``, ``7d``; a number without a unit could be any of them, and is refused."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    unit = units.get(text[-1:])
    try:
        value = float(text[:-1] if unit else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 15m or 24h") from None
    if unit is None:
        raise argparse.ArgumentTypeError(
            f"'{text}' is without a unit; write {text}s, {text}m, {text}h or {text}d"
        )
    value *= unit
    if not 0.0 < value <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 3650d; write 15m or 24h")
    return value


def use_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_USES:
        raise argparse.ArgumentTypeError(f"'{text}' is no count between 1 and {_MOST_USES}")
    return int(text)


def pick_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_PICKS:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of networks between 1 and {_MOST_PICKS}")
    return int(text)


def priced(text: str) -> dict[str, float]:
    """``20:0.5``: a soft latency and the price of each millisecond over it, as ``SearchConfig`` has them."""
    limit_ms, _, price = text.partition(":")
    try:
        return {"soft_latency_ms": float(limit_ms), "soft_price": float(price)}
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no latency with a price; write 20:0.5, half a point for each millisecond over 20"
        ) from None


def quantity(text: str) -> float:
    """``2500000``, ``2.5M``, ``300k``, ``1G``."""
    factors = {"k": 1e3, "m": 1e6, "g": 1e9}
    factor = factors.get(text[-1:].lower(), 1.0)
    try:
        return float(text[:-1] if factor > 1.0 else text) * factor
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no count; write 2500000 or 2.5M") from None


def share(text: str) -> float:
    """``20%`` or ``0.2``."""
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no share; write 20% or 0.2") from None
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0% and 100%; write 20% or 0.2")
    return value


def listed_architectures(given: Sequence[str]) -> tuple[str, ...]:
    """Texts of architectures; a name of a file stands for its lines, empty ones and comments (#) left out."""
    from fleetnas_controller.storage import storage_errors

    found: list[str] = []
    for text in given:
        path = Path(text)
        if not path.is_file():
            found.append(text)
            continue
        with storage_errors(path):
            lines = [one.strip() for one in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        found += [one for one in lines if one and not one.startswith("#")]
    return tuple(found)
