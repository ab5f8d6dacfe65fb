"""An encrypted fleet: a controller and agents as processes, certificates, roles, revocation."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from fleetnas_controller.authority import Authority
from fleetnas_controller.cli import main
from fleetnas_controller.client import FleetClient
from fleetnas_controller.credentials import Credentials, find_credentials, read_identity
from fleetnas_controller.jobs import DeviceState, Role
from fleetnas_controller.private_files import write_private
from fleetnas_protos.identity import Identity, new_key_and_request
from fleetnas_protos.join import CONTROLLER_NAME, JoinText, parse_join_text
from fleetnas_protos.speech import Speech, heard_at
from fleetnas_protos.v1 import device_pb2, device_pb2_grpc, fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

WAIT_S = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Waits for something to become true, for a bounded time."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Encrypted:
    """``fleetnas serve --tls on`` as a user starts it."""

    def __init__(self, processes: Any, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port, self.enroll_port = _free_port(), _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._processes = processes
        self.start()

    def start(self) -> None:
        self.process = self._processes.start(
            ["fleetnas_controller.cli", "serve", "--listen", self.address, "--tls", "on",
             "--enroll-port", str(self.enroll_port), "--data-dir", str(self.data_dir)]
        )  # fmt: skip
        until((self.data_dir / "operator.pem").exists)
        until(self._answers)

    def client(self, identity: Identity | None = None) -> FleetClient:
        if identity is None:
            return FleetClient(self.address, find_credentials(self.data_dir))
        return FleetClient(self.address, Credentials(identity=identity))

    def online(self, device: str) -> bool:
        with self.client() as client:
            try:
                return client.get_device(device).state is DeviceState.ONLINE
            except NotFoundError:
                return False

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.list_devices()
        except UnavailableError:
            return False
        return True


@pytest.fixture
def encrypted(processes: Any, tmp_path: Path) -> Encrypted:
    return Encrypted(processes, tmp_path / "encrypted")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _granted(encrypted: Encrypted, name: str, role: Role) -> Identity:
    key, request = new_key_and_request()
    with encrypted.client() as client:
        _, certificate = client.create_grant(name, role, request)
    return Identity(key, certificate, read_identity(encrypted.data_dir / "operator.pem").authority_pem)


def _token(encrypted: Encrypted, device: str = "a") -> str:
    with encrypted.client() as client:
        return client.create_join_token(device_id=device).secret


def test_agent_joins_works_and_comes_back_without_its_token(
    encrypted: Encrypted, processes: Any, tmp_path: Path
) -> None:
    agent = processes.agent(encrypted.address, _token(encrypted))
    until(lambda: encrypted.online("a"))
    identity = tmp_path / "agent" / "identity.pem"
    assert identity.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "agent" / "credential").exists()
    agent.kill()
    agent.wait()
    until(lambda: not encrypted.online("a"))
    processes.agent(encrypted.address, "")
    until(lambda: encrypted.online("a"))


def test_controller_that_comes_back_is_the_one_that_clients_know(
    encrypted: Encrypted, processes: Any
) -> None:
    processes.agent(encrypted.address, _token(encrypted))
    until(lambda: encrypted.online("a"))
    with encrypted.client() as before:
        encrypted.process.kill()
        encrypted.process.wait()
        encrypted.start()
        until(lambda: encrypted.online("a"))
        assert [one.device_id for one in before.list_devices()] == ["a"]


def test_removed_device_is_told_so_and_its_certificate_ends(encrypted: Encrypted, processes: Any) -> None:
    agent = processes.agent(encrypted.address, _token(encrypted))
    until(lambda: encrypted.online("a"))
    with encrypted.client() as client:
        client.remove_device("a")
    # Its token is used up, so it has nothing to come back with.
    assert agent.wait(WAIT_S) == 1
    assert "refuses this agent" in (agent.stderr.read() if agent.stderr else "").splitlines()[-1]


def test_viewer_may_look_and_change_nothing(encrypted: Encrypted) -> None:
    with encrypted.client(_granted(encrypted, "alice", Role.VIEWER)) as client:
        assert client.list_devices() == ()
        with pytest.raises(PermissionDeniedError, match="viewer"):
            client.create_join_token()
        with pytest.raises(PermissionDeniedError, match="viewer"):
            client.list_grants()


def test_revoked_certificate_ends_at_once(encrypted: Encrypted) -> None:
    identity = _granted(encrypted, "bob", Role.OPERATOR)
    with encrypted.client(identity) as client:
        assert [one.name for one in client.list_grants()] == ["grants/bob", "grants/local"]
        with encrypted.client() as local:
            local.delete_grant("bob")
        with pytest.raises(PermissionDeniedError, match="certificate"):
            client.list_devices()


def test_certificate_of_an_agent_opens_nothing_else(
    encrypted: Encrypted, processes: Any, tmp_path: Path
) -> None:
    processes.agent(encrypted.address, _token(encrypted))
    until(lambda: encrypted.online("a"))
    identity = read_identity(tmp_path / "agent" / "identity.pem")
    with encrypted.client(identity) as client:
        with pytest.raises(PermissionDeniedError):
            client.list_devices()
        with pytest.raises(PermissionDeniedError):
            client.create_join_token()


@pytest.mark.parametrize("kind", ["foreign", "expired", "plain"])
def test_stranger_is_refused_in_the_handshake(encrypted: Encrypted, tmp_path: Path, kind: str) -> None:
    authority_pem = read_identity(encrypted.data_dir / "operator.pem").authority_pem
    if kind == "plain":
        credentials = Credentials(token=(encrypted.data_dir / "operator.token").read_text().strip())
    else:
        (tmp_path / "other").mkdir()
        folder = tmp_path / "other" if kind == "foreign" else encrypted.data_dir
        long_ago = time.time() - 10 * 86_400.0
        signer = Authority(folder, time.time if kind == "foreign" else lambda: long_ago)
        key, request = new_key_and_request()
        issued = signer.sign(request, "grants/local", 86_400.0)
        credentials = Credentials(identity=Identity(key, issued.certificate_pem, authority_pem))
    error: tuple[type[FleetNASError], str] = (UnavailableError, "does the certificate still hold")
    if kind == "plain":
        error = (
            FailedPreconditionError,
            "encrypts, and an operator's token goes to one that does not: give its",
        )
    with FleetClient(encrypted.address, credentials) as client, pytest.raises(error[0], match=error[1]):
        client.list_devices()


def test_credentials_of_another_fleet_are_told_so(encrypted: Encrypted, served: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", time.time)
    key, request = new_key_and_request()
    identity = Identity(
        key, other.sign(request, "grants/me", 86_400.0).certificate_pem, other.certificate_pem
    )
    with encrypted.client(identity) as client, pytest.raises(PermissionDeniedError, match="another fleet"):
        client.list_devices()
    with (
        FleetClient(served.address, Credentials(identity=identity)) as client,
        pytest.raises(FailedPreconditionError, match=r"does not encrypt.*start it with --tls on"),
    ):
        client.list_devices()


def test_enrolment_port_answers_nothing_but_enrolment(encrypted: Encrypted) -> None:
    authority_pem = read_identity(encrypted.data_dir / "operator.pem").authority_pem
    token = (encrypted.data_dir / "operator.token").read_text().strip()
    with grpc.secure_channel(
        f"127.0.0.1:{encrypted.enroll_port}",
        grpc.ssl_channel_credentials(authority_pem),
        options=[("grpc.ssl_target_name_override", CONTROLLER_NAME)],
    ) as channel:
        devices = device_pb2_grpc.DeviceServiceStub(channel)
        metadata = [("authorization", f"Bearer {token}")]
        with pytest.raises(grpc.RpcError) as refused:
            devices.ListDevices(device_pb2.ListDevicesRequest(), metadata=metadata, timeout=WAIT_S)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        fleet = fleet_pb2_grpc.FleetServiceStub(channel)
        secret = parse_join_text(_token(encrypted)).secret
        with pytest.raises(grpc.RpcError) as refused:
            fleet.Enroll(
                fleet_pb2.EnrollRequest(join_token=secret, certificate_request_pem=b"no request"),
                timeout=WAIT_S,
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_token_of_another_fleet_does_not_reach_this_one(
    encrypted: Encrypted, processes: Any, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", time.time).certificate_pem.decode()
    mine = parse_join_text(_token(encrypted))
    agent = processes.agent(encrypted.address, str(JoinText(mine.secret, mine.port, other)))
    _, said = agent.communicate(timeout=WAIT_S)
    assert agent.returncode == 1
    assert (
        f"fleetnas-agent: 127.0.0.1:{mine.port} belongs to another fleet than the join token: check" in said
    )
    assert mine.secret not in said


def test_agent_and_port_of_which_one_encrypts_are_told_apart(
    encrypted: Encrypted, served: Any, processes: Any
) -> None:
    """grpc says of all of them that nobody answers; an agent would ask for ever."""
    ours, theirs = served.client.create_join_token().secret, parse_join_text(_token(encrypted))
    port = int(served.address.rpartition(":")[2])
    for address, token, words in (
        (encrypted.address, ours, "is encrypted, and the join token is of a fleet that is not"),
        (
            served.address,
            str(replace(theirs, port=port)),
            "does not encrypt, and the join token is of a fleet that",
        ),
    ):
        agent = processes.agent(address, token)
        _, said = agent.communicate(timeout=WAIT_S)
        assert agent.returncode == 1
        assert f"fleetnas-agent: {address} {words}" in said
    # Neither token was used up.
    processes.agent(served.address, ours)
    until(lambda: len(served.client.list_devices()) == 1)


def test_agent_of_a_fleet_that_encrypts_from_now_on_says_so_and_waits(processes: Any, tmp_path: Path) -> None:
    where, fleet = f"127.0.0.1:{_free_port()}", tmp_path / "fleet"
    start = ["fleetnas_controller.cli", "serve", "--listen", where, "--data-dir", str(fleet), "--tls"]
    plain = processes.start([*start, "off"])
    until((fleet / "operator.token").exists)
    with FleetClient(where, (fleet / "operator.token").read_text().strip(), patience_s=WAIT_S) as client:
        until(lambda: _listens(where))
        agent = processes.agent(where, client.create_join_token(device_id="a").secret)
        until(lambda: client.get_device("a").state is DeviceState.ONLINE if client.list_devices() else False)
    plain.kill()
    plain.wait()
    processes.start([*start, "on"])
    log = _lines(agent.stderr)
    assert any(
        f"{where} is encrypted, and this agent's credential is of a fleet that is not" in one for one in log
    )
    assert agent.poll() is None


def _listens(address: str) -> bool:
    return heard_at(address) is not Speech.UNKNOWN


def _lines(stream: Any) -> Iterator[str]:
    """Of a process that goes on; the caller stops at the one it waits for."""
    return iter(stream.readline, "")


def test_agent_renews_its_certificate_before_it_expires(
    encrypted: Encrypted, processes: Any, tmp_path: Path
) -> None:
    agent = processes.agent(encrypted.address, _token(encrypted))
    until(lambda: encrypted.online("a"))
    agent.kill()
    agent.wait()
    path = tmp_path / "agent" / "identity.pem"
    old = read_identity(path)
    _age(encrypted, path)
    aged = read_identity(path)
    processes.agent(encrypted.address, "")
    until(lambda: read_identity(path).certificate_pem not in (old.certificate_pem, aged.certificate_pem))
    begin_s, end_s = read_identity(path).lifetime()
    assert end_s - begin_s > 80 * 86_400.0


def _age(encrypted: Encrypted, path: Path) -> None:
    """Puts a certificate there of which most of the life is over, as the controller would have signed it."""
    from fleetnas_controller.fleet_store import open_fleet_store
    from fleetnas_controller.jobs import Grant

    key, request = new_key_and_request()
    then = time.time() - 80 * 86_400.0
    issued = Authority(encrypted.data_dir, lambda: then).sign(request, "devices/a", 90 * 86_400.0)
    store = open_fleet_store(encrypted.data_dir / "store.db")
    store.put_grant(issued.sha256, Grant("devices/a", Role.AGENT, then, issued.expire_time))
    store.close()
    write_private(path, Identity(key, issued.certificate_pem, read_identity(path).authority_pem).pem())


def test_access_commands_grant_list_and_revoke(
    encrypted: Encrypted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ["--controller", encrypted.address, "--data-dir", str(encrypted.data_dir), "--json"]
    out = tmp_path / "ci.pem"
    assert (
        main(["access", "grant", "ci", "--role", "operator", "--ttl", "2d", "--out", str(out), *there]) == 0
    )
    assert out.stat().st_mode & 0o077 == 0
    capsys.readouterr()
    monkeypatch.setenv("FLEETNAS_CREDENTIALS", str(out))
    assert main(["access", "list", *there]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["ci", "local"]
    monkeypatch.delenv("FLEETNAS_CREDENTIALS")
    assert main(["access", "grant", "ci", "--out", str(out / "no-folder" / "ci.pem"), *there]) == 1
    assert main(["access", "revoke", "ci", *there]) == 0  # what could not be written ended nothing
    assert main(["access", "revoke", "ci", *there]) == 1
    assert "no grant 'ci'" in capsys.readouterr().err
    assert main(["access", "grant", "ci", "--out", str(out), *there]) == 1
    assert "exists already" in capsys.readouterr().err


def test_secrets_are_not_in_the_process_list(encrypted: Encrypted, processes: Any) -> None:
    token = _token(encrypted)
    processes.agent(encrypted.address, token)
    until(lambda: encrypted.online("a"))
    listed = subprocess.run(["ps", "axww"], capture_output=True, check=True, text=True).stdout
    assert "fleetnas_agents.cli" in listed
    assert parse_join_text(token).secret not in listed


def test_plain_text_never_leaves_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--listen", "0.0.0.0:0", "--tls", "off", "--data-dir", str(tmp_path / "f")]) == 1
    assert "plain text" in capsys.readouterr().err
    with pytest.raises(FailedPreconditionError, match="plain text"):
        FleetClient("192.0.2.1:7070", "an operator's token")
    agent = subprocess.run(
        [sys.executable, "-m", "fleetnas_agents.cli", "--controller", "192.0.2.1:7070", "--driver", "replay",
         "--table", str(_table(tmp_path)), "--state-dir", str(tmp_path / "agent"), "--token", "secret"],
        capture_output=True, check=False, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert agent.returncode == 1
    assert "plain text" in agent.stderr.splitlines()[-1]


def _table(folder: Path) -> Path:
    path = folder / "table.csv"
    path.write_text("arch,latency_ms\n12,3.5\n")
    return path
