"""`fleetnas device token`."""

__all__ = ["add_parser"]

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.arguments import client_verb, duration_s, use_count
from fleetnas_controller.commands.page_link import page_link, print_code

if TYPE_CHECKING:
    from fleetnas_controller.jobs import JoinToken

# On an encrypted fleet it holds the authority's certificate, some 800 bytes.
_TOKEN_BYTES = 8 << 10


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    token = client_verb(
        verbs,
        "token",
        "make a join token for an agent",
        "device token --out join.token --data-dir fleet",
        _token,
    )
    token.add_argument("--device", default="", help="the only device that may use it, again and again")
    form = token.add_mutually_exclusive_group()
    form.add_argument(
        "--out", type=Path, metavar="FILE", help="write it there, for its owner only, instead of printing it"
    )
    form.add_argument(
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


def _token(args: argparse.Namespace) -> int:
    token = _written(args, args.out) if args.out else _made(args)
    values: dict[str, Any] = {
        "token": token.secret,
        "device": token.device_id,
        "uses": token.use_count,
        "expires": token.expire_time,
    }
    if args.page:
        values["link"] = page_link(token.page_url, args.model)
    if args.out:
        del values["token"]
        values["file"] = str(args.out)
    if args.json:
        print(json.dumps(values, indent=2))
    elif args.page:
        print_code(values["link"])
    else:
        devices = "1 device" if token.use_count == 1 else f"{token.use_count} devices"
        print(f"{args.out}: for {devices} at most" if args.out else token.secret)
    return 0


def _written(args: argparse.Namespace, path: Path) -> "JoinToken":
    """Whoever asks in vain leaves no file behind, and finds a full disk before there is a token."""
    from fleetnas_controller.storage import storage_errors
    from fleetnas_search_spaces.whole_files import reserved

    with storage_errors(path), reserved(path, _TOKEN_BYTES, 0o600) as keep:
        token = _made(args)
        keep(f"{token.secret}\n".encode("ascii"))
    return token


def _made(args: argparse.Namespace) -> "JoinToken":
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.credentials import find_credentials

    with FleetClient(args.controller, find_credentials(args.data_dir)) as client:
        return client.create_join_token(
            device_id=args.device, use_count=args.uses, ttl_s=args.ttl, page=args.page
        )
