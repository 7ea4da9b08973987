"""``[source]`` of the project file: where the pixels come from, and which of them count."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from landweave.errors import InputError
from landweave.patch.raster.mask_bits import MaskBits, mask_bits

Fraction = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """A table of the project file: frozen; unknown keys, and text or true where a number belongs, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


EVERY_SOURCE = {
    "type", "clouds", "snow", "scl_masked", "dilation", "keep", "store", "resampling", "mask_above", "cloud_grid",
    "cloud_threshold", "snow_ndsi", "snow_nir", "cirrus", "exclude", "max_lost",
    "attribution", "licence",
}  # fmt: skip
"""Keys of ``[source]`` that every type knows."""

CLOUD_SETTINGS = {
    "clouds", "scl_masked", "dilation", "mask", "mask_above", "cloud_grid", "cloud_threshold", "cirrus",
}  # fmt: skip
"""Those that decide where the mask says cloud, and nothing else of the pixels."""

_MEANING = ("mask_bits", "mask_values")

SOURCE_KEYS = {
    "stac": {
        "url", "collection", "max_cloud_cover", "radiometry", "bands", "mask", "hosts", "timeout", "connections",
        *_MEANING,
    },
    "rasters": {"table", "pattern", "scale", "offset", "nodata", "mask", "undated", *_MEANING},
    "eopatches": {"path", "bands_feature", "band_names", "scale", "offset", "nodata", "mask", "data_mask", *_MEANING},
    "simulated": {"size_km", "dates", "seed"},
}  # fmt: skip
"""Further keys of each type."""


