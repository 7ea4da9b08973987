"""The catalogue of an open data set: STAC items of its files, their checksums, and the check of them."""

import datetime
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from landweave.errors import InputError, parsed
from landweave.patch.align import bounds_of, outline_bounds
from landweave.patch.grid import crs_name
from landweave.patch.store import DATA_SET, write_json, write_text
from landweave.patch.summary import Shown, listed

COLLECTION = "collection.json"
CHECKSUMS = "checksums.sha256"
ZARR, EOPATCH = "application/vnd.zarr; version=3", "application/x-eopatch"
"""Media types of a patch's asset; there is none that is registered for EOPatches."""

UNFINISHED = ".publishing"
"""A file that stands in a data set's folder while it is being written."""

_PROGRESS = ".verified"
_CONTENT, _MADE_FROM = "landweave:checksum", "landweave:made_from"
_LICENCE = "other"


@dataclass(frozen=True, kw_only=True)
class Shared:
    """One patch of a data set."""

    name: str
    """Also its item's id."""

    href: str
    """Its files, from the data set's folder."""

    media_type: str
    """:data:`ZARR` or :data:`EOPATCH`."""

    geobox: GeoBox
    times: tuple[str, ...]
    """Dates or moments of the time axis, ISO text, in its order."""

    variables: Mapping[str, str]
    """Name to dtype, bands first."""

    dated: tuple[str, ...]
    """Those of the variables that have a time axis."""

    content: str
    """Checksum of its files; see :func:`checksum_of`."""

    made_from: str
    """Fingerprint of all that its files were made of."""

    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Variable to ``nodata``, ``scale`` and ``offset``, as far as it has them: value = scale * number + offset."""


def write_collection(
    folder: Path, patches: Sequence[Shared], *, title: str, description: str, licence: str, notes: Mapping[str, Any]
) -> Path:
    """Write ``collection.json`` over the items that :func:`write_item` wrote, links relative: the folder can be moved.

    Parameters
    ----------
    folder
        The data set's.
    patches
        At least one.
    title, description
        For people.
    licence
        An SPDX identifier; other words stand in the data card alone.
    notes
        Further fields of the collection.
    """
    import pystac

    moments = sorted(_moment(text) for patch in patches for text in patch.times)
    whole = list(bounds_of((patch.geobox for patch in patches), "EPSG:4326"))
    collection = pystac.Collection(
        id=_id_of(folder), title=title, description=description,
        license=licence if licence and " " not in licence else _LICENCE,
        extent=pystac.Extent(
            pystac.SpatialExtent([whole]), pystac.TemporalExtent([[moments[0], moments[-1]]])
        ),
        extra_fields={"landweave:format": DATA_SET, **notes},
    )  # fmt: skip
    root = {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"}
    links = [root]
    links += [
        {"rel": "item", "href": f"./items/{patch.name}.json", "type": "application/geo+json"} for patch in patches
    ]
    return write_json(folder / COLLECTION, {**collection.to_dict(), "links": links}, ensure_ascii=False)


def write_item(folder: Path, patch: Shared) -> Path:
    """Write a patch's item in ``items/``, after its files: it says what they are, and what they were made of."""
    item = _item(patch, list(outline_bounds(patch.geobox, "EPSG:4326")))
    item.collection_id = _id_of(folder)
    above = [
        {"rel": rel, "href": f"../{COLLECTION}", "type": "application/json"} for rel in ("root", "parent", "collection")
    ]
    return write_json(folder / "items" / f"{patch.name}.json", {**item.to_dict(), "links": above}, ensure_ascii=False)


