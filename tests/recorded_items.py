"""What a correct reader decides for each recorded item: worked out from the items and their catalogues' documentation.

No line here was computed by the package: the table is the oracle that the package is held against. Scale and offset turn
the stored number into reflectance, ``number * scale + offset``. The documents that decide are:

- ESA, Sentinel-2 products, processing baseline 04.00: 1000 is added to every number of L1C and L2A, 0 stays "no data",
  the product's metadata tell -1000 (RADIO_ADD_OFFSET, BOA_ADD_OFFSET) over a quantification value of 10000. Collection 1
  (05.00 and later) reprocesses old acquisitions the same way: the date of the acquisition says nothing.
- Element 84 on Earth Search: ``boa_offset_applied`` tells that the pixels of the COGs already had it taken out, and is
  the truth where ``raster:bands`` still says -0.1; the JPEG 2000 files beside them are ESA's own, untouched.
- Microsoft on the Planetary Computer ("Adjusting for the Sentinel-2 Baseline Change"): numbers are ESA's own, untouched.
- STAC: raster extension 1.1 (``raster:bands``) and 2.0 (``raster:scale``, ``raster:offset`` on a STAC 1.1 asset).
"""

from dataclasses import dataclass

TILE_METRES = 109_800
"""Side of every Sentinel-2 tile."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """What must be known of one band of an item."""

    key: str
    href: str
    scale: float
    offset: float
    nodata: float
    metres: int

    @property
    def shape(self):
        return (TILE_METRES // self.metres, TILE_METRES // self.metres)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What must be known of one item."""

    file: str
    """Folder and name, without ``.json``; the name is the item's id."""
    catalogue: str
    collection: str | None
    moment: str
    """As in the item, UTC."""
    day: str
    """Solar day: ``moment`` and an hour for every 15 degrees of the footprint's middle."""
    cloud: float
    platform: str
    tile: str
    baseline: tuple[int, int]
    orbit: int | None
    epsg: int
    corner: tuple[int, int]
    """Left, top: metres, the same for all bands."""
    layout: dict[str, tuple[str, str, int]]
    """Band to asset key, end of the href, metres."""
    base: str
    """How the hrefs begin; empty where they are relative to the item."""
    stem: str = ""
    """What stands for ``{}`` in the ends of the hrefs."""
    offset: float
    """Reflectance of number 0 in every reflectance band."""
    said: float | None
    """Offset that the asset itself tells; None where it tells none."""

    @property
    def id(self):
        return self.file.rpartition("/")[2]

    @property
    def bands(self):
        return {
            band: Band(
                key=key,
                href=self.base + end.format(self.stem),
                # Classes are names, not amounts. Every catalogue quantifies reflectance by 10000: the two that say
                # nothing (Earth Search v0, Planetary Computer) keep ESA's own.
                scale=1.0 if band == "SCL" else 1e-4,
                offset=0.0 if band == "SCL" else self.offset,
                nodata=0,  # ESA's "no data" of L1C, L2A and of the scene classification, told or not
                metres=metres,
            )
            for band, (key, end, metres) in self.layout.items()
        }


# Earth Search v0: assets bear the bands' own names.
V0 = {
    "B02": ("B02", "B02.tif", 10),
    "B03": ("B03", "B03.tif", 10),
    "B04": ("B04", "B04.tif", 10),
    "B05": ("B05", "B05.tif", 20),
    "B08": ("B08", "B08.tif", 10),
    "B8A": ("B8A", "B8A.tif", 20),
    "B11": ("B11", "B11.tif", 20),
    "B12": ("B12", "B12.tif", 20),
    "SCL": ("SCL", "SCL.tif", 20),
}

# Earth Search v1, both L2A collections, and Digital Earth Africa: common names, COGs (`blue`, not `blue-jp2`).
V1 = {
    "B02": ("blue", "B02.tif", 10),
    "B03": ("green", "B03.tif", 10),
    "B04": ("red", "B04.tif", 10),
    "B05": ("rededge1", "B05.tif", 20),
    "B08": ("nir", "B08.tif", 10),
    "B8A": ("nir08", "B8A.tif", 20),
    "B11": ("swir16", "B11.tif", 20),
    "B12": ("swir22", "B12.tif", 20),
    "SCL": ("scl", "SCL.tif", 20),
}

