"""Fixtures that every test may use."""

import os
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Cold imports and compiled kernels are not failures.
settings.register_profile("landweave", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("landweave")
os.environ.setdefault("OMP_NUM_THREADS", "2")
# Tests run side by side: a thread that waits by spinning takes the core of one that works.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk():
    """Tests end processes but never the power, and only a loss of power loses what has not reached the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def landweave(monkeypatch, capsys):
    """Run the command line in this process; status, standard output, standard error."""
    from landweave.cli.app import main
    from landweave.cli.terminal.speech import SPEECH

    def call(*words):
        monkeypatch.setattr("sys.argv", ["landweave", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "500")
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    yield call
    SPEECH.ask(quiet=False, verbose=False)


collect_ignore = ["qgis_opened.py"]
"""What QGIS's own Python runs."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real labelled data beside the project; the test skips, and says so, where it is absent."""
    folder = Path(os.environ.get("LANDWEAVE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no real data at {folder}: set LANDWEAVE_DATA to the folder that holds it"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def country(tmp_path_factory) -> Path:
    """A project on a small simulated archive, not run yet."""
    from archives import DATES, SEED, SIZE, small_country

    return small_country(tmp_path_factory.mktemp("archive") / "country", size_km=SIZE, dates=DATES, seed=SEED)


@pytest.fixture(scope="session")
def finished(country) -> Path:
    """The same, after a run in this process."""
    from landweave.runs.pipeline.driver import run
    from landweave.runs.project.settings import read_project

    result = run(read_project(country), workers=1)
    assert result.status == 0, result.failures
    return country
