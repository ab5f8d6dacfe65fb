"""How far off a guess may be, by how far off devices are when they are guessed from each other."""

from dataclasses import replace

import numpy as np

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.exchange.shipped import shipped_pack, shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.guessed_model import GuessedModel
from fleetnas_latency.few_shot.lenders import Lenders
from fleetnas_latency.few_shot.source_prior import device_family
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_search_spaces.fbnet import FBNet

PIXEL3 = shipped_pack("fbnet-pixel3")
NETWORKS = [architecture_from_key(one.key) for one in PIXEL3.observations[:60]]


def _guess(packs: list[Pack]) -> GuessedModel:
    structure = ChainStructure(FBNet())
    return GuessedModel(structure, Lenders(structure, {}, packs, NETWORKS))


def _slower(name: str, factor: float) -> Pack:
    target = replace(PIXEL3.target, device_model=name)
    entries = [replace(one, mean_ms=factor * one.mean_ms) for one in PIXEL3.entries]
    return replace(PIXEL3, target=target, entries=tuple(entries))


def test_ninety_percent_interval_holds_about_ninety_percent_of_devices_left_out_with_their_family() -> None:
    packs = shipped_packs_of("fbnet")
    inside = []
    for family in sorted({device_family(one.target.device_model) for one in packs}):
        own = [one for one in packs if device_family(one.target.device_model) == family]
        model = _guess([one for one in packs if one not in own])
        factor, mean_ms = model.factor(0.9), model.predict(NETWORKS).mean_ms
        known = [{one.key: one.latency.value for one in pack.observations} for pack in own]
        true_ms = np.array([[values[one.key] for one in PIXEL3.observations[:60]] for values in known])
        inside.append((np.abs(np.log(true_ms / mean_ms)) <= np.log(factor)).mean())
    assert 0.82 <= np.mean(inside) <= 0.95


def test_lenders_that_differ_give_a_wider_interval_than_lenders_that_agree() -> None:
    agreeing, differing = (
        _guess([_slower(f"phone{chr(97 + one)}", float(step**one)) for one in range(8)])
        for step in (1.01, 1.6)
    )
    assert agreeing.factor(0.8) < 1.1
    assert differing.factor(0.8) > 3.0


def test_two_lenders_that_agree_leave_room_for_a_stranger() -> None:
    model = _guess([_slower("phonea", 1.0), _slower("phoneb", 1.0)])
    assert model.factor(0.95) > 4.0
    assert model.factor(0.5) < model.factor(0.9) < model.factor(0.95)
