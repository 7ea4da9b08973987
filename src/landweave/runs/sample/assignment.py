"""Who trains and who tests: roles, folds and quotas of every unit, from what the patches hold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from landweave.errors import InputError
from landweave.labels.draw import land_factors, quotas
from landweave.labels.split import choose_folds, choose_split
from landweave.labels.units import WHOLE, total
from landweave.legend import Legend
from landweave.runs import layout
from landweave.runs.project.settings import Project

Counts = Mapping[str, Mapping[int, int]]

NO_FOLD = -1


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The plan of training and testing, a pure consequence of settings and label counts."""

    kind: str
    """How the split was made: ``patch``, ``block``, ``given`` (a model from elsewhere) or ``none``."""

    units: dict[str, tuple[str, int]]
    """Labelled unit to its role (``train``, ``test``, ``both``) and fold; test units have the fold after the last."""

    quotas: dict[str, dict[int, int]]
    """Unit to class to training pixels."""

    test_rate: float
    """Share of all labelled pixels that are drawn to test: in test units, and out of fold in those that train."""

    counts: dict[str, dict[int, int]]
    """Unit to class to labelled pixels, before erosion."""

    folds: int
    """Number of fold models beside the one that tests; 0 where there are too few units."""

    factors: dict[str, dict[int, float]] = field(default_factory=dict)
    """Role to class to what weights of training pixels are multiplied by, where not every unit gives some."""

    def to_json(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Assignment":
        """The way back from :meth:`to_json`, through JSON, whose keys are text."""

        def by_class(parts: Mapping[str, Mapping[Any, Any]]) -> dict[str, dict[int, Any]]:
            return {unit: {int(value): n for value, n in part.items()} for unit, part in parts.items()}

        return cls(
            kind=content["kind"],
            units={unit: (role, fold) for unit, (role, fold) in content["units"].items()},
            quotas=by_class(content["quotas"]),
            test_rate=content["test_rate"],
            counts=by_class(content["counts"]),
            folds=content["folds"],
            factors=by_class(content.get("factors", {})),
        )

    @property
    def roles(self) -> dict[str, str]:
        """Unit to role."""
        return {unit: role for unit, (role, _) in self.units.items()}

    def land(self, *roles: str) -> dict[int, int]:
        """Labelled pixels of each class in the units of these roles."""
        return total({unit: self.counts[unit] for unit, role in self.roles.items() if role in roles})


def assign(project: Project, legend: Legend, *, cut: int, counts: Counts, core: Counts) -> Assignment:
    """Choose roles, folds and quotas.

    Parameters
    ----------
    project, legend
        Settings and classes.
    cut
        1: units are patches; 2: their quarters.
    counts, core
        Unit to class to labelled pixels, before and after erosion.

    Raises
    ------
    InputError
        When fewer than two classes have training pixels, or so few are drawn that the units that train have none.
    """
    whole = {unit: dict(part) for unit, part in sorted(counts.items())}
    folds: dict[str, int] = {}
    k = 0
    if project.model.path:
        roles, kind = dict.fromkeys(whole, "test"), "given"
    else:
        where = project.path(project.reference.path) if project.reference else project.file
        _refuse_one_class(where, legend, total(core), total(whole))
        roles, kind = _roles(project, whole, core, cut)
        trainers = {unit: dict(core[unit]) for unit, role in roles.items() if role == "train" and unit in core}
        if len(trainers) > 1:
            folds = choose_folds(trainers, k=project.model.folds, seed=project.sampling.seed)
            k = max(folds.values()) + 1
    draws = {}
    if not project.model.path:
        # One quota rule for all land; what test units get of it serves the map's final model only.
        draws = quotas(
            {unit: core[unit] for unit in roles if unit in core}, **project.sampling.rule, seed=project.sampling.seed
        )
        _refuse_few_rows(project, legend, {u: part for u, part in draws.items() if roles[u] != "test" and part}, folds)
    labelled = sum(sum(part.values()) for part in whole.values())
    factors = {}
    for role in sorted(set(roles.values())) if draws else ():
        own = [unit for unit in draws if roles[unit] == role]
        found = land_factors({unit: core[unit] for unit in own}, {unit: draws[unit] for unit in own})
        factors[role] = {value: factor for value, factor in found.items() if factor != 1}
    return Assignment(
        kind=kind,
        units={unit: (role, k if role == "test" else folds.get(unit, NO_FOLD)) for unit, role in roles.items()},
        quotas={unit: {int(c): int(n) for c, n in part.items()} for unit, part in draws.items()},
        test_rate=min(1.0, project.sampling.test_pixels / labelled) if labelled else 1.0,
        counts=whole,
        folds=k,
        factors={role: part for role, part in factors.items() if part},
    )


def _roles(project: Project, whole: Counts, core: Counts, cut: int) -> tuple[dict[str, str], str]:
    if len(whole) > 1:
        roles = choose_split(whole, test_fraction=project.model.test_fraction, seed=project.sampling.seed)
        taught = total({unit: core[unit] for unit, role in roles.items() if role == "train" and unit in core})
        if len(taught) > 1:
            return dict(roles), "patch" if cut == WHOLE else "block"
    return dict.fromkeys(whole, "both"), "none"


def _refuse_one_class(where: Path, legend: Legend, core: Mapping[int, int], whole: Mapping[int, int]) -> None:
    if len(core) > 1:
        return
    found = ", ".join(legend.names[value] for value in core) or "none"
    hint = "; erosion left nothing of the others" if len(whole) > 1 else ""
    raise InputError(
        f"{where}: fewer than two classes have training pixels in the patches (found: {found}){hint}; check the place "
        "of the reference, reference.column, the legend's codes and reference.erosion."
    )


def _refuse_few_rows(project: Project, legend: Legend, draws: Counts, folds: Mapping[str, int]) -> None:
    """InputError where the map's model, or one of the folds, would have nothing to learn from."""
    taught = total(draws)
    name, amount = next(iter(project.sampling.rule.items()))
    where = f"{project.file}: sampling.{name} = {amount:g} is too small"
    if len(taught) < 2:
        found = ", ".join(legend.names[value] for value in taught) or "none"
        raise InputError(
            f"{where}: pixels of fewer than two classes are drawn in the places that train (found: {found}); raise it."
        )
    if folds and len({folds[unit] for unit in draws}) < 2:
        raise InputError(f"{where}: all training pixels are in one place, so that cross-validation has none; raise it.")


def fold_folders(assignment: Assignment | None, units: Sequence[str]) -> dict[str, str]:
    """Unit to the folder of the model that never saw it; units that no model can speak of are left out.

    A unit that the model was trained without (its patch had failed) is asked of the testing model.
    """
    if assignment is None or assignment.kind in {"none", "given"}:
        return {}
    folders = {}
    for unit in units:
        role, fold = assignment.units.get(unit, ("test", NO_FOLD))
        if role == "test":
            folders[unit] = layout.TESTER
        elif fold != NO_FOLD:
            folders[unit] = layout.fold(fold)
    return folders
