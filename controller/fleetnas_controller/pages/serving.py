"""The gateway of a controller, put together. Imported only where pages are served: aiohttp is an extra."""

__all__ = ["PageServer"]

from collections.abc import Callable
from pathlib import Path

from fleetnas_controller.agent_sessions import AgentSessions
from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.enrolment import AttemptLimit, Enrolment
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.pages.gateway import PageGateway
from fleetnas_controller.pages.judging import PageJudge, ReferenceDigests
from fleetnas_controller.pages.settings import PageSettings, page_host
from fleetnas_controller.pages.site import find_site
from fleetnas_controller.servicers.calls import StreamLimit
from fleetnas_search_spaces.errors import FailedPreconditionError


class PageServer:
    """Args:
        clock: Seconds since 1970.

    Raises:
        FailedPreconditionError: The page is not built, it would go out in plain text, or a package is missing.
    """

    def __init__(
        self,
        settings: PageSettings,
        data_dir: Path,
        fleet: Fleet,
        enrolment: Enrolment,
        artifacts: ArtifactFolder,
        sessions: AgentSessions,
        clock: Callable[[], float],
    ) -> None:
        site = find_site()
        self._certificate = None
        if settings.encrypted:
            try:
                from fleetnas_controller.pages.certificate import PageCertificate
            except ImportError as error:
                raise FailedPreconditionError(
                    "encrypted pages need the package 'cryptography': pip install 'fleetnas[tls]'."
                ) from error
            self._certificate = PageCertificate(data_dir, page_host(settings.address), clock)
        certificate = self._certificate
        self.gateway = PageGateway(
            settings,
            site,
            fleet,
            enrolment,
            artifacts,
            sessions,
            PageJudge(fleet, ReferenceDigests(artifacts)),
            AttemptLimit(clock),
            StreamLimit(),
            certificate.context if certificate else None,
            certificate.authority_pem if certificate else b"",
        )

    def tick(self) -> None:
        """Keeps the certificate fresh."""
        if self._certificate is not None:
            self._certificate.refresh()
