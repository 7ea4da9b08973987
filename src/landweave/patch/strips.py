"""Arrays in strips: read some rows with a halo, work on them, write the rows without it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any


def strip_rows(height: int, strip: int) -> Iterator[slice]:
    """Rows 0..height in strips of at most ``strip`` rows, top to bottom.

    >>> list(strip_rows(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if strip < 1:
        raise ValueError(f"A strip has at least one row, not {strip}.")
    for start in range(0, height, strip):
        yield slice(start, min(start + strip, height))


def map_strips(
    read: Callable[[slice], Any],
    *steps: Callable[[Any], Any],
    write: Callable[[slice, Any], None],
    height: int,
    strip: int = 64,
    halo: int = 0,
) -> None:
    """Run ``steps`` over strips of rows, so that never more than two strips are held.

    While one strip is worked on, the next is read, in a thread that is one and the same for every call: files that
    it keeps open serve the next patch too. The order of reading, of the steps and of writing is from top to bottom,
    as it would be without.

    Parameters
    ----------
    read
        Given rows, returns whatever the first step takes. Called once the strip before the last one has been written;
        it may not call this function.
    steps
        Each takes what the one before returned. The last result's rows are its second axis from the end
        (``(..., y, x)``); a tuple of such arrays is cropped array by array.
    write
        Given rows and the last result without the halo; called top to bottom.
    height
        Rows in all.
    strip
        Rows at a time.
    halo
        Rows read beyond the strip on either side, where they exist, for steps that look at neighbours.
    """
    strips = list(strip_rows(height, strip))
    wide = [slice(max(rows.start - halo, 0), min(rows.stop + halo, height)) for rows in strips]
    coming = _reader().submit(read, wide[0]) if strips else None
    try:
        for number, rows in enumerate(strips):
            assert coming is not None
            result = coming.result()
            coming = _reader().submit(read, wide[number + 1]) if number + 1 < len(strips) else None
            for step in steps:
                result = step(result)
            inner = slice(rows.start - wide[number].start, rows.stop - wide[number].start)
            if isinstance(result, tuple):
                write(rows, tuple(array[..., inner, :] for array in result))
            else:
                write(rows, result[..., inner, :])
            # Else it would be held while the next strip is waited for.
            del result
    finally:
        # Nobody reads on behind the back of a caller who has failed.
        if coming is not None and not coming.cancel():
            coming.exception()


@lru_cache(maxsize=1)
def _reader() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="strips")
