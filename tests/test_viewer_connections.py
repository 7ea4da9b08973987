"""A crowd of connections, and silent ones, cost the view's server neither files nor its log."""

import contextlib
import http.client
import logging
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import uvicorn

from landweave.sources.files import opened
from landweave.viewer import connections
from landweave.viewer.connections import Sparing, configured, connections_borne, workers


async def answer(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def served():
    """Address of a server that takes four connections, and half a second for headers."""
    server = uvicorn.Server(configured(answer, most=4, within=0.5))
    door = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield door.getsockname()
    server.should_exit = True
    thread.join(10)


def asked(address):
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/", timeout=5) as response:
        return response.read()


def answered(connection):
    """Whether the whole answer comes, in as many parts as it likes."""
    connection.settimeout(3)
    found = b""
    while not found.endswith(b"ok") and (part := connection.recv(1000)):
        found += part
    return found.endswith(b"ok")


def is_closed(connection):
    connection.settimeout(3)
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(100) == b""
    return True


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"], ids=["silent", "line", "headers"]
)
def test_who_does_not_finish_asking_is_closed(served, begun):
    with socket.create_connection(served) as half_open:
        half_open.sendall(begun)
        began = time.monotonic()
        assert is_closed(half_open)
        assert 0.3 < time.monotonic() - began < 2.5
    assert asked(served) == b"ok"


def test_who_trickles_is_closed_all_the_same(served):
    with socket.create_connection(served) as half_open:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for letter in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
                half_open.sendall(bytes([letter]))
                time.sleep(0.05)
        assert is_closed(half_open)
        assert time.monotonic() - began < 3


def test_a_second_request_of_a_connection_must_be_finished_too(served):
    whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(served) as kept:
        for _ in range(2):
            kept.sendall(whole)
            assert answered(kept)
            time.sleep(0.6)  # which is longer than headers may take
        kept.sendall(whole[:-2])
        assert is_closed(kept)


def test_connections_beyond_the_bound_are_closed_at_once_and_those_there_are_answered(served):
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(socket.create_connection(served)) for _ in range(4)]
        time.sleep(0.1)
        more = [stack.enter_context(socket.create_connection(served)) for _ in range(30)]
        assert all(is_closed(connection) for connection in more)
        first[0].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answered(first[0])


def asked_in_the_end(address, seconds=30):
    last = time.monotonic() + seconds
    while True:
        try:
            return asked(address)
        except (OSError, http.client.HTTPException):
            if time.monotonic() > last:
                raise
            time.sleep(0.2)


def test_more_half_open_connections_than_files_stop_no_request():
    """The usual limit made small: a thousand connections of which none asks anything."""
    code = """
import socket, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (240, 240))
import uvicorn
from test_viewer_connections import answer
from landweave.viewer.connections import configured, connections_borne
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
uvicorn.Server(configured(answer, most=connections_borne(2), within=0.5)).run(sockets=[door])
"""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        address = ("127.0.0.1", int(server.stdout.readline()))
        crowd = []
        try:
            for _ in range(400):
                with contextlib.suppress(OSError):
                    crowd.append(socket.create_connection(address, timeout=1))
            # Each of them is given up after half a second; a busy machine takes its time to get there.
            assert asked_in_the_end(address) == b"ok"
        finally:
            for connection in crowd:
                connection.close()
            server.terminate()
            log = server.stderr.read()
    assert len(log.splitlines()) < 20, log[:2000]


def test_threads_of_the_view_keep_few_files_open_and_are_no_more_than_cores(monkeypatch):
    monkeypatch.setattr(connections, "usable_cores", lambda: 3)
    with workers() as pool:
        assert pool._max_workers == 3
        assert list(pool.map(lambda _: getattr(opened._held, "most", None), range(9))) == [16] * 9


@pytest.mark.parametrize(("limit", "threads", "want"), [(1024, 2, 256), (240, 2, 80), (64, 16, 8), (10**6, 64, 256)])
def test_connections_leave_files_for_tiles(monkeypatch, limit, threads, want):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert connections_borne(threads) == want


def test_a_line_that_comes_again_and_again_is_logged_once():
    spare, passed = Sparing(), []
    for number in range(1000):
        error = OSError(24, "Too many open files")
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "out of files", (), (OSError, error, None))
        passed += [number] if spare.filter(record) else []
    assert passed == [0]
    assert spare.filter(logging.LogRecord("asyncio", logging.ERROR, "", 0, "another line", (), None))
