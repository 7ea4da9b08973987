"""`landweave init`: what it finds in the files that it is given, and that the project that it writes is sound."""

import datetime
import re
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from eopatches import write_patch
from worlds import CORNER, write_tif

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.project.starter.names import read_names
from landweave.runs.project.starter.write import Given, start_project
from landweave.runs.publish.dataset import publish_dataset

DAYS = ("2020-03-01", "2020-04-01", "2020-06-15", "2020-09-01")
SIZE = 60
CRS = "EPSG:32633"


def numbers(band, day, kind="uint16"):
    """A meadow west of the middle and a pond east of it, apart in every band."""
    rng = np.random.default_rng([DAYS.index(day), sum(map(ord, band))])
    values = rng.normal(1500, 60, (SIZE, SIZE))
    values[:, SIZE // 2 :] -= 900
    return values.clip(1).astype(kind)


def images(folder, form="S2_{day}_{band}.tif", bands=("B04", "B08"), days=DAYS, **options):
    for day in days:
        for band in bands:
            write_tif(folder / form.format(day=day, band=band), numbers(band, day), **options)
    return folder


def reference(path, codes=("meadow", "pond"), column="class", **more):
    left, top, middle, bottom = 500_000, 5_100_000, 500_000 + 5 * SIZE, 5_100_000 - 10 * SIZE
    halves = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, left + 10 * SIZE, top)]
    strips = [box for half in halves for box in (shapely.clip_by_rect(half, left, y, left + 999, y + 100) for y in range(bottom, top, 100))]  # fmt: skip
    many = len(strips) // 2
    frame = {"fid_1": range(2 * many), column: [codes[0]] * many + [codes[1]] * many}
    frame |= {name: [one] * many + [other] * many for name, (one, other) in more.items()}
    gpd.GeoDataFrame(frame, geometry=strips, crs=CRS).to_file(path)
    return path


def begun(folder, **given):
    """The project that init writes, its lines, and what check says of it."""
    lines = start_project(folder, Given(**given))
    project = read_project(folder)
    assert project.name == folder.name
    return project, "\n".join(lines), check_project(project)


def unexplained(text):
    """Keys of a file that have no comment, beside them or above."""
    lines = text.splitlines()
    return [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"(# )?[\w.]+ = ", line) and "  #" not in line and '" #' not in line and "] #" not in line
        and not before.startswith("# ")
    ]  # fmt: skip


