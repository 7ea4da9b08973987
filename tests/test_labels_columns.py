"""Which columns of a table are features: what was measured, and nothing that gives the sample away."""

import decimal
import json
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.labels.columns import reason_of_name
from landweave.labels.series import read_series, read_table
from landweave.runs.evaluate import Evaluation, evaluate_table, evaluation_lines

N = 120
LABELS = np.repeat(["crop", "forest", "water"], N // 3)
NOISE = {"b1": np.random.default_rng(0).normal(0, 1, N), "b2": np.random.default_rng(1).normal(0, 1, N)}
DAYS = ("2020-03-01", "2020-06-01")


def wide(folder, **more):
    path = folder / "t.csv"
    pd.DataFrame({**NOISE, "label": LABELS, **more}).to_csv(path, index=False)
    return path


def accuracy(path, **options):
    return evaluate_table(Evaluation(table=path, model="sklearn.tree.DecisionTreeClassifier", **options))


RUNNING = (
    "Unnamed: 0", "fid", "FID", "id", "ID", "OBJECTID", "gid", "ogc_fid", "index", "system:index", "plot_id", "Plot_ID",
    "plot id", "id_plot", "point.id", "sample_no", "PointNr", "polygon_number", "rowid", "level_0", "__index_level_0__",
    "uuid", "oid", "Sample-ID",
)  # fmt: skip
PLACES = ("lon", "LON", "Lat", "Longitude", "latitude", "x", "Y", "long", "lng", "easting", "Northing", "X_coord")


@pytest.mark.parametrize("name", [*RUNNING, *PLACES, "weight", "Fold", "SPLIT", "block", "group"])
def test_numbers_and_places_are_no_features_whatever_their_case(tmp_path, name):
    table = read_table(wide(tmp_path, **{name: np.arange(N) / 7 + 0.01 * NOISE["b1"]}))
    assert table.columns == ("b1", "b2")
    assert "by its name" in table.left_out[name]


@pytest.mark.parametrize(
    "name",
    ["B04", "NDVI", "burn_index", "water_index", "xylem", "latent_heat", "grid", "humid", "arid", "solid", "weights_sum",
     "elevation", "idx", "indices", "VH", "A00", "longwave", "X1", "y_2", "blockiness", "pixel_count", "rapid"],
)  # fmt: skip
def test_names_of_measurements_are_features(name):
    assert reason_of_name(name) is None


@given(st.sampled_from(RUNNING + PLACES), st.data())
def test_case_never_matters(name, data):
    flips = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    assert reason_of_name("".join(c.swapcase() if flip else c for c, flip in zip(name, flips, strict=True)))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(N), "running number"),
        (np.arange(N)[::-1], "running number"),
        (np.arange(N) * 10 + 7, "running number"),
        (np.linspace(0, 1, N), "running number"),
        (np.sort(np.random.default_rng(0).choice(10_000, N, replace=False)), "running number"),
        (np.random.default_rng(0).permutation(N) + 1, "running number"),
        (np.arange(N).astype(str), "running number"),
        (np.full(N, 3.5), "the same value in every row"),
        (np.full(N, np.nan), "no value in any row"),
        (np.unique(LABELS, return_inverse=True)[1], "one value for each label"),
        (np.array([1130, 2000, 7])[np.unique(LABELS, return_inverse=True)[1]], "one value for each label"),
        ((LABELS == "water").astype(int), "one value for each label"),
        (LABELS == "water", "one value for each label"),
        (pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"), "dates"),
        (pd.date_range("2020-01-01", periods=N).strftime("%Y%m%d").astype(int), "dates"),
        (pd.date_range("2020-01-01", periods=N), "dates"),
        (pd.date_range("2020-01-01", periods=N).strftime("%d.%m.%Y"), "text"),
        (["a"] * N, "text"),
        (["12a", "13", *["b"] * (N - 2)], "text (1 of its 120 values are numbers)"),
    ],
)
def test_what_gives_a_sample_away_is_left_out_with_its_reason(tmp_path, values, reason):
    path = wide(tmp_path, given=values)
    table = read_table(path)
    assert table.columns == ("b1", "b2")
    assert table.left_out["given"].startswith(reason) or reason in table.left_out["given"]
    figures = accuracy(path, folds=3)
    assert figures["overall_accuracy"]["value"] < 0.6, "noise teaches nothing"
    assert figures["features"] == ["b1", "b2"]
    assert figures["left_out"]["given"] == table.left_out["given"]
    told = "\n".join(evaluation_lines(figures))
    assert "features         2 columns: b1, b2" in told
    assert f"no feature       given: {table.left_out['given']}" in told
    json.dumps(figures["left_out"])


