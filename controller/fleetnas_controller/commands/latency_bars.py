"""What each part of a network costs, as bars in the terminal."""

__all__ = ["print_bars"]

from collections.abc import Sequence

_LONGEST = 40


def print_bars(parts: Sequence[tuple[str, float, float]]) -> None:
    """One line for each part.

    Args:
        parts: Name, mean and standard deviation in milliseconds.
    """
    longest = max((mean_ms for _, mean_ms, _ in parts), default=0.0)
    for name, mean_ms, std_ms in parts:
        bar = "#" * max(0, round(_LONGEST * mean_ms / longest)) if longest > 0.0 else ""
        print(f"  {mean_ms:8.4f} ms +-{1.96 * std_ms:.4f} {bar:{_LONGEST}} {name}")
