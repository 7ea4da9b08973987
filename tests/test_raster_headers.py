"""A raster's own words (mask, numbers, names, place) are read in one way, and what is wrong is said in one line."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.patch.raster.files import FORMATS, open_raster
from landweave.patch.raster.header import header_of
from landweave.sources.files.opened import header_at
from landweave.sources.pixels import read_on, read_static
from landweave.sources.rasters import open_rasters

CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)
SHAPE = (6, 8)
HOLE = np.zeros(SHAPE, bool)
HOLE[1:4, 2:5] = True


def tif(path, values, *, crs="EPSG:32633", transform=CORNER, names=(), mask=None, outside=False, **profile):
    values = np.asarray(values)
    values = values[None] if values.ndim == 2 else values
    own = {key: profile.pop(key) for key in ("scales", "offsets", "gcps", "colorinterp") if key in profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not outside),
        rasterio.open(
            path, "w", driver="GTiff", count=len(values), height=values.shape[1], width=values.shape[2],
            dtype=values.dtype, crs=crs, transform=transform, **profile,
        ) as file,
    ):  # fmt: skip
        file.write(values)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
        for key, value in own.items():
            setattr(file, key, value)
        if mask is not None:
            file.write_mask(mask)
    return path


def full(value, dtype="uint16"):
    return np.full(SHAPE, value, dtype)


def read(folder, pattern="{variable}_{date}.tif", name="R", **options):
    source = open_rasters(root=folder, pattern=pattern, **{"bands": [name], **options})
    return source.load(source.geobox, source.dates(), [name])[name].values[0]


KEPT = np.where(HOLE, 0, 255).astype("uint8")
MASKS = {
    "inside the file": lambda path: tif(path, full(77), mask=KEPT),
    "beside the file": lambda path: tif(path, full(77), mask=KEPT, outside=True),
    "alpha": lambda path: tif(path, np.stack([full(77), np.where(HOLE, 0, 65535).astype("uint16")]), alpha="yes"),
    "a faint alpha": lambda path: tif(path, np.stack([full(77), np.where(HOLE, 0, 1).astype("uint16")]), alpha="yes"),
    "beside a nodata value": lambda path: tif(path, full(77), mask=KEPT, nodata=5),
    "nodata": lambda path: tif(path, np.where(HOLE, 5, 77).astype("uint16"), nodata=5),
    "not a number": lambda path: tif(path, np.where(HOLE, np.nan, 77e-4).astype("float32")),
}


@pytest.mark.parametrize("how", MASKS)
def test_what_a_file_says_is_missing_is_missing(tmp_path, how):
    MASKS[how](tmp_path / "R_2021-06-01.tif")
    assert (read(tmp_path) == np.where(HOLE, NODATA, 77)).all()
    layer = read_static(tmp_path / "R_2021-06-01.tif", header_at(tmp_path / "R_2021-06-01.tif").grid)
    assert (np.isnan(layer) == HOLE).all()


@pytest.mark.parametrize("how", ["inside the file", "beside the file", "alpha"])
def test_a_masked_mask_is_not_clear(tmp_path, how):
    tif(tmp_path / "R_2021-06-01.tif", full(1))
    MASKS[how](tmp_path / "M_2021-06-01.tif")
    with rasterio.open(tmp_path / "M_2021-06-01.tif", "r+") as file:
        file.write(np.zeros(SHAPE, file.dtypes[0]), 1)
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], mask="M")
    codes = source.load(source.geobox, source.dates(), ["M"]).M.values[0]
    assert (codes == np.where(HOLE, 255, 0)).all()


def test_a_mask_beside_a_file_is_an_input(tmp_path):
    MASKS["beside the file"](tmp_path / "R_2021-06-01.tif")
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"])
    assert tmp_path / "R_2021-06-01.tif.msk" in source.inputs()


def test_a_fourth_band_of_bytes_with_a_name_is_no_alpha(tmp_path):
    bands = np.stack([full(n, "uint8") for n in (1, 2, 3, 0)])
    tif(tmp_path / "S_2021-06-01.tif", bands, names=["B02", "B03", "B04", "B08"])
    with rasterio.open(tmp_path / "S_2021-06-01.tif") as file:
        assert file.colorinterp[3] == ColorInterp.alpha  # as GDAL has it
    assert (read(tmp_path, "S_{date}.tif", "B02") == 1).all()
    assert (read(tmp_path, "S_{date}.tif", "B08") == 0).all()


def test_a_fourth_band_of_bytes_that_the_project_names_is_no_alpha(tmp_path):
    tif(tmp_path / "S_2021-06-01.tif", np.stack([full(n, "uint8") for n in (1, 2, 3, 0)]))
    four, three = ["B02", "B03", "B04", "B08"], ["B02", "B03", "B04"]
    assert (read(tmp_path, "S_{date}.tif", "B02", bands=four) == 1).all()
    assert (read(tmp_path, "S_{date}.tif", "B08", bands=four) == 0).all()
    assert (read(tmp_path, "S_{date}.tif", "B02", bands=three) == NODATA).all()


NUMBERS = {
    "the file's": ({}, [600]),
    "the same scale again": ({"scale": 1e-4}, [600]),
    "scale and offset again": ({"scale": 1e-4, "offset": -0.1}, [600]),
    "another offset": ({"offset": 0.0}, [1600]),
    "both others": ({"scale": 1e-3, "offset": 0.0}, [16000]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_scale_alone_does_not_drop_the_files_offset(tmp_path, case):
    given_numbers, wanted = NUMBERS[case]
    tif(tmp_path / "R_2021-06-01.tif", full(1600), scales=[1e-4], offsets=[-0.1])
    assert np.unique(read(tmp_path, **given_numbers)).tolist() == wanted
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], **given_numbers)
    assert len(source.notes) == ("other" in case)


def test_another_scale_without_an_offset_is_refused_where_the_file_has_one(tmp_path):
    tif(tmp_path / "R_2021-06-01.tif", full(1600), scales=[1e-4], offsets=[-0.1])
    with pytest.raises(
        InputError, match=r"R_2021-06-01\.tif: the file says scale 0.0001 and offset -0.1, but you give"
    ):
        read(tmp_path, scale=1e-3)


def test_nodata_that_is_not_the_files_is_noted(tmp_path):
    for day in range(1, 4):
        tif(tmp_path / f"R_2021-06-0{day}.tif", full(1600), nodata=0)
    notes = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], nodata=-9999).notes
    assert notes == (
        "R_2021-06-01.tif and 2 more files: nodata -9999 cannot occur in numbers of the type uint16.",
        "R_2021-06-01.tif and 2 more files: nodata -9999 is used, as you give it; the file says 0.",
    )


@given(
    number=st.integers(0, 65535), scale=st.sampled_from([None, 1e-4, 2.75e-5]), offset=st.sampled_from([None, 0, -0.2]),
    own=st.sampled_from([None, (1e-4, 0.0), (2.75e-5, -0.2)]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_scale_and_offset_are_each_the_users_else_the_files_else_the_usual(
    tmp_path_factory, number, scale, offset, own
):
    folder = tmp_path_factory.mktemp("n")
    tags = {} if own is None else {"scales": [own[0]], "offsets": [own[1]]}
    tif(folder / "R_2021-06-01.tif", full(number), **tags)
    try:
        got = read(folder, scale=scale, offset=offset)
    except InputError:
        assert own == (2.75e-5, -0.2)
        assert scale == 1e-4
        assert offset is None
        return
    first = scale or (own or (1e-4,))[0]
    second = offset if offset is not None else (own or (0, 0.0))[1]
    wanted = np.clip(number * first + second, -3.2767, 3.2767)
    assert abs(got - wanted * 1e4).max() <= 0.5 + 1e-6


COMPLEX = ["complex64", "complex128"]
USES = {
    "band": lambda folder: read(folder, bands=["C"]),
    "mask": lambda folder: read(folder, mask="C"),
    "static": lambda folder: read_static(folder / "C_2021-06-01.tif", GeoBox(SHAPE, CORNER, "EPSG:32633")),
}


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("use", USES)
def test_complex_numbers_are_refused(tmp_path, dtype, use):
    tif(tmp_path / "R_2021-06-01.tif", full(1))
    tif(tmp_path / "C_2021-06-01.tif", full(1 + 2j, dtype))
    with pytest.raises(InputError, match=r"C_2021-06-01\.tif: band 1 holds complex numbers"):
        USES[use](tmp_path)


def test_two_bands_of_one_name_are_refused(tmp_path):
    three = np.stack([full(3), full(1), full(2)])
    tif(tmp_path / "S_2021-06-01.tif", three, names=["B04", "B04 ", "B08"])
    both = r"S_2021-06-01\.tif: bands 1 and 2 are both described as 'B04'"
    with pytest.raises(InputError, match=both):
        read(tmp_path, "S_{date}.tif", "B04")
    with pytest.raises(InputError, match=both):
        read(tmp_path, "S_{date}.tif", "B04", bands=None)
    assert (read(tmp_path, "S_{date}.tif", "B08") == 2).all()
    (tmp_path / "t.csv").write_text("date,variable,path,band\n2021-06-01,B04,S_2021-06-01.tif,B04\n")
    with pytest.raises(InputError, match=both):
        open_rasters(root=tmp_path, table="t.csv")


def test_names_of_bands_lose_their_blanks_and_are_listed(tmp_path):
    tif(tmp_path / "S_2021-06-01.tif", np.stack([full(1), full(2)]), names=["b04", " B08 "])
    assert (read(tmp_path, "S_{date}.tif", "B08") == 2).all()
    with pytest.raises(InputError, match="No raster holds 'B04'; there are b04, B08"):
        read(tmp_path, "S_{date}.tif", "B04")


def test_a_band_without_description_among_others_is_noted(tmp_path):
    tif(tmp_path / "S_2021-06-01.tif", np.stack([full(1), full(2)]), names=["B04"])
    notes = open_rasters(root=tmp_path, pattern="S_{date}.tif", bands=["B04"]).notes
    assert notes == ("S_2021-06-01.tif: band 2 has no description and is left out.",)


def read_mask(folder, **options):
    source = open_rasters(root=folder, pattern="{variable}_{date}.tif", bands=["R"], mask="CLP", **options)
    return source.load(source.geobox, source.dates(), ["CLP"]).CLP.values[0]


WRONG_MASKS = {
    "a probability": (np.float32(0.2), {"mask_above": 0.4}, "mask_above = 0.4, but masks are whole numbers"),
    "a fraction": (np.float32(37.5), {"mask_above": 40}, "holds 37.5"),
    "a fraction without threshold": (np.float32(0.2), {}, "holds 0.2"),
    "bits": (np.uint16(21824), {"mask_above": 40}, "holds 21824"),
    "below nothing": (np.int16(-1), {"mask_above": 40}, "holds -1"),
}


@pytest.mark.parametrize("case", WRONG_MASKS)
def test_a_mask_that_is_no_whole_number_of_a_byte_is_refused(tmp_path, case):
    value, options, message = WRONG_MASKS[case]
    tif(tmp_path / "R_2021-06-01.tif", full(1))
    tif(tmp_path / "CLP_2021-06-01.tif", np.full(SHAPE, value))
    with pytest.raises(InputError, match=rf"CLP_2021-06-01\.tif: .*{message}"):
        read_mask(tmp_path, **options)


def test_a_mask_of_whole_floating_point_numbers_is_a_mask(tmp_path):
    tif(tmp_path / "R_2021-06-01.tif", full(1))
    tif(tmp_path / "CLP_2021-06-01.tif", np.where(HOLE, 60, 3).astype("float32"))
    assert (read_mask(tmp_path, mask_above=40) == np.where(HOLE, 60, 3)).all()


IDENTITY = Affine.identity()
POINTS = [
    GroundControlPoint(0, 0, 500_000, 5_000_000), GroundControlPoint(6, 0, 500_000, 4_999_940),
    GroundControlPoint(0, 8, 500_080, 5_000_000),
]  # fmt: skip
NOWHERE = {
    "identity": ({"transform": IDENTITY}, "no position"),
    "control points": (
        {"transform": IDENTITY, "crs": None, "gcps": (POINTS, rasterio.CRS.from_epsg(32633))},
        "only ground control points",
    ),
    "no crs": ({"crs": None}, "no coordinate reference system"),
    "neither": ({"crs": None, "transform": IDENTITY}, "no coordinate reference system"),
}


@pytest.mark.parametrize("case", NOWHERE)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_without_a_place_is_refused_by_name(tmp_path, case):
    how, message = NOWHERE[case]
    tif(tmp_path / "R_2021-06-01.tif", full(1), **how)
    with pytest.raises(InputError, match=rf"R_2021-06-01\.tif: .*{message}"):
        read(tmp_path)


GRIDS = {
    "south up": Affine(10, 0, 500_000, 0, 10, 4_999_940),
    "east to west": Affine(-10, 0, 500_080, 0, -10, 5_000_000),
    "rotated": Affine(8, 6, 500_000, 6, -8, 5_000_000),
    "sheared": Affine(10, 2, 500_000, 0, -10, 5_000_000),
    "oblong": Affine(10, 0, 500_000, 0, -20, 5_000_000),
}


@pytest.mark.parametrize("case", GRIDS)
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_odd_grids_come_to_another_grid_where_they_are(tmp_path, case, method):
    def plane(grid):
        rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
        x, y = grid.affine * (columns + 0.5, rows + 0.5)
        return 3000 + (x - 500_000) + 2 * (y - 4_999_000)

    own = GeoBox((60, 80), GRIDS[case], "EPSG:32633")
    path = tif(tmp_path / "R_2021-06-01.tif", plane(own).astype("float64"), transform=GRIDS[case])
    x, y = GRIDS[case] * (40, 30)
    target = GeoBox((16, 18), Affine(10, 0, round(x, -1) - 90, 0, -10, round(y, -1) + 80), "EPSG:32633")
    got = read_on(path, 1, None, header_at(path).grid, target, resampling=method)
    # The nearest pixel is half a pixel off at most, along both sides.
    assert abs(got - plane(target)).max() <= (30 if method == "nearest" else 1e-3)


def test_a_compression_that_gdal_lacks_is_named(tmp_path):
    path = tif(tmp_path / "R_2021-06-01.tif", full(1))
    content = bytearray(path.read_bytes())
    at = content.index(b"\x03\x01\x03\x00\x01\x00\x00\x00")  # the tag Compression, none
    content[at + 8 : at + 10] = (50002).to_bytes(2, "little")  # JPEG XL
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"R_2021-06-01\.tif: not readable: .*codec.* another compression"):
        read(tmp_path)


VRT = """<VRTDataset rasterXSize="8" rasterYSize="6"><SRS>EPSG:32633</SRS>
<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform><VRTRasterBand dataType="UInt16" band="1"{kind}>{source}
</VRTRasterBand></VRTDataset>"""
SIMPLE = '<SimpleSource><SourceFilename relativeToVRT="{relative}">{name}</SourceFilename></SimpleSource>'


def vrt(path, name, *, relative=1, kind="", source=SIMPLE):
    path.write_text(VRT.format(kind=kind, source=source.format(name=name, relative=relative)))
    return path


def test_a_virtual_raster_of_images_is_read_and_its_sources_are_inputs(tmp_path):
    tif(tmp_path / "a.tif", full(1234))
    vrt(tmp_path / "R_2021-06-01.vrt", "a.tif")
    assert (read(tmp_path, "{variable}_{date}.vrt") == 1234).all()
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.vrt", bands=["R"])
    assert source.inputs() == [tmp_path / "R_2021-06-01.vrt", tmp_path / "a.tif"]


RAW = '<SourceFilename relativeToVRT="0">{name}</SourceFilename><ImageOffset>0</ImageOffset>'
DISGUISED = {
    "a virtual raster under another name": ("R_2021-06-01.tif", {"name": "a.tif"}, "under another name"),
    "raw bytes": (
        "R_2021-06-01.vrt", {"name": "/etc/passwd", "kind": ' subClass="VRTRawRasterBand"', "source": RAW},
        "may read any file",
    ),
    "a server": ("R_2021-06-01.vrt", {"name": "/vsicurl/http://127.0.0.1:9/a.tif", "relative": 0}, "only files of this"),
    "an address": ("R_2021-06-01.vrt", {"name": "http://127.0.0.1:9/a.tif", "relative": 0}, "only files of this"),
    "a lost image": ("R_2021-06-01.vrt", {"name": "absent.tif"}, "source of the virtual raster is missing: .*absent.tif"),
    "text": ("R_2021-06-01.vrt", {"name": "text.tif"}, r"cannot be read: .*text\.tif"),
    "itself": ("R_2021-06-01.vrt", {"name": "R_2021-06-01.vrt"}, "within virtual rasters"),
    "a disguised one": ("R_2021-06-01.vrt", {"name": "inner.tif"}, r"inner\.tif: a virtual raster .* under another name"),
}  # fmt: skip


@pytest.mark.parametrize("case", DISGUISED)
def test_a_virtual_raster_that_reads_anything_but_images_is_refused(tmp_path, case):
    name, how, message = DISGUISED[case]
    tif(tmp_path / "a.tif", full(1))
    (tmp_path / "text.tif").write_text("no image")
    vrt(tmp_path / "inner.tif", "a.tif")
    vrt(tmp_path / name, **how)
    with pytest.raises(InputError, match=message):
        read(tmp_path, "{variable}_{date}" + Path(name).suffix)


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "HFA", "ENVI", "JP2OpenJPEG"])
def test_formats_that_hold_their_own_pixels_are_read(tmp_path, driver):
    assert driver in FORMATS
    ramp = np.arange(48, dtype="uint8").reshape(SHAPE) + 1
    path = tmp_path / "R_2021-06-01.x"
    options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    with rasterio.open(tif(tmp_path / "a.tif", ramp)) as file:
        rasterio.shutil.copy(file, path, driver=driver, **options)
    with open_raster(path) as file:
        assert file.driver == driver
        assert (file.read(1) == ramp).all()


MACHINE = [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM]


@pytest.mark.parametrize("number", MACHINE)
def test_a_fault_of_the_machine_is_no_fault_of_the_file(tmp_path, monkeypatch, number):
    path = tif(tmp_path / "R_2021-06-01.tif", full(1))
    path.write_bytes(path.read_bytes()[:60])

    def no(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", no)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        open_raster(path)
    assert caught.value.filename == str(path)


def test_a_file_that_may_not_be_read_is_the_users(tmp_path, monkeypatch):
    path = tif(tmp_path / "R_2021-06-01.tif", full(1))
    path.write_bytes(b"")

    def no(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", no)
    with pytest.raises(InputError, match="not readable: Permission denied; check the name and the permissions"):
        open_raster(path)


def test_with_few_open_files_a_source_still_reads(tmp_path):
    resource = pytest.importorskip("resource")
    for day in range(1, 29):
        tif(tmp_path / f"R_2021-06-{day:02d}.tif", full(day))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 12, hard))
    try:
        source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"])
        values = source.load(source.geobox, source.dates(), ["R"]).R.values[:, 0, 0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert values.tolist() == list(range(1, 29))


def test_blocks_that_no_memory_holds_are_refused(tmp_path):
    path = tmp_path / "R_2021-06-01.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=80_000, width=80_000, dtype="uint16", crs="EPSG:32633",
        transform=CORNER, sparse_ok=True, tiled=True, blockxsize=65536, blockysize=65536,
    ):  # fmt: skip
        pass
    with pytest.raises(InputError, match="stored in blocks of 65536 x 65536 pixels"):
        header_at(path)


DATA = Path(os.environ.get("LANDWEAVE_DATA", Path(__file__).parents[2] / "shared" / "data"))
REAL = sorted(path for ending in ("tif", "jp2") for path in DATA.rglob(f"*.{ending}"))


@pytest.mark.skipif(not REAL, reason="no real data: set LANDWEAVE_DATA")
def test_real_rasters_are_missing_where_gdal_says_so():
    for path in REAL:
        with rasterio.open(path) as file:
            height, width = min(file.height, 300), min(file.width, 300)
            top, left = (file.height - height) // 2, (file.width - width) // 2
            window = rasterio.windows.Window(left, top, width, height)
            header = header_of(file, path)
            if header.crs is None:
                with pytest.raises(InputError, match="no coordinate reference system"):
                    _ = header.grid
                continue
            assert header.shape == file.shape
            for band in header.images[:2]:
                wanted = file.read(band.number, window=window, masked=True)
                target = header.grid[top : top + height, left : left + width]
                got = read_on(path, band.number, band.nodata, header.grid, target, masked=band.masked)
                hidden = np.ma.getmaskarray(wanted) | np.isnan(wanted.data.astype(float))
                assert (np.isnan(got) == hidden).all(), path
                assert (got[~hidden] == wanted.data[~hidden]).all(), path
