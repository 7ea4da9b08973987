"""Real servers for tests, on free ports of 127.0.0.1: started in a second or four, stopped whatever happens.

What is not installed skips its tests, with the reason; `make servers` installs all.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("LANDWEAVE_SERVERS", Path(__file__).parents[1] / ".servers"))
POSTGRES = Path("/usr/lib/postgresql/15")
# The kernel stops a server whose test session has died, however it died.
WITH_US = ("setpriv", "--pdeathsig=INT")
# Servers in Python have packages of their own.
APART = {"PYTHONPATH": ""}


def program(name, *, package, pypi=False):
    """Path of a program that `make servers` installs; the test skips, and says so, where it is absent."""
    places = [PLACE / "bin"] if pypi else [POSTGRES / "bin", "/usr/sbin", "/usr/bin"]
    found = shutil.which(name, path=os.pathsep.join(map(str, places)))
    if not found or not shutil.which(WITH_US[0]):
        absent(f"{name} ({package}{' from PyPI' if pypi else ''})")
    return found


def absent(what):
    reason = f"no {what} to talk to: `make servers` installs it"
    warnings.warn(reason, stacklevel=3)
    pytest.skip(reason)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def started(command, *, log, ready, env=None, **options):
    """A server while the block runs; ``ready()`` is asked until it says yes."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **APART, **(env or {})}, **options,
        )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not ready():
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not serve:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield server
    finally:
        server.send_signal(2)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def answers(url):
    """Whether anything comes back from there."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


# A web server


@contextmanager
def nginx(root, work, *, extra=""):
    """Files below a folder, with ranges; yields the address and the path of the log of what was asked."""
    binary = program("nginx", package="nginx-light")
    work.mkdir(parents=True, exist_ok=True)
    port, asked = free_port(), work / "asked.log"
    (work / "nginx.conf").write_text(f"""
daemon off;
master_process off;
pid {work}/pid;
error_log stderr;
events {{ }}
http {{
    log_format asked '$request_method $uri $status "$http_range" $bytes_sent';
    access_log {asked} asked;
    types {{ application/json json; image/tiff tif; }}
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        {extra}
    }}
}}
""")
    url = f"http://127.0.0.1:{port}"
    command = [*WITH_US, binary, "-p", work, "-c", work / "nginx.conf", "-e", "stderr"]
    with started(command, log=work / "log", ready=lambda: answers(url)):
        asked.write_bytes(b"")
        yield url, asked


# STAC APIs


def items_at(archive, url):
    """The items of a simulated archive as an API hands them out: hrefs of the web server that has the files."""
    items = []
    for path in sorted(archive.glob("*/*/*.json")):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = f"{url}/{path.parent.relative_to(archive)}/{Path(asset['href']).name}"
        items.append({**item, "links": []})
    return items


def collection_of(archive):
    path = next(archive.glob("*/collection.json"))
    return {**json.loads(path.read_text()), "links": []}


FILL = """
from pypgstac.db import PgstacDB
from pypgstac.load import Loader, Methods
from pypgstac.migrate import Migrate
with PgstacDB() as db:
    Migrate(db).run_migration()
    Loader(db).load_collections("collection.json", Methods.insert)
    Loader(db).load_items("items.ndjson", Methods.insert)
