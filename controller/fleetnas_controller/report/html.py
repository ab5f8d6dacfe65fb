"""Parts of pages that need no network."""

__all__ = ["html_figure", "html_page", "html_table"]

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; width: 100% }
th, td { border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 } img { max-width: 100% } figcaption, .note { color: #555; font-size: 13px }
"""


def html_page(title: str, parts: Sequence[str]) -> str:
    """A whole page of parts that are HTML already."""
    title = escape(title)
    head = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
    ]
    return "\n".join([*head, *parts, "</body></html>"])


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_figure(name: str, figure: "Figure", caption: str) -> str:
    """The figure as a PNG inside the page."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f"<figure><img alt='{escape(name)}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
