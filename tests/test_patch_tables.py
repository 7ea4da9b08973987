"""Tables of any kind: what is read as it was meant, and the row of what is not."""

import csv
import datetime
import decimal
import gzip
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.patch.tables.dates import check_format, read_day, read_moment, read_moments
from landweave.patch.tables.numbers import read_numbers, to_numbers
from landweave.patch.tables.places import read_degrees
from landweave.patch.tables.reading import read_table_file

at = datetime.datetime
GOOD = "id,name,value\n1,Wälder,0.5\n2,Wiese,1.5\n"


def written(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path, message, **options):
    with pytest.raises(InputError, match=message) as caught:
        read_table_file(path, **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        b"\xfe\xff" + GOOD.encode("utf-16-be"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        "sep=;\n" + GOOD.replace(",", ";"),
        GOOD.replace(",", ", "),
        GOOD.replace(",", " , "),
        GOOD.replace("0.5", '"0.5"').replace("Wiese", '"Wiese"'),
        GOOD.replace("1,", '1, "').replace(",0.5", '",0.5').replace(', "5', ",5"),
        GOOD + "\n\n",
        "\n" + GOOD,
        GOOD.replace("\n", ",\n"),
        GOOD.replace("0.5", "0.5,,"),
    ],
)
def test_one_table_is_read_however_it_was_saved(tmp_path, content):
    table = read_table_file(written(tmp_path, content))
    assert list(table.frame.columns) == ["id", "name", "value"]
    assert table.frame["name"].tolist() == ["Wälder", "Wiese"]
    assert read_numbers(table, "value").tolist() == [0.5, 1.5]
    assert table.where(1) == f"{tmp_path / 't.csv'}, row 2"


def test_a_packed_table_and_a_named_encoding_are_read(tmp_path):
    assert len(read_table_file(written(tmp_path, gzip.compress(GOOD.encode()), "t.csv.gz")).frame) == 2
    for encoding in ("latin-1", "utf-16", "cp1252"):
        table = read_table_file(written(tmp_path, GOOD.encode(encoding)), encoding=encoding)
        assert table.frame["name"].tolist() == ["Wälder", "Wiese"]
    refused(written(tmp_path, GOOD), "unknown encoding 'klingon'", encoding="klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("id,name\n", "the table is empty"),
        (GOOD.encode("latin-1"), r"line 2: byte 0xe4 is no text in UTF-8; save the file in UTF-8"),
        (GOOD.encode("utf-16-le"), "zero byte"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (gzip.compress(GOOD.encode(), mtime=0), r"compressed; let its name end in \.gz"),
        (b"PAR1....", r"let its name end in \.parquet"),
        (GOOD + "9,Wald,1,x,y\n", "row 3: 5 cells, but the header has 3"),
        (GOOD + "9,Wald\n", "row 3: 2 cells, but the header has 3"),
        (GOOD + "9\n1,2,3\n", "row 3: 1 cell, but the header has 3"),
        (GOOD.replace("\n1", "\n1,0"), "row 1: 4 cells"),
        (GOOD + '9,"Wald,1\n', "row 3: .*quotation marks"),
        ("id,name,id\n1,2,3\n", "two columns are called 'id'"),
        ("id, id\n1,2\n", "two columns are called 'id'"),
        ("a,b;c\n1,2;3,4;5\n", "a comma and a semicolon"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, message):
    refused(written(tmp_path, content), message)


def test_a_missing_or_damaged_table_is_named(tmp_path):
    refused(tmp_path / "no.csv", "no such table of images", what="table of images")
    refused(written(tmp_path, "no", "t.parquet"), "not readable as a table in Parquet: ")
    refused(written(tmp_path, b"no", "t.csv.gz"), "not readable: ")


def test_an_index_with_a_name_is_a_column(tmp_path):
    pd.DataFrame({"sample_id": [4, 5], "B": [0.1, 0.2]}).set_index("sample_id").to_parquet(tmp_path / "t.parquet")
    assert list(read_table_file(tmp_path / "t.parquet").frame.columns) == ["sample_id", "B"]


def test_the_index_of_pandas_has_a_name(tmp_path):
    pd.DataFrame({"B": [0.1]}).to_csv(tmp_path / "t.csv")
    assert list(read_table_file(tmp_path / "t.csv").frame.columns) == ["Unnamed: 0", "B"]


CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8).map(str.strip)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_any_cells_come_back_from_any_separator(tmp_path_factory, rows, separator):
    assume(all(any(row) for row in rows))
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    table = read_table_file(written(tmp_path_factory.mktemp("t"), text.getvalue()))
    assert table.frame.to_numpy(object).tolist() == rows


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5))
def test_numbers_come_back_with_a_decimal_comma_too(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    pd.DataFrame({"a": values}).to_csv(path, index=False)
    table = read_table_file(path)
    assert read_numbers(table, "a").astype("float32").tolist() == np.array(values, "float32").tolist()
    texts = [f"{value:.4f}".replace(".", ",") for value in values]
    pd.DataFrame({"id": 1, "a": texts}).to_csv(path, index=False, sep=";")
    table = read_table_file(path)
    assert table.decimal == ","
    assert table.frame["a"].tolist() == texts
    assert read_numbers(table, "a").tolist() == [float(f"{value:.4f}") for value in values]


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"a": ["0,123", "5"]}, [0.123, 5]),
        ({"a": ["51,234", "1"], "b": ["0,5", ""]}, [51.234, 1]),  # what b shows holds for a
        ({"a": ["1.5", "2"], "b": ["0,5", ""]}, [1.5, 2]),
        ({"a": ["51,234", "1"]}, None),  # may be fifty-one thousand
        ({"a": ["1.234,5", "1"], "b": ["0,5", ""]}, None),
        ({"a": ["0,5", "1.5"]}, None),
    ],
)
def test_a_comma_is_a_decimal_point_only_where_it_cannot_be_another(tmp_path, columns, wanted):
    pd.DataFrame(columns).assign(c=1).to_csv(tmp_path / "t.csv", index=False, sep=";")
    table = read_table_file(tmp_path / "t.csv")
    if wanted is None:
        with pytest.raises(InputError, match=r"row \d: a is '.*'; give a number"):
            read_numbers(table, "a")
    else:
        assert read_numbers(table, "a").tolist() == wanted


