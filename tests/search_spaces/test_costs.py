import csv
import gzip
from importlib.resources import files

import pytest

from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.light_nas import PUBLISHED_TOKENS, LightNAS
from fleetnas_search_spaces.mobilenet_v2 import MobileNetV2, mobilenet_v2_paper
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import OperatorKind


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    content = files("fleetnas_training.published").joinpath("nas_bench_macro_cifar10.csv.gz").read_bytes()
    return list(csv.DictReader(gzip.decompress(content).decode().splitlines()))


def test_nas_bench_macro_counts_equal_the_published_columns(published: list[dict[str, str]]) -> None:
    space = NASBenchMacro()
    counted = {}
    for row in published:
        one = space.canonical(space.parse(row["arch"]))
        if one not in counted:
            graph = space.graph(one)
            counted[one] = (params(graph), macs(graph))
        assert counted[one][0] == int(row["params"]), row["arch"]
        assert counted[one][1] == int(row["flops"]), row["arch"]
    assert len(published) == 6561
    assert len(counted) == 3969


def test_networks_that_are_equal_have_equal_published_accuracies(published: list[dict[str, str]]) -> None:
    space = NASBenchMacro()
    accuracies: dict[str, str] = {}
    for row in published:
        key = space.canonical(space.parse(row["arch"])).key
        assert accuracies.setdefault(key, row["mean_acc"]) == row["mean_acc"]


@pytest.mark.parametrize(
    ("name", "expected_macs_m", "expected_params_m"),
    [
        ("MobileNetV2", 313.6, 3.51),
        ("tokens0", 304.2, 3.21),
        ("tokens1", 263.8, 3.05),
        ("tokens2, RK3288", 257.6, 3.83),
        ("tokens3, Android", 228.5, 3.23),
        ("tokens4, iPhone 6s", 258.8, 3.35),
        ("iPhone until 2019-09-17", 269.6, 3.18),
        ("RK3288, 2019-08-15", 290.4, 3.25),
        ("Android, 2019-08-15", 272.6, 3.38),
    ],
)
def test_published_tokens_have_their_costs(
    name: str, expected_macs_m: float, expected_params_m: float
) -> None:
    space = LightNAS()
    graph = space.graph(space.parse(PUBLISHED_TOKENS[name]))
    assert round(macs(graph) / 1e6, 1) == expected_macs_m
    assert round(params(graph) / 1e6, 2) == expected_params_m


def test_both_blocks_of_mobilenet_v2_have_their_macs() -> None:
    for space, expected_macs_m in ((MobileNetV2(), 313.6), (mobilenet_v2_paper(), 300.8)):
        assert round(macs(space.graph(space.reference)) / 1e6, 1) == expected_macs_m
    paper = mobilenet_v2_paper()
    assert params(paper.graph(paper.reference)) == 3_504_872  # MobileNetV2 1.0 as everybody counts it


def test_the_papers_block_of_expansion_one_is_another_operator_than_paddleslims() -> None:
    slim, paper = MobileNetV2(), mobilenet_v2_paper()
    ours, theirs = ({*one.graph(one.reference).blocks} for one in (slim, paper))
    assert {one.kind for one in ours - theirs} == {OperatorKind.INVERTED_RESIDUAL}
    assert {one.kind for one in theirs - ours} == {OperatorKind.SEPARABLE}
    assert {one.expansion for one in ours ^ theirs} == {1}
