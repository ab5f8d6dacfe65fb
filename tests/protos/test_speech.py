"""What a port speaks, heard from real gRPC servers and from others."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from fleetnas_controller.authority import Authority
from fleetnas_protos.speech import Speech, heard_at

Serve = Callable[..., str]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "ours").mkdir()
    return Authority(tmp_path / "ours", time.time)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(authority: Authority | None = None, *, mutual: bool = False) -> str:
        server = grpc.server(ThreadPoolExecutor(1))
        servers.append(server)
        if authority is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            key, certificate = authority.for_controller(86_400.0)
            root = authority.certificate_pem if mutual else None
            credentials = grpc.ssl_server_credentials([(key, certificate)], root, mutual)
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        return f"127.0.0.1:{port}"

    yield start
    for one in servers:
        one.stop(None)


def test_plain_text_is_heard(serve: Serve) -> None:
    assert heard_at(serve()) is Speech.PLAIN


@pytest.mark.parametrize("mutual", [False, True], ids=["server", "mutual"])
def test_encryption_is_heard_with_and_without_an_authority(
    serve: Serve, authority: Authority, mutual: bool
) -> None:
    address = serve(authority, mutual=mutual)
    assert heard_at(address) is Speech.ENCRYPTED
    assert heard_at(address, authority.certificate_pem.decode()) is Speech.ENCRYPTED


def test_port_of_another_authority_is_foreign(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, time.time)
    assert heard_at(serve(authority), other.certificate_pem.decode()) is Speech.FOREIGN


def test_nobody_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert heard_at(address) is Speech.UNKNOWN


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-board\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=str)
def test_other_services_are_unknown(words: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                link, _ = listener.accept()
                link.sendall(words)
                link.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert heard_at(f"127.0.0.1:{listener.getsockname()[1]}") is Speech.UNKNOWN
        thread.join(10.0)
