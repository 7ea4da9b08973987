"""Map a simulated region across two UTM zones, from its archive to the mosaic, and say what a country would take.

    python benchmarks/region.py [--size-km 60] [--dates 40] [--workers 2] [--patch-size 500] [--work FOLDER] [--write]

Simulates the archive at its first use (60 km and 40 dates: 21 GB, half an hour), then runs ``landweave run`` on it in
a process of its own, which takes 12 GB more, while the memory of all its processes (PSS, so that what they share counts
once) and the size of the output folder are watched. ``--write`` keeps the table in RESULTS.md; ``--size-km 3
--dates 6`` tries it.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SLOVENIA_PIXELS, SLOVENIA_DATES = 203e6, 68
BY_DATE, BY_PIXEL = {"fetch", "sample", "predict"}, {"label", "mosaic"}
"""Stages whose work grows with pixels and dates (``predict`` with dates only in part), and with pixels alone. Others
work on samples, whose number does not grow with the land, or on patches' records."""
TITLE = "## A region across two zones"


def processes_below(root):
    """Process numbers of a process and of all that it started."""
    found, queue = [], [root]
    while queue:
        number = queue.pop()
        found.append(number)
        for path in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                queue += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def memory_below(root):
    """Proportional set size of a process and of all that it started, bytes, by process number, the first one first."""
    each = {}
    for number in processes_below(root):
        try:
            told = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue
        each[number] = 1024 * int(re.search(r"^Pss:\s+(\d+) kB", told, flags=re.MULTILINE)[1])
    return each


def disk_below(folder):
    """Bytes of all files of a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - walked many times
            except OSError:
                continue
    return total


def prepared(given):
    """The region's project, simulated where it is not there, with its settings."""
    folder = given.work / f"region-{given.size_km:g}km-{given.dates}"
    if not (folder / "landweave.toml").exists():
        simulate = ["simulate", str(folder), "--size-km", f"{given.size_km:g}", "--dates", str(given.dates)]
        subprocess.run([sys.executable, "-m", "landweave", *simulate], check=True)
    text = (folder / "landweave.toml").read_text()
    for before, after in {
        r"^patch_size = \d+": f"patch_size = {given.patch_size}",
        r"^per_class = \d+": f"per_class = {given.per_class}",
        r'^clouds = "scl"': 'clouds = "scl"\nkeep = false',
    }.items():
        if "keep = false" in after and "keep = false" in text:
            continue
        text, count = re.subn(before, after, text, count=1, flags=re.MULTILINE)
        assert count == 1, before
    (folder / "landweave.toml").write_text(text)
    shutil.rmtree(folder / "out", ignore_errors=True)
    return folder


def watched(folder, workers):
    """Run the project; seconds by the clock, each process's PSS at the peak of all, peak bytes of the output folder."""
    command = [sys.executable, "-m", "landweave", "run", str(folder), "--workers", str(workers)]
    began = time.monotonic()
    process = subprocess.Popen(command)
    memory, disk, looked = {}, 0, 0.0
    while process.poll() is None:
        now = memory_below(process.pid)
        if sum(now.values()) > 1.05 * sum(memory.values()):
            each = " + ".join(f"{n / 1e6:.0f}" for n in now.values())
            print(f"{time.monotonic() - began:.0f} s: {each} MB", flush=True)
        memory = max(memory, now, key=lambda each: sum(each.values()))
        # The folder is large: it is walked no more often than every five seconds.
        if time.monotonic() - looked > 5:
            disk, looked = max(disk, disk_below(folder / "out")), time.monotonic()
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"the run ended with status {process.returncode}")
    return time.monotonic() - began, memory, max(disk, disk_below(folder / "out"))


def told(given, folder, seconds, memory, disk):
    """The table, and what Slovenia would take."""
    record = json.loads((folder / "out" / "run.json").read_text())
    forecast = json.loads((folder / "out" / "forecast.json").read_text())
    import rasterio

    zones = {rasterio.open(path).crs.to_epsg() for path in (folder / "out" / "predictions").glob("*.tif")}
    pixels = 1e4 * given.size_km**2
    stages = record["stages"]
    wider, longer = SLOVENIA_PIXELS / pixels, SLOVENIA_DATES / given.dates
    times = {
        name: wider * longer if name in BY_DATE else wider if name in BY_PIXEL else max(1.0, longer) for name in stages
    }
    country = sum(stage["seconds"] * times[name] for name, stage in stages.items())
    lines = [
        TITLE,
        "",
        (
            f"`python benchmarks/region.py --size-km {given.size_km:g} --dates {given.dates} --workers {given.workers} "
            f"--patch-size {given.patch_size}`, {datetime.date.today().isoformat()}, {os.cpu_count()} cores "  # noqa: DTZ011
            f"({platform.machine()}), Python {platform.python_version()}: {pixels / 1e6:.3g} million pixels, "
            f"{given.dates} dates, {len(record['patches'])} patches, "
            f"zones {', '.join(map(str, sorted(zones)))}, `keep = false`."
        ),
        "",
        "| | found | forecast |",
        "|---|---|---|",
        f"| from archive to mosaic and report | {seconds / 3600:.2f} h | {forecast['hours']:.2f} h |",
        f"| pixels per second | {pixels / seconds:,.0f} | |",
        f"| CPU | {sum(s['cpu_seconds'] for s in stages.values()) / 3600:.2f} h | {forecast['cpu_hours']:.2f} h |",
        (
            f"| peak memory of all processes (PSS) | {sum(memory.values()) / 1e9:.2f} GB "
            f"({' + '.join(f'{n / 1e9:.2f}' for n in memory.values() if n > 5e7)}, the main process first) | "
            f"{(forecast['memory_bytes'] * given.workers + forecast['main_bytes']) / 1e9:.2f} GB |"
        ),
        f"| peak of the output folder | {disk / 1e9:.2f} GB | {forecast['disk_bytes'] / 1e9:.2f} GB |",
        (
            f"| Slovenia, {SLOVENIA_PIXELS / 1e6:g} million pixels and {SLOVENIA_DATES} dates, by these stages | "
            f"{country / 3600:.1f} h, {disk / 1e9 * SLOVENIA_PIXELS / pixels * SLOVENIA_DATES / given.dates:.0f} GB | |"
        ),
        "",
        "| stage | seconds | CPU seconds | peak of one process |",
        "|---|---|---|---|",
        *(
            f"| {name} | {s['seconds']:.0f} | {s['cpu_seconds']:.0f} | {s['peak_bytes'] / 1e6:.0f} MB |"
            for name, s in stages.items()
        ),
        "",
    ]
    return "\n".join(lines)


def written(text, path):
    """Put the section into the file, instead of an earlier one."""
    before = path.read_text() if path.exists() else ""
    parts = re.split(r"(?m)^(?=## )", before)
    kept = [part for part in parts if not part.startswith(TITLE)]
    path.write_text("".join(kept).rstrip() + "\n\n" + text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-km", type=float, default=60)
    parser.add_argument("--dates", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patch-size", type=int, default=500)
    parser.add_argument("--per-class", type=int, default=20_000)
    parser.add_argument("--work", type=Path, default=HERE.parent / "landweave-bench")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    folder = prepared(given)
    subprocess.run(
        [sys.executable, "-m", "landweave", "forecast", str(folder), "--workers", str(given.workers)], check=True
    )
    text = told(given, folder, *watched(folder, given.workers))
    print(text)
    if given.write:
        written(text, HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
