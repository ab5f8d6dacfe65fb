"""What every space does with its tuple of choices: draw, change, read, check, enumerate."""

__all__ = [
    "canonical_members",
    "check_architecture",
    "check_choices",
    "distinct_samples",
    "mutate_choices",
    "parse_choices",
    "sample_choices",
]

import itertools
import math
import re
from collections.abc import Sequence
from random import Random

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError

_TRIES = 50
_SEPARATORS = re.compile(r"[\s,]+")


def sample_choices(option_counts: Sequence[int], rng: Random) -> tuple[int, ...]:
    """Draws every choice uniformly from ``range(count)``."""
    return tuple(rng.randrange(count) for count in option_counts)


def mutate_choices(choices: tuple[int, ...], option_counts: Sequence[int], rng: Random) -> tuple[int, ...]:
    """Changes exactly one choice: its position is uniform, its new value uniform among the others.

    Raises:
        InvalidArgumentError: No decision has a second option.
    """
    positions = [index for index, count in enumerate(option_counts) if count > 1]
    if not positions:
        raise InvalidArgumentError("no decision has more than one option: there is nothing to mutate.")
    index = rng.choice(positions)
    drawn = rng.randrange(option_counts[index] - 1)
    value = drawn if drawn < choices[index] else drawn + 1
    return (*choices[:index], value, *choices[index + 1 :])


def check_choices(choices: Sequence[int], option_counts: Sequence[int], space_name: str) -> None:
    """Raises InvalidArgumentError when the length is wrong or a value is out of range."""
    if len(choices) != len(option_counts):
        raise InvalidArgumentError(
            f"space '{space_name}' has {len(option_counts)} choices, got {len(choices)}: {list(choices)}."
        )
    for index, (value, count) in enumerate(zip(choices, option_counts, strict=True)):
        if not 0 <= value < count:
            raise InvalidArgumentError(
                f"choice {index} of space '{space_name}' is {value}, allowed are 0 to {count - 1}."
            )


def check_architecture(architecture: Architecture, space: SearchSpace) -> None:
    """Raises InvalidArgumentError when ``architecture`` is not a point of ``space``."""
    if architecture.space != space.name:
        raise InvalidArgumentError(
            f"architecture '{architecture.key}' belongs to space '{architecture.space}', not to '{space.name}'."
        )
    expected_px = space.reference.resolution_px
    if architecture.resolution_px != expected_px:
        raise InvalidArgumentError(
            f"architecture '{architecture.key}' has {architecture.resolution_px} px, this instance of "
            f"space '{space.name}' has {expected_px} px: make a space with `resolution_px` set."
        )
    check_choices(architecture.choices, space.option_counts, space.name)


def parse_choices(text: str, option_counts: Sequence[int], space_name: str) -> tuple[int, ...]:
    """Reads ``"2,0,1"``, ``"[2, 0, 1]"``, ``"2 0 1"``; ``"201"`` too when no decision has over ten options.

    Raises:
        InvalidArgumentError: Not numbers, wrong length, or a value out of range.
    """
    bare = text.strip().removeprefix("[").removesuffix("]").strip().rstrip(",")
    words = _SEPARATORS.split(bare) if bare else []
    if len(words) == 1 and len(option_counts) > 1 and max(option_counts) <= 10:
        words = list(words[0])
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise InvalidArgumentError(
            f"'{_shortened(text)}' is no architecture of space '{space_name}': give its {len(option_counts)} "
            f"choices as whole numbers, e.g. '{','.join('0' * min(len(option_counts), 3))},...'."
        )
    # A number of many digits is out of range anyway; Python refuses to convert beyond some thousand digits.
    choices = tuple(int(word[-18:]) if not word[:-18].strip("0") else 10**18 for word in words)
    check_choices(choices, option_counts, space_name)
    return choices


def canonical_members(space: SearchSpace, at_most: int) -> tuple[Architecture, ...] | None:
    """Every canonical architecture of a small space, sorted.

    Returns:
        None when the space has more than ``at_most`` codes (canonical or not): too many to list.
    """
    counts = space.option_counts
    if math.prod(counts) > at_most:
        return None
    reference = space.reference
    codes = itertools.product(*(range(count) for count in counts))
    members = {
        space.canonical(Architecture(reference.space, choices, reference.resolution_px)) for choices in codes
    }
    return tuple(sorted(members))


def distinct_samples(space: SearchSpace, count: int, rng: Random) -> tuple[Architecture, ...]:
    """Canonical architectures of random codes, each once; fewer than ``count`` where a space has hardly more."""
    found: dict[Architecture, None] = {}
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        found.setdefault(space.canonical(space.sample(rng)))
    return tuple(found)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
