"""Recipes, indices and custom layers."""

import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.features.indices import INDEX_NAMES, evaluate, expression_bands, index_bands, index_formula
from landweave.features.interpolation import features, layer_values
from landweave.features.recipe import Recipe, target_days
from landweave.features.units import fit_scales
from landweave.import_rule import ImportRule
from landweave.patch.model import NODATA

RECIPE = Recipe(
    bands=("B04", "B08"),
    indices=("ndvi", "evi"),
    custom=(("swir", "B11 + B12"),),
    static=("dem",),
    days=(0, 16, 1000),
    scales={"swir": (2e-4, 0.5), "dem": (0.1, 300.0)},
)


def test_features_run_date_by_date_with_the_layers_without_time_last():
    assert RECIPE.feature_names == (
        *("B04_d000", "B08_d000", "ndvi_d000", "evi_d000", "swir_d000"),
        *("B04_d016", "B08_d016", "ndvi_d016", "evi_d016", "swir_d016"),
        *("B04_d1000", "B08_d1000", "ndvi_d1000", "evi_d1000", "swir_d1000"),
        "dem",
    )


def test_bands_that_only_a_formula_needs_are_read_too():
    assert RECIPE.source_bands == ("B04", "B08", "B02", "B11", "B12")


def test_a_recipe_comes_back_from_json_and_its_text_is_stable():
    text = json.dumps(RECIPE.to_json())
    assert Recipe.from_json(text) == Recipe.from_json(json.loads(text)) == RECIPE
    other = Recipe.from_json(text).with_scales({"swir": (2e-4, 0.5)})
    assert json.dumps(other.to_json()) == text


@pytest.mark.parametrize(
    "change",
    [
        {"bands": "B04"},
        {"bands": [1]},
        {"days": [0.5]},
        {"days": [True]},
        {"days": [16, 0]},
        {"indices": ["nope"]},
        {"custom": [["a"]]},
        {"custom": [["a", "__import__('os')"]]},
        {"custom": {"a": "B04"}},
        {"scales": {"swir": [0, 0]}},
        {"scales": {"swir": ["1", 0]}},
        {"scales": []},
        {"extra": 1},
    ],
)
def test_malformed_json_is_refused_as_input(change):
    with pytest.raises(InputError):
        Recipe.from_json({**RECIPE.to_json(), **change})


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "{"])
def test_what_is_no_recipe_at_all_is_refused(text):
    with pytest.raises(InputError, match="recipe"):
        Recipe.from_json(text)


def test_layers_with_one_name_are_refused():
    with pytest.raises(InputError, match="two layers named 'ndvi'"):
        Recipe(bands=("B04",), indices=("ndvi",), custom=(("ndvi", "B04"),), days=(0,))


def test_a_source_without_a_needed_band_is_refused_with_what_there_is():
    RECIPE.check_source(["B02", "B04", "B08", "B11", "B12", "B99"])
    with pytest.raises(InputError, match="'evi' needs band 'B02'; the source has B04, B08"):
        RECIPE.check_source(["B04", "B08", "B11", "B12"])
    with pytest.raises(InputError, match=r"custom\.swir: .*'B12'; the bands are B02, B04, B08, B11\."):
        RECIPE.check_source(["B02", "B04", "B08", "B11"])
    with pytest.raises(InputError, match="bands names 'B04'"):
        RECIPE.check_source(["NDVI"])


def test_target_days_include_both_ends():
    assert target_days(date(2017, 1, 1), date(2017, 1, 17), 16) == (0, 16)
    assert target_days(date(2017, 1, 1), date(2017, 1, 16), 16) == (0,)
    assert target_days(date(2017, 1, 1), date(2017, 1, 1), 16) == (0,)
    assert len(target_days(date(2017, 1, 1), date(2017, 12, 31), 16)) == 23
    with pytest.raises(InputError, match="swap"):
        target_days(date(2017, 1, 2), date(2017, 1, 1), 16)
    with pytest.raises(InputError, match="at least 1"):
        target_days(date(2017, 1, 1), date(2017, 1, 2), 0)


def test_fitted_units_span_the_training_range():
    recipe = Recipe(bands=("B04",), custom=(("wave", "20*B04 - 3"),), static=("dem", "flat"), days=(0, 10))
    rng = np.random.default_rng(1)
    bands = rng.integers(0, 10000, (1, 2, 5000)).astype("int16")
    valid, days = np.ones((2, 5000), bool), np.array([0, 10])
    static = np.stack([rng.normal(400, 100, 5000), np.full(5000, 7.0)]).astype("float32")
    fitted = fit_scales(recipe, bands, valid, days, static)
    wave = 20 * (bands[0] * 1e-4) - 3
    low, high = np.quantile(wave, [0.0001, 0.9999])
    scale, offset = fitted.scales["wave"]
    assert scale * 65534 == pytest.approx(high - low)
    assert offset == pytest.approx((low + high) / 2)
    assert fitted.scales["flat"] == (1e-4, 7.0)
    assert "B04" not in fitted.scales
    units = features(bands, valid, days, fitted, static=static)
    back = units[:, 1] * scale + offset
    inside = np.abs(units[:, 1]) < 32767
    np.testing.assert_allclose(back[inside], wave[0][inside], atol=scale / 2 * 1.000001)
    assert 0.999 < inside.mean() < 1
    assert fit_scales(fitted, bands, valid, days, static) is fitted