def test_a_folder_of_images_and_polygons_become_a_project_that_runs_without_an_editor(tmp_path):
    images(tmp_path / "images")
    reference(tmp_path / "register.gpkg")
    command = [sys.executable, "-m", "landweave"]
    folder = tmp_path / "my-map"
    wrote = subprocess.run(
        [*command, "init", folder, "--images", tmp_path / "images", "--reference", tmp_path / "register.gpkg"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "8 images, 60 x 60 pixels, EPSG:32633" in wrote.stdout
    assert "4, 2020-03-01 to 2020-09-01" in wrote.stdout
    assert "meadow (6), pond (6)" in wrote.stdout
    assert wrote.stdout.splitlines()[-1] == f"Next: landweave check {folder}"
    for verb in ("check", "run"):
        subprocess.run([*command, verb, folder], check=True, capture_output=True)
    assert (folder / "out" / "my-map" / "map.tif").exists()
    project = read_project(folder)
    assert project.source.pattern == "../images/S2_{date:%Y-%m-%d}_{variable}.tif"
    assert (project.period.start, project.period.end) == (datetime.date(2020, 3, 1), datetime.date(2020, 9, 1))
    assert project.features.indices == ("ndvi", "norm")
    assert project.reference.column == "class"
    legend = Legend.read(folder / "legend.toml")
    assert legend.names == {1: "meadow", 2: "pond"}
    assert re.search(r'codes = \["meadow"\] +# 6 polygons', (folder / "legend.toml").read_text())


@pytest.mark.parametrize("given", [{}, {"reference": True}, {"images": True}, {"images": True, "reference": True}])
def test_every_key_of_the_files_is_explained_beside_it(tmp_path, given):
    images(tmp_path / "images")
    reference(tmp_path / "register.gpkg")
    paths = {"images": str(tmp_path / "images"), "reference": tmp_path / "register.gpkg"}
    start_project(tmp_path / "p", Given(**{name: paths[name] for name in given}))
    assert unexplained((tmp_path / "p" / "landweave.toml").read_text()) == []
    legend = (tmp_path / "p" / "legend.toml").read_text()
    assert unexplained(legend.split("[[class]]")[0] + legend.split("[[class]]")[1]) == []
    read_project(tmp_path / "p")


def test_nothing_is_overwritten_unless_it_is_forced(tmp_path):
    start_project(tmp_path)
    (tmp_path / "landweave.toml").write_text("mine")
    with pytest.raises(InputError, match="exists already; choose another folder, or overwrite it with --force"):
        start_project(tmp_path)
    assert (tmp_path / "landweave.toml").read_text() == "mine"
    start_project(tmp_path, Given(force=True))
    assert read_project(tmp_path).name == tmp_path.name


@pytest.mark.parametrize(
    ("names", "pattern", "first"),
    [
        (["T33TWM_20170703T101031_B02_10m.jp2", "T33TWM_20170713T102031_B02_10m.jp2", "T33TWM_20170713T102031_B03_10m.jp2"],
         "T33TWM_{date:%Y%m%d}*_{variable}_10m.jp2", ("2017-07-03", "B02")),
        (["2017/S2_2017-07-03.tif", "2017/S2_2017-07-13.tif"], "2017/S2_{date:%Y-%m-%d}.tif", ("2017-07-03", None)),
        (["20170703_B02.tif", "20170703_B11.tif"], "{date:%Y%m%d}_{variable}.tif", ("2017-07-03", "B02")),
        (["MOD13Q1.A2013257.NDVI.tif", "MOD13Q1.A2013273.NDVI.tif"], "MOD13Q1.A{date:%Y%j}.NDVI.tif", ("2013-09-14", None)),
        (["a_2018-08-29_2018-09-13_NDVI.tif", "a_2018-08-29_2018-09-13_EVI.tif"], "a_{date:%Y-%m-%d}_*_{variable}.tif",
         ("2018-08-29", "EVI")),
        (["red.tif", "nir.tif"], None, (None, "nir")),
        (["T33TWM_20170703_B02.tif", "T33TXM_20170703_B02.tif", "T33TWM_20170703_B03.tif"],
         "*_{date:%Y%m%d}_{variable}.tif", ("2017-07-03", "B02")),
        (["20179999_B02.tif"], None, (None, None)),
    ],
)  # fmt: skip
def test_names_say_dates_and_variables(names, pattern, first):
    found = read_names(names)
    image = found.images[0]
    assert (image.day and str(image.day), image.variable) == first
    assert pattern is None or found.pattern == pattern


def test_images_of_one_file_a_date_are_named_by_their_descriptions(tmp_path):
    for day in DAYS:
        bands = [numbers(band, day) for band in ("B04", "B08")]
        write_tif(tmp_path / "images" / f"S2_{day}.tif", np.stack(bands), descriptions=("B04", "B08"))
    project, _, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.pattern == "../images/S2_{date:%Y-%m-%d}.tif"
    assert project.features.bands == ("B04", "B08")


def test_bands_without_zeros_are_renamed_in_a_table(tmp_path):
    stack = np.stack([numbers(band, DAYS[0]) for band in ("B4", "B8", "B8A")])
    write_tif(tmp_path / "images" / "S2_2020-03-01.tif", stack, descriptions=("B4", "B8", "B8A"))
    project, _, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.table == "images.csv"
    assert project.features.bands == ("B04", "B08", "B8A")
    assert pd.read_csv(tmp_path / "p" / "images.csv")["variable"].tolist() == ["B04", "B08", "B8A"]


def test_one_image_without_a_date_or_names_of_bands_is_used_and_said(tmp_path):
    stack = np.stack([numbers(f"B{i}", DAYS[0]) for i in range(12)])
    write_tif(tmp_path / "image.tif", stack)
    project, said, _ = begun(
        tmp_path / "p", images=str(tmp_path / "image.tif"), reference=reference(tmp_path / "r.gpkg")
    )
    assert project.period.start == project.period.end == datetime.date(2000, 1, 1)
    assert project.source.undated
    assert "The date of the images is not known" in said
    assert "its 12 bands have no names and are taken for Sentinel-2's" in said
    assert "B12" in project.features.bands


def test_a_date_that_was_invented_is_never_stated_as_one(tmp_path):
    for band in ("B04", "B08"):
        write_tif(tmp_path / f"{band}.tif", numbers(band, DAYS[0]))
    register = reference(tmp_path / "r.gpkg")
    project, said, lines = begun(tmp_path / "p", images=str(tmp_path / "*.tif"), reference=register)
    assert project.source.undated
    text = (tmp_path / "p" / "landweave.toml").read_text()
    (tmp_path / "p" / "landweave.toml").write_text(f"{text}\n[model.params]\nn_estimators = 3\n")
    project = read_project(tmp_path / "p")
    assert "dates:     1, which is not known" in lines
    assert "dates:     1, not known" in said
    assert run(project, workers=1).status == 0
    report = (project.folder / "report.html").read_text()
    assert "date of the images not known" in report
    assert "2000-01-01" not in report
    assert (project.folder / "map.tif").exists()
    assert not (project.folder / "map.stac.json").exists()
    with pytest.raises(InputError, match="the date of the images is not known, and items of a data set state it"):
        publish_dataset(project.file, tmp_path / "shared")
    # With its date it is one.
    table = tmp_path / "p" / "images.csv"
    table.write_text(table.read_text().replace("2000-01-01", "2021-06-01"))
    written = project.file.read_text().replace("2000-01-01", "2021-06-01")
    project.file.write_text("\n".join(line for line in written.splitlines() if not line.startswith("undated")))
    assert run(read_project(tmp_path / "p"), workers=1).status == 0
    assert "2021-06-01" in (project.folder / "map.stac.json").read_text()


def test_dates_in_descriptions_masks_and_layers_without_time_are_found(tmp_path):
    folder = tmp_path / "images"
    for name in ("ndvi", "clm"):
        stack = np.stack([numbers(name, day) > 1000 if name == "clm" else numbers(name, day) for day in DAYS])
        stack = np.zeros(stack.shape, "uint8") if name == "clm" else stack
        write_tif(folder / f"{name}_4dates.tif", stack, descriptions=DAYS)
    write_tif(folder / "dem.tif", np.full((SIZE, SIZE), 300.0, "float32"))
    write_tif(folder / "other.tif", np.zeros((SIZE, SIZE), "uint8"))
    far = CORNER * Affine.translation(9000, 0)
    write_tif(folder / "far_2020-03-01.tif", np.zeros((5, 5), "uint8"), transform=far)
    project, said, _ = begun(tmp_path / "p", images=str(folder), reference=reference(tmp_path / "r.gpkg"))
    assert (project.source.clouds, project.source.mask) == ("mask", "clm")
    assert project.features.bands == ("ndvi",)
    assert project.features.static == ("../images/dem.tif",)
    assert "left out: 1 file of other ground or much coarser pixels, such as far_2020-03-01.tif (5 x 5" in said
    assert "left out: no date in the name of other.tif" in said


def test_bands_of_several_pixel_sizes_and_tiles_are_used_together(tmp_path):
    for column, tile in enumerate(("T33TWM", "T33TXM")):
        for day in DAYS:
            for band, size in (("B04", 1), ("B8A", 2), ("SCL", 2)):
                values = np.full((SIZE, SIZE), 4, "uint8") if band == "SCL" else numbers(band, day)
                path = tmp_path / "images" / f"{tile}_{day.replace('-', '')}_{band}_{10 * size}m.tif"
                place = CORNER * Affine.translation(SIZE * column, 0) * Affine.scale(size)
                write_tif(path, values[::size, ::size], transform=place)
    write_tif(
        tmp_path / "images" / "T33TWM_20200301_PVI_320m.tif",
        np.ones((2, 2), "uint8"),
        transform=CORNER * Affine.scale(32),
    )
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.features.bands == ("B04", "B8A")
    assert project.source.clouds == "scl"
    assert "24 images, 120 x 60 pixels" in said
    assert "much coarser pixels, such as T33TWM_20200301_PVI_320m.tif" in said


def test_a_mask_that_lacks_a_date_is_not_used(tmp_path):
    images(tmp_path / "images")
    for day in DAYS[:3]:
        write_tif(tmp_path / "images" / f"S2_{day}_CLM.tif", np.zeros((SIZE, SIZE), "uint8"))
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.clouds == "none"
    assert "The cloud mask has no file on some dates, so it is not used" in said


def test_a_shapefile_without_a_crs_gets_the_one_that_is_given(tmp_path):
    images(tmp_path / "images")
    path = reference(tmp_path / "r.shp")
    path.with_suffix(".prj").unlink()
    with pytest.raises(InputError, match=r"has no coordinate reference system; assign one to it, or add --crs"):
        start_project(tmp_path / "p", Given(images=str(tmp_path / "images"), reference=path))
    project, _, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=path, crs=CRS)
    assert project.reference.crs == CRS


def test_a_probability_of_clouds_is_no_mask(tmp_path):
    images(tmp_path / "images", bands=("B08", "CLD"))
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert (project.source.clouds, project.source.mask, project.features.bands) == ("none", None, ("B08",))
    assert "CLD may show clouds, but which numbers do is not known" in said


def test_scene_classes_mask_the_clouds(tmp_path):
    images(tmp_path / "images")
    for day in DAYS:
        write_tif(tmp_path / "images" / f"S2_{day}_SCL.tif", np.full((SIZE, SIZE), 4, "uint8"))
    project, _, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.clouds == "scl"
    assert project.features.bands == ("B04", "B08")


@pytest.mark.parametrize(
    ("kind", "factor", "scale", "said"),
    [
        ("uint16", 1, None, ""),
        ("float32", 1, 1e-4, "state no scale"),
        ("float32", 1e-4, None, ""),
        ("uint8", 0.1, 0.004, "8 bits"),
        ("uint16", 40, 1e-5, "state no scale"),
    ],
)
def test_a_scale_is_given_where_the_usual_one_would_be_wrong(tmp_path, kind, factor, scale, said):
    for day in DAYS:
        write_tif(tmp_path / "images" / f"S2_{day}_B08.tif", (numbers("B08", day, "float64") * factor).astype(kind))
    project, lines, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.scale == scale
    assert said in lines


def test_a_number_of_missing_pixels_is_found_in_the_images(tmp_path):
    for day in DAYS:
        values = numbers("B08", day, "int16")
        values[:3] = -9999
        write_tif(tmp_path / "images" / f"S2_{day}_B08.tif", values)
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=reference(tmp_path / "r.gpkg"))
    assert project.source.nodata == -9999
    assert "numbers:   scale 0.0001, missing -9999" in said


