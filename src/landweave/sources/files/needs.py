"""What of a GeoTIFF on a server will be read: a part of a band, its smallest copy, or the header alone."""

from dataclasses import dataclass

from landweave.sources.files.tiff import Block, Tiff


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A part of a band at full resolution, and of its mask."""

    top: int
    left: int
    height: int
    width: int
    band: int = 1

    def blocks(self, tiff: Tiff) -> list[Block]:
        """The blocks of a file that are needed."""
        return tiff.part(self.top, self.left, self.height, self.width, self.band)


@dataclass(frozen=True, kw_only=True)
class SmallCopy:
    """The smallest copy of a band in a file, or the smallest that is as large as ``shape``."""

    shape: tuple[int, int] | None = None
    band: int = 1

    def blocks(self, tiff: Tiff) -> list[Block]:
        """The blocks of a file that are needed."""
        return tiff.coarse(self.shape, self.band)


@dataclass(frozen=True, kw_only=True)
class HeaderOnly:
    """No pixels: what a file says of itself."""

    def blocks(self, tiff: Tiff) -> list[Block]:  # noqa: ARG002 - as the others
        """None."""
        return []


Need = Pixels | SmallCopy | HeaderOnly
