"""Public archives of Sentinel-2, a row each: names of bands, addresses, where the offset is given; not nodata.

Every row says how an archive names the bands, where it keeps scale and offset, and what its search can do. Anything
else is read through an explicit band mapping, by the rules of ``other``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Sentinel-2's spectral bands."""

CLASSES = ("SCL", "cloud", "snow")
"""Variables that hold codes or per cents: scene classes, and a provider's cloud and snow probability."""

PLAIN = MappingProxyType({name: (name,) for name in (*BANDS, *CLASSES)})
"""Assets that carry the bands' own names."""

COMMON = MappingProxyType(
    {
        "B01": ("coastal",), "B02": ("blue",), "B03": ("green",), "B04": ("red",), "B05": ("rededge1",),
        "B06": ("rededge2",), "B07": ("rededge3",), "B08": ("nir",), "B8A": ("nir08",), "B09": ("nir09",),
        "B10": ("cirrus",), "B11": ("swir16",), "B12": ("swir22",), "SCL": ("scl",), "cloud": ("cloud",),
        "snow": ("snow",),
    }
)  # fmt: skip
"""Assets that carry the bands' common names."""

SIZED = MappingProxyType({name: tuple(f"{name}_{size}m" for size in (10, 20, 60)) for name in (*BANDS, "SCL")})
"""Assets that carry name and pixel size; the finest comes first."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The peculiarities of one archive."""

    name: str
    """For messages and the run's record."""

    assets: Mapping[str, tuple[str, ...]]
    """Band to the asset keys that may hold it, best first."""

    hosts: tuple[str, ...] = ()
    """Parts of an address by which the archive is known."""

    collections: tuple[str, ...] = ()
    """Names of its Sentinel-2 collections; the first is the default."""

    offset: str = "metadata"
    """How the offset is decided; see :func:`landweave.sources.stac.radiometry.decide`."""

    flag: str | None = None
    """Item property that says that the pixels are free of the offset already."""

    sign: str | None = None
    """How hrefs must be signed before they are read."""

    endpoint: str | None = None
    """Where its ``s3://`` hrefs are served, when that is not the usual place."""

    credentials: tuple[str, ...] = ()
    """Environment variables that reading needs."""


CATALOGUES = (
    Catalogue(
        name="earth-search-v0", assets=PLAIN, hosts=("earth-search.aws.element84.com/v0",),
        collections=("sentinel-s2-l2a-cogs",), offset="flag", flag="sentinel:boa_offset_applied",
    ),
    Catalogue(
        name="earth-search-v1", assets=COMMON, hosts=("earth-search.aws.element84.com/v1",),
        collections=("sentinel-2-l2a", "sentinel-2-c1-l2a", "sentinel-2-l1c", "sentinel-2-pre-c1-l2a"),
        flag="earthsearch:boa_offset_applied",
    ),
    Catalogue(
        name="planetary-computer", assets=PLAIN, hosts=("planetarycomputer.microsoft.com",),
        collections=("sentinel-2-l2a",), offset="baseline", sign="planetary-computer",
    ),
    Catalogue(
        name="cdse", assets=SIZED, hosts=("stac.dataspace.copernicus.eu", "catalogue.dataspace.copernicus.eu"),
        collections=("sentinel-2-l2a", "sentinel-2-l1c"), endpoint="eodata.dataspace.copernicus.eu",
        credentials=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ),
    Catalogue(
        name="deafrica", assets=COMMON, hosts=("explorer.digitalearth.africa",), collections=("s2_l2a_c1", "s2_l2a"),
    ),
    Catalogue(name="stactools", assets=COMMON),
    Catalogue(name="other", assets={band: (*PLAIN[band], *COMMON.get(band, ())) for band in PLAIN}, offset="any"),
)  # fmt: skip
"""All rows; ``other`` is last."""


def named(name: str) -> Catalogue:
    """A row by its name.

    >>> named("cdse").assets["B04"][0]
    'B04_10m'
    """
    return next(catalogue for catalogue in CATALOGUES if catalogue.name == name)


def at_address(url: str) -> Catalogue | None:
    """The archive that answers at an address, None where it is not known by name."""
    return next((c for c in CATALOGUES if any(host in url for host in c.hosts)), None)


def recognise(item: Mapping[str, Any]) -> Catalogue:
    """Tell by an item's own marks which archive wrote it, wherever the item now lies.

    Parameters
    ----------
    item
        A STAC item as a dict, any version from 1.0.0-beta on.
    """
    properties, assets = item.get("properties", {}), item.get("assets", {})
    collection = item.get("collection") or ""
    if collection.startswith(("s2_l2a", "gm_s2")) or "odc:region_code" in properties:
        return named("deafrica")
    if any(key.startswith("earthsearch:") for key in properties):
        return named("earth-search-v1")
    if collection == "sentinel-s2-l2a-cogs" or any(key.startswith("sentinel:") for key in properties):
        return named("earth-search-v0")
    if "B04_10m" in assets or any(key.startswith("eopf:") for key in properties):
        return named("cdse")
    # Without a flag or raster:bands, the layout of the bands' own names on one host is what remains.
    hrefs = [str(asset.get("href", "")) for asset in assets.values()]
    links = [str(link.get("href", "")) for link in item.get("links", ())]
    known = next((c for text in (*hrefs, *links) if (c := at_address(text)) is not None), None)
    if known is not None:
        return known
    if any("sentinel2l2a01.blob.core.windows.net" in href for href in hrefs):
        return named("planetary-computer")
    if "red" in assets and any("raster:bands" in asset for asset in assets.values()):
        return named("stactools")
    return named("other")
