"""A source that makes its cloud mask itself.

A cloud mask looks at its neighbourhood: it is widened, and s2cloudless averages. So it is made where ground around the
piece can be read, and patch borders leave no trace.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.engine.fingerprint import fingerprint
from landweave.features import s2cloudless
from landweave.features.clouds import HIGH_CLOUD, cloud_codes, widened
from landweave.patch.model import NODATA, TIME, X, Y
from landweave.runs.project.source_settings import CLOUD_SETTINGS, SourceSettings
from landweave.sources.protocol import Bounds, Source
from landweave.sources.stac.scenes import Scene

CLOUD_MASK, CLOUD_PROBABILITY = "cloud_mask", "cloud_probability"
"""Variables that a :class:`MaskedSource` makes."""

UNKNOWN_PROBABILITY = 255
"""Of a pixel without data."""


@dataclass(frozen=True, kw_only=True)
class MaskedSource:
    """Another source's imagery, with a cloud mask that knows the ground around what is read.

    ``cloud_mask`` is uint8 as :func:`landweave.features.clouds.cloud_codes`; ``cloud_probability``, of s2cloudless,
    uint8, per cent, 255 unknown. They stand in the place of variables of the same name.
    """

    source: Source
    """Where bands and masks come from."""

    settings: SourceSettings
    """The rule: :data:`CLOUD_SETTINGS`."""

    dilation: int
    """Pixels around clouds that are masked too."""

    @property
    def made(self) -> tuple[str, ...]:
        """The variables that are made when they are read."""
        detects = self.settings.cloud_rule == "s2cloudless"
        return (CLOUD_MASK, CLOUD_PROBABILITY) if detects else (CLOUD_MASK,)

    @property
    def made_of(self) -> tuple[str, ...]:
        """The source's variables by which the rule judges."""
        return s2cloudless.BANDS if self.settings.cloud_rule == "s2cloudless" else self.settings.mask_variables

    @property
    def variables(self) -> tuple[str, ...]:
        """The source's, then those that are made."""
        return (*(name for name in self.source.variables if name not in self.made), *self.made)

    @property
    def categorical(self) -> tuple[str, ...]:
        """The source's, then those that are made."""
        return (*(name for name in self.source.categorical if name not in self.made), *self.made)

    @property
    def geobox(self) -> GeoBox | None:
        """The source's."""
        return self.source.geobox

    @property
    def grids(self) -> Mapping[str, GeoBox]:
        """The source's."""
        return self.source.grids

    @property
    def extent(self) -> Bounds | None:
        """The source's."""
        return self.source.extent

    @property
    def remote(self) -> bool:
        """As the source."""
        return self.source.remote

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The source's."""
        return self.source.scenes

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.incomplete

    @property
    def notes(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.notes

    def dates(self, start: datetime.date | None = None, end: datetime.date | None = None) -> list[datetime.date]:
        """The source's."""
        return self.source.dates(start, end)

    def seen(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> Mapping[datetime.date, float | None]:
        """As the source."""
        return self.source.seen(geobox, dates)

    def inputs(self) -> list[Path]:
        """The source's."""
        return self.source.inputs()

    def reach(self) -> None:
        """As the source."""
        self.source.reach()

    def with_offsets(self, offsets: Mapping[str, float]) -> "MaskedSource":
        """The same mask of the same scenes, some of them with another offset."""
        return replace(self, source=self.source.with_offsets(offsets))

    def resampled(self, method: str) -> "MaskedSource":
        """The same mask, beside bands that come to other grids by another method."""
        return replace(self, source=self.source.resampled(method))

    def cost(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> float | None:
        """Bytes of what is read and of what masks are made of; the ground around is left out."""
        made_of = self.made_of if set(self.made) & set(variables) else ()
        return self.source.cost(geobox, dates, tuple(dict.fromkeys((*self._own(variables), *made_of))))

    def stamp(
        self, geobox: GeoBox, dates: Sequence[datetime.date] | None = None, variables: Sequence[str] | None = None
    ) -> str:
        """The source's stamp; of masks the rule too, and the stamp of all the ground that they look at."""
        names = self.variables if variables is None else variables
        own = self.source.stamp(geobox, dates, self._own(names))
        if not set(self.made) & set(names):
            return own
        rule = self.settings.model_dump(mode="json", include=CLOUD_SETTINGS)
        return fingerprint([own, rule, self.source.stamp(self._ground(geobox), dates, self.made_of)])

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """Read a piece of ground, and make its cloud mask where that is asked for; see the protocol."""
        patch = self.source.load(geobox, dates, self._own(variables))
        if set(self.made) & set(variables):
            layers = dict(zip(self.made, self._masks(geobox, dates), strict=True))
            for name in (name for name in self.made if name in variables):
                patch[name] = ((TIME, Y, X), layers[name])
        return patch

    def _own(self, variables: Sequence[str]) -> list[str]:
        return [name for name in variables if name not in self.made]

    def _ground(self, geobox: GeoBox) -> GeoBox:
        """The ground, and the grid, on which a mask's variables are read: more than the piece that it is for."""
        wide = geobox.pad(self.dilation) if self.dilation else geobox
        if self.settings.cloud_rule != "s2cloudless":
            return wide
        return s2cloudless.coarse_geobox(wide, self.settings.cloud_grid, s2cloudless.halo_metres())

    def _masks(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> tuple[np.ndarray, ...]:
        """Arrays of :attr:`made`, uint8 (time, y, x)."""
        pixels, settings = self.dilation, self.settings
        if settings.cloud_rule == "s2cloudless":
            wide = geobox.pad(pixels) if pixels else geobox
            codes, *others = (
                s2cloudless.to_fine(layers, self._ground(geobox), wide) for layers in self._detected(geobox, dates)
            )
        else:
            masks = self.source.load(self._ground(geobox), dates, self.made_of)
            codes, others = cloud_codes(
                masks, clouds=settings.cloud_rule, mask=settings.mask, scl_masked=settings.scl_masked,
                mask_above=settings.mask_above,
            ), []  # fmt: skip
        inner = (slice(None), slice(pixels, pixels + geobox.shape[0]), slice(pixels, pixels + geobox.shape[1]))
        return tuple(layers[inner] for layers in (widened(codes, pixels), *others))

    def _detected(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> tuple[np.ndarray, np.ndarray]:
        """Cloud codes and probability, per cent, uint8 (time, y, x) of the ground, by the s2cloudless model."""
        settings, averaging, ground = self.settings, self.source.resampled("average"), self._ground(geobox)
        codes, shares = [], []
        # A date at a time: at 60 m a patch is small, ten bands of a whole year are not.
        for day in dates:
            patch = averaging.load(ground, [day], s2cloudless.BANDS)
            bands = np.stack([patch[name].values for name in s2cloudless.BANDS])
            probability = s2cloudless.cloud_probability(bands)
            cloudy = s2cloudless.cloud_mask(
                probability, pixel_metres=settings.cloud_grid, threshold=settings.cloud_threshold
            )
            high = patch["B10"].values
            bright = (high != NODATA) & (high >= round(settings.cirrus * 10_000))
            codes.append(np.where(cloudy, np.where(bright, HIGH_CLOUD, 1), 0).astype("uint8")[0])
            known = np.isfinite(probability)
            percent = np.rint(100 * np.where(known, probability, 0))
            shares.append(np.where(known, percent, UNKNOWN_PROBABILITY).astype("uint8")[0])
        return np.stack(codes), np.stack(shares)


_: type[Source] = MaskedSource
