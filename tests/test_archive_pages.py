"""Answers in pages: all of them come, from the archive's own servers only, and an endless answer ends."""

import datetime
import gzip
import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from archives import Faults, served

from landweave.errors import InputError
from landweave.sources import remote
from landweave.sources.stac import asking, paging, reading
from landweave.sources.stac.search import Query, find_items, search_items

BOX = (15.0, 46.0, 15.1, 46.1)
ALL = Query(collection="c", bbox=BOX, start=None, end=None)
CONFORMS = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asking, "PAUSE", 0.01)
    monkeypatch.setattr(asking, "TRIES", 1)


def scene(number, **changed):
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": f"i{number:04d}", "collection": "c", "geometry": None,
        "bbox": list(BOX), "properties": {"datetime": f"2021-06-{number % 28 + 1:02d}T10:00:00Z"}, "links": [],
        "assets": {"B04": {"href": "https://host.org/B04.tif"}},
    }  # fmt: skip
    return item | changed


class Api:
    """A STAC API with a search and a collection; ``page(number, question)`` gives the items of a page and its link."""

    def __init__(self, page, *, method="POST", search="/search", matched=None, conforms=()):
        self.page, self.method, self.search, self.matched = page, method, search, matched
        self.conforms = [*CONFORMS, *conforms]
        self.url, self.asked = "", []

    def __call__(self, method, path, body):
        place = urlsplit(path)
        if place.path in {"", "/"}:
            links = [{"rel": "search", "href": f"{self.url}{self.search}", "method": self.method}]
            return {"type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "x", "links": links,
                    "conformsTo": self.conforms}  # fmt: skip
        if place.path == "/collections/c":
            return {"type": "Collection", "id": "c", "links": [{"rel": "items", "href": "/collections/c/items"}]}
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        question = {**query, **json.loads(body or b"{}")}
        self.asked.append((method, place.path, question))
        items, link = self.page(int(question.get("token", 0)), question)
        matched = {} if self.matched is None else self.matched
        return {"type": "FeatureCollection", "features": items, "links": [link] if link else [], **matched}


def ask(api, place="/", query=ALL, **options):
    with served(None, answer=api) as url:
        api.url = url
        return search_items(url + place, query, **options)


def pages_of(api, total, size):
    def page(first, question):
        more = first + size < total
        body = {"token": first + size}
        token = {"rel": "next", "href": f"{api.url}/collections/c/items?token={first + size}"}
        if "collections" in question:
            token = {"rel": "next", "method": "POST", "href": f"{api.url}/search", "body": body, "merge": True}
        return [scene(n) for n in range(first, min(first + size, total))], token if more else None

    return page


@pytest.mark.parametrize("matched", [None, {"numberMatched": 250}, {"context": {"matched": 250}}])
@pytest.mark.parametrize("place", ["/", "/collections/c", "/collections/c/items"])
def test_all_pages_come_from_a_search_a_collection_and_its_items(place, matched):
    api = Api(None, matched=matched)
    api.page = pages_of(api, 250, 10)
    found = ask(api, place)
    assert [item["id"] for item in found.items] == [f"i{n:04d}" for n in range(250)]
    assert not found.remarks


PACKED = gzip.compress(b" " * 3_000_000)
"""3 kB that become 3 MB."""
ENDLESS = {
    "plain": (200, {}, b" " * 2_000_000),
    "packed": (200, {"Content-Encoding": "gzip"}, PACKED),
    "an error": (500, {}, b" " * 2_000_000),
    "on the way": (302, {"Location": "/other", "Content-Encoding": "gzip"}, PACKED),
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("from_second", [False, True])
def test_an_answer_larger_than_any_useful_one_is_given_up_by_name(monkeypatch, kind, from_second):
    monkeypatch.setattr(asking, "LARGEST", 1 << 20)
    faults = Faults(lambda number, path: ENDLESS[kind] if number > from_second else None)
    api = Api(None)
    api.page = pages_of(api, 20, 10)
    with served(None, faults, answer=api) as api.url:
        place = api.url + ("/search" if from_second else "/")
        message = f"^{place}: the answer is larger than 1 MB; give another address.$"
        with pytest.raises(InputError, match=message):
            search_items(api.url + "/", ALL)


def test_an_answer_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0.0)
    api = Api(lambda number, question: ([scene(0)], None))
    with pytest.raises(
        InputError, match=r"^http\S+: the answer is not complete after 0 minutes; give another address\.$"
    ):
        ask(api)


