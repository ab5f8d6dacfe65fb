"""`fleetnas search`."""

__all__ = ["add_parsers"]

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fleetnas_controller.commands.arguments import core, listed_architectures, priced, quantity, share
from fleetnas_search_spaces.errors import InfeasibleError, InvalidArgumentError

_MB = 1e6

_EPILOG = """\
Results go to RUNS_DIR/NAME: the store, report.html, pareto.png and the found network as ONNX. A search that was
killed goes on with --name NAME --resume and repeats no finished measurement.

examples:
  fleetnas search --latency-drop 20%
  fleetnas search --space nas-bench-macro --strategy evolution --max-latency-ms 1.5 --budget 60 --seed 3
  fleetnas search --objectives accuracy,latency --budget 80
  fleetnas search --max-model-bytes 6M --max-memory-mb 0.5 --soft-latency-ms 1.5:0.8
  fleetnas search --latency-drop 30% --warm-start nas-bench-macro-predictor-1 --start-from 22222200
  fleetnas search --controller 127.0.0.1:7070 --device pixel3 --max-latency-ms 15 --device rk3288 --max-latency-ms 40
  fleetnas search --controller 127.0.0.1:7070 --data-dir fleet --device pixel3 --latency-drop 25% --json

exit codes: 0 found; 1 an error; 2 wrong usage; 3 no confirmed network keeps the caps (the nearest miss is named)
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "search",
        help="find a network under a latency cap, measured on devices",
        description="Searches the most accurate architecture of a space that keeps every cap on every device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--space", help="search space (default: nas-bench-macro)")
    parser.add_argument("--strategy", help="search strategy (default: predictor)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the strategy"
    )
    parser.add_argument(
        "--accuracy",
        metavar="SOURCE",
        help="accuracy source (default: table:nas-bench-macro); 'training:COMMAND' trains, see docs/search.md",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="D[,D..]",
        help="devices by name, with commas between (default: host, this machine); may be given several times",
    )
    caps = parser.add_mutually_exclusive_group()
    caps.add_argument(
        "--max-latency-ms",
        action="append",
        type=float,
        metavar="MS",
        help="latency cap on each device; as many as there are --device: each on its own",
    )
    caps.add_argument(
        "--latency-drop", type=share, metavar="20%", help="cap: this much faster than the space's reference"
    )
    parser.add_argument(
        "--max-macs", type=quantity, metavar="N", help="cap on multiply-accumulates, e.g. 80M"
    )
    parser.add_argument("--max-params", type=quantity, metavar="N", help="cap on parameters, e.g. 2.5M")
    parser.add_argument(
        "--max-model-bytes", type=quantity, metavar="N", help="cap on the bytes of the weights, e.g. 5M"
    )
    parser.add_argument(
        "--max-memory-mb",
        type=float,
        metavar="MB",
        help="cap on what feature maps take up at one time, in 1,000,000 bytes",
    )
    parser.add_argument(
        "--soft-latency-ms",
        type=priced,
        metavar="MS:POINTS",
        help="each millisecond over MS costs POINTS of accuracy, on each device, e.g. 20:0.5",
    )
    parser.add_argument(
        "--objectives",
        metavar="A,B",
        help="search a front instead of one network: accuracy and one or more of latency, macs, params, "
        "model_bytes, memory_bytes; a worst value that is still of use may follow, e.g. accuracy:85,latency:30",
    )
    parser.add_argument(
        "--warm-start",
        metavar="RUN",
        help="take over the trials of an earlier search of the same space: its name, folder or store.db",
    )
    parser.add_argument(
        "--start-from",
        action="append",
        metavar="TOKENS|FILE",
        help="propose this architecture first, or those of a file, one a line; may be given several times",
    )
    parser.add_argument(
        "--early-stop",
        metavar="RULE",
        help="end trainings that do not promise enough: median or halving; of --accuracy table:nas-bench-201 or "
        "training:COMMAND",
    )
    parser.add_argument("--budget", type=int, help="evaluations in all (default: 100)")
    parser.add_argument("--seed", type=int, help="seed of every random choice (default: 0)")
    parser.add_argument("--name", help="name of the run (default: SPACE-STRATEGY-1, -2, ...)")
    parser.add_argument("--resume", action="store_true", help="go on with the run called --name")
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="where runs go (default: %(default)s)"
    )
    parser.add_argument("--controller", metavar="ADDR", help="a fleet's controller (default: one of its own)")
    parser.add_argument("--data-dir", type=Path, help="the controller's data folder, for its operator token")
    parser.add_argument(
        "--core", type=core, help="core the embedded agent measures on (default: the last; -1: any)"
    )
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="CSV",
        help="play this latency table (columns arch,latency_ms) instead of a device",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.set_defaults(run=_search)


def _search(args: argparse.Namespace) -> int:
    from fleetnas_controller.run_folder import NameTakenError
    from fleetnas_controller.search_session import SearchSession, SessionSettings

    settings = SessionSettings(
        runs_dir=args.runs_dir,
        resume=args.resume,
        controller=args.controller,
        data_dir=args.data_dir,
        core=args.core,
        replay=args.replay,
    )
    quiet = args.json and not sys.stderr.isatty()
    while True:
        given = _given(args)
        try:
            result = SearchSession(given, settings).run(quiet=quiet)
            break
        except NameTakenError:
            if args.name:
                raise  # one that was begun at the same time got the number; the next is free
    if args.json:
        print(json.dumps(result, indent=2))
    if result["found"] is None:
        raise InfeasibleError(_nearest_miss(result))
    if not args.json:
        from fleetnas_controller.commands.printing import print_search

        print_search(result)
    return 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the search that are on the command line."""
    from fleetnas_controller.run_folder import free_name

    if args.name is not None and not args.name.strip():
        raise InvalidArgumentError("--name is empty: name the run, or leave --name out.")
    if args.resume and not args.name:
        raise InvalidArgumentError("--resume goes on with a run: name it with --name.")
    stem = f"{args.space or 'nas-bench-macro'}-{args.strategy or 'predictor'}"
    values = {
        "name": args.name or free_name(args.runs_dir, stem),
        "space": args.space,
        "strategy": args.strategy,
        "accuracy": args.accuracy,
        "devices": None if args.device is None else _listed(",".join(args.device)),
        **_latency_caps(args.device or [], args.max_latency_ms or []),
        "latency_drop": args.latency_drop,
        "max_macs": args.max_macs,
        "max_params": args.max_params,
        "max_model_bytes": args.max_model_bytes,
        "max_memory_bytes": None if args.max_memory_mb is None else args.max_memory_mb * _MB,
        **(args.soft_latency_ms or {}),
        "objectives": None if args.objectives is None else _objectives(args.objectives),
        "start_from": None if args.start_from is None else listed_architectures(args.start_from),
        "warm_start": args.warm_start,
        "early_stop": args.early_stop,
        "budget": args.budget,
        "seed": args.seed,
        "strategy_options": dict(_option(one) for one in args.option) or None,
    }
    if args.replay is not None and args.device is None and not args.resume:
        values["devices"] = ("replay",)
    return {name: value for name, value in values.items() if value is not None}


