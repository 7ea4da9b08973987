"""How much landweave and each of its extras put on the disk: installs them in a new environment and measures.

Prints the tables of docs/install.md; ``--write`` puts them there. An extra is what it adds to the core. This takes some
minutes, 1.5 GB and a package index.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "install.md"
START, END = "<!-- sizes: made by benchmarks/install_sizes.py -->\n", "<!-- end of sizes -->"
FOR_USERS = ("viewer", "plot", "notebook", "clouds", "pc", "dashboard")
"""Extras that bring something to users; the others are for developers."""

LARGEST = 10

LIST = """
import json
from importlib.metadata import distributions
print(json.dumps({d.name: sum(p.stat().st_size for f in d.files or () if (p := d.locate_file(f)).is_file())
                  for d in distributions()}))
"""


class Environment:
    """A new virtual environment that is measured."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.python = folder / "bin" / "python"

    def run(self, *words) -> str:
        """Run its Python, and return what that prints."""
        return subprocess.run([self.python, *words], check=True, capture_output=True, text=True).stdout

    def sizes(self) -> dict[str, int]:
        """Distribution to the bytes of its files."""
        return json.loads(self.run("-c", LIST))

    def install(self, what: str) -> float:
        """Install, and return the seconds that it took."""
        began = time.monotonic()
        self.run("-m", "pip", "install", "--quiet", "--no-compile", what)
        return time.monotonic() - began


def measure(folder: Path, source: str) -> tuple[dict[str, int], float, dict[str, dict[str, int]]]:
    """Core by distribution, seconds to install it, and what each extra adds."""
    place = Environment(folder)
    before = place.sizes()
    seconds = place.install(source)
    core = {name: size for name, size in place.sizes().items() if name not in before}
    added = {}
    for extra in FOR_USERS:
        there = place.sizes()
        place.install(f"{source}[{extra}]")
        added[extra] = {name: size for name, size in place.sizes().items() if name not in there}
        if added[extra]:
            place.run("-m", "pip", "uninstall", "--quiet", "--yes", *added[extra])
        print(extra, megabytes(sum(added[extra].values())), file=sys.stderr)
    return core, seconds, added


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e6:.1f} MB"


def tables(core: dict[str, int], seconds: float, added: dict[str, dict[str, int]], purposes: dict[str, str]) -> str:
    """The tables in Markdown."""
    lines = ["| install | adds | packages | for |", "|---|---|---|---|"]
    lines.append(f"| `landweave` | {megabytes(sum(core.values()))} | {len(core)} | {purposes['core']} |")
    for extra, parts in added.items():
        lines.append(f"| `landweave[{extra}]` | {megabytes(sum(parts.values()))} | {len(parts)} | {purposes[extra]} |")
    largest = sorted(core.items(), key=lambda item: -item[1])[:LARGEST]
    named = ", ".join(f"{name} {megabytes(size)}" for name, size in largest)
    lines += ["", f"Largest packages of the core: {named}."]
    lines += [
        f"The core was installed in {seconds:.0f} s from a local package index, on Python {sys.version.split()[0]}."
    ]
    return "\n".join(lines) + "\n"


def purposes() -> dict[str, str]:
    """What each extra is for, from the comments of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    found = {"core": "everything from images to map and report"}
    for extra in extras:
        match = re.search(rf"^{extra} = \[[^#\n]*#\s*(.+)$", text, re.MULTILINE)
        found[extra] = match.group(1).strip() if match else ""
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/install.md")
    parser.add_argument("--source", default=str(ROOT), help="what to install: a folder or a wheel")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="landweave-sizes-") as folder:
        made = tables(*measure(Path(folder) / "venv", asked.source), purposes())
    print(made)
    if asked.write:
        text = PAGE.read_text(encoding="utf-8")
        head, rest = text.split(START)
        PAGE.write_text(f"{head}{START}{made}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
