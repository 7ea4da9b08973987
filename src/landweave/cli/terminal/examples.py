"""Examples in the help of each command; a test runs the parser over all of them."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("demo", "demo my-demo --size-km 4 --dates 12"),
    "simulate": ("simulate country --size-km 6", "simulate country --l1c --seed 7"),
    "init": (
        "init my-area",
        "init my-area --images images --reference register.gpkg --column use",
        "init my-area --stac https://earth-search.aws.element84.com/v1 --bounds 14.4,46.0,14.6,46.1 --period 2023",
    ),
    "check": ("check landweave.toml", "check my-area --json"),
    "forecast": ("forecast my-area", "forecast my-area --workers 8 --memory 4GB"),
    "run": (
        "run my-area",
        "run my-area --until sample",
        "run my-area --workers 8 --memory 4GB --quiet",
        "run my-area --json > run.json",
    ),
    "status": ("status my-area", "status my-area --exit-code --quiet || landweave run my-area"),
    "report": ("report my-area",),
    "compare": ("compare my-area", "compare my-area --json"),
    "view": ("view my-area", "view my-area --verdicts places"),
    "publish": (
        "publish my-area page --attribution 'Survey of X' --licence CC-BY-4.0",
        "publish my-area data --dataset",
    ),
    "verify": ("verify data",),
    "evaluate": (
        "evaluate samples.csv",
        "evaluate samples.csv --split block --block-size 0.5 --report report.html",
    ),
    "schema": ("schema", "schema status"),
    "estimate size": (
        "estimate size my-area --target 0.01",
        "estimate size --share forest=0.32 --share other=0.68",
    ),
    "estimate draw": (
        "estimate draw my-area sample.gpkg",
        "estimate draw map.tif sample.gpkg --n 500 --blind",
        "estimate draw map.tif larger.gpkg --extend sample.gpkg --n 800",
        "estimate draw map.tif sample.gpkg --n 500 --sampling systematic",
    ),
    "estimate accuracy": (
        "estimate accuracy sample.gpkg",
        "estimate accuracy sample.gpkg --districts districts.gpkg --column name --report estimate.html",
        "estimate accuracy sample.csv --map-column map_2020",
    ),
    "estimate compare": (
        "estimate compare sample.gpkg --map old.tif --map new.tif",
        "estimate compare sample.csv --map-column map_2018 --map-column map_2020",
    ),
}
"""Words of a command to complete commands, without ``landweave``."""
