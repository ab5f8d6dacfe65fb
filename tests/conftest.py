"""A space small enough to be used up, for tests of everything that searches."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.disks import mounted

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.builder import GraphBuilder
from fleetnas_search_spaces.choices import mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Operator, OperatorKind


class TinySpace:
    """Three convolutions of one of four widths each: 64 networks, all different."""

    name = "tiny"
    option_counts = (4, 4, 4)
    reference = Architecture("tiny", (3, 3, 3), 8)

    def sample(self, rng: Random) -> Architecture:
        return Architecture(self.name, sample_choices(self.option_counts, rng), 8)

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        return Architecture(self.name, mutate_choices(parent.choices, self.option_counts, rng), 8)

    def canonical(self, architecture: Architecture) -> Architecture:
        return architecture

    def parse(self, text: str) -> Architecture:
        return Architecture(self.name, parse_choices(text, self.option_counts, self.name), 8)

    def format(self, architecture: Architecture) -> str:
        return "".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        builder = GraphBuilder(8)
        tensor = builder.input
        for index, choice in enumerate(architecture.choices):
            width = 4 * (choice + 1)
            with builder.block(Operator(OperatorKind.STEM, tensor.channels, width, 8), f"layer{index}"):
                tensor = builder.conv("conv", tensor, width)
        return builder.build()

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        choices = np.array([one.choices for one in architectures], dtype=np.float64).reshape(-1, 3)
        return np.column_stack([choices, choices.sum(axis=1)])


_HERE = Path(__file__).parent
_ALONE = ("agents", "contracts/test_runtime.py", "e2e", "stand_ins")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(_HERE).as_posix().startswith(_ALONE):
            item.add_marker("alone")


@pytest.fixture
def tiny_space() -> SearchSpace:
    return TinySpace()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands that run within the tests set up logging for their process, which here lives on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], Path]]:
    """Mounts a file system of so many KiB at a folder."""
    with contextlib.ExitStack() as disks:

        def mount(folder: Path, size_kib: int) -> Path:
            disks.enter_context(mounted(folder, size_kib))
            return folder

        yield mount
