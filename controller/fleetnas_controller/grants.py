"""Certificates that hold: who bears them, what they allow, and how one is given and taken back."""

__all__ = ["AGENT_LIFETIME_S", "DEFAULT_GRANT_S", "GrantBook"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetnas_controller.enrolment import Credential
from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import Grant, Role, grant_name
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    near_names,
)

if TYPE_CHECKING:
    from fleetnas_controller.authority import Authority

DEFAULT_GRANT_S = 90 * 86_400.0
AGENT_LIFETIME_S = 90 * 86_400.0
_MAX_GRANT_S = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class GrantBook:
    """Signs and revokes. A certificate that is not in the store holds no longer, whoever signed it.

    Args:
        authority: None on a fleet without encryption, where nothing can be signed.
        clock: Seconds since 1970.
    """

    store: FleetStore
    authority: "Authority | None"
    clock: Callable[[], float]
    agent_lifetime_s: float = AGENT_LIFETIME_S

    def role(self, certificate_sha256: str) -> Role | None:
        """Of a person or a program."""
        grant = self._valid(certificate_sha256)
        return grant.role if grant is not None and grant.role is not Role.AGENT else None

    def device(self, certificate_sha256: str) -> str:
        """The device that renewed its certificate into this one; empty for others."""
        grant = self._valid(certificate_sha256)
        return grant.name if grant is not None and grant.role is Role.AGENT else ""

    def people(self) -> tuple[Grant, ...]:
        """Grants that have not ended, by name."""
        now = self.clock()
        return tuple(
            one for one in self.store.grants() if one.role is not Role.AGENT and one.expire_time > now
        )

    def give(self, grant_id: str, role: Role, ttl_s: float, request_pem: bytes) -> tuple[Grant, bytes]:
        """Signs a key; an earlier grant of that name ends.

        Raises:
            InvalidArgumentError: A bad name, role, time or request.
            FailedPreconditionError: The fleet does not encrypt.
        """
        name = grant_name(grant_id)
        if role is Role.AGENT:
            raise InvalidArgumentError("agents enrol with a join token: fleetnas device token")
        if not 0.0 <= ttl_s <= _MAX_GRANT_S:
            raise InvalidArgumentError(f"`ttl` (={ttl_s:g} s) must lie between 0 and {_MAX_GRANT_S:g} s.")
        issued = self._authority().sign(request_pem, name, ttl_s or DEFAULT_GRANT_S)
        grant = Grant(name, role, self.clock(), issued.expire_time)
        with self.store.transaction():
            self.store.remove_grants(name)
            self.store.put_grant(issued.sha256, grant)
        return grant, issued.certificate_pem

    def take(self, grant_id: str) -> None:
        """Ends a grant at once.

        Raises:
            NotFoundError: There is none of that name.
        """
        name = grant_name(grant_id)
        bare, known = (
            name.removeprefix("grants/"),
            [one.name.removeprefix("grants/") for one in self.people()],
        )
        if bare not in known:
            raise NotFoundError(f"no grant '{bare}'; {near_names(bare, known)}. See: fleetnas access list")
        self.store.remove_grants(name)

    def for_agent(self, request_pem: bytes) -> Callable[[str], Credential]:
        """Makes the first certificate of a device that enrols.

        Raises:
            InvalidArgumentError: When called, on a bad request.
        """

        def issue(device: str) -> Credential:
            issued = self._authority().sign(request_pem, device, self.agent_lifetime_s)
            return Credential(issued.certificate_pem.decode("ascii"), issued.sha256)

        return issue

    def renew(self, device: str, request_pem: bytes) -> bytes:
        """One more certificate of a device; the others hold until they expire. Errors as ``give``."""
        issued = self._authority().sign(request_pem, device, self.agent_lifetime_s)
        self.store.put_grant(issued.sha256, Grant(device, Role.AGENT, self.clock(), issued.expire_time))
        return issued.certificate_pem

    def _valid(self, certificate_sha256: str) -> Grant | None:
        grant = self.store.grant(certificate_sha256)
        return grant if grant is not None and grant.expire_time > self.clock() else None

    def _authority(self) -> "Authority":
        if self.authority is None:
            raise FailedPreconditionError(
                "this fleet encrypts nothing, so it has no certificates: start it with 'fleetnas serve --tls on'."
            )
        return self.authority
