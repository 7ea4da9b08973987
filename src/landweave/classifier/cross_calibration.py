"""Temperatures chosen on rows that no model has seen: each part of the rows is predicted by a model of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from landweave.classifier.calibration import align_columns, apply_temperature, fit_temperature
from landweave.classifier.model import Model


def cross_calibrate(
    models: Mapping[str, Model],
    parts: Mapping[str, np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    *,
    classes: Sequence[int],
    weights: np.ndarray,
    land: np.ndarray | None = None,
    soften: bool = True,
    threads: int = 1,
) -> tuple[dict[str, Model], np.ndarray]:
    """Give all models the temperatures that fit the held-out rows.

    A model with a prior must first be right about the training rows; then it is moved to the land's shares; then it
    must be right about the land. Without a prior there is only the last step.

    Parameters
    ----------
    models
        Name to model, with its prior and without temperatures. All of them have a prior, or none.
    parts
        Name of a model to the rows, bool (n,), that it never saw.
    X
        (n, f) features as for :meth:`.Model.probabilities`.
    y
        (n,) class values.
    classes
        Class value of each column of the result.
    weights
        (n,) land that each row stands for; used by the last step.
    land
        Rows, bool (n,), that were drawn from all land, whatever models are trained on: the last step fits these, and
        the first one the others. None: both fit all rows.
    soften
        Whether to fit the last temperature; it is 1 otherwise.
    threads
        As for :meth:`.Model.probabilities`.

    Returns
    -------
    models
        The same models with ``training_temperature`` and ``temperature``.
    held_out
        Calibrated probabilities float32 (n, len(classes)), each part's by the last temperature that fits the other
        parts, where they have rows for it; NaN for rows of no part.
    """
    held_out = np.full((len(y), len(classes)), np.nan, "float32")
    # A model that never saw a class cannot know it: such rows do not show whether the model is too sure.
    fair = np.zeros(len(y), bool)

    def ask(models: Mapping[str, Model]) -> None:
        for name, part in parts.items():
            held_out[part] = spread(models[name], X[part], classes, threads=threads)
            fair[part] = np.isin(y[part], models[name].classes)

    if any(model.prior is not None for model in models.values()):
        plain = {name: replace(model, prior=None) for name, model in models.items()}
        ask(plain)
        drawn = fair if land is None else fair & ~land
        training = _temperature(held_out[drawn], y[drawn], classes, None)
        models = {name: replace(model, training_temperature=training) for name, model in models.items()}
    ask(models)
    last = fair if land is None or not (fair & land).any() else fair & land
    temperature = _temperature(held_out[last], y[last], classes, weights[last]) if soften else 1.0
    raw = held_out.copy()
    for part in parts.values():
        # Figures of these rows must not flatter a temperature that was fitted on them.
        others = last & ~part
        own = temperature
        if soften and (last & part).any() and (weights[others] > 0).any():
            own = _temperature(raw[others], y[others], classes, weights[others])
        held_out[part] = apply_temperature(raw[part], own)
    return {name: replace(model, temperature=temperature) for name, model in models.items()}, held_out


def spread(model: Model, X: np.ndarray, classes: Sequence[int], *, threads: int = 1) -> np.ndarray:
    """Probabilities float32 (n, len(classes)) under these classes, in this order; 0 for those the model lacks."""
    return align_columns(model.probabilities(X, threads=threads), model.classes, classes)


def _temperature(p: np.ndarray, y: np.ndarray, classes: Sequence[int], weights: np.ndarray | None) -> float:
    known = ~np.isnan(p[:, 0])
    if not known.any():
        return 1.0
    column = {value: i for i, value in enumerate(classes)}
    true = np.array([column[value] for value in y[known]])
    return fit_temperature(p[known], true, None if weights is None else weights[known])