def standing(folder: Path, name: str, href: str, made_from: str) -> dict[str, str] | None:
    """What stands of a patch already.

    Parameters
    ----------
    folder
        The data set's.
    name, href, made_from
        The patch, where its files belong, and what they are to be made of, as in :class:`Shared`.

    Returns
    -------
    dict or None
        Checksums of its files, as :func:`checksums_in` gives them; None where it must be written: its item does not
        say that it was made from this, or its files, every one of which is read, are not those of its item.
    """
    try:
        said = parsed(json.loads, (folder / "items" / f"{name}.json").read_text(encoding="utf-8"))["properties"]
        if said[_MADE_FROM] != made_from:
            return None
        found = checksums_in(folder / href)
        return found if said[_CONTENT] == checksum_of(found) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_checksums(folder: Path, known: Mapping[str, str], made: Sequence[str]) -> Path:
    """Write ``checksums.sha256``: a line for each file of the data set, as ``sha256sum`` writes and checks it.

    Those that are ``known``, name to checksum, are not read again; those that are ``made`` are read, and files in a
    folder that was made. What else lies in the folder, such as the outputs of a run from it, is not the data set's.
    """
    checksums = dict(known)
    for name in made:
        path = folder / name
        inside = {f"{name}/{inner}": one for inner, one in checksums_in(path).items()} if path.is_dir() else None
        checksums |= {name: _sha256(path)} if inside is None else inside
    # The collection comes last, so that a list whose end was cut off lacks it.
    ordered = sorted(checksums, key=lambda name: (name == COLLECTION, name))
    lines = [f"{checksums[name]}  {name}\n" for name in ordered]
    return write_text(folder / CHECKSUMS, "".join(lines))


def checksums_in(folder: Path) -> dict[str, str]:
    """SHA-256 of a folder's files, by name."""
    return {name: _sha256(folder / name) for name in _files(folder)}


def checksum_of(files: Mapping[str, str]) -> str:
    """SHA-256 of the names and checksums of files."""
    lines = [f"{checksum}  {name}\n" for name, checksum in files.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, repr=False)
