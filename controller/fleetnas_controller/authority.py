"""The fleet's own certificate authority: made at the first encrypted start, kept in the data folder."""

__all__ = ["Authority", "Issued"]

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleetnas_controller.fingerprints import fingerprint
from fleetnas_controller.private_files import make_private
from fleetnas_protos.join import CONTROLLER_NAME
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError

_FILE = "authority.pem"
_AUTHORITY_DAYS = 3650
_BACKDATE = timedelta(minutes=10)
"""A device's clock may be a little behind the controller's."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate; ``expire_time`` in seconds since 1970."""

    certificate_pem: bytes
    sha256: str
    expire_time: float


class Authority:
    """Signs certificates of controllers, agents and people.

    Args:
        clock: Seconds since 1970.

    Raises:
        DataLossError: The authority's file is damaged.
    """

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        path = data_dir / _FILE
        if not path.exists():
            make_private(path, _new_authority(clock()))
        content = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(content, password=None)
            self._certificate = x509.load_pem_x509_certificate(content)
        except ValueError as error:
            raise DataLossError(
                f"'{path}' is damaged ({error}). Restore it from a copy; without it every agent has to enrol again."
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise DataLossError(f"'{path}' holds another kind of key than this version makes. Restore it.")
        self._key = key

    @property
    def certificate_pem(self) -> bytes:
        """What peers have to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def for_controller(self, lifetime_s: float, host: str = "") -> tuple[bytes, bytes]:
        """A fresh key and certificate of the controller itself, both PEM.

        Args:
            host: A name or an address that browsers know it by, besides the name that agents do.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(CONTROLLER_NAME), *_names(host)])
        issued = self._sign(key.public_key(), CONTROLLER_NAME, lifetime_s, server_names=names)
        return _key_pem(key), issued.certificate_pem

    def sign(self, request_pem: bytes, principal: str, lifetime_s: float) -> Issued:
        """Certifies the key in a signing request as that of ``principal``; nothing else of the request counts.

        Raises:
            InvalidArgumentError: It is no request, its own signature is wrong, or its key is of another kind.
        """
        try:
            request = x509.load_pem_x509_csr(request_pem)
            key = request.public_key()
            valid = request.is_signature_valid
        except (ValueError, TypeError) as error:
            raise InvalidArgumentError(f"this is no certificate signing request in PEM ({error}).") from error
        if not valid or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidArgumentError(
                "the signing request needs a P-256 key and a valid signature of its own."
            )
        return self._sign(key, principal, lifetime_s)

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        common_name: str,
        lifetime_s: float,
        server_names: x509.SubjectAlternativeName | None = None,
    ) -> Issued:
        now = datetime.fromtimestamp(self._clock(), UTC)
        end = min(now + timedelta(seconds=lifetime_s), self._certificate.not_valid_after_utc)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if server_names is None else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        )
        if server_names is not None:
            builder = builder.add_extension(server_names, critical=False)
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return Issued(pem, fingerprint(pem.decode()), end.timestamp())


def _new_authority(now_s: float) -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("FleetNAS fleet")
    now = datetime.fromtimestamp(now_s, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _names(host: str) -> list[x509.GeneralName]:
    bare = host.strip("[]")
    try:
        return [x509.IPAddress(ipaddress.ip_address(bare))]
    except ValueError:
        return [x509.DNSName(bare)] if bare else []


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
