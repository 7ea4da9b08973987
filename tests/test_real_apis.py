"""Real STAC APIs on loopback: what they find is what the files say, and the map is the same from everywhere."""

import datetime
import json
import math
import re
import shutil
import time

import pytest
import servers
from archives import edit, small_country

from landweave.engine.fingerprint import fingerprint_of
from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.patch.store import read_patch
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.sources.stac import search
from landweave.sources.stac.search import Query, find_items

COLLECTION = "sentinel-2-l2a"
UNTOLD = "_33TJC_"
"""Part of the ids of items that do not tell their cloud cover."""


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    return small_country(tmp_path_factory.mktemp("apis") / "country", size_km=0.8, dates=3, seed=3, patch=80)


@pytest.fixture(scope="module")
def web(country, tmp_path_factory):
    """Address of the files, and the log of what was asked for."""
    with servers.nginx(country / "archive", tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture(scope="module")
def items(country, web):
    found = servers.items_at(country / "archive", web[0])
    for item in found:
        if UNTOLD in item["id"]:
            del item["properties"]["eo:cloud_cover"]
    return found


@pytest.fixture(scope="module")
def held(country, items, tmp_path_factory):
    with servers.database(servers.collection_of(country / "archive"), items, tmp_path_factory.mktemp("held")) as env:
        yield env


@pytest.fixture(scope="module")
def pgstac(held, tmp_path_factory):
    with servers.pgstac(held, tmp_path_factory.mktemp("pgstac")) as url:
        yield url


@pytest.fixture(scope="module")
def rustac(country, items, tmp_path_factory):
    with servers.rustac(servers.collection_of(country / "archive"), items, tmp_path_factory.mktemp("rustac")) as url:
        yield url


def gateway(url, work, *, says=None, forbid=""):
    """The API behind a web server that changes a word of its first page, as gateways and caches do."""
    says = {url.rstrip("/"): "http://$http_host", **(says or {})}
    said = "".join(f"sub_filter '{before}' '{after}';" for before, after in says.items())
    proxied = f'proxy_pass {url.rstrip("/")}; proxy_set_header Host $http_host; proxy_set_header Accept-Encoding "";'
    return servers.nginx(
        work, work / "nginx",
        extra=f"location / {{ {proxied} {forbid} }} "
        f"location = / {{ {proxied} {said} sub_filter_once off; sub_filter_types *; }}",
    )  # fmt: skip


def searches(asked, least):
    """Methods of the searches in a log, which the server writes just after it has answered."""
    until = time.monotonic() + 5
    while True:
        found = re.findall(r"^(\w+) /search 200", asked.read_text(), re.MULTILINE)
        if len(found) >= least or time.monotonic() > until:
            return found
        time.sleep(0.02)


def first_page(url):
    import requests

    return requests.get(url, timeout=10).json()


DAY = datetime.date
QUERIES = {
    "all": Query(collection=COLLECTION, bbox=(17.9, 45.9, 18.1, 46.1), start=None, end=None),
    "area": Query(collection=COLLECTION, bbox=(18.006, 46.005, 18.009, 46.008), start=None, end=None),
    "period": Query(collection=COLLECTION, bbox=(17.9, 45.9, 18.1, 46.1), start=DAY(2017, 3, 1), end=DAY(2017, 9, 1)),
    "clear": Query(
        collection=COLLECTION, bbox=(17.9, 45.9, 18.1, 46.1), start=None, end=DAY(2017, 9, 1), max_cloud_cover=40
    ),
}


def answer(items, query, *, told=False):
    """Ids that a query means, from the items themselves; ``told``: only those that tell their cloud cover."""
    west, south, east, north = query.bbox
    found = set()
    for item in items:
        left, bottom, right, top = item["bbox"]
        # The country lies at 18 E and is seen in the morning: its solar day is the day of Greenwich.
        day = datetime.date.fromisoformat(item["properties"]["datetime"][:10])
        cover = item["properties"].get("eo:cloud_cover", 1000 if told else 0)
        inside = left < east and west < right and bottom < north and south < top
        within = (query.start or day) <= day <= (query.end or day)
        if inside and within and cover <= query.max_cloud_cover:
            found.add(item["id"])
    return found


def ids(items):
    assert len({item["id"] for item in items}) == len(items)
    return {item["id"] for item in items}


def test_the_queries_tell_items_apart(items):
    sizes = {name: len(answer(items, query)) for name, query in QUERIES.items()}
    assert sizes["all"] == len(items)
    assert 0 < sizes["clear"] < sizes["period"] < sizes["all"] > sizes["area"] > 0
    assert answer(items, QUERIES["clear"], told=True) < answer(items, QUERIES["clear"])


# An API with a database


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_api_finds_page_by_page_what_the_items_say(pgstac, items, tmp_path, monkeypatch, method):
    monkeypatch.setattr(search, "PAGE", 4)
    alone = {"says": {'"method":"POST"': '"method":"GET"'}, "forbid": "limit_except GET { deny all; }"}
    with gateway(pgstac, tmp_path, **(alone if method == "GET" else {})) as (url, asked):
        for query in QUERIES.values():
            asked.write_text("")
            assert ids(find_items(f"{url}/", query)) == answer(items, query)
            least = math.ceil(len(answer(items, query)) / 4)
            pages = searches(asked, least)
            assert set(pages) == {method}
            assert len(pages) >= least


@pytest.mark.parametrize("extension", ["filter", "query"])
def test_clouds_are_filtered_by_the_api_in_the_language_that_it_speaks(held, items, tmp_path, monkeypatch, extension):
    with servers.pgstac(held, tmp_path, extensions=f"pagination,{extension}") as url:
        spoken = " ".join(first_page(url)["conformsTo"])
        assert ("item-search#filter" in spoken) == (extension == "filter") != ("item-search#query" in spoken)
        # What comes is what the server chose.
        monkeypatch.setattr(search, "_clear", lambda item, most: True)
        found = ids(find_items(url, QUERIES["clear"]))
    # The query extension has no word for what is not told.
    assert found == answer(items, QUERIES["clear"], told=extension == "query")


def test_an_api_without_the_collection_is_an_empty_search(pgstac):
    query = Query(collection="sentinel-9", bbox=QUERIES["all"].bbox, start=None, end=None)
    with pytest.raises(InputError, match=r"^http\S+: no scene of sentinel-9 .* check collection, period and area\.$"):
        find_items(pgstac, query)


# An API that knows place and time only


def test_an_api_without_a_filter_is_filtered_here(rustac, items, monkeypatch):
    monkeypatch.setattr(search, "PAGE", 4)
    assert not [word for word in first_page(rustac)["conformsTo"] if "#" in word]
    for query in QUERIES.values():
        assert ids(find_items(rustac, query)) == answer(items, query)


@pytest.mark.parametrize("claim", ["query", "filter"])
def test_nothing_in_answer_to_a_filter_that_is_not_known_is_no_result(rustac, items, tmp_path, claim):
    word = '"https://api.stacspec.org/v1.0.0/item-search'
    claims = {f'{word}"': f'{word}",{word}#{claim}","http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2"'}
    with gateway(rustac, tmp_path, says=claims) as (url, asked):
        assert any(claim in word for word in first_page(url)["conformsTo"])
        assert ids(find_items(url, QUERIES["clear"])) == answer(items, QUERIES["clear"])
        assert searches(asked, 2) == ["POST", "POST"]


# The same pixels and the same map from everywhere


def elsewhere(country, place, url):
    """The project, with its archive at an address."""
    shutil.copytree(country, place, ignore=shutil.ignore_patterns("out", "archive"))
    edit(place, 'url = "archive/catalog.json"', f'url = "{url}"')
    return place


def test_what_is_fetched_through_an_api_and_a_web_server_is_what_the_files_hold(country, pgstac, web, tmp_path):
    place = elsewhere(country, tmp_path / "api", pgstac)
    edit(place, "[period]", 'subset = { center = [18.003, 46.01], size = "1x1" }\n[period]')
    web[1].write_text("")
    result = run(read_project(place), workers=1, options=Options(until="fetch"))
    assert result.status == 0, result.failures
    assert json.loads((place / "out" / "scenes.json").read_text())["url"] == pgstac
    plan, _ = make_plan(read_project(country))
    (stack,) = (place / "out" / "patches").glob("*.zarr")
    fetched = read_patch(stack)
    held = plan.source.load(fetched.odc.geobox, plan.dates, list(fetched.data_vars))
    assert (held["B04"].values != NODATA).any()
    assert all((fetched[name].values == held[name].values).all() for name in held.data_vars)
    # The size of an image and ranges of it: no file as a whole, no listing of folders.
    expected = r'HEAD /\S+\.tif 200 "-" \d+|GET /\S+\.tif 206 "bytes=\d+-\d+" \d+'
    lines = web[1].read_text().splitlines()
    assert len(lines) > 50
    assert not [line for line in lines if not re.fullmatch(expected, line)][:3]


@pytest.fixture(scope="module")
def finished(country):
    assert run(read_project(country), workers=1).status == 0
    return country


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pgstac", "rustac", "catalogue"])
def test_the_map_is_the_same_from_every_server(finished, web, request, tmp_path, way):
    url = f"{web[0]}/catalog.json" if way == "catalogue" else request.getfixturevalue(way)
    place = elsewhere(finished, tmp_path / way, url)
    assert run(read_project(place), workers=1).status == 0
    assert fingerprint_of(place / "out" / "map.tif") == fingerprint_of(finished / "out" / "map.tif")
