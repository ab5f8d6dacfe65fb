"""What each block of a network costs on each device, as one HTML file."""

__all__ = ["render_explanations"]

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from fleetnas_controller.report.html import html_figure, html_page, html_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#1f6fb4", "#d95f02", "#1b7837", "#7b3294", "#7f7f7f")
_BAR_INCHES = 0.22
_CAPTION = (
    "Each bar is a block of the network, in order, as that device's latency table learned it; whiskers are 95 %. "
    "The blocks' sum, with what every call costs, is the prediction."
)


def render_explanations(documents: Sequence[Mapping[str, Any]]) -> str:
    """The page.

    Args:
        documents: Of ``fleetnas latency predict --explain --json``, one a device, with the same networks.
    """
    parts = [
        "<p class='note'>Latencies here are <i>predicted</i> from what was measured on each target; nothing on this "
        "page was measured itself.</p>"
    ]
    for index, first in enumerate(documents[0]["predictions"]):
        rows = [one["predictions"][index] for one in documents]
        parts += [
            f"<h2>{escape(first['architecture'])}</h2>",
            html_table(
                [["target", "predicted, ms", "95 %", "networks measured"], *map(_total, documents, rows)]
            ),
            html_figure(first["architecture"], _bars(documents, rows), _CAPTION),
            html_table(_blocks(documents, rows)),
        ]
    return html_page("FleetNAS: where the latency goes", parts)


def _total(document: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    interval = f"{row['low_ms']:.4f} to {row['high_ms']:.4f}"
    networks = str(document["networks_measured"]) if document["networks_measured"] else "none: a guess"
    return [document["target"], f"{row['mean_ms']:.4f}", interval, networks]


def _blocks(documents: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    table = [["block", *(f"{_short(one['target'])}, ms (share)" for one in documents)]]
    for index, block in enumerate(rows[0]["blocks"]):
        cells = [_share(row["blocks"][index]["mean_ms"], row["mean_ms"]) for row in rows]
        table.append([f"{index}. {block['block']}", *cells])
    return table


def _share(part_ms: float, whole_ms: float) -> str:
    return f"{part_ms:.4f} ({100 * part_ms / whole_ms:.1f} %)"


def _bars(documents: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> "Figure":
    from matplotlib.figure import Figure

    count = len(rows[0]["blocks"])
    height = max(2.5, 1.0 + _BAR_INCHES * count * (1 + len(rows)) / 1.5)
    figure = Figure(figsize=(9.0, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    thickness = 0.8 / len(rows)
    for number, (document, row) in enumerate(zip(documents, rows, strict=True)):
        axes.barh(
            [index + thickness * (number + 0.5) - 0.4 for index in range(count)],
            [one["mean_ms"] for one in row["blocks"]],
            thickness,
            xerr=[1.96 * one["std_ms"] for one in row["blocks"]],
            color=_COLOURS[number % len(_COLOURS)],
            ecolor="#444444",
            error_kw={"lw": 0.7},
            label=_short(document["target"]),
        )
    names = [f"{index}. {one['block'].partition('/')[0]}" for index, one in enumerate(rows[0]["blocks"])]
    axes.set_yticks(range(count), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("predicted, ms")
    axes.grid(axis="x", alpha=0.25)
    axes.legend(fontsize=8)
    return figure


def _short(target_key: str) -> str:
    """Device and runtime."""
    return ", ".join(target_key.split("/")[:2])