def test_names_of_numeric_codes_come_from_another_column(tmp_path):
    images(tmp_path / "images")
    path = reference(tmp_path / "r.gpkg", (1100, 0), "RABA_ID", NAME=("grassland", "no data"), SOURCE=("one", "one"))
    lines = start_project(tmp_path / "p", Given(images=str(tmp_path / "images"), reference=path))
    assert "1100 grassland (6)" in "\n".join(lines)
    text = (tmp_path / "p" / "legend.toml").read_text()
    assert "ignore = [0]" in text
    assert Legend.read(tmp_path / "p" / "legend.toml").names == {1: "grassland"}


def test_a_raster_of_codes_brings_its_names(tmp_path):
    import rasterio

    images(tmp_path / "images")
    codes = np.ones((SIZE, SIZE), "uint8")
    codes[:, SIZE // 2 :], codes[:2] = 7, 0
    write_tif(tmp_path / "images" / "truth.tif", codes)
    with rasterio.open(tmp_path / "images" / "truth.tif", "r+") as file:
        file.update_tags(1, class_1="meadow", class_7="pond")
    project, _, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), reference=tmp_path / "images" / "truth.tif")
    assert Legend.read(tmp_path / "p" / "legend.toml").names == {1: "meadow", 2: "pond"}
    assert Legend.read(tmp_path / "p" / "legend.toml").translate([0, 1, 7])[0].tolist() == [0, 1, 2]
    assert project.source.pattern == "../images/S2_{date:%Y-%m-%d}_{variable}.tif"