def test_measurements_stay_features(tmp_path):
    rng = np.random.default_rng(0)
    more = {
        "counts": rng.integers(0, 5000, N), "classes": rng.integers(0, 3, N), "flag": rng.random(N) < 0.5,
        "sorted": np.sort(rng.normal(0, 1, N)), "gaps": np.where(rng.random(N) < 0.5, 1, np.nan),
    }  # fmt: skip
    assert read_table(wide(tmp_path, **more)).columns == ("b1", "b2", *more)


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=6), min_size=10, max_size=30), st.integers(0, 99))
def test_a_shuffle_of_any_labels_code_is_caught_and_noise_is_not(tmp_path_factory, labels, seed):
    labels = ["aa"] * 5 + ["bb"] * 5 + labels
    rng = np.random.default_rng(seed)
    code = dict(zip(sorted(set(labels)), rng.permutation(1000), strict=False))
    path = tmp_path_factory.mktemp("t") / "t.csv"
    noise = rng.normal(0, 1, len(labels))
    pd.DataFrame({"label": labels, "code": [code[name] for name in labels], "b": noise}).to_csv(path, index=False)
    table = read_table(path)
    assert "b" in table.columns
    counts = np.unique(labels, return_counts=True)[1]
    if counts[counts > 1].sum() * 2 >= len(labels):
        assert "label" in table.left_out["code"]


@pytest.mark.parametrize(
    ("write", "hint"),
    [
        (lambda v: f"{v:.4f}".replace(".", ","), "decimals with a point"),
        (lambda v: f"{v:.3f}%", "not per cent"),
        (lambda v: f"{50_000 + v * 1000:,.0f}", "decimals with a point"),
        (lambda v: f"{50_000 + v * 1000:,.1f}".replace(",", " "), "nothing between thousands"),
        (lambda v: f"{v:.3f} ‰", "not per cent"),
        (lambda v: f"{50_000 + v * 1000:,.1f}".replace(",", "'"), "nothing between thousands"),
    ],
)
def test_numbers_written_in_another_way_are_refused_with_their_row(tmp_path, write, hint):
    path = wide(tmp_path, b1=[write(value) for value in NOISE["b1"]])
    with pytest.raises(InputError, match=rf"t\.csv, row 1: b1 is .*; give a number.*{hint}"):
        read_table(path)


