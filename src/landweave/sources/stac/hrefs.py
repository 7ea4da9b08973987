"""Where the links of items and catalogues lead: paths are joined as paths, addresses as addresses."""

import ipaddress
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from landweave.errors import InputError
from landweave.sources.files.s3 import is_bucket
from landweave.sources.remote import is_remote, readable

_PORTS = {"http": 80, "https": 443}
_SAFE = "%/:?#[]@!$&'()*+,;=~"
_OWN = ("localhost", "localdomain", "internal")
_INNER = ("local", "lan", "intranet", "home.arpa")
_TRANSLATED, _COMPATIBLE = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")
_PUBLIC, _NETWORK, _HERE = range(3)


def scheme_of(href: str) -> str:
    """The scheme of an address in small letters; empty for a path.

    >>> scheme_of("GS://bucket/B04.tif"), scheme_of("file:/data/B04.tif"), scheme_of("a:b.tif")
    ('gs', 'file', '')
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://|(file):/", href, re.IGNORECASE)
    return (found[1] or found[2]).lower() if found else ""


def absolute(href: str, place: str) -> str:
    """Where a link leads.

    Parameters
    ----------
    href
        The link as an item or a catalogue spells it. On this machine the file of exactly that name is used; only where
        there is none, ``%20`` and the like are decoded, and what follows ``?`` or ``#`` is cut off.
    place
        Path or address of the JSON file that holds the link.

    Returns
    -------
    str
        A path, or an address with ``http``, ``https`` or ``s3``. What comes from a server never leads to a file of
        this machine.

    Raises
    ------
    InputError
        For an empty link and for other schemes: the link, and what is possible.

    >>> absolute("./B04.tif", "/data/a#b/item.json"), absolute("../B04.tif", "https://host/a/b/item.json")
    ('/data/a#b/B04.tif', 'https://host/a/B04.tif')
    """
    if not href.strip():
        raise InputError("the link is empty (no href)")
    scheme = scheme_of(href)
    href = scheme + href[len(scheme) :]
    if scheme_of(place) == "file":
        place = _path_of(place)
    if is_remote(place):
        return _at_server(href, place)
    if scheme == "file":
        return _path_of(href)
    if scheme and not is_remote(href):
        raise InputError(f"the link is {href[:100]!r}; links must be paths, or http, https or s3 addresses")
    return _encoded(href) if scheme else _on_disk(href, posixpath.dirname(place))


def within(href: str, base: str, allowed: Sequence[str] = ()) -> str | None:
    """An address on the same server as another one, or on an allowed one; None for any other.

    Parameters
    ----------
    href
        As the server spells it, relative to ``base`` or whole. Where both servers use their scheme's usual port, the
        scheme of ``base`` is kept: servers behind a gateway often do not know that they are reached by ``https``.
    base
        The address that was asked.
    allowed
        Further servers: ``host`` or ``host:port``.

    >>> within("/search?page=2", "https://host/v1"), within("http://other/search", "https://host/v1")
    ('https://host/search?page=2', None)
    """
    whole = urljoin(base, href)
    try:
        one, other = urlsplit(whole), urlsplit(base)
        ports = [part.port or _PORTS[part.scheme] for part in (one, other)]
    except (KeyError, ValueError):
        return None
    if one.hostname == other.hostname and ports[0] == ports[1] and one.scheme == other.scheme:
        return whole
    if one.hostname == other.hostname and all(p == _PORTS[s.scheme] for p, s in zip(ports, (one, other), strict=True)):
        return one._replace(scheme=other.scheme, netloc=other.netloc).geturl()
    return whole if {f"{one.hostname}:{ports[0]}", one.hostname} & {name.lower() for name in allowed} else None


def may_ask(href: str, place: str) -> bool:
    """Whether a server may send us to another one by a plain GET.

    It may to servers of the internet; a server of our own network also to others of that network, which it can ask
    itself; none to this machine, or to what only this machine can ask, such as a cloud's metadata.

    >>> may_ask("https://host.org/a", "https://other.org/b"), may_ask("http://10.0.0.1/a", "https://other.org/b")
    (True, False)
    >>> may_ask("http://10.0.0.1/a", "http://store/b"), may_ask("http://169.254.169.254/a", "http://store/b")
    (True, False)
    """
    there = _nearness(href)
    return there == _PUBLIC or (there == _NETWORK and _nearness(place) != _PUBLIC)


def image_place(href: str, place: str) -> str:
    """Where the link of an item to an image leads; arguments and errors as for :func:`absolute`.

    InputError also where a server names what only this machine can ask, and is no such server itself.
    """
    whole = absolute(href, place)
    if whole.startswith("s3://"):
        bucket = whole.removeprefix("s3://").partition("/")[0]
        if not is_bucket(bucket):
            raise InputError(f"the link is {href[:100]!r}; {bucket[:80]!r} is no name of a bucket")
    elif is_remote(whole) and is_remote(place) and _nearness(whole) == _HERE and not _here(place):
        raise InputError(f"the link is {href[:100]!r}, which only this machine can ask; a server must not name it")
    return whole


def _here(place: str) -> bool:
    return not place.startswith("s3://") and _nearness(place) == _HERE


def _nearness(href: str) -> int:
    host = (urlsplit(href).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Numbers in other spellings are addresses of this machine as likely as not.
        own = not host or re.fullmatch(r"[0-9.]+|(?=.*0x)[0-9a-fx.]+", host)
        if own or any(host == name or host.endswith("." + name) for name in _OWN):
            return _HERE
        inner = "." not in host or any(host.endswith("." + name) for name in _INNER)
        return _NETWORK if inner else _PUBLIC
    address = _within_six(address)
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return _HERE
    return _PUBLIC if address.is_global else _NETWORK


def _within_six(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of version 4 that one of version 6 stands for; others as they are."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    number = int(address)
    old = address in _TRANSLATED or (address in _COMPATIBLE and number > 1)
    return ipaddress.IPv4Address(number & 0xFFFFFFFF) if old else address.ipv4_mapped or address.sixtofour or address


def named_place(href: str) -> str:
    """What identifies a file: its address without signature, or its name where it lies on this machine.

    A folder that was moved holds the same pixels; the heads of its files tell.

    >>> named_place("https://host/B04.tif?sig=secret"), named_place("/data/S2A_33TXM/B04.tif")
    ('https://host/B04.tif', 'B04.tif')
    """
    return readable(href) if is_remote(href) else Path(href).name


def _at_server(href: str, place: str) -> str:
    if place.startswith("s3://") and not scheme_of(href):
        bucket, _, key = place.removeprefix("s3://").partition("/")
        # Keys of an object store are names, not addresses: they may hold any character.
        inside = href.lstrip("/") if href.startswith("/") else posixpath.join(posixpath.dirname(key), href)
        return f"s3://{bucket}{posixpath.normpath('/' + inside)}"
    whole = urljoin(place, href)
    if not is_remote(whole):
        # A server must not choose files of this machine.
        raise InputError(f"the link is {href[:100]!r}; links from a server must be http, https or s3")
    return _encoded(whole)


def _encoded(address: str) -> str:
    return address if address.startswith("s3://") else quote(address, safe=_SAFE)


def _path_of(href: str) -> str:
    """The path that a ``file:`` address names."""
    rest = href[len("file:") :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in {"", "localhost"}:
            raise InputError(f"the link is {href[:100]!r}, a file of another machine; give a path of this one")
        rest = slash + path
    names = (unquote(rest), unquote(re.split(r"[?#]", rest)[0]), rest)
    return next((name for name in names if Path(name).exists()), names[0])


def _on_disk(href: str, folder: str) -> str:
    literal = _joined(folder, href)
    if not set("%?#").intersection(href) or Path(literal).exists():
        return literal
    names = (unquote(href), unquote(re.split(r"[?#]", href)[0]))
    return next((path for path in (_joined(folder, name) for name in names) if Path(path).exists()), literal)


def _joined(folder: str, name: str) -> str:
    # As text: a path that goes up and down again is the same place, and thousands are joined. Absolute: a link of an
    # item that was found by a relative path is joined once, not twice.
    return posixpath.abspath(posixpath.join(folder, name))