def test_items_of_a_collection_are_asked_for_within_area_and_period():
    api = Api(None)
    api.page = pages_of(api, 30, 10)
    day = datetime.date(2021, 6, 2)
    found = ask(api, "/collections/c", Query(collection="c", bbox=BOX, start=day, end=day))
    assert [item["id"] for item in found.items] == ["i0001", "i0029"]
    (question,) = {json.dumps(question) for _, _, question in api.asked if "token" not in question}
    assert json.loads(question) == {
        "limit": "100", "bbox": "15,46,15.1,46.1", "datetime": "2021-06-01T00:00:00Z/2021-06-03T23:59:59Z"
    }  # fmt: skip


def test_a_search_that_sends_fewer_items_than_it_counts_is_asked_in_smaller_pages_and_the_rest_is_told():
    def page(_, question):
        return [scene(n) for n in (range(10) if int(question["limit"]) > 50 else range(5, 20))], None

    found = ask(Api(page, matched={"numberMatched": 25}))
    assert [item["id"] for item in found.items] == [f"i{n:04d}" for n in range(20)]
    (remark,) = found.remarks
    assert remark.endswith("counts 25 items and sent 20; 5 are missing.")


@pytest.mark.parametrize("status", [413, 500, 502, 504])
def test_a_server_for_which_a_page_is_too_large_is_asked_for_smaller_ones(status):
    with served(None, Large(status), answer=(api := Api(lambda first, _: ([scene(1)], None)))) as url:
        api.url = url
        assert [item["id"] for item in find_items(url, ALL)] == ["i0001"]


class Large:
    """Fails for the first search, however often it is tried."""

    def __init__(self, status):
        self.status, self.number = status, 0

    def of(self, path):
        self.number += path.startswith("/search")
        tries = 1 if self.status == 413 else asking.TRIES + 1
        return self.status if path.startswith("/search") and self.number <= tries else None


# Without end


def test_a_next_link_to_the_same_page_ends_the_search_with_its_items_and_a_word():
    api = Api(None)
    api.page = lambda _, __: (
        [scene(n) for n in range(10)],
        {"rel": "next", "method": "POST", "href": f"{api.url}/search", "body": {"token": 7}},
    )
    found = ask(api)
    assert len(found.items) == 10
    assert len(api.asked) == 2
    assert "repeats its pages" in found.remarks[0]


def test_pages_that_grow_for_ever_are_refused_at_a_bound(monkeypatch):
    monkeypatch.setattr(paging, "PAGES", 20)
    api = Api(None)
    api.page = lambda n, _: (
        [scene(n)],
        {"rel": "next", "method": "POST", "href": f"{api.url}/search", "body": {"token": n + 1}},
    )
    with pytest.raises(InputError, match=r"more than 20 pages \(20 items so far\); choose a smaller area"):
        ask(api)
    assert len(api.asked) == 20


@pytest.mark.parametrize("shape", ["deep", "wide", "queries"])
def test_a_static_catalogue_of_endless_children_is_refused_at_a_bound(monkeypatch, shape):
    monkeypatch.setattr(reading, "CATALOGUES", 30)

    def answer(_, path, __):
        wide = [{"rel": "child", "href": f"{path.strip('/')}{k}.json"} for k in range(3)]
        links = {"deep": [{"rel": "child", "href": "a/c.json"}], "wide": wide,
                 "queries": [{"rel": "child", "href": f"c.json?n{path[8:]}"}]}[shape]  # fmt: skip
        return {"type": "Catalog", "id": "x", "links": links}

    with served(None, answer=answer) as url, pytest.raises(InputError, match="seems to have no end"):
        find_items(f"{url}/c.json", ALL)


# Other servers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "get"])
@pytest.mark.parametrize("where", ["host", "port"])
def test_a_next_link_never_leads_to_another_server(method, where):
    asked = []
    with served(None, answer=lambda *request: asked.append(request) or {"features": []}) as other:
        place = other if where == "port" else other.replace("127.0.0.1", "localhost")
        link = {"rel": "next", "method": method, "href": f"{place}/containers/create", "body": {"Image": "evil"},
                "headers": {"Metadata-Flavor": "Google"}}  # fmt: skip
        with pytest.raises(
            InputError,
            match=r"^\S+/search: the link to the next page (leads to another server, \S+:\d+; .*hosts|asks for \w+; only GET)",
        ):
            ask(Api(lambda *_: ([scene(1)], link)))
        assert not asked
        if method == "GET":
            port = urlsplit(place).netloc
            assert len(ask(Api(lambda *_: ([scene(1)], link)), hosts=(port,)).items) == 1
            assert [request[0] for request in asked] == ["GET"]