@pytest.mark.parametrize(
    "column",
    [
        [1.5, None], ["1.5", None], [" 1.5 ", ""], [decimal.Decimal("1.5"), None], ["1.5", "NA"], ["1.5", "nan"],
        pd.array([1.5, None], "Float64"), pd.Categorical(["1.5", None]), pd.array(["1.5", None], "string"),
        np.array([1.5, np.nan], "float16"),
    ],
)  # fmt: skip
def test_numbers_of_any_type_are_numbers(column):
    found = to_numbers(pd.Series(column))
    assert np.array_equal(found.values, [1.5, np.nan], equal_nan=True)
    assert not found.stray.any()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0,123", "decimals with a point"), ("1.234,5", "decimals with a point"), ("51,234", "decimals with a point"),
        ("12%", "not per cent"), ("1 234.5", "nothing between thousands"), ("1\u00a0234", "nothing between thousands"),
        ("many", "give a number"), ("inf", "give a number"), ("1_000", "give a number"), ("-", "give a number"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_is_named_with_its_row(tmp_path, text, hint):
    pd.DataFrame({"a": ["1", text]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=rf"t\.csv, row 2: a is {re.escape(repr(text))}.*{hint}"):
        read_numbers(read_table_file(tmp_path / "t.csv"), "a")


@pytest.mark.parametrize(
    "names", [("longitude", "latitude"), ("Longitude", "LATITUDE"), ("lon", "lat"), ("LON", "Lat"), ("lng", "lat")]
)
def test_places_have_many_names(tmp_path, names):
    pd.DataFrame({names[0]: ["15", ""], names[1]: ["46", "46"]}).to_csv(tmp_path / "t.csv", index=False)
    table = read_table_file(tmp_path / "t.csv")
    assert np.array_equal(read_degrees(table), [[15, np.nan], [46, np.nan]], equal_nan=True)
    with pytest.raises(InputError, match=f"row 2: no {names[0]}"):
        read_degrees(table, needed=True)


def test_places_that_cannot_be_are_refused(tmp_path):
    def told(message, **columns):
        pd.DataFrame(columns).to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(InputError, match=message):
            read_degrees(read_table_file(tmp_path / "t.csv"))

    told("row 2: lon is '181'; give degrees from -180 to 180", lon=[180, 181], lat=[1, 1])
    told("row 1: lat is '-90.5'", lon=[180, 0], lat=[-90.5, 1])
    told("row 1: lon is '15,2'; give degrees", lon=["15,2"], lat=[1])
    told("the columns 'longitude' and 'lon' differ", longitude=[1], lon=[2], lat=[1])
    pd.DataFrame({"longitude": [1], "lon": ["1.0"], "lat": [2]}).to_csv(tmp_path / "t.csv", index=False)
    assert np.array_equal(read_degrees(read_table_file(tmp_path / "t.csv")), [[1], [2]])


@pytest.mark.parametrize(
    "text",
    [
        "01.09.2013", "13.09.2013", "1/9/2013", "2013-9-1", "13-09-01", "130901", "2013", "2013-09", "201309", "41518",
        "2021-02-29", "2019-366", "2019366", "2013-W35-7", "0013-09-01", "3013-09-01", "2013-13-01", "2013-09-31",
        "2013-09-01T25:00", "2013-09-01T10:61", "Sep 1 2013", "", " ", "nan", "\u0662013-09-01",
        "2013-09-01T", "20130901T10:00:00+2", "1378000000", "2013_09_01", "2013-09-01x",
    ],
)  # fmt: skip
def test_what_is_no_iso_date_is_refused(text):
    with pytest.raises(InputError, match=r"^here: "):
        read_moment(text, "here")
    with pytest.raises(InputError, match=r"^here: "):
        read_day(text, "here")


@given(st.datetimes(at(1900, 1, 1), at(2199, 12, 31)))
def test_iso_dates_come_back_whatever_their_form(moment):
    day = datetime.datetime.combine(moment.date(), datetime.time())
    assert read_day(moment.date().isoformat(), "here") == moment.date()
    for text in (f"{moment:%Y-%m-%d}", f"{moment:%Y%m%d}", f"{moment:%Y-%m-%d} 00:00:00", f"{moment:%Y-%m-%d}T00:00Z"):
        assert read_moment(text, "here") == day
    assert read_moment(moment.isoformat(), "here") == moment
    assert read_moment(moment.isoformat(" ") + "+00:00", "here") == moment
    assert read_moment(str(pd.Timestamp(moment)), "here") == moment


FORMS = ("%Y%j", "%Y-%m-%d", "%Y%m%d", "%d%m%Y", "%y%m%d", "%Y_%j", "%d.%m.%Y", "%Y%m%dT%H%M%S", "%d%b%Y", "%Y%m", "%Y")


@given(st.datetimes(at(1970, 1, 1), at(2060, 12, 31)), st.sampled_from(FORMS))
def test_a_format_reads_what_it_writes(moment, form):
    text = moment.strftime(form)
    assert read_moment(text, "here", form).strftime(form) == text


@given(st.integers(1950, 2100), st.integers(0, 400))
def test_days_of_a_year_are_those_that_the_year_has(year, day):
    text = f"{year}{day:03d}"
    if 1 <= day <= 365 + ((year % 4 == 0 and year % 100 != 0) or year % 400 == 0):
        assert read_moment(text, "here", "%Y%j") == at(year, 1, 1) + datetime.timedelta(day - 1)
    else:
        with pytest.raises(InputError, match=f"'{text}' is not a date as %Y%j"):
            read_moment(text, "here", "%Y%j")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2019366", "%Y%j"), ("19366", "%y%j"), ("2019-366", "%Y-%j"), ("366/2019", "%j/%Y"), ("2020115", "%Y%m%d"),
        ("2020-23", "%Y-%U"), ("2019-52", "%Y-%W"), ("20210229", "%Y%m%d"), ("1899-01-01", "%Y-%m-%d"),
    ],
)  # fmt: skip
def test_what_a_format_would_take_for_another_day_is_refused(text, form):
    with pytest.raises(InputError, match=r"^here: "):
        read_moment(text, "here", form)


