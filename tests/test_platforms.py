"""Linux, macOS and Windows, as far as one machine can simulate them."""

import errno
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from landweave.engine import lock, machine
from landweave.engine.ledger import Ledger
from landweave.engine.lock import Lock, holder
from landweave.engine.machine import ignores_case, usable_cores, usable_memory
from landweave.engine.memory import peak_bytes
from landweave.errors import NO_WINDOWS, InputError
from landweave.patch import store
from landweave.patch.grid import Cell
from landweave.runs.project.area import _check_names
from landweave.viewer.connections import MOST_CONNECTIONS, connections_borne

WINDOWS = "import sys\nsys.modules['fcntl'] = None\nsys.modules['resource'] = None\n"


def python(tmp_path, code, *words, start=WINDOWS):
    """Run Python with a `sitecustomize` that takes away what Windows lacks."""
    (tmp_path / "sitecustomize.py").write_text(start)
    paths = [str(tmp_path), *sys.path]
    return subprocess.run(
        [sys.executable, *(("-c", code) if code else ()), *words], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
    )  # fmt: skip


def test_the_command_refuses_windows_in_one_line_that_names_wsl(tmp_path):
    ended = python(tmp_path, "", "-m", "landweave", "check", "x")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"landweave: {NO_WINDOWS}\n"
    assert "WSL" in ended.stderr


def test_the_command_goes_by_the_system_also_where_someone_brought_fcntl(tmp_path):
    code = "import sys; from landweave.__main__ import main; sys.platform = 'win32'; main()"
    ended = python(tmp_path, code, start="")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"landweave: {NO_WINDOWS}\n"


def test_all_of_the_library_loads_without_posix_modules(tmp_path):
    code = (
        "import landweave\n"
        "for name in landweave.__all__: getattr(landweave, name)\n"
        "import landweave.engine.memory as memory\n"
        "print(memory.peak_bytes())\n"
    )
    ended = python(tmp_path, code)
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr


def test_a_run_without_posix_locks_is_refused_and_writes_no_lock(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from landweave.engine.ledger import Ledger\n"
        "from landweave.errors import InputError\n"
        "try: Ledger(Path(sys.argv[1]) / 'out' / 'ledger.sqlite')\n"
        "except InputError as error: print(error)\n"
    )
    ended = python(tmp_path, code, str(tmp_path))
    assert ended.stdout == f"{tmp_path / 'out'}: {NO_WINDOWS}\n", ended.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("system", "expected"), [("linux", 5_000 * 1024), ("darwin", 5_000)])
def test_peak_memory_is_bytes_in_the_unit_of_the_system(monkeypatch, system, expected):
    import resource

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda _: types.SimpleNamespace(ru_maxrss=5_000))
    assert peak_bytes() == expected


def test_peak_memory_here_is_that_of_this_process():
    """At least what the kernel counts now, and far less than a thousand times that."""
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    now = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024
    assert now / 2 <= peak_bytes() < 1000 * now


def test_cores_are_counted_where_a_process_cannot_be_bound_to_some(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(machine, "_limits", lambda *_: [])
    assert usable_cores() == 3


def test_memory_is_known_where_the_system_counts_no_pages(monkeypatch):
    def refuse(name):
        raise ValueError(f"unrecognized configuration name: {name}")

    monkeypatch.setattr(os, "sysconf", refuse)
    assert usable_memory() > 100_000_000


def test_open_files_are_raised_to_what_macos_takes(monkeypatch):
    """There the hard limit is endless, and more than OPEN_MAX is refused."""
    import resource

    limits = {"now": 256}

    def raise_to(_, pair):
        if pair[0] == resource.RLIM_INFINITY:
            raise ValueError("current limit exceeds maximum limit")
        limits["now"] = pair[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits["now"], resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", raise_to)
    assert connections_borne(threads=2) > 8
    assert limits["now"] == 10_240
    assert connections_borne(threads=2) <= MOST_CONNECTIONS


def test_files_reach_the_disk_of_a_mac_by_its_own_call(tmp_path, monkeypatch):
    import fcntl

    asked = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda file, command: asked.append((Path(file.name).name, command)))
    (tmp_path / "a").write_text("x")
    store.sync(tmp_path / "a")
    assert asked == [("a", 51)]

    def refuse(*_):
        raise OSError(errno.ENOTSUP, "not here")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(os, "fsync", asked.append)
    store.sync(tmp_path / "a")
    assert len(asked) == 2


def test_a_lock_works_without_proc_and_knows_a_mac_by_its_session(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_boot", lambda: "")
    held = Lock(tmp_path / "ledger.lock")
    assert holder(tmp_path / "ledger.lock")["seen"]
    held.close()
    assert holder(tmp_path / "ledger.lock") is None
    lock._boot_of_macos.cache_clear()
    answer = types.SimpleNamespace(stdout="8C1D-11\n")
    monkeypatch.setattr(lock.subprocess, "run", lambda *_, **__: answer)
    assert lock._boot_of_macos() == "8C1D-11"
    lock._boot_of_macos.cache_clear()


def test_looking_at_a_folder_with_a_mac_makes_nothing_out_of_date(tmp_path):
    """Finder leaves its own files in each folder; everything else in a folder counts."""
    patch = tmp_path / "p.zarr"
    (patch / "B04").mkdir(parents=True)
    (patch / "B04" / "zarr.json").write_text("{}")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("fetch/p", inputs={}, files=["p.zarr"], info={})
        (patch / ".DS_Store").write_bytes(b"Bud1")
        (patch / "B04" / "._zarr.json").write_bytes(b"\0\5\x16\7")
        assert ledger.stale("fetch/p", {}) is None
        (patch / "B04" / ".zattrs").write_text("{}")
        assert ledger.stale("fetch/p", {}) == "p.zarr is not what was written"


def cell(name):
    return Cell(name=name, geobox=None)


def test_patches_whose_names_differ_in_case_alone_need_a_file_system_that_sees_case(tmp_path, monkeypatch):
    cells = [cell("Field"), cell("field"), cell("x")]
    monkeypatch.setattr("landweave.runs.project.area.ignores_case", lambda _: False)
    _check_names(tmp_path, cells)
    monkeypatch.setattr("landweave.runs.project.area.ignores_case", lambda _: True)
    with pytest.raises(InputError, match=r"patches 'Field' and 'field' would overwrite each other"):
        _check_names(tmp_path, cells)
    with pytest.raises(InputError, match="would overwrite"):
        _check_names(tmp_path, [cell("caf\u00e9"), cell("cafe\u0301")])
    _check_names(tmp_path, [cell("a"), cell("b")])


def test_a_file_system_is_asked_whether_it_ignores_case_without_writing(tmp_path, monkeypatch):
    assert ignores_case(tmp_path / "not" / "yet") is ((tmp_path.parent / tmp_path.name.swapcase()).exists())
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: real(path) or real(path.with_name(path.name.swapcase())))
    monkeypatch.setattr(Path, "samefile", lambda *_: True)
    assert ignores_case(tmp_path / "not" / "yet")
    assert not list(tmp_path.iterdir())
