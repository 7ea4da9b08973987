"""The reference under suspicion: pieces of it that look like another class to models which never saw them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from landweave.accuracy.confident_learning import doubtful_labels
from landweave.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

LEAST = 25
"""A piece with fewer pixels is not judged: its mean says little."""

LEAST_PART = 50
"""A part of a piece needs more: it was chosen for being doubtful, so some are so by chance."""

HALF = 50
"""A piece of so many pixels gets half of its doubt as its score: fewer say less."""

LARGEST_PART = 0.5
"""A part that is more of its piece than this is the piece."""

MOST_TAUGHT = 20_000
"""Pieces from which the second opinion learns."""

FOLDS = 5

PRECISION = 0.5
"""The list ends where fewer of its entries than this share are wrong, as estimated."""

AUDITED = 30
"""Entries of the list that are drawn at random to be judged."""

Classify = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Features (n, f), columns of labels (n,) and other features (m, f) to probabilities (m, k) by columns of labels."""


def confident_others(label: np.ndarray, p: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The class that a pixel is confidently taken for although its label says another.

    Parameters
    ----------
    label
        Column of each pixel's label, int64 (n,), -1 where there is none.
    p
        Out-of-fold probabilities, (n, k); rows of zeros where no model was asked.
    thresholds
        :func:`landweave.accuracy.confident_learning.self_confidence` of each class, (k,).

    Returns
    -------
    numpy.ndarray
        int64 (n,): a column j with p_j >= t_j, the largest of these, where p_j also exceeds the label's own
        probability (Northcutt, Jiang and Chuang 2021, equation 2, and not by the thresholds alone); else -1.
    """
    found = np.full(len(label), -1, "int64")
    asked = np.flatnonzero((label >= 0) & p.any(axis=1))
    doubts = doubtful_labels(label[asked], p[asked], thresholds=thresholds)
    rows = np.arange(len(asked))
    more = p[asked][rows, doubts.suggested] > p[asked][rows, label[asked]]
    found[asked] = np.where(doubts.is_doubtful & more, doubts.suggested, -1)
    return found


def piece_evidence(
    label: np.ndarray, pieces: np.ndarray, p: np.ndarray, others: np.ndarray, core: np.ndarray
) -> "pd.DataFrame":
    """What the pixels of each piece say together; sums, so that parts of a piece in several patches add up.

    Parameters
    ----------
    label, p, others
        As in :func:`confident_others`, (n,), (n, k) and its answer.
    pieces
        Number of the piece that a pixel belongs to, int64 (n,), 0 for none; a piece has one label.
    core
        Whether the pixel lies away from the edges of its class, bool (n,).

    Returns
    -------
    pandas.DataFrame
        A row a piece: ``piece``, ``label`` (column), ``pixels`` and ``core`` (those of them away from edges) that
        have probabilities, ``p_<column>`` and ``c_<column>`` (sums of probabilities over both), ``s_<column>``
        (pixels that are confidently taken for it).
    """
    import pandas as pd

    k = p.shape[1]
    use = np.flatnonzero((pieces > 0) & (label >= 0) & p.any(axis=1))
    numbers, first, index = np.unique(pieces[use], return_index=True, return_inverse=True)
    n = len(numbers)
    inner = core[use]
    table = {
        "piece": numbers, "label": label[use][first], "pixels": np.bincount(index, minlength=n),
        "core": np.bincount(index[inner], minlength=n),
    }  # fmt: skip
    for j in range(k):
        values = p[use, j].astype("float64")
        table[f"p_{j}"] = np.bincount(index, values, n)
        table[f"c_{j}"] = np.bincount(index[inner], values[inner], n)
    for j in range(k):
        table[f"s_{j}"] = np.bincount(index[others[use] == j], minlength=n)
    return pd.DataFrame(table)


def judge_pieces(
    pieces: "pd.DataFrame",
    parts: "pd.DataFrame | None" = None,
    *,
    classes: Sequence[str],
    classify: Classify | None = None,
    seed: int = 42,
    least: int = LEAST,
) -> "pd.DataFrame":
    """Rank pieces by n / (n + 50) (1 - q_label / mean q_label of the pieces so labelled), n pixels.

    Parameters
    ----------
    pieces
        Rows of :func:`piece_evidence`, added up, one a piece.
    parts
        The same of connected parts whose pixels are confidently taken for one other class, with ``within``: the
        number of their piece.
    classes
        Names by column.
    classify
        Gives the second opinion, see Notes; None takes the pieces' mean probabilities themselves as q.
    seed
        Of the folds.
    least
        Pixels below which a piece is not judged.

    Returns
    -------
    pandas.DataFrame
        The pieces and parts that look more like another class than like their own, the highest score first: the
        columns of ``pieces``, ``part`` (bool), ``within``, ``doubt`` (what n / (n + 50) is multiplied by), ``score``,
        ``reference`` and ``suggested`` (names), ``looks_suggested`` and ``looks_reference`` (q of both), ``share`` (of
        its pixels, that are confidently taken for another class), ``confidence`` (mean probability of the suggested
        class), ``wrong`` (the estimated probability that its label is wrong, :func:`wrong_labels`) and ``evidence`` (a
        sentence).

    Notes
    -----
    The mean of a piece's pixel probabilities is no probability of the piece: pixels of one field err together, and
    classes that look alike lie close at every pixel. So a second classifier learns, from mean probabilities of whole
    pieces (over all pixels, and over those away from edges), which label pieces of such looks bear; each piece is
    judged by one that learnt from others. A piece that looks like many rightly labelled ones is then not doubtful,
    however its pixels were classified. Dividing by the class's mean makes classes that are never sure comparable to
    those that are, as confident learning does.
    """
    k = len(classes)
    pieces = pieces[pieces["pixels"] >= least].sort_values("piece", kind="stable").reset_index(drop=True)
    looks = _looks(pieces, k)
    label = pieces["label"].to_numpy()
    fold = _folds(len(pieces), seed)
    parts = _own_parts(pieces.head(0).assign(within=0) if parts is None else parts, pieces)
    home = fold[np.searchsorted(pieces["piece"].to_numpy(), parts["within"].to_numpy())]
    q, q_parts, looks_parts = _means(pieces, k), _means(parts, k), _looks(parts, k)
    if classify is not None and len(pieces) >= 10 * FOLDS and len(np.unique(label)) > 1:
        for number in range(FOLDS):
            taught, own, of_parts = _some(np.flatnonzero(fold != number), seed), fold == number, home == number
            both = classify(looks[taught], label[taught], np.concatenate([looks[own], looks_parts[of_parts]]))
            q[own], q_parts[of_parts] = both[: own.sum()], both[own.sum() :]
    rows = np.arange(len(pieces))
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = np.bincount(label, q[rows, label], k) / np.bincount(label, minlength=k)
    noise = label_noise(label, q)
    whole = _judged(pieces.assign(part=False, within=pieces["piece"]), q, usual, classes, noise)
    return _ranked([whole, _judged(parts.assign(part=True), q_parts, usual, classes, noise)])


def label_noise(label: np.ndarray, q: np.ndarray) -> np.ndarray:
    """How often what is truly of class j is labelled i: (k, k), columns sum to 1.

    The calibrated confident joint of Northcutt, Jiang and Chuang 2021 (equation 3): pieces labelled i that are
    confidently counted in j, scaled to all pieces labelled i. A class in which nothing is counted is taken as labelled
    right.

    Parameters
    ----------
    label
        Column of each piece's label, int64 (n,).
    q
        Probabilities of the label by the second opinion, which did not see the piece, (n, k).

    >>> p = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.95, 0.05]])
    >>> label_noise(np.array([0, 0, 1, 1]), p).round(2).tolist()
    [[0.67, 0.0], [0.33, 1.0]]
    """
    joint = doubtful_labels(label, q).joint.astype("float64")
    held = joint.sum(axis=1, keepdims=True)
    every = np.bincount(label, minlength=q.shape[1])[:, None]
    joint *= np.divide(every, held, out=np.zeros(held.shape), where=held > 0)
    total = joint.sum(axis=0)
    return np.where(total > 0, joint / np.where(total > 0, total, 1), np.eye(len(joint)))


def wrong_labels(label: np.ndarray, q: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """P(the true class is another than the label) = sum_{j != i} N_ij q_j / sum_j N_ij q_j for label i, (n,).

    Bayes' rule, with q for the classes that things of such looks have and N of :func:`label_noise` for how often such a
    class is labelled i. Labels that are wrong wherever things look so cannot be found by looks, and count as right.

    >>> wrong_labels(np.array([0, 0]), np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.9, 0.1], [0.1, 0.9]])).round(2)
    array([0.01, 0.5 ])
    """
    flows = noise[label] * q
    total = flows.sum(axis=1)
    own = flows[np.arange(len(label)), label]
    return np.where(total > 0, 1 - own / np.where(total > 0, total, 1), 0.0)


def list_length(wrong: np.ndarray, precision: float) -> int:
    """Entries of a ranked list down to which the mean of ``wrong`` reaches a precision; 0 where it never does.

    >>> list_length(np.array([0.4, 0.8, 0.6, 0.2, 0.1]), 0.5), list_length(np.array([0.3]), 0.5)
    (4, 0)
    """
    means = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    reached = np.flatnonzero(means >= precision - 1e-12)
    return int(reached[-1]) + 1 if len(reached) else 0


def audited_precision(wrong: int, judged: int, listed: int, *, level: float = 0.95) -> tuple[float, float, float]:
    """Share of a list that is wrong, from entries that were drawn at random from it: value, low, high.

    The interval holds all numbers of wrong entries in the list under which a draw so extreme is no rarer than
    (1 - level) / 2 on its side: the hypergeometric form of Clopper and Pearson (Buonaccorsi 1987, The American
    Statistician 41:215). It is never too narrow, and a point where all entries were judged.

    Raises
    ------
    InputError
        Where the numbers do not fit.

    >>> [round(x, 2) for x in audited_precision(18, 30, 120)]
    [0.6, 0.43, 0.75]
    """
    if not 0 <= wrong <= judged <= listed or not judged:
        raise InputError(f"{wrong} wrong of {judged} judged of {listed} listed do not fit; judge at least one entry.")
    from scipy.stats import hypergeom

    numbers = np.arange(listed + 1)
    tail = (1 - level) / 2 - 1e-12
    at_least = hypergeom.sf(wrong - 1, listed, numbers, judged)
    at_most = hypergeom.cdf(wrong, listed, numbers, judged)
    fits = numbers[(at_least >= tail) & (at_most >= tail) & (numbers >= wrong) & (numbers <= listed - judged + wrong)]
    return wrong / judged, float(fits.min() / listed), float(fits.max() / listed)


def _ranked(found: "list[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    table = pd.concat([part for part in found if len(part)] or found[:1], ignore_index=True)
    listed = set(table.loc[~table["part"], "piece"])
    # A part of a piece that is listed whole says nothing more.
    table = table[~(table["part"] & table["within"].isin(listed))]
    table = table.sort_values(["score", "pixels", "piece"], ascending=[False, False, True], kind="stable")
    return table.reset_index(drop=True)


def _own_parts(parts: "pd.DataFrame", pieces: "pd.DataFrame") -> "pd.DataFrame":
    """Parts of judged pieces that are large enough and not nearly the whole."""
    size = parts["within"].map(pieces.set_index("piece")["pixels"])
    kept = parts[(parts["pixels"] >= LEAST_PART) & (parts["pixels"] <= LARGEST_PART * size)]
    return kept.reset_index(drop=True)


def _means(table: "pd.DataFrame", k: int) -> np.ndarray:
    """Mean probabilities over all pixels, (n, k)."""
    sums = table[[f"p_{j}" for j in range(k)]].to_numpy()
    return np.asarray(sums / np.maximum(table["pixels"].to_numpy(), 1)[:, None])


def _looks(table: "pd.DataFrame", k: int) -> np.ndarray:
    """Mean probabilities over the pixels away from edges (where there are some), then over all, (n, 2 k)."""
    everywhere = _means(table, k)
    inner = table["core"].to_numpy()[:, None]
    away = table[[f"c_{j}" for j in range(k)]].to_numpy() / np.maximum(inner, 1)
    return np.hstack([np.where(inner >= LEAST // 2, away, everywhere), everywhere])


def _folds(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.arange(n) % FOLDS)


def _some(rows: np.ndarray, seed: int) -> np.ndarray:
    if len(rows) <= MOST_TAUGHT:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_TAUGHT, replace=False))


def _judged(
    table: "pd.DataFrame", q: np.ndarray, usual: np.ndarray, classes: Sequence[str], noise: np.ndarray
) -> "pd.DataFrame":
    rows, label = np.arange(len(table)), table["label"].to_numpy()
    own = q[rows, label]
    rest = q.copy()
    rest[rows, label] = -1
    other = rest.argmax(axis=1)
    size = table["pixels"].to_numpy()
    counts = table[[f"s_{j}" for j in range(len(classes))]].to_numpy()
    means = _means(table, len(classes))
    names = np.array(classes, object)
    # Of a class that no other piece taught nothing is known, so nothing is doubted.
    doubt = np.where(usual[label] > 0, 1 - own / np.where(usual > 0, usual, 1)[label], 0.0)
    judged = table.assign(
        doubt=doubt,
        score=doubt * size / (size + HALF),
        reference=names[label],
        suggested=names[other],
        looks_suggested=rest[rows, other],
        looks_reference=own,
        share=counts.sum(axis=1) / size,
        confidence=means[rows, other],
        wrong=wrong_labels(label, q, noise),
        evidence=[
            f"{n} of {m} pixels look confidently like another class, {s} of them like {names[j]}; "
            f"mean probability of {names[j]} {a:.2f}, of {names[i]} {b:.2f}"
            for n, m, s, i, j, a, b in zip(
                counts.sum(axis=1), size, counts[rows, other], label, other, means[rows, other], means[rows, label],
                strict=True,
            )
        ],
    )  # fmt: skip
    doubtful: pd.DataFrame = judged.loc[(rest[rows, other] > own) & (doubt > 0) & (counts.sum(axis=1) > 0)]
    return doubtful
