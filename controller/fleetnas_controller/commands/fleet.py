"""`fleetnas serve` and `fleetnas device`."""

__all__ = ["add_parsers"]

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands import measure, selftest
from fleetnas_controller.commands.arguments import (
    DEFAULT_ADDRESS,
    client_verb,
    duration_s,
    interval_s,
    use_count,
)
from fleetnas_controller.commands.page_link import page_link, print_code
from fleetnas_search_spaces.logs import LOG_FORMATS, LOG_LEVELS, set_up_logging

if TYPE_CHECKING:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.jobs import Device

_SHOWN_COUNT = 5
_CHECK_S = 300.0


_SERVE = """\
Keeps everything in DATA_DIR; may be killed and started again at any time. On a loopback address nothing is
encrypted; on any other the controller makes a certificate authority of its own, and every agent and client needs a
certificate of it: agents get theirs with a join token, people with 'fleetnas access grant'.

examples:
  fleetnas serve --data-dir fleet
  fleetnas serve --data-dir fleet --listen 0.0.0.0:7070 --enroll-port 7071
  fleetnas serve --data-dir fleet --pages 0.0.0.0:7080 --insecure-lan
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="run a controller for a fleet of devices",
        description="Runs a controller until it is stopped.",
        epilog=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "--listen", default=DEFAULT_ADDRESS, metavar="ADDR", help="HOST:PORT (default: %(default)s)"
    )
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
    serve.add_argument(
        "--pages", default="", metavar="ADDR[:PORT]",
        help="serve pages that make any phone with a browser a device (default: none; port 7080)",
    )  # fmt: skip
    serve.add_argument(
        "--insecure-lan", action="store_true",
        help="serve pages in plain HTTP on an address that others can reach, who could then read models",
    )  # fmt: skip
    serve.add_argument(
        "--health-interval",
        type=interval_s,
        default=1_800.0,
        metavar="TIME",
        help="between two health checks of a device, or 'off': only on request (default: 30m)",
    )
    serve.add_argument(
        "--metrics-listen",
        default="",
        metavar="ADDR",
        help="serve Prometheus metrics, e.g. on 127.0.0.1:9464",
    )
    serve.add_argument(
        "--traces",
        action="store_true",
        help="send OpenTelemetry spans where OTEL_EXPORTER_OTLP_ENDPOINT says (needs fleetnas[otel])",
    )
    serve.add_argument("--log-format", choices=LOG_FORMATS, default="text", help="default: %(default)s")
    serve.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="default: %(default)s")
    serve.add_argument(
        "--heartbeat-s", type=float, default=2.0, help="how often agents report (default: %(default)s)"
    )
    serve.add_argument(
        "--lease-s", type=float, default=10.0, help="silence after which work is lost (default: %(default)s)"
    )
    serve.set_defaults(run=_serve)
    device = commands.add_parser("device", help="register, list, check, drain and remove devices")
    verbs = device.add_subparsers(title="commands", metavar="COMMAND", required=True)
    token = client_verb(
        verbs,
        "token",
        "print a join token for an agent",
        "device token --data-dir fleet > join.token",
        _token,
    )
    token.add_argument("--device", default="", help="the only device that may use it, again and again")
    token.add_argument(
        "--page", action="store_true", help="for a phone's browser: print a link and its QR code instead"
    )
    token.add_argument(
        "--model",
        default="",
        help="with --page: what phone it is, e.g. 'iPhone 6s', which browsers do not tell",
    )
    token.add_argument("--uses", type=use_count, default=1, help="how often it may be used (default: 1)")
    token.add_argument(
        "--ttl", type=duration_s, default=900.0, metavar="TIME", help="e.g. 15m, 24h (default: 15m)"
    )
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


def _serve(args: argparse.Namespace) -> int:
    import asyncio

    asyncio.run(_serve_until_stopped(args))
    return 0


async def _serve_until_stopped(args: argparse.Namespace) -> None:
    import asyncio
    import signal
    import sys

    from fleetnas_controller.health import HealthSettings
    from fleetnas_controller.listening import Tls, parse_address
    from fleetnas_controller.pages.settings import PageSettings, parse_page_address
    from fleetnas_controller.retries import FleetSettings
    from fleetnas_controller.server import ControllerServer

    pages = None
    if args.pages:
        pages = PageSettings(parse_page_address(args.pages), Tls(args.tls), args.insecure_lan)
    health = HealthSettings(interval_s=args.health_interval, automatic=args.health_interval > 0.0)
    set_up_logging(args.log_format, args.log_level)
    port = parse_address(args.listen).port
    server = ControllerServer(
        args.data_dir,
        args.listen,
        tls=Tls(args.tls),
        enroll_port=args.enroll_port or (port + 1 if 0 < port < 65_535 else 0),
        health=health,
        metrics_listen=args.metrics_listen,
        pages=pages,
        traced=args.traces,
        settings=FleetSettings(heartbeat_s=args.heartbeat_s, lease_s=args.lease_s),
    )
    address = await server.start()
    how = f"encrypted, agents join on port {server.enroll_port}" if server.encrypted else "not encrypted"
    print(f"controller on {address} ({how}), data in '{args.data_dir}'", file=sys.stderr, flush=True)
    if server.metrics_address:
        print(f"metrics on http://{server.metrics_address}/metrics", file=sys.stderr, flush=True)
    if server.pages_address:
        print(
            f"pages on {server.pages_address}, links: fleetnas device token --page",
            file=sys.stderr,
            flush=True,
        )
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
        token = client.create_join_token(
            device_id=args.device, use_count=args.uses, ttl_s=args.ttl, page=args.page
        )
    values: dict[str, Any] = {
        "token": token.secret,
        "device": token.device_id,
        "uses": token.use_count,
        "expires": token.expire_time,
    }
    if args.page:
        values["link"] = page_link(token.page_url, args.model)
    if args.json:
        print(json.dumps(values, indent=2))
    elif args.page:
        print_code(values["link"])
    else:
        print(token.secret)
    return 0


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
