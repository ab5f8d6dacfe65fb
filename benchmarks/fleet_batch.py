"""How well two networks compare through the fleet: in one batch, and one after the other.

    python benchmarks/fleet_batch.py [--sessions 6] [--json]

Four networks, the last the same as the first, are measured on this machine's CPU by an embedded fleet as
`fleetnas device measure` does: all in one batch, then each alone beside the anchor, in turns over the sessions. For
each network but the first its difference to the first is taken: in the batch from the shared rounds, else from the
ratios to the anchor. Printed are the differences' standard deviation from session to session, how far A and A' are
apart, and the time of both. One JSON line a figure with --json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from fleetnas_controller.device_session import DeviceSettings, device_session
from fleetnas_controller.measuring import Anchor, Measuring, Uploaded
from fleetnas_controller.network_files import onnx_files
from fleetnas_latency.measurement import Measurement, Verdict
from fleetnas_latency.plan import Plan
from fleetnas_latency.statistics import Statistic, ratio_estimate
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

NETWORKS = ("22222222", "12222222", "11112222", "22222222")
PLAN = Plan(statistic=Statistic.CPU_P10, max_duration_s=3.0, warmup_cap_s=2.0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = [_session(index) for index in range(args.sessions)]
    lines = []
    for number, text in enumerate(NETWORKS[1:]):
        spreads = {way: _spread([one[way][0][number] for one in found]) for way in ("batch", "alone")}
        lines.append(_line(f"spread of the difference {text} to {NETWORKS[0]}", "%", spreads, args.sessions))
    apart = {way: max(abs(one[way][0][-1]) * 100 for one in found) for way in ("batch", "alone")}
    lines.append(_line("largest difference of A and A'", "%", apart, args.sessions))
    for name, unit, place in (("time of one session", "s", 1), ("verdicts that are ok", "%", 2)):
        means = {way: statistics.mean(one[way][place] for one in found) for way in ("batch", "alone")}
        lines.append(_line(name, unit, means, args.sessions))
    for line in lines:
        if args.json:
            print(json.dumps(line))
        else:
            print(f"{line['name']}: {line['value']} {line['unit']} in a batch, {line['peer_value']} alone")
    return 0


def _session(index: int) -> dict[str, tuple[list[float], float, float]]:
    """By the way of measuring: differences to the first, seconds, per cent of verdicts that are ok."""
    found = {}
    settings = DeviceSettings()
    with device_session(settings) as (client, device), tempfile.TemporaryDirectory() as folder:
        nets = space("nas-bench-macro")
        files = onnx_files(nets, WeightPool(Path(folder)), client.put_artifact)
        measuring = Measuring(client, device, "", Anchor.uploaded(client, Path(folder)))
        networks = [Uploaded(*files.upload(nets.canonical(nets.parse(one)))) for one in NETWORKS]
        for way in ("batch", "alone") if index % 2 == 0 else ("alone", "batch"):
            begin_s = time.monotonic()
            if way == "batch":
                results = _result(measuring, networks)
                pairs = [_of_rounds(one, results[0]) for one in results[1:]]
            else:
                results = [_result(measuring, [one])[0] for one in networks]
                pairs = [_of_ratios(one, results[0]) for one in results[1:]]
            ok = 100.0 * sum(one.verdict is Verdict.OK for one in results) / len(results)
            found[way] = (pairs, time.monotonic() - begin_s, ok)
        print(f"session {index + 1}: {found}", file=sys.stderr, flush=True)
    return found


def _result(measuring: Measuring, networks: list[Uploaded]) -> tuple[Measurement, ...]:
    result = measuring.measure(networks, PLAN).result
    assert result is not None  # `measure` returns done ones only
    return result.batch


def _of_rounds(one: Measurement, first: Measurement) -> float:
    rounds = [result.raw.candidate.by_round(PLAN.statistic) for result in (one, first)]
    return ratio_estimate(rounds[0], rounds[1], PLAN.statistic.quantile).value - 1.0


def _of_ratios(one: Measurement, first: Measurement) -> float:
    assert one.ratio is not None  # all are measured beside the anchor
    assert first.ratio is not None
    return one.ratio.value / first.ratio.value - 1.0


def _spread(values: list[float]) -> float:
    return 100.0 * statistics.stdev(values)


def _line(name: str, unit: str, values: dict[str, float], sessions: int) -> dict[str, object]:
    return {
        "name": name,
        "value": round(values["batch"], 2),
        "unit": unit,
        "peer": "one after the other beside the anchor",
        "peer_value": round(values["alone"], 2),
        "setting": f"{sessions} sessions, cpu_p10, ONNX Runtime, one thread",
    }


if __name__ == "__main__":
    sys.exit(main())