class Verdict(Shown):
    """What a check found of a data set."""

    files: int
    """Files that the data set says it has."""

    read: int
    """Of these, read now; the others had been found sound before and have not been touched since."""

    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    """Files that the data set does not know; they do no harm."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "sound": self.sound,
            "files": self.files,
            "read": self.read,
            "damaged": listed(self.damaged, 3),
            "missing": listed(self.missing, 3),
            "strange": listed(self.strange, 3),
        }

    @property
    def sound(self) -> bool:
        """Whether every file is there and as it was published."""
        return not self.damaged and not self.missing


def verify(folder: Path, *, again: bool = False, save_every: int = 100) -> Verdict:
    """Hold every file of a data set against its checksum.

    Parameters
    ----------
    folder
        The data set.
    again
        Read files that an earlier check, which was interrupted, found sound.
    save_every
        So many files are read until it is noted how far the check has come.

    Returns
    -------
    Verdict
        A check that is interrupted goes on where it was; what it knows stands in ``.verified`` in the folder, if that
        can be written to, and goes when the check is done.

    Raises
    ------
    InputError
        Where the folder is no data set, or its list of checksums cannot be read or was cut off.
    """
    listed = dict(_listed(folder))
    if COLLECTION not in listed:
        raise InputError(
            f"{folder / CHECKSUMS}: the list is incomplete, {COLLECTION} is missing; download the list again."
        )
    progress = folder / _PROGRESS
    known = {} if again else _read_progress(progress)
    damaged, missing, read = [], [], 0
    try:
        for name, checksum in listed.items():
            try:
                state = (folder / name).stat()
                sign = f"{state.st_size} {state.st_mtime_ns} {checksum}"
                if known.get(name) == sign:
                    continue
                read += 1
                if _sha256(folder / name) != checksum:
                    damaged.append(name)
                    continue
            except (FileNotFoundError, NotADirectoryError):
                missing.append(name)
                continue
            except OSError:
                # A folder in its place, or a file that the disk or its owner does not give.
                damaged.append(name)
                continue
            known[name] = sign
            if read % save_every == 0:
                _write_progress(progress, known)
    except BaseException:
        _write_progress(progress, known)
        raise
    progress.unlink(missing_ok=True)
    if not _complete(folder, listed, {*damaged, *missing}):
        damaged.append(CHECKSUMS)
    strange = tuple(name for name in _files(folder) if name not in listed)
    return Verdict(
        files=len(listed), read=read, damaged=tuple(damaged), missing=tuple(missing), strange=strange
    )  # fmt: skip


def _complete(folder: Path, listed: Mapping[str, str], bad: Collection[str]) -> bool:
    """Whether the list has every item of the collection and every file of its patch; what is bad is not asked."""
    files: dict[str, dict[str, str]] = {}
    for name, checksum in listed.items():
        first, _, rest = name.partition("/")
        patch, _, inside = rest.partition("/")
        files.setdefault(f"{first}/{patch}", {})[inside] = checksum
    try:
        links = [] if COLLECTION in bad else _read_json(folder / COLLECTION)["links"]
        items = [str(Path(link["href"])) for link in links if link["rel"] == "item"]
        if not set(items) <= set(listed):
            return False
        for item in set(items) - set(bad):
            told = _read_json(folder / item)
            href = str(told["assets"]["data"]["href"]).removeprefix("../")
            if checksum_of(dict(sorted(files.get(href, {}).items()))) != told["properties"][_CONTENT]:
                return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _read_json(path: Path) -> Any:
    return parsed(json.loads, path.read_text(encoding="utf-8"))


def _item(patch: Shared, box: list[float]) -> Any:
    import pystac

    moments = sorted(map(_moment, patch.times))
    height, width = patch.geobox.shape
    west, south, east, north = box
    crs = crs_name(patch.geobox)
    properties: dict[str, Any] = {
        "start_datetime": _iso(moments[0]), "end_datetime": _iso(moments[-1]),
        "proj:code": crs if crs.startswith("EPSG:") else None, "proj:shape": [int(height), int(width)],
        "proj:transform": [float(number) for number in patch.geobox.affine[:6]],
        "cube:dimensions": {
            "time": {"type": "temporal", "extent": [_iso(moments[0]), _iso(moments[-1])], "values": list(patch.times)},
            "y": {"type": "spatial", "axis": "y", "reference_system": crs},
            "x": {"type": "spatial", "axis": "x", "reference_system": crs},
        },
        "cube:variables": {
            name: {
                "dimensions": ["time", "y", "x"] if name in patch.dated else ["y", "x"],
                "type": "data" if dtype == "int16" else "auxiliary", "data_type": dtype,
                **patch.numbers.get(name, {}),
            }
            for name, dtype in patch.variables.items()
        },
        _CONTENT: patch.content, _MADE_FROM: patch.made_from,
    }  # fmt: skip
    if properties["proj:code"] is None:
        properties["proj:wkt2"] = crs
    outline = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = pystac.Item(
        id=patch.name, geometry={"type": "Polygon", "coordinates": [outline]}, bbox=box, datetime=None,
        properties=properties,
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/datacube/v2.2.0/schema.json",
            "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
        ],
    )  # fmt: skip
    bands = [
        {"name": name, "data_type": dtype, **_band_words(patch.numbers.get(name, {}))}
        for name, dtype in patch.variables.items()
    ]
    item.add_asset(
        "data",
        pystac.Asset(
            href=f"../{patch.href}", media_type=patch.media_type, roles=["data"], extra_fields={"bands": bands}
        ),
    )
    return item


def _band_words(numbers: Mapping[str, float]) -> dict[str, float]:
    """As STAC's bands and its raster extension call them."""
    return {name if name == "nodata" else f"raster:{name}": number for name, number in numbers.items()}


def _listed(folder: Path) -> Iterator[tuple[str, str]]:
    path = folder / CHECKSUMS
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{path}: the list of checksums is missing or not readable; is {folder} a published data set?"
        ) from None
    for number, line in enumerate(lines, start=1):
        checksum, gap, name = line[:64], line[64:66], line[66:]
        inside = name and "\0" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts
        if gap != "  " or not inside or len(checksum) < 64 or set(checksum) - set("0123456789abcdef"):
            raise InputError(f"{path}, line {number}: not a checksum and a file name; download the list again.")
        yield name, checksum


def _files(folder: Path) -> list[str]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if name.as_posix() not in {CHECKSUMS, UNFINISHED, _PROGRESS})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_progress(path: Path) -> dict[str, str]:
    try:
        content = parsed(json.loads, path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(sign) for name, sign in content.items()} if isinstance(content, dict) else {}


def _write_progress(path: Path, known: Mapping[str, str]) -> None:
    try:
        write_json(path, known, ensure_ascii=False)
    except OSError:
        # A data set on a disk that is read only is checked in one go.
        return


def _id_of(folder: Path) -> str:
    return folder.name or "data-set"


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _iso(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