"""


@contextmanager
def database(collection, items, work):
    """PostgreSQL with the items; yields the variables by which an API finds it. No port: a socket in a folder."""
    server, client = (program(name, package="postgresql-15") for name in ("postgres", "pg_isready"))
    program("pypgstac", package="pypgstac", pypi=True)
    if not (POSTGRES / "lib" / "postgis-3.so").exists():
        absent("PostGIS (postgresql-15-postgis-3)")
    work.mkdir(parents=True, exist_ok=True)
    (work / "collection.json").write_text(json.dumps(collection))
    (work / "items.ndjson").write_text("\n".join(map(json.dumps, items)))
    # A socket's path is short, and PostgreSQL refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="lw-", dir="/tmp"))
    as_user = list(WITH_US)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    env = {"PGHOST": str(folder), "PGPORT": "5432", "PGUSER": "landweave", "PGDATABASE": "postgres", "PGPASSWORD": "-"}
    try:
        subprocess.run(
            [*as_user, Path(server).with_name("initdb"), "--pgdata", folder / "data", "--auth=trust", "--no-sync",
             "--username=landweave", "--encoding=UTF8", "--locale=C"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        command = [*as_user, server, "-D", folder / "data", "-k", folder, "-h", "", "-c", "fsync=off"]
        with started(
            command, log=work / "postgres.log", cwd=folder,
            ready=lambda: subprocess.run([client, "-q"], env={**os.environ, **env}, check=False).returncode == 0,
        ):  # fmt: skip
            python = Path(PLACE) / "bin" / "python"
            done = subprocess.run(
                [python, "-c", FILL],
                cwd=work,
                env={**os.environ, **APART, **env},
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            yield env
    finally:
        shutil.rmtree(folder)


@contextmanager
def pgstac(env, work, *, extensions=None):
    """stac-fastapi-pgstac on the database, with all its extensions or some; yields its address."""
    binary = program("uvicorn", package="stac-fastapi.pgstac", pypi=True)
    work.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = {**env, "PGHOST": env["PGHOST"].replace("/", "%2F"), "DB_MAX_CONN_SIZE": "2"}
    if extensions:
        settings["ENABLED_EXTENSIONS"] = extensions
    command = [*WITH_US, binary, "--factory", "stac_fastapi.pgstac.app:create_app", "--port", port]
    url = f"http://127.0.0.1:{port}/"
    with started(command, log=work / "pgstac.log", env=settings, ready=lambda: answers(url)):
        yield url


@contextmanager
def rustac(collection, items, work):
    """rustac with the items in its memory: an API without any filter but place and time; yields its address."""
    binary = program("rustac", package="rustac", pypi=True)
    work.mkdir(parents=True, exist_ok=True)
    (work / "collection.json").write_text(json.dumps(collection))
    (work / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    address = f"127.0.0.1:{free_port()}"
    command = [*WITH_US, binary, "serve", "--addr", address, work / "collection.json", work / "items.json"]
    with started(command, log=work / "rustac.log", ready=lambda: answers(f"http://{address}/")):
        yield f"http://{address}/"


# An object store

SERVE_S3 = """
import json, os, pathlib, signal, sys
root, told = map(pathlib.Path, sys.argv[1:])
os.environ.update(AWS_ACCESS_KEY_ID="first", AWS_SECRET_ACCESS_KEY="first", AWS_DEFAULT_REGION="us-east-1")
import boto3, requests
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
at = {"endpoint_url": f"http://{host}:{port}"}
iam, s3 = boto3.client("iam", **at), boto3.client("s3", **at)
iam.create_user(UserName="reader")
allowed = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
key = iam.create_access_key(UserName="reader")["AccessKey"]
s3.create_bucket(Bucket="archive")
for path in sorted(root.rglob("*.tif")):
    s3.upload_file(str(path), "archive", str(path.relative_to(root)))
requests.post(f"http://{host}:{port}/moto-api/reset-auth", data=b"0", timeout=10)
told.with_suffix(".part").write_text(json.dumps([f"{host}:{port}", key["AccessKeyId"], key["SecretAccessKey"]]))
told.with_suffix(".part").rename(told)
signal.pause()
"""


@contextmanager
def object_store(root, work):
    """moto with the images below a folder in the bucket ``archive``, for signed requests only.

    Yields the variables by which GDAL reads them.
    """
    program("moto_server", package="moto[s3]", pypi=True)
    work.mkdir(parents=True, exist_ok=True)
    command = [*WITH_US, PLACE / "bin" / "python", "-c", SERVE_S3, root, work / "told.json"]
    with started(command, log=work / "moto.log", ready=(work / "told.json").exists):
        endpoint, key, secret = json.loads((work / "told.json").read_text())
        yield {
            "AWS_S3_ENDPOINT": endpoint, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
        }  # fmt: skip
