"""Log lines, and what must not be in them."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fleetnas_search_spaces.logs import JsonFormatter, TextFormatter, set_up_logging, without_secrets


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "fleetnas.test", "levelname": "INFO", "created": 1_000.5, **extra})
    made.msg, made.args = message, arguments
    return made


def parsed(one: logging.LogRecord) -> Any:
    return json.loads(JsonFormatter().format(one))


def test_json_line_holds_the_message_and_every_extra() -> None:
    assert parsed(record("job %s", "done", job="measurements/m", attempt=2)) == {
        "time": "1970-01-01T00:16:40.500+00:00",
        "level": "info",
        "logger": "fleetnas.test",
        "message": "job done",
        "job": "measurements/m",
        "attempt": 2,
    }


def test_json_line_stays_one_line() -> None:
    assert "\n" not in JsonFormatter().format(record("a\nb", device="c\nd"))


def test_error_comes_with_its_trace() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    assert "ValueError: broken" in parsed(made)["error"]
    assert "ValueError: broken" in TextFormatter().format(made)


def test_text_line_shows_what_is_known_of_the_extras() -> None:
    line = TextFormatter().format(record("job done", job="measurements/m", device=""))
    assert line == "1970-01-01T00:16:40.500+00:00 INFO job done job=measurements/m"


@pytest.mark.parametrize(
    "text",
    [
        "call with ('authorization', 'Bearer s3cr3t')",
        "authorization: Bearer s3cr3t",
        "join_token=s3cr3t",
        'secret: "s3cr3t"',
        "{'credential': 's3cr3t'}",
    ],
)
def test_secrets_are_blotted_out_wherever_they_come_from(text: str) -> None:
    assert "s3cr3t" not in without_secrets(text)
    assert "s3cr3t" not in JsonFormatter().format(record("%s", text, why=text))
    assert "s3cr3t" not in TextFormatter().format(record("%s", text, why=text))


def test_ordinary_words_stay() -> None:
    text = "the join token is unknown or used up. Make another: fleetnas device token"
    assert without_secrets(text) == text
    assert without_secrets("fencing_token=7") == "fencing_token=7"


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_level_decides_what_is_written(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    set_up_logging("json", "warning", stream)
    logging.getLogger("fleetnas.test").info("quiet")
    logging.getLogger("fleetnas.test").warning("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]
