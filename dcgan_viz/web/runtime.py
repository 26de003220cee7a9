"""onnxruntime-web: fetched from the npm registry when a page is made, checked, and kept for the next one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import warnings
from pathlib import Path

from dcgan_viz.errors import Notice, UserError
from dcgan_viz.files import atomic_file
from dcgan_viz.home import home

VERSION = "1.20.1"
INTEGRITY = "TePF6XVpLL1rWVMIl5Y9ACBQcyCNFThZON/jgElNd9Txb73CIEGlklhYR3UEr1cp5r0rbGI6nDwwrs79g7WjoA=="
"""SHA-512 of the package, in base64, as the registry says it."""

REGISTRY = "https://registry.npmjs.org/"
MAXIMUM_PACKAGE = 64 * 2**20
MAXIMUM_FILE = 32 * 2**20
PATIENCE = 120

FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PACKED = "ort-wasm-simd-threaded.wasm"
"""Kept compressed: it is a third of the page otherwise, and plain file servers send files as they are."""


def runtime_files() -> dict[str, bytes]:
    """The files of onnxruntime-web that a page needs, by name; the program itself compressed, with ``.gz``.

    Raises
    ------
    UserError
        If it can neither be found among what is kept nor fetched, or is not what it should be.
    """
    package = _package()
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        for name in FILES:
            try:
                member = archive.getmember(f"package/dist/{name}")
            except KeyError as error:
                raise UserError(f"onnxruntime-web {VERSION} has no {name}") from error
            file = archive.extractfile(member)
            if file is None or member.size > MAXIMUM_FILE:
                raise UserError(f"{name} of onnxruntime-web {VERSION} is not a file of a sensible size")
            data = file.read()
            if name == PACKED:
                found[f"{name}.gz"] = gzip.compress(data, 9, mtime=0)
            else:
                found[name] = data
    return found


def _package() -> bytes:
    """The package, from what is kept or from the registry."""
    kept = home() / "npm" / f"onnxruntime-web-{VERSION}.tgz"
    if kept.is_file() and kept.stat().st_size <= MAXIMUM_PACKAGE:
        data = kept.read_bytes()
        if _is_right(data):
            return data
    data = packed_by_npm() if shutil.which("npm") else fetched()
    if not _is_right(data):
        raise UserError(f"what the registry gave as onnxruntime-web {VERSION} is something else: its SHA-512 is wrong")
    # The next page has to fetch it again, and that is all.
    try:
        with atomic_file(kept) as temporary:
            temporary.write_bytes(data)
    except UserError as error:
        warnings.warn(f"onnxruntime-web is not kept for the next time: {error}", Notice, stacklevel=2)
    return data


def _is_right(data: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(data).digest()).decode() == INTEGRITY


def packed_by_npm() -> bytes:
    """As npm fetches it, with whatever registry it is configured for."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"npm cannot fetch onnxruntime-web {VERSION}: {error}") from error
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            said = (done.stderr.strip().splitlines() or ["it gave no package"])[-1]
            raise UserError(f"npm cannot fetch onnxruntime-web {VERSION}: {said}")
        return packed[0].read_bytes()


def fetched() -> bytes:
    """As the registry of npm's configuration sends it."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
    address = f"{registry}/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
    if not address.startswith(("https://", "http://")):
        raise UserError(f"{registry} is not an address of a registry")
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as reply:
            data: bytes = reply.read(MAXIMUM_PACKAGE + 1)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(f"onnxruntime-web {VERSION} cannot be fetched from {registry}: {error}") from error
    if len(data) > MAXIMUM_PACKAGE:
        raise UserError(f"{address} is larger than {MAXIMUM_PACKAGE >> 20} MiB")
    return data
