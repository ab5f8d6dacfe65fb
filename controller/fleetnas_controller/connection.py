"""The connection of a client to a controller: credentials, deadlines, patience, errors, pages."""

__all__ = ["CALL_S", "RETRY_S", "Connection"]

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from fleetnas_controller.credentials import CREDENTIALS_VARIABLE, Credentials
from fleetnas_controller.listening import parse_address
from fleetnas_controller.wire import OURS, error_of_status
from fleetnas_protos.join import CONTROLLER_NAME
from fleetnas_protos.speech import Speech, heard_at
from fleetnas_search_spaces.errors import FailedPreconditionError, PermissionDeniedError, UnavailableError

CALL_S = 20.0
_MAX_MESSAGE_BYTES = 64 << 20
_PAGE_SIZE = 500
RETRY_S = 0.2
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

Answer = TypeVar("Answer")


class Connection:
    """Makes calls; what a call raises is what it would raise locally.

    Args:
        address: ``HOST:PORT`` of the controller.
        patience_s: How long a controller that answered before and does no longer is asked again, at each call.

    Raises:
        FailedPreconditionError: A token would leave this machine in plain text.
    """

    def __init__(self, address: str, credentials: Credentials, patience_s: float) -> None:
        self._address = address
        self._patience_s = patience_s
        self._answered = False
        identity = credentials.identity
        self._encrypted = identity is not None
        self._authority_pem = identity.authority_pem.decode("ascii") if identity is not None else ""
        self.metadata = () if self._encrypted else (("authorization", f"Bearer {credentials.token}"),)
        self.channel = _channel(address, credentials)

    def call(self, method: Callable[..., Answer], request: Any) -> Answer:
        return self.patiently(lambda: method(request, timeout=CALL_S, metadata=self.metadata))

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """Makes ``call``, again and again while the controller is gone and patience lasts."""
        begin_s = time.monotonic()
        while True:
            try:
                answer = call()
            except grpc.RpcError as error:
                self.check_patience(error, begin_s)
                time.sleep(RETRY_S)
            else:
                self._answered = True
                return answer

    def pages(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """The pages of a list, from the beginning; ``request`` may bear a page size."""
        request.page_size = request.page_size or _PAGE_SIZE
        while True:
            page = self.call(method, request)
            yield page
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def check_patience(self, error: grpc.RpcError, since_s: float) -> None:
        """Raises what ``error`` stands for, unless a later try may help.

        Args:
            since_s: When the controller was lost, on the monotonic clock.
        """
        gone = error.code() is grpc.StatusCode.UNAVAILABLE
        if not (gone and self._answered and time.monotonic() - since_s < self._patience_s):
            raise self.error_of(error) from error

    def error_of(self, error: grpc.RpcError) -> Exception:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and not _is_from_servicer(error):
            return self._unanswered()
        return error_of_status(code, details)

    def _unanswered(self) -> Exception:
        heard = heard_at(self._address, self._authority_pem)
        if heard is Speech.ENCRYPTED and not self._encrypted:
            return FailedPreconditionError(
                f"the controller at {self._address} encrypts, and an operator's token goes to one that does not: "
                f"give its --data-dir, or set {CREDENTIALS_VARIABLE} to a file of 'fleetnas access grant'."
            )
        if heard is Speech.PLAIN and self._encrypted:
            return FailedPreconditionError(
                f"the controller at {self._address} does not encrypt, and these credentials are of one that does: "
                f"give its own --data-dir, unset {CREDENTIALS_VARIABLE}, or start it with --tls on."
            )
        if heard is Speech.FOREIGN:
            return PermissionDeniedError(
                f"the controller at {self._address} is of another fleet than these credentials: check the address, "
                f"or set {CREDENTIALS_VARIABLE} to a file of 'fleetnas access grant' of that fleet."
            )
        how, hint = "in plain text", "without --tls on"
        if self._encrypted:
            how, hint = "with encryption", "encrypted, and does the certificate still hold"
        return UnavailableError(
            f"no controller answers at {self._address} {how}. Is 'fleetnas serve' running there, {hint}?"
        )


def _channel(address: str, credentials: Credentials) -> grpc.Channel:
    identity = credentials.identity
    if identity is not None:
        channel_credentials = grpc.ssl_channel_credentials(
            identity.authority_pem, identity.key_pem, identity.certificate_pem
        )
        named = ("grpc.ssl_target_name_override", CONTROLLER_NAME)
        return grpc.secure_channel(address, channel_credentials, options=(*_OPTIONS, named))
    if not parse_address(address).is_loopback:
        raise FailedPreconditionError(
            f"'{address}' is not on this machine, and the operator's token would travel in plain text: set "
            f"{CREDENTIALS_VARIABLE} to a file of 'fleetnas access grant'."
        )
    return grpc.insecure_channel(address, options=_OPTIONS)


def _is_from_servicer(error: Any) -> bool:
    """What a server itself calls unavailable, e.g. a locked store, bears the mark of our servicers."""
    return any(key == OURS for key, _ in error.trailing_metadata() or ())
