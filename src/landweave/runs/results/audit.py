"""The random audit of the list of label errors: which share of it is wrong, by people who judged a random part."""

from pathlib import Path
from typing import Any

from landweave.accuracy.label_errors import audited_precision
from landweave.errors import InputError
from landweave.labels.verdicts.store import agreed, crs_of_verdicts, read_verdicts
from landweave.runs import layout
from landweave.runs.results.queue import AUDIT, drawn_to_audit, open_queue, places_of
from landweave.runs.results.run import FinishedRun


def audited(run: FinishedRun, *, file: str | Path | None = None) -> dict[str, Any]:
    """Which share of the list of label errors is wrong: a design-based figure with an interval (95 %).

    Parameters
    ----------
    run
        The finished run whose list was judged. Read it before the next run corrects the reference: a corrected list is
        another one.
    file
        What ``landweave view --verdicts audit`` wrote; default: ``[reference] verdicts``, else ``verdicts.gpkg`` beside
        the project file.

    Returns
    -------
    dict
        ``listed``, ``drawn`` (at random), ``judged`` (on whose class all interpreters agree), ``wrong`` (where that is
        another class than the reference's), ``precision`` ``{value, low, high}`` and ``estimated``, the precision that
        the list was cut by.

    Raises
    ------
    InputError
        When there is no list, or none of the drawn entries has a verdict. The first in order were drawn at random too,
        so an audit may stop early; one that skips entries is no random audit any more.
    """
    import geopandas as gpd

    path = open_queue(run, AUDIT, file=file).file.path
    frame = gpd.read_file(run.folder / layout.LABEL_ERRORS)
    drawn = drawn_to_audit(frame)
    crs = crs_of_verdicts(path) if path.exists() else None
    given: dict[str, list[str | None]] = {}
    for verdict in read_verdicts(path) if crs is not None else ():
        given.setdefault(verdict.place.key, []).append(None if verdict.unsure else verdict.name)
    named = [agreed(given.get(place.key, [])) for place in places_of("label_errors", drawn, crs or str(drawn.crs))]
    verdicts = [(name, own) for name, own in zip(named, drawn["reference_class"], strict=True) if name is not None]
    if not verdicts:
        raise InputError(
            f"{path}: no verdict on any of the {len(drawn)} places drawn at random; give them with "
            "`landweave view --verdicts audit`."
        )
    wrong = sum(name != own for name, own in verdicts)
    value, low, high = audited_precision(wrong, len(verdicts), len(frame))
    return {
        "listed": len(frame), "drawn": len(drawn), "judged": len(verdicts), "wrong": wrong,
        "precision": {"value": value, "low": low, "high": high}, "estimated": float(frame["precision"].iloc[-1]),
    }  # fmt: skip
