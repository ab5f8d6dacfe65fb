"""`fleetnas serve`."""

__all__ = ["add_parsers"]

import argparse
from pathlib import Path

from fleetnas_controller.commands.arguments import DEFAULT_ADDRESS, interval_s
from fleetnas_search_spaces.logs import LOG_FORMATS, LOG_LEVELS, set_up_logging

_EPILOG = """\
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
        epilog=_EPILOG,
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
