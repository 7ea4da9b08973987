"""Requests to object stores: where a bucket is served, and the signature of a request (AWS, Signature Version 4)."""

import configparser
import datetime
import hashlib
import hmac
import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from landweave.errors import InputError

_PAYLOAD = "UNSIGNED-PAYLOAD"
_regions: dict[str, str] = {}


def place_of_key(address: str) -> tuple[str, str]:
    """The address by ``http`` or ``https`` of a key in a bucket, and the region that the bucket is in.

    InputError for what is no name of a bucket.

    >>> place_of_key("s3://bucket/a b.tif")[0].endswith("/a%20b.tif")
    True
    """
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not is_bucket(bucket):
        raise InputError(f"{address[:100]!r}: {bucket[:80]!r} is no name of a bucket; give s3://bucket/key.")
    region = _regions.get(bucket) or _said("AWS_REGION") or _said("AWS_DEFAULT_REGION") or "us-east-1"
    usual = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
    host = (_said("AWS_S3_ENDPOINT") or usual).split("://")[-1].rstrip("/")
    path = "/" + quote(key, safe="/-_.~")
    if _no("AWS_VIRTUAL_HOSTING") or "." in bucket:
        path = "/" + quote(bucket) + path
    else:
        host = f"{bucket}.{host}"
    return f"{'http' if _no('AWS_HTTPS') else 'https'}://{host}{path}", region


def is_bucket(name: str) -> bool:
    """Whether a bucket may be called so; its name becomes a part of the server's.

    >>> is_bucket("sentinel-s2-l2a"), is_bucket("localhost:8443#")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", name) is not None


def s3_request(address: str) -> tuple[str, dict[str, str]]:
    """Where a key is asked for, and the fields of the request, signed where there are keys."""
    url, region = place_of_key(address)
    keys = None if _yes("AWS_NO_SIGN_REQUEST") else _keys()
    fields = {"x-amz-request-payer": payer} if (payer := _said("AWS_REQUEST_PAYER")) else {}
    if keys is None:
        return url, fields
    return url, signed(url, fields, keys=keys, region=region, now=datetime.datetime.now(datetime.UTC))


def learn_region(address: str, region: str) -> bool:
    """Remember where a bucket is; False where it was known already, or is no name of a region."""
    bucket = address.removeprefix("s3://").partition("/")[0]
    if _regions.get(bucket) == region or not re.fullmatch("[A-Za-z0-9-]+", region):
        return False
    _regions[bucket] = region
    return True


def signed(
    url: str, fields: dict[str, str], *, keys: tuple[str, str, str], region: str, now: datetime.datetime
) -> dict[str, str]:
    """The fields of a signed GET.

    Parameters
    ----------
    url
        Without a query.
    fields
        Further ones to sign, names in small letters.
    keys
        Access key, secret key, and session token or nothing.
    region
        Of the bucket.
    now
        UTC.
    """
    parts = urlsplit(url)
    stamp, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    every = {**fields, "host": parts.netloc, "x-amz-content-sha256": _PAYLOAD, "x-amz-date": stamp}
    if keys[2]:
        every["x-amz-security-token"] = keys[2]
    names = ";".join(sorted(every))
    head = "".join(f"{name}:{every[name]}\n" for name in sorted(every))
    asked = f"GET\n{parts.path}\n\n{head}\n{names}\n{_PAYLOAD}"
    scope = f"{day}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = b"AWS4" + keys[1].encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    every["authorization"] = f"AWS4-HMAC-SHA256 Credential={keys[0]}/{scope},SignedHeaders={names},Signature={proof}"
    del every["host"]
    return every


def _said(name: str) -> str:
    return os.environ.get(name, "")


def _no(name: str) -> bool:
    return _said(name).upper() in {"NO", "FALSE", "OFF", "0"}


def _yes(name: str) -> bool:
    return bool(_said(name)) and not _no(name)


def _keys() -> tuple[str, str, str] | None:
    if _said("AWS_ACCESS_KEY_ID"):
        return _said("AWS_ACCESS_KEY_ID"), _said("AWS_SECRET_ACCESS_KEY"), _said("AWS_SESSION_TOKEN")
    named = _said("CPL_AWS_CREDENTIALS_FILE") or _said("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    file = Path(named).expanduser()
    try:
        return _in_file(file, file.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=4)
def _in_file(path: Path, changed: int) -> tuple[str, str, str] | None:  # noqa: ARG001 - a changed file is read again
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(path, encoding="utf-8")
        told = file["default"]
        return told["aws_access_key_id"], told["aws_secret_access_key"], told.get("aws_session_token", "")
    except (configparser.Error, KeyError, UnicodeDecodeError):
        return None
