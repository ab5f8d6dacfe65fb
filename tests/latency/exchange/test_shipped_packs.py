"""The published latencies that come with the package."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pytest
from sqlite_utils import Database

from fleetnas_latency.exchange import shipped
from fleetnas_latency.exchange.shipped import shipped_names, shipped_pack, shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.few_shot.packed_sources import packed_source
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_latency.table import LatencyTable
from fleetnas_search_spaces.errors import DataLossError, NotFoundError
from fleetnas_search_spaces.fbnet import FBNet
from fleetnas_search_spaces.operators import OperatorKind

NOTICE = Path(__file__).parents[3] / "NOTICE"
LICENCES = {"MIT", "Apache-2.0"}


def test_every_pack_says_whose_it_is_under_a_licence_that_lets_it_travel() -> None:
    notice = " ".join(NOTICE.read_text().split())
    for name in shipped_names():
        pack = shipped_pack(name)
        assert pack.licence in LICENCES
        repository = pack.origin.split(",")[0]
        assert repository in notice, f"{name} comes from {repository}"
        assert pack.target.stand_in == "published"


def test_all_packs_together_are_small() -> None:
    sizes = [len(one.read_bytes()) for one in files("fleetnas_latency.packs").iterdir() if one.is_file()]
    assert sum(sizes) < 3e6


def test_pack_holds_the_published_numbers() -> None:
    pixel = {
        one.operator: one.latency.value for one in shipped_pack("pixel1-blocks").observations if one.operator
    }
    stem = next(value for one, value in pixel.items() if one.kind is OperatorKind.STEM)
    assert stem == pytest.approx(4.39704)
    convolutions = shipped_pack("snapdragon855-convolutions").observations
    first = next(
        one for one in convolutions if one.key.startswith("conv/in_channels=3,out_channels=8,in_px=640")
    )
    assert first.latency.value == pytest.approx(2.433)


def test_unknown_pack_is_refused_with_near_names() -> None:
    with pytest.raises(NotFoundError, match="fbnet-pixel3"):
        shipped_pack("fbnet-pixel4")


def test_damaged_pack_is_told_from_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files("fleetnas_latency.packs").joinpath("fbnet-pixel3.json.gz").read_bytes()
    (tmp_path / "fbnet-half.json.gz").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(shipped, "files", lambda _: tmp_path)
    with pytest.raises(DataLossError, match="install FleetNAS again"):
        shipped_pack("fbnet-half")


def test_space_that_nobody_published_has_no_packs() -> None:
    assert shipped_packs_of("nas-bench-macro") == ()


def test_published_device_is_a_source_of_mean_one() -> None:
    structure = ChainStructure(FBNet())
    pack = shipped_pack("fbnet-pixel3")
    rows = structure.rows([architecture_from_key(one.key) for one in pack.observations[:100]])
    found = packed_source(structure, pack, rows)
    assert found is not None
    assert (rows[0] @ found.costs).mean() == pytest.approx(1.0)
    # pixel3's column is a sum of its blocks, so the learned costs give it back.
    true_ms = np.array([one.latency.value for one in pack.observations[:100]])
    assert np.median(np.abs(rows[0] @ found.costs * true_ms.mean() / true_ms - 1.0)) < 0.01


def test_block_without_an_entry_is_believed_from_its_size() -> None:
    structure = ChainStructure(FBNet())
    pack = shipped_pack("fbnet-pixel3")
    rows = structure.rows([architecture_from_key(one.key) for one in pack.observations[:100]])
    lost = structure.entry_names[5]
    found = packed_source(
        structure, replace(pack, entries=[one for one in pack.entries if one.key != lost]), rows
    )
    assert found is not None
    assert found.costs[5] > 0.0
    assert packed_source(structure, replace(pack, entries=[]), rows) is None


def test_new_device_starts_from_published_ones_when_the_table_has_none() -> None:
    pack = shipped_pack("fbnet-samsung_a50")
    space, rng = FBNet(), Random(0)
    target = replace(pack.target, device_model="new phone", stand_in="")
    table = LatencyTable(Database(memory=True))
    own = [
        replace(one, target=target, measurement_id=f"m{index}")
        for index, one in enumerate(pack.observations[:8])
    ]
    table.put_observations(own)
    asked = pack.observations[100:250]
    networks = [architecture_from_key(one.key) for one in asked]
    true_ms = np.array([one.latency.value for one in asked])
    sample = [space.canonical(space.sample(rng)) for _ in range(100)]
    others = [one for one in shipped_packs_of("fbnet") if one.target.device_model != "samsung_a50"]
    alone, taught = (
        few_shot_model(table, target, space, sample, None, packs).predict(networks).mean_ms
        for packs in ((), others)
    )
    errors = [float(np.median(np.abs(found / true_ms - 1.0))) for found in (alone, taught)]
    assert errors[1] < 0.8 * errors[0]