def test_headers_that_a_next_link_asks_for_are_not_sent(monkeypatch):
    sent = []
    plain = asking.PatientIO.request

    def request(self, *args, **options):
        sent.append((args, options))
        return plain(self, *args, **options)

    monkeypatch.setattr(asking.PatientIO, "request", request)
    api = Api(None)
    link = {"rel": "next", "href": "/search?token=1", "headers": {"X-Evil": "1"}}
    api.page = lambda n, _: ([scene(n)], link if n == 0 else None)
    assert len(ask(api).items) == 2
    assert not any("headers" in options for _, options in sent)


def test_a_search_on_another_server_is_not_asked():
    with pytest.raises(InputError, match="its search is on another server"):
        ask(Api(lambda *_: ([scene(1)], None), search="@127.0.0.1:9/search"))


def test_an_answer_that_sends_a_request_on_to_an_inner_server_is_not_followed():
    asked = []
    with served(None, answer=lambda *request: asked.append(request) or {}) as other:

        class Onwards:
            def of(self, _):
                return 302, {"Location": f"{other}/latest/meta-data"}

        with (
            served(None, Onwards()) as url,
            pytest.raises(InputError, match="answers 302 and names another server, which is not asked"),
        ):
            find_items(f"{url}/catalog.json", ALL)
    assert not asked


@pytest.mark.parametrize(
    "href",
    ["file:///etc/passwd", "s3://bucket/c.json", "gs://bucket/c.json", "ftp://host.org/c.json", "gopher://host.org/c",
     "http://169.254.169.254/latest", "http://localhost:2375/c", "http://[::1]/c", "http://2130706433/c", "",
     "http://0x7f000001/c", "http://metadata.google.internal/c"],
)  # fmt: skip
@pytest.mark.parametrize("relation", ["child", "item", "items"])
def test_links_of_a_servers_catalogue_never_name_files_other_schemes_or_inner_servers(href, relation):
    def answer(_, path, __):
        assert path == "/catalog.json"
        return {"type": "Catalog", "id": "x", "links": [{"rel": relation, "href": href}]}

    with served(None, answer=answer) as url, pytest.raises(InputError) as caught:
        find_items(f"{url}/catalog.json", ALL)
    assert str(caught.value).startswith((f"{url}/catalog.json: ", "s3://bucket/c.json: catalogues are read from files"))
    assert "\n" not in str(caught.value)


# Files


def test_pages_that_are_saved_side_by_side_are_all_read_and_one_page_of_a_server_is_told_of(tmp_path):
    for number in (0, 1):
        link = [{"rel": "next", "href": "page 1#.json"}] if number == 0 else []
        page = {"type": "FeatureCollection", "features": [scene(number)], "links": link}
        (tmp_path / ("page 1#.json" if number else "page0.json")).write_text(json.dumps(page))
    found = search_items(str(tmp_path / "page0.json"), ALL)
    assert [item["id"] for item in found.items] == ["i0000", "i0001"]
    assert not found.remarks
    saved = {"type": "FeatureCollection", "features": [scene(0)]}
    (tmp_path / "told.json").write_text(json.dumps({**saved, "numberMatched": 250}))
    assert "counts 250 items and sent 1; 249 are missing" in search_items(str(tmp_path / "told.json"), ALL).remarks[0]
    links = [{"rel": "next", "href": "https://host.org/search?token=2"}]
    (tmp_path / "linked.json").write_text(json.dumps({**saved, "links": links}))
    assert "has 1 items, one page of several" in search_items(str(tmp_path / "linked.json"), ALL).remarks[0]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"type": "FeatureCollection", "features": 7}'])
def test_json_that_is_nested_without_end_or_has_no_items_is_one_line(tmp_path, text):
    (tmp_path / "deep.json").write_text(text)
    with pytest.raises(InputError, match=r"^\S+deep\.json: [^\n]+$"):
        find_items(str(tmp_path / "deep.json"), ALL)


# Silence


def test_a_server_that_says_nothing_is_named_while_it_is_waited_for_and_given_up_when_the_user_says(
    monkeypatch, caplog
):
    monkeypatch.setattr(remote, "SILENCE", 0.1)
    monkeypatch.setitem(remote._said, "", -float("inf"))
    api = Api(lambda *_: ([scene(1)], None))
    slow = threading.Event()

    class Slow:
        def of(self, _):
            slow.wait(0.6)

    with served(None, Slow(), answer=api) as url:
        api.url = url
        with pytest.raises(InputError, match=r"not reachable: .*[Rr]ead timed out"):
            search_items(url, ALL, timeout=0.3)
        assert any(url in record.message and "no answer yet" in record.message for record in caplog.records)
        assert len(search_items(url, ALL, timeout=5).items) == 1
