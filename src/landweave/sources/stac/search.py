"""Finding items: in a STAC API, a static catalogue, or an item collection on disk or on a server."""

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from landweave.errors import InputError
from landweave.sources.remote import is_remote, readable
from landweave.sources.stac.catalogues import at_address

PAGE = 100
"""Items asked for at a time."""

_SEARCH = "item-search"
_QUERY = "item-search#query"
# CQL2 that compares and knows what is missing, as the API's conformance classes spell it.
_FILTER = ("item-search#filter", "conf/basic-cql2")
# Answers of a server that does not do what it says it can.
_REFUSED = {400, 404, 405, 406, 415, 422, 500, 501}


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


def find_items(url: str, query: Query) -> list[dict[str, Any]]:
    """All items that answer a query, by their own id, each with a ``self`` link.

    Parameters
    ----------
    url
        Address of an API's root, or address or path of a static catalogue, a collection, or a GeoJSON of items.
    query
        Everything in it is checked here again, whatever the server filters, since servers differ in what they can.

    Returns
    -------
    list of dict
        Items as they are, links reduced to ``self``.

    Raises
    ------
    InputError
        When nothing answers, or nothing is found: the reason, in one line.
    """
    read = _Reader()
    root = read(url)
    if root.get("type") in ("FeatureCollection", "Feature"):
        items = _of_collection(root, url)
    elif _conforms(root, _SEARCH):
        items = _of_api(url, root, query, read)
    elif "links" in root:
        items = list(_walk(root, url, query.collection, read))
    else:
        raise InputError(f"{readable(url)}: neither a STAC API, a catalogue nor an item collection.")
    found = [item for item in items if _wanted(item, query)]
    clear = [item for item in found if _clear(item, query.max_cloud_cover)]
    if not clear:
        raise InputError(_nothing(url, query, len(items), len(found)))
    return sorted(clear, key=lambda item: str(item.get("id")))


def _nothing(url: str, query: Query, items: int, found: int) -> str:
    where = f"{readable(url)}: no scene of {query.collection or 'any collection'}"
    when = f"from {query.start or 'the beginning'} to {query.end or 'the end'}"
    if found:
        return f"{where} {when} has at most {query.max_cloud_cover:g} % cloud; all {found} are above max_cloud_cover."
    if query.collection is None or not items:
        return f"{where} {when} over the area; check collection, period and area."
    return f"{where} {when} over the area, among {items} items of the catalogue; check collection, period and area."


def _of_collection(root: Mapping[str, Any], url: str) -> list[dict[str, Any]]:
    features = root.get("features") if root["type"] == "FeatureCollection" else [root]
    if not isinstance(features, list):
        raise InputError(f"{readable(url)}: an item collection without a list of features.")
    return [_trimmed(item, _place_of(item, url)) for item in features]


def _walk(root: Mapping[str, Any], url: str, collection: str | None, read: "_Reader") -> Iterator[dict[str, Any]]:
    """Items of a static catalogue and its children; other collections than the one wanted are not entered."""
    todo, seen = [(root, url)], {url}
    while todo:
        node, place = todo.pop()
        if node.get("type") == "Collection" and collection and node.get("id") != collection:
            continue
        for link in _dicts(node.get("links")):
            relation, href = str(link.get("rel")), _join(place, str(link.get("href", "")))
            # A link back would never end.
            if relation not in {"item", "items", "child"} or href in seen:
                continue
            seen.add(href)
            if relation == "item":
                yield _trimmed(read(href), href)
            elif relation == "items":
                yield from _of_collection(read(href), href)
            else:
                todo.append((read(href), href))


def _of_api(url: str, root: Mapping[str, Any], query: Query, read: "_Reader") -> list[dict[str, Any]]:
    from pystac_client import Client
    from pystac_client.exceptions import APIError

    from landweave.sources.stac.asking import reason, status_of

    if query.collection is None:
        raise InputError(f"{readable(url)}: the API has several collections; set source.collection.")
    if query.bbox is None:
        raise InputError(f"{readable(url)}: an archive needs an area: set area.aoi or area.bounds.")
    method = _method(root)
    asked = _filters(root, query, method)
    items: list[dict[str, Any]] = []
    try:
        client = Client.open(url, stac_io=read.io)
        try:
            items = _search(client, query, method, asked)
        except APIError as error:
            if not asked or status_of(error) not in _REFUSED:
                raise
        if not items and asked:
            # A server that does not know a filter may answer "nothing" instead of "no".
            items = _search(client, query, method, {})
    except APIError as error:
        raise InputError(f"{readable(url)}: the search failed: {reason(error)}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{readable(url)}: the search failed: the answer is not valid STAC: {_first_line(error)}."
        ) from None
    return [_trimmed(item, _place_of(item, url)) for item in items]


