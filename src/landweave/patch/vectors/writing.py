"""GeoPackages written whole or not at all, with the same bytes whenever they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from landweave.patch.store import write_geopackage

if TYPE_CHECKING:
    import pandas as pd


def write_layers(path: str | Path, layers: Sequence[tuple[str, "pd.DataFrame"]], *, moment: str = "2000-01-01") -> Path:
    """Write a GeoPackage.

    Parameters
    ----------
    path
        Where; its parents are made.
    layers
        Name and content of each layer; a GeoDataFrame, or a DataFrame for a table without geometry.
    moment
        The date that the file says it was written on.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    OSError
        Where the file cannot be written, for whatever reason: a full disk, a folder without permission.
    """
    import pyogrio

    def write(part: Path) -> None:
        with writing(path, part):
            for name, frame in layers:
                pyogrio.write_dataframe(frame, part, layer=name, driver="GPKG")

    return write_geopackage(path, write, moment=moment)


@contextmanager
def writing(path: str | Path, part: Path) -> Iterator[None]:
    """What GDAL says of a disk that is full or may not be written becomes an OSError with the file's name.

    Parameters
    ----------
    path
        The file that is meant.
    part
        The one that is written, until it is whole.
    """
    try:
        yield
    except RuntimeError as error:
        cause = str(error).replace(str(part), Path(path).name).splitlines()[0].rstrip(".")
        raise OSError(f"{path}: cannot be written: {cause}.") from None
