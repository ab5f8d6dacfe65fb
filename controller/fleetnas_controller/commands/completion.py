"""`fleetnas completion`: tab completion for a shell."""

__all__ = ["add_parsers"]

import argparse

from fleetnas_search_spaces.errors import FailedPreconditionError

_EXAMPLE = "example:\n  fleetnas completion bash > ~/.local/share/bash-completion/completions/fleetnas\n"


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "completion",
        help="print a completion script for your shell",
        description="Prints a script that completes commands, options and names.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    parser.set_defaults(run=_print)


def _print(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise FailedPreconditionError(
            "completion needs shtab, which is not installed: pip install 'fleetnas[search]'."
        ) from error
    print(shtab.complete(args.root, args.shell))
    return 0
