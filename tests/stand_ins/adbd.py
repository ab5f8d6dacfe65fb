"""An adb daemon double: the real adb connects to it over TCP as to a phone.

    python tests/stand_ins/adbd.py ROOT PORT_FILE [--auth]

Speaks CNXN, AUTH, OPEN, OKAY, WRTE and CLSE; the services exec:, shell: (v1) and sync: (STAT, SEND). Commands run on
this machine in ROOT with ROOT/bin first in the PATH, where tests put a getprop and a dumpsys: a double, no isolation.
Files under ROOT/control change it while it runs: `allow` accepts the host's key, `slow` holds the bytes a second that
the link carries, `refuse` holds the words with which each file sent is refused.
"""

import argparse
import asyncio
import os
import signal
import stat
import struct
from contextlib import suppress
from pathlib import Path

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (int.from_bytes(name, "little") for name in (
    b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE"))  # fmt: skip
VERSION, MAX_BYTES = 0x01000001, 256 * 1024
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3
BANNER = b"device::ro.product.name=double;ro.product.model=Double;ro.product.device=double;features=cmd"


class Link:
    """One host's connection."""

    def __init__(self, root: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.root = root
        self.reader = reader
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.last_id = 0

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        head = struct.pack(
            "<6I", command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF
        )
        self.writer.write(head + data)

    async def serve(self, auth: bool) -> None:
        try:
            while True:
                command, first, second, size, _, _ = struct.unpack("<6I", await self.reader.readexactly(24))
                data = await self.reader.readexactly(size)
                await self.pace(size)
                await self.handle(command, first, second, data, auth)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for one in self.streams.values():
                one.close()
            for task in self.tasks:
                task.cancel()
            self.writer.close()

    async def pace(self, size: int) -> None:
        slow = self.root / "control" / "slow"
        if size and slow.exists():
            await asyncio.sleep(size / float(slow.read_text()))

    async def handle(self, command: int, first: int, second: int, data: bytes, auth: bool) -> None:
        if command == CNXN and auth:
            self.send(AUTH, TOKEN, 0, os.urandom(20))
        elif command == CNXN:
            self.send(CNXN, VERSION, MAX_BYTES, BANNER)
        elif command == AUTH and first == SIGNATURE:
            self.send(AUTH, TOKEN, 0, os.urandom(20))
        elif command == AUTH and first == PUBLIC_KEY:
            while not (self.root / "control" / "allow").exists():
                await asyncio.sleep(0.05)
            self.send(CNXN, VERSION, MAX_BYTES, BANNER)
        elif command == OPEN:
            self.open(first, data.rstrip(b"\0").decode())
        elif second in self.streams:
            self.streams[second].take(command, data)

    def open(self, remote_id: int, service: str) -> None:
        self.last_id += 1
        kind, _, rest = service.partition(":")
        if kind not in ("exec", "shell", "sync"):
            self.send(CLSE, 0, remote_id)
            return
        stream = self.streams[self.last_id] = Stream(self, self.last_id, remote_id)
        self.send(OKAY, self.last_id, remote_id)
        work = stream.sync() if kind == "sync" else stream.command(rest)
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Stream:
    """One service: bytes from the host in a queue, bytes to the host one message at a time."""

    def __init__(self, link: Link, local_id: int, remote_id: int) -> None:
        self.link = link
        self.local_id, self.remote_id = local_id, remote_id
        self.input: asyncio.Queue[bytes] = asyncio.Queue()
        self.ready = asyncio.Event()
        self.buffer = b""

    @property
    def is_open(self) -> bool:
        return self.local_id in self.link.streams

    def take(self, command: int, data: bytes) -> None:
        if command == OKAY:
            self.ready.set()
        elif command == WRTE:
            self.input.put_nowait(data)
            self.link.send(OKAY, self.local_id, self.remote_id)
        elif command == CLSE:
            self.close()

    def close(self) -> None:
        self.link.streams = {key: one for key, one in self.link.streams.items() if one is not self}
        self.input.put_nowait(b"")
        self.ready.set()

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_BYTES):
            if not self.is_open:
                return
            self.ready.clear()
            self.link.send(WRTE, self.local_id, self.remote_id, data[start : start + MAX_BYTES])
            await self.ready.wait()

    def end(self) -> None:
        if self.is_open:
            self.link.send(CLSE, self.local_id, self.remote_id)
            self.close()

    async def command(self, text: str) -> None:
        root = self.link.root
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", text,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=root, env=os.environ | {"PATH": f"{root / 'bin'}:{os.environ['PATH']}"},
        )  # fmt: skip
        feeding = asyncio.create_task(self.feed(process))
        try:
            assert process.stdout is not None
            while self.is_open and (part := await process.stdout.read(MAX_BYTES)):
                await self.link.pace(len(part))
                await self.write(part)
            self.end()
        finally:
            feeding.cancel()
            # As a real daemon does: who writes on gets a broken pipe.
            process._transport.get_pipe_transport(1).close()

    async def feed(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with suppress(ConnectionError):
            while part := await self.input.get():
                process.stdin.write(part)
                await process.stdin.drain()
        process.stdin.close()

    async def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            part = await self.input.get()
            if not part:
                raise EOFError
            self.buffer += part
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    async def sync(self) -> None:
        with suppress(EOFError):
            while True:
                kind, size = struct.unpack("<4sI", await self.exactly(8))
                path = (await self.exactly(size)).decode()
                if kind == b"STAT":
                    await self.write(self.status(path))
                elif kind == b"SEND":
                    await self.receive(path)
                else:
                    break
        self.end()

    def status(self, path: str) -> bytes:
        try:
            found = Path(path).stat()
        except OSError:
            return b"STAT" + bytes(12)  # never a FAIL: adb takes that for a broken protocol
        return b"STAT" + struct.pack("<III", found.st_mode, found.st_size, int(found.st_mtime))

    async def receive(self, target: str) -> None:
        path, _, mode = target.rpartition(",")
        words = ""
        refuse = self.link.root / "control" / "refuse"
        try:
            file = Path(path).open("wb")  # noqa: SIM115 - closed below, whatever the host sends in between
        except OSError as error:
            file, words = Path(os.devnull).open("wb"), f"couldn't create file: {error.strerror}"  # noqa: SIM115
        with file:
            while (head := await self.exactly(8))[:4] == b"DATA":
                data = await self.exactly(struct.unpack("<I", head[4:])[0])
                words = words or (refuse.read_text() if refuse.exists() else "")
                try:
                    file.write(data)
                    file.flush()
                except OSError as error:
                    words = f"couldn't write: {error.strerror}"
        if words:
            await self.write(b"FAIL" + struct.pack("<I", len(words)) + words.encode())
        else:
            Path(path).chmod(stat.S_IMODE(int(mode)))
            await self.write(b"OKAY" + bytes(4))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("port_file", type=Path)
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    links: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(Link(args.root, reader, writer).serve(args.auth))
        links.add(task)
        await task

    server = await asyncio.start_server(accept, "127.0.0.1", args.port)
    partial = args.port_file.with_suffix(".part")
    partial.write_text(str(server.sockets[0].getsockname()[1]))
    partial.rename(args.port_file)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main())
