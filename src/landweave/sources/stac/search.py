"""Finding items: in a STAC API, a static catalogue, or an item collection on disk or on a server."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from landweave.errors import InputError
from landweave.sources.remote import is_signed, readable
from landweave.sources.stac.catalogues import at_address
from landweave.sources.stac.footprint import meet
from landweave.sources.stac.hrefs import scheme_of, within
from landweave.sources.stac.items import age, facts_of, too_many_lost
from landweave.sources.stac.paging import Pages, Request, all_pages, matched_of, next_link, same_item
from landweave.sources.stac.reading import Reader, place_of, trimmed, walk

PAGE = 100
"""Items asked for at a time."""

SMALL_PAGE = 10
"""Items asked for at a time where a server does not send all in larger pages."""

_SEARCH = "item-search"
_QUERY = "item-search#query"
# CQL2 that compares and knows what is missing, as the API's conformance classes spell it.
_FILTER = ("item-search#filter", "conf/basic-cql2")
# Answers of a server that does not do what it says it can, and of one for which a page is too large.
_REFUSED = {400, 404, 405, 406, 415, 422, 500, 501}
_TOO_LARGE = {413, 500, 502, 504}


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is looked for."""

    collection: str | None
    bbox: tuple[float, float, float, float] | None
    """West, south, east, north, degrees; None: anywhere (static catalogues and collections only)."""
    start: datetime.date | None
    end: datetime.date | None
    """Both ends inclusive; None is open."""
    max_cloud_cover: float = 100.0
    """Per cent; items that do not tell are kept, but by an API that filters by the query extension alone."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found, and what of it cannot be used."""

    items: tuple[dict[str, Any], ...]
    """Items as they are, in the order of their ids, links reduced to ``self``."""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why items were left out, to their ids: those that answer the query, or may."""
    remarks: tuple[str, ...] = ()
    """What to know of the search, in sentences."""


def find_items(url: str, query: Query) -> list[dict[str, Any]]:
    """All items that answer a query; see :func:`search_items`."""
    return list(search_items(url, query).items)


def search_items(
    url: str, query: Query, *, timeout: float | None = None, hosts: tuple[str, ...] = (), max_lost: float = 1.0
) -> Found:
    """All items that answer a query, by their own id, each with a ``self`` link.

    Parameters
    ----------
    url
        Address of an API's root, or address or path of a static catalogue, a collection, or a GeoJSON of items.
    query
        Everything in it is checked here again, whatever the server filters, since servers differ in what they can.
    timeout
        Seconds to wait for an answer of a server.
    hosts
        Servers to which links to more pages may lead, besides the one that is asked.
    max_lost
        The largest share of the items that may be unusable.

    Raises
    ------
    InputError
        When nothing answers, or nothing is found, or too much is unusable: the reason, in one line.
    """
    read = Reader(timeout=timeout, hosts=hosts)
    root = read(url)
    broken: dict[str, list[str]] = {}
    if str(root.get("type")) in {"FeatureCollection", "Feature"}:
        answer = _of_items(url, root, query, read)
    elif _conforms(root, _SEARCH):
        answer = _of_api(url, root, query, read)
    elif "links" in root:
        answer = walk(root, url, query.collection, read, lambda href: _of_items(href, None, query, read), broken)
    else:
        raise InputError(f"{readable(url)}: neither a STAC API, a catalogue nor an item collection.")
    items = _distinct([trimmed(item, place_of(item, url)) for item in answer.items], broken)
    lost = sum(map(len, broken.values()))
    found = [item for item in items if _wanted(item, query, broken)]
    too_many_lost(url, {why: ids for why, ids in broken.items() if why != _OTHER}, len(items) + lost, max_lost)
    clear = [item for item in found if _clear(item, query.max_cloud_cover)]
    if not clear:
        raise InputError(_nothing(url, query, len(items), len(found), broken))
    return Found(
        items=tuple(sorted(clear, key=lambda item: str(item.get("id")))),
        left_out={why: tuple(sorted(ids)) for why, ids in sorted(broken.items())},
        remarks=_remarks(url, answer),
    )


def _remarks(url: str, answer: Pages) -> tuple[str, ...]:
    """What to know of an answer that may not be whole."""
    where, came = readable(url), len(answer.items)
    if answer.left:
        return (f"{where}: counts {answer.matched} items and sent {came}; {answer.left} are missing.",)
    if answer.repeats and answer.matched is None:
        return (f"{where}: repeats its pages; {came} items came before that.",)
    if answer.further:
        return (f"{where}: has {came} items, one page of several; give the address of the archive for all.",)
    return ()


_SAME_ID = "another item has the same id"
_OTHER = "of another collection"


def _distinct(items: list[dict[str, Any]], broken: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Each scene once: of different items of one id the newest, whatever the order."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for item in items:
        first = kept.setdefault((str(item.get("collection")), str(item.get("id"))), item)
        if first is item or same_item(first, item):
            continue
        kept[str(item.get("collection")), str(item.get("id"))] = max(first, item, key=age)
        broken.setdefault(_SAME_ID, []).append(str(item.get("id")))
    return list(kept.values())


def _nothing(url: str, query: Query, items: int, found: int, broken: Mapping[str, list[str]]) -> str:
    where = f"{readable(url)}: no scene of {query.collection or 'any collection'}"
    when = f"from {query.start or 'the beginning'} to {query.end or 'the end'}"
    lost = {why: ids for why, ids in broken.items() if why != _OTHER}
    if found:
        return f"{where} {when} has at most {query.max_cloud_cover:g} % cloud; all {found} are above max_cloud_cover."
    if lost:
        why, ids = max(lost.items(), key=lambda pair: len(pair[1]))
        return f"{where} {when} over the area can be used; {len(ids)} are left out, such as {ids[0]} ({why})."
    if query.collection is None or not items:
        return f"{where} {when} over the area; check collection, period and area."
    return f"{where} {when} over the area, among {items} items of the catalogue; check collection, period and area."


def _of_items(url: str, first: Mapping[str, Any] | None, query: Query, read: Reader) -> Pages:
    """Items of an item collection, with all pages where it is one of several.

    ``first`` is the collection where it was read already.
    """
    if scheme_of(url) not in {"http", "https"}:
        # What a saved page leads to is not what the user gave, unless it lies beside it.
        return read.local_pages(url, read(url) if first is None else first)
    if first is not None and next_link(first) is None and (matched_of(first) or 0) <= len(first.get("features") or ()):
        return all_pages(Request(url=url), lambda _: first, hosts=read.hosts)
    if is_signed(url):
        return _best(url, [Request(url=url)], read)
    attempts = [_narrowed(url, query, size) for size in (PAGE, SMALL_PAGE)]
    # A server that does not know the words refuses, or sends all.
    return _best(url, attempts, read, otherwise=Request(url=url))


def _narrowed(url: str, query: Query, size: int) -> Request:
    """A request for items of a collection within area and period, as OGC API Features has it."""
    told = {"limit": str(size), **_when(query)}
    if query.bbox is not None:
        told["bbox"] = ",".join(f"{number:.10g}" for number in query.bbox)
    return Request(url=f"{url}{'&' if '?' in url else '?'}{urlencode(told)}")


def _of_api(url: str, root: Mapping[str, Any], query: Query, read: Reader) -> Pages:
    if query.collection is None:
        raise InputError(f"{readable(url)}: the API has several collections; set source.collection.")
    if query.bbox is None:
        raise InputError(f"{readable(url)}: an archive needs an area: set area.aoi or area.bounds.")
    method = _method(root)
    asked = _filters(root, query, method)
    told = next((str(link.get("href")) for link in _links(root) if link.get("rel") == "search"), "")
    place = within(told or url.rstrip("/") + "/search", url, read.hosts)
    if place is None:
        raise InputError(
            f"{readable(url)}: its search is on another server, {readable(told)[:100]}; give the address of that API, "
            "or allow the server in source.hosts."
        )
    attempts = [_search(place, query, method, PAGE, asked)] if asked else []
    attempts += [_search(place, query, method, size, {}) for size in (PAGE, SMALL_PAGE)]
    return _best(url, attempts, read, filtered=len(asked) and 1)


def _best(
    url: str, attempts: list[Request], read: Reader, *, filtered: int = 0, otherwise: Request | None = None
) -> Pages:
    """The first of several requests that gives all items; else what they gave together.

    The first ``filtered`` of them ask for some items only, in words that a server may not know: it may then answer
    "nothing" instead of "no". ``otherwise`` is asked where all of them fail.
    """
    from pystac_client.exceptions import APIError

    from landweave.sources.stac.asking import reason, status_of

    got: list[Pages] = []
    failure = ""
    last = len(attempts) - 1
    for number, request in enumerate([*attempts, otherwise] if otherwise else attempts):
        if got and number > last:
            break
        try:
            pages = all_pages(request, read.ask, hosts=read.hosts)
        except APIError as error:
            failure, status = reason(error), status_of(error)
            worth = _REFUSED if number < filtered else _REFUSED | _TOO_LARGE if otherwise else _TOO_LARGE
            if status in worth and (number < last or (otherwise and number == last)):
                continue
            if got:
                break
            raise InputError(f"{readable(url)}: the search failed: {failure}.") from None
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{readable(url)}: the search failed: the answer is not valid STAC: {_first_line(error)}."
            ) from None
        if not pages.left and (pages.items or number >= filtered):
            return pages
        got.append(pages)
    items = {(str(i.get("collection")), str(i.get("id"))): i for pages in got for i in pages.items}
    return replace(got[-1], items=tuple(items.values()))


def _when(query: Query) -> dict[str, str]:
    # A day more on either side: solar days are not UTC days.
    day = datetime.timedelta(days=1)
    start = f"{query.start - day}T00:00:00Z" if query.start else ".."
    end = f"{query.end + day}T23:59:59Z" if query.end else ".."
    return {"datetime": f"{start}/{end}"} if query.start or query.end else {}


def _search(place: str, query: Query, method: str, size: int, asked: Mapping[str, Any]) -> Request:
    from pystac_client import ItemSearch

    words: dict[str, Any] = {**_when(query), **asked, "collections": [query.collection]}
    spelled = ItemSearch(place, method=method, bbox=query.bbox, limit=size, **words)
    return Request(url=place, method=method, parameters=spelled.get_parameters())


def _method(root: Mapping[str, Any]) -> str:
    """POST, unless the API tells of GET alone; a link that names no method means GET."""
    methods = {str(link.get("method", "GET")).upper() for link in _links(root) if link.get("rel") == "search"}
    return "GET" if methods == {"GET"} else "POST"


def _filters(root: Mapping[str, Any], query: Query, method: str) -> dict[str, Any]:
    """What the server can filter by itself, by its own word."""
    most, cover = query.max_cloud_cover, "eo:cloud_cover"
    if most >= 100:
        return {}
    if all(_conforms(root, word) for word in _FILTER):
        # Items that do not tell are kept, which the query extension cannot say.
        if method == "GET":
            return {"filter": f'"{cover}" <= {most:g} OR "{cover}" IS NULL', "filter_lang": "cql2-text"}
        told = {"property": cover}
        either = [{"op": "<=", "args": [told, most]}, {"op": "isNull", "args": [told]}]
        return {"filter": {"op": "or", "args": either}, "filter_lang": "cql2-json"}
    return {"query": {cover: {"lte": most}}} if _conforms(root, _QUERY) else {}


def _conforms(root: Mapping[str, Any], word: str) -> bool:
    return any(word in str(uri) for uri in root.get("conformsTo") or ())


def _wanted(item: Mapping[str, Any], query: Query, broken: dict[str, list[str]]) -> bool:
    name = str(item.get("id") or item["links"][0]["href"])
    if query.collection and item.get("collection") not in (query.collection, None):
        broken.setdefault(_OTHER, []).append(name)
        return False
    try:
        facts = facts_of(item)
    except InputError as error:
        broken.setdefault(str(error), []).append(name)
        return False
    if (query.start and facts.day < query.start) or (query.end and facts.day > query.end):
        return False
    return query.bbox is None or meet(facts.bbox, query.bbox)


def _clear(item: Mapping[str, Any], most: float) -> bool:
    cover = facts_of(item).cloud_cover
    return cover is None or cover <= most


def _links(root: Mapping[str, Any]) -> list[dict[str, Any]]:
    links = root.get("links")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]


def default_collection(url: str) -> str | None:
    """The usual Sentinel-2 collection of an archive that is known by name."""
    known = at_address(url)
    return known.collections[0] if known and known.collections else None
