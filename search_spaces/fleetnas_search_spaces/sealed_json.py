"""JSON documents that say what they are, of which version, and whether anybody changed them."""

__all__ = ["seal", "unseal"]

import hashlib
import json
from typing import Any

from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError


def seal(form: str, version: int, content: Any) -> dict[str, Any]:
    """A document around ``content``, with the digest of it.

    Args:
        form: The document's ``format``.
    """
    return {"format": form, "version": version, "sha256": _digest(content), "content": content}


def unseal(raw: str | bytes, form: str, version: int, *, noun: str, cure: str) -> dict[str, Any]:
    """The content of a document that ``seal`` made and somebody stored as JSON.

    Args:
        noun: What it is to people, e.g. ``"pack"``.
        cure: How to come by a sound one, e.g. ``"get it again"``.

    Raises:
        InvalidArgumentError: It is no such document.
        DataLossError: It is of another version, was cut or was changed.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the file is no {noun}, which is JSON ({error}): {cure}.") from error
    if not isinstance(document, dict) or document.get("format") != form:
        raise InvalidArgumentError(f'the file is JSON but no {noun}: its "format" should be "{form}".')
    if document.get("version") != version:
        raise DataLossError(
            f"the {noun} has version {document.get('version')}, this FleetNAS reads {version}: upgrade FleetNAS, or "
            f"{cure}."
        )
    content = document.get("content")
    if not isinstance(content, dict) or document.get("sha256") != _digest(content):
        raise DataLossError(f"the {noun} was changed or cut since it was written: {cure}.")
    return content


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
