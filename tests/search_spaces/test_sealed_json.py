import json

import pytest

from fleetnas_search_spaces.errors import DataLossError, FleetNASError, InvalidArgumentError
from fleetnas_search_spaces.sealed_json import seal, unseal

CONTENT = {"numbers": [1, 2.5], "name": "a"}


def _opened(raw: str) -> object:
    return unseal(raw, "form", 3, noun="letter", cure="write it again")


def test_what_was_sealed_comes_out_as_it_was() -> None:
    assert _opened(json.dumps(seal("form", 3, CONTENT))) == CONTENT


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        ("[" * 100_000, InvalidArgumentError, "is no letter, which is JSON"),
        ("", InvalidArgumentError, "is no letter, which is JSON"),
        ("[1]", InvalidArgumentError, 'its "format" should be "form"'),
        (json.dumps(seal("other", 3, CONTENT)), InvalidArgumentError, 'its "format" should be "form"'),
        (json.dumps(seal("form", 4, CONTENT)), DataLossError, "has version 4, this FleetNAS reads 3"),
        (json.dumps(seal("form", 3, CONTENT)).replace("2.5", "2.6"), DataLossError, "changed or cut"),
        (json.dumps(seal("form", 3, CONTENT) | {"content": [1]}), DataLossError, "changed or cut"),
    ],
    ids=[
        "nested",
        "empty",
        "a list",
        "another form",
        "a newer version",
        "a changed number",
        "another content",
    ],
)
def test_anything_else_is_refused_with_the_cure(raw: str, error: type[FleetNASError], words: str) -> None:
    with pytest.raises(error, match=words) as refused:
        _opened(raw)
    assert "write it again" in str(refused.value) or 'its "format"' in str(refused.value)
