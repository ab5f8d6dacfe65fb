"""A TCP proxy that can stop forwarding while every connection stays open."""

import selectors
import socket
import threading
from typing import Any


class Proxy:
    """Forwards from a loopback port of its own to ``address``; ``frozen`` holds every byte back."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.frozen = False
        self._stopped = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(10.0)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(0.02):
                if self.frozen:
                    threading.Event().wait(0.02)
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._forward(key.fileobj, key.data)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._target)
        self._selector.register(near, selectors.EVENT_READ, far)
        self._selector.register(far, selectors.EVENT_READ, near)

    def _forward(self, source: Any, sink: Any) -> None:
        try:
            content = source.recv(1 << 16)
            if content:
                sink.sendall(content)
                return
        except OSError:
            pass  # as good as closed
        for one in (source, sink):
            if one.fileno() >= 0:
                self._selector.unregister(one)
                one.close()
