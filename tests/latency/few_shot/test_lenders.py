"""Who lends a new device its experience."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlite_utils import Database

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.exchange.shipped import shipped_pack, shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.lenders import Lenders, lenders_of
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.fbnet import FBNet

PIXEL3, TITANX = shipped_pack("fbnet-pixel3"), shipped_pack("fbnet-titanx_1")
SAMPLE = [architecture_from_key(one.key) for one in PIXEL3.observations[:20]]


@pytest.fixture
def table() -> Iterator[LatencyTable]:
    made = LatencyTable(Database(memory=True))
    yield made
    made.close()


def _lenders(table: LatencyTable, published: Sequence[Pack]) -> Lenders:
    return lenders_of(table, None, ChainStructure(FBNet()), SAMPLE, published)


def test_imported_pack_joins_the_packs_of_the_package_and_counts_once(table: LatencyTable) -> None:
    before = _lenders(table, shipped_packs_of("fbnet"))
    table.put_observations(PIXEL3.observations)
    after = _lenders(table, shipped_packs_of("fbnet"))
    assert after.names == before.names
    assert len(after.sources()) == len(before.sources())


def test_imported_pack_is_of_the_family_of_its_published_relatives(table: LatencyTable) -> None:
    table.put_observations(TITANX.observations[:60])
    found = _lenders(table, [shipped_pack("fbnet-titanx_32"), TITANX])
    assert {one.family for one in found.sources()} == {"titanx"}


def test_device_that_was_measured_here_is_preferred_to_published_ones(table: LatencyTable) -> None:
    own = Target("my board", "ncnn", "1.0")
    table.put_observations(
        [replace(one, target=own, measurement_id=f"m{i}") for i, one in enumerate(PIXEL3.observations[:40])]
    )
    assert _lenders(table, [TITANX]).names == ("my board",)
