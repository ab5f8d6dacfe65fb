"""A cable between a link's two ends that a test can pull, block or narrow: a TCP proxy."""

import socket
import threading
import time
from contextlib import suppress

_CHUNK_BYTES = 16 * 1024
_POLL_S = 0.02


class Cable:
    """Listens on a loopback port and passes on to ``port``.

    Attributes:
        bytes_per_s: The most it carries; 0: all there is.
        blocked: Whether bytes get lost on the way while both ends still believe in the link.
    """

    def __init__(self, port: int) -> None:
        self.to_port = port
        self.bytes_per_s = 0.0
        self.blocked = False
        self._plugged = True
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        """Both ends see the link end, and nobody gets a new one."""
        self._plugged = False
        for one in self._sockets:
            _end(one)
        self._sockets = []

    def plug(self) -> None:
        self._plugged = True
        self.blocked = False

    def close(self) -> None:
        self.pull()
        _end(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._plugged:
                    _end(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.to_port))
                except OSError:
                    _end(near)
                    continue
                for one in (near, far):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(_CHUNK_BYTES):
                while self.blocked:
                    time.sleep(_POLL_S)
                if self.bytes_per_s:
                    time.sleep(len(part) / self.bytes_per_s)
                target.sendall(part)
        _end(source)
        _end(target)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
