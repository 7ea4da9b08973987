"""A land whose grass and bushes differ under snow alone: what a test of reliance on snow must notice."""

import numpy as np
import pytest
from typer.testing import CliRunner

from landweave.cli.app import app
from landweave.sources.simulated.archive.archive import is_archive
from landweave.sources.simulated.country import MIXED, make_country
from landweave.sources.simulated.cover import BANDS, LEGEND, NUMBER
from landweave.sources.simulated.scenes import acquisition_dates, scene
from landweave.sources.simulated.source import SimulatedSource
from landweave.sources.simulated.weather import weather

PAIR = tuple(LEGEND.value_of(name) for name in ("grassland", "shrubland"))
CLEAR = (2, 4, 5, 6, 7, 11)


def told_apart(size_km, seed, *, snow_texture):
    """Balanced accuracy between grassland and shrubland with all dates and with those without snow, on other fields."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import balanced_accuracy_score

    country = make_country(size_km=size_km, seed=seed, snow_texture=snow_texture)
    rows, cols = np.nonzero(np.isin(country.truth, PAIR))
    some = np.random.default_rng(0).permutation(len(rows))[:5000]
    rows, cols = rows[some], cols[some]
    features, snowy = [], []
    for day in acquisition_dates(24, seed=seed):
        pixels = scene(country, day)
        values = np.stack([pixels[band][rows, cols] for band in BANDS], axis=1)
        values[~np.isin(pixels["SCL"][rows, cols], CLEAR)] = -1
        features.append(values)
        snowy.append((pixels["SCL"] == 11).mean() > 0.01)
    features, snowy = np.stack(features, axis=1), np.array(snowy)
    assert 3 <= snowy.sum() <= 21
    label, train = country.truth[rows, cols], country.field_id[rows, cols] % 2 == 0

    def accuracy(dates):
        table = features[:, dates].reshape(len(rows), -1)
        model = ExtraTreesClassifier(50, min_samples_leaf=3, class_weight="balanced", random_state=0)
        model.fit(table[train], label[train])
        return balanced_accuracy_score(label[~train], model.predict(table[~train]))

    return accuracy(np.ones(len(snowy), bool)), accuracy(~snowy)


WORLDS = [(2.5, 2), pytest.param(4, 42, marks=pytest.mark.slow), pytest.param(4, 1, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("size_km", "seed"), WORLDS)
def test_the_pair_is_told_apart_with_snow_and_not_better_than_by_chance_without(size_km, seed):
    with_snow, without = told_apart(size_km, seed, snow_texture=True)
    assert with_snow > 0.95
    # A coin for each of some hundred fields: chance is 0.5, give or take what so few fields allow.
    assert abs(without - 0.5) < 0.06


@pytest.mark.parametrize(("size_km", "seed"), WORLDS)
def test_in_the_usual_land_dates_without_snow_tell_the_pair_apart_nearly_as_well(size_km, seed):
    with_snow, without = told_apart(size_km, seed, snow_texture=False)
    assert without > 0.75
    assert with_snow - without < 0.1


def test_deep_winter_has_clear_days_under_snow_and_no_other_day_has_any():
    for seed in range(60):
        skies = {day: weather(seed, day, snow_texture=True) for day in acquisition_dates(24, seed=seed)}
        snowy = {day: sky for day, sky in skies.items() if sky.snow_line < 0}
        assert {day.month for day in snowy} <= {12, 1, 2, 3}
        assert sum(sky.cover < 0.06 and sky.cirrus == 0 for sky in snowy.values()) >= 3, seed
        assert all(skies[day].snow_line > 5000 for day in skies.keys() - snowy.keys())


def test_the_lowland_is_seen_under_snow_and_bushes_are_the_darker_and_the_rougher():
    country = make_country(size_km=2.5, seed=2, snow_texture=True)
    grass, bushes = (country.kind == NUMBER[name] for name in ("meadow", "overgrown"))
    low = country.elevation < 420
    seen = []
    for day in acquisition_dates(24, seed=2):
        pixels = scene(country, day)
        if weather(2, day, snow_texture=True).snow_line > 0:
            assert not (pixels["SCL"] == 11).any()
            continue
        clear = np.isin(pixels["SCL"], CLEAR) & low
        seen.append(clear.sum() / low.sum())
        if seen[-1] > 0.9:
            one, other = pixels["B03"][grass & clear] / 1e4, pixels["B03"][bushes & clear] / 1e4
            assert one.mean() > other.mean() + 0.2
            assert one.std() / one.mean() < other.std() / other.mean()
    assert sum(share > 0.9 for share in seen) >= 3


def test_a_coin_decides_the_class_and_all_else_is_the_usual_land():
    usual, mixed = (make_country(size_km=2.5, seed=2, snow_texture=flag) for flag in (False, True))
    coined = np.isin(usual.kind, [NUMBER[name] for name in MIXED])
    np.testing.assert_array_equal(mixed.kind[~coined], usual.kind[~coined])
    assert set(np.unique(mixed.kind[coined])) == {NUMBER["meadow"], NUMBER["overgrown"]}
    assert 0.4 < (mixed.kind[coined] == NUMBER["overgrown"]).mean() < 0.6
    for number in np.unique(mixed.field_id[coined])[:200]:
        assert len(np.unique(mixed.truth[mixed.field_id == number])) == 1
    np.testing.assert_array_equal(mixed.elevation, usual.elevation)


def test_the_source_shows_either_land():
    usual, mixed = (SimulatedSource(size_km=1, n_dates=6, seed=2, snow_texture=flag) for flag in (False, True))
    days = usual.dates(None, None)
    assert not mixed.load(mixed.geobox, days, ["B04"]).equals(usual.load(usual.geobox, days, ["B04"]))
    assert (mixed.country.truth != usual.country.truth).any()


def test_the_command_writes_it_and_says_so(tmp_path):
    small = {"size_km": 0.6, "dates": 2, "seed": 5}
    arguments = ["simulate", str(tmp_path), "--size-km", "0.6", "--dates", "2", "--seed", "5", "--l1c"]
    done = CliRunner().invoke(app, [*arguments, "--snow-texture"])
    assert done.exit_code == 0, done.output
    assert is_archive(tmp_path, **small, l1c=True, snow_texture=True)
    assert not is_archive(tmp_path, **small, l1c=True)
    words = (tmp_path / "README.txt").read_text()
    assert "--size-km 0.6 --dates 2 --seed 5 --l1c --snow-texture\n" in words
    assert "L1C" in words
    assert (tmp_path / "archive" / "sentinel-2-l1c" / "collection.json").is_file()
