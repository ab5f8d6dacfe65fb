"""Page tokens that are numbers."""

__all__ = ["token_number"]

from fleetnas_search_spaces.errors import InvalidArgumentError

_MOST_DIGITS = 18  # what a store can hold


def token_number(page_token: str, first: int) -> int:
    """The number that a token holds; ``first`` for the empty one.

    Raises:
        InvalidArgumentError: ``page_token`` is not from a page before.
    """
    if not page_token:
        return first
    if not (page_token.isascii() and page_token.isdecimal() and len(page_token) <= _MOST_DIGITS):
        raise InvalidArgumentError(f"`page_token` ('{page_token[:40]}') is not from a list. Start without.")
    return int(page_token)
