"""By what the store knows a certificate. Apart from the authority, which needs a package of its own."""

__all__ = ["fingerprint"]

import hashlib
import ssl


def fingerprint(certificate_pem: str) -> str:
    """Lower-case hexadecimal SHA-256 of the certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate_pem)).hexdigest()
