"""A source of any size as one ``.npy`` of square pictures, by several processes, resumed where it was killed.

Shards are decoded in any order and written in theirs, so the bytes do not depend on the number of processes. A journal
beside the array notes each shard once its pixels are on the disk; whoever goes on cuts off what is not in the journal.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import mmap
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dcgan_viz.data.decoding import Entry, UnreadableError, decode_square, quiet_decoders
from dcgan_viz.data.parts import Part, parts_of
from dcgan_viz.data.sources import Source, open_images
from dcgan_viz.data.sources.arrays import names_file
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, digest_of, json_holds, refuse_existing, say_replaced, writing
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import EXACT, LENIENT, as_text, parse_json, printable, read_text
from dcgan_viz.versions import versions
from dcgan_viz.words import counted

SHARD, SHARD_BYTES = 512, 2**23
"""Pictures that are decoded, written and noted together: fewer where so many take more bytes."""
READ_AHEAD = 2**19
"""Bytes of files that are read before they are decoded."""
LARGEST = 4096
"""Side of the pictures."""
KIND = "prepared pictures"


@dataclass(frozen=True)
class Plan:
    """What a preparation depends on; one that was killed is gone on with only if all of it is the same.

    Parameters
    ----------
    source : str
    pictures : int
        Of the part that is prepared.
    names : str
        Digest of the names of the whole.
    size, channels, bits : int
    shard : int
        Pictures that are written together.
    first, part : int, tuple of int
        Where a part begins, its number and how many there are.
    """

    source: str
    pictures: int
    names: str
    size: int
    channels: int
    bits: int | None
    shard: int
    first: int = 0
    part: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not (1 <= self.size <= LARGEST and self.channels in (1, 3) and self.pictures >= 0 and self.shard >= 1):
            raise UserError(f"{self.pictures} pictures of {self.size}x{self.size}x{self.channels} are never prepared")

    @property
    def shards(self) -> int:
        """How many."""
        return math.ceil(self.pictures / self.shard)

    @property
    def picture_bytes(self) -> int:
        """Of a picture in the array."""
        return self.size**2 * self.channels


@dataclass(frozen=True)
class Picture:
    """A picture about which there is something to say, and what."""

    __pydantic_config__: ClassVar = EXACT

    name: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """What came of some pictures.

    Parameters
    ----------
    names : tuple of str
        Of those that were read.
    broken, unturned : tuple of Picture
        Those that were not, and those whose metadata could not be read.
    enlarged : int
        How many of those that were read are smaller than what was made of them.
    """

    __pydantic_config__: ClassVar = EXACT

    names: tuple[str, ...]
    broken: tuple[Picture, ...]
    unturned: tuple[Picture, ...]
    enlarged: int = 0


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Parameters
    ----------
    path : Path
        The array; ``.json`` of the same name says how it was made and what is broken, ``.names.jsonl`` has the names.
    pictures : int
    broken, unturned, enlarged
        As of a `Shard`.
    left_out : tuple of str
        What lies in the source and was not read.
    """

    path: Path
    pictures: int
    broken: tuple[Picture, ...]
    unturned: tuple[Picture, ...]
    left_out: tuple[str, ...]
    enlarged: int = 0


@dataclass(frozen=True)
class _About:
    """What stands beside an array."""

    __pydantic_config__: ClassVar = LENIENT

    pictures: int
    broken: tuple[Picture, ...]
    unturned: tuple[Picture, ...]
    left_out: tuple[str, ...]
    prepared: Plan
    sha256: str
    enlarged: int = 0


