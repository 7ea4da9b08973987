"""Verdicts in the view: who may give them, what the server shows of map and of others, and what lies on disk then."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace

import geopandas as gpd
import pytest
import shapely
from pyproj import Transformer

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from fastapi.testclient import TestClient

from landweave.errors import InputError
from landweave.labels.verdicts.agreement import progress_of
from landweave.labels.verdicts.geopackage import changing, recover
from landweave.labels.verdicts.store import JudgedPlace, PlaceVerdict, VerdictFile, read_verdicts
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.draw import SizeRequest, draw_sample
from landweave.runs.estimate.map import find_map
from landweave.runs.project.label_settings import EstimateSettings
from landweave.runs.results.queue import open_queue
from landweave.viewer.server import make_app, open_view
from landweave.viewer.verdicts.routes import judging_for

HALF = 20037508.342789244
HERE = {"host": "127.0.0.1", "names": ()}
POSTED = {"Origin": "http://127.0.0.1:8765"}


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "country")


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    return open_view(shutil.copytree(finished, tmp_path_factory.mktemp("judged") / "country"))


@pytest.fixture
def sample(view, tmp_path):
    path = tmp_path / "sample.gpkg"
    draw_sample(find_map(view.run.plan.project.file), path, request=SizeRequest(n=24, minimum=2), seed=7)
    return path


def client_of(view, which="places", *, show_map=False, file=None, host="127.0.0.1", names=()):
    judging = judging_for(view.run, which, file=file, show_map=show_map, host=host, names=names)
    hosts = ("127.0.0.1", "localhost", *names)
    return TestClient(make_app(view, judging=judging, hosts=hosts), base_url="http://127.0.0.1:8765"), judging


def tile_at(view, place):
    """Zoom, column and row of the finest tile that holds a place."""
    z = view.tiles.zooms[1]
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(place["lon"], place["lat"])
    side = 2 * HALF / 2**z
    return f"{z}/{int((x + HALF) // side)}/{int((HALF - y) // side)}"


def queue(client, who="ana"):
    answer = client.post("/verdicts/queue", json={"interpreter": who}, headers=POSTED)
    assert answer.status_code == 200, answer.text
    return answer.json()


def give(client, place, name, *, who="ana", uid=None, **more):
    content = {
        "uid": uid or f"{who}-{place}-{name}"[:60].replace(" ", "-"),
        "interpreter": who,
        "place": place,
        "name": name,
    }
    return client.post("/verdicts", json={**content, "unsure": name is None, **more}, headers=POSTED)


def test_a_verdict_that_was_answered_lies_in_the_file(view, tmp_path):
    path = tmp_path / "verdicts.gpkg"
    client, _ = client_of(view, file=path)
    asked = queue(client)
    first, second = asked["places"][:2]
    assert {"id", "lon", "lat", "reference_class", "suggested_class"} <= first.keys()
    assert asked["progress"]["judged"] == 0
    names = [entry["name"] for entry in view.description["legend"]]
    answer = give(client, first["id"], names[0], alternate=names[1], note=" edge ")
    assert answer.json()["progress"]["judged"] == 1
    assert give(client, second["id"], None).json()["progress"] == answer.json()["progress"] | {"judged": 2, "unsure": 1}
    one, two = read_verdicts(path)
    assert (one.name, one.alternate, one.note, one.unsure) == (names[0], names[1], "edge", False)
    assert (two.name, two.unsure) == (None, True)
    assert one.place.told["reference_class"] == first["reference_class"]
    # Who comes again finds what she said; undone, it is gone.
    mine = queue(client)["mine"]
    assert set(mine) == {first["id"], second["id"]}
    uid = mine[second["id"]]["uid"]
    undone = client.post("/verdicts/undo", json={"interpreter": "ana", "uid": uid}, headers=POSTED).json()
    assert set(undone["mine"]) == {first["id"]}
    assert [v.uid for v in read_verdicts(path)] == [one.uid]


def test_the_outline_of_a_place_is_that_of_the_list(view):
    client, judging = client_of(view)
    place = judging.queue.places[0]
    shape = shapely.geometry.shape(client.get(f"/verdicts/outline/{place.id}").json())
    assert shape.contains(shapely.Point(place.lon, place.lat))
    moved = gpd.GeoSeries.from_wkb([place.place.shape], crs=judging.queue.crs).to_crs("EPSG:4326")[0]
    assert shape.equals_exact(moved, 1e-9)
    assert client.get("/verdicts/outline/unknown").status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"name": "no such class"}, 400),
        ({"place": "no such place"}, 404),
        ({"interpreter": "  "}, 422),
        ({"interpreter": "(file)"}, 422),
        ({"interpreter": "a\u202eb"}, 422),
        ({"interpreter": "x" * 101}, 422),
        ({"note": "x" * 2001}, 422),
        ({"name": None}, 422),
        ({"unsure": True}, 422),
        ({"uid": "../../x"}, 422),
        ({"extra": 1}, 422),
    ],
)
def test_what_is_no_verdict_is_refused_and_nothing_is_written(view, tmp_path, content, status):
    path = tmp_path / "verdicts.gpkg"
    client, judging = client_of(view, file=path)
    name = view.description["legend"][0]["name"]
    sound = {"uid": "0123456789", "interpreter": "ana", "place": judging.queue.places[0].id, "name": name}
    assert client.post("/verdicts", json={**sound, **content}, headers=POSTED).status_code == status
    assert not path.exists()
    assert client.post("/verdicts", json={**sound, "alternate": name}, headers=POSTED).status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_a_page_of_another_site_can_change_nothing_and_read_nothing(view, tmp_path, headers, status):
    path = tmp_path / "verdicts.gpkg"
    client, judging = client_of(view, file=path)
    name = view.description["legend"][0]["name"]
    content = {"uid": "0123456789", "interpreter": "ana", "place": judging.queue.places[0].id, "name": name}
    sent = {"Content-Type": "application/json", **POSTED, **headers}
    for address in ("/verdicts", "/verdicts/queue", "/verdicts/undo"):
        assert client.post(address, content=json.dumps(content), headers=sent).status_code == status
    assert not path.exists()


def test_without_the_option_nothing_can_be_changed(view):
    client = TestClient(make_app(view), base_url="http://127.0.0.1:8765")
    for address in ("/verdicts", "/verdicts/queue", "/verdicts/undo"):
        assert client.post(address, json={"interpreter": "ana"}, headers=POSTED).status_code == 405
    assert client.get("/verdicts/outline/a").status_code == 404
    assert "verdicts" not in client.get("/view.json").json()


def test_a_body_that_is_too_large_is_refused(view):
    client, _ = client_of(view)
    assert client.post("/verdicts", json={"note": "x" * 40_000}, headers=POSTED).status_code == 413


def test_another_host_needs_the_token(view, tmp_path):
    for host, names in (("0.0.0.0", ()), ("192.0.2.7", ()), ("127.0.0.1", ("maps.example.org",))):
        client, judging = client_of(view, file=tmp_path / "verdicts.gpkg", host=host, names=names)
        assert len(judging.token) >= 43
        for address in ("/", "/view.json", "/page/app.js", "/pixel?lon=1&lat=1", "/tiles/prediction/1/1/1"):
            assert client.get(address).status_code == 401
        assert client.post("/verdicts/queue", json={"interpreter": "ana"}, headers=POSTED).status_code == 401
        for wrong in ("x" * 43, judging.token[:-1] + ("a" if judging.token[-1] != "a" else "b")):
            assert client.get(f"/?token={wrong}", follow_redirects=False).status_code == 401
            assert client.get("/view.json", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
        assert client.get("/view.json", headers={"Authorization": f"Bearer {judging.token}"}).status_code == 200
        brought = client.get(f"/?token={judging.token}", follow_redirects=False)
        assert (brought.status_code, brought.headers["location"]) == (303, "/")
        cookie = brought.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        # From here on the cookie is enough.
        assert client.get("/view.json").status_code == 200
        queue(client)
    assert client_of(view)[1].token is None


def test_a_second_interpreter_is_sent_nothing_of_what_the_first_one_said(view, tmp_path):
    client, judging = client_of(view, file=tmp_path / "verdicts.gpkg")
    names = [entry["name"] for entry in view.description["legend"]]
    for number, place in enumerate(judging.queue.places):
        secret = f"secret-note-{number}"
        assert give(client, place.id, names[0], note=secret).status_code == 200
    asked = client.post("/verdicts/queue", json={"interpreter": "bo"}, headers=POSTED)
    told = asked.json()
    assert told["mine"] == {}
    assert "secret" not in asked.text
    assert [other["interpreter"] for other in told["progress"]["others"]] == ["ana"]
    assert set(told["progress"]["others"][0]) == {"interpreter", "judged", "shared", "named", "agree"}
    # One verdict of hers moves no count of agreement: it would show what the other one said.
    answer = give(client, judging.queue.places[0].id, names[1], who="bo").json()
    assert answer["progress"]["others"][0]["shared"] in {0, len(judging.queue.places)}
    assert "ana" not in client.get(f"/verdicts/outline/{judging.queue.places[0].id}").text


def test_agreement_is_counted_in_blocks_and_whole_at_the_end():
    keys = [str(i) for i in range(14)]
    first = [(key, "ana", "forest") for key in keys]

    def at(n):
        mine = [(key, "bo", None if key == "3" else "water" if key == "1" else "forest") for key in keys[:n]]
        return progress_of([*first, *mine], "bo", keys)

    assert [at(n).others[0].shared for n in (9, 10, 13, 14)] == [0, 10, 10, 14]
    assert (at(10).others[0].named, at(10).others[0].agree) == (9, 8)
    assert at(13).differ == ()
    assert at(14).differ == ("1",)
    assert (at(14).judged, at(14).unsure) == (14, 1)


def test_judging_again_and_undoing_move_no_count_until_all_is_judged(tmp_path):
    keys = [str(i) for i in range(12)]
    file = VerdictFile(tmp_path / "v.gpkg", crs="EPSG:32633")
    square = shapely.to_wkb(shapely.box(0, 0, 1, 1))

    def say(who, key, name, uid):
        place = JudgedPlace(key=key, queue="compare", shape=square, told={})
        file.put(PlaceVerdict(uid=uid, interpreter=who, name=name, unsure=name is None, place=place))

    def count():
        found = progress_of(file.rows(), "bo", keys, first=file.first_rows())
        return found.judged, [(one.judged, one.shared, one.named, one.agree) for one in found.others]

    for key in keys:
        say("ana", key, "forest", f"ana-{key}")
    for key in keys[:10]:
        say("bo", key, "forest", f"bo-{key}")
    assert count() == (10, [(12, 10, 10, 10)])
    say("bo", "3", "water", "again")
    assert count() == (10, [(12, 10, 10, 10)])
    file.undo("bo", "again")
    file.undo("bo", "bo-3")
    assert count() == (9, [(12, 10, 10, 10)])
    say("bo", "3", "water", "third")
    # What was taken back does not come back by a late repetition of the request.
    say("bo", "3", "forest", "bo-3")
    assert count() == (10, [(12, 10, 10, 10)])
    for key in keys[10:]:
        say("bo", key, "forest", f"bo-{key}")
    assert count() == (12, [(12, 12, 12, 11)])


def test_more_requests_than_may_wait_are_asked_to_come_again(view, sample, monkeypatch):
    client, judging = client_of(view, str(sample))
    place = judging.queue.places[0].id
    monkeypatch.setattr("landweave.viewer.verdicts.routes.MOST_WAITING", 0)
    answer = give(client, place, "cultivated land")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    assert give(client, place, next(iter(view.run.plan.legend.names.values()))).status_code == 200


def test_a_sample_whose_verdicts_are_in_another_crs_is_refused_by_name(view, sample):
    file = VerdictFile(sample, crs="EPSG:3035")
    place = JudgedPlace(key="1", queue="sample", shape=shapely.to_wkb(shapely.box(0, 0, 1, 1)), told={})
    file.put(PlaceVerdict(uid="old", interpreter="ana", name=None, unsure=True, place=place))
    with pytest.raises(InputError, match=r"its layer 'verdicts' is in EPSG:3035, but the sample is in EPSG:"):
        client_of(view, str(sample))


def test_the_interpreter_of_a_sample_is_shown_neither_map_nor_register(view, sample):
    client, judging = client_of(view, str(sample))
    assert judging.blind
    told = client.get("/view.json").json()
    whole = TestClient(make_app(view), base_url="http://127.0.0.1:8765").get("/view.json").json()
    assert {layer["id"] for layer in told["layers"]} == {one["id"] for one in whole["layers"] if one.get("dated")}
    assert told["legend"] == [{**e, "pixels": 0, "area_ha": 0.0, "estimate": None} for e in whole["legend"]]
    assert told["doubtful"] == []
    assert told["verdicts"]["blind"] is True
    place = queue(client)["places"][0]
    assert set(place) == {"id", "lon", "lat"}
    # Not even a unit's number, by which it could be looked up.
    assert not set(judging.places) & {str(i) for i in range(1, 25)}
    pixel = client.get(f"/pixel?lon={place['lon']}&lat={place['lat']}").json()
    assert [pixel[key] for key in ("prediction", "probabilities", "out_of_fold", "reference")] == [None] * 4
    assert pixel["observations"]
    assert pixel["curve"]
    day = view.description["dates"][0]["date"]
    for layer in ("prediction", "reference", "confidence", "disagreement"):
        assert client.get(f"/tiles/{layer}/10/1/1").status_code == 404
        assert client.get(f"/tiles/{layer}/{day}/10/1/1").status_code == 404
    for address in ("/report", "/compare", "/points?bounds=1,1,2,2", "/samples?bounds=1,1,2,2", "/areas", "/clip"):
        assert client.get(address).status_code == 404
    assert client.get(f"/tiles/ndvi/{day}/{tile_at(view, place)}").status_code == 200


def test_show_map_shows_it(view, sample):
    client, judging = client_of(view, str(sample), show_map=True)
    assert not judging.blind
    assert any(layer["id"] == "prediction" for layer in client.get("/view.json").json()["layers"])
    place = queue(client)["places"][0]
    assert set(place) == {"id", "lon", "lat"}
    assert client.get(f"/pixel?lon={place['lon']}&lat={place['lat']}").json()["prediction"]


def test_a_sample_that_was_labelled_here_is_what_the_estimate_reads(view, sample):
    client, judging = client_of(view, str(sample))
    with pytest.raises(InputError, match="no label"):
        estimate_accuracy(sample)
    names = [entry["name"] for entry in view.description["legend"]]
    design = json.loads(gpd.read_file(sample, layer="design")["content"][0])
    by_value = {int(value): name for value, name in design["classes"].items()}
    strata = dict(zip(map(str, design["units"]["id"]), design["units"]["stratum"], strict=True))
    wrong = 0
    for number, place in enumerate(queue(client)["places"]):
        mapped = by_value[strata[judging.places[place["id"]].place.key]]
        label = next(name for name in names if name != mapped) if number % 4 == 0 else mapped
        wrong += label != mapped
        assert give(client, place["id"], label).status_code == 200
    figures = estimate_accuracy(sample)
    assert figures["n"] == 24 if "n" in figures else True
    assert 0.4 < figures["overall_accuracy"]["value"] < 1
    assert wrong == 6


def test_a_list_that_a_run_writes_again_keeps_the_places_of_an_open_page(view, tmp_path):
    client, judging = client_of(view, file=tmp_path / "verdicts.gpkg")
    place = judging.queue.places[-1]
    shorter = judging.queue.places[:-1]
    object.__setattr__(
        judging, "open", lambda: judging.queue.__class__(**{**judging.queue.__dict__, "places": shorter})
    )
    asked = queue(client)
    assert [one["id"] for one in asked["places"]] == [*(one.id for one in shorter), place.id]
    assert asked["progress"]["of"] == len(asked["places"])
    name = view.description["legend"][0]["name"]
    assert give(client, place.id, name).status_code == 200
    assert read_verdicts(tmp_path / "verdicts.gpkg")[0].place.key == place.place.key


def test_a_file_that_cannot_be_written_is_reported_and_counts_nothing_as_saved(view, tmp_path, monkeypatch):
    path = tmp_path / "verdicts.gpkg"
    client, judging = client_of(view, file=path)
    path.mkdir()
    answer = give(client, judging.queue.places[0].id, view.description["legend"][0]["name"])
    assert answer.status_code == 503
    assert "verdicts.gpkg" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text


def test_wrong_options_raise_an_input_error(view, tmp_path):
    with pytest.raises(InputError, match="add --verdicts places"):
        judging_for(view.run, None, file=tmp_path / "a.gpkg", show_map=False, **HERE)
    with pytest.raises(InputError, match="give places, audit, sample, or a"):
        open_queue(view.run, "everything")
    with pytest.raises(InputError, match="no such sample"):
        open_queue(view.run, str(tmp_path / "gone.gpkg"))
    with pytest.raises(InputError, match=r"there is no \[estimate\] sample"):
        open_queue(view.run, "sample")
    with pytest.raises(InputError, match="in a folder that exists"):
        open_queue(view.run, "places", file=tmp_path / "gone" / "verdicts.gpkg")
    with pytest.raises(InputError, match="stay in its file"):
        open_queue(view.run, "sample", file=tmp_path / "a.gpkg")
    other = tmp_path / "other.gpkg"
    gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(0, 0)], crs="EPSG:3794").to_file(other)
    with pytest.raises(InputError, match="not a sample by"):
        open_queue(view.run, str(other))


def test_a_column_of_numbers_is_refused_before_anything_is_written_into_it(view, sample):
    with changing(sample) as content:
        content.execute("ALTER TABLE sample ADD COLUMN number INTEGER")
    settings = EstimateSettings(sample=str(sample), label="number")
    project = view.run.plan.project.model_copy(update={"estimate": settings})
    run = replace(view.run, plan=replace(view.run.plan, project=project))
    with pytest.raises(InputError, match="not of text"):
        open_queue(run, "sample")


def started(folder, *options):
    command = [sys.executable, "-m", "landweave", "view", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
    base = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
    return process, base


def post(base, path, content):
    headers = {"Content-Type": "application/json", "Origin": base}
    request = urllib.request.Request(f"{base}{path}", json.dumps(content).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def asked_of(base):
    """The queue; the address is printed a moment before the server listens."""
    end = time.monotonic() + 20
    while True:
        try:
            return post(base, "/verdicts/queue", {"interpreter": "ana"})
        except urllib.error.URLError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)


def test_a_server_killed_at_any_moment_loses_no_verdict_that_it_answered(folder):
    path = folder / "verdicts.gpkg"
    saved, sent = set(), 0
    for number, wait in enumerate((0.0, 0.004, 0.02)):
        process, base = started(folder, "--verdicts", "places")
        try:
            asked = asked_of(base)
            places = [place["id"] for place in asked["places"]]
            assert {place for place, _ in saved} <= set(asked["mine"])
            name = next(iter(places_classes(folder)))
            killer = subprocess.Popen(["sh", "-c", f"sleep {0.6 + wait}; kill -9 {process.pid}"])
            end = time.monotonic() + 10
            while time.monotonic() < end:
                uid, place = f"{number}-{sent:08d}", places[sent % len(places)]
                sent += 1
                try:
                    post(base, "/verdicts", {"uid": uid, "interpreter": "ana", "place": place, "name": name})
                except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
                    break
                saved.add((place, uid))
            killer.wait(timeout=20)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
            process.stdout.close()
    assert len(saved) > 10
    recover(path)
    frame = gpd.read_file(path, layer="verdicts")
    assert {uid for _, uid in saved} <= set(frame["uid"])
    # At most the one that was under way at each kill was kept without an answer.
    assert len(frame) <= len(saved) + 3


def places_classes(folder):
    return gpd.read_file(folder / "out" / "label_errors.gpkg")["reference_class"]
