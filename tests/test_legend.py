"""The legend, beyond what one small file shows: any code, any label, any way to spoil it."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.legend import KINDS, NONE, PALETTE, LandClass, Legend, class_colors, code_text

WORDS = st.text(alphabet="abcxyz ÄŽ0123456789.-", min_size=1, max_size=6).map(str.strip).filter(bool)


@given(
    st.dictionaries(st.integers(0, 10**6), st.integers(1, 255), min_size=1, max_size=20),
    st.data(),
)
def test_a_code_means_the_same_as_number_decimal_and_text(class_of, data):
    values = sorted(set(class_of.values()))
    codes = {value: tuple(str(code) for code in class_of if class_of[code] == value) for value in values}
    legend = Legend(
        classes=tuple(LandClass(value=v, name=f"class {v}", color=PALETTE[0], codes=codes[v]) for v in values)
    )
    asked = data.draw(st.lists(st.sampled_from(sorted(class_of))))
    written = [data.draw(st.sampled_from([int, float, str, np.int32, np.float64, "  {} ".format])) for _ in asked]
    found, unknown = legend.translate([write(code) for write, code in zip(written, asked, strict=True)])
    assert found.dtype == "uint8"
    assert found.tolist() == [class_of[code] for code in asked]
    assert unknown == {}


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, "", "  "])
def test_a_missing_code_is_none_and_not_unknown(missing):
    values, unknown = Legend.from_labels(["forest", "water"]).translate([missing, "water"])
    assert values.tolist() == [NONE, 2]
    assert unknown == {}


def test_no_codes_at_all_give_no_values():
    values, unknown = Legend.from_labels(["a", "b"]).translate([])
    assert (values.shape, values.dtype, unknown) == ((0,), np.dtype("uint8"), {})


@given(st.lists(WORDS, min_size=1, max_size=40))
def test_labels_become_classes_1_to_n_whatever_their_order(labels):
    legend = Legend.from_labels(labels)
    assert legend == Legend.from_labels(reversed(labels))
    assert legend.values == tuple(range(1, len(set(map(code_text, labels))) + 1))
    values, unknown = legend.translate(labels)
    assert [legend.names[int(value)] for value in values] == list(map(code_text, labels))
    assert unknown == {}


@given(st.sets(st.integers(-50, 400), min_size=1, max_size=30))
def test_numeric_labels_are_sorted_as_numbers(labels):
    legend = Legend.from_labels(labels)
    assert list(legend.names.values()) == [str(label) for label in sorted(labels)]
    # The classes of a stored model come back from their names, also where a name is another class's value.
    again = Legend.of_names(legend.names)
    assert again.translate(sorted(labels))[0].tolist() == list(legend.values)


def test_more_labels_than_a_byte_holds_are_refused():
    with pytest.raises(InputError, match="256 different labels"):
        Legend.from_labels(range(256))


def test_one_code_written_twice_in_one_class_is_one_code():
    legend = Legend(
        classes=(
            LandClass(value=1, name="a", color="#000000", codes=("7", "7")),
            LandClass(value=2, name="b", color="#000000"),
        )
    )
    assert legend.translate([7, "b", 2])[0].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no class"),
        ("class = 5", "class must be a list"),
        ("class = [5]", "class 1 is not a"),
        ("[[class]]\nvalue = 1", "number 1 needs name"),
        ('[[class]]\nname = "a"', "number 1 needs value"),
        ('[[class]]\nvalue = true\nname = "a"', "whole number"),
        ('[[class]]\nvalue = 1\nname = " "', "no name"),
        ('[[class]]\nvalue = 1\nname = "a"\ncolour = "#000000"', "unknown key 'colour'"),
        ('[[class]]\nvalue = 1\nname = "a"\ncodes = 7', "codes must be a list"),
        ('[[class]]\nvalue = 1\nname = "a"\ncolor = "#12345"', "#rrggbb"),
        ('[[class]]\nvalue = 1\nname = "2"\n[[class]]\nvalue = 2\nname = "b"', "code '2' for more than one"),
    ],
)
def test_every_complaint_is_one_line_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "classes.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"classes.toml.*{message}") as caught:
        Legend.read(path)
    assert "\n" not in str(caught.value)


def test_a_legend_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such legend file"):
        Legend.read(tmp_path / "classes.toml")
    (tmp_path / "classes.toml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match=r"classes\.toml: not valid TOML"):
        Legend.read(tmp_path / "classes.toml")


def test_colours_default_and_are_read_as_bytes():
    legend = Legend.from_labels(range(20))
    assert set(legend.colors.values()) == set(PALETTE)
    assert LandClass(value=1, name="a", color="#0a80Ff").rgb == (10, 128, 255)


@pytest.mark.parametrize(
    ("name", "like"),
    [("Water bodies", "water"), ("Gewässer", "water"), ("FLORESTA", "forest"), ("coniferous forest", "forest"),
     ("permanent grassland", "grass"), ("built-up", "urban"), ("bare soil", "sand"), ("Wetland", "marsh"),
     ("perennial snow and ice", "glacier"), ("cultivated land", "crop"), ("shrubland", "heath")],
)  # fmt: skip
def test_a_class_without_a_colour_has_that_of_its_kind(name, like):
    assert class_colors([name]) == class_colors([like])
    assert class_colors([name])[0] in {color for color, _ in KINDS}


@pytest.mark.parametrize("name", ["1300", "number", "sealed", "zone 4", "class 7", "soy", "vegetação"])
def test_a_name_that_says_nothing_takes_the_palette(name):
    assert class_colors([name, name + "x"]) == list(PALETTE[:2])


def test_automatic_colours_are_all_different_and_leave_given_ones_alone():
    names = ["water", "deep water", "lake", "sea", "forest", "1", "2", "village", "grass", "crop", "3"]
    colors = class_colors(names, [None, None, "#009E73", *[None] * 8])
    assert len(set(colors)) == len(names)
    assert colors[2] == "#009E73"
    assert "#009e73" not in colors, "what is given is not given again"


def test_kinds_differ_for_colour_blind_eyes():
    # Machado, Oliveira and Fernandes 2009, severity 1; distances in CIE Lab.
    eyes = {
        "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    }
    colors = np.array([list(bytes.fromhex(color[1:])) for color, _ in KINDS]) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for name, seen in eyes.items():
        xyz = np.clip(linear @ np.array(seen).T, 0, 1) @ to_xyz.T / [0.95047, 1, 1.08883]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
        apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
        assert apart.min() > 14, name


def test_a_legend_file_without_colours_has_them_by_name(tmp_path):
    path = tmp_path / "legend.toml"
    path.write_text('[[class]]\nvalue = 1\nname = "forest"\n[[class]]\nvalue = 2\nname = "water"\ncolor = "#3366ff"\n')
    assert list(Legend.read(path).colors.values()) == [class_colors(["forest"])[0], "#3366ff"]


def test_a_class_is_found_by_name_or_the_names_are_told():
    legend = Legend.from_labels(["forest", "water"])
    assert legend.value_of("water") == 2
    with pytest.raises(InputError, match="no class 'wetland'; it has forest, water"):
        legend.value_of("wetland")


def test_each_class_gets_its_colour_in_matplotlib():
    legend = Legend(
        classes=tuple(
            LandClass(value=value, name=str(value), color=color)
            for value, color in {9: "#112233", 1: "#445566", 200: "#778899"}.items()
        )
    )
    cmap, norm = legend.cmap()
    painted = cmap(norm(np.array([1, 9, 200, 0])), bytes=True)
    assert painted.tolist() == [[0x44, 0x55, 0x66, 255], [0x11, 0x22, 0x33, 255], [0x77, 0x88, 0x99, 255], [0, 0, 0, 0]]


def test_one_class_has_a_colour_too():
    cmap, norm = Legend.of_names({4: "water"}).cmap()
    assert cmap(norm(np.array([4])), bytes=True)[0, :3].tolist() == list(Legend.of_names({4: "water"}).classes[0].rgb)


def test_without_matplotlib_the_colours_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(InputError, match=r"landweave\[plot\]"):
        Legend.of_names({4: "water"}).cmap()


@pytest.mark.parametrize("word", ["None", "nan", "NaN", "NA", "N/A", "null", "NULL", "NaT", "<NA>", "none", "-", "inf"])
def test_words_for_nothing_are_names_and_null_is_none(word):
    legend = Legend(
        classes=(
            LandClass(value=3, name="no crop", color="#000000", codes=(word,)),
            LandClass(value=5, name="water", color="#000000"),
        )
    )
    values, unknown = legend.translate([word, None, float("nan"), pd.NA, np.datetime64("NaT"), "water"])
    assert values.tolist() == [3, 0, 0, 0, 0, 5]
    assert unknown == {}
    assert set(Legend.from_labels([word, "water", None]).names.values()) == {word, "water"}


@given(st.integers(-(10**12), 10**12), st.integers(0, 3))
def test_a_whole_number_is_one_code_however_it_is_written(number, decimals):
    written = [
        number,
        float(number),
        f"{number}",
        f" {number}.{'0' * (decimals + 1)} ",
        np.float64(number),
        np.int64(number),
    ]
    assert {code_text(code) for code in written} == {str(number)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.10", "1.1"),
        ("01", "1"),
        ("1.5", "1"),
        ("1,0", "1"),
        ("1.0a", "1"),
        ("1.", "1"),
        ("1.0.0", "1"),
        ("A1.0", "A1"),
    ],
)
def test_codes_that_only_look_alike_stay_apart(one, other):
    assert code_text(one) == one != code_text(other)


def test_letters_are_one_code_composed_or_not():
    legend = Legend.from_labels(["Wa\u0308lder"])
    assert legend.translate(["W\u00e4lder"])[0].tolist() == [1]
