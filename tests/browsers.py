"""A real browser for tests of pages: Debian's Chromium, or whatever Chromium there is; without one, tests skip loudly."""

import os
import shutil
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

WIDE, NARROW = (1280, 800), (390, 844)

# Playwright puts a style into the page for a screenshot, and Firefox reports that the page's policy forbids it.
SCREENSHOT_STYLE = "sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT+SmwNZWA="

# How many pixels of the first map have a colour, as rgb.
COUNT = """([r, g, b]) => {
  const canvas = document.querySelector("#pane-0 canvas");
  if (!canvas || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255;
  return n;
}"""


def chromium():
    """Path of a browser; the test skips, and says so, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install '.[test]'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        reason = "no browser: install chromium to test the pages"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return sync_api, found


@contextmanager
def browser():
    sync_api, path = chromium()
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def firefox():
    """Playwright's own Firefox, or the one that ``LANDWEAVE_FIREFOX`` names; the test skips loudly without either."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install '.[test]'")
    named = os.environ.get("LANDWEAVE_FIREFOX")
    with sync_api.sync_playwright() as play:
        if named is None and not Path(play.firefox.executable_path).exists():
            reason = "no Firefox: `playwright install firefox`, or name one in LANDWEAVE_FIREFOX"
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
        # A Firefox as it is distributed is driven by the standard protocol.
        how = {} if named is None else {"channel": "moz-firefox", "executable_path": named}
        opened = play.firefox.launch(**how)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def visit(browser, base, *, size, address="", errors=()):
    """A page that must ask nobody but ``base``, and log no errors but those that begin so; checked at the end."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, has_touch=size == NARROW)
    page = context.new_page()
    faults = []

    def log(text):
        if not any(known in text for known in (*errors, SCREENSHOT_STYLE)):
            faults.append(text)

    page.on("console", lambda message: log(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: log(str(error)))
    page.on("request", lambda request: None if ours(request.url, base) else faults.append(f"asked {request.url}"))
    page.goto(base + address)
    try:
        yield page
    finally:
        context.close()
    assert not faults, faults


def ours(url, base):
    return urlsplit(url).scheme in {"data", "blob"} or urlsplit(url).netloc == urlsplit(base).netloc


def count(page, color):
    return page.evaluate(COUNT, [int(color[i : i + 2], 16) for i in (1, 3, 5)])


def wait_until(page, what, *, seconds=15.0):
    """Until a function of no argument is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        page.wait_for_timeout(50)


def keep(page, name, tmp_path):
    """A screenshot, to be looked at: in ``LANDWEAVE_SCREENSHOTS``, or with the test's own files."""
    folder = Path(os.environ.get("LANDWEAVE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))


@contextmanager
def served(app):
    """An application on a free port of 127.0.0.1, in a thread; gives its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