def points(folder, sign=";", comma=",", names=("X_COORD", "Y_COORD"), encoding="utf-8"):
    rows = [sign.join([*names, "Klasse"])]
    for x in range(5, 10 * SIZE, 40):
        for y in range(5, 10 * SIZE, 40):
            place = (500_000.5 + x, 5_100_000.25 - y)
            rows.append(
                sign.join([*(f"{number}".replace(".", comma) for number in place), "Wälder" if x < 300 else "See"])
            )
    (folder / "points.csv").write_bytes("\n".join(rows).encode(encoding))
    return folder / "points.csv"


def test_points_as_a_european_spreadsheet_writes_them_get_the_crs_of_the_images(tmp_path):
    images(tmp_path / "images")
    path = points(tmp_path, encoding="cp1252")
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), points=path)
    assert project.reference.crs == CRS
    assert (project.reference.column, project.reference.encoding) == ("Klasse", "cp1252")
    assert "by which the points lie on the images" in said
    assert sorted(Legend.read(tmp_path / "p" / "legend.toml").names.values()) == ["See", "Wälder"]


def test_points_whose_crs_nobody_knows_are_refused_with_the_option(tmp_path):
    path = points(tmp_path, sign=",", comma=".")
    with pytest.raises(
        InputError, match=r"have no coordinate reference system; add --crs, such as --crs EPSG:32633\.$"
    ):
        start_project(tmp_path / "p", Given(points=path))
    assert not (tmp_path / "p").exists()
    start_project(tmp_path / "p", Given(points=path, crs=CRS))
    assert read_project(tmp_path / "p").reference.crs == CRS


