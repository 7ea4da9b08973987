"""Fingerprints of values and of files, by which outputs are known to be up to date."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fingerprint(value: Any) -> str:
    """Fingerprint of anything that JSON can hold; keys in any order.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint_of(path: Path) -> str:
    """Fingerprint of a file's content, or of a folder's files and their names; never of times."""
    digest = hashlib.blake2b(digest_size=16)
    if path.is_dir():
        for part in _files(path):
            digest.update(f"{part.relative_to(path)}\0{fingerprint_of(part)}\0".encode())
    else:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """Files of a folder, without those that macOS puts into folders that are looked at: they would make it look new."""
    names = (path for path in folder.rglob("*") if path.name != ".DS_Store" and not path.name.startswith("._"))
    return sorted(path for path in names if path.is_file())


COMPANIONS = (".dbf", ".shx", ".prj", ".cpg", ".tfw", ".wld", ".jgw", ".j2w", ".hdr")
"""Endings of files that say, beside a file of the same stem, what it holds or where it lies."""


def print_with_companions(path: Path, print_of: Callable[[Path], str] = fingerprint_of) -> str:
    """Fingerprint of a file and of the side files that a reader would open with it, each by ``print_of``."""
    beside = [path.with_suffix(ending) for ending in COMPANIONS] + [path.with_name(f"{path.name}.aux.xml")]
    return fingerprint([print_of(part) for part in (path, *beside) if part.is_file() or part == path])


def file_stamp(path: Path) -> str:
    """Size, times and inode of a file, or of all files of a folder; empty where they may not tell of a change."""
    parts = _files(path) if path.is_dir() else [path]
    facts = []
    for part in parts:
        told = part.stat()
        # Some file systems count whole seconds: within one, a second change would look like the first.
        if told.st_mtime_ns % 1_000_000_000 == 0 and time.time() - told.st_mtime < 3:
            return ""
        facts.append([str(part.relative_to(path)), told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino])
    return fingerprint(facts)
