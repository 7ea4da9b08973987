"""Make the pictures of the site from a finished demo: python docs/make_pictures.py landweave-demo.

It needs `pip install '.[docs,test]'`, an installed Chromium, and `landweave compare` run on the demo. `make_picture.py`
makes the picture of image, register and map; the notebook's come from its test (`LANDWEAVE_SCREENSHOTS`).
"""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

IMAGES = Path(__file__).resolve().parent / "images"
WIDE = {"width": 900, "height": 700}
PHONE = {"width": 390, "height": 700}

REPORT = {
    "headline": "report-headline",
    "mixed-up": "report-mixed-up",
    "separable": "report-separable",
    "calibration": "report-calibration",
    "space": "report-space",
    "importance": "report-importance",
    "observed": "report-observed",
}
"""Section of the report to the name of its picture."""


@contextmanager
def browser() -> Iterator[Any]:
    """The installed Chromium, without a window.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise RuntimeError("no browser was found: install chromium")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield opened
        finally:
            opened.close()


def few_colours(source: Path, output: Path, *, colours: int = 128, tallest: int = 1500) -> None:
    """A screenshot as PNG of few colours, cut off below ``tallest`` pixels: a third of the bytes."""
    from PIL import Image

    with Image.open(source) as full:
        cut = full.convert("RGB").crop((0, 0, full.width, min(full.height, tallest)))
    output.parent.mkdir(parents=True, exist_ok=True)
    # By coverage, not by frequency: the few pixels of a class in a legend keep their colour.
    cut.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(output, optimize=True)


def of_pages(folder: Path, opened: Any, scratch: Path) -> None:
    """Sections of the report, its head on a phone, and the comparison of register and map."""
    shot = scratch / "shot.png"
    page = opened.new_page(viewport=WIDE, color_scheme="light")
    page.goto((folder / "report.html").resolve().as_uri())
    for section, name in REPORT.items():
        page.locator(f"#{section}").screenshot(path=shot)
        few_colours(shot, IMAGES / "gallery" / f"{name}.png")
    page.goto((folder / "compare.html").resolve().as_uri())
    page.screenshot(path=shot)
    few_colours(shot, IMAGES / "gallery" / "compare.png")
    page.close()
    page = opened.new_page(viewport=PHONE, color_scheme="dark")
    page.goto((folder / "report.html").resolve().as_uri())
    page.screenshot(path=shot)
    few_colours(shot, IMAGES / "gallery" / "report-phone.png")
    page.close()


def of_view(project: Path, opened: Any, scratch: Path) -> None:
    """The browser view: map and image with a swipe, and the map on a phone."""
    import uvicorn

    from landweave.viewer.server import make_app, open_view

    server = uvicorn.Server(uvicorn.Config(make_app(open_view(project)), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        for name, size in (("view-swipe", {"width": 1100, "height": 700}), ("view-phone", PHONE)):
            page = opened.new_page(viewport=size)
            page.goto(address)
            page.wait_for_load_state("networkidle")
            if name == "view-swipe":
                page.locator("#modes label", has_text="Swipe").click()
                page.locator("#other").select_option("true-colour")
                page.wait_for_load_state("networkidle")
            page.wait_for_timeout(8000)  # tiles come and fade in
            page.screenshot(path=scratch / "shot.png")
            few_colours(scratch / "shot.png", IMAGES / "gallery" / f"{name}.png")
            page.close()
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def main(project: Path) -> None:
    """All pictures of the gallery but the notebook's and the one of `make_picture.py`."""
    import landweave

    with TemporaryDirectory() as scratch, browser() as opened:
        of_pages(landweave.open_run(project).folder, opened, Path(scratch))
        of_view(project, opened, Path(scratch))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