def test_zeros_in_front_may_be_missing_where_nothing_else_could_be_meant():
    assert read_moment("2020-1-5", "here", "%Y-%m-%d") == at(2020, 1, 5)
    assert read_moment("20200105T101112.5", "here", "%Y%m%dT%H%M%S.%f").microsecond == 500_000
    assert read_moment("2020-01-05T00:30+0100", "here", "%Y-%m-%dT%H:%M%z") == at(2020, 1, 4, 23, 30)


@pytest.mark.parametrize("form", ["%m-%d", "%d", "%j", "%Y%d", "%H%M"])
def test_a_format_that_names_no_day_is_refused(form):
    with pytest.raises(InputError, match=r"^here: the date format"):
        check_format(form, "here")


def test_dates_of_a_column_are_read_with_their_row():
    def where(row):
        return f"t.csv, row {row + 1}"

    days = ["2013-09-01", "20130902", datetime.date(2013, 9, 3), pd.Timestamp("2013-09-04", tz="UTC"), 20130905]
    for column in (pd.Series(days, dtype=object), pd.Series(["2013-09-01", "2013-09-02"]),
                   pd.Series(pd.to_datetime(["2013-09-01", "2013-09-02"])),
                   pd.Series(pd.to_datetime(["2013-09-01", "2013-09-02"], utc=True)),
                   pd.Series([20130901, 20130902]), pd.Series([20130901.0, 20130902.0])):  # fmt: skip
        found = read_moments(column, where)
        assert found.dtype == "datetime64[us]"
        wanted = np.datetime64("2013-09-01") + np.arange(len(column))
        assert (found == wanted).all()
    for column, message in (
        (pd.Series(["2013-09-01", "01.09.2013"], name="date"), "row 2: '01.09.2013' is not a date as YYYY-MM-DD"),
        (pd.Series(["2013-09-01", None], name="date"), "row 2: no date"),
        (pd.Series(pd.to_datetime(["2013-09-01", None]), name="date"), "row 2: no date"),
        (pd.Series([2013, 2014], name="date"), "row 1: '2013' is not a date"),
    ):
        with pytest.raises(InputError, match=message):
            read_moments(column, where)
