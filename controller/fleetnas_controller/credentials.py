"""What a client shows a controller: the operator's token, or a certificate of the fleet's authority."""

__all__ = [
    "CREDENTIALS_VARIABLE",
    "OPERATOR_BUNDLE_FILE",
    "Credentials",
    "find_credentials",
    "read_identity",
]

import os
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.operator import OPERATOR_TOKEN_VARIABLE, find_operator_token
from fleetnas_protos.identity import Identity, parse_identity
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError

CREDENTIALS_VARIABLE = "FLEETNAS_CREDENTIALS"
OPERATOR_BUNDLE_FILE = "operator.pem"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either of them: ``identity`` against a controller that encrypts, ``token`` on the loopback address."""

    token: str = ""
    identity: Identity | None = None


def find_credentials(data_dir: Path | None) -> Credentials:
    """From the environment or from the controller's data folder; a certificate before a token.

    Raises:
        FailedPreconditionError: Neither has any.
        NotFoundError, InvalidArgumentError: The file that the environment names is not one.
    """
    named = os.environ.get(CREDENTIALS_VARIABLE, "")
    if named:
        return Credentials(identity=read_identity(Path(named)))
    if not os.environ.get(OPERATOR_TOKEN_VARIABLE) and data_dir is not None:
        path = data_dir / OPERATOR_BUNDLE_FILE
        if path.is_file():
            return Credentials(identity=read_identity(path))
    try:
        return Credentials(token=find_operator_token(data_dir))
    except FailedPreconditionError as error:
        raise FailedPreconditionError(
            f"{str(error).rstrip('.')}, or {CREDENTIALS_VARIABLE} to a file of 'fleetnas access grant'."
        ) from None


def read_identity(path: Path) -> Identity:
    """Raises NotFoundError or InvalidArgumentError."""
    try:
        return parse_identity(path.read_bytes())
    except OSError as error:
        raise NotFoundError(f"the credentials '{path}' cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InvalidArgumentError(
            f"'{path}' holds no credentials ({error}): make such a file with 'fleetnas access grant'."
        ) from error
