"""A web server that is far away and in a bad mood: latency, refusals and cut bodies, in a process of its own.

    python tests/far_server.py FOLDER [--latency 0.05] [--refuse 0.3] [--cut 0.05] [--after 1] [--most 8] [--seed 0]

Prints its address, then serves the folder's files with ranges until its input ends. ``/counts`` answers how many
requests it got, how many bytes of files it sent, how many it refused and cut, and the most that it saw at a time.
Which requests go wrong is drawn from the seed, the path and range, and how often they were asked for.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable", 429: "Too Many Requests",
           503: "Service Unavailable"}  # fmt: skip


class Server:
    """Answers for a folder."""

    def __init__(self, given):
        self.given, self.root = given, Path(given.folder)
        self.counts = Counter()
        self.asked = Counter()
        self.now = self.most = 0

    async def talk(self, reader, writer):
        """All requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                if not await self.answer(head[0].split(" "), fields, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, line, fields, writer):
        path = unquote(line[1].split("?")[0])
        if path == "/counts":
            return await self.send(writer, 200, json.dumps({**self.counts, "most": self.most}).encode())
        self.now += 1
        self.most = max(self.most, self.now)
        crowded = self.given.most and self.now > self.given.most
        try:
            await asyncio.sleep(self.given.latency)
            self.counts["requests"] += 1
            return await self.file(path, fields.get("range", ""), writer, line[0], crowded=crowded)
        finally:
            self.now -= 1

    async def file(self, path, asked, writer, method, *, crowded):
        self.asked[path, asked] += 1
        draw = hashlib.blake2b(repr((self.given.seed, path, asked, self.asked[path, asked])).encode()).digest()
        first, second = (int.from_bytes(draw[i : i + 4]) / 2**32 for i in (0, 4))
        if crowded or first < self.given.refuse:
            self.counts["refused"] += 1
            after = {"Retry-After": f"{self.given.after:g}"} if second < 0.5 and self.given.after is not None else {}
            return await self.send(writer, 429 if draw[8] % 2 else 503, b"busy", after)
        place = self.root / path.lstrip("/")
        if not place.is_file():
            return await self.send(writer, 404, b"")
        facts = place.stat()
        known = {"Accept-Ranges": "bytes", "ETag": f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'}
        data, status = b"", 200
        with place.open("rb") as file:
            if found := re.fullmatch(r"bytes=(\d+)-(\d*)", asked):
                start, end = int(found[1]), min(int(found[2] or facts.st_size), facts.st_size - 1)
                if start >= facts.st_size:
                    return await self.send(writer, 416, b"", {"Content-Range": f"bytes */{facts.st_size}"})
                file.seek(start)
                data, status = file.read(end - start + 1), 206
                known["Content-Range"] = f"bytes {start}-{end}/{facts.st_size}"
            else:
                data = file.read()
        cut = len(data) > 1 and first > 1 - self.given.cut
        self.counts["cut"] += cut
        sent = data[: len(data) // 2] if cut else data
        self.counts["bytes"] += len(sent)
        if self.given.log:
            self.given.log.write(f"{path} {asked} {status}\n")
            self.given.log.flush()
        await self.send(writer, status, b"" if method == "HEAD" else sent, known, length=len(data))
        return not cut

    async def send(self, writer, status, body, fields=(), *, length=None):
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in dict(fields).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return True


async def serve(given):
    server = await asyncio.start_server(Server(given).talk, "127.0.0.1", given.port, backlog=512)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    # Whoever started us is gone when our input ends.
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1() or ended.set())
    await ended.wait()
    os._exit(0)


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def far(folder, **options):
    """The server while the block runs; yields its address."""
    command = [sys.executable, __file__, str(folder), *(f"--{name}={value}" for name, value in options.items())]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(10)


def counts(url):
    """What the server counted."""
    with urlopen(f"{url}/counts", timeout=10) as answer:
        return json.load(answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    for name, default in {"latency": 0.05, "refuse": 0.0, "cut": 0.0}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--after", type=float, help="Retry-After of half of the refusals")
    parser.add_argument("--most", type=int, default=0, help="requests at a time above which all are refused")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=argparse.FileType("w"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
