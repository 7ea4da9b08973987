"""Measure landweave against eo-learn 1.5.7 on the same pixels, and keep the table of ratios in RESULTS.md.

    python benchmarks/compare.py [--size 1000] [--only ROW]... [--work FOLDER] [--eolearn PYTHON]

Builds eo-learn's environment at its first use. Ratios are of CPU seconds, and of wall seconds where it is said; both
sides take their turns in one run, each measurement in a process of its own. ``--size 200`` tries all of it in minutes.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LEAN = ("load patch", "merge", "filter dates", "interpolate", "reshape", "predict labels", "export")
"""What eo-learn cannot do without, from the stored patch to a GeoTIFF of labels."""
NOTEBOOK = (*LEAN, "erosion", "sampling", "save sampled", "load sampled", "predict scores", "save prediction")
"""What its notebook does."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    what: str
    theirs: str
    ours: str
    ratio: float | None
    goal: float | None
    notes: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's cells as text."""
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        goal = "" if self.goal is None else f"{self.goal:g}"
        missed = self.goal is not None and (self.ratio is None or self.ratio < self.goal)
        return self.what, self.theirs, self.ours, f"**{ratio}**" if missed else ratio, goal, self.notes


@dataclass(kw_only=True)
class Bench:
    """Where things are, and what several rows need."""

    work: Path
    size: int
    rounds: int
    eolearn: Path
    made: dict[str, Any] = field(default_factory=dict)

    def run(
        self, python: Path | str, *words: Any, threads: int | None = 1, cores: int | None = None, name: str = ""
    ) -> dict[str, Any]:
        """Run a program in a process of its own; what it measured, with CPU seconds and memory of the process.

        ``cores`` is how many it may use; None for all.
        """
        target = self.work / "measured.json"
        target.unlink(missing_ok=True)
        command = [str(python), *map(str, words), *(["--json", str(target)] if name != "cli" else [])]
        if cores is not None:
            some = sorted(os.sched_getaffinity(0))[:cores]
            command = ["taskset", "--cpu-list", ",".join(map(str, some)), *command]
        settings = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        print("   ", " ".join(command), flush=True)
        begun = time.perf_counter()
        with (self.work / "log.txt").open("ab") as log:
            child = subprocess.Popen(command, cwd=HERE, env={**os.environ, **settings}, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            end = (self.work / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"{' '.join(command[1:3])} failed: {' '.join(end)}")
        facts = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
        process = {"wall": time.perf_counter() - begun, "cpu": usage.ru_utime + usage.ru_stime}
        return {**facts, "process": {**process, "peak_mib": usage.ru_maxrss / 1024}}

    def ours(self, *words: Any, **options: Any) -> dict[str, Any]:
        """Run our side."""
        return self.run(sys.executable, HERE / "landweave_chain.py", *words, **options)

    def projects(self, folder: Path, *words: Any) -> None:
        """Projects on the main patch, made in a process of its own: a child's peak memory counts its parent's."""
        self.run(sys.executable, HERE / "projects.py", folder, self.main_patch(), self.model(), *words, name="cli")

    def theirs(self, *words: Any, **options: Any) -> dict[str, Any]:
        """Run eo-learn's side."""
        return self.run(self.eolearn, HERE / "eolearn_chain.py", *words, **options)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` makes, the first time that it is asked for."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    @property
    def small(self) -> int:
        """Side of the patch that models are trained on."""
        return min(self.size, 500)

    def patch(self, name: str, *, size: int, seed: int) -> Path:
        """A generated patch."""

        def make() -> Path:
            folder = self.work / name
            if not (folder / "meta.json").exists():
                self.run(sys.executable, HERE / "patch.py", folder, "--size", size, "--seed", seed, name="cli")
            return folder

        return self.once(name, make)

    def train_patch(self) -> Path:
        """The patch that models are trained on."""
        return self.patch("train", size=self.small, seed=42)

    def main_patch(self) -> Path:
        """The patch that is mapped."""
        return self.patch("main", size=self.size, seed=43)

    def their_training(self) -> dict[str, Any]:
        """Eo-learn's chain on the training patch."""
        return self.once(
            "their training",
            lambda: self.theirs(
                "chain", self.train_patch(), self.work / "eo-train", "--keep-features", "--no-scores", threads=None
            ),
        )

    def model(self) -> Path:
        """Our model of the training patch."""

        def make() -> Path:
            self.ours("train", self.train_patch(), self.work / "model", threads=None)
            return self.work / "model"

        return self.once("model", make)

    def stack(self, high: int = 1) -> Path:
        """The main patch as it is stored, so many times below itself."""

        def make() -> Path:
            path = self.work / f"stack{high}.zarr"
            self.ours("store", self.main_patch(), path, "--high", high)
            return path

        return self.once(f"stack {high}", make)

    def mapped(self, high: int = 1) -> dict[str, Any]:
        """Our map of the stored patch; the quickest of the rounds. A first run fills the cache of kernels."""

        def make() -> dict[str, Any]:
            words = ("map", self.stack(high), self.model(), self.work / f"labels{high}.tif")
            if high == 1:
                self.ours(*words)
            rounds = [self.ours(*words) for _ in range(self.rounds)]
            most = max(facts["peak_mib"] for facts in rounds)
            return min(rounds, key=lambda facts: facts["process"]["cpu"]) | {"peak_mib": most}

        return self.once(f"mapped {high}", make)

    def their_chain(self) -> dict[str, Any]:
        """Eo-learn's chain on the main patch, with the model of the training patch."""

        def make() -> dict[str, Any]:
            self.their_training()
            model = self.work / "eo-train" / "model.pkl"
            return self.theirs("chain", self.main_patch(), self.work / "eo-main", "--model", model)

        return self.once("their chain", make)


def trees(bench: Bench) -> list[Row]:
    """Labels of 900 trees."""
    facts = bench.ours("trees", bench.main_patch(), bench.model())
    ours, theirs = (facts["stages"][name]["cpu"] for name in ("ours", "LightGBM"))
    notes = f"{facts['differing']} of {facts['pixels']:,} labels differ, probabilities by {facts['furthest']:.0e}"
    what = f"labels of {facts['trees']} trees, {facts['features']} int16 features (theirs: Booster.predict, 1 thread)"
    return [Row(what=what, theirs=seconds(theirs), ours=seconds(ours), ratio=theirs / ours, goal=20, notes=notes)]


def features(bench: Bench) -> list[Row]:
    """Interpolation and indices."""
    theirs = bench.their_training()["stages"]["interpolate"]["cpu"]
    facts = bench.ours(
        "interpolate", bench.train_patch(), "--features", bench.work / "eo-train" / "features.npy", "--rounds", 5
    )
    ours = facts["stages"]["features"]["cpu"]
    missing = "same" if facts["same_missing"] else "**another**"
    equal = "equal" if facts["equal_to_plain"] else "**not equal**"
    notes = f"{missing} missing pattern, furthest {facts['furthest_units']:.2f} units, {equal} to the plain form"
    what = f"interpolation and indices, {facts['pixels']:,} pixels (theirs: LinearInterpolationTask alone)"
    return [Row(what=what, theirs=seconds(theirs), ours=seconds(ours), ratio=theirs / ours, goal=30, notes=notes)]


def whole(bench: Bench) -> list[Row]:
    """Stored stack to label GeoTIFF."""
    theirs, ours = bench.their_chain(), bench.mapped()
    lean, notebook = (sum(theirs["stages"][name]["cpu"] for name in names) for names in (LEAN, NOTEBOOK))
    total, imports = ours["process"]["cpu"], ours["stages"]["imports"]["cpu"]
    parts = {
        **{name: stage["cpu"] for name, stage in ours["stages"].items() if name != "strips"},
        **ours["within_strips"],
    }
    rest = ", ".join(f"{name} {cpu:.2f}" for name, cpu in parts.items() if name != "imports")
    heavy = ", ".join(ours["heavy"]) or "neither lightgbm, sklearn nor geopandas"
    notes = f"of it imports {imports:.2f} s ({heavy}); {rest}"
    what = f"stored stack -> label GeoTIFF, {bench.size} x {bench.size} x {theirs['dates']} dates"
    return [
        Row(
            what=f"{what} (theirs: leanest chain)",
            theirs=seconds(lean),
            ours=seconds(total),
            ratio=lean / total,
            goal=15,
            notes=notes,
        ),
        Row(
            what="the same (theirs: the notebook as written)",
            theirs=seconds(notebook),
            ours=seconds(total),
            ratio=notebook / total,
            goal=35,
        ),
    ]


def memory(bench: Bench) -> list[Row]:
    """Peak memory, and what twice the height adds."""
    theirs = max(stage["peak_mib"] for name, stage in bench.their_chain()["stages"].items() if name in LEAN)
    once, twice = (bench.mapped(high)["peak_mib"] for high in (1, 2))
    held = "holds" if twice < 1.1 * once else "**missed**"
    more = f"{100 * (twice / once - 1):+.1f} % (under 10 % more: {held})"
    ours, high = f"{once:.0f} MiB", f"{twice:.0f} MiB"
    return [
        Row(what="peak memory of that", theirs=f"{theirs:.0f} MiB", ours=ours, ratio=theirs / once, goal=10),
        Row(what="ours for a patch twice as high", theirs="", ours=high, ratio=None, goal=None, notes=more),
    ]


def clouds(bench: Bench) -> list[Row]:
    """s2cloudless on a smooth and on a noisy image."""
    import numpy as np
    from patch import CLOUD_BANDS, write

    size = min(bench.size, 400)
    folder = write(bench.work / "clouds", size=size, dates=6, seed=44, bands=CLOUD_BANDS)
    noisy = np.load(folder / "bands.npy")[3:4].astype("float32") / 10_000
    from scipy.ndimage import gaussian_filter

    rows = []
    for kind, image in (("noisy", noisy), ("smooth", gaussian_filter(noisy, (0, 4, 4, 0)))):
        np.save(bench.work / "image.npy", image)
        facts = [
            side("clouds", bench.work / "image.npy", bench.work / f"{name}.npy", "--rounds", 3)
            for name, side in (("theirs", bench.theirs), ("ours", bench.ours))
        ]
        p, q = (np.load(bench.work / f"{name}.npy") for name in ("theirs", "ours"))
        theirs, ours = (fact["stages"]["probability"]["cpu"] for fact in facts)
        differing = int(((p > 0.4) != (q > 0.4)).sum())
        notes = f"furthest {np.abs(p - q).max():.0e}; {differing} of {p.size:,} pixels differ at 0.4"
        what = f"s2cloudless probability, {kind} image of {size} x {size}"
        rows.append(
            Row(what=what, theirs=seconds(theirs), ours=seconds(ours), ratio=theirs / ours, goal=3, notes=notes)
        )
    return rows


def reading(bench: Bench) -> list[Row]:
    """Reading the stored bands."""
    theirs = bench.theirs("read", bench.main_patch(), bench.work / "eo-read", "--rounds", 2)
    ours = bench.ours("read", bench.stack(), "--rounds", 5)
    speed, quick = (facts["megabytes"] / facts["stages"]["read"]["wall"] for facts in (theirs, ours))
    notes = f"on disk {theirs['stored'] / 2**20:.0f} MiB, ours {ours['stored'] / 2**20:.0f} MiB"
    what = "reading the bands, uint16-equivalent, wall (theirs: EOPatch.load)"
    return [
        Row(what=what, theirs=f"{speed:.0f} MB/s", ours=f"{quick:.0f} MB/s", ratio=quick / speed, goal=6, notes=notes)
    ]


def command(bench: Bench) -> list[Row]:
    """The same map by `landweave run`."""
    bench.projects(bench.work / "run")
    shutil.rmtree(bench.work / "run" / "out", ignore_errors=True)
    landweave = ("-m", "landweave", "run", bench.work / "run" / "out.toml", "--workers", 1)
    bench.run(sys.executable, *landweave, "--until", "fetch", name="cli")
    facts = bench.run(sys.executable, *landweave, name="cli")["process"]
    notes = "from the stack that `run --until fetch` stored: predict, mosaic and report, with all its start-up"
    ours = f"{facts['cpu']:.2f} s CPU, {facts['wall']:.1f} s wall, {facts['peak_mib']:.0f} MiB"
    return [
        Row(what="the same by `landweave run --workers 1`", theirs="", ours=ours, ratio=None, goal=None, notes=notes)
    ]


def workers(bench: Bench) -> list[Row]:
    """Two workers against one."""
    folder = bench.work / "workers"
    shutil.rmtree(folder, ignore_errors=True)
    bench.projects(folder, "--across", 2, "--cut", 2, "--outputs", "out1", "core", "out2")
    walls = []
    for output, workers_, cores in (("out1", 1, None), ("core", 1, 1), ("out2", 2, 2)):
        call = ("-m", "landweave", "run", folder / f"{output}.toml", "--workers", workers_)
        walls.append(bench.run(sys.executable, *call, name="cli", threads=None, cores=cores)["process"]["wall"])
    alone, one, two = walls
    patches = f"16 patches of {bench.size // 2} x {bench.size // 2}"
    what = f"two workers against one, a run of {patches}, wall"
    notes = (
        "fetch, predict, mosaic and report with a given model; one worker reads ahead and packs beside its work, so on "
        f"a single core it takes {one:.1f} s, {one / two:.2f} times as long as two on two cores"
    )
    return [Row(what=what, theirs=f"{alone:.1f} s", ours=f"{two:.1f} s", ratio=alone / two, goal=1.7, notes=notes)]


ROWS = (trees, features, whole, command, memory, clouds, reading, workers)


def seconds(cpu: float) -> str:
    """CPU seconds for people."""
    return f"{cpu:.2f} s" if cpu < 10 else f"{cpu:.1f} s"


def eolearn_python(folder: Path) -> Path:
    """Python of eo-learn's environment, built where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        maker = shutil.which("python3.11") or sys.executable
        print(f"building eo-learn's environment in {folder}", flush=True)
        subprocess.run([maker, "-m", "venv", "--clear", str(folder)], check=True)
        pins = HERE / "eolearn-requirements.txt"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(pins)], check=True)
    return python


def machine() -> str:
    """The machine in one line."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def report(rows: list[Row], *, size: int, loads: list[float]) -> str:
    """The page of results."""
    from importlib.metadata import version

    head = ("", "theirs", "ours", "ratio", "at least", "")
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *(row.cells for row in rows))]
    versions = ", ".join(f"{name} {version(name)}" for name in ("landweave", "numpy", "numba", "lightgbm", "zarr"))
    lowest, highest = min(loads), max(loads)
    return "\n".join([
        "# Results of `make bench`",
        "",
        "CPU seconds unless it says wall; theirs is eo-learn 1.5.7. Written by `benchmarks/compare.py`.",
        "",
        f"- {datetime.datetime.now(datetime.UTC).date().isoformat()}, {machine()}",
        f"- {versions}",
        f"- `python benchmarks/compare.py --size {size}`",
        f"- load of the machine while it ran: {lowest:.1f} to {highest:.1f}",
        "",
        *lines,
        "",
        "A ratio in bold misses its goal.",
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Read the command line, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=1000, help="pixels along a side of the patch that is mapped")
    parser.add_argument("--rounds", type=int, default=2, help="how often our map is made; the quickest counts")
    parser.add_argument(
        "--only", action="append", choices=[row.__name__ for row in ROWS], help="a row; may be given again"
    )
    parser.add_argument(
        "--work", type=Path, default=HERE.parent / "landweave-bench", help="folder for all that is made"
    )
    parser.add_argument("--eolearn", type=Path, help="Python of an environment with eolearn-requirements.txt")
    parser.add_argument("--output", type=Path, help="default: RESULTS.md here; with --only, nothing is written")
    given = parser.parse_args()
    output = given.output or (None if given.only else HERE / "RESULTS.md")
    given.work.mkdir(parents=True, exist_ok=True)
    python = given.eolearn or eolearn_python(HERE.parent / ".venv-eolearn")
    bench = Bench(work=given.work.resolve(), size=given.size, rounds=given.rounds, eolearn=python.absolute())
    rows, loads = [], [os.getloadavg()[0]]
    for measure in ROWS:
        if given.only and measure.__name__ not in given.only:
            continue
        print(measure.__name__, flush=True)
        try:
            rows += measure(bench)
        except Exception as error:  # noqa: BLE001 - the other rows are measured all the same
            traceback.print_exc()
            notes = f"not measured: {' '.join(str(error).split())[:200]}"
            rows.append(Row(what=measure.__doc__ or "", theirs="", ours="", ratio=None, goal=None, notes=notes))
        loads.append(os.getloadavg()[0])
    text = report(rows, size=given.size, loads=loads)
    if output is not None:
        # Sections below are another script's: region.py's.
        before = output.read_text(encoding="utf-8") if output.exists() else ""
        others = before[before.index("\n## ") :] if "\n## " in before else ""
        output.write_text(text.rstrip() + "\n" + others, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