def _search(client: Any, query: Query, method: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    # A day more on either side: solar days are not UTC days.
    day = datetime.timedelta(days=1)
    start = f"{query.start - day}T00:00:00Z" if query.start else ".."
    end = f"{query.end + day}T23:59:59Z" if query.end else ".."
    when = {"datetime": f"{start}/{end}"} if query.start or query.end else {}
    search = client.search(
        method=method, collections=[query.collection], bbox=query.bbox, limit=PAGE, **when, **asked
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {str(item["id"]): item for item in search.items_as_dicts()}
    return list(found.values())


def _method(root: Mapping[str, Any]) -> str:
    """POST, unless the API tells of GET alone; a link that names no method means GET."""
    methods = {str(link.get("method", "GET")).upper() for link in root.get("links", ()) if link.get("rel") == "search"}
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


def _wanted(item: Mapping[str, Any], query: Query) -> bool:
    from landweave.sources.stac.scenes import meet, read_scene

    if query.collection and item.get("collection") not in (query.collection, None):
        return False
    scene = read_scene(item, href="item.json")
    if (query.start and scene.day < query.start) or (query.end and scene.day > query.end):
        return False
    return query.bbox is None or meet(scene.bbox, query.bbox)


def _clear(item: Mapping[str, Any], most: float) -> bool:
    from landweave.sources.stac.scenes import read_scene

    cover = read_scene(item, href="item.json").cloud_cover
    return cover is None or cover <= most


class _Reader:
    """Reads JSON from files and servers."""

    @cached_property
    def io(self) -> Any:
        """What asks servers."""
        from landweave.sources.stac.asking import PatientIO

        return PatientIO()

    def __call__(self, place: str) -> dict[str, Any]:
        if urlsplit(place).scheme in {"http", "https"}:
            content = self._from_server(place)
        else:
            try:
                content = json.loads(Path(place).read_text(encoding="utf-8"))
            except OSError:
                raise InputError(f"{readable(place)}: no such catalogue or item collection.") from None
            except ValueError:
                raise InputError(
                    f"{readable(place)}: not valid JSON; give a STAC catalogue, an item collection or an API."
                ) from None
        if not isinstance(content, dict):
            raise InputError(f"{readable(place)}: neither a STAC API, a catalogue nor an item collection.")
        return content

    def _from_server(self, url: str) -> Any:
        from pystac_client.exceptions import APIError

        from landweave.sources.stac.asking import reason

        try:
            return json.loads(self.io.request(url))
        except APIError as error:
            raise InputError(f"{readable(url)}: not reachable: {reason(error)}.") from None
        except ValueError:
            raise InputError(
                f"{readable(url)}: the answer is not valid JSON; give the root of a STAC API or a catalogue."
            ) from None


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]


def _join(place: str, href: str) -> str:
    if "\0" in href:
        raise InputError(f"{readable(place)}: the link {href[:100]!r} is not valid; correct it or leave it out.")
    if urlsplit(place).scheme in {"http", "https"}:
        return urljoin(place, href)
    return href if urlsplit(href).scheme or href.startswith("/") else str((Path(place).parent / href).resolve())


def _place_of(item: Any, url: str) -> str:
    """Where an item says that it lies; what comes from a server does not lie on this machine, whatever it says."""
    links = item.get("links") if isinstance(item, dict) else None
    told = next((str(k.get("href")) for k in _dicts(links) if k.get("rel") == "self"), "")
    if not is_remote(url):
        return told or url
    whole = urljoin(url, told)
    return whole if is_remote(whole) else url


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _trimmed(item: Any, place: str) -> dict[str, Any]:
    """The item with no link but the one to where it lies, from which its hrefs start."""
    if not isinstance(item, dict):
        raise InputError(f"{readable(place)}: not a STAC item.")
    return {**item, "links": [{"rel": "self", "href": place}]}


def default_collection(url: str) -> str | None:
    """The usual Sentinel-2 collection of an archive that is known by name."""
    known = at_address(url)
    return known.collections[0] if known and known.collections else None
