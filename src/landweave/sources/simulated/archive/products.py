"""What the archive holds: every acquisition, in the processing baselines and levels that it was made in."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from landweave.sources.simulated.scenes import SCL

CLOUD = "cloud"
"""A provider's cloud probability, per cent."""

NEW_BASELINE_MONTH = 7
"""From this month's first day on, scenes come in processing baseline 05.00, whose numbers have 1000 added."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """One level of processing: a collection of the archive."""

    name: str
    """As in names of products."""

    collection: str
    """Name of its collection."""

    describes: str
    """What it holds, in a few words."""

    sizes: Mapping[str, int]
    """Variable to pixel size, metres."""


L2A = Level(
    name="L2A",
    collection="sentinel-2-l2a",
    describes="Simulated scenes in the layout of Sentinel-2 L2A.",
    sizes=MappingProxyType({"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20, SCL: 20, CLOUD: 20}),
)
L1C = Level(
    name="L1C",
    collection="sentinel-2-l1c",
    describes="Simulated scenes in the layout of Sentinel-2 L1C: reflectance at the top of the atmosphere.",
    sizes=MappingProxyType(
        {
            "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20,
            "B09": 60, "B10": 60, "B11": 20, "B12": 20,
        }
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Product:
    """One processing of one acquisition."""

    day: datetime.date
    sequence: int
    baseline: str
    shift: int
    """Added to the digital numbers."""
    offset: float
    """What ``raster:bands`` says."""
    applied: bool
    """``earthsearch:boa_offset_applied``; of L2A alone."""
    drift: int = 0
    """Digital numbers by which an older processing differs."""

    @property
    def satellite(self) -> str:
        """S2A or S2B."""
        return f"S2{'AB'[self.day.toordinal() % 2]}"


def products(days: list[datetime.date]) -> list[Product]:
    """Every acquisition in the baseline of its time; of one in autumn also an older processing.

    From July on, the offset is alternately in the pixels, and taken out of them already, as the flag says: the
    metadata speak of it both times.
    """
    made = []
    late = [day for day in days if day.month >= NEW_BASELINE_MONTH]
    twice = late[2 * len(late) // 3] if late else None
    for day in days:
        if day not in late:
            made.append(Product(day=day, sequence=0, baseline="03.01", shift=0, offset=0.0, applied=False))
            continue
        applied = late.index(day) % 2 == 1
        if day == twice:
            made.append(Product(day=day, sequence=0, baseline="03.01", shift=0, offset=0.0, applied=False, drift=30))
        made.append(
            Product(day=day, sequence=int(day == twice), baseline="05.00", shift=0 if applied else 1000,
                    offset=-0.1, applied=applied)
        )  # fmt: skip
    return made


def at_level(product: Product, level: Level) -> Product:
    """A product as it is at a level: of L1C the archive makes no copies with the offset taken out."""
    if level is L2A or not product.applied:
        return product
    return replace(product, applied=False, shift=1000)


def product_name(product: Product, tile: str, level: Level) -> str:
    """The item's id and the name of its folder."""
    return f"{product.satellite}_{tile}_{product.day:%Y%m%d}_{product.sequence}_{level.name}"


def file_name(variable: str) -> str:
    """Name of a variable's file."""
    return f"{'CLD' if variable == CLOUD else variable}.tif"
