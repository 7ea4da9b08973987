"""The report's section on trust layers says what was checked, what fell short, and what to do there."""

from landweave.report.sections.trust import trust_section


def row(name, coverage, pixels=1000, **more):
    return {
        "name": name, "pixels": pixels, "patches": 9, "coverage": coverage, "mean_size": 1.5, "worst_patch": 0.5
    } | more  # fmt: skip


def figures():
    table = {"all": [row("all", 0.9)], "class": [row("forest", 0.91), row("water", 0.8), row("bog", 0.1, pixels=199)]}
    return {
        "bands": [
            {"band": 1, "name": "margin", "title": "margin", "unit": "%", "stored_plus": 0, "least": 1, "greatest": 100},
            {
                "band": 2, "name": "applicability", "title": "area of applicability",
                "values": [
                    {"value": 1, "name": "inside", "color": "#000000", "pixels": 97, "share": 0.97},
                    {"value": 2, "name": "outside", "color": "#000000", "pixels": 3, "share": 0.03},
                ],
            },
        ],
        "sets": {
            "level": 0.9, "pixels": 3199, "patches": 9,
            "checked": {"other pixels of the same land": table, "patches without calibration pixels": table},
            "error": {
                "applicability": [
                    {"name": "inside", "pixels": 9000, "share": 0.9, "error": 0.1},
                    {"name": "outside", "pixels": 1000, "share": 0.1, "error": 0.3},
                ],
                "distance": [],
            },
        },
        "applicability": {"threshold": 0.2, "rows": 10, "all_rows": 10, "thinned": None},
    }  # fmt: skip


def test_classes_whose_sets_fall_short_are_named_where_there_are_enough_pixels():
    words = " ".join(trust_section(figures())["words"])
    assert "fewer than asked for in: water (80.0 %)" in words
    assert "no part in the fit they also hold fewer in: water (80.0 %)" in words
    assert "bog" not in words
    assert "10.0 % of the labelled land inside and on 30.0 % outside (1000 pixels)" in words
    assert "3.0 % of the map is outside" in words


def test_what_could_not_be_made_has_its_reason():
    found = figures() | {"sets": {"level": 0.9, "reason": "no reference"}, "applicability": {"reason": "no rows"}}
    section = trust_section(found)
    assert section["words"] == [
        "There are no sets of classes: no reference.", "There is no area of applicability: no rows."
    ]  # fmt: skip
    assert section["coverage"] == section["errors"] == []
    assert trust_section(None) is None


def test_what_could_not_be_checked_on_other_places_is_not_said_to_be():
    found = figures()
    found["sets"] |= {"patches": 1, "places": 1, "place": "quarter"}
    del found["sets"]["checked"]["patches without calibration pixels"]
    section = trust_section(found)
    words = " ".join(section["words"])
    assert "in quarters of patches that had no part in it, this could not be checked" in words
    assert "On pixels that had no part in the fit the sets hold the class in 90.0 %" in words
    assert section["coverage"][0]["rows"][0]["elsewhere"] == trust_section(found)["coverage"][0]["rows"][0]["worst"]
    del found["sets"]["checked"]["other pixels of the same land"]
    assert "could not be checked" in trust_section(found)["words"][0]
    assert trust_section(found)["coverage"] == []
