"""What extras bring, and how to install one that is missing."""

import importlib.util

from landweave.errors import InputError

MODULES = {
    "viewer": ("fastapi", "uvicorn", "rio_tiler", "pmtiles", "cachetools"),
}
"""Name of an extra to the modules that show whether it is installed."""


def install_line(extra: str) -> str:
    """The command that installs an extra; empty where it is there."""
    return (
        f"pip install 'landweave[{extra}]'"
        if any(importlib.util.find_spec(name) is None for name in MODULES[extra])
        else ""
    )


def need_viewer() -> None:
    """InputError where `landweave view` and `publish` lack packages."""
    if line := install_line("viewer"):
        raise InputError(f"the view needs more packages: {line}.")
