"""PaddleSlim's latency tables as text: of 2020, with commas and a header, and of 2019, with blanks and none."""

__all__ = ["PaddleFormat", "read_paddle", "write_paddle"]

from collections.abc import Iterable, Sequence
from enum import StrEnum

from fleetnas_latency.exchange.paddle_keys import PADDLE_PREFIX, key_of_operator, operator_of_key
from fleetnas_latency.exchange.records import FileRecord, Unit
from fleetnas_search_spaces.errors import InvalidArgumentError


class PaddleFormat(StrEnum):
    """By the year in which it appeared."""

    COMMAS = "paddleslim-2020"
    BLANKS = "paddleslim-2019"


def read_paddle(text: str, unit: Unit | None = None) -> tuple[FileRecord, ...]:
    """Reads either format.

    Args:
        unit: Of the latencies; None: the header's third field must say it.

    Raises:
        InvalidArgumentError: No unit is known, a line has no latency, or a field is no number.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if lines and _is_header(lines[0][1]):
        unit = unit or _unit_of_header(lines[0][1])
        lines = lines[1:]
    if unit is None:
        raise InvalidArgumentError(
            "the table does not say whether its latencies are us, ms or s: give --unit."
        )
    return tuple(_record(number, line, unit) for number, line in lines)


def write_paddle(
    records: Iterable[FileRecord], style: PaddleFormat, *, device: str, unit: Unit
) -> tuple[str, tuple[str, ...]]:
    """Writes what the format has words for.

    Returns:
        The text, and the keys of the records that were left out.
    """
    lines = [f"op_type\t{device}\t{unit}"] if style is PaddleFormat.COMMAS else []
    left_out = []
    for record in records:
        key = _paddle_key(record)
        if key is None:
            left_out.append(record.key)
            continue
        value = f"{record.latency_ms / unit.in_ms:.10g}"
        lines.append(f"{key}\t{value}" if style is PaddleFormat.COMMAS else f"{_blank_key(key)} {value}")
    return "\n".join([*lines, ""]), tuple(left_out)


def _paddle_key(record: FileRecord) -> str | None:
    if record.operator is not None:
        return key_of_operator(record.operator)
    if record.key.startswith(PADDLE_PREFIX):
        return record.key.removeprefix(PADDLE_PREFIX)
    return None


def _blank_key(key: str) -> str:
    """Of 2019: blanks, and ``activation relu6 ...`` where 2020 has ``relu6,...``."""
    kind, *fields = key.split(",")
    words = [kind, *fields] if kind in _OWN_WORDS else ["activation", kind, *fields]
    return " ".join(words)


def _record(number: int, line: str, unit: Unit) -> FileRecord:
    key, latency = _split(line)
    try:
        latency_ms = float(latency) * unit.in_ms
    except ValueError:
        raise InvalidArgumentError(
            f"line {number} ends with '{latency[:40]}', which is no latency: it should be 'key<TAB>number'."
        ) from None
    kind, *fields = key
    operator = operator_of_key(kind, fields)
    if operator is None:
        return FileRecord(PADDLE_PREFIX + ",".join(key), latency_ms)
    return FileRecord.of_operator(operator, latency_ms)


def _split(line: str) -> tuple[Sequence[str], str]:
    """The key's fields and the latency."""
    if "," in line:
        key, _, latency = line.rpartition("\t") if "\t" in line else line.rpartition(" ")
        return [field.strip() for field in key.split(",")], latency
    *words, latency = line.split()
    if words and words[0] == "activation":
        words = words[1:]
    return words or [""], latency


def _is_header(line: str) -> bool:
    """Its last word is a unit or a date, never a latency; no key has a tab before its second field."""
    fields = line.split("\t") if "\t" in line else line.split(",")
    return len(fields) == 3 and not fields[0].startswith(tuple(f"{word}," for word in _OWN_WORDS))


def _unit_of_header(line: str) -> Unit | None:
    last = (line.split("\t") if "\t" in line else line.split(","))[2].strip().lower()
    return Unit(last) if last in set(Unit) else None


_OWN_WORDS = frozenset({"conv", "batch_norm", "eltwise", "pooling", "softmax"})