def test_a_layer_without_training_values_gets_some_units():
    recipe = Recipe(bands=(), custom=(("gone", "B04/0"),), days=(0,))
    fitted = fit_scales(recipe, np.ones((1, 1, 3), "int16"), np.ones((1, 3), bool), np.array([0]))
    assert fitted.scales == {"gone": (1e-4, 0.0)}


@pytest.mark.parametrize("name", [name for name in INDEX_NAMES if name != "norm"])
def test_every_index_of_the_table_equals_its_formula(name):
    recipe = Recipe(bands=(), indices=(name,), days=(0,))
    rng = np.random.default_rng(3)
    units = rng.integers(1, 6000, (len(recipe.source_bands), 1, 50)).astype("int16")
    reflectance = dict(zip(recipe.source_bands, units[:, 0] * 1e-4, strict=True))
    expected = evaluate(index_formula(name), reflectance)
    np.testing.assert_allclose(layer_values(units, recipe)[0, 0], expected, rtol=1e-12)
    assert set(index_bands(name, ())) == set(recipe.source_bands)


def test_known_values_of_indices():
    values = {"B02": 0.05, "B04": 0.1, "B08": 0.4, "B11": 0.2}
    arrays = {band: np.array([value]) for band, value in values.items()}
    known = {"ndvi": 0.6, "bsi": -0.2, "evi": 0.75 / 1.625, "savi": 0.45, "evi2": 0.75 / 1.64, "nirv": 0.24}
    for name, value in known.items():
        assert evaluate(index_formula(name), arrays).item() == pytest.approx(value), name


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "B04.real",
        "B04[0]",
        "lambda: 1",
        "B04 if B08 else 1",
        "open(B04)",
        "sqrt(B04, B08) + sqrt(x=1)",
        "min(B04)",
        "sqrt(B04, B08)",
        "'text'",
        "True + B04",
        "1j * B04",
        "B04 // B08",
        "B04 % 2",
        "~B04",
        "B04 < B08",
        "[B04]",
        "f'{B04}'",
        "(B := 3)",
        "1 + sqrt[0]",
        "",
        "B04 +",
        "B04; B08",
        "a:b:c",
        "(" * 400 + "B04" + ")" * 400,
        "1+" * 600 + "1",
        "\x00",
    ],
)
def test_what_is_not_arithmetic_is_refused(text):
    with pytest.raises(InputError) as caught:
        expression_bands(text)
    assert "\n" not in str(caught.value)


def test_a_function_without_its_brackets_is_a_band_that_does_not_exist():
    with pytest.raises(InputError, match="'sqrt'; the bands are B04"):
        evaluate("B04 + sqrt", {"B04": np.ones(1)})


@given(
    st.recursive(
        st.sampled_from(["B04", "B08", "0", "1.5", "1e300"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
            st.tuples(st.sampled_from(["sqrt", "abs", "log", "exp", "-"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
        ),
        max_leaves=6,
    )
)
def test_arithmetic_gives_numbers_or_nan_and_no_warning(text):
    values = {"B04": np.array([0.0, -0.1, 0.5, np.nan]), "B08": np.array([0.0, 0.2, -0.5, 1.0])}
    with np.errstate(all="raise"):
        out = evaluate(text, values)
    assert out.shape == (4,)
    assert not np.isinf(out).any()


def test_no_power_tower_fills_the_memory():
    assert np.isnan(evaluate("9**9**9**9 + B04", {"B04": np.ones(1)})).all()


def test_a_division_by_zero_stays_missing_to_the_end():
    assert np.isnan(evaluate("1/(1/B04)", {"B04": np.zeros(1)})).all()


def test_an_import_path_gets_the_bands(tmp_path):
    (tmp_path / "red.py").write_text("def twice(bands):\n    return 2 * bands['B04']\n")
    path = "red:twice"
    recipe = Recipe(
        bands=("B04",),
        custom=(("twice", path),),
        days=(0,),
        scales={"twice": (1e-4, 0.0)},
        rule=ImportRule(folder=tmp_path),
    )
    out = features(np.array([[[100, NODATA]]], "int16"), np.array([[True, False]]), [0], recipe)
    assert out.tolist() == [[100, 200], [NODATA, NODATA]]


@pytest.mark.parametrize("path", ["no.such.module:f", "math:no_such", "math:pi", "json:loads", "numpy:sum_"])
def test_an_import_path_that_cannot_serve_is_refused(path):
    with pytest.raises(InputError, match="Custom layer"):
        evaluate(path, {"B04": np.ones(3)}, rule=ImportRule(anything=True))
    with pytest.raises(InputError, match=r"Custom layer .* --allow-code"):
        evaluate(path, {"B04": np.ones(3)})
