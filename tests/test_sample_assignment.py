"""Who trains and who tests."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.runs.project.settings import make_project
from landweave.runs.sample.assignment import NO_FOLD, assign

CLASSES = Legend.from_labels(["forest", "meadow", "water"])
COUNTS = st.dictionaries(
    st.sampled_from([f"p{i:02d}" for i in range(20)]),
    st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(1, 500), min_size=1),
    min_size=1,
)


def project(**tables):
    content = {"name": "x", "source": {"type": "simulated"}, "reference": {"path": "r"}, **tables}
    return make_project(content, file=Path("landweave.toml"))


def classes_in(counts):
    return {value for part in counts.values() for value in part}


@given(COUNTS.filter(lambda c: len(classes_in(c)) > 1), st.sampled_from([1, 2]), st.randoms())
def test_the_plan_is_a_consequence_of_counts_and_settings_alone(counts, cut, random):
    plan = assign(project(), CLASSES, cut=cut, counts=counts, core=counts)
    units = list(counts)
    random.shuffle(units)
    shuffled = {unit: dict(reversed(counts[unit].items())) for unit in units}
    assert assign(project(), CLASSES, cut=cut, counts=shuffled, core=shuffled) == plan
    assert type(plan).from_json(plan.to_json()) == plan


@given(COUNTS.filter(lambda c: len(classes_in(c)) > 1), st.sampled_from([1, 2]))
def test_every_labelled_unit_has_a_role_and_no_test_unit_lies_in_a_training_fold(counts, cut):
    plan = assign(project(), CLASSES, cut=cut, counts=counts, core=counts)
    assert list(plan.roles) == sorted(counts)
    folds = [fold for role, fold in plan.units.values() if role == "train"]
    if plan.kind == "none":
        assert set(plan.roles.values()) == {"both"}
        assert {fold for _, fold in plan.units.values()} == {NO_FOLD}
        assert plan.land("both") == plan.land("train", "test", "both")
    else:
        assert plan.kind == ("patch" if cut == 1 else "block")
        assert set(plan.roles.values()) == {"train", "test"}
        assert {fold for role, fold in plan.units.values() if role == "test"} == {plan.folds}
        assert set(folds) == (set(range(plan.folds)) if plan.folds else {NO_FOLD})
        assert len(classes_in({unit: counts[unit] for unit, role in plan.roles.items() if role == "train"})) > 1
        train, test = plan.land("train"), plan.land("test")
        assert {v: train.get(v, 0) + test.get(v, 0) for v in plan.land("train", "test")} == plan.land("train", "test")


@given(COUNTS.filter(lambda c: len(classes_in(c)) > 1), st.integers(1, 800))
def test_quotas_take_no_more_than_there_is_and_all_that_the_rule_allows(counts, per_class):
    try:
        plan = assign(project(sampling={"per_class": per_class}), CLASSES, cut=1, counts=counts, core=counts)
    except InputError as error:
        assert f"sampling.per_class = {per_class} is too small" in str(error)  # noqa: PT017 - few, but not none
        assert per_class < len(counts)
        return
    for unit, part in plan.quotas.items():
        assert all(0 <= n <= counts[unit][value] for value, n in part.items())
    for value in classes_in(counts):
        there = sum(part.get(value, 0) for part in counts.values())
        assert sum(part.get(value, 0) for part in plan.quotas.values()) == min(per_class, there)


def test_a_draw_that_leaves_a_model_without_rows_is_refused_at_once():
    counts = {f"p{i}": {1: 300, 2: 200} for i in range(5)}
    with pytest.raises(InputError, match=r"landweave.toml: sampling.per_class = 1 is too small: "):
        assign(project(sampling={"per_class": 1}), CLASSES, cut=1, counts=counts, core=counts)


@given(st.integers(1, 5000))
def test_pixels_of_all_land_are_drawn_at_the_one_rate_that_gives_the_number_asked_for(wanted):
    counts = {f"p{i}": {1: 300, 2: 200} for i in range(10)}
    plan = assign(project(sampling={"test_pixels": wanted}), CLASSES, cut=1, counts=counts, core=counts)
    assert plan.test_rate * 5000 == pytest.approx(min(wanted, 5000))


def test_units_that_erosion_emptied_test_but_do_not_train():
    counts = {f"p{i}": {1: 300, 2: 200} for i in range(10)}
    core = {unit: part for unit, part in counts.items() if unit not in {"p3", "p4"}}
    plan = assign(project(), CLASSES, cut=1, counts=counts, core=core)
    assert set(plan.roles) == set(counts)
    assert set(plan.quotas) == set(core)
    for unit in ("p3", "p4"):
        role, fold = plan.units[unit]
        assert fold == (plan.folds if role == "test" else NO_FOLD)


def test_a_class_of_two_units_is_on_both_sides():
    counts = {f"p{i}": {1: 300, 2: 200} for i in range(10)}
    counts["p2"] = counts["p7"] = {1: 300, 2: 200, 3: 4}
    plan = assign(project(), CLASSES, cut=1, counts=counts, core=counts)
    assert plan.land("train")[3] == plan.land("test")[3] == 4


@pytest.mark.parametrize("core", [{}, {"p": {2: 9}}, {"p": {2: 9}, "q": {2: 1}}])
def test_fewer_than_two_classes_to_learn_from_are_refused_in_one_line(core):
    counts = {"p": {1: 50, 2: 50}, "q": {2: 3}}
    with pytest.raises(InputError, match=r"[Ff]ewer than two classes.*erosion left nothing") as caught:
        assign(project(), CLASSES, cut=1, counts=counts, core=core)
    assert "\n" not in str(caught.value)


@given(COUNTS)
def test_a_given_model_is_tested_everywhere_and_taught_nothing(counts):
    plan = assign(project(model={"path": "elsewhere"}), CLASSES, cut=1, counts=counts, core={})
    assert (plan.kind, plan.quotas, plan.folds) == ("given", {}, 0)
    assert set(plan.roles.values()) == {"test"}
