"""Fifty clients that move sliders in the studio, and memory that stays flat."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

CLIENTS = 50
SECONDS = float(os.environ.get("DCGAN_VIZ_LOAD_SECONDS", "60"))
MOST_GROWTH = 40 * 2**20


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def move(port: int, client: int, until: float, replies: Counter[int]) -> None:
    """Ask for picture after picture on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.monotonic() < until:
        number += 1
        point = {"start": {"seed": client, "number": number % 100}, "along": [[number % 8, (number % 17) / 8]]}
        body = json.dumps({"points": [point] * (1 + number % 16)}).encode()
        head = f"POST /draw HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(h.split(":")[1]) for h in said.split("\r\n") if h.lower().startswith("content-length"))
        await reader.readexactly(length)
        replies[int(said.split(" ")[1])] += 1
    writer.close()


@pytest.mark.long
def test_fifty_clients_are_answered_and_memory_stays_flat(
    serving, interrupt, tiny_folder: Path, tmp_path: Path
) -> None:
    replies: Counter[int] = Counter()

    async def crowd(port: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(move(port, client, until, replies) for client in range(CLIENTS)))

    with serving("studio", "--model", tiny_folder, "--folder", tmp_path) as served:
        time.sleep(1)
        asyncio.run(crowd(served.port, SECONDS / 4))
        before = resident(served.process.pid)
        asyncio.run(crowd(served.port, SECONDS))
        assert resident(served.process.pid) - before < MOST_GROWTH
        interrupt(served)
    assert set(replies) == {200}
    assert replies[200] > CLIENTS
