"""Vector files that cannot be read, and the one line to say so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landweave.errors import InputError


@contextmanager
def damage_is_input_error(
    path: Path | str, advice: str = "the file is damaged; replace or repair it"
) -> Iterator[None]:
    """Turn what GDAL and GEOS raise for a damaged vector file into InputError.

    Parameters
    ----------
    path
        The file, for the message.
    advice
        Words for the message, without a full stop.

    Raises
    ------
    InputError
        If the file, a feature or a geometry cannot be read.
    """
    from pyogrio.errors import DataLayerError, DataSourceError
    from shapely.errors import ShapelyError

    try:
        yield
    except InputError:
        raise
    # UnicodeDecodeError, a ValueError: GDAL's own message may quote the damaged bytes.
    except (DataSourceError, DataLayerError, ShapelyError, ValueError, IndexError) as error:
        words = " ".join(str(error).split()).rstrip(".")[:200]
        raise InputError(f"{path}: {advice} ({words}).") from None
