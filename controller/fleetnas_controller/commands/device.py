"""`fleetnas device`."""

__all__ = ["add_parsers"]

import argparse
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands import join_token, measure, selftest
from fleetnas_controller.commands.arguments import client_verb, duration_s

if TYPE_CHECKING:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.jobs import Device

_SHOWN_COUNT = 5
_CHECK_S = 300.0


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    device = commands.add_parser("device", help="register, list, check, drain and remove devices")
    verbs = device.add_subparsers(title="commands", metavar="COMMAND", required=True)
    join_token.add_parser(verbs)
    listed = client_verb(verbs, "list", "list the devices", "device list --data-dir fleet --watch", _list)
    listed.add_argument(
        "--watch", action="store_true", help="show the list again and again until interrupted"
    )
    listed.add_argument(
        "--every", type=duration_s, default=1.0, metavar="TIME", help="with --watch (default: 1s)"
    )
    for name, text, run in (
        ("show", "show one device: state and reason, who holds it, who waits for it", _show),
        ("drain", "let a device finish and give it no more work", _drain),
        ("undrain", "give a drained device work again", _undrain),
        ("release", "end the quarantine of a device by your word", _release),
        ("remove", "remove a device and revoke its credential", _remove),
    ):
        verb = client_verb(verbs, name, text, f"device {name} bench-1 --data-dir fleet", run)
        verb.add_argument("name", metavar="DEVICE", help="its id, as 'device list' shows it")
    health = client_verb(
        verbs,
        "health",
        "show the health checks of a device, the latest first",
        "device health bench-1 --check --data-dir fleet",
        _health,
    )
    health.add_argument("name", metavar="DEVICE", help="its id, as 'device list' shows it")
    health.add_argument("--check", action="store_true", help="make a check first, and wait for it")
    health.add_argument("--last", type=int, default=20, help="how many to show (default: %(default)s)")
    measure.add_parser(verbs)
    selftest.add_parser(verbs)


def _list(args: argparse.Namespace) -> int:
    from rich.console import Console

    from fleetnas_controller.commands.device_view import device_values, devices_table

    with _client(args) as client:
        if args.watch:
            # To interrupt is the way to end it, and no error.
            with suppress(KeyboardInterrupt):
                _watch(client, args.every, as_json=args.json)
            return 0
        devices = client.list_devices()
    if args.json:
        print(json.dumps([device_values(one) for one in devices], indent=2))
    else:
        Console().print(devices_table(devices))
    return 0


def _watch(client: "FleetClient", every_s: float, *, as_json: bool) -> None:
    """Until interrupted; as JSON one line for each look."""
    import time

    from rich.live import Live

    from fleetnas_controller.commands.device_view import device_values, devices_table

    if as_json:
        while True:
            print(json.dumps([device_values(one) for one in client.list_devices()]), flush=True)
            time.sleep(every_s)
    with Live(devices_table(client.list_devices()), auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            live.update(devices_table(client.list_devices()), refresh=True)


def _show(args: argparse.Namespace) -> int:
    from fleetnas_controller.commands.device_view import device_values, queue_values

    with _client(args) as client:
        device = client.get_device(args.name)
        holder = client.get_measurement(device.holder) if device.holder else None
        waiting, count = client.device_queue(args.name, _SHOWN_COUNT)
    values = device_values(device)
    values["holder"] = queue_values(holder) if holder else None
    values["waiting"] = [queue_values(one) for one in waiting]
    if args.json:
        print(json.dumps(values, indent=2))
        return 0
    _print_values({key: value for key, value in values.items() if key not in ("holder", "waiting")})
    if holder:
        print(f"held by    {_line(values['holder'])}")
    for one in values["waiting"]:
        print(f"waiting    {one['position']}. {_line(one)}")
    if count > len(waiting):
        print(f"waiting    and {count - len(waiting)} more")
    return 0


def _line(values: dict[str, Any]) -> str:
    parts = [values["measurement"], f"since {values['since']}", f"attempt {values['attempts']}"]
    return ", ".join([*parts, *values["labels"], values["fault"]]).removesuffix(", ")


def _health(args: argparse.Namespace) -> int:
    from fleetnas_controller.commands.device_view import check_line, check_values, device_values

    with _client(args) as client:
        if args.check:
            _wait_for_check(client, args.name)
        device, checks = client.get_device(args.name), client.health_checks(args.name, args.last)
    rows = [check_values(one) for one in checks]
    if args.json:
        shown = {key: device_values(device)[key] for key in ("device", "state", "reason", "quarantine")}
        print(json.dumps({**shown, "checks": rows}, indent=2))
        return 0
    print(f"{device.device_id}: {device.state}{f', {device.reason}' if device.reason else ''}")
    for one in rows:
        print(check_line(one))
    return 0


def _wait_for_check(client: "FleetClient", name: str) -> None:
    """Returns when a check that was under way or is made now has been judged."""
    import time

    from fleetnas_search_spaces.errors import DeadlineExceededError

    measurement = client.check_device(name).name
    deadline = time.monotonic() + _CHECK_S
    while time.monotonic() < deadline:
        client.wait_any([measurement], min(20.0, deadline - time.monotonic()))
        if any(one.measurement == measurement for one in client.health_checks(name, 5)):
            return
        time.sleep(0.1)
    raise DeadlineExceededError(
        f"the health check of '{name}' was not over within {_CHECK_S:g} s. See: fleetnas device show {name}"
    )


def _drain(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.drain_device(args.name))


def _undrain(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.undrain_device(args.name))


def _release(args: argparse.Namespace) -> int:
    with _client(args) as client:
        return _print_device(args, client.release_device(args.name))


def _remove(args: argparse.Namespace) -> int:
    with _client(args) as client:
        client.remove_device(args.name)
    print(json.dumps({"removed": args.name}) if args.json else f"removed {args.name}")
    return 0


def _print_device(args: argparse.Namespace, device: "Device") -> int:
    from fleetnas_controller.commands.device_view import device_values

    values = device_values(device)
    if args.json:
        print(json.dumps(values, indent=2))
    else:
        _print_values(values)
    return 0


def _print_values(values: dict[str, Any]) -> None:
    for name, value in values.items():
        print(f"{name + ':':11}{', '.join(value) if isinstance(value, list) else value}")


def _client(args: argparse.Namespace) -> "FleetClient":
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.credentials import find_credentials

    return FleetClient(args.controller, find_credentials(args.data_dir))
