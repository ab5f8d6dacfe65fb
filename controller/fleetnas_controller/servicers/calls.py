"""What all servicers share: who is calling, and how an error becomes a status."""

__all__ = ["Access", "Answering", "page_size_of"]

import hmac
from types import TracebackType
from typing import Any

from fleetnas_controller.enrolment import Enrolment, digest_of
from fleetnas_controller.fingerprints import fingerprint
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.jobs import Role
from fleetnas_controller.wire import status_of_error
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError, PermissionDeniedError

_SCHEME = "Bearer "


class Answering:
    """An async context: a FleetNASError inside it ends the call with the status it stands for."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, FleetNASError):
            await self._context.abort(status_of_error(error), str(error))


class Access:
    """Tells callers apart: by their certificate on an encrypted fleet, else by the call's ``authorization``.

    Args:
        operator_sha256: Of the operator's token.
    """

    def __init__(self, enrolment: Enrolment, grants: GrantBook, operator_sha256: str) -> None:
        self._enrolment = enrolment
        self._grants = grants
        self._operator_sha256 = operator_sha256

    def role(self, context: Any) -> Role | None:
        """What a person or a program may do; None for agents and strangers."""
        certificate = _certificate_sha256(context)
        if certificate:
            return self._grants.role(certificate)
        token = _token(context)
        if token and hmac.compare_digest(digest_of(token), self._operator_sha256):
            return Role.OPERATOR
        return None

    def operator(self, context: Any) -> None:
        """Raises PermissionDeniedError for anybody else."""
        role = self.role(context)
        if role is Role.VIEWER:
            raise PermissionDeniedError("a viewer may look only: this call needs an operator's certificate.")
        self._check(role)

    def viewer(self, context: Any) -> None:
        """Lets operators pass too; PermissionDeniedError for anybody else."""
        self._check(self.role(context))

    def device(self, context: Any) -> str:
        """Name of the calling device; PermissionDeniedError for anybody else."""
        certificate = _certificate_sha256(context)
        if certificate:
            return self._grants.device(certificate) or self._enrolment.device_of(certificate)
        token = _token(context)
        return self._enrolment.device_of(digest_of(token) if token else "")

    def _check(self, role: Role | None) -> None:
        if role is None:
            raise PermissionDeniedError(
                "this call needs an operator's token or certificate. Give --data-dir on the controller's machine, "
                "or set FLEETNAS_OPERATOR_TOKEN, or FLEETNAS_CREDENTIALS to a file of 'fleetnas access grant'."
            )


def _certificate_sha256(context: Any) -> str:
    """Of the caller's certificate, which the handshake has checked; empty when there is none."""
    found = context.auth_context().get("x509_pem_cert")
    return fingerprint(found[0].decode("ascii")) if found else ""


def _token(context: Any) -> str:
    if b"ssl" in context.auth_context().get("transport_security_type", ()):
        return ""  # an encrypted fleet knows certificates only
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            return value.removeprefix(_SCHEME)
    return ""


def page_size_of(asked: int) -> int:
    """0 means 50, more than 1000 counts as 1000; InvalidArgumentError on a negative one."""
    if asked < 0:
        raise InvalidArgumentError(f"`page_size` (={asked}) must not be negative.")
    return min(asked or 50, 1000)
