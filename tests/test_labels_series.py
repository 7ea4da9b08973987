import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.labels.folds import block_ids, group_folds, random_folds
from landweave.labels.series import read_series, read_table


def long_form(folder, *, ids=(3, 1), steps=3, suffix="parquet", **samples):
    """Sample i has RED = i + step / 10 and NIR = -RED; rows are shuffled."""
    rows = [
        (i, f"{2010 + i}-0{step + 1}-15", i + step / 10, -i - step / 10) for i in ids for step in range(steps)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["sample_id", "date", "RED", "NIR"]).sample(frac=1, random_state=1)
    path = folder / f"a_timeseries.{suffix}"
    table.to_parquet(path, index=False) if suffix == "parquet" else table.to_csv(path, index=False)
    facts = {"sample_id": list(ids), "label": [f"c{i}" for i in ids], **samples}
    pd.DataFrame(facts).to_csv(folder / "a_samples.csv", index=False)
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_kth_observation_in_date_order_is_feature_k(tmp_path, suffix):
    path = long_form(tmp_path, suffix=suffix, longitude=[10.0, 11.0], latitude=[45.0, 46.0], farm=["x", 2])
    table = read_table(path, group="farm")
    assert table.feature_names == ("RED_000", "NIR_000", "RED_001", "NIR_001", "RED_002", "NIR_002")
    assert table.X.dtype == "float32"
    assert np.allclose(table.X, [[3, -3, 3.1, -3.1, 3.2, -3.2], [1, -1, 1.1, -1.1, 1.2, -1.2]])
    assert (table.labels, table.sample_ids, table.groups) == (("c3", "c1"), ("3", "1"), ("x", "2"))
    assert table.longitude.tolist() == [10, 11]


def test_series_are_aligned_by_days_since_their_start(tmp_path):
    path = long_form(tmp_path, start_date=["2013-01-10", ""], farm=["x", "y"])
    series = read_series(path)
    assert series.bands == ("RED", "NIR")
    assert [days.tolist() for days in series.days] == [[5, 36, 64], [0, 31, 59]]
    assert np.allclose(series.values[1], [[1, -1], [1.1, -1.1], [1.2, -1.2]])
    assert series.groups == {"farm": ("x", "y")}
    assert series.longitude is None


def test_series_of_different_length_are_series_but_no_table(tmp_path):
    path = long_form(tmp_path, ids=(1, 2, 3, 4))
    table = pd.read_parquet(path)
    table[~((table["sample_id"] == 2) & table["date"].str.contains("-01-"))].to_parquet(path)
    assert [len(days) for days in read_series(path).days] == [3, 2, 3, 3]
    with pytest.raises(InputError, match=r"samples have 3 observations, except 2 \(2\)"):
        read_table(path)


def test_wide_form_knows_what_is_no_feature(tmp_path):
    wide = pd.DataFrame(
        {"label": [1, 2], "plot_id": [7, 8], "x": [0, 1], "fold": [0, 1], "farm": [4, 5], "name": ["p", "q"],
         "B_001": [0.5, np.nan], "B_002": [1, 2]}
    )  # fmt: skip
    wide.to_csv(tmp_path / "w.csv", index=False)
    table = read_table(tmp_path / "w.csv", group="farm")
    assert table.feature_names == ("B_001", "B_002")
    assert np.array_equal(table.X, np.array([[0.5, 1], [np.nan, 2]], "float32"), equal_nan=True)
    assert (table.labels, table.groups, table.sample_ids) == (("1", "2"), ("4", "5"), ("0", "1"))
    with pytest.raises(InputError, match="no column 'sample_id'"):
        read_series(tmp_path / "w.csv")


def test_bad_tables_are_told(tmp_path):
    def wide(**columns):
        pd.DataFrame(columns).to_csv(tmp_path / "w.csv", index=False)
        return tmp_path / "w.csv"

    def told(message, path, **options):
        with pytest.raises(InputError, match=message) as caught:
            read_table(path, **options)
        assert "\n" not in str(caught.value)

    told("no such table", tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    told("bad.parquet: not readable as a table", tmp_path / "bad.parquet")
    (tmp_path / "empty.csv").write_text("")
    told("empty.csv: the file is empty", tmp_path / "empty.csv")
    told("no column 'label', so no labels; it has a, b", wide(a=[1], b=[2]))
    told(r"row 2: no label \(1 rows without one\)", wide(label=["u", None], b=[2, 3]))
    told("no numeric columns to learn from", wide(label=["u", "v"], name=["a", "b"]))
    told("row 2: b is 'many'; give a number", wide(label=["u", "v"], b=["2", "many"]))
    told("no group column 'farm'; there are label, plot_id", wide(label=["u"], plot_id=[2], b=[0.1]), group="farm")
    path = long_form(tmp_path)
    told("no group column 'farm'; there are label", path, group="farm")
    told("no column 'crop', so no labels; it has sample_id, label", path, label="crop")
    facts = tmp_path / "a_samples.csv"
    facts.write_text("sample_id,label\n3,c\n")
    told("a_samples.csv: no row for sample 1 of a_timeseries.parquet", path)
    facts.write_text("sample_id,label\n3,c\n3,d\n1,e\n")
    told("sample 3 occurs twice", path)
    facts.write_text("id,label\n3,c\n")
    told("no column 'sample_id'; it has id, label", path)
    facts.unlink()
    told("no column 'label' and no samples table beside it", path)
    told("elsewhere.csv: no such table", path, samples=tmp_path / "elsewhere.csv")
    path = long_form(tmp_path)
    table = pd.read_parquet(path)
    pd.concat([table, table.iloc[:1]]).to_parquet(path)
    told("has two rows of", path)
    table.assign(date="soon").to_parquet(path)
    told("row 1: 'soon' is not a date", path)


@given(st.lists(st.sampled_from("aab"), min_size=4, max_size=60), st.integers(2, 5), st.integers(0, 3))
def test_random_folds_are_even_and_silent(labels, k, seed):
    labels = ["a", "b", *labels]
    if max(labels.count("a"), labels.count("b")) < k:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = random_folds(labels, k=k, seed=seed)
    assert folds.tolist() == random_folds(labels, k=k, seed=seed).tolist()
    for name in "ab":
        sizes = np.bincount(folds[np.array(labels) == name], minlength=k)
        assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(0, 30), min_size=40, max_size=80), st.integers(0, 3))
