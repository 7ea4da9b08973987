"""What grows or stands on the simulated land: kinds of cover, their class, their spectra and their year."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landweave.legend import LandClass, Legend

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands of the simulated surface reflectance, in the order of the first spectra here."""

FURTHER = ("B01", "B05", "B06", "B07", "B8A", "B09", "B10")
"""Bands that only scenes at the top of the atmosphere have, in the order of the further spectra here."""

LEGEND = Legend(
    classes=(
        LandClass(value=1, name="cultivated land", color="#f2e34c", codes=("1100", "1160", "1211", "1221")),
        LandClass(value=2, name="forest", color="#156b45", codes=("2000",)),
        LandClass(value=3, name="grassland", color="#b6e480", codes=("1300", "1321", "1800")),
        LandClass(value=4, name="shrubland", color="#ab8d49", codes=("1410", "1500")),
        LandClass(value=5, name="water", color="#3571d3", codes=("7000",)),
        LandClass(value=6, name="wetland", color="#50ccd4", codes=("4100", "4210")),
        LandClass(value=8, name="artificial surface", color="#ac0006", codes=("3000",)),
        LandClass(value=9, name="bareland", color="#9c988e", codes=("6000",)),
    ),
    ignore=("1600",),
)
"""Classes of the simulated country; the register's codes are like those of a land-use register."""

