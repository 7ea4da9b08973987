"""What sky, snow and sun the satellite meets over the simulated country."""

import datetime
import math
from dataclasses import dataclass

import numpy as np

from landweave.sources.simulated.cover import BANDS
from landweave.sources.simulated.noise import normal, smooth, uniform

YEAR = 2017
"""The simulated year."""

# Where texture shows under snow only: deep winter by the cosine of the season (44 days on either side of 22 January),
# and the share of its days that are clear.
_DEEP = 0.72
_CLEAR = 0.9


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Sky, snow and sun of one acquisition."""

    cover: float
    """Share of the sky under clouds, 0..1."""

    cirrus: float
    """Thickness of high thin cloud, about 0..0.2."""

    haze: float
    """Optical thickness of the air that the atmospheric correction left, about 0..0.6, may be negative."""

    gain: tuple[float, ...]
    """Factor per band that the correction got wrong."""

    snow_line: float
    """Metres above which snow lies."""

    zenith: float
    """Of the sun, radians."""

    azimuth: float
    """Of the sun, radians from north through east."""

    swath: float
    """Where the swath ends, as a share of the country's width; 1.5 where the country lies within it."""


def weather(seed: int, day: datetime.date, *, snow_texture: bool = False) -> Weather:
    """Draw the weather of a date.

    Parameters
    ----------
    seed, day
        Which country, and when.
    snow_texture
        Whether snow covers the whole country in deep winter, mostly under a clear sky, and none of it at other times.
    """
    number = day.timetuple().tm_yday
    luck = uniform(seed, 81, number, np.arange(8))
    if luck[0] < 0.40:
        cover = 0.05 * luck[1]
    elif luck[0] < 0.80:
        cover = 0.08 + 0.50 * luck[1]
    else:
        cover = 0.70 + 0.29 * luck[1]
    winter = math.cos(2 * math.pi * (number - 22) / 365)
    # Weather of a week or two keeps its snow.
    mood = float(smooth(np.array([number]), np.zeros(1), 14, seed=(seed, 82))[0, 0])
    declination = 0.409 * math.sin(2 * math.pi * (number - 81) / 365)
    latitude = math.radians(46)
    hour = math.radians(-20)
    height = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(hour)
    snow_line = 1700 - 1150 * winter - 420 * mood if winter > -0.35 else 9000.0
    cirrus = 0.16 * float(luck[3]) if luck[2] < 0.25 else 0.0
    if snow_texture:
        deep = winter > _DEEP
        snow_line = -500.0 if deep else 9000.0
        if deep and luck[7] < _CLEAR:
            cover, cirrus = 0.05 * luck[1], 0.0
    return Weather(
        cover=cover,
        cirrus=cirrus,
        haze=0.6 * float(luck[4]) - 0.15,
        gain=tuple(1 + 0.025 * normal(seed, 83, number, np.arange(len(BANDS)))),
        snow_line=snow_line,
        zenith=math.acos(height),
        azimuth=math.radians(160),
        swath=0.62 + 0.35 * float(luck[5]) if luck[6] < 0.3 else 1.5,
    )
