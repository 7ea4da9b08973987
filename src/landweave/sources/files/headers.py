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

_SIGNING = {
    "sig", "se", "sp", "sv", "sr", "st", "spr", "sip", "ss", "srt", "sdd", "skoid", "sktid", "skt", "ske", "sks", "skv",
    "saoid", "suoid", "scid", "expires", "policy", "awsaccesskeyid", "googleaccessid", "key-pair-id",
}  # fmt: skip
"""Fields of a query that belong to a signature, in small letters; with those of :func:`.is_signed`."""


def name_of(address: str) -> str:
    """What identifies a file on a server: its address without signature, and for ``s3`` where buckets are served.

    >>> name_of("https://host/B04.tif?sig=secret"), name_of("https://host/B04.tif?version=2&sig=secret&se=2026")
    ('https://host/B04.tif', 'https://host/B04.tif?version=2')
    """
    if address.startswith("s3://"):
        # A key may hold a question mark.
        endpoint = readable("https://" + os.environ.get("AWS_S3_ENDPOINT", "").split("://")[-1])
        return address + (f" at {endpoint}" if os.environ.get("AWS_S3_ENDPOINT") else "")
    place, _, query = address.partition("?")
    fields = query.split("&") if query else []
    if is_signed(address):
        fields = [field for field in fields if not _signs(field)]
    return readable(place) + ("?" + "&".join(fields) if fields else "")


def _signs(field: str) -> bool:
    name = field.split("=", maxsplit=1)[0].lower()
    return name in _SIGNING or name.startswith(("x-amz-", "x-goog-")) or is_signed(f"?{field}")


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
