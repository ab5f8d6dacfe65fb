"""The `fleetnas` command."""

__all__ = ["build_parser", "main"]

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from fleetnas_controller.commands import (
    access,
    accuracy,
    completion,
    device,
    export,
    latency,
    report,
    search,
    serve,
)
from fleetnas_search_spaces.errors import FleetNASError, InfeasibleError

_LOST_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EIO)

_EPILOG = """\
examples:
  fleetnas search --latency-drop 20%              a faster network for this machine's CPU, in minutes
  fleetnas serve --data-dir fleet                 a controller for devices of your own
  fleetnas device token --data-dir fleet          what an agent needs to join it
  fleetnas latency query --device host            what the learned latency table knows
  fleetnas accuracy fit trainings.csv             a model of accuracies from some that were trained
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetnas",
        description="Finds neural networks that meet a latency budget measured on real devices.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fleetnas {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (search, serve, device, access, latency, accuracy, report, export, completion):
        module.add_parsers(commands)
    parser.set_defaults(root=parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 done; 1 an error of ours, in one line; 2 wrong usage; 3 no architecture satisfies the constraints;
        130 interrupted.
    """
    # gRPC writes lines of its own about connections that fail; the errors of the calls say the same.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        args = build_parser().parse_args(argv)
        code = int(args.run(args))
        if sys.stdout is not None:  # it is None when the caller closed it
            sys.stdout.flush()
        return code
    except InfeasibleError as error:
        print(f"fleetnas: {error}", file=sys.stderr)
        return 3
    except FleetNASError as error:
        print(f"fleetnas: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fleetnas: interrupted; a search goes on with --resume.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.filename is not None or error.errno not in _LOST_OUTPUT:
            raise
        # Whoever read our output is gone; writing the rest, or flushing it at exit, would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"fleetnas: the output cannot be written ({error.strerror}).", file=sys.stderr)
        return 1


def _version() -> str:
    from importlib.metadata import version

    return version("fleetnas")


if __name__ == "__main__":
    sys.exit(main())
