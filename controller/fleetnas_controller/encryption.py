"""The controller's side of TLS. Imported only where a fleet encrypts: it needs a package of its own."""

__all__ = ["Encryption"]

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from fleetnas_controller.authority import Authority
from fleetnas_controller.credentials import OPERATOR_BUNDLE_FILE, read_identity
from fleetnas_controller.fingerprints import fingerprint
from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import Grant, Role
from fleetnas_controller.private_files import write_private
from fleetnas_protos.identity import Identity, new_key_and_request
from fleetnas_protos.join import JoinText

_SERVER_LIFETIME_S = 90 * 86_400.0
_LOCAL_OPERATOR = "grants/local"
_LOCAL_LIFETIME_S = 400 * 86_400.0


class Encryption:
    """The controller's certificates, and the local operator's.

    The main port asks every caller for a certificate of the fleet's authority; the enrolment port asks for none
    and answers ``Enroll`` only.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._data_dir = data_dir
        self.authority = Authority(data_dir, clock)
        self._fresh_until = 0.0

    def session_credentials(self) -> grpc.ServerCredentials:
        """With a fresh certificate whenever the last has lived half of its life, without a restart."""
        return grpc.dynamic_ssl_server_credentials(self._configuration(), self._changed, True)

    def enrolling_credentials(self) -> grpc.ServerCredentials:
        return grpc.dynamic_ssl_server_credentials(self._configuration(), self._configuration, False)

    def join_text(self, port: int) -> Callable[[str], str]:
        """Of a secret, for agents that enrol on ``port``."""
        authority = self.authority.certificate_pem.decode("ascii")
        return lambda secret: str(JoinText(secret, port, authority))

    def admit_local_operator(self, store: FleetStore) -> None:
        """Gives whoever reads the data folder an operator's certificate, unless the one there will do."""
        path = self._data_dir / OPERATOR_BUNDLE_FILE
        if path.is_file():
            known = store.grant(fingerprint(read_identity(path).certificate_pem.decode("ascii")))
            if known is not None and known.expire_time - self._clock() > _LOCAL_LIFETIME_S / 2:
                return
        key, request = new_key_and_request()
        issued = self.authority.sign(request, _LOCAL_OPERATOR, _LOCAL_LIFETIME_S)
        grant = Grant(_LOCAL_OPERATOR, Role.OPERATOR, self._clock(), issued.expire_time)
        with store.transaction():
            store.remove_grants(_LOCAL_OPERATOR)
            store.put_grant(issued.sha256, grant)
        identity = Identity(key, issued.certificate_pem, self.authority.certificate_pem)
        write_private(path, identity.pem())

    def _configuration(self) -> Any:
        self._fresh_until = self._clock() + _SERVER_LIFETIME_S / 2
        pair = self.authority.for_controller(_SERVER_LIFETIME_S)
        return grpc.ssl_server_certificate_configuration([pair], self.authority.certificate_pem)

    def _changed(self) -> Any:
        """grpc asks at each handshake; None keeps what it has."""
        return self._configuration() if self._clock() > self._fresh_until else None