# L1C has the cirrus band and no scene classification.
V1_L1C = {
    "B02": ("blue", "B02.jp2", 10),
    "B03": ("green", "B03.jp2", 10),
    "B04": ("red", "B04.jp2", 10),
    "B05": ("rededge1", "B05.jp2", 20),
    "B08": ("nir", "B08.jp2", 10),
    "B8A": ("nir08", "B8A.jp2", 20),
    "B10": ("cirrus", "B10.jp2", 60),
    "B11": ("swir16", "B11.jp2", 20),
    "B12": ("swir22", "B12.jp2", 20),
}

# Planetary Computer: the product's own folders, COGs.
PC = {
    "B02": ("B02", "R10m/{}_B02_10m.tif", 10),
    "B03": ("B03", "R10m/{}_B03_10m.tif", 10),
    "B04": ("B04", "R10m/{}_B04_10m.tif", 10),
    "B05": ("B05", "R20m/{}_B05_20m.tif", 20),
    "B08": ("B08", "R10m/{}_B08_10m.tif", 10),
    "B8A": ("B8A", "R20m/{}_B8A_20m.tif", 20),
    "B11": ("B11", "R20m/{}_B11_20m.tif", 20),
    "B12": ("B12", "R20m/{}_B12_20m.tif", 20),
    "SCL": ("SCL", "R20m/{}_SCL_20m.tif", 20),
}

# Copernicus: every band at several resolutions, the finest is the one that was measured. B08 comes at 10 m alone.
CDSE = {
    "B02": ("B02_10m", "R10m/{}_B02_10m.jp2", 10),
    "B03": ("B03_10m", "R10m/{}_B03_10m.jp2", 10),
    "B04": ("B04_10m", "R10m/{}_B04_10m.jp2", 10),
    "B05": ("B05_20m", "R20m/{}_B05_20m.jp2", 20),
    "B08": ("B08_10m", "R10m/{}_B08_10m.jp2", 10),
    "B8A": ("B8A_20m", "R20m/{}_B8A_20m.jp2", 20),
    "B11": ("B11_20m", "R20m/{}_B11_20m.jp2", 20),
    "B12": ("B12_20m", "R20m/{}_B12_20m.jp2", 20),
    "SCL": ("SCL_20m", "R20m/{}_SCL_20m.jp2", 20),
}

# stactools: common names, and coarser copies under `blue_20m`, `blue_60m`, ..., which nobody should read.
TOOLS_TILE = {
    "B02": ("blue", "R10m/B02.jp2", 10),
    "B03": ("green", "R10m/B03.jp2", 10),
    "B04": ("red", "R10m/B04.jp2", 10),
    "B05": ("rededge1", "R20m/B05.jp2", 20),
    "B08": ("nir", "R10m/B08.jp2", 10),
    "B8A": ("nir08", "R20m/B8A.jp2", 20),
    "B11": ("swir16", "R20m/B11.jp2", 20),
    "B12": ("swir22", "R20m/B12.jp2", 20),
    "SCL": ("scl", "R20m/SCL.jp2", 20),
}
TOOLS_L1C = {
    "B02": ("blue", "GRANULE/{}_B02.jp2", 10),
    "B03": ("green", "GRANULE/{}_B03.jp2", 10),
    "B04": ("red", "GRANULE/{}_B04.jp2", 10),
    "B05": ("rededge1", "GRANULE/{}_B05.jp2", 20),
    "B08": ("nir", "GRANULE/{}_B08.jp2", 10),
    "B8A": ("nir08", "GRANULE/{}_B8A.jp2", 20),
    "B10": ("cirrus", "GRANULE/{}_B10.jp2", 60),
    "B11": ("swir16", "GRANULE/{}_B11.jp2", 20),
    "B12": ("swir22", "GRANULE/{}_B12.jp2", 20),
}
TOOLS_L2A = {
    "B02": ("blue", "R10m/{}_B02_10m.tif", 10),
    "B03": ("green", "R10m/{}_B03_10m.tif", 10),
    "B04": ("red", "R10m/{}_B04_10m.tif", 10),
    "B05": ("rededge1", "R20m/{}_B05_20m.tif", 20),
    "B08": ("nir", "R10m/{}_B08_10m.tif", 10),
    "B8A": ("nir08", "R20m/{}_B8A_20m.tif", 20),
    "B11": ("swir16", "R20m/{}_B11_20m.tif", 20),
    "B12": ("swir22", "R20m/{}_B12_20m.tif", 20),
    "SCL": ("scl", "R20m/{}_SCL_20m.tif", 20),
}

