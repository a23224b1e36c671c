"""A line to a port of this machine that takes its time: everything arrives so many milliseconds later, both ways.

    distant.py PORT MILLISECONDS      # prints its own port, forwards until stdin ends, then prints what it counted

The handshake of TCP takes its round trip, too: whoever connects hears nothing of the other end before.
Loopback only. It neither limits the rate nor loses anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
PIECE = 64 * 1024


@dataclass
class Line:
    """What listens, and what it has seen in the end.

    A turn is a piece from the near end after one from the far end: in a dialogue, one a round trip.
    """

    port: int
    connections: int = 0
    turns: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def close(self) -> None:
        """End it; from then on `connections` and `turns` are known."""
        assert self._process is not None
        said, _ = self._process.communicate("")
        self.connections, self.turns = map(int, said.split())


@contextlib.contextmanager
def line(port: int, seconds: float) -> Iterator[Line]:
    """A line to `port`, in a process of its own, `seconds` long each way."""
    argv = [sys.executable, __file__, str(port), str(seconds * 1000)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        made = Line(int(process.stdout.readline()), _process=process)
        try:
            yield made
        finally:
            if process.poll() is None:
                made.close()


# ---------------------------------------------------------------- the process


class _Server:
    def __init__(self, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self.connections = 0
        self.turns = 0
        self._answered = True  # the far end, since the near one said something

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, to its end."""
        self.connections += 1
        await asyncio.sleep(3 * self._seconds)  # the handshake, and the way of its last part
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target)
        with contextlib.suppress(asyncio.CancelledError):  # this process ends
            await asyncio.gather(self._forward(reader, far_writer, near=True), self._forward(far_reader, writer))
        writer.close()
        far_writer.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, near: bool = False) -> None:
        """Pass on what comes, each piece when its time has come, and then the end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        reading = asyncio.create_task(self._read(source, under_way, self._hear if near else lambda: None))
        with contextlib.suppress(ConnectionError):
            while True:
                due, piece = await under_way.get()
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                if not piece:
                    sink.write_eof()
                    break
                self._answered = self._answered or not near
                sink.write(piece)
                await sink.drain()
        await reading

    def _hear(self) -> None:
        """The near end says something."""
        self.turns += self._answered
        self._answered = False

    async def _read(
        self, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]], hear: Callable[[], None]
    ) -> None:
        piece = b"."
        while piece:
            try:
                piece = await source.read(PIECE)
            except ConnectionError:
                piece = b""
            if piece:
                hear()
            await under_way.put((asyncio.get_running_loop().time() + self._seconds, piece))


async def _main(target: int, seconds: float) -> None:
    server = _Server(target, seconds)
    listening = await asyncio.start_server(server.serve, LOOPBACK, 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(server.connections, server.turns, flush=True)
    listening.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
