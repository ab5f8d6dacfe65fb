"""Where pages are served, whether encrypted, and the links to them."""

__all__ = ["PageSettings", "page_host", "parse_page_address"]

import socket
from dataclasses import dataclass
from urllib.parse import quote

from fleetnas_controller.listening import Address, Tls, parse_address
from fleetnas_search_spaces.errors import FailedPreconditionError

DEFAULT_PORT = 7080
_EVERYWHERE = ("0.0.0.0", "[::]", "::")


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Attributes:
    insecure_lan: Plain HTTP on an address that others can reach: whoever is on the way can read models and
        speak for the pages, and cannot command the fleet.
    """

    address: Address
    tls: Tls = Tls.AUTO
    insecure_lan: bool = False

    @property
    def encrypted(self) -> bool:
        """Raises FailedPreconditionError for plain text that others can reach and nobody asked for."""
        if self.insecure_lan:
            if self.tls is Tls.ON:
                raise FailedPreconditionError(
                    "--insecure-lan and --tls on contradict each other: choose one."
                )
            return False
        if self.tls is Tls.OFF and not self.address.is_loopback:
            raise FailedPreconditionError(
                f"'{self.address.host}' is not a loopback address, and pages would be served in plain text: leave "
                "--tls off out, or accept it with --insecure-lan."
            )
        return self.address.encrypted(self.tls)

    def link(self, host: str, port: int, secret: str) -> str:
        """What a browser opens; the secret stands behind '#', which browsers do not send and logs do not show."""
        return f"{'https' if self.encrypted else 'http'}://{host}:{port}/#token={quote(secret)}"


def parse_page_address(text: str) -> Address:
    """``HOST`` or ``HOST:PORT``; raises InvalidArgumentError."""
    bare = text.rpartition("]")[2] if text.startswith("[") else text
    return parse_address(text if ":" in bare else f"{text}:{DEFAULT_PORT}")


def page_host(address: Address) -> str:
    """How phones name the address: for every address of this machine, the one it reaches others from."""
    if address.host not in _EVERYWHERE:
        return address.host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only chooses the way. The address is one that documents use.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
