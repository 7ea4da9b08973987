"""GeoPackages written whole or not at all, with the same bytes whenever they are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landweave.patch.store import dated, write_whole

if TYPE_CHECKING:
    import pandas as pd


def write_layers(path: str | Path, layers: Sequence[tuple[str, "pd.DataFrame"]]) -> Path:
    """Write a GeoPackage.

    Parameters
    ----------
    path
        Where; its parents are made.
    layers
        Name and content of each layer; a GeoDataFrame, or a DataFrame for a table without geometry.

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
        try:
            for name, frame in layers:
                pyogrio.write_dataframe(frame, part, layer=name, driver="GPKG")
        except RuntimeError as error:
            # What GDAL says of a disk that is full or not to be written is no OSError.
            cause = str(error).replace(str(part), Path(path).name).splitlines()[0].rstrip(".")
            raise OSError(f"{path}: cannot be written: {cause}.") from None

    with dated():
        return write_whole(path, write)
