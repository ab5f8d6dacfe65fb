"""Did a fleet keep its promises? Reads the controller's store and what the played devices say they did and saw."""

__all__ = ["Findings", "check"]

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetnas_protos.v1 import measurement_pb2

_Lease = tuple[str, int]
_FINISHED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        broken: Promises that were broken, one sentence each; empty is what everybody hopes for.
        counts: Of states, verdicts, events; for the curious.
        longest_s: From the creation of a measurement to its end.
    """

    broken: tuple[str, ...]
    counts: dict[str, int]
    longest_s: float


def check(store: Path, trace: Path, ids: Iterable[str]) -> Findings:
    """Args: ids: Of every measurement whose creation the controller acknowledged."""
    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    rows = {row["name"]: row for row in database.execute("SELECT * FROM measurements")}
    leases: dict[_Lease, str] = {}
    order: dict[str, list[_Lease]] = defaultdict(list)
    for device, token, name, _ in database.execute("SELECT * FROM leases ORDER BY lease_time, rowid"):
        leases[device, token] = name
        order[name].append((device, token))
    events = _events(trace)
    broken = [
        *_each_ended(rows, {f"measurements/{one}" for one in ids}),
        *_results(rows, events),
        *_tokens(leases, events),
        *_one_at_a_time(events),
        *_attempts(rows, order),
    ]
    counts = Counter(f"state {row['state']}" for row in rows.values())
    counts.update(f"event {one['event']}" for one in events)
    counts["leases"] = len(leases)
    done = [row for row in rows.values() if row["state"] == "done"]
    late = [row for row in done if [(row["device"], row["fencing_token"])] != order[row["name"]][-1:]]
    counts["results under an ended lease"] = len(late)
    broken += [
        f"{row['name']} has a result under an ended lease that is not good" for row in late if not _good(row)
    ]
    longest_s = max(row["update_time"] - row["create_time"] for row in rows.values())
    return Findings(tuple(broken), dict(counts), longest_s)


def _good(row: sqlite3.Row) -> bool:
    result = measurement_pb2.MeasurementResult.FromString(row["result"])
    return result.verdict == measurement_pb2.MeasurementResult.OK


def _events(trace: Path) -> list[dict[str, Any]]:
    """A process that was killed leaves part of its last line, and the next one writes on behind it."""
    found = []
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            found.append(json.loads(line[line.rfind('{"time"') :]))
    return found


def _lease(event: dict[str, Any]) -> _Lease:
    return event["device"], event["fencing_token"]


def _each_ended(rows: dict[str, sqlite3.Row], wanted: set[str]) -> Iterable[str]:
    for name in sorted(wanted - rows.keys()):
        yield f"{name} was acknowledged and is lost"
    for name in sorted(rows.keys() - wanted):
        yield f"{name} is in the store and nobody asked for it"
    for name, row in rows.items():
        if row["state"] not in _FINISHED:
            yield f"{name} is still {row['state']}"
        if (row["result"] is not None) != (row["state"] == "done"):
            yield f"{name} is {row['state']} and {'has a' if row['result'] else 'has no'} result"
        if row["state"] == "failed" and not row["fault_kind"]:
            yield f"{name} failed without a typed fault"


def _results(rows: dict[str, sqlite3.Row], events: list[dict[str, Any]]) -> Iterable[str]:
    """An accepted result ends its measurement, once, and is the one in the store."""
    outcome = {(*_lease(one), one["measurement"]): one["detail"] for one in events if one["event"] == "sent"}
    accepted: dict[str, set[_Lease]] = defaultdict(set)
    for one in events:
        if one["event"] == "accepted" and outcome.get((*_lease(one), one["measurement"])) == "result":
            accepted[one["measurement"]].add(_lease(one))
    for name, by in accepted.items():
        row = rows[name]
        if len(by) > 1:
            yield f"{name} has {len(by)} accepted results: {sorted(by)}"
        if row["state"] != "done" or (row["device"], row["fencing_token"]) not in by:
            yield f"{name} is {row['state']} by {row['device']}, {row['fencing_token']}; accepted was {sorted(by)}"
    for name, row in rows.items():
        if row["state"] == "done" and outcome.get((row["device"], row["fencing_token"], name)) != "result":
            yield f"{name} is done by {row['device']}, which never sent a result for it"


def _tokens(leases: dict[_Lease, str], events: list[dict[str, Any]]) -> Iterable[str]:
    """Only real leases count, and each report once."""
    counted = Counter((*_lease(one), one["measurement"]) for one in events if one["event"] == "accepted")
    for (device, token, name), count in counted.items():
        if leases.get((device, token)) != name:
            yield f"{device} was believed under token {token}, which it never had for {name}"
        if count > 1:
            yield f"{device}, token {token}: {name} was accepted {count} times"
    for one in events:
        if one["event"] == "assigned" and leases.get(_lease(one)) != one["measurement"]:
            yield f"{one['device']} was assigned {one['measurement']} under a lease that is not stored"


def _one_at_a_time(events: list[dict[str, Any]]) -> Iterable[str]:
    running: dict[str, str] = {}
    for one in events:
        device, name = one["device"], one["measurement"]
        if one["event"] == "begin":
            if device in running:
                yield f"{device} ran {running[device]} and {name} at once"
            running[device] = name
        elif one["event"] in ("end", "started"):
            running.pop(device, None)


def _attempts(rows: dict[str, sqlite3.Row], order: dict[str, list[_Lease]]) -> Iterable[str]:
    for name, row in rows.items():
        if row["attempt_count"] != len(order[name]):
            yield f"{name} counts {row['attempt_count']} attempts and had {len(order[name])} leases"
