"""Two servers of one file, fifty clients, and memory that stays flat."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dcgan_viz.annotations.boxes import load_annotations

CLIENTS = 50
# With a quarter as much to warm up, a minute.
SECONDS = float(os.environ.get("DCGAN_VIZ_LOAD_SECONDS", "48"))


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Client:
    """A tab on one sample: it reads, looks at pictures, and draws box after box."""

    def __init__(self, port: int, sample: int, replies: Counter[int]) -> None:
        self.port, self.sample, self.replies = port, sample, replies
        self.random = Random(sample)
        self.accepted: Any = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """One request on a connection that is kept; the reply's status and content."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        said = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(h.split(":")[1]) for h in said.split("\r\n") if h.lower().startswith("content-length"))
        content = await self.reader.readexactly(length)
        status = int(said.split(" ")[1])
        self.replies[status] += 1
        return status, content

    async def work(self, until: float) -> None:
        """Until a moment."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        state = json.loads((await self.ask("GET", "/state"))[1])
        version = state["parts"][self.sample]["version"]
        while time.monotonic() < until:
            for _ in range(3):
                await self.ask("GET", f"/sample/{self.random.randrange(CLIENTS)}.png")
            boxes = [[self.random.randrange(8), self.random.randrange(8), 4, 4] for _ in range(3)]
            change = {"document": state["document"], "version": version, "content": boxes}
            status, content = await self.ask("PUT", f"/boxes/{self.sample}", json.dumps(change).encode())
            assert status == 200, content
            version, self.accepted = json.loads(content)["version"], boxes
            # Whoever comes late is refused, however busy it is.
            if self.random.random() < 0.1:
                late = {**change, "content": [[0, 0, 1, 1]]}
                assert (await self.ask("PUT", f"/boxes/{self.sample}", json.dumps(late).encode()))[0] == 409
        self.writer.close()


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_fifty_clients_of_two_servers_lose_nothing_and_memory_is_flat(
    serving, tiny_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "boxes.json"
    line = f"annotate --object window --model {tiny_folder} --count {CLIENTS} --out {path}".split()
    replies: Counter[int] = Counter()
    with serving(*line) as first, serving(*line) as second:
        servers = (first, second)
        clients = [Client(servers[k % 2].port, k, replies) for k in range(CLIENTS)]

        async def all_of_them(seconds: float) -> None:
            await asyncio.gather(*(client.work(time.monotonic() + seconds) for client in clients))

        asyncio.run(all_of_them(SECONDS / 4))
        before = [resident(served.process.pid) for served in servers]
        asyncio.run(all_of_them(SECONDS))
        after = [resident(served.process.pid) for served in servers]
    print(f"{dict(replies)} replies; MiB before {[b >> 20 for b in before]}, after {[a >> 20 for a in after]}")  # noqa: T201
    assert all(a - b < 8 * 2**20 for a, b in zip(after, before, strict=True))
    assert {*replies} == {200, 409}
    held: dict[int, list[list[float]]] = {}
    for box in load_annotations(path).boxes:
        held.setdefault(box.image, []).append([box.left, box.top, box.width, box.height])
    assert held == {client.sample: client.accepted for client in clients}
