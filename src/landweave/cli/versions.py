"""What ``landweave --version`` prints."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("rasterio", "lightgbm", "scikit-learn", "dask", "numpy", "xarray")
"""Those whose versions decide results or explain most reports of faults."""


def version_lines() -> list[str]:
    """Name and version, a line each: landweave first, then what it stands on, and the platform."""
    import rasterio

    from landweave import __version__

    found = {"landweave": __version__, "Python": platform.python_version(), "GDAL": rasterio.__gdal_version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    found["platform"] = platform.platform()
    return [f"{name:<13}{text}" for name, text in found.items()]