# Reflectance 0..1 in the order of BANDS; typical round figures for surface reflectance, not taken from one library.
_GREEN = {
    "herb": (0.025, 0.065, 0.030, 0.480, 0.210, 0.095),
    "leaf": (0.018, 0.045, 0.020, 0.400, 0.160, 0.065),
    "needle": (0.014, 0.028, 0.016, 0.250, 0.090, 0.036),
}
_GROUND = {
    "soil": (0.065, 0.095, 0.130, 0.220, 0.300, 0.250),
    "straw": (0.055, 0.085, 0.110, 0.230, 0.290, 0.210),
    "litter": (0.035, 0.050, 0.065, 0.160, 0.190, 0.120),
    "mud": (0.045, 0.060, 0.065, 0.110, 0.120, 0.080),
    "water": (0.035, 0.040, 0.025, 0.014, 0.008, 0.006),
    "lake": (0.025, 0.028, 0.014, 0.008, 0.005, 0.004),
    "tiles": (0.070, 0.090, 0.150, 0.230, 0.260, 0.230),
    "white": (0.330, 0.360, 0.370, 0.400, 0.380, 0.350),
    "asphalt": (0.085, 0.095, 0.105, 0.140, 0.170, 0.160),
    "gravel": (0.110, 0.135, 0.155, 0.210, 0.260, 0.235),
    "rock": (0.120, 0.145, 0.165, 0.230, 0.280, 0.250),
}
# The same in the order of FURTHER, as the ground itself is, whatever the air swallows.
_FURTHER = {
    "herb": (0.018, 0.110, 0.340, 0.450, 0.500, 0.470, 0.300),
    "leaf": (0.013, 0.080, 0.290, 0.380, 0.420, 0.400, 0.260),
    "needle": (0.010, 0.050, 0.180, 0.235, 0.260, 0.245, 0.160),
    "soil": (0.050, 0.150, 0.170, 0.190, 0.240, 0.255, 0.280),
    "straw": (0.040, 0.135, 0.165, 0.195, 0.250, 0.260, 0.270),
    "litter": (0.028, 0.085, 0.110, 0.135, 0.170, 0.180, 0.190),
    "mud": (0.040, 0.070, 0.080, 0.095, 0.115, 0.115, 0.110),
    "water": (0.036, 0.022, 0.018, 0.016, 0.012, 0.010, 0.008),
    "lake": (0.026, 0.012, 0.010, 0.009, 0.007, 0.006, 0.005),
    "tiles": (0.060, 0.175, 0.195, 0.210, 0.240, 0.245, 0.250),
    "white": (0.300, 0.375, 0.385, 0.395, 0.400, 0.400, 0.390),
    "asphalt": (0.080, 0.110, 0.120, 0.130, 0.145, 0.150, 0.160),
    "gravel": (0.100, 0.165, 0.180, 0.195, 0.220, 0.230, 0.250),
    "rock": (0.110, 0.175, 0.195, 0.215, 0.240, 0.250, 0.270),
    "snow": (0.830, 0.780, 0.760, 0.730, 0.680, 0.600, 0.350),
    "cloud": (0.620, 0.650, 0.660, 0.670, 0.680, 0.670, 0.600),
    "ice cloud": (0.620, 0.640, 0.640, 0.640, 0.640, 0.630, 0.550),
}
SNOW = np.array((0.82, 0.81, 0.79, 0.70, 0.10, 0.08), "float32")
CLOUD = np.array((0.62, 0.62, 0.64, 0.68, 0.50, 0.40), "float32")
_ICE_CLOUD = (0.62, 0.63, 0.64, 0.64, 0.28, 0.18)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of cover within a class."""

    name: str
    """For tests and error messages."""

    value: int
    """Class value in :data:`LEGEND`."""

    code: int
    """What a faultless register files it under."""

    ground: str = "soil"
    """What shows between the leaves."""

    woody: float = 0.0
    """0 is herbs, 1 broad leaves, 2 needles; between them, a mixture."""

    woody_sd: float = 0.05
    """Spread of ``woody`` from field to field."""

    low: float = 0.15
    """Green cover out of season, 0..1."""

    high: float = 0.85
    """Green cover in season, 0..1."""

    high_sd: float = 0.08
    """Spread of ``high`` from field to field."""

    start: float = 100.0
    """Day of the year when half the green has come."""

    end: float = 295.0
    """Day of the year when half of it has gone."""

    days_sd: float = 8.0
    """Spread of both days from field to field."""

    rise: float = 9.0
    """Days in which the green comes (scale of the logistic)."""

    fall: float = 12.0
    """Days in which it goes."""

    cut: float = 0.0
    """Green cover lost at each of two mowings."""

    catch: float = 0.0
    """Green cover of a catch crop in autumn, for a field that has one."""

    bright_sd: float = 0.07
    """Relative spread of brightness from field to field."""

    texture: float = 0.05
    """Relative spread of brightness from pixel to pixel."""


KINDS = (
    Kind(name="cereal", value=1, code=1100, low=0.22, high=0.88, start=88, end=183, fall=7, catch=0.45),
    Kind(name="maize", value=1, code=1100, low=0.10, high=0.86, start=158, end=268, days_sd=10),
    Kind(name="roots", value=1, code=1160, low=0.10, high=0.90, start=146, end=276, days_sd=13),
    Kind(
        name="orchard", value=1, code=1221, ground="straw", woody=0.42, woody_sd=0.17, low=0.30, high=0.74,
        start=108, end=300, days_sd=9, high_sd=0.09, texture=0.09,
    ),
    Kind(
        name="vineyard", value=1, code=1211, ground="straw", woody=0.35, woody_sd=0.15, low=0.22, high=0.62,
        start=122, end=292, days_sd=9, texture=0.09,
    ),
    Kind(
        name="ley", value=1, code=1100, ground="straw", woody=0.03, low=0.34, high=0.86, start=92, end=305, cut=0.36,
        days_sd=10,
    ),
    Kind(
        name="meadow", value=3, code=1300, ground="straw", woody=0.04, low=0.32, high=0.84, start=96, end=304, cut=0.28,
        days_sd=9,
    ),
    Kind(
        name="pasture", value=3, code=1300, ground="straw", woody=0.14, woody_sd=0.10, low=0.34, high=0.74, start=99,
        end=306, cut=0.06, days_sd=9,
    ),
    Kind(
        name="alpine grass", value=3, code=1300, ground="straw", woody=0.08, woody_sd=0.08, low=0.18, high=0.66,
        start=92, end=318, texture=0.09,
    ),
    Kind(
        name="garden", value=3, code=1800, ground="straw", woody=0.30, woody_sd=0.15, low=0.32, high=0.72, start=98,
        end=302, texture=0.12,
    ),
    Kind(
        name="airfield grass", value=3, code=1300, ground="straw", woody=0.10, low=0.35, high=0.72, start=98, end=306,
        cut=0.06, days_sd=3,
    ),
    Kind(
        name="broadleaf", value=2, code=2000, ground="litter", woody=0.98, woody_sd=0.10, low=0.14, high=0.93,
        start=112, end=297, days_sd=5, rise=6, texture=0.10,
    ),
    Kind(
        name="mixed forest", value=2, code=2000, ground="litter", woody=1.45, woody_sd=0.22, low=0.48, high=0.92,
        start=112, end=297, days_sd=6, texture=0.12,
    ),
    Kind(
        name="conifers", value=2, code=2000, ground="litter", woody=1.92, woody_sd=0.10, low=0.80, high=0.92,
        start=118, end=300, days_sd=6, texture=0.12,
    ),
    Kind(
        name="overgrown", value=4, code=1410, ground="straw", woody=0.52, woody_sd=0.24, low=0.24, high=0.82,
        start=105, end=300, days_sd=10, high_sd=0.10, texture=0.12,
    ),
    Kind(
        name="hedge", value=4, code=1500, ground="litter", woody=0.85, woody_sd=0.18, low=0.16, high=0.90, start=107,
        end=299, texture=0.12,
    ),
    Kind(
        name="dwarf pine", value=4, code=1500, ground="litter", woody=1.50, woody_sd=0.25, low=0.55, high=0.82,
        start=108, end=308, texture=0.12,
    ),
    Kind(
        name="regrowth", value=4, code=1500, ground="litter", woody=0.75, woody_sd=0.22, low=0.20, high=0.84, start=109,
        end=298, texture=0.13,
    ),
    Kind(name="stream", value=5, code=7000, ground="water", low=0.0, high=0.03, high_sd=0.3),
    Kind(name="lake", value=5, code=7000, ground="lake", low=0.0, high=0.03, high_sd=0.3, texture=0.03),
    Kind(
        name="reed", value=6, code=4210, ground="mud", woody=0.12, woody_sd=0.10, low=0.12, high=0.74, start=136,
        end=288, rise=12, texture=0.10,
    ),
    Kind(
        name="fen", value=6, code=4100, ground="mud", woody=0.20, woody_sd=0.18, low=0.26, high=0.74, start=112,
        end=292, texture=0.10,
    ),
    Kind(name="roof", value=8, code=3000, ground="tiles", low=0.04, high=0.12, bright_sd=0.10, texture=0.16),
    Kind(name="bright roof", value=8, code=3000, ground="white", low=0.0, high=0.03, texture=0.14),
    Kind(name="pavement", value=8, code=3000, ground="asphalt", low=0.03, high=0.10, bright_sd=0.12, texture=0.10),
    Kind(name="yard", value=8, code=3000, ground="gravel", woody=0.30, low=0.14, high=0.40, start=98, texture=0.14),
    Kind(name="rock", value=9, code=6000, ground="rock", low=0.02, high=0.10, texture=0.12),
    Kind(name="gravel bank", value=9, code=6000, ground="gravel", low=0.02, high=0.12, texture=0.10),
    Kind(name="quarry", value=9, code=6000, ground="rock", low=0.01, high=0.05, bright_sd=0.10, texture=0.10),
)  # fmt: skip
"""Every kind of cover; its place in the tuple is its number in ``Country.kind``."""

NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}
"""Name of a kind to its number."""


def column(field: str) -> np.ndarray:
    """One field of every kind, float32 (kinds,)."""
    return np.array([getattr(kind, field) for kind in KINDS], "float32")


def class_values() -> np.ndarray:
    """Class value of every kind, uint8 (kinds,)."""
    return np.array([kind.value for kind in KINDS], "uint8")


def ground_spectra() -> np.ndarray:
    """Reflectance between the leaves of every kind, float32 (bands, kinds)."""
    return np.array([_GROUND[kind.ground] for kind in KINDS], "float32").T


def green_spectra() -> np.ndarray:
    """Reflectance of herbs, broad leaves and needles, float32 (bands, 3)."""
    return np.array([_GREEN["herb"], _GREEN["leaf"], _GREEN["needle"]], "float32").T


def spectrum(name: str, bands: Sequence[str]) -> np.ndarray:
    """Reflectance of one thing in any of :data:`BANDS` and :data:`FURTHER`, float32 (bands,).

    ``name`` is a kind of leaf (herb, leaf, needle), of ground, or snow, cloud or ice cloud.
    """
    first: dict[str, Sequence[float] | np.ndarray] = {**_GREEN, **_GROUND, "snow": SNOW, "cloud": CLOUD}
    first["ice cloud"] = _ICE_CLOUD
    known = {**dict(zip(BANDS, first[name], strict=True)), **dict(zip(FURTHER, _FURTHER[name], strict=True))}
    return np.array([known[band] for band in bands], "float32")
