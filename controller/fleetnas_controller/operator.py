"""Who may command a controller: whoever holds the token in its data folder."""

__all__ = ["OPERATOR_TOKEN_FILE", "OPERATOR_TOKEN_VARIABLE", "find_operator_token", "operator_token"]

import os
import re
import secrets
from pathlib import Path

from fleetnas_controller.private_files import make_private
from fleetnas_search_spaces.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    PermissionDeniedError,
)

OPERATOR_TOKEN_FILE = "operator.token"
OPERATOR_TOKEN_VARIABLE = "FLEETNAS_OPERATOR_TOKEN"


def operator_token(data_dir: Path) -> str:
    """The controller's own view of it: made at the first call, readable by its owner only.

    Raises:
        DataLossError: The file is there and empty.
    """
    path = data_dir / OPERATOR_TOKEN_FILE
    if not path.exists():
        make_private(path, f"{secrets.token_urlsafe(32)}\n".encode("ascii"))
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise DataLossError(f"'{path}' is empty. Delete it; the next start makes another token.")
    return token


def find_operator_token(data_dir: Path | None) -> str:
    """A client's view of it: from the environment or from the controller's data folder.

    Raises:
        FailedPreconditionError: Neither has it.
        InvalidArgumentError, PermissionDeniedError: What is there is no token, or not for us to read.
    """
    token = os.environ.get(OPERATOR_TOKEN_VARIABLE, "").strip()
    if token:
        return _checked(token, f"in {OPERATOR_TOKEN_VARIABLE}")
    if data_dir is not None and (data_dir / OPERATOR_TOKEN_FILE).is_file():
        path = data_dir / OPERATOR_TOKEN_FILE
        try:
            token = path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise PermissionDeniedError(
                f"the operator's token '{path}' cannot be read ({error.strerror}): ask its owner."
            ) from error
        return _checked(token, f"in '{path}'")
    where = f" ('{data_dir}' has none)" if data_dir is not None else ""
    raise FailedPreconditionError(
        f"the controller wants its operator's token{where}: give the --data-dir of 'fleetnas serve', or set "
        f"{OPERATOR_TOKEN_VARIABLE}."
    )


def _checked(token: str, where: str) -> str:
    """``token``, where it can travel in a header."""
    if not re.fullmatch(r"[!-~]+", token):
        raise InvalidArgumentError(
            f"what is {where} is no operator's token: copy '{OPERATOR_TOKEN_FILE}' from the controller's folder."
        )
    return token
