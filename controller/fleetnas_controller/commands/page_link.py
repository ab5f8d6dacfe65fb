"""What `fleetnas device token --page` shows: a link, and the same as a QR code."""

__all__ = ["page_link", "print_code"]

import sys
from typing import TextIO
from urllib.parse import quote


def page_link(url: str, model: str) -> str:
    """``url`` for a device whose owner calls it ``model``; browsers do not tell what phone they run on."""
    return f"{url}&model={quote(model)}" if model else url


def print_code(url: str, out: TextIO = sys.stdout) -> None:
    """The link, below its QR code where the package for that is installed."""
    try:
        import segno
    except ImportError:
        print("(for a QR code: pip install 'fleetnas[pages]')", file=sys.stderr)
    else:
        segno.make(url, error="l", micro=False).terminal(out=out, compact=True, border=2)
    print(url, file=out)
