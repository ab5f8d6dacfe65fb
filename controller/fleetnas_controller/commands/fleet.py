"""`fleetnas serve` and `fleetnas device`."""

__all__ = ["add_parsers", "client_verb", "duration_s"]

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.jobs import Device

_ADDRESS = "127.0.0.1:7070"

_LONGEST_S = 3650 * 86_400.0
_MOST_USES = 10_000

_SERVE = """\
Keeps everything in DATA_DIR; may be killed and started again at any time. On a loopback address nothing is
encrypted; on any other the controller makes a certificate authority of its own, and every agent and client needs a
certificate of it: agents get theirs with a join token, people with 'fleetnas access grant'.

examples:
  fleetnas serve --data-dir fleet
  fleetnas serve --data-dir fleet --listen 0.0.0.0:7070 --enroll-port 7071
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="run a controller for a fleet of devices",
        description="Runs a controller until it is stopped.",
        epilog=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--listen", default=_ADDRESS, metavar="ADDR", help="HOST:PORT (default: %(default)s)")
    serve.add_argument(
        "--data-dir", type=Path, default=Path("fleet"), help="its folder (default: %(default)s)"
    )
    serve.add_argument(
        "--tls", choices=["auto", "on", "off"], default="auto",
        help="encrypt (default: auto, on every address but a loopback one)",
    )  # fmt: skip
    serve.add_argument(
        "--enroll-port", type=int, default=0, metavar="PORT",
        help="where agents join an encrypted fleet (default: the port after that of --listen)",
    )  # fmt: skip
    serve.set_defaults(run=_serve)
    device = commands.add_parser("device", help="register, list, drain and remove devices")
    verbs = device.add_subparsers(title="commands", metavar="COMMAND", required=True)
    token = client_verb(
        verbs,
        "token",
        "print a join token for an agent",
        "device token --data-dir fleet > join.token",
        _token,
    )
    token.add_argument("--device", default="", help="the only device that may use it, again and again")
    token.add_argument("--uses", type=_use_count, default=1, help="how often it may be used (default: 1)")
    token.add_argument(
        "--ttl", type=duration_s, default=900.0, metavar="TIME", help="e.g. 15m, 24h (default: 15m)"
    )
    client_verb(verbs, "list", "list the devices", "device list --data-dir fleet", _list)
    for name, text, run in (
        ("show", "show one device: state, holder, lease, targets", _show),
        ("drain", "let a device finish and give it no more work", _drain),
        ("undrain", "give a drained device work again", _undrain),
        ("remove", "remove a device and revoke its credential", _remove),
    ):
        verb = client_verb(verbs, name, text, f"device {name} bench-1 --data-dir fleet", run)
        verb.add_argument("name", metavar="DEVICE", help="its id, as 'device list' shows it")


def client_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """A command that calls a controller."""
    parser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  fleetnas {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--controller", default=_ADDRESS, metavar="ADDR", help="default: %(default)s")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("fleet"), help="the controller's (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _serve(args: argparse.Namespace) -> int:
    import asyncio

    asyncio.run(_serve_until_stopped(args))
    return 0


async def _serve_until_stopped(args: argparse.Namespace) -> None:
    import asyncio
    import signal
    import sys

    from fleetnas_controller.listening import Tls, parse_address
    from fleetnas_controller.server import ControllerServer

    port = parse_address(args.listen).port
    server = ControllerServer(
        args.data_dir,
        args.listen,
        tls=Tls(args.tls),
        enroll_port=args.enroll_port or (port + 1 if 0 < port < 65_535 else 0),
    )
    address = await server.start()
    how = f"encrypted, agents join on port {server.enroll_port}" if server.encrypted else "not encrypted"
    print(f"controller on {address} ({how}), data in '{args.data_dir}'", file=sys.stderr, flush=True)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    waits = {asyncio.create_task(stopping.wait()), asyncio.create_task(server.serve_until_stopped())}
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await server.stop()
    for task in done:
        task.result()


def _token(args: argparse.Namespace) -> int:
    with _client(args) as client:
        token = client.create_join_token(device_id=args.device, use_count=args.uses, ttl_s=args.ttl)
    values = {
        "token": token.secret,
        "device": token.device_id,
        "uses": token.use_count,
        "expires": token.expire_time,
    }
    print(json.dumps(values, indent=2) if args.json else token.secret)
    return 0


def _list(args: argparse.Namespace) -> int:
    with _client(args) as client:
        devices = client.list_devices()
    if args.json:
        print(json.dumps([_values(one) for one in devices], indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    head = ["device", "kind", "model", "state", "holds", "seen", "reason"]
    print_rows([head, *[[str(_values(one)[key]) for key in head] for one in devices]])
    return 0


def _show(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.get_device(args.name))


def _drain(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.drain_device(args.name))


def _undrain(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.undrain_device(args.name))


def _remove(args: argparse.Namespace) -> int:
    with _client(args) as client:
        client.remove_device(args.name)
    print(json.dumps({"removed": args.name}) if args.json else f"removed {args.name}")
    return 0


def _print_device(args: argparse.Namespace, device: "Device") -> int:
    values = _values(device)
    if args.json:
        print(json.dumps(values, indent=2))
    else:
        for name, value in values.items():
            print(f"{name + ':':10} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _values(device: "Device") -> dict[str, Any]:
    return {
        "device": device.device_id,
        "kind": device.kind,
        "model": device.model,
        "state": str(device.state),
        "reason": device.reason,
        "holds": device.holder,
        "lease_ends": _time(device.expire_time),
        "seen": _time(device.seen_time),
        "enrolled": _time(device.create_time),
        "labels": [f"{key}={value}" for key, value in device.labels],
        "targets": [target.key for target in device.targets],
    }


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""


def _client(args: argparse.Namespace) -> "FleetClient":
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.credentials import find_credentials

    return FleetClient(args.controller, find_credentials(args.data_dir))


def duration_s(text: str) -> float:
    """Reads ``90``, ``90s``, ``15m``, ``24h``, ``7d``."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    unit = units.get(text[-1:])
    try:
        value = float(text[:-1] if unit else text) * (unit or 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 15m or 24h") from None
    if not 0.0 < value <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 3650d; write 15m or 24h")
    return value


def _use_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_USES:
        raise argparse.ArgumentTypeError(f"'{text}' is no count between 1 and {_MOST_USES}")
    return int(text)