def prepare(
    source: str | Path,
    out: str | Path,
    size: int,
    channels: int = 3,
    *,
    bits: int | None = None,
    part: Part | None = None,
    keep_list: str | Path | None = None,
    workers: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    reuse: bool = False,
    progress: Progress = silent,
) -> Prepared:
    """Write every picture of a source, squared to one size, into one ``.npy``, which stays on disk when it is used.

    The pictures are those that `load_images` would make. A call that was killed is gone on with by the same call.

    Parameters
    ----------
    source : path
        Whatever `open_images` opens.
    out : path
        The ``.npy`` to write: uint8 (N, size, size, channels).
    size, channels : int
        What to make of each picture.
    bits : int, optional
        How many bits the values of 16- and 32-bit grey fill, 8 to 32.
    part : Part, optional
        Prepare this part of the pictures, beside `out` under a name with its number; `merge_prepared` joins them.
    keep_list : path, optional
        As of `open_images`: the names of the pictures to use.
    workers : int, optional
        Processes; by default one per core.
    strict : bool
        Stop at a broken picture instead of leaving it out.
    overwrite : bool
        Whether an existing file may be replaced.
    reuse : bool
        Take what an earlier call has made of the same pictures with the same settings, unless their files have changed.
    progress : Progress

    Returns
    -------
    Prepared

    Raises
    ------
    UserError
        If the source holds no pictures, none of them is readable, one is broken and `strict` is given, a file is in the
        way, the disk is full, or another process prepares the same file.
    """
    target = Path(out) if part is None else part.path(Path(out))
    if target.suffix != ".npy":
        raise UserError(f"{target} should end in .npy: prepared pictures are a NumPy array")
    if not 1 <= size <= LARGEST or channels not in (1, 3):
        raise UserError(
            f"pictures of {size}x{size} with {channels} channels: give a size up to 4096, and 1 or 3 channels"
        )
    found = open_images(source, keep_list)
    if target.exists() and found.path.exists() and target.samefile(found.path):
        raise UserError(f"{target} is what is read, and would be lost: choose another name")
    digest = hashlib.sha256()
    for name in found.names:
        digest.update(name.encode() + b"\0")
    together = max(1, min(SHARD, SHARD_BYTES // (size * size * channels)))
    plan = Plan(as_text(str(Path(source).resolve())), len(found), digest.hexdigest(), size, channels, bits, together)
    if part is not None:
        rows = part.rows(len(found))
        if not rows:
            raise UserError(f"{source} has {counted(len(found), 'picture')}, too few for {part.of} parts: make fewer")
        plan = replace(plan, pictures=len(rows), first=rows.start, part=(part.number, part.of))
    if reuse and (earlier := _finished(target, plan)) is not None:
        if found.changed() <= target.with_suffix(".json").stat().st_mtime:
            return earlier
        # A picture was repaired, replaced or made readable since.
        overwrite = True
    _refuse_others(target, overwrite)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Partial.open(target, plan) as partial:
            first = len(partial.shards)
            shards = _decoded(found, plan, first, workers or os.cpu_count() or 1, partial.journal.fileno())
            stage = Stage(f"preparing {found.path.name}", plan.shards, "shard", first)
            for shard, pixels in progress(shards, stage):
                if strict and shard.broken:
                    raise UserError(_strictly(shard.broken[0]))
                partial.append(shard, pixels)
            return partial.finish(found.left_out, strict)


def _strictly(broken: Picture) -> str:
    return f"{printable(broken.name)} does not decode: {broken.reason}; repair or remove it, or leave out `strict=True`"


def _refuse_others(target: Path, overwrite: bool) -> None:
    refuse_existing(target, overwrite)
    about = target.with_suffix(".json")
    ours = json_holds(about, "prepared", "names")
    refuse_existing(about, overwrite, lambda _: ours)
    refuse_existing(names_file(target), overwrite, lambda _: ours)


def _finished(target: Path, plan: Plan) -> Prepared | None:
    """What a plan has already come to; None unless all of it is there and as it was written."""
    try:
        about = _about(target)
        if about.prepared != plan or digest_of(target) != about.sha256:
            return None
    except (OSError, UserError):
        return None
    return Prepared(target, about.pictures, about.broken, about.unturned, about.left_out, about.enlarged)


# --- Decoding ------------------------------------------------------------------------------------------------------


def _decoded(
    source: Source, plan: Plan, first: int, workers: int, lock: int
) -> Iterator[tuple[Shard, NDArray[np.uint8]]]:
    """The shards from the first on, in their order; a few wait for their turn.

    Where processes can be forked, they put the pixels into memory that is shared with them.
    """
    forks = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forks else None)
    slots = workers + 2
    shared = mmap.mmap(-1, slots * plan.shard * plan.picture_bytes) if forks else None
    job = _Job(source, plan, shared, slots)
    waiting: deque[tuple[int, Future[tuple[Shard, NDArray[np.uint8] | None]]]] = deque()

    def oldest() -> tuple[Shard, NDArray[np.uint8]]:
        number, future = waiting.popleft()
        shard, pixels = future.result()
        return shard, job.slot(number)[: len(shard.names)] if pixels is None else pixels

    pool = ProcessPoolExecutor(workers, context, _begin, (job, os.getpid(), lock if forks else None))
    try:
        for number in range(first, plan.shards):
            waiting.append((number, pool.submit(_decode_shard, number)))
            if len(waiting) == slots:
                yield oldest()
        while waiting:
            yield oldest()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decodes was ended from outside, mostly for want of memory: the same command goes on, with "
            "fewer `workers`"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Job:
    """What the processes share."""

    source: Source
    plan: Plan
    shared: mmap.mmap | None
    slots: int

    def slot(self, number: int) -> NDArray[np.uint8]:
        """Room for the pixels of a shard: shared, where the one of as many shards ago has been written meanwhile."""
        plan = self.plan
        shape = (plan.shard, plan.size, plan.size, plan.channels)
        if self.shared is None:
            return np.empty(shape, np.uint8)
        place = number % self.slots * plan.shard * plan.picture_bytes
        return np.frombuffer(self.shared, np.uint8, math.prod(shape), place).reshape(shape)


_job: _Job


def _begin(job: _Job, parent: int, lock: int | None) -> None:
    """Begins a process: Ctrl-C is the parent's business, and with the parent it ends.

    The file that holds the parent's lock is closed here, or a parent that was killed would hold it a while longer.
    """
    global _job
    _job = job
    if lock is not None:
        os.close(lock)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _decode_shard(number: int) -> tuple[Shard, NDArray[np.uint8] | None]:
    """What came of a shard, and its pixels where they are not shared."""
    source, plan = _job.source, _job.plan
    indices = range(plan.first, plan.first + plan.pictures)[number * plan.shard : (number + 1) * plan.shard]
    pixels = _job.slot(number)
    names: list[str] = []
    broken: list[Picture] = []
    unturned: list[Picture] = []
    enlarged = 0
    with quiet_decoders():
        for index, entry in _read_ahead(source, indices):
            name = source.names[index]
            try:
                if isinstance(entry, UnreadableError):
                    raise entry
                picture = decode_square(entry, plan.size, plan.channels, bits=plan.bits)
            except UnreadableError as error:
                broken.append(Picture(name, str(error)))
                continue
            pixels[len(names)] = picture.pixels
            names.append(name)
            enlarged += picture.side < plan.size
            if picture.trouble is not None:
                unturned.append(Picture(name, picture.trouble))
    shard = Shard(tuple(names), tuple(broken), tuple(unturned), enlarged)
    return shard, None if _job.shared is not None else pixels[: len(names)]


def _read_ahead(source: Source, indices: Sequence[int]) -> Iterator[tuple[int, Entry | UnreadableError]]:
    """Pictures before they are decoded, some read at once: one by one, decoding pushes what reads out of the caches."""
    read: list[tuple[int, Entry | UnreadableError]] = []
    size = 0
    for index in indices:
        try:
            entry: Entry | UnreadableError = source.entry(index)
        except UnreadableError as error:
            entry = error
        read.append((index, entry))
        size += len(entry) if isinstance(entry, bytes) else 0
        if size >= READ_AHEAD or index == indices[-1]:
            yield from read
            read, size = [], 0


# --- What is half done ---------------------------------------------------------------------------------------------


class _Partial:
    """An array that grows by shards, and its journal: the plan, then a line a shard."""

    def __init__(self, target: Path, plan: Plan, journal: Any, array: BinaryIO) -> None:
        self.target, self.plan, self.journal, self.array = target, plan, journal, array
        self.shards: list[int] = []
        self.header = len(_header(plan, plan.pictures))

    @staticmethod
    def paths(target: Path) -> tuple[Path, Path]:
        """Of the array and the journal."""
        return target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.journal")

    @classmethod
    @contextmanager
    def open(cls, target: Path, plan: Plan) -> Iterator[_Partial]:
        """The partial array of a target, as far as its journal goes; no other process may have it open."""
        pixels, noted = cls.paths(target)
        with noted.open("a+b") as journal:
            _lock(journal, target)
            with pixels.open("ab") as _, pixels.open("r+b") as array:
                partial = cls(target, plan, journal, array)
                partial._go_on()
                yield partial

    def _go_on(self) -> None:
        """Read the journal, and cut off what came after its last whole line."""
        pixels, noted = self.paths(self.target)
        plan = {"kind": KIND, **json.loads(json.dumps(asdict(self.plan)))}
        self.journal.seek(0)
        first = self.journal.readline()
        begun = _parsed(first)
        # Killed in its very first line it is a part of ours; nothing else in these places is.
        ours = (json.dumps(plan).encode() + b"\n").startswith(first) if begun is None else begun.get("kind") == KIND
        if not ours or (begun is None and pixels.stat().st_size):
            raise UserError(f"{pixels} or {noted} is in the way, and was not written here: move it")
        if begun is not None and begun != plan:
            raise UserError(
                f"{self.target} is being prepared from another source or with other settings: go on with those, or remove "
                f"{pixels} and {noted}"
            )
        end, done = len(first) if begun else 0, 0
        for line in self.journal if begun else ():
            shard = _noted(line)
            if shard is None:
                break
            self.shards.append(len(shard.names))
            done += len(shard.names)
            end += len(line)
        self.journal.truncate(end)
        if not end:
            self._note(plan)
        if done and pixels.stat().st_size < self.header + done * self.plan.picture_bytes:
            raise UserError(f"{pixels} is shorter than {noted} says: remove both, and begin again")
        self.array.truncate(self.header + done * self.plan.picture_bytes)
        self.array.seek(0)
        self.array.write(_header(self.plan, self.plan.pictures))
        self.array.seek(0, os.SEEK_END)

    def append(self, shard: Shard, pixels: NDArray[np.uint8]) -> None:
        """Write a shard, then note it."""
        self.array.write(pixels.data)
        self.array.flush()
        os.fsync(self.array.fileno())
        self._note(asdict(shard))
        self.shards.append(len(shard.names))

    def _note(self, entry: dict[str, Any]) -> None:
        self.journal.write(json.dumps(entry).encode() + b"\n")
        self.journal.flush()

    def finish(self, left_out: tuple[str, ...], strict: bool) -> Prepared:
        """Give the array its name, once what stands beside it is written."""
        count = sum(self.shards)
        broken: list[Picture] = []
        unturned: list[Picture] = []
        enlarged = 0
        self.journal.seek(0)
        self.journal.readline()
        with atomic_file(names_file(self.target)) as temporary, temporary.open("w", encoding="ascii") as file:
            for line in self.journal:
                shard = _noted(line)
                assert shard is not None
                broken.extend(shard.broken)
                unturned.extend(shard.unturned)
                enlarged += shard.enlarged
                file.writelines(json.dumps(name) + "\n" for name in shard.names)
            if broken and (strict or not count):
                if not count:
                    # Nothing to go on with.
                    for path in self.paths(self.target):
                        path.unlink()
                raise UserError(
                    _strictly(broken[0])
                    if strict
                    else f"of {counted(len(broken), 'image')} none decodes, such as {printable(broken[0].name)}: "
                    f"{broken[0].reason}"
                )
            self.array.seek(0)
            self.array.write(_header(self.plan, count))
            self.array.flush()
            os.fsync(self.array.fileno())
            pixels, noted = self.paths(self.target)
            prepared = Prepared(self.target, count, tuple(broken), tuple(unturned), left_out, enlarged)
            # First, as by it the names are known for ours where a kill leaves the array without its own.
            _write_about(prepared, self.plan, pixels)
        say_replaced(self.target)
        pixels.replace(self.target)
        noted.unlink()
        return prepared


def _write_about(prepared: Prepared, plan: Plan, pixels: Path) -> None:
    """Write what stands beside an array, whose pixels may have another name still."""
    about = {**asdict(replace(prepared, path=Path(prepared.path.name))), "path": as_text(prepared.path.name)}
    about = {**about, "prepared": asdict(plan), "sha256": digest_of(pixels), "versions": versions()}
    with atomic_file(prepared.path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n")


def merge_prepared(out: str | Path, *, overwrite: bool = False, progress: Progress = silent) -> Prepared:
    """Join the parts that `prepare` has written with ``part``: the same bytes as it writes without.

    Parameters
    ----------
    out : path
        The whole, an ``.npy``; the parts lie beside it, and stay.
    overwrite : bool
        Whether an existing file may be replaced.
    progress : Progress

    Returns
    -------
    Prepared

    Raises
    ------
    UserError
        If a part is missing, was changed or belongs to something else, a file is in the way, or the disk is full.
    """
    target = Path(out)
    parts = parts_of(target)
    _refuse_others(target, overwrite)
    abouts = [_about(path) for path in parts]
    plans = [about.prepared for about in abouts]
    whole = replace(plans[0], pictures=sum(plan.pictures for plan in plans), part=None)
    expected = 0
    for number, (path, plan) in enumerate(zip(parts, plans, strict=True), 1):
        as_part = replace(whole, pictures=plan.pictures, first=expected, part=(number, len(parts)))
        if plan != as_part:
            raise UserError(
                f"{path} is a part of something else than {parts[0].name}: prepare it again, with the same settings"
            )
        expected += plan.pictures
    count = sum(about.pictures for about in abouts)
    with (
        atomic_file(target) as temporary,
        temporary.open("wb") as file,
        atomic_file(names_file(target)) as names,
        names.open("wb") as listed,
    ):
        file.write(_header(whole, count))
        for path, about in progress(zip(parts, abouts, strict=True), Stage("joining", len(parts), "part")):
            size = len(_header(whole, count)) + about.pictures * whole.picture_bytes
            if path.stat().st_size != size or digest_of(path) != about.sha256:
                raise UserError(f"{path} has been changed since it was prepared: prepare it again")
            with path.open("rb") as part:
                part.seek(len(_header(whole, count)))
                shutil.copyfileobj(part, file, 2**20)
            with names_file(path).open("rb") as part:
                shutil.copyfileobj(part, listed)
        file.flush()
        broken = tuple(picture for about in abouts for picture in about.broken)
        unturned = tuple(picture for about in abouts for picture in about.unturned)
        enlarged = sum(about.enlarged for about in abouts)
        prepared = Prepared(target, count, broken, unturned, abouts[0].left_out, enlarged)
        _write_about(prepared, whole, temporary)
        say_replaced(target)
    return prepared


def _about(path: Path) -> _About:
    try:
        return parse_json(read_text(path.with_suffix(".json")), _About)
    except UserError as error:
        raise UserError(f"{path.with_suffix('.json')} does not say how {path.name} was prepared: {error}") from error


def _noted(line: bytes) -> Shard | None:
    """What a line of a journal says of a shard; None for one that was cut off or damaged."""
    try:
        return parse_json(line.decode(), Shard) if line.endswith(b"\n") else None
    except ValueError:
        return None


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The first line of a journal; None for one that was cut off."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _header(plan: Plan, count: int) -> bytes:
    """The header of the array; NumPy leaves room in it, so that any count takes as many bytes."""
    file = io.BytesIO()
    shape = (count, plan.size, plan.size, plan.channels)
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _lock(file: Any, target: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"another process is preparing {target}: wait for it, or choose another name") from error