def test_no_group_lies_in_two_folds(groups, seed):
    labels = np.where(np.arange(len(groups)) % 3 == 0, "a", "b").tolist()
    if len(set(groups)) < 5:
        return
    folds = group_folds(list(map(str, groups)), labels, seed=seed)
    for group in set(groups):
        assert len(set(folds[np.array(groups) == group])) == 1


def test_folds_that_cannot_be_made_are_told():
    with pytest.raises(InputError, match="All samples have the class 'u'"):
        random_folds(["u"] * 9)
    with pytest.raises(InputError, match="no samples"):
        random_folds([])
    with pytest.raises(InputError, match="3 samples are too few for 5 folds"):
        random_folds(["u", "v", "v"])
    with pytest.raises(InputError, match="Every class has fewer samples than the 5 folds"):
        random_folds(["u", "v", "w"] * 2)
    with pytest.raises(InputError, match="2 groups are too few for 3 folds"):
        group_folds(["1", "2"] * 4, ["u", "v"] * 4, k=3)
    with pytest.raises(InputError, match="1 folds"):
        random_folds(["u", "v"], k=1)


def test_blocks_are_squares_of_degrees_also_on_their_borders():
    assert block_ids([-46.2, 0.0, 0.3, -0.05], [0.1, 0.0, -0.3, 0.7]) == ["-462_1", "0_0", "3_-3", "-1_7"]
    with pytest.raises(InputError, match="block size is 0"):
        block_ids([0.0], [0.0], 0)


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("cbers4_awfi_bahia/cbers_samples_022024", 0.1, (697, 138)),
        ("s2_rondonia_pixels/s2_rondonia_pixels", 0.05, (358, 396)),
    ],
)
def test_real_tables_are_whole_and_their_blocks_are_ours(shared_data, name, size, shape):
    table = read_table(shared_data / f"{name}_timeseries.parquet", group="block")
    assert table.X.shape == shape
    assert np.isfinite(table.X).all()
    assert tuple(block_ids(table.longitude, table.latitude, size)) == table.groups
    with np.load(shared_data / f"{name}.npz") as kept:
        order = [list(kept["bands"]).index(n.removesuffix("_000")) for n in table.feature_names if n.endswith("_000")]
        assert np.allclose(table.X, kept["X"][:, :, order].reshape(len(table.X), -1))
        assert list(table.labels) == list(kept["y"])


def test_a_learner_reaches_the_figure_of_an_independent_run_on_modis(shared_data):
    from lightgbm import LGBMClassifier

    table = read_table(shared_data / "sits_modis_matogrosso/samples_modis_ndvi_timeseries.parquet")
    labels, folds = np.array(table.labels), random_folds(table.labels)
    right = 0
    for fold in range(5):
        model = LGBMClassifier(random_state=42, n_jobs=1, verbose=-1)
        model.fit(pd.DataFrame(table.X[folds != fold]), labels[folds != fold])
        right += (model.predict(pd.DataFrame(table.X[folds == fold])) == labels[folds == fold]).sum()
    assert 0.89 <= right / len(labels) <= 0.92


def test_a_table_of_one_class_is_told_where_folds_are_made(shared_data):
    table = read_table(shared_data / "sits_modis_matogrosso/point_mt_6bands_timeseries.parquet")
    with pytest.raises(InputError, match="All samples have the class 'NoClass'"):
        random_folds(table.labels)


def test_formosat_is_wide_and_its_polygons_are_no_feature(shared_data):
    train = read_table(shared_data / "formosat2_toulouse_pixels/train_wide.parquet", group="polygon_id")
    assert train.X.shape == (260, 447)
    assert len(set(train.labels)) == 13
    assert train.longitude is None
