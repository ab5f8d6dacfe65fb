"""A key, its certificate and the authority behind both: what members of an encrypted fleet show and check."""

__all__ = ["Identity", "new_key_and_request", "parse_identity"]

import re
from dataclasses import dataclass

_PARTS = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """All PEM; ``pem()`` is the one file in which it is kept."""

    key_pem: bytes
    certificate_pem: bytes
    authority_pem: bytes

    def pem(self) -> bytes:
        return self.key_pem + self.certificate_pem + self.authority_pem

    def lifetime(self) -> tuple[float, float]:
        """Begin and end of the certificate, seconds since 1970."""
        from cryptography import x509

        certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def parse_identity(content: bytes) -> Identity:
    """Reads what ``Identity.pem`` writes.

    Raises:
        ValueError: It is something else.
    """
    kinds, parts = [], []
    for match in _PARTS.finditer(content):
        kinds.append(match.group(1))
        parts.append(match.group(0))
    if kinds != [b"PRIVATE KEY", b"CERTIFICATE", b"CERTIFICATE"]:
        raise ValueError("not a private key, a certificate and an authority's certificate")
    return Identity(*parts)


def new_key_and_request() -> tuple[bytes, bytes]:
    """A private key, which need not leave this machine, and a signing request for it, both PEM.

    The name in the request does not matter: whoever signs decides on it.

    Raises:
        ImportError: The package ``cryptography`` is missing.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "fleetnas")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, request.public_bytes(serialization.Encoding.PEM)