def test_columns_of_places_can_be_given(tmp_path):
    images(tmp_path / "images")
    path = points(tmp_path, names=("Ost", "Nord"))
    project, *_ = begun(tmp_path / "p", images=str(tmp_path / "images"), points=path, x="Ost", y="Nord")
    assert (project.reference.x, project.reference.y, project.reference.crs) == ("Ost", "Nord", CRS)
    project, *_ = begun(tmp_path / "q", images=str(tmp_path / "images"), points=path, x="Ost", y="Nord", crs=CRS)
    assert project.reference.crs == CRS
    with pytest.raises(InputError, match="--x and --y belong together"):
        start_project(tmp_path / "r", Given(points=path, x="Ost"))
    with pytest.raises(InputError, match="--x and --y are for tables of points, and this is none"):
        start_project(tmp_path / "r", Given(reference=reference(tmp_path / "r.gpkg"), x="Ost", y="Nord"))


@pytest.mark.parametrize("option", ["points", "reference"])
def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path, option):
    (tmp_path / "points.xlsx").write_bytes(b"PK\x03\x04 any")
    with pytest.raises(InputError, match=r"points\.xlsx: a spreadsheet; save the sheet as CSV \(in Excel"):
        start_project(tmp_path / "p", Given(**{option: tmp_path / "points.xlsx"}))


