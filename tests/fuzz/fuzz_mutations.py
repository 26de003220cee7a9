"""Valid files made wrong: their bytes, their JSON, their binary headers.

Every mutation takes its decisions from a `random.Random`, so that hypothesis can take them in its place and shrink what
it finds.
"""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

WHOLE = [0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**31) - 1, 10**9, 10**18, 10**400]
BROKEN = [0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")]
WORDS = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "true",
    "null",
    "../../etc/passwd",
    "/etc/passwd",
    "\x00",
    "\x1b[2J\x1b]0;x\x07",
    "\u202eabc",
    "\ud800",
    "é" * 50,
    "a" * 10_000,
    "<script>alert(1)</script>",
    "$\\frac{",
    "{}",
    "%s%n",
    "__class__",
    "\r\n",
    "𝟛",
    "NaN",
]
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def anything(random: Random) -> Any:
    """A value of any kind that JSON has."""
    kinds: list[Callable[[], Any]] = [
        lambda: random.choice(WHOLE),
        lambda: random.choice(BROKEN),
        lambda: random.choice(WORDS),
        lambda: random.choice([None, True, False]),
        lambda: random.choice([[], {}, [[]], [{}], {"a": 1}, [1, 2], ["a"], {"": {}}, [None]]),
        lambda: nest(random.choice([30, 150, 300, 3000]), random.random() < 0.5),
        lambda: [random.choice(WHOLE)] * random.choice([3, 5000]),
    ]
    return random.choice(kinds)()


def nest(depth: int, lists: bool) -> Any:
    data: Any = 1
    for _ in range(depth):
        data = [data] if lists else {"a": data}
    return data


def places(data: Any, limit: int = 400) -> list[tuple[Any, Any]]:
    """Every container in JSON with each of its keys."""
    found, todo = [], [data]
    while todo and len(found) < limit:
        container = todo.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        found += [(container, key) for key in keys]
        todo += [container[key] for key in keys if isinstance(container[key], dict | list)]
    return found


def mutate_json(data: bytes, random: Random) -> bytes:
    """Keys dropped, doubled, renamed and added, types swapped, numbers made huge, negative or not finite, deep nesting."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, random)
    if random.random() < 0.03:
        return _dumps(anything(random))
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        everywhere = places(tree)
        if not everywhere:
            break
        container, key = random.choice(everywhere)
        _mutate_entry(container, key, everywhere, random)
    text = _dumps(tree)
    if random.random() < 0.05:
        # A key that is there twice.
        text = re.sub(rb'("\w+"): ([^,{}\[\]]+)', rb"\1: \2, \1: \2", text, count=1)
    if random.random() < 0.03:
        text = random.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b" " * 100, b"//"]) + text
    return text


def _mutate_entry(container: Any, key: Any, everywhere: list[tuple[Any, Any]], random: Random) -> None:
    value = container[key]
    operation = random.randrange(8)
    if operation == 0:
        del container[key]
    elif operation == 1 and isinstance(container, dict):
        container[random.choice([*WORDS, *map(str, container)])] = container.pop(key)
    elif operation == 2 and isinstance(container, dict):
        container[random.choice(WORDS)] = anything(random)
    elif operation == 3 and isinstance(value, int | float) and not isinstance(value, bool):
        changes = [
            -value,
            value + 1,
            value - 1,
            value * 2,
            value * 10**6,
            value + 0.5 if abs(value) < 1e300 else 0.5,
            str(value),
            [value],
            bool(value),
        ]
        container[key] = random.choice(changes)
    elif operation == 4 and isinstance(value, str):
        container[key] = random.choice([value * 2, value[1:], value.upper(), value + "\x00", [value], {value: value}])
    elif operation == 5:
        # Two values change places: each is right somewhere.
        other, there = random.choice(everywhere)
        try:
            container[key] = copy.deepcopy(other[there])
        except (KeyError, IndexError, RecursionError):
            container[key] = None
    elif operation == 6 and isinstance(value, list):
        value += value[: random.choice([1, 2, 1000])]
    else:
        container[key] = anything(random)


def _dumps(tree: Any) -> bytes:
    try:
        return json.dumps(tree).encode()
    except (RecursionError, ValueError):
        # Too deep, or a number of more digits than Python writes.
        return b'{"a":' * 5000 + b"1" + b"}" * 5000


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Bytes flipped, cut, doubled, moved; the text of numbers changed."""
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5])):
        if not data:
            return bytes(data)
        operation, place = random.randrange(8), random.randrange(len(data))
        # Headers come first, and most of a file is not header.
        place = place if random.random() < 0.5 else place % 128 % len(data)
        length = random.choice([1, 2, 4, 8, 64, 1000])
        if operation == 0:
            data[place] ^= 1 << random.randrange(8)
        elif operation == 1:
            data[place] = random.randrange(256)
        elif operation == 2:
            del data[place:]
        elif operation == 3:
            del data[place : place + length]
        elif operation == 4:
            data[place:place] = data[place : place + length] * random.choice([1, 3])
        elif operation == 5:
            data[place : place + 4] = random.choice(
                [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", struct.pack(">I", 20_000)]
            )
        elif operation == 6:
            numbers = list(NUMBER.finditer(data[:20_000]))
            if numbers:
                found = random.choice(numbers)
                data[found.start() : found.end()] = str(random.choice([*WHOLE[:-1], *BROKEN])).encode()
        else:
            data[place : place + length] = random.choice(WORDS).encode("utf-8", "surrogatepass")[:20_000]
    return bytes(data)


def mutate_safetensors(data: bytes, random: Random) -> bytes:
    """The header changed as JSON, its length kept right."""
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    if random.random() < 0.2:
        tensors = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(3000)}
        header = json.dumps({**json.loads(header), **tensors}).encode()
    else:
        header = mutate_json(header, random)
    return len(header).to_bytes(8, "little") + header + rest


def mutate_checkpoint(data: bytes, random: Random) -> bytes:
    """The JSON inside the header of a safetensors file changed."""
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    for key, text in header.get("__metadata__", {}).items():
        header["__metadata__"][key] = mutate_json(text.encode(), random).decode("utf-8", "replace")
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(8, "little") + packed + rest


MUTATIONS: dict[str, list[Callable[[bytes, Random], bytes]]] = {
    ".json": [mutate_json, mutate_json, mutate_json, mutate_bytes],
    ".safetensors": [mutate_safetensors, mutate_checkpoint, mutate_bytes],
}


def mutate_folder(files: dict[str, bytes], folder: Path, random: Random) -> None:
    """Write valid files with one or two of them made wrong, rarely one missing, empty or a folder."""
    wrong = random.sample(sorted(files), k=min(len(files), random.choice([1, 1, 1, 2])))
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name not in wrong:
            file.write_bytes(content)
        elif (luck := random.random()) < 0.01:
            continue
        elif luck < 0.02:
            file.write_bytes(b"")
        elif luck < 0.025:
            file.mkdir()
        else:
            change = random.choice(MUTATIONS.get(file.suffix, [mutate_bytes]))
            file.write_bytes(change(content, random))
