"""Tables for people, on stdout."""

__all__ = ["print_picks", "print_rows", "print_search"]

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from fleetnas_controller.early_stops import accuracy_words, early_stop_line
from fleetnas_controller.result_tables import (
    front_lines,
    pick_lines,
    soft_cap_lines,
    statistic_lines,
    summary_lines,
)

_WIDEST = 10_000


def print_rows(rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a header and rows: folded on a terminal that is too narrow, whole where there is none."""
    table = Table(title=title or None)
    for head in rows[0]:
        table.add_column(head, overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        needed = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
        console = Console(width=max(console.width, needed))
    console.print(table)


def print_picks(result: Mapping[str, Any]) -> None:
    """A table for each device."""
    for device, picks in result["picks"].items():
        print_rows(pick_lines(picks, device), f"picks for {device}")


def print_search(result: Mapping[str, Any]) -> None:
    """The README's table, what stands behind each column, and where the files are."""
    print_rows(summary_lines(result))
    front = front_lines(result)
    if front:
        print_rows(front, "front")
    reference, found = result["reference"], result["found"]
    console = Console(highlight=False)
    console.print(
        f"reference {reference['architecture']}: {reference['macs'] / 1e6:.1f} M MACs, "
        f"{reference['params'] / 1e6:.2f} M parameters; found {found['architecture']}: "
        f"{found['macs'] / 1e6:.1f} M MACs, {found['params'] / 1e6:.2f} M parameters"
    )
    for cap in result["caps"]:
        console.print(
            f"cap {cap['name']}: {cap['value']:.4g} ({cap['low']:.4g} to {cap['high']:.4g}), "
            f"limit {cap['limit']:.4g}: {cap['state']}"
        )
    for line in (*soft_cap_lines(result), *statistic_lines(result)):
        console.print(line)
    console.print(f"accuracy: {accuracy_words(found)}")
    if early_stop_line(result):
        console.print(early_stop_line(result))
    console.print(
        f"{result['evaluations']} evaluations, {result['measurements']} measurements, "
        f"{result['wall_s']:.0f} s; the latencies are {next(iter(found['latency_ms'].values()))['source']}"
    )
    earlier = result["warm_start"]
    if earlier:
        console.print(
            f"taken over from {earlier['from']}: {earlier['trials']} trials; {earlier['accuracies']} accuracies and "
            f"{earlier['latencies']} latencies of them hold here"
        )
    for name, path in result["artifacts"].items():
        console.print(f"{name}: {path}", soft_wrap=True)