def test_labels_of_one_class_are_said_to_be_too_few(tmp_path):
    path = reference(tmp_path / "r.gpkg", codes=("pond", "pond"))
    with pytest.raises(InputError, match=r"class has one class only \(pond\); a map needs two, so add labels"):
        start_project(tmp_path / "p", Given(reference=path))
    lines = start_project(tmp_path / "p", Given(reference=path, column="class"))
    assert any("All labels are of one class (pond); a map needs two" in line for line in lines)


def test_a_table_of_series_trains_the_bands_that_images_have_too(tmp_path):
    images(tmp_path / "images", bands=("NDVI", "EVI"))
    rows = [(i, day, 0.15 + i / 999 if i % 2 else 0.06, 0.5 + i / 77) for i in range(40) for day in DAYS]
    pd.DataFrame(rows, columns=["sample_id", "date", "NDVI", "RED"]).to_parquet(tmp_path / "x_timeseries.parquet")
    facts = pd.DataFrame({"sample_id": range(40), "label": ["meadow" if i % 2 else "pond" for i in range(40)]})
    facts.to_csv(tmp_path / "x_samples.csv", index=False)
    project, said, _ = begun(tmp_path / "p", images=str(tmp_path / "images"), table=tmp_path / "x_timeseries.parquet")
    assert project.features.bands == ("NDVI",)
    assert project.training.samples == "../x_samples.csv"
    assert "40 labelled series" in said
    with pytest.raises(InputError, match="none in common"):
        start_project(
            tmp_path / "q",
            Given(images=str(images(tmp_path / "more", bands=("B04", "B08"))), table=tmp_path / "x_timeseries.parquet"),
        )


def test_eopatches_bring_their_bands_masks_and_labels(tmp_path):
    shape = (3, 20, 20)
    for number, box in enumerate(((500_000, 5_099_800, 500_200, 5_100_000), (500_200, 5_099_800, 500_400, 5_100_000))):
        write_patch(
            tmp_path / "patches" / f"eopatch_{number}",
            {
                "data/BANDS": np.full((*shape, 12), 0.1, "float32"),
                "data/EXTRA": np.full((*shape, 2), 0.1, "float32"),
                "mask/CLM": np.zeros((*shape, 1), "uint8"),
                "mask_timeless/LULC": np.full((20, 20, 1), number + 1, "uint8"),
            },
            box=box,
        )
    lines = start_project(tmp_path / "p", Given(images=str(tmp_path / "patches"), reference=tmp_path / "patches"))
    project = read_project(tmp_path / "p")
    assert (project.source.type, project.source.path, project.source.mask) == ("eopatches", "../patches", "CLM")
    assert project.reference.layer == "mask_timeless/LULC"
    assert "2 EOPatches" in "\n".join(lines)
    check_project(project)


def test_an_archive_on_disk_is_looked_into(country, tmp_path):
    project, said, checked = begun(
        tmp_path / "p", stac=str(country / "archive" / "catalog.json"), reference=country / "register.gpkg"
    )
    assert project.source.collection == "sentinel-2-l2a"
    assert project.source.clouds == "scl"
    assert project.reference.column == "USE_CODE"
    assert project.area.bounds is not None
    assert re.search(r"\d+ scenes with up to 80 % clouds", said)
    assert "sound" in checked[0]
    west, south, east, north = project.area.bounds
    half = (west, south, (west + east) / 2, (south + north) / 2)
    inside, _, _ = begun(
        tmp_path / "q", images=str(country / "archive"), reference=country / "register.gpkg", bounds=half
    )
    assert inside.area.bounds == half


