"""Answers that come in pages: all of them, from one server only, and never without end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from landweave.errors import InputError
from landweave.sources.remote import readable
from landweave.sources.stac.hrefs import within

PAGES = 5000
"""The most pages of one answer: half a million scenes at the usual size of a page."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to a server."""

    url: str
    method: str = "GET"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Query of GET, body of POST."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """All items of an answer, each once."""

    items: tuple[dict[str, Any], ...]
    matched: int | None = None
    """How many there are, by the server's own word; None where it does not say."""
    repeats: bool = False
    """Whether the server began to send the same items again, which ended the search."""
    further: bool = False
    """Whether a file on this machine has a link to a next page that lies on a server, and was not followed."""

    @property
    def left(self) -> int:
        """How many items the server counts and did not send."""
        return 0 if self.matched is None else max(self.matched - len(self.items), 0)


def all_pages(request: Request, ask: Callable[[Request], Mapping[str, Any]], *, hosts: Sequence[str] = ()) -> Pages:
    """Follow the links to the next page until there is none, or a page has no item that is new.

    Parameters
    ----------
    request
        For the first page.
    ask
        Gives the answer of a request.
    hosts
        Servers to which a link may lead besides the one that was asked.

    Raises
    ------
    InputError
        For an answer without a list of features, a link to another server or by another method than GET and POST, and
        for more than :data:`PAGES` pages. Headers that a link asks for are not sent.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    others: list[dict[str, Any]] = []
    matched: int | None = None
    following: Request | None = request
    for _ in range(PAGES):
        if following is None:
            break
        page = ask(following)
        features = features_of(page, following.url)
        told = matched_of(page)
        matched = told if matched is None else max(matched, told or 0)
        before = len(found)
        for item in features:
            first = found.setdefault((str(item.get("collection")), str(item.get("id"))), item)
            if first is not item and not same_item(first, item):
                others.append(item)
        link = next_link(page)
        if link is None or len(found) == before:
            repeats = link is not None and bool(features)
            return Pages(items=(*found.values(), *others), matched=matched, repeats=repeats)
        following = _request_of(link, following, hosts)
    raise InputError(
        f"{readable(request.url)}: the answer has more than {PAGES} pages ({len(found)} items so far); "
        "choose a smaller area or a shorter period."
    )


def features_of(page: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """The items of a page or an item collection."""
    features = page.get("features") if page.get("type") != "Feature" else [page]
    if not isinstance(features, list) or not all(isinstance(item, dict) for item in features):
        raise InputError(f"{readable(place)}: an item collection without a list of features that are STAC items.")
    return features


def matched_of(page: Mapping[str, Any]) -> int | None:
    """How many items answer, in any of the spellings that STAC had."""
    places = [page.get("context"), page.get("search:metadata")]
    told = [page.get("numberMatched"), *(place.get("matched") for place in places if isinstance(place, dict))]
    return next((n for n in told if isinstance(n, int) and not isinstance(n, bool)), None)


def next_link(page: Mapping[str, Any]) -> dict[str, Any] | None:
    """The link to the next page, None on the last one."""
    links = page.get("links")
    there = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return next((link for link in there if link.get("rel") == "next" and link.get("href")), None)


def same_item(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two items of one id are the same scene; signatures in their links may differ."""

    def facts(item: Mapping[str, Any]) -> list[Any]:
        assets, properties = item.get("assets"), item.get("properties")
        keys = sorted(map(str, assets)) if isinstance(assets, dict) else assets
        return [item.get("collection"), item.get("bbox"), properties, keys]

    return facts(one) == facts(other)


def _request_of(link: Mapping[str, Any], asked: Request, hosts: Sequence[str]) -> Request:
    method = str(link.get("method") or "GET").upper()
    if method not in {"GET", "POST"}:
        raise InputError(
            f"{readable(asked.url)}: the link to the next page asks for {method[:20]}; only GET and POST are sent."
        )
    whole = within(str(link["href"]), asked.url, hosts)
    if whole is None:
        other = urlsplit(str(link["href"])).netloc.rpartition("@")[2] or str(link["href"])[:100]
        raise InputError(
            f"{readable(asked.url)}: the link to the next page leads to another server, {other}; "
            f'if it belongs to the archive, allow it: source.hosts = ["{other}"].'
        )
    body = link.get("body")
    if method == "GET":
        return Request(url=whole)
    if not isinstance(body, dict):
        return Request(url=whole, method=method, parameters=asked.parameters)
    return Request(url=whole, method=method, parameters={**asked.parameters, **body} if link.get("merge") else body)
