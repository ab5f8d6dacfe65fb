"""Who may join the fleet, and who a caller is. Secrets are shown once and kept as SHA-256 only."""

__all__ = ["DEFAULT_TTL_S", "MAX_TTL_S", "AttemptLimit", "Credential", "Enrolment", "digest_of"]

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import JoinToken, device_name
from fleetnas_search_spaces.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
)

DEFAULT_TTL_S = 900.0
MAX_TTL_S = 30 * 86_400.0
_MAX_USES = 10_000
# For a day an expired token is refused as expired, afterwards as unknown.
_KEEP_EXPIRED_S = 86_400.0
_MAX_PEERS = 10_000


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
        self._store.purge_join_tokens(self._clock() - _KEEP_EXPIRED_S)
        self._store.put_join_token(digest_of(token.secret), token)
        return token

    def check_token(self, secret: str, *, used: bool = False) -> JoinToken:
        """The token, with a use left unless ``used`` says that the caller had one before.

        Raises:
            PermissionDeniedError: Unknown, expired or used up; the message does not tell an unknown token from
                a used one, so that guessing teaches nothing.
        """
        token = self._store.join_token(digest_of(secret)) if secret else None
        if token is None or (token.use_count < 1 and not used):
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


class AttemptLimit:
    """Bounds how often a peer may be refused, so that nobody can try out secrets.

    Only refusals count: a rack of devices enrols from one address as fast as it likes.

    Args:
        clock: Seconds.
        count: Refusals within ``span_s`` seconds that a peer has; further attempts then have to wait.
    """

    def __init__(self, clock: Callable[[], float], count: int = 10, span_s: float = 60.0) -> None:
        self._clock = clock
        self._count = count
        self._span_s = span_s
        self._refused: dict[str, list[float]] = {}

    def check(self, peer: str) -> None:
        """Raises ResourceExhaustedError when ``peer`` has to wait."""
        recent = [one for one in self._refused.get(peer, ()) if one > self._clock() - self._span_s]
        if len(recent) >= self._count:
            wait_s = recent[-self._count] + self._span_s - self._clock()
            raise ResourceExhaustedError(
                f"{peer} was refused {len(recent)} times within {self._span_s:g} s. Try again in {wait_s:.0f} s."
            )

    def refused(self, peer: str) -> None:
        """Notes a refusal; the peer that was refused longest ago is forgotten when there are very many."""
        recent = self._refused.pop(peer, [])[-self._count + 1 :]
        self._refused[peer] = [*recent, self._clock()]
        if len(self._refused) > _MAX_PEERS:
            del self._refused[next(iter(self._refused))]


def digest_of(secret: str) -> str:
    """What is stored instead of ``secret``. A plain hash is enough: secrets are random, not chosen by people."""
    return hashlib.sha256(secret.encode()).hexdigest()