def test_a_server_is_not_asked(tmp_path):
    lines = start_project(
        tmp_path / "p",
        Given(
            stac="https://stac.invalid/v1", bounds=(14.0, 45.0, 14.2, 45.1), period=(datetime.date(2023, 1, 1), None)
        ),
    )
    assert "the archive https://stac.invalid/v1, not asked yet" in "\n".join(lines)
    assert "set source.collection" in "\n".join(lines)
    project = read_project(tmp_path / "p")
    assert (project.period.start, project.period.end) == (datetime.date(2023, 1, 1), datetime.date(2023, 12, 31))
    assert project.area.patch_size == 260


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"images": "no-such-folder"}, "no such folder or file of images"),
        ({"images": "no/*.tif"}, "matches no file"),
        ({"images": "a", "stac": "b"}, "--images and --stac exclude each other"),
        ({"reference": "a", "table": "b"}, "--reference and --table exclude each other"),
        ({"bounds": (14.0, 46.0, 13.0, 47.0)}, "must be west, south, east, north in degrees"),
        ({"reference": "no.gpkg"}, "no such reference file"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_and_nothing_is_written(tmp_path, given, told):
    paths = {name: tmp_path / value if name == "reference" else value for name, value in given.items()}
    with pytest.raises(InputError, match=told) as caught:
        start_project(tmp_path / "p", Given(**paths))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p").exists()


def test_a_folder_of_zarr_patches_is_named_for_what_it_is(tmp_path):
    (tmp_path / "patches" / "a.zarr").mkdir(parents=True)
    for given in (tmp_path / "patches", tmp_path / "patches" / "*.zarr"):
        with pytest.raises(InputError, match=r"Zarr patches|matches folders"):
            start_project(tmp_path / "p", Given(images=str(given)))


REAL = {
    "one date, polygons": (
        {"images": "rstoolbox_s2_amazon", "reference": "rstoolbox_s2_amazon/training_polygons.geojson"},
        {"bands": 10, "dates": 1, "classes": {"dryout", "forest", "village", "water"}},
    ),
    "dates in descriptions, polygons": (
        {"images": "eolearn_slovenia_patch", "reference": "eolearn_slovenia_patch/lulc_reference.gpkg"},
        {"bands": 1, "dates": 67, "classes": {"cultivated land", "forest", "grassland", "schrubland", "artificial surface"}},
    ),
    "a file a date, raster": (
        {"images": "eolearn_slovenia_patch/bands_l1c", "reference": "eolearn_slovenia_patch/lulc_reference.tif"},
        {"bands": 10, "dates": 5, "classes": {"1", "2", "3", "4", "8"}},
    ),
    "a table of series": (
        {"images": "sits_modis_matogrosso/mod13q1_ndvi",
         "table": "sits_modis_matogrosso/samples_modis_ndvi_timeseries.parquet"},
        {"bands": 1, "dates": 12, "classes": {"Cerrado", "Forest", "Pasture", "Soy_Corn"}},
    ),
    "points": (
        {"images": "cbers4_awfi_bahia/raster", "points": "cbers4_awfi_bahia/cbers_samples_022024_samples.csv"},
        {"bands": 2, "dates": 23, "classes": {"Cerradao", "Cerrado", "Cropland", "Pasture"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_data_become_a_sound_project_without_an_editor(shared_data, tmp_path, name):
    given, wanted = REAL[name]
    paths = {key: str(shared_data / value) if key == "images" else shared_data / value for key, value in given.items()}
    project, said, checked = begun(tmp_path / "p", **paths)
    assert "sound" in checked[0]
    assert len(project.features.bands) == wanted["bands"]
    assert f"dates:     {wanted['dates']}, " in said
    assert set(Legend.read(tmp_path / "p" / "legend.toml").names.values()) == wanted["classes"]


def test_a_pattern_with_fields_is_taken_as_it_is_given(tmp_path):
    images(tmp_path / "images", form="{band}/x2020_{day}.tif", days=DAYS[:2])
    given = str(tmp_path / "images" / "{variable}" / "x2020_{date}.tif")
    project, _, _ = begun(tmp_path / "p", images=given, reference=reference(tmp_path / "r.gpkg"))
    assert project.source.pattern == "../images/{variable}/x2020_{date}.tif"
    assert project.features.bands == ("B04", "B08")
    glob = str(tmp_path / "images" / "*" / "*2020-03*.tif")
    project, _, _ = begun(tmp_path / "q", images=glob, reference=reference(tmp_path / "r.gpkg"))
    assert project.period.end == datetime.date(2020, 3, 1)
