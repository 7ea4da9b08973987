"""Reading catalogues, collections and items from files and servers, and finding all items that a catalogue links to."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from landweave.errors import InputError, blame_machine, parsed
from landweave.sources.files.pool import side_by_side
from landweave.sources.remote import is_remote, readable
from landweave.sources.stac.hrefs import absolute, may_ask, scheme_of, within
from landweave.sources.stac.paging import PAGES, Pages, Request, features_of, matched_of, next_link

CATALOGUES = 20_000
"""The most catalogues within a catalogue."""

DEPTH = 40
"""How many catalogues may lie within each other."""

READERS = 8
"""Files of a catalogue that are read from a server at a time."""

GONE = "missing, or not a STAC item"

_WEB = ("http", "https")
_GONE = {404, 410}


class GoneError(InputError):
    """A file that a catalogue links to, and that is missing or no JSON."""


class Reader:
    """Reads JSON from files and servers; a server can neither choose files of this machine nor other schemes.

    Parameters
    ----------
    timeout
        Seconds to wait for an answer.
    hosts
        Servers to which links to more pages may lead, besides the one that is asked.
    """

    def __init__(self, *, timeout: float | None = None, hosts: tuple[str, ...] = ()) -> None:
        self.timeout, self.hosts = timeout, hosts

    @cached_property
    def io(self) -> Any:
        """What asks servers."""
        from landweave.sources.stac.asking import PatientIO

        return PatientIO(timeout=self.timeout, hosts=self.hosts)

    def __call__(self, place: str) -> dict[str, Any]:
        """The object in a file or at an address; InputError names it where there is none."""
        scheme = scheme_of(place)
        if scheme in _WEB:
            content = self._from_server(place)
        elif scheme:
            raise InputError(
                f"{readable(place)}: catalogues are read from files, http and https; {scheme} is for images only."
            )
        else:
            content = self._from_file(place)
        if not isinstance(content, dict):
            raise GoneError(f"{readable(place)}: neither a STAC API, a catalogue nor an item collection.")
        return content

    def ask(self, request: Request) -> dict[str, Any]:
        """The answer to a request, such as for one page of a search; errors of the server are not translated."""
        text = self.io.request(request.url, method=request.method, parameters=dict(request.parameters))
        content = parsed(json.loads, text)
        if not isinstance(content, dict):
            raise TypeError("the answer is no JSON object")
        return content

    def follow(self, href: str, place: str) -> str:
        """Where a link of a catalogue to another catalogue, an item or items leads.

        Raises
        ------
        InputError
            For a link of a server to a file of this machine, to another scheme, or to a server that is not public,
            unless it is the same one or an allowed one.
        """
        try:
            whole = absolute(href, place)
        except InputError as error:
            raise InputError(f"{readable(place)}: {error}.") from None
        if scheme_of(place) in _WEB and within(whole, place, self.hosts) is None and not may_ask(whole, place):
            raise InputError(
                f"{readable(place)}: has a link to {readable(whole)[:100]}, a server that is not public; "
                "if it belongs to the catalogue, allow it in source.hosts."
            )
        return whole

    def local_pages(self, place: str, first: Mapping[str, Any]) -> Pages:
        """Items of a file on this machine, and of further pages that lie on it too."""
        items: list[dict[str, Any]] = []
        page, here, seen, matched = first, place, {place}, matched_of(first)
        for _ in range(PAGES):
            items += [trimmed(item, place_of(item, here)) for item in features_of(page, here)]
            link = next_link(page)
            there = absolute(str(link["href"]), here) if link else None
            if there is None or is_remote(there) or there in seen:
                return Pages(items=tuple(items), matched=matched, further=bool(there and is_remote(there)))
            seen.add(there)
            page, here = self(there), there
        raise InputError(f"{readable(place)}: has more than {PAGES} pages.")

    def _from_file(self, place: str) -> Any:
        try:
            return parsed(json.loads, Path(place).read_text(encoding="utf-8"))
        except PermissionError as error:
            raise InputError(f"{place}: not readable: {error.strerror}; check the name and the permissions.") from None
        except OSError as error:
            blame_machine(place, error)
            raise GoneError(f"{readable(place)}: no such catalogue or item collection.") from None
        except ValueError:
            raise GoneError(
                f"{readable(place)}: not valid JSON; give a STAC catalogue, an item collection or an API."
            ) from None

    def _from_server(self, url: str) -> Any:
        from pystac_client.exceptions import APIError

        from landweave.sources.stac.asking import reason, status_of

        try:
            return parsed(json.loads, self.io.request(url))
        except APIError as error:
            kind = GoneError if status_of(error) in _GONE else InputError
            raise kind(f"{readable(url)}: not reachable: {reason(error)}.") from None
        except InputError:
            raise
        except ValueError:
            raise GoneError(
                f"{readable(url)}: the answer is not valid JSON; give the root of a STAC API or a catalogue."
            ) from None


def place_of(item: Mapping[str, Any], url: str) -> str:
    """Where an item says that it lies; what comes from a server does not lie on this machine, whatever it says."""
    links = item.get("links")
    there = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    told = next((str(link.get("href")) for link in there if link.get("rel") == "self" and link.get("href")), "")
    try:
        return absolute(told, url) if told else url
    except InputError:
        return url


def trimmed(item: Any, place: str) -> dict[str, Any]:
    """The item with no link but the one to where it lies, from which its hrefs start."""
    if not isinstance(item, dict):
        raise GoneError(f"{readable(place)}: not a STAC item.")
    return {**item, "links": [{"rel": "self", "href": place}]}


def walk(
    root: Mapping[str, Any],
    url: str,
    collection: str | None,
    read: Reader,
    items_of: Callable[[str], Pages],
    broken: dict[str, list[str]],
) -> Pages:
    """Items of a static catalogue and its children; other collections than the one wanted are not entered.

    Parameters
    ----------
    root, url
        The catalogue, and where it lies.
    collection
        Id of the collection wanted; None for all.
    read
        Reads catalogues and items.
    items_of
        Gives the items of a link to many of them.
    broken
        Links to items that cannot be read are added here.

    Raises
    ------
    InputError
        For a catalogue that cannot be read, and for more than :data:`CATALOGUES` of them or :data:`DEPTH` within each
        other, since such a catalogue has no end.
    """

    def read_link(link: tuple[str, str]) -> Any:
        relation, href = link
        try:
            return items_of(href) if relation == "items" else read(href)
        except GoneError:
            if relation != "item":
                raise
            return None

    readers = READERS if scheme_of(url) in _WEB else 1
    todo, seen, nodes = [(root, url, 0)], {url}, 0
    items: list[dict[str, Any]] = []
    whole: list[Pages] = []
    while todo:
        node, place, depth = todo.pop()
        nodes += 1
        if nodes > CATALOGUES or depth > DEPTH:
            raise InputError(
                f"{readable(url)}: has more than {CATALOGUES} catalogues, or more than {DEPTH} within each other, and "
                f"seems to have no end (at {readable(place)[:200]}); give the address of one of its collections."
            )
        if node.get("type") == "Collection" and collection and node.get("id") != collection:
            continue
        links = _links_of(node, place, read, seen)
        for (relation, href), content in zip(links, side_by_side(read_link, links, readers), strict=True):
            if relation == "child":
                todo.append((content, href, depth + 1))
            elif relation == "items":
                whole.append(content)
                items += [trimmed(item, place_of(item, href)) for item in content.items]
            elif content is None:
                broken.setdefault(GONE, []).append(readable(href))
            else:
                items.append(trimmed(content, href))
    counted = sum(pages.left for pages in whole)
    return Pages(items=tuple(items), matched=len(items) + counted if counted else None)


def _links_of(node: Mapping[str, Any], place: str, read: Reader, seen: set[str]) -> list[tuple[str, str]]:
    """Relation and address of a catalogue's links to catalogues, items and lists of items that were not seen yet."""
    links, found = node.get("links"), []
    for link in [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []:
        relation = str(link.get("rel"))
        if relation not in {"item", "items", "child"}:
            continue
        href = read.follow(str(link.get("href") or ""), place)
        # A link back would never end.
        if href not in seen:
            seen.add(href)
            found.append((relation, href))
    return found
