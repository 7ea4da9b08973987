"""The project file: every table refuses what it does not know, and says where."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.runs.project.settings import Project, make_project, read_project
from landweave.runs.project.starter.text import project_text

SOUND = """\
name = "x"

[area]
bounds = [14.0, 45.0, 15.0, 46.0]
subset = { center = [14.5, 45.5], size = "1x1" }

[period]
start = 2017-01-01

[source]
type = "rasters"
table = "images.csv"

[features]
bands = ["B04"]
indices = []
custom.ratio = "B04 / 2"

[reference]
path = "register.gpkg"

[sampling]
seed = 7

[model]
params = { num_leaves = 8, verbosity = -1 }
thresholds = { water = 0.3 }

[map]
resolution = 20

[districts]
path = "districts.gpkg"
column = "name"

[[places]]
name = "A"
lon = 14.5
lat = 45.5

[[places]]
name = "B"
lon = 14.6
lat = 45.6
"""
TABLES = ["area", "period", "source", "features", "reference", "sampling", "model", "map", "districts"]


def complaint(tmp_path, text):
    path = tmp_path / "landweave.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_project(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}:")
    return line.removeprefix(f"{path}:")


def replaced(before, after):
    assert before in SOUND
    return SOUND.replace(before, after, 1)


def test_the_file_means_what_it_says(tmp_path):
    path = tmp_path / "landweave.toml"
    path.write_text(SOUND)
    project = read_project(path)
    assert project.area.bounds == (14, 45, 15, 46)
    assert project.area.subset.size == "1x1"
    assert project.features.custom == {"ratio": "B04 / 2"}
    assert project.model.params == {"num_leaves": 8, "verbosity": -1}
    assert [place.name for place in project.places] == ["A", "B"]
    assert project.path("a/../b.csv") == tmp_path.resolve() / "b.csv"
    assert read_project(str(path)) == project


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_key_of_any_table_is_named_with_its_line(tmp_path, table):
    text = replaced(f"[{table}]\n", f"[{table}]\nxyzzy = 1\n")
    line = text.splitlines().index("xyzzy = 1") + 1
    assert complaint(tmp_path, text).startswith(f"{line} unknown key '{table}.xyzzy'; known keys: ")


@given(st.sampled_from(sorted(set(Project.model_fields) - {"file", "allow_code"})), st.data())
def test_a_slip_of_the_pen_is_answered_with_the_key_that_was_meant(tmp_path_factory, name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    slip = name[: at + 1] + name[at:]
    answer = complaint(tmp_path_factory.mktemp("slip"), f"{slip} = 1\n{SOUND}")
    assert answer == f"1 unknown key '{slip}'; did you mean '{name}'?"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('size = "1x1"', 'sise = "1x1"', "5 unknown key 'area.subset.sise'; did you mean 'size'?"),
        ("lat = 45.6", "lat = 45.6\nlatt = 3", "45 unknown key 'places.1.latt'; did you mean 'lat'?"),
        ('name = "B"', 'name = "A"', "41 places: two places are called 'A'; give each its own name"),
        ("lat = 45.6", "", "41 'places.1.lat' is missing; add it."),
        ("lat = 45.6", "lat = 95", "44 places.1.lat: Input should be less than or equal to 90 (given: 95)."),
        ("[14.0, 45.0, 15.0, 46.0]", "[14.0, 45.0, 15.0]", "'area.bounds.3' is missing"),
        ("[14.0, 45.0, 15.0, 46.0]", '"west"', "4 area.bounds: "),
        ('[source]\ntype = "rasters"\ntable = "images.csv"', "", "1 'source' is missing; add it."),
        ('type = "rasters"\n', "", "'source.type' is missing; add it."),
        ('path = "register.gpkg"', 'paht = "register.gpkg"', "20 unknown key 'reference.paht'; did you mean 'path'?"),
        (
            'type = "rasters"\ntable = "images.csv"', 'type = "stac"\nurl = "x"\nclouds = "mask"\nmask = "cloud"',
            "a probability in percent: set mask_above",
        ),
        ('name = "x"', 'name = ""', "1 name: "),
        ('name = "x"', 'name = "x"\nfile = "y"', "2 unknown key 'file'."),
        ("[area]\nbounds", "[[area]]\nbounds", "area: "),
        ("water = 0.3", "water = 0", "27 model.thresholds.water: "),
        ('path = "register.gpkg"', "path = 5", "20 reference.path: Input should be a valid string (given: 5)."),
    ],
)  # fmt: skip
def test_a_complaint_names_line_key_and_what_to_do(tmp_path, before, after, message):
    assert message in complaint(tmp_path, replaced(before, after))


@pytest.mark.parametrize(
    "setting",
    [
        'area.patch_size = "500"', "area.patch_size = true", "area.patch_size = 500.5", "area.buffer = inf", "area.buffer = nan",
        "area.resolution = 0", 'source.keep = "yes"', "source.keep = 1", "period.end = 2017", 'period.end = "soon"', "period.end = 10:00:00",
        'features.bands = "B04"', "features.bands = [4]", "reference.erosion = -1", 'model.reject_below = "low"', "model.params = 5",
        "model.folds = 1", "sampling.seed = -1", "sampling.seed = 1.0", "map.crs = 3794", "places = 5", "places = [5]", "area = 5",
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_and_its_key_named(setting):
    content = {"name": "x", "source": {"type": "simulated"}, "reference": {"path": "r"}}
    for table, keys in tomllib.loads(setting).items():
        content[table] = {**content.get(table, {}), **keys} if isinstance(keys, dict) else keys
    with pytest.raises(InputError, match=setting.split(" ")[0].replace(".", r"\.")) as caught:
        make_project(content, file=Path("l.toml"))
    assert "\n" not in str(caught.value)


def test_whole_numbers_serve_as_decimals_and_dates_may_be_text(tmp_path):
    project = make_project(
        {"name": "x", "source": {"type": "simulated"}, "area": {"buffer": 500}, "period": {"start": "2017-01-01"}},
        file=tmp_path / "l.toml",
    )
    assert project.area.buffer == 500.0
    assert project.period.start.year == 2017


def test_a_folder_a_missing_file_and_bytes_are_told_apart(tmp_path):
    with pytest.raises(InputError, match=r"landweave\.toml: no such project file"):
        read_project(tmp_path)
    with pytest.raises(InputError, match=r"x\.toml: no such project file"):
        read_project(tmp_path / "x.toml")
    (tmp_path / "landweave.toml").write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(InputError, match="not a text file"):
        read_project(tmp_path)


def test_the_template_is_a_sound_project_as_it_stands(tmp_path):
    text = project_text("x", images=None, labels=None)
    (tmp_path / "landweave.toml").write_text(text)
    project = read_project(tmp_path)
    assert project.source.table == "images.csv"
    uncommented = text.replace("# aoi = ", "aoi = ").replace("# buffer", "buffer").replace("# static", "static")
    (tmp_path / "landweave.toml").write_text(
        uncommented.replace("# custom", "custom").replace("# dilation", "dilation")
    )
    assert read_project(tmp_path).features.static == ("dem.tif",)


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 10**6), st.integers(1, 10**6))
def test_exactly_one_rule_of_sampling_holds(fraction, per_class, per_patch):
    rules = {"fraction": fraction, "per_class": per_class, "per_patch": per_patch}
    base = {"name": "x", "source": {"type": "simulated"}}
    for name, value in rules.items():
        project = make_project({**base, "sampling": {name: value}}, file=Path("l.toml"))
        assert project.sampling.rule == {name: value}
        for other in set(rules) - {name}:
            with pytest.raises(InputError, match="exclude each other"):
                make_project({**base, "sampling": {name: value, other: rules[other]}}, file=Path("l.toml"))
