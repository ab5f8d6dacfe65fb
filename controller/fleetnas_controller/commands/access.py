"""`fleetnas access`: certificates for people and programs on other machines."""

__all__ = ["add_parsers"]

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetnas_controller.jobs import Grant

_EPILOG = """\
The file holds a private key, a certificate and the fleet's authority; hand it over by a safe way and name it in
FLEETNAS_CREDENTIALS on the other machine. Viewers may look, operators may do everything.

examples:
  fleetnas access grant alice --role viewer --out alice.pem --data-dir fleet
  fleetnas access list --data-dir fleet
  fleetnas access revoke alice --data-dir fleet
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from fleetnas_controller.commands.arguments import client_verb, duration_s

    access = commands.add_parser(
        "access",
        help="let people and programs on other machines use an encrypted fleet",
        description="Gives and takes certificates of an encrypted fleet.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = access.add_subparsers(title="verbs", metavar="VERB", required=True)
    grant = client_verb(
        verbs,
        "grant",
        "write a new certificate to a file; an earlier one of that name ends",
        "access grant alice --role viewer --out alice.pem --data-dir fleet",
        _grant,
    )
    grant.add_argument("name", help="whose it is, e.g. alice or ci")
    grant.add_argument(
        "--role", choices=["viewer", "operator"], default="viewer", help="default: %(default)s"
    )
    grant.add_argument(
        "--ttl", type=duration_s, default=0.0, help="how long it holds, e.g. 30d (default: 90d)"
    )
    grant.add_argument("--out", type=Path, help="the file (default: NAME.pem)")
    client_verb(verbs, "list", "list the certificates that hold", "access list --data-dir fleet", _list)
    revoke = client_verb(
        verbs, "revoke", "end a certificate at once", "access revoke alice --data-dir fleet", _revoke
    )
    revoke.add_argument("name", help="as 'access list' shows it")


def _grant(args: argparse.Namespace) -> int:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.credentials import find_credentials
    from fleetnas_controller.jobs import Role
    from fleetnas_controller.private_files import write_private
    from fleetnas_controller.storage import storage_errors
    from fleetnas_protos.identity import Identity, new_key_and_request
    from fleetnas_search_spaces.errors import FailedPreconditionError

    path = args.out or Path(f"{args.name}.pem")
    if path.exists():
        raise FailedPreconditionError(f"'{path}' exists already: name another file with --out.")
    mine = find_credentials(args.data_dir)
    if mine.identity is None:
        raise FailedPreconditionError(
            "this fleet is not encrypted, so it has no certificates: start it with 'fleetnas serve --tls on'."
        )
    key, request = new_key_and_request()
    with storage_errors(path):
        # First, for a grant ends the earlier one of that name: not for a certificate that has no place to go.
        write_private(path, key)
    try:
        with FleetClient(args.controller, mine) as client:
            grant, certificate = client.create_grant(args.name, Role(args.role), request, ttl_s=args.ttl)
        with storage_errors(path):
            write_private(path, Identity(key, certificate, mine.identity.authority_pem).pem())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    values = {**_values(grant), "file": str(path)}
    print(json.dumps(values, indent=2) if args.json else f"{path}: {grant.role}, until {values['expires']}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.commands.printing import print_rows
    from fleetnas_controller.credentials import find_credentials

    with FleetClient(args.controller, find_credentials(args.data_dir)) as client:
        grants = [_values(one) for one in client.list_grants()]
    if args.json:
        print(json.dumps(grants, indent=2))
    else:
        head = ["name", "role", "given", "expires"]
        print_rows([head, *[[one[key] for key in head] for one in grants]])
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from fleetnas_controller.client import FleetClient
    from fleetnas_controller.credentials import find_credentials

    with FleetClient(args.controller, find_credentials(args.data_dir)) as client:
        client.delete_grant(args.name)
    print(json.dumps({"revoked": args.name}) if args.json else f"revoked {args.name}")
    return 0


def _values(grant: "Grant") -> dict[str, str]:
    return {
        "name": grant.name.removeprefix("grants/"),
        "role": str(grant.role),
        "given": datetime.fromtimestamp(grant.create_time, UTC).isoformat(timespec="seconds"),
        "expires": datetime.fromtimestamp(grant.expire_time, UTC).isoformat(timespec="seconds"),
    }
