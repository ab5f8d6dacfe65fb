"""Whether a port speaks gRPC in plain text or encrypted: grpc itself only says that nobody answers."""

__all__ = ["Speech", "heard_at"]

import contextlib
import socket
import ssl
from enum import StrEnum

from fleetnas_protos.join import CONTROLLER_NAME

_LOOK_S = 2.0
# What an HTTP/2 client says first, with settings that set nothing (RFC 9113, sections 3.4 and 6.5).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS = 0x04
_FRAME_HEADER_BYTES = 9


class Speech(StrEnum):
    """FOREIGN is encrypted under another authority's certificate; UNKNOWN is nobody, or nothing of ours."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


def heard_at(address: str, authority_pem: str = "") -> Speech:
    """Dials and listens, for some seconds at most; blocks.

    Args:
        address: ``HOST:PORT``.
        authority_pem: Whom an encrypted port has to be vouched for by; empty: by anybody.
    """
    try:
        return Speech.PLAIN if _is_plain(address) else _encrypted(address, authority_pem)
    except (OSError, ValueError):
        return Speech.UNKNOWN


def _is_plain(address: str) -> bool:
    with _dialled(address) as link:
        link.sendall(_PREFACE)
        heard = b""
        with contextlib.suppress(OSError):  # an encrypted port hangs up, or waits for more
            while len(heard) < _FRAME_HEADER_BYTES and (part := link.recv(64)):
                heard += part
    return len(heard) >= _FRAME_HEADER_BYTES and heard[3] == _SETTINGS and not any(heard[5:9])


def _encrypted(address: str, authority_pem: str) -> Speech:
    context = ssl.create_default_context(cadata=authority_pem or None)
    context.set_alpn_protocols(["h2"])
    if not authority_pem:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        # The port may want our certificate: it says so only after its own part of the handshake.
        with _dialled(address) as link, context.wrap_socket(link, server_hostname=CONTROLLER_NAME):
            return Speech.ENCRYPTED
    except ssl.SSLCertVerificationError:
        return Speech.FOREIGN


def _dialled(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    link = socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_S)
    link.settimeout(_LOOK_S)
    return link
