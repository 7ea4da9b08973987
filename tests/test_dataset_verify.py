"""A check of a data set believes neither a list that was cut off nor a disk that answers oddly."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from landweave.cli.app import app
from landweave.errors import InputError
from landweave.maps.dataset import (
    ZARR,
    Shared,
    checksum_of,
    checksums_in,
    verify,
    write_checksums,
    write_collection,
    write_item,
)

GRID = GeoBox.from_bbox((0, 0, 60, 40), "EPSG:32633", resolution=10)


@pytest.fixture
def folder(tmp_path):
    """A data set of two patches whose files hold a word each."""
    folder, shared, known = tmp_path / "set", [], {}
    for name in ("a", "b"):
        href = f"patches/{name}.zarr"
        for file in ("zarr.json", "B04/zarr.json", "B04/c/0"):
            (folder / href / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / href / file).write_text(f"{name} {file}")
        files = checksums_in(folder / href)
        known |= {f"{href}/{file}": checksum for file, checksum in files.items()}
        patch = Shared(
            name=name, href=href, media_type=ZARR, geobox=GRID, times=("2020-05-01",), variables={"B04": "int16"},
            dated=("B04",), content=checksum_of(files), made_from="",
        )  # fmt: skip
        write_item(folder, patch)
        shared.append(patch)
    write_collection(folder, shared, title="t", description="d", licence="", notes={})
    (folder / "static").mkdir()
    (folder / "static" / "z.tif").write_text("heights")
    write_checksums(folder, known, ["collection.json", "items/a.json", "items/b.json", "static"])
    assert verify(folder).sound
    return folder


def lines_of(folder):
    return (folder / "checksums.sha256").read_text().splitlines(keepends=True)


def test_a_list_that_was_cut_off_anywhere_is_not_believed(folder):
    lines = lines_of(folder)
    assert len(lines) == 10
    for kept in range(len(lines)):
        (folder / "checksums.sha256").write_text("".join(lines[:kept]))
        with pytest.raises(InputError, match=r"checksums\.sha256"):
            verify(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_a_list_without_some_of_a_patch_is_not_believed(folder, data):
    whole = lines_of(folder)
    of_patches = [line for line in whole if "  patches/" in line or "  items/" in line]
    gone = data.draw(st.sets(st.sampled_from(of_patches), min_size=1))
    (folder / "checksums.sha256").write_text("".join(line for line in whole if line not in gone))
    found = verify(folder)
    (folder / "checksums.sha256").write_text("".join(whole))
    assert found.damaged == ("checksums.sha256",)
    assert not found.sound


def test_what_became_a_folder_is_damaged_and_what_lies_in_a_file_is_missing(folder):
    (folder / "items" / "a.json").unlink()
    (folder / "items" / "a.json").mkdir()
    shutil.rmtree(folder / "patches" / "b.zarr" / "B04")
    (folder / "patches" / "b.zarr" / "B04").write_text("a file")
    found = verify(folder)
    assert found.damaged == ("items/a.json",)
    assert found.missing == ("patches/b.zarr/B04/c/0", "patches/b.zarr/B04/zarr.json")
    told = CliRunner().invoke(app, ["verify", str(folder)])
    assert told.exit_code == 1
    assert "damaged  items/a.json" in told.output
    assert "3 of 10 files" in told.output


def test_a_file_that_the_disk_does_not_give_is_damaged_and_the_check_goes_on(folder, monkeypatch):
    import landweave.maps.dataset as module

    whole = module._sha256

    def reads(path):
        if path.name == "z.tif":
            raise OSError(5, "Input/output error")
        return whole(path)

    monkeypatch.setattr(module, "_sha256", reads)
    (folder / "items" / "b.json").unlink()
    found = verify(folder)
    assert (found.damaged, found.missing) == (("static/z.tif",), ("items/b.json",))


def test_a_link_to_itself_is_damaged(folder):
    (folder / "static" / "z.tif").unlink()
    (folder / "static" / "z.tif").symlink_to("z.tif")
    assert verify(folder).damaged == ("static/z.tif",)