def _latency_caps(devices: list[str], limits_ms: list[float]) -> dict[str, Any]:
    """One cap is on every device; several are on one ``--device`` each, in the order they were given."""
    if len(limits_ms) <= 1:
        return {"max_latency_ms": limits_ms[0]} if limits_ms else {}
    if len(limits_ms) != len(devices):
        raise InvalidArgumentError(
            f"{len(limits_ms)} --max-latency-ms came with {len(devices)} --device: give one cap for all devices, or "
            "one for each --device."
        )
    pairs = zip(devices, limits_ms, strict=True)
    return {"device_max_latency_ms": {one: limit for text, limit in pairs for one in _listed(text)}}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _objectives(text: str) -> tuple[str, ...]:
    names = _listed(text)
    if not names:
        raise InvalidArgumentError(f"--objectives '{text}' names nothing; write e.g. accuracy,latency.")
    return names


def _nearest_miss(result: dict[str, Any]) -> str:
    nearest = result["nearest"]
    seen = nearest["latency_ms"] if nearest else {}
    verdicts = {device: one["verdict"] for device, one in seen.items() if one["verdict"] != "ok"}
    missed = "; ".join(_missed(one, verdicts) for one in result["caps"] if one["state"] != "kept")
    cure = "Loosen the cap or give a larger --budget."
    if result.get("hopeless_device"):
        cure = (
            f"The search ended early: nothing in this space comes near the cap on '{result['hopeless_device']}'. "
            "Loosen it."
        )
    elif verdicts:
        cure = "Close what else runs there, or search on another device or core; see docs/measuring.md."
    name = nearest["architecture"] if nearest else "none"
    report = result["artifacts"].get("report")
    return (
        f"no confirmed architecture keeps every cap. Nearest miss: {name} ({missed or 'nothing was evaluated'}). "
        f"{cure}{f' All trials: {report}' if report else ''}"
    )


def _missed(cap: dict[str, Any], verdicts: dict[str, str]) -> str:
    name, limit = cap["name"], f"cap {cap['limit']:.4g}"
    if cap["value"] is not None:
        return f"{name} is {cap['value']:.4g} ({cap['low']:.4g} to {cap['high']:.4g}), {limit}"
    verdict = verdicts.get(name.partition(":")[2])
    return (
        f"{name} was measured with the verdict {verdict}, {limit}"
        if verdict
        else f"{name} was not measured, {limit}"
    )


def _option(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise InvalidArgumentError(f"--option '{text}' is no KEY=VALUE, e.g. --option initial_count=20.")
    return key, value