@pytest.mark.parametrize(
    "column",
    [
        lambda v: v.astype(str),
        lambda v: [decimal.Decimal(repr(float(x))) for x in v],
        lambda v: pd.Categorical(v.astype(str)),
        lambda v: pd.array(v, "Float64"),
        lambda v: pd.array(v.astype(str), "string"),
    ],
)
def test_numbers_of_parquet_are_taken_whatever_their_type(tmp_path, column):
    pd.DataFrame({"b1": column(NOISE["b1"]), "label": LABELS}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.columns == ("b1",)
    assert np.array_equal(table.X[:, 0], NOISE["b1"].astype("float32"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, "inf", "Infinity"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_infinite_values_are_named(tmp_path, value, suffix):
    values = [*NOISE["b1"][:-1], value]
    if suffix == "csv":
        path = wide(tmp_path, b1=values)
    else:
        path = tmp_path / "t.parquet"
        pd.DataFrame({"b1": [float(v) for v in values], "label": LABELS}).to_parquet(path)
    with pytest.raises(InputError, match=rf"row {N}: b1 is .*finite"):
        read_table(path)


def test_a_test_table_has_the_features_of_the_training_table(tmp_path):
    """A column that is one value in a small test table is a feature all the same, in any order of columns."""
    train, test = wide(tmp_path), tmp_path / "test.csv"
    frame = pd.DataFrame({"b2": 0.5, "label": ["crop", "water"], "b1": [1, 2], "cloud": [0.1, 0.2], "fid": [1, 2]})
    frame.to_csv(test, index=False)
    figures = accuracy(train, test=test)
    assert figures["features"] == ["b1", "b2"]
    assert figures["notes"] == ["Columns of test.csv that are no features of t.csv: cloud."]
    frame.drop(columns="b2").to_csv(test, index=False)
    with pytest.raises(InputError, match=r"test\.csv: no column 'b2', which is a feature"):
        accuracy(train, test=test)


def test_a_sample_that_occurs_twice_is_named_unless_samples_are_the_groups(tmp_path):
    path = wide(tmp_path, sample_id=[7, 7, *range(100, 98 + N)])
    with pytest.raises(InputError, match=r"row 2: sample 7 occurs twice \(first in row 1\)"):
        read_table(path)
    assert len(read_table(path, group="sample_id").groups) == N


@pytest.mark.parametrize("label", ["None", "nan", "NA", "null", "N/A", "<NA>", "NaT"])
def test_words_for_nothing_are_names_of_classes(tmp_path, label):
    names = [label if name == "crop" else name for name in LABELS]
    wide(tmp_path, label=names)
    assert read_table(tmp_path / "t.csv").labels == tuple(names)
    with pytest.raises(InputError, match="row 1: no label"):
        read_table(wide(tmp_path, label=["", *names[1:]]))


def long(folder, *, ids=range(40), places=None, **facts):
    ids = list(ids)
    rng = np.random.default_rng(0)
    rows = [(i, d, i % 2 + rng.normal(0, 0.1)) for i in range(40) for d in DAYS]
    pd.DataFrame(rows, columns=["sample_id", "date", "NDVI"]).to_csv(folder / "x_timeseries.csv", index=False)
    own = {"sample_id": ids, "label": ["ab"[int(float(i)) % 2] for i in ids], **facts}
    pd.DataFrame(own).to_csv(folder / "x_samples.csv", index=False)
    return folder / "x_timeseries.csv"


def test_blocks_need_a_place_of_every_sample(tmp_path):
    lon = [15 + i * 0.2 for i in range(40)]
    path = long(tmp_path, longitude=["" if i == 7 else lon[i] for i in range(40)], latitude=46)
    with pytest.raises(InputError, match=r"1 of 40 samples have no longitude and latitude \(sample 7\); fill"):
        accuracy(path, split="block")
    assert accuracy(path)["split"]["kind"] == "random", "folds at random need no place"
    path = long(tmp_path, longitude=["15,2", *lon[1:]], latitude=46)
    with pytest.raises(InputError, match=r"x_samples\.csv, row 1: longitude is '15,2'; give degrees"):
        accuracy(path, split="block")
    for names in (("Longitude", "LATITUDE"), ("lon", "lat")):
        assert (
            accuracy(long(tmp_path, **dict(zip(names, (lon, 46), strict=True))), split="block")["split"]["kind"]
            == "block"
        )


def test_ids_are_the_same_with_and_without_a_decimal_point(tmp_path):
    path = long(tmp_path, ids=[f"{i}.0" for i in range(40)])
    assert read_table(path).sample_ids == tuple(map(str, range(40)))
    path = long(tmp_path, label=["1.0", "2.0"] * 20)
    assert set(read_table(path).labels) == {"1", "2"}


def test_what_a_table_of_samples_has_more_is_counted(tmp_path):
    path = long(tmp_path, ids=range(43), height=3)
    table = read_table(path)
    assert table.notes == ("3 samples of x_samples.csv have no rows in x_timeseries.csv: 40, 41, 42; left out.",)
    assert read_series(path).notes == table.notes
    assert table.left_out["height"] == "in x_samples.csv, which describes samples"
    assert "note             3 samples of" in "\n".join(evaluation_lines(accuracy(path)))


@pytest.mark.parametrize("column", ["label", "group", "lon", "start_date"])
def test_rows_of_a_sample_that_disagree_are_named(tmp_path, column):
    frame = pd.DataFrame(
        {"sample_id": [1, 1, 2, 2], "date": [*DAYS, *DAYS], "B": [0.1, 0.2, 0.3, 0.4], "label": ["u", "u", "v", "v"],
         "group": "g", "lon": 15.0, "lat": 46.0, "start_date": "2020-01-01"}
    )  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv", group="group").labels == ("u", "v")
    frame[column] = frame[column].astype(object)
    frame.loc[3, column] = {"label": "u", "group": "h", "lon": 16.0, "start_date": "2020-01-02"}[column]
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=rf"row 4: {column} is '.*', but '.*' in row 3 of the same sample"):
        read_table(tmp_path / "t.csv", group="group")


def test_numbers_of_samples_in_a_long_table_are_no_bands(tmp_path):
    path = long(tmp_path)
    frame = pd.read_csv(path)
    frame["plot"], frame["row"], frame["code"] = frame["sample_id"] * 3, np.arange(80), frame["sample_id"] % 2
    frame.to_csv(path, index=False)
    table = read_table(path)
    assert table.columns == ("NDVI",)
    assert [table.left_out[name].split(":")[0].split(",")[0] for name in ("plot", "row", "code")] == [
        "a running number", "a running number", "one value for each label",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_table_as_a_european_spreadsheet_writes_it_is_the_same_table(tmp_path, encoding):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.random((30, 3)).round(3), columns=["b1", "b2", "b3"])
    frame = frame.assign(label=["Wälder", "See"] * 15, longitude=15.123, latitude=46.456)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.to_csv(tmp_path / "there.csv", index=False, sep=";", decimal=",", encoding=encoding)
    plain, there = (read_table(tmp_path / name) for name in ("plain.csv", "there.csv"))
    assert np.array_equal(plain.X, there.X)
    assert (plain.labels, plain.columns) == (there.labels, there.columns)
    assert np.array_equal(plain.longitude, there.longitude)
    assert np.array_equal(plain.latitude, there.latitude)