COGS = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs"
C1 = "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a"
AZURE = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2"
EODATA = "s3://eodata/Sentinel-2/MSI/L2A_N0500"

# fmt: off
ITEMS = (
    # -- Earth Search v0: nothing about scale or offset on the assets. ------------------------------------------------
    Recorded(
        # Baseline 02.14 (the product's name alone tells it): no offset was ever in these numbers.
        file="earth_search_v0/S2A_28QCH_20200714_0_L2A", catalogue="earth-search-v0", collection="sentinel-s2-l2a-cogs",
        moment="2020-07-14T11:55:52", day="2020-07-14", cloud=2.36, platform="S2A", tile="28QCH", baseline=(2, 14), orbit=123,
        epsg=32628, corner=(300000, 2300040), layout=V0, base=f"{COGS}/2020/S2A_28QCH_20200714_0_L2A/",
        said=None, offset=0.0,
    ),
    Recorded(
        # Baseline 04.00, `sentinel:boa_offset_applied` true (v0's spelling): taken out of the COGs already.
        file="earth_search_v0/S2A_17SPR_20221106_0_L2A", catalogue="earth-search-v0", collection="sentinel-s2-l2a-cogs",
        moment="2022-11-06T16:04:25", day="2022-11-06", cloud=28.12, platform="S2A", tile="17SPR", baseline=(4, 0), orbit=54,
        epsg=32617, corner=(600000, 3600000), layout=V0, base=f"{COGS}/17/S/PR/2022/11/S2A_17SPR_20221106_0_L2A/",
        said=None, offset=0.0,
    ),
    Recorded(
        # Baseline 05.11, the same flag. The very files that v1's item of this name points to, which says the same.
        file="earth_search_v0/S2B_20EPT_20250731_0_L2A", catalogue="earth-search-v0", collection="sentinel-s2-l2a-cogs",
        moment="2025-07-31T13:19:22", day="2025-07-31", cloud=0.0, platform="S2B", tile="20EPT", baseline=(5, 11), orbit=95,
        epsg=32720, corner=(600000, 3300040), layout=V0, base=f"{COGS}/20/E/PT/2025/7/S2B_20EPT_20250731_0_L2A/",
        said=None, offset=0.0,
    ),
    # -- Earth Search v1, sentinel-2-l2a: the flag goes before raster:bands. ------------------------------------------
    Recorded(
        # Baseline 02.14: flag false, raster:bands 0, and 0 it is.
        file="earth_search_v1_s2_l2a/S2A_32TMT_20200305_0_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2020-03-05T10:37:41.586", day="2020-03-05", cloud=99.997049, platform="S2A", tile="32TMT", baseline=(2, 14), orbit=108,
        epsg=32632, corner=(399960, 5300040), layout=V1, base=f"{COGS}/32/T/MT/2020/3/S2A_32TMT_20200305_0_L2A/",
        said=0.0, offset=0.0,
    ),
    Recorded(
        # The same acquisition in baseline 05.00: flag true, so that the -0.1 of raster:bands would be taken off twice.
        file="earth_search_v1_s2_l2a/S2A_32TMT_20200305_1_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2020-03-05T10:37:41.587", day="2020-03-05", cloud=99.9852, platform="S2A", tile="32TMT", baseline=(5, 0), orbit=108,
        epsg=32632, corner=(399960, 5300040), layout=V1, base=f"{COGS}/32/T/MT/2020/3/S2A_32TMT_20200305_1_L2A/",
        said=-0.1, offset=0.0,
    ),
    Recorded(
        # Baseline 02.14: flag false, raster:bands 0.
        file="earth_search_v1_s2_l2a/S2A_32TNT_20200305_0_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2020-03-05T10:37:36.899", day="2020-03-05", cloud=99.994359, platform="S2A", tile="32TNT", baseline=(2, 14), orbit=108,
        epsg=32632, corner=(499980, 5300040), layout=V1, base=f"{COGS}/32/T/NT/2020/3/S2A_32TNT_20200305_0_L2A/",
        said=0.0, offset=0.0,
    ),
    Recorded(
        # Its second processing, 05.00: flag true.
        file="earth_search_v1_s2_l2a/S2A_32TNT_20200305_1_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2020-03-05T10:37:36.899", day="2020-03-05", cloud=99.975044, platform="S2A", tile="32TNT", baseline=(5, 0), orbit=108,
        epsg=32632, corner=(499980, 5300040), layout=V1, base=f"{COGS}/32/T/NT/2020/3/S2A_32TNT_20200305_1_L2A/",
        said=-0.1, offset=0.0,
    ),
    Recorded(
        # Baseline 05.11: flag true, raster:bands -0.1 all the same.
        file="earth_search_v1_s2_l2a/S2B_20EPT_20250731_0_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2025-07-31T13:19:22.930", day="2025-07-31", cloud=26.02542, platform="S2B", tile="20EPT", baseline=(5, 11), orbit=95,
        epsg=32720, corner=(600000, 3300040), layout=V1, base=f"{COGS}/20/E/PT/2025/7/S2B_20EPT_20250731_0_L2A/",
        said=-0.1, offset=0.0,
    ),
    Recorded(
        # Baseline 05.11: flag true, raster:bands -0.1 all the same.
        file="earth_search_v1_s2_l2a/S2B_24MUV_20250731_0_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2025-07-31T13:03:27.058", day="2025-07-31", cloud=56.813848, platform="S2B", tile="24MUV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(300000, 9500020), layout=V1, base=f"{COGS}/24/M/UV/2025/7/S2B_24MUV_20250731_0_L2A/",
        said=-0.1, offset=0.0,
    ),
    Recorded(
        # Baseline 02.14: flag false, raster:bands 0.
        file="earth_search_v1_s2_l2a/S2B_31QGB_20200831_0_L2A", catalogue="earth-search-v1", collection="sentinel-2-l2a",
        moment="2020-08-31T10:25:34.438", day="2020-08-31", cloud=0.061815, platform="S2B", tile="31QGB", baseline=(2, 14), orbit=22,
        epsg=32631, corner=(699960, 2200020), layout=V1, base=f"{COGS}/31/Q/GB/2020/8/S2B_31QGB_20200831_0_L2A/",
        said=0.0, offset=0.0,
    ),
    # -- Earth Search v1, sentinel-2-c1-l2a: COGs with ESA's numbers, no flag, raster:bands is the truth. -------------
    Recorded(
        # The acquisition of S2B_20EPT_20250731_0_L2A once more, in other files: here the offset is in the pixels.
        file="earth_search_v1_c1_l2a/S2B_T20EPT_20250731T131905_L2A", catalogue="earth-search-v1", collection="sentinel-2-c1-l2a",
        moment="2025-07-31T13:19:22.930", day="2025-07-31", cloud=26.02542, platform="S2B", tile="20EPT", baseline=(5, 11), orbit=95,
        epsg=32720, corner=(600000, 3300040), layout=V1, base=f"{C1}/20/E/PT/2025/7/S2B_T20EPT_20250731T131905_L2A/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:bands -0.1.
        file="earth_search_v1_c1_l2a/S2B_T24MUV_20250731T130245_L2A", catalogue="earth-search-v1", collection="sentinel-2-c1-l2a",
        moment="2025-07-31T13:03:27.058", day="2025-07-31", cloud=56.813848, platform="S2B", tile="24MUV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(300000, 9500020), layout=V1, base=f"{C1}/24/M/UV/2025/7/S2B_T24MUV_20250731T130245_L2A/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:bands -0.1.
        file="earth_search_v1_c1_l2a/S2B_T24MVV_20250731T130245_L2A", catalogue="earth-search-v1", collection="sentinel-2-c1-l2a",
        moment="2025-07-31T13:03:25.899", day="2025-07-31", cloud=34.760532, platform="S2B", tile="24MVV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(399960, 9500020), layout=V1, base=f"{C1}/24/M/VV/2025/7/S2B_T24MVV_20250731T130245_L2A/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:bands -0.1.
        file="earth_search_v1_c1_l2a/S2B_T24MWV_20250731T130245_L2A", catalogue="earth-search-v1", collection="sentinel-2-c1-l2a",
        moment="2025-07-31T13:03:24.321", day="2025-07-31", cloud=25.342679, platform="S2B", tile="24MWV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(499980, 9500020), layout=V1, base=f"{C1}/24/M/WV/2025/7/S2B_T24MWV_20250731T130245_L2A/",
        said=-0.1, offset=-0.1,
    ),
    # -- Earth Search v1, sentinel-2-l1c: ESA's own files, no flag, raster:bands is the truth. ------------------------
    Recorded(
        # raster:bands -0.1, baseline 05.11.
        file="earth_search_v1_l1c/S2B_20EPT_20250731_0_L1C", catalogue="earth-search-v1", collection="sentinel-2-l1c",
        moment="2025-07-31T13:19:22.930", day="2025-07-31", cloud=0.0, platform="S2B", tile="20EPT", baseline=(5, 11), orbit=95,
        epsg=32720, corner=(600000, 3300040), layout=V1_L1C, base="s3://sentinel-s2-l1c/tiles/20/E/PT/2025/7/31/0/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:bands -0.1, baseline 05.11.
        file="earth_search_v1_l1c/S2B_24MUV_20250731_0_L1C", catalogue="earth-search-v1", collection="sentinel-2-l1c",
        moment="2025-07-31T13:03:27.058", day="2025-07-31", cloud=45.6180746319331, platform="S2B", tile="24MUV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(300000, 9500020), layout=V1_L1C, base="s3://sentinel-s2-l1c/tiles/24/M/UV/2025/7/31/0/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:bands -0.1, baseline 05.11.
        file="earth_search_v1_l1c/S2B_24MVV_20250731_0_L1C", catalogue="earth-search-v1", collection="sentinel-2-l1c",
        moment="2025-07-31T13:03:25.899", day="2025-07-31", cloud=24.2173961880496, platform="S2B", tile="24MVV", baseline=(5, 11), orbit=95,
        epsg=32724, corner=(399960, 9500020), layout=V1_L1C, base="s3://sentinel-s2-l1c/tiles/24/M/VV/2025/7/31/0/",
        said=-0.1, offset=-0.1,
    ),
    # -- Planetary Computer: ESA's numbers, nothing told on the assets, so the baseline decides. ----------------------
    Recorded(
        # Baseline 02.12: before the offset.
        file="planetary_computer/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531", catalogue="planetary-computer", collection="sentinel-2-l2a",
        moment="2019-06-29T21:25:29.024", day="2019-06-29", cloud=0.314306, platform="S2B", tile="06VVN", baseline=(2, 12), orbit=43,
        epsg=32606, corner=(399960, 6800040), layout=PC, stem="T06VVN_20190629T212529",
        base=f"{AZURE}/06/V/VN/2019/06/29/S2B_MSIL2A_20190629T212529_N0212_R043_T06VVN_20201006T080531.SAFE/GRANULE/L2A_T06VVN_A012081_20190629T212530/IMG_DATA/",
        said=None, offset=0.0,
    ),
    Recorded(
        # Baseline 04.00: the first one with the offset.
        file="planetary_computer/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", catalogue="planetary-computer", collection="sentinel-2-l2a",
        moment="2022-06-12T18:29:19.024", day="2022-06-12", cloud=30.529344, platform="S2B", tile="24XWR", baseline=(4, 0), orbit=27,
        epsg=32624, corner=(499980, 9100020), layout=PC, stem="T24XWR_20220612T182919",
        base=f"{AZURE}/24/X/WR/2022/06/12/S2B_MSIL2A_20220612T182919_N0400_R027_T24XWR_20220613T123251.SAFE/GRANULE/L2A_T24XWR_A027509_20220612T182920/IMG_DATA/",
        said=None, offset=-0.1,
    ),
    Recorded(
        # Baseline 04.00. At 129.5 degrees east the sun's day has begun 8.6 hours before Greenwich's: the 17th.
        file="planetary_computer/S2A_MSIL2A_20230216T235751_R087_T52CEB_20230217T134604", catalogue="planetary-computer", collection="sentinel-2-l2a",
        moment="2023-02-16T23:57:51.024", day="2023-02-17", cloud=0.613371, platform="S2A", tile="52CEB", baseline=(4, 0), orbit=87,
        epsg=32752, corner=(499980, 1700020), layout=PC, stem="T52CEB_20230216T235751",
        base=f"{AZURE}/52/C/EB/2023/02/16/S2A_MSIL2A_20230216T235751_N0400_R087_T52CEB_20230217T134604.SAFE/GRANULE/L2A_T52CEB_A039981_20230216T235752/IMG_DATA/",
        said=None, offset=-0.1,
    ),
    Recorded(
        # Baseline 05.11.
        file="planetary_computer/S2A_MSIL2A_20240823T174901_R141_T13TDE_20240824T013055", catalogue="planetary-computer", collection="sentinel-2-l2a",
        moment="2024-08-23T17:49:01.024", day="2024-08-23", cloud=66.843867, platform="S2A", tile="13TDE", baseline=(5, 11), orbit=141,
        epsg=32613, corner=(399960, 4500000), layout=PC, stem="T13TDE_20240823T174901",
        base=f"{AZURE}/13/T/DE/2024/08/23/S2A_MSIL2A_20240823T174901_N0511_R141_T13TDE_20240824T013055.SAFE/GRANULE/L2A_T13TDE_A047900_20240823T175543/IMG_DATA/",
        said=None, offset=-0.1,
    ),
    Recorded(
        # Baseline 05.11.
        file="planetary_computer/S2B_MSIL2A_20240825T173909_R098_T13TDE_20240825T215747", catalogue="planetary-computer", collection="sentinel-2-l2a",
        moment="2024-08-25T17:39:09.024", day="2024-08-25", cloud=48.747352, platform="S2B", tile="13TDE", baseline=(5, 11), orbit=98,
        epsg=32613, corner=(399960, 4500000), layout=PC, stem="T13TDE_20240825T173909",
        base=f"{AZURE}/13/T/DE/2024/08/25/S2B_MSIL2A_20240825T173909_N0511_R098_T13TDE_20240825T215747.SAFE/GRANULE/L2A_T13TDE_A039020_20240825T174804/IMG_DATA/",
        said=None, offset=-0.1,
    ),
    # -- Copernicus Data Space: ESA's own files of 2020, reprocessed (05.00); raster:offset on the asset is the truth. -
    Recorded(
        # raster:offset -0.1.
        file="cdse/S2A_MSIL2A_20200703T103031_N0500_R108_T32TMT_20230613T212700", catalogue="cdse", collection="sentinel-2-l2a",
        moment="2020-07-03T10:30:31.024", day="2020-07-03", cloud=99.73, platform="S2A", tile="32TMT", baseline=(5, 0), orbit=108,
        epsg=32632, corner=(399960, 5300040), layout=CDSE, stem="T32TMT_20200703T103031",
        base=f"{EODATA}/2020/07/03/S2A_MSIL2A_20200703T103031_N0500_R108_T32TMT_20230613T212700.SAFE/GRANULE/L2A_T32TMT_A026274_20200703T103715/IMG_DATA/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:offset -0.1.
        file="cdse/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700", catalogue="cdse", collection="sentinel-2-l2a",
        moment="2020-07-03T10:30:31.024", day="2020-07-03", cloud=98.39, platform="S2A", tile="32TNT", baseline=(5, 0), orbit=108,
        epsg=32632, corner=(499980, 5300040), layout=CDSE, stem="T32TNT_20200703T103031",
        base=f"{EODATA}/2020/07/03/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700.SAFE/GRANULE/L2A_T32TNT_A026274_20200703T103715/IMG_DATA/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:offset -0.1.
        file="cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912", catalogue="cdse", collection="sentinel-2-l2a",
        moment="2020-07-05T10:15:59.024", day="2020-07-05", cloud=11.32, platform="S2B", tile="32TMT", baseline=(5, 0), orbit=65,
        epsg=32632, corner=(399960, 5300040), layout=CDSE, stem="T32TMT_20200705T101559",
        base=f"{EODATA}/2020/07/05/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912.SAFE/GRANULE/L2A_T32TMT_A017394_20200705T101917/IMG_DATA/",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # raster:offset -0.1.
        file="cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912", catalogue="cdse", collection="sentinel-2-l2a",
        moment="2020-07-05T10:15:59.024", day="2020-07-05", cloud=31.64, platform="S2B", tile="32TNT", baseline=(5, 0), orbit=65,
        epsg=32632, corner=(499980, 5300040), layout=CDSE, stem="T32TNT_20200705T101559",
        base=f"{EODATA}/2020/07/05/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912.SAFE/GRANULE/L2A_T32TNT_A017394_20200705T101917/IMG_DATA/",
        said=-0.1, offset=-0.1,
    ),
    # -- Digital Earth Africa: a copy of Earth Search's collection 1, in a bucket of its own. -------------------------
    Recorded(
        # No flag, raster:bands -0.1, baseline 05.10.
        file="digital_earth_africa/S2B_T37MGP_20240710T073012_L2A", catalogue="deafrica", collection="s2_l2a_c1",
        moment="2024-07-10T07:41:33.657", day="2024-07-10", cloud=83.505428, platform="S2B", tile="37MGP", baseline=(5, 10), orbit=6,
        epsg=32737, corner=(699960, 9400000), layout=V1,
        base="s3://deafrica-sentinel-2-l2a-c1-dev/sentinel-2-c1-l2a/37/M/GP/2024/7/S2B_T37MGP_20240710T073012_L2A/",
        said=-0.1, offset=-0.1,
    ),
    # -- stactools: made beside the product on disk, relative hrefs, no collection; raster:bands as its XML told. -----
    Recorded(
        # Baseline 04.00, raster:bands -0.1. A lone tile without its product: no orbit is told anywhere.
        file="stactools_stac_1_1/S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP", catalogue="stactools", collection=None,
        moment="2022-04-01T09:03:19.283", day="2022-04-01", cloud=92.696983, platform="S2A", tile="34LBP", baseline=(4, 0), orbit=None,
        epsg=32734, corner=(199980, 8900020), layout=TOOLS_TILE, base="",
        said=-0.1, offset=-0.1,
    ),
    Recorded(
        # Baseline 03.01, raster:bands 0.
        file="stactools_stac_1_1/S2A_T46RER_20210908T043714_L1C", catalogue="stactools", collection=None,
        moment="2021-09-08T04:27:01.024", day="2021-09-08", cloud=88.2972, platform="S2A", tile="46RER", baseline=(3, 1), orbit=133,
        epsg=32646, corner=(499980, 3100020), layout=TOOLS_L1C, base="",
        stem="L1C_T46RER_A032448_20210908T043714/IMG_DATA/T46RER_20210908T042701",
        said=0.0, offset=0.0,
    ),
    Recorded(
        # Baseline 04.00, raster:bands -0.1: ESA's numbers as COGs, nothing taken out.
        file="stactools_stac_1_1/S2B_T33XWJ_20220413T150756_L2A", catalogue="stactools", collection=None,
        moment="2022-04-13T15:07:59.024", day="2022-04-13", cloud=98.944211, platform="S2B", tile="33XWJ", baseline=(4, 0), orbit=25,
        epsg=32633, corner=(499980, 8900040), layout=TOOLS_L2A, stem="T33XWJ_20220413T150759",
        base="GRANULE/L2A_T33XWJ_A026649_20220413T150756/IMG_DATA/",
        said=-0.1, offset=-0.1,
    ),
)
# fmt: on
