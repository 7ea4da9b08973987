"""Wrong projects, in one place: each function spoils a sound project and gives what the message must say.

The project is that of ``worlds.two_class_world``. ``landweave check`` and ``landweave run`` are held against each other on
all of them by ``test_bad_input.py``.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from worlds import CORNER, write_tif

DAYS = ("2013-09-01", "2013-10-15", "2013-12-01", "2014-01-15", "2014-03-01")


def edit(project, before, after):
    text = project.read_text()
    assert before in text
    project.write_text(text.replace(before, after))


def unknown_key(project):
    edit(project, "patch_size", "patchsize")
    return r"landweave.toml:5 unknown key 'area.patchsize'; did you mean 'patch_size'"


def wrong_type(project):
    edit(project, "patch_size = 20", 'patch_size = "many"')
    return r"area.patch_size.*many"


def missing_reference(project):
    (project.parent / "reference.tif").unlink()
    return r"reference.tif"


def pattern_without_match(project):
    edit(project, "S2_{date", "S3_{date")
    return r"S3_"


def a_place_elsewhere(project):
    project.write_text(project.read_text() + '[[places]]\nname = "far"\nlon = 100.0\nlat = 10.0\n')
    return r"Places outside the patches: far"


def a_labelled_tile_of_one_date(project):
    two_tiles(project)
    for path in [*project.parent.glob("east/S2_2020-03*"), *project.parent.glob("east/S2_2020-06*")]:
        path.unlink()
    edit(project, "step_days = 46", "step_days = 40")
    return r"Labelled patches without a target day between two of their dates give no training pixel: x0003y0000"


def another_size(project):
    write_tif(project.parent / "S2_2020-06-01_B04.tif", np.full((40, 80), 900, "uint16"))
    return r"The images are on 2 grids \(pixels of 10 m in EPSG:32633\)"


def coarser_bands(project):
    for path in project.parent.glob("S2_*_B08.tif"):
        with rasterio.open(path) as file:
            values = file.read(1).reshape(40, 2, 40, 2).mean((1, 3)).astype("uint16")
        write_tif(path, values, nodata=0, transform=CORNER * CORNER.scale(2))
    return r"The images are on 2 grids \(pixels of 10 m in EPSG:32633, 20 m in EPSG:32633\)"


def two_tiles(project):
    for path in project.parent.glob("S2_*_B0*.tif"):
        with rasterio.open(path) as file:
            values = file.read(1)
        (project.parent / "east").mkdir(exist_ok=True)
        write_tif(
            project.parent / "east" / path.name, values[:, 30:], nodata=0, transform=CORNER * CORNER.translation(30, 0)
        )
        (project.parent / "west").mkdir(exist_ok=True)
        write_tif(project.parent / "west" / path.name, values[:, :50], nodata=0)
        path.unlink()
    edit(project, "S2_{date", "*/S2_{date")
    return r"The images are on 2 grids"


def another_crs(project):
    write_tif(project.parent / "S2_2020-06-01_B04.tif", np.ones((80, 80), "uint16"), crs="EPSG:32634")
    return r"S2_2020-06-01_B04.tif"


def one_tile_cut_short(project):
    two_tiles(project)
    path = project.parent / "east" / "S2_2020-06-01_B08.tif"
    path.write_bytes(path.read_bytes()[:-400])
    return r"east/S2_2020-06-01_B08.tif"


def output_where_no_file_can_be(project):
    edit(project, 'output = "out"', 'output = "/proc/out"')
    return r"landweave.toml: output is in /proc, where no file can be kept; set another folder"


def not_a_raster(project):
    (project.parent / "S2_2020-06-01_B08.tif").write_text("these are no pixels")
    return r"S2_2020-06-01_B08.tif"


def truncated(project):
    path = project.parent / "S2_2020-06-01_B08.tif"
    path.write_bytes(path.read_bytes()[:9000])
    return r"S2_2020-06-01_B08.tif"


def picture_as_truth(project):
    write_tif(project.parent / "picture.tif", np.ones((3, 80, 80), "uint8"))
    edit(project, "[reference]", '[reference]\ntruth = "picture.tif"')
    return r"picture.tif: reference.truth has a picture in red, green and blue"


def no_date_in_the_period(project):
    edit(project, "[source]", "[period]\nstart = 1999-01-01\nend = 1999-12-31\n[source]")
    return r"no date in the period 1999-01-01 to 1999-12-31.*2020-03-01 to 2020-09-01"


def unreadable_date(project):
    (project.parent / "S2_2020-06-01_B08.tif").rename(project.parent / "S2_2020-16-01_B08.tif")
    return r"2020-16-01"


def reference_without_crs(project):
    write_tif(project.parent / "reference.tif", np.full((80, 80), 2, "uint8"), crs=None)
    return r"reference.tif.*coordinate reference system"


def reference_elsewhere(project):
    far = CORNER * CORNER.translation(100_000, 0)
    write_tif(project.parent / "reference.tif", np.full((80, 80), 2, "uint8"), transform=far)
    return r"reference.tif.*overlap"


def polygons(project, *boxes):
    """Polygons as reference: (code, west, south, east, north), metres from the lower left corner of the imagery."""
    shapes = [shapely.box(500_000 + w, 5_099_200 + s, 500_000 + e, 5_099_200 + n) for _, w, s, e, n in boxes]
    frame = gpd.GeoDataFrame({"use": [code for code, *_ in boxes]}, geometry=shapes, crs="EPSG:32633")
    frame.to_file(project.parent / "register.gpkg")
    edit(project, 'path = "reference.tif"', 'path = "register.gpkg"\ncolumn = "use"')


def no_label_inside(project):
    polygons(project, (2, -900, 0, -100, 800), (7, 900, 0, 1700, 800))
    return r"register.gpkg: fewer than two classes have training pixels in the patches \(found: none\)"


def one_class_inside(project):
    polygons(project, (2, 100, 100, 700, 700), (7, 900, 0, 1700, 800))
    return r"register.gpkg: fewer than two classes have training pixels in the patches \(found: meadow\)"


def nothing_left_by_erosion(project):
    polygons(project, (2, 0, 0, 700, 700), (7, 720, 0, 740, 800))
    edit(project, "erosion = 0", "erosion = 3")
    return r"fewer than two classes .*found: meadow.*erosion left nothing"


def too_few_pixels(project):
    edit(project, "per_class = 400", "per_class = 1")
    return r"sampling.per_class = 1 is too small"


def more_neighbours_than_pixels(project):
    edit(project, "per_class = 400", "per_class = 20")
    edit(
        project, "params = { n_estimators = 15, min_child_samples = 5 }",
        'type = "sklearn.neighbors.KNeighborsClassifier"\nparams = { n_neighbors = 50 }',
    )  # fmt: skip
    return r"n_neighbors = 50"


def all_dates_excluded(project):
    edit(project, "[source]", '[source]\nexclude = ["2020-03-01", "2020-06-01", "2020-09-01"]')
    return r"source.exclude leaves out all 3 dates"


def truth_elsewhere(project):
    far = CORNER * CORNER.translation(100_000, 0)
    write_tif(project.parent / "truth.tif", np.full((80, 80), 2, "uint8"), transform=far)
    edit(project, "[reference]", '[reference]\ntruth = "truth.tif"')
    return r"truth.tif: the truth covers no"


def truth_of_other_values(project):
    # 258 is 2 in a byte.
    write_tif(project.parent / "truth.tif", np.full((80, 80), 258, "uint16"))
    edit(project, "[reference]", '[reference]\ntruth = "truth.tif"')
    return r"truth.tif: reference.truth holds 258, which is no class value of the legend \(2, 7\)"


def labels_where_no_dates_are(project):
    a_labelled_tile_of_one_date(project)
    polygons(project, (2, 600, 0, 700, 800), (7, 700, 0, 800, 800))
    return r"no (labelled patch|training pixel has features: no target day|target day)"


def one_date(project):
    for path in [*project.parent.glob("S2_2020-03*"), *project.parent.glob("S2_2020-09*")]:
        path.unlink()
    edit(project, "[source]", "[period]\nstart = 2020-05-01\nend = 2020-08-31\n[source]")
    return r"There is one date, 2020-06-01: the features are those of this date"


def step_longer_than_the_period(project):
    edit(project, "step_days = 46", "step_days = 400")
    edit(project, "[source]", "[period]\nstart = 2020-02-01\nend = 2020-12-31\n[source]")
    return r"All 3 dates, 2020-03-01 to 2020-09-01, are within one step of 400 days"


def labels_in_one_patch(project):
    # Of 20 x 20 pixels; points would be split by quarters.
    polygons(project, (2, 200, 200, 300, 400), (7, 300, 200, 400, 400))
    return r"All labels are in one patch or block, so no labels are held out"


def each_class_in_a_patch_of_its_own(project):
    polygons(project, (2, 200, 200, 400, 400), (7, 600, 600, 800, 800))
    return r"Each class is in one place only, so no labels are held out"


def legend_that_knows_a_few_codes(project):
    polygons(
        project, (2, 0, 0, 400, 800), (7, 400, 0, 700, 800), (55, 700, 0, 750, 800), (56, 750, 0, 800, 800)
    )  # fmt: skip
    return r"codes that the legend does not know, taken as none: 55, 56"


def unknown_column(project):
    frame = gpd.GeoDataFrame(
        {"use": [2]}, geometry=[shapely.box(500_000, 5_099_200, 500_400, 5_100_000)], crs="EPSG:32633"
    )
    frame.to_file(project.parent / "register.gpkg")
    edit(project, 'path = "reference.tif"', 'path = "register.gpkg"\ncolumn = "landuse"')
    return r"register.gpkg.*landuse.*use"


def one_class(project):
    write_tif(project.parent / "reference.tif", np.full((80, 80), 2, "uint8"), nodata=0)
    return r"[Ff]ewer than two classes.*meadow"


def doubled_codes(project):
    legend = project.parent / "legend.toml"
    legend.write_text(legend.read_text().replace('name = "pond"', 'name = "pond"\ncodes = [2]'))
    legend.write_text(legend.read_text().replace('name = "meadow"', 'name = "meadow"\ncodes = ["2"]'))
    return r"legend.toml.*'2'.*more than one class"


def unknown_band(project):
    edit(project, 'bands = ["B04", "B08"]', 'bands = ["B04", "B08", "B99"]')
    return r"B99"


def missing_model(project):
    edit(project, "[model]", '[model]\npath = "nowhere/model"')
    return r"nowhere/model"


def spoilt_images(text, pattern):
    """The imagery by a table of images, with something wrong in it."""

    def spoil(project):
        names = [(d, b) for d in ("2020-03-01", "2020-06-01", "2020-09-01") for b in ("B04", "B08")]
        rows = "".join(f"{d},{b},S2_{d}_{b}.tif\n" for d, b in names)
        (project.parent / "images.csv").write_text(text(f"date,variable,path\n{rows}"), encoding="utf-8")
        edit(project, 'pattern = "S2_{date:%Y-%m-%d}_{variable}.tif"', 'table = "images.csv"')
        return pattern

    return spoil


def spoilt_points(text, pattern, encoding="utf-8"):
    """A CSV of points as reference, with something wrong in it."""

    def spoil(project):
        x, y = 500_005 + 10 * np.arange(0, 80, 2), np.full(40, 5_099_995)
        places = gpd.GeoSeries(gpd.points_from_xy(x, y), crs="EPSG:32633").to_crs(4326)
        frame = pd.DataFrame({"id": range(40), "longitude": places.x, "latitude": places.y, "label": [2, 7] * 20})
        (project.parent / "points.csv").write_text(text(frame.to_csv(index=False)), encoding=encoding)
        edit(project, 'path = "reference.tif"', 'path = "points.csv"')
        return pattern

    return spoil


def training(project, *, start="2013-09-01", band="B08", label=("meadow", "pond"), **facts):
    """A table of labelled series instead of the reference: 40 samples, of which the ponds have a low B08."""
    rows = [(i, d, 0.08, 0.1 if i % 2 else 0.3) for i in range(40) for d in DAYS]
    pd.DataFrame(rows, columns=["sample_id", "date", "B04", band]).to_csv(
        project.parent / "x_timeseries.csv", index=False
    )
    own = {"sample_id": range(40), "label": [label[i % 2] for i in range(40)], "start_date": start, **facts}
    pd.DataFrame(own).to_csv(project.parent / "x_samples.csv", index=False)
    edit(
        project, '[reference]\npath = "reference.tif"\nlegend = "legend.toml"\nerosion = 0',
        '[training]\ntable = "x_timeseries.csv"\nlegend = "legend.toml"',
    )  # fmt: skip


def spoilt_training(pattern, change=None, **facts):
    """A table of labelled series with something wrong in it; ``change`` works on the series."""

    def spoil(project):
        training(project, **facts)
        if change is not None:
            path = project.parent / "x_timeseries.csv"
            change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)
        return pattern

    return spoil


def unknown_codes(project):
    legend = project.parent / "legend.toml"
    legend.write_text(legend.read_text().replace("value = 2", "value = 3").replace("value = 7", "value = 4"))
    return r"[Ff]ewer than two classes|none of its codes \(2, 7\)"


def day_366(project):
    for path in project.parent.glob("S2_*.tif"):
        path.rename(
            path.with_name(path.name.replace("2020-03-01", "2019366").replace("-06-01", "153").replace("-09-01", "245"))
        )
    edit(project, "%Y-%m-%d", "%Y%j")
    return r"'2019366' is not a date as %Y%j"


def format_without_year(project):
    edit(project, "S2_{date:%Y-%m-%d}", "S2_2020-{date:%m-%d}")
    return r"date format '%m-%d' has no year"


def two_dates_in_a_name(project):
    edit(project, "S2_{date:%Y-%m-%d}", "{date:%Y}/S2_{date:%Y-%m-%d}")
    for path in sorted(project.parent.glob("S2_*.tif")):
        (project.parent / "2019").mkdir(exist_ok=True)
        path.rename(project.parent / "2019" / path.name)
    return r"\{date\} is '2020-03-01' in one place and '2019' in another"


def period_with_a_time(project):
    edit(project, "[source]", "[period]\nstart = 2020-01-01T12:00:00\n[source]")
    return r"landweave.toml:7 period.start: .*has a time of day; write YYYY-MM-DD"


def period_day_first(project):
    edit(project, "[source]", '[period]\nstart = "01.03.2020"\n[source]')
    return r"period.start: .*'01.03.2020' is not a date as YYYY-MM-DD"


def no_districts(project):
    project.write_text(project.read_text() + '[districts]\npath = "nothing.gpkg"\ncolumn = "name"\n')
    return r"nothing.gpkg"


def districts_without_the_column(project):
    frame = gpd.GeoDataFrame({"who": ["a"]}, geometry=[shapely.box(500_000, 5_099_200, 500_400, 5_100_000)], crs=32633)
    frame.to_file(project.parent / "d.gpkg")
    project.write_text(project.read_text() + '[districts]\npath = "d.gpkg"\ncolumn = "name"\n')
    return r"d.gpkg: no column 'name'; it has who"


def no_sample(project):
    project.write_text(project.read_text() + '[estimate]\nsample = "nothing.gpkg"\n')
    return r"estimate.sample: no such file .*nothing.gpkg"


def sample_without_design(project):
    pd.DataFrame({"id": [1], "reference": ["pond"]}).to_csv(project.parent / "s.csv", index=False)
    project.write_text(project.read_text() + '[estimate]\nsample = "s.csv"\n')
    return r"s.csv: the sample has no design"


def same(text):
    """Nothing is changed."""
    return text


def first_date(text):
    """A series whose first date is another."""
    return lambda frame: frame.assign(date=[text, *frame["date"][1:]])


TABLES = {
    "images: day first": spoilt_images(lambda t: t.replace("2020-03-01,B04", "01.03.2020,B04"), r"row 1: '01.03.2020'"),
    "images: more cells": spoilt_images(lambda t: t + "2020-03-01,B04,a.tif,x,y\n", r"row 7: 5 cells, .* has 3"),
    "images: slip": spoilt_images(lambda t: t.replace("path\n", "path,ofset\n").replace("tif\n", "tif,1\n"), r"'ofset'"),
    "images: comma": spoilt_images(
        lambda t: t.replace("path\n", "path,scale\n").replace("tif\n", 'tif,"0,1"\n'), r"row 1: scale is '0,1'"
    ),
    "images: empty": spoilt_images(lambda _: "", r"images.csv: the file is empty"),
    "points: latin-1": spoilt_points(lambda t: t.replace(",2\n", ",Wälder\n"), r"line 2: byte 0xe4", "latin-1"),
    "points: ragged": spoilt_points(lambda t: t + "9,15,46,2,x,y\n", r"row 41: 6 cells, but the header has 4"),
    "points: x and y": spoilt_points(
        lambda t: t.replace("longitude,latitude", "x,y"), r"'x' and 'y' .* set reference\.crs = \"EPSG:4326\""
    ),
    "points: other columns": spoilt_points(
        lambda t: t.replace("longitude,latitude", "a,b"), r"nor of x and y; it has id, a, b, label; name them with"
    ),
    "points: empty": spoilt_points(lambda _: "", r"points.csv: the file is empty"),
    "points: unknown codes": spoilt_points(
        lambda t: t.replace(",2\n", ",5\n").replace(",7\n", ",6\n"), r"[Ff]ewer than two classes|none of its codes \(5, 6\)"
    ),
    "training: start_date day first": spoilt_training(r"x_samples.csv, row 1, start_date: '01.09.2013'", start="01.09.2013"),
    "training: start after the end": spoilt_training(r"sample 0 starts on 2015-01-01, after its last", start="2015-01-01"),
    "training: date day first": spoilt_training(r"x_timeseries.csv, row 1: '01.09.2013'", first_date("01.09.2013")),
    "training: no such day": spoilt_training(r"row 1: '2014-02-29' is not a date", first_date("2014-02-29")),
    "training: a day twice": spoilt_training(r"sample 0 has two rows of 2013-10-15", first_date("2013-10-15T10:00")),
    "training: band": spoilt_training(r"x_timeseries.csv: no column 'B08'", band="B8"),
    "training: decimal comma": spoilt_training(
        r"row 1: B08 is '0,3'", lambda frame: frame.assign(B08=frame["B08"].str.replace(".", ","))
    ),
    "training: infinite": spoilt_training(r"row 2: B08 is inf", lambda f: f.assign(B08=["1", "inf", *f["B08"][2:]])),
    "training: digital numbers": spoilt_training(
        r"200 of 200 values of B08 lie beyond 3.2767", lambda frame: frame.assign(B08="3000")
    ),
    "training: unknown labels": spoilt_training(r"fewer than two classes have samples; .*know a, b", label=("a", "b")),
    "training: one label": spoilt_training(r"fewer than two classes have samples", label=("pond", "pond")),
    "training: no label": spoilt_training(r"x_samples.csv, row 2: no label", label=("pond", "")),
    "training: place": spoilt_training(r"x_samples.csv, row 1: longitude is '15,2'", longitude="15,2", latitude=46),
    "training: a sample twice": spoilt_training(r"sample 3 occurs twice", sample_id=[3, *range(1, 40)]),
    "training: other days": spoilt_training(r"no sample has a value on any day of the features", start="2013-02-01"),
    "training: a sample too few": spoilt_training(r"no row for sample 0 of", sample_id=range(1, 41)),
}  # fmt: skip

BAD = {
    "unknown_key": unknown_key,
    "wrong_type": wrong_type,
    "missing_reference": missing_reference,
    "pattern_without_match": pattern_without_match,
    "another_crs": another_crs,
    "not_a_raster": not_a_raster,
    "output_where_no_file_can_be": output_where_no_file_can_be,
    "truncated": truncated,
    "picture_as_truth": picture_as_truth,
    "no_date_in_the_period": no_date_in_the_period,
    "unreadable_date": unreadable_date,
    "reference_without_crs": reference_without_crs,
    "reference_elsewhere": reference_elsewhere,
    "unknown_column": unknown_column,
    "one_class": one_class,
    "doubled_codes": doubled_codes,
    "unknown_band": unknown_band,
    "missing_model": missing_model,
    **{f.__name__: f for f in (no_label_inside, one_class_inside, nothing_left_by_erosion,
                               one_tile_cut_short, too_few_pixels, more_neighbours_than_pixels, all_dates_excluded, labels_where_no_dates_are, truth_elsewhere,
                               truth_of_other_values)},
    **{f.__name__: f for f in (unknown_codes, day_366, format_without_year, two_dates_in_a_name, period_with_a_time,
                               period_day_first)},
    **TABLES,
}  # fmt: skip
"""Name to what spoils a project so that neither check nor run may accept it."""

LATER = {f.__name__: f for f in (no_districts, districts_without_the_column, no_sample, sample_without_design)}
"""What `compare` and `estimate` stumble over after a run; check must find it before."""

ODD = {
    f.__name__: f
    for f in (
        one_date, step_longer_than_the_period, labels_in_one_patch, each_class_in_a_patch_of_its_own,
        legend_that_knows_a_few_codes, a_place_elsewhere, a_labelled_tile_of_one_date, another_size, coarser_bands, two_tiles,
    )
}  # fmt: skip
"""What is unusual, but no fault: check says sound, with a note that fits the pattern, and the run ends well."""
