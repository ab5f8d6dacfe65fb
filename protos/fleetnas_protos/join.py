"""The text that lets an agent join: a secret, and on an encrypted fleet whom to trust with it."""

__all__ = ["CONTROLLER_NAME", "JoinText", "parse_join_text"]

import base64
import binascii
import hashlib
import ssl
from dataclasses import dataclass

CONTROLLER_NAME = "fleetnas-controller"
"""The name in every controller's certificate: agents and clients trust the fleet's own authority, not a host name."""

_MARK = "fleet1"


@dataclass(frozen=True, slots=True)
class JoinText:
    """What ``fleetnas device token`` prints.

    Attributes:
        secret: Proof that the bearer may join.
        port: Where the controller enrols, on the host that the agent dials; 0 on a fleet without encryption.
        authority_pem: Certificate of the fleet's authority; empty without encryption.
    """

    secret: str
    port: int = 0
    authority_pem: str = ""

    def __str__(self) -> str:
        """``fleet1.SECRET.PORT.CERTIFICATE.CHECK``, or the bare secret without encryption."""
        if not self.authority_pem:
            return self.secret
        der = ssl.PEM_cert_to_DER_cert(self.authority_pem)
        text = ".".join((_MARK, self.secret, str(self.port), base64.urlsafe_b64encode(der).decode()))
        return f"{text}.{_check(text)}"


def parse_join_text(text: str) -> JoinText:
    """Reads what ``str(JoinText)`` writes.

    Raises:
        ValueError: It begins like a join text and is cut or changed.
    """
    words = text.strip().split(".")
    if words[0] != _MARK:
        return JoinText(text.strip())
    try:
        _, secret, port, certificate, check = words
        if check != _check(".".join(words[:-1])):
            raise ValueError(check)
        der = base64.b64decode(certificate.encode("ascii"), altchars=b"-_", validate=True)
        return JoinText(secret, int(port), ssl.DER_cert_to_PEM_cert(der))
    except (ValueError, binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("the join token is cut or changed: copy the whole line.") from error


def _check(text: str) -> str:
    """Finds a slip of the hand, not an attack."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
