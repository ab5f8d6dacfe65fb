"""Who may join the fleet, and who a caller is. Secrets are shown once and kept as SHA-256 only."""

__all__ = ["DEFAULT_TTL_S", "MAX_TTL_S", "Credential", "Enrolment", "digest_of"]

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import JoinToken, device_name
from fleetnas_search_spaces.errors import InvalidArgumentError, PermissionDeniedError

DEFAULT_TTL_S = 900.0
MAX_TTL_S = 30 * 86_400.0
_MAX_USES = 10_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What a device shows from now on: a secret or a certificate.

    Attributes:
        text: Goes to the device; only its SHA-256 stays.
    """

    text: str
    sha256: str


class Enrolment:
    """Join tokens and device credentials.

    Args:
        clock: Seconds since 1970.
        new_secret: A fresh secret at each call, at least 128 bits of it.
    """

    def __init__(self, store: FleetStore, clock: Callable[[], float], new_secret: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._new_secret = new_secret

    def create_token(self, device_id: str = "", use_count: int = 0, ttl_s: float = 0.0) -> JoinToken:
        """Args: 0 uses mean 1, 0 seconds mean ``DEFAULT_TTL_S``.

        Raises:
            InvalidArgumentError: A bad id, a negative number, or more than ``MAX_TTL_S`` or 10,000 uses.
        """
        if device_id:
            device_id = device_name(device_id).removeprefix("devices/")
        if not 0 <= use_count <= _MAX_USES:
            raise InvalidArgumentError(f"`use_count` (={use_count}) must lie between 1 and {_MAX_USES}.")
        if not 0 <= ttl_s <= MAX_TTL_S:
            raise InvalidArgumentError(f"`ttl` (={ttl_s:g} s) must lie between 0 and {MAX_TTL_S:g} s.")
        expire_time = self._clock() + (ttl_s or DEFAULT_TTL_S)
        token = JoinToken(self._new_secret(), device_id, use_count or 1, expire_time)
        self._store.put_join_token(digest_of(token.secret), token)
        return token

    def check_token(self, secret: str) -> JoinToken:
        """The token, unused so far.

        Raises:
            PermissionDeniedError: Unknown, expired or used up; the message does not tell an unknown token from
                a used one, so that guessing teaches nothing.
        """
        token = self._store.join_token(digest_of(secret)) if secret else None
        if token is None or token.use_count < 1:
            raise PermissionDeniedError(
                "the join token is unknown or used up. Make another on the controller: fleetnas device token"
            )
        if token.expire_time <= self._clock():
            raise PermissionDeniedError(
                "the join token has expired. Make another on the controller: fleetnas device token"
            )
        return token

    def use_token(self, secret: str, token: JoinToken) -> None:
        """Takes one use off ``token``, which ``check_token`` gave for ``secret``."""
        self._store.put_join_token(digest_of(secret), replace(token, use_count=token.use_count - 1))

    def new_credential(self, device: str) -> Credential:
        """A secret for ``device``, for a fleet without encryption."""
        secret = self._new_secret()
        return Credential(secret, digest_of(secret))

    def device_of(self, credential_sha256: str) -> str:
        """Name of the device that holds the credential.

        Raises:
            PermissionDeniedError: No device does, or no longer.
        """
        name = self._store.device_by_credential(credential_sha256) if credential_sha256 else None
        if name is None:
            raise PermissionDeniedError(
                "no device has this credential: it was removed or enrolled again. Enrol it with a new join token."
            )
        return name


def digest_of(secret: str) -> str:
    """What is stored instead of ``secret``. A plain hash is enough: secrets are random, not chosen by people."""
    return hashlib.sha256(secret.encode()).hexdigest()
