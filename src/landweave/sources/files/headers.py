"""Headers of files on servers, kept on disk from one run to the next, each known by the mark of its file.

A header is what describes a file and where its blocks are; it holds no pixels. It is used for the address alone that it
was read from, and only as long as the server says of every block that is read that the file is the same.
"""

import hashlib
import json
import os
import threading
import zlib
from pathlib import Path

from landweave.sources.files.ranges import Mark
from landweave.sources.files.tiff import LONGEST
from landweave.sources.remote import is_signed, readable


def name_of(address: str) -> str:
    """What identifies a file on a server: its address without signature.

    >>> name_of("https://host/B04.tif?sig=secret"), name_of("https://host/B04.tif?version=2")
    ('https://host/B04.tif', 'https://host/B04.tif?version=2')
    """
    if is_signed(address):
        return readable(address)
    place, mark, query = address.partition("?")
    return readable(place) + mark + query


def keep(folder: Path, address: str, header: bytes, mark: Mark) -> None:
    """Write a header, where the server says by what a change of the file is known; a folder that is full keeps none."""
    # On another machine the output folder may not exist, and is not made.
    if not mark.tells or not folder.parent.is_dir():
        return
    facts = {"address": name_of(address), "size": mark.size, "etag": mark.etag, "modified": mark.modified}
    place = _place(folder, address)
    part = place.with_name(f"{place.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(json.dumps(facts).encode() + b"\n" + zlib.compress(header, 3))
        part.replace(place)
    except OSError:
        # It only saves requests.
        part.unlink(missing_ok=True)


def kept(folder: Path, address: str) -> tuple[bytes, Mark] | None:
    """A header that was kept, and of which file it is; None where there is none, or not a sound one."""
    try:
        line, _, packed = _place(folder, address).read_bytes().partition(b"\n")
        facts = json.loads(line)
        unpacking = zlib.decompressobj()
        header = unpacking.decompress(packed, LONGEST)
        if facts["address"] != name_of(address) or not unpacking.eof:
            return None
        return header, Mark(size=int(facts["size"]), etag=str(facts["etag"]), modified=str(facts["modified"]))
    except (OSError, ValueError, KeyError, TypeError, zlib.error, RecursionError):
        return None


def drop(folder: Path, address: str) -> None:
    """Remove a header that is out of date."""
    try:
        _place(folder, address).unlink(missing_ok=True)
    except OSError:
        return


def _place(folder: Path, address: str) -> Path:
    name = hashlib.blake2b(name_of(address).encode(), digest_size=16).hexdigest()
    return folder / name[:2] / name[2:]
