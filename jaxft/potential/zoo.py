"""Potentials by name: where their files are looked for, downloaded from, and how they are checked.

Order: ``$JAXFT_MODELS``, the user's cache, then a download from a commit-pinned address, checked by SHA-256 before it is used.
``cobalt-mini`` is part of the package. This module imports no JAX, so that ``jaxft models list`` is instant.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import platformdirs

from jaxft.errors import InputError, nearest
from jaxft.records import write_atomically

_NEQUIX = "https://github.com/atomicarchitects/nequix/raw"


@dataclass(frozen=True)
class ZooEntry:
    """A named potential. ``url`` is None for one that ships with the package."""

    description: str
    licence: str
    url: str | None = None
    sha256: str | None = None


ZOO: dict[str, ZooEntry] = {
    "cobalt-mini": ZooEntry(
        "small NequIP-type potential for H, O, Cl, Co, Li, Na in solution, distilled from nequix-oam-1; "
        "for demonstrations and tests",
        "MIT",
    ),
    "nequix-mp-1": ZooEntry(
        "Nequix trained on MPtrj (PBE and PBE+U), 89 elements, 708k parameters; arXiv 2508.16067",
        "MIT",
        f"{_NEQUIX}/7c2854de8e754b1a60274c7d9d2e014989ed632e/models/nequix-mp-1.nqx",
        "1647af8e627e1afa11e2bfadeab0797326513a521afd7dd01606a96f56783eee",
    ),
    "nequix-oam-1": ZooEntry(
        "Nequix trained on OMat24, then sAlex and MPtrj, 89 elements, 708k parameters; arXiv 2508.16067",
        "MIT",
        f"{_NEQUIX}/9c852a9c4cce69ae5e75bc5a2cf670be21ff8c28/models/nequix-oam-1.nqx",
        "6a43475eaeb32a7a049f36c1306d78aa1e7a17e8af37aeda7901c8fec0ca845c",
    ),
}


def cache_folder() -> Path:
    """Where downloaded potentials are kept."""
    return Path(platformdirs.user_cache_dir("jaxft")) / "models"


def locate(name: str) -> Path | None:
    """The file or folder of a zoo potential on this machine, not yet checked; None where it is not here."""
    entry = _entry(name)
    if entry.url is None:
        return Path(str(files("jaxft.potential") / "data" / name))
    filename = entry.url.rsplit("/", 1)[1]
    folders = [Path(os.environ["JAXFT_MODELS"])] if os.environ.get("JAXFT_MODELS") else []
    for folder in [*folders, cache_folder()]:
        if (folder / filename).is_file():
            return folder / filename
    return None


def fetch(name: str, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """The checked file of a zoo potential, downloaded into the cache where it is not on this machine.

    progress: called with (bytes so far, total bytes or None). Raises InputError where the file is damaged or there is no
    network; a damaged file is never used and never deleted.
    """
    entry = _entry(name)
    path = locate(name)
    if path is None:
        assert entry.url is not None
        path = cache_folder() / entry.url.rsplit("/", 1)[1]
        download(entry.url, path, entry.sha256, progress)
    elif entry.sha256 is not None:
        found = sha256(path)
        if found != entry.sha256:
            raise InputError(
                f"{path} is damaged or another file: its SHA-256 is {found[:16]}…, expected {entry.sha256[:16]}…; "
                "remove it and run again to fetch it anew"
            )
    return path


def download(
    url: str,
    path: Path,
    expected_sha256: str | None,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Download ``url`` to ``path``, which appears only if the content has the expected hash."""

    def write(temporary: Path) -> None:
        try:
            with urlopen(url, timeout=60) as response, temporary.open("wb") as file:
                total = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
                done = 0
                while chunk := response.read(1 << 16):
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
        except (URLError, TimeoutError, ConnectionError) as error:
            raise InputError(
                f"could not download {url} ({error}). On a machine without network, fetch {path.name} elsewhere, put it "
                "into a folder, and set JAXFT_MODELS to that folder"
            ) from error
        found = sha256(temporary)
        if expected_sha256 is not None and found != expected_sha256:
            raise InputError(
                f"what came from {url} has SHA-256 {found[:16]}…, expected {expected_sha256[:16]}…; nothing was kept. "
                "Try again; if it happens twice, a proxy may be changing downloads"
            )

    write_atomically(path, write)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str) -> ZooEntry:
    if name not in ZOO:
        raise InputError(f"unknown potential {name!r}; expected one of {', '.join(ZOO)}{nearest(name, list(ZOO))}")
    return ZOO[name]
