"""Runs a device's self-test."""

__all__ = ["run_self_test"]

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from fleetnas_controller.asking import default_statistic
from fleetnas_controller.device_session import DeviceSettings, device_session
from fleetnas_controller.measuring import Anchor, Measuring, Uploaded
from fleetnas_controller.network_files import files_for
from fleetnas_controller.self_tests import SelfTestRecord
from fleetnas_controller.trial_runner import NetworkFiles
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.plan import Plan
from fleetnas_latency.self_test import SelfTest, self_test
from fleetnas_latency.statistics import Series, Statistic
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

_SPACE = "nas-bench-macro"
_SEED = 11


def run_self_test(
    settings: DeviceSettings,
    *,
    session_count: int,
    network_count: int,
    now_s: float,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[SelfTest, SelfTestRecord]:
    """Measures the same networks in each session, in another random order; this machine's agent starts anew for each.

    Raises:
        FleetNASError: In every way that a measurement can fail.
    """
    sessions, target = [], ""
    for index in range(session_count):
        with device_session(settings) as (client, device), tempfile.TemporaryDirectory() as folder:
            say(f"session {index + 1} of {session_count}: {network_count} networks on '{device.device_id}'")
            files = files_for([device], space(_SPACE), WeightPool(Path(folder)), client.put_artifact)
            measuring = Measuring(
                client, device, settings.runtime, Anchor.uploaded(client, device, Path(folder))
            )
            plan = _plan(default_statistic(device, settings.thread_count), settings.thread_count)
            found: dict[str, Measurement] = {}
            for name, network in _shuffled(files, network_count, index):
                record = measuring.measure([network], plan)
                assert record.result is not None  # `measure` returns done ones only
                assert record.target is not None
                found[name], target = record.result, record.target.key
            sessions.append(found)
    usable = [one for one in Statistic if settings.thread_count == 1 or one.series is Series.WALL]
    tested = self_test(sessions, usable)
    return tested, SelfTestRecord(
        settings.device, target, now_s, str(tested.chosen), tested.resolution, str(tested), tested.reason
    )


def _shuffled(files: NetworkFiles, network_count: int, session: int) -> list[tuple[str, Uploaded]]:
    """The same random networks by their text, in this session's order."""
    found, rng = space(_SPACE), Random(_SEED)
    networks: dict[str, Architecture] = {}
    while len(networks) < network_count:
        architecture = found.canonical(found.sample(rng))
        networks[found.format(architecture)] = architecture
    order = Random(session).sample(list(networks), network_count)
    return [(name, Uploaded(*files.upload(networks[name]))) for name in order]


def _plan(statistic: Statistic, thread_count: int) -> Plan:
    """A search's plan, shorter: the self-test is about what repeats, not about single intervals."""
    return Plan(
        statistic=statistic,
        thread_count=thread_count,
        warmup_min_s=0.2,
        warmup_cap_s=1.0,
        min_duration_s=0.7,
        max_duration_s=2.0,
        round_duration_s=0.05,
        anchor_share=0.4,
    )
