"""eo-learn's task that reads vectors."""

from pathlib import Path
from typing import Any

from landweave.eolearn.features import FeatureType, one_feature
from landweave.eolearn.holding import BBox, of_this_machine
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask
from landweave.errors import InputError


class VectorImportTask(EOTask):
    """Reads what touches a patch's box from a file of vectors, into a vector feature.

    Parameters
    ----------
    feature
        ``vector_timeless``; or ``vector``, where the file has a column ``TIMESTAMP``.
    path
        A file on this machine that GDAL reads.
    reproject
        Whether geometries come to the box's CRS.
    clip
        Whether they are cut off at the box's border; else those that touch it are whole.
    kwargs
        Further arguments of ``geopandas.read_file``, such as ``layer``.
    """

    def __init__(
        self, feature: Any, path: str | Path, reproject: bool = True, clip: bool = False, filesystem: Any = None,
        config: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        of_this_machine(filesystem=filesystem, config=config)
        if "://" in str(path):
            raise InputError(f"{path}: only local files are supported; copy the file and give its path.")
        self.feature = one_feature(feature, kinds=(FeatureType.VECTOR, FeatureType.VECTOR_TIMELESS))
        self.path, self.reproject, self.clip, self.options = Path(path), reproject, clip, kwargs

    def execute(self, eopatch: EOPatch | None = None, *, bbox: Any = None) -> EOPatch:
        """The patch with the feature; a new one where none is given, whose box is ``bbox``, or that of all vectors."""
        box = bbox if bbox is None or isinstance(bbox, BBox) else BBox(bbox, getattr(bbox, "crs", None))
        box = eopatch.bbox if box is None and eopatch is not None else box
        table = self._read(box)
        if box is None and (self.reproject or self.clip):
            raise InputError(
                "Without a bbox there is no target CRS and no clip border; give a bbox, or reproject=False."
            )
        if box is not None and self.reproject:
            table = table.to_crs(box.crs)
        if box is not None and self.clip:
            table = self._clipped(table, box)
        patch = EOPatch() if eopatch is None else eopatch
        if patch.bbox is None:
            if box is None and not len(table):
                raise InputError(f"{self.path}: the file has no geometry, so the place of the patch is unknown.")
            patch.bbox = BBox(table.total_bounds, table.crs) if box is None else box
        patch[self.feature] = table
        return patch

    def _read(self, box: BBox | None) -> Any:
        import geopandas as gpd

        near = None
        if box is not None:
            # With points along its sides, which are no straight lines in another CRS.
            left, bottom, right, top = box
            near = gpd.GeoSeries([box.geometry.segmentize(max(right - left, top - bottom) / 20)], crs=box.crs)
        try:
            table = gpd.read_file(self.path, **{**self.options, "rows": 0})
            nowhere = getattr(table, "crs", None) is None
            table = table if nowhere else gpd.read_file(self.path, bbox=near, **self.options)
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{self.path}: not readable as vectors: {reason}") from None
        if nowhere:
            raise InputError(f"{self.path}: the file has no geometries or no CRS.")
        return table

    def _clipped(self, table: Any, box: BBox) -> Any:
        import geopandas as gpd

        border = gpd.GeoSeries([box.geometry], crs=box.crs)
        if table.crs != border.crs:
            raise InputError(
                f"{self.path}: vectors are in {table.crs} and the bbox in {box.crs}; clip needs reproject=True."
            )
        return gpd.clip(table, border, keep_geom_type=True)