class SourceSettings(Settings):
    """Where the pixels come from."""

    type: Literal["stac", "rasters", "eopatches", "simulated"]
    clouds: Literal["scl", "s2cloudless", "mask", "decided", "none"] | None = None
    """Default: scl for archives and the simulated country; else mask where ``mask`` is set, else none."""
    snow: Literal["keep", "mask"] = "keep"
    scl_masked: tuple[int, ...] = (0, 1, 3, 8, 9, 10)
    dilation: float = Field(0.0, ge=0, le=5000)
    """Metres around clouds that are masked too."""
    keep: bool = True
    store: bool | None = None
    """Keep a copy of each patch's imagery as Zarr under ``patches/``; default: for archives, and with s2cloudless."""
    resampling: Literal["nearest", "bilinear", "cubic"] | None = None
    """For bands, where the grid is not the imagery's own; default: cubic for archives, else bilinear."""
    mask_above: float = Field(0.0, ge=0)
    """With ``clouds = "mask"``: masked where the variable is above this; a provider's probability needs a threshold."""
    mask_bits: dict[str, tuple[int | str, ...]] = {}
    """What bits of the mask mean: cloud, shadow, snow or fill to bits, such as 3 or ``"8-9=3"``."""
    mask_values: dict[str, tuple[int, ...]] = {}
    """What values of the mask mean."""
    cloud_grid: float = Field(60.0, ge=60, le=160)
    """With ``clouds = "s2cloudless"``: metres along a side of the cells on which clouds are looked for."""
    cloud_threshold: Fraction = 0.4
    """With ``clouds = "s2cloudless"``: cloud where the smoothed probability is above this."""
    snow_ndsi: float = Field(0.4, ge=-1, le=1)
    """Without scene classes: snow where the snow index is above this, and B08 above ``snow_nir``."""
    snow_nir: float = Field(0.11, ge=0)
    """Reflectance."""
    cirrus: float = Field(0.01, ge=0)
    """Reflectance of B10 from which a pixel called both cloud and snow is cloud."""
    exclude: tuple[str, ...] = ()
    """Dates that are left out, and ids of scenes of an archive."""
    max_lost: Fraction = 0.5
    """The largest share of an archive's items that may be unusable, and of the patches that ``--allow-missing`` may do
    without."""
    attribution: str | None = None
    """Whose imagery it is, for the report; default: the archive, where it is known by name."""
    licence: str | None = None
    """Terms of the imagery, for the report; default: those of Sentinel-2 in an archive that is known by name."""
    # stac
    url: str | None = None
    collection: str | None = None
    max_cloud_cover: float = Field(80.0, ge=0, le=100)
    radiometry: Literal["check", "trust-metadata", "trust-pixels"] = "check"
    bands: dict[str, str] = {}
    hosts: tuple[str, ...] = ()
    """Servers to which an archive's links to further pages may lead, besides its own."""
    timeout: float | None = Field(None, gt=0, le=3600)
    """Seconds after which a server that is silent is given up and asked again; default: 60 (30 for images)."""
    connections: int | None = Field(None, ge=1, le=256)
    """Requests for images that a server gets at a time from each worker at most; default: 32."""
    # rasters
    table: str | None = None
    pattern: str | None = None
    scale: float | None = Field(None, allow_inf_nan=False)
    offset: float | None = Field(None, allow_inf_nan=False)
    nodata: float | None = None
    mask: str | None = None
    undated: bool = False
    """The one date of the table is invented: nobody knows when the images were taken."""
    # eopatches
    path: str | None = None
    """A folder of EOPatches, or one of them."""
    bands_feature: str | None = None
    """The data feature of the bands; default: the only one, or the one with as many bands as there are names."""
    band_names: tuple[str, ...] | None = None
    """A name for each of its bands; default: Sentinel-2's where there are 13 or 12."""
    data_mask: str | None = None
    """The mask that is 0 where bands are missing; default: IS_DATA or dataMask where there; "none"."""
    # simulated
    size_km: float = Field(8.0, gt=0.5, le=100)
    dates: int = Field(24, ge=2, le=200)
    seed: int = Field(42, ge=0)

    @field_validator("mask_bits", "mask_values", mode="before")
    @classmethod
    def _entries_are_tuples(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: tuple(entry) if isinstance(entry, list) else (entry,) for key, entry in value.items()}

    @field_validator("exclude", mode="before")
    @classmethod
    def _days_as_text(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return tuple(str(entry) if isinstance(entry, datetime.date) else entry for entry in value)
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        strange = sorted(self.model_fields_set - EVERY_SOURCE - SOURCE_KEYS[self.type])
        if strange:
            known = ", ".join(sorted(SOURCE_KEYS[self.type]))
            raise ValueError(
                f"{strange[0]} is not a key of type = {self.type!r}; besides the common keys it has: {known}"
            )
        if self.type == "rasters" and (self.table is None) == (self.pattern is None):
            raise ValueError("rasters need either table or pattern, not both")
        if self.undated and not self.table:
            raise ValueError("undated = true is for a table whose date is invented; remove it")
        if self.type == "eopatches" and not self.path:
            raise ValueError("eopatches need path: a folder of EOPatches")
        if self.scale == 0:
            raise ValueError("scale = 0 would make every pixel the same; reflectance = number * scale + offset")
        if self.type == "stac" and not self.url:
            raise ValueError(
                "an archive needs url: the root of a STAC API, or the path of a catalogue or item collection"
            )
        if self.clouds in {"mask", "decided"} and not self.mask:
            raise ValueError(f'clouds = "{self.clouds}" needs mask = the name of the mask variable')
        if self.clouds == "decided" and self.dilation:
            raise ValueError('clouds = "decided" uses the mask unchanged; leave dilation out, or use clouds = "mask"')
        try:
            meant = self.meaning is not None
        except InputError as error:
            raise ValueError(str(error).rstrip(".")) from None
        if meant and (not self.mask or self.mask_above or self.clouds not in {None, "mask"}):
            raise ValueError(
                "mask_bits and mask_values need mask = the name of the mask variable, and go neither with mask_above "
                'nor with another rule than clouds = "mask"'
            )
        percent = self.type == "stac" and self.clouds == "mask" and self.mask in {"cloud", "snow"}
        if percent and not self.mask_above and not meant:
            raise ValueError(f'mask = "{self.mask}" is a probability in percent: set mask_above, such as 40')
        return self

    @property
    def cloud_rule(self) -> str:
        """The cloud mask in force."""
        if self.meaning is not None:
            return "coded"
        if self.clouds is not None:
            return self.clouds
        if self.type in {"rasters", "eopatches"}:
            return "mask" if self.mask else "none"
        return "scl"

    @property
    def meaning(self) -> MaskBits | None:
        """What bits and values of the mask mean; None where its numbers are masked as a whole. May raise InputError."""
        return mask_bits(self.mask_bits, self.mask_values)

    @property
    def mask_variables(self) -> tuple[str, ...]:
        """The source's variables by which the cloud rule, or the masking of snow, judges."""
        if self.cloud_rule in {"mask", "decided", "coded"} and self.mask:
            return (self.mask,)
        return ("SCL",) if self.cloud_rule == "scl" or self.snow == "mask" else ()

    @property
    def stores(self) -> bool:
        """Whether patches are kept on disk."""
        costly = self.type == "stac" or self.cloud_rule == "s2cloudless"
        return costly if self.store is None else self.store

    @property
    def method(self) -> str:
        """The resampling of bands in force."""
        return self.resampling or ("cubic" if self.type == "stac" else "bilinear")
