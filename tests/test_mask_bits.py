"""Bits and values of a mask that are named: what the maker says of cloud, shadow, snow and fill is what is masked."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from archives import CORNER, catalogue, item
from bad_inputs import edit
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import two_class_world, write_tif

from landweave.errors import InputError
from landweave.features.clouds import mask_reasons
from landweave.patch.raster.mask_bits import mask_bits
from landweave.runs.fetch.strips import reasons_of
from landweave.runs.pipeline.check import check_project
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.sources.files.opened import header_at
from landweave.sources.rasters import open_rasters
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.source import open_stac

LANDSAT = {"cloud": [1, 3], "shadow": [4], "snow": [5], "fill": [0]}
CLEAR, CLOUD, SHADOW, SNOW, FILL = 21824, 22280, 23888, 30048, 1
"""As QA_PIXEL of Landsat 8, collection 2, has them."""


@given(
    number=st.integers(0, 2**16 - 1), bits=st.dictionaries(st.sampled_from(["cloud", "shadow", "snow", "fill"]), st.integers(0, 15)),
    values=st.dictionaries(st.sampled_from(["cloud", "snow"]), st.integers(0, 2**16 - 1)),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_fill_goes_before_cloud_and_cloud_before_snow(number, bits, values):
    if len({*bits.values()}) < len(bits) or len({*values.values()}) < len(values) or not (bits or values):
        return
    # In words: a binary number's digits, from the right.
    digits = format(number, "032b")[::-1]
    meant = {m for m, bit in bits.items() if digits[bit] == "1"} | {m for m, value in values.items() if value == number}
    wanted = 1 if "fill" in meant else 2 if meant & {"cloud", "shadow"} else 3 if "snow" in meant else 0
    read = mask_bits({m: [b] for m, b in bits.items()}, {m: [v] for m, v in values.items()})
    assert read.codes(np.array([number])) == wanted


@pytest.mark.parametrize(
    ("bits", "numbers", "wanted"),
    [
        # state_1km of MODIS: bits 0 and 1 are 0 clear, 1 cloudy, 2 mixed; 2 is shadow; 15 is snow.
        ({"cloud": ["0-1=1", "0-1=2"], "shadow": [2], "snow": [15]}, [0, 1, 2, 3, 4, 32768], [0, 2, 2, 0, 2, 3]),
        ({"cloud": ["8-9=3"]}, [0x300, 0x200, 0x3FF, 0x700], [2, 0, 2, 2]),
        # The highest bit of a signed number is a bit like others.
        ({"fill": [15]}, np.array([-32768, 32767, -1], "int16"), [1, 0, 1]),
    ],
)
def test_a_field_of_several_bits_is_compared_as_a_number(bits, numbers, wanted):
    assert mask_bits(bits, {}).codes(np.asarray(numbers)).tolist() == wanted


def test_what_is_no_number_is_unknown():
    assert mask_bits(LANDSAT, {}).codes(np.array([np.nan, 8.0, 0.0])).tolist() == [255, 2, 0]


@pytest.fixture(scope="module")
def qa_world(tmp_path_factory):
    """A sound project with a mask of bits: four strips of 20 rows."""
    folder = tmp_path_factory.mktemp("qa")
    project, _ = two_class_world(folder)
    rows = np.repeat([CLEAR, CLOUD, SNOW, FILL], 20).astype("uint16")
    for day in ("2020-03-01", "2020-06-01", "2020-09-01"):
        write_tif(folder / f"S2_{day}_QA.tif", np.repeat(rows[:, None], 80, axis=1), nodata=None)
    edit(
        project, "[source]", '[source]\nmask = "QA"\nmask_bits = { cloud = [1, 3], shadow = 4, snow = [5], fill = [0] }'
    )
    return project


@pytest.mark.parametrize(("snow", "dilation", "wanted"), [
    ("keep", 0, [0] * 20 + [2] * 20 + [0] * 20 + [1] * 20),
    ("mask", 0, [0] * 20 + [2] * 20 + [3] * 20 + [1] * 20),
    # 25 m: two pixels on either side; snow stays snow, and what is missing stays missing.
    ("mask", 25, [0] * 18 + [2] * 22 + [3] * 20 + [1] * 20),
])  # fmt: skip
def test_a_project_masks_what_its_bits_say(qa_world, snow, dilation, wanted):
    text = qa_world.read_text()
    other = qa_world.parent / "other.toml"
    other.write_text(text.replace("[source]", f'[source]\nsnow = "{snow}"\ndilation = {dilation}'))
    plan, _ = make_plan(read_project(other))
    patch = plan.source.load(header_at(qa_world.parent / "S2_2020-03-01_B04.tif").grid, plan.dates[:1], plan.variables)
    reasons = reasons_of(plan, patch)[0]
    assert (reasons == reasons[:, :1]).all()
    assert reasons[:, 0].tolist() == wanted


def test_a_project_with_named_bits_is_sound_and_another_meaning_is_other_imagery(qa_world):
    assert check_project(read_project(qa_world))[0].endswith("sound")
    other = qa_world.parent / "others.toml"
    other.write_text(qa_world.read_text().replace("shadow = 4", "shadow = 6"))
    plans = [make_plan(read_project(project)) for project in (qa_world, other)]
    stamps = {plan.source.stamp(cells[0].geobox, plan.dates, plan.variables) for plan, cells in plans}
    assert len(stamps) == 2


WRONG = {
    "meaning": ("mask_bits = { haze = [1] }", r"mask_bits: 'haze' is unknown; use cloud, shadow, snow, fill"),
    "bit": ("mask_bits = { cloud = [40] }", r"mask_bits: 40 is no bit; give a number from 0 to 31, or a field such as"),
    "field": ('mask_bits = { cloud = ["8-9=4"] }', r"mask_bits: '8-9=4' is no bit"),
    "nothing": ("mask_bits = { cloud = [] }", r"mask_bits: cloud has no entry; name its bits or values, or remove it"),
    "words": ('mask_bits = { cloud = ["high"] }', r"mask_bits: 'high' is no bit"),
    "twice": ("mask_bits = { cloud = [3], shadow = [3] }", r"mask_bits: 3 is named twice; name it once"),
    "rule": ('clouds = "scl"\nmask_bits = { cloud = [3] }', r"mask_bits and mask_values need mask = "),
    "threshold": ("mask_above = 40\nmask_values = { cloud = [3] }", r"go neither with mask_above"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bits_that_mean_nothing_are_refused_in_one_line(qa_world, case):
    line, message = WRONG[case]
    other = qa_world.parent / "wrong.toml"
    kept = [row for row in qa_world.read_text().splitlines() if not row.startswith("mask_bits")]
    other.write_text("\n".join(kept).replace('mask = "QA"', f'mask = "QA"\n{line}'))
    with pytest.raises(InputError, match=message) as caught:
        read_project(other)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["SCL", "cloud"])
@pytest.mark.parametrize("kind", ["archive", "rasters"])
def test_what_the_mask_s_own_file_hides_is_not_valid(tmp_path, name, kind):
    band = np.full((4, 4), 1000, "uint16")
    codes = np.repeat(np.array([[4, 4, 9, 9]], "uint8"), 4, axis=0)
    content = item(tmp_path, "A", day="2021-06-01", numbers={"B04": band, name: codes}, tile="33TWA")
    folder = tmp_path / "sentinel-2-l2a" / "A"
    transform = header_at(folder / "B04.tif").grid.transform
    with rasterio.open(write_tif(folder / f"{name}.tif", codes, transform=transform), "r+") as file:
        file.write_mask(np.arange(16).reshape(4, 4) % 2 == 0)
    if kind == "archive":
        source = open_stac([read_scene(content, href=str(folder / "A.json"), bands={name: name})], needed=["B04", name])
    else:
        shutil.copytree(folder, tmp_path / "day")
        for file in [*(tmp_path / "day").glob("*.tif*")]:
            file.rename(file.with_name(f"2021-06-01_{file.name}"))
        source = open_rasters(root=tmp_path / "day", pattern="{date}_{variable}.tif", mask=name)
    source = replace(source, meaning={name: mask_bits({}, {"cloud": [9]})})
    grid = header_at(folder / "B04.tif").grid
    patch = source.load(grid, source.dates(), ["B04", name])
    reasons = mask_reasons(patch, bands=["B04"], clouds="coded", mask=name)
    assert reasons[0].tolist() == [[0, 2, 2, 2]] * 4


def test_in_an_archive_the_next_scene_says_what_the_first_does_not(tmp_path):
    band = np.full((4, 4), 1000, "uint16")
    columns = {"A": [CLEAR, CLOUD, FILL, FILL], "B": [CLOUD, CLEAR, SHADOW, FILL]}
    scenes = []
    for name, numbers in columns.items():
        qa = np.repeat(np.array(numbers, "uint16")[None], 4, axis=0)
        content = item(tmp_path, name, day="2021-06-01", numbers={"B04": band, "qa_pixel": qa}, tile=f"33TW{name}")
        content["assets"]["qa_pixel"].pop("raster:bands")
        place = str(tmp_path / "sentinel-2-l2a" / name / f"{name}.json")
        scenes.append(read_scene(content, href=place, bands={"cloud": "qa_pixel"}))
    catalogue(tmp_path)
    source = open_stac(scenes, needed=["B04", "cloud"])
    meaning = {"cloud": mask_bits(LANDSAT, {})}
    grid = header_at(tmp_path / "sentinel-2-l2a" / "A" / "B04.tif").grid
    assert grid.transform.c == CORNER[0]
    patch = replace(source, meaning=meaning).load(grid, source.dates(), ["B04", "cloud"])
    # Valid by A, cloud by A, shadow by B where A has nothing, and nothing by either.
    assert patch.cloud.values[0, 0].tolist() == [0, 2, 2, 1]
    reasons = mask_reasons(patch, bands=["B04"], clouds="coded", mask="cloud")
    assert reasons[0, 0].tolist() == [0, 2, 2, 1]
