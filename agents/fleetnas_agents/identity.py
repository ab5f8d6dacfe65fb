"""What an agent shows an encrypted fleet, before and after it joined."""

__all__ = ["enrolling_credentials", "needs_renewal", "new_key_and_request", "session_credentials"]

import grpc

from fleetnas_protos import identity as shared
from fleetnas_protos.identity import Identity
from fleetnas_search_spaces.errors import FailedPreconditionError

_RENEW_SHARE = 1 / 3
"""A certificate is renewed when this part of its life is left."""


def new_key_and_request() -> tuple[bytes, bytes]:
    """See ``fleetnas_protos.identity``; FailedPreconditionError when the package for it is missing."""
    try:
        return shared.new_key_and_request()
    except ImportError as error:
        raise FailedPreconditionError(
            "joining an encrypted fleet needs the package 'cryptography': pip install 'fleetnas[tls]'."
        ) from error


def needs_renewal(identity: Identity, now_s: float) -> bool:
    begin_s, end_s = identity.lifetime()
    return end_s - now_s < _RENEW_SHARE * (end_s - begin_s)


def enrolling_credentials(authority_pem: str) -> grpc.ChannelCredentials:
    """Trusts the authority that the join token names, and shows nothing."""
    return grpc.ssl_channel_credentials(authority_pem.encode("ascii"))


def session_credentials(identity: Identity, now_s: float) -> grpc.ChannelCredentials:
    """Raises FailedPreconditionError when the certificate has expired: the controller would only hang up."""
    late_s = now_s - identity.lifetime()[1]
    if late_s >= 0.0:
        raise FailedPreconditionError(
            f"this agent's certificate expired {late_s / 86_400.0:.1f} days ago: give it a new join token."
        )
    return grpc.ssl_channel_credentials(identity.authority_pem, identity.key_pem, identity.certificate_pem)
