"""Where a controller listens, and whether it encrypts there."""

__all__ = ["Address", "Tls", "parse_address"]

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError


class Tls(StrEnum):
    """AUTO encrypts unless the address is a loopback one."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Address:
    """``HOST:PORT``; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        bare = self.host.strip("[]")
        try:
            return bare == "localhost" or ipaddress.ip_address(bare).is_loopback
        except ValueError:
            return False

    def encrypted(self, tls: Tls) -> bool:
        """Raises FailedPreconditionError for anything in plain text on an address that others can reach."""
        if tls is Tls.OFF and not self.is_loopback:
            raise FailedPreconditionError(
                f"'{self.host}' is not a loopback address, and in plain text anybody on the way could command the "
                "fleet: leave --tls off out, or listen on 127.0.0.1."
            )
        return tls is Tls.ON or (tls is Tls.AUTO and not self.is_loopback)


def parse_address(text: str) -> Address:
    """Raises InvalidArgumentError."""
    host, _, port = text.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise InvalidArgumentError(
            f"'{text}' is no address: an IPv6 one stands in brackets, e.g. [::1]:7070."
        )
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidArgumentError(f"'{text}' is no address: write HOST:PORT, e.g. 127.0.0.1:7070.")
    return Address(host, int(port))
