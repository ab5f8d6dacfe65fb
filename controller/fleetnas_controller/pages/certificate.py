"""The certificate that encrypted pages show: of the fleet's own authority, for the name that phones dial."""

__all__ = ["PageCertificate"]

import ssl
from collections.abc import Callable
from pathlib import Path

from fleetnas_controller.authority import Authority
from fleetnas_controller.private_files import write_private

_FILE = "pages.pem"
_LIFETIME_S = 90 * 86_400.0


class PageCertificate:
    """Args:
    host: A name or an address.
    clock: Seconds since 1970.
    """

    def __init__(self, data_dir: Path, host: str, clock: Callable[[], float]) -> None:
        self._path = data_dir / _FILE
        self._host = host
        self._clock = clock
        self._authority = Authority(data_dir, clock)
        self._fresh_until = 0.0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.refresh()

    @property
    def authority_pem(self) -> bytes:
        """What a phone has to trust."""
        return self._authority.certificate_pem

    def refresh(self) -> None:
        """Makes another once this one has lived half of its life; connections from then on get it."""
        if self._clock() < self._fresh_until:
            return
        key_pem, certificate_pem = self._authority.for_controller(_LIFETIME_S, self._host)
        write_private(self._path, key_pem + certificate_pem)
        self.context.load_cert_chain(self._path)
        self._fresh_until = self._clock() + _LIFETIME_S / 2
