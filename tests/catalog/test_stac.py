import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geoae.archive.failures import Failures
from geoae.archive.triage import triage
from geoae.catalog.sources import scenes
from geoae.catalog.stac import items
from geoae.errors import InputError
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from tests.support.rasters import noise, read, texture, write

pystac = pytest.importorskip("pystac")


def item(name: str, day: int, **assets: str):
    made = pystac.Item(name, None, None, datetime(2026, 11, day, tzinfo=UTC), {})
    for key, href in assets.items():
        roles, kind = (
            (["thumbnail"], "image/png")
            if key == "preview"
            else (["data"], "image/tiff; profile=cloud-optimized")
        )
        made.add_asset(key, pystac.Asset(href, media_type=kind, roles=roles))
    return made


@pytest.fixture
def catalogue(tmp_path):
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection("l5", "scenes", extent)
    collection.add_items(
        [
            item("one", 1, image="/data/one.tif", preview="/data/one.png"),
            item("two", 20, red="/data/r.tif", nir="/data/n.tif"),
        ]
    )
    top = pystac.Catalog("top", "a catalogue")
    top.add_child(collection)
    top.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path


def test_a_static_catalogue(catalogue):
    found = [(source, name) for source, name, _ in items(str(catalogue / "catalog.json"), None)]
    assert found == [
        ("/data/one.tif", "l5/one.tif"),
        ("/data/r.tif", "l5/two_red.tif"),
        ("/data/n.tif", "l5/two_nir.tif"),
    ]
    assert [one.name for one in scenes(str(catalogue / "l5" / "collection.json"))] == [
        "l5/one.tif",
        "l5/two_nir.tif",
        "l5/two_red.tif",
    ]


CLASS_NAMES = [{"value": 4, "name": "vegetation"}]
ASSETS = {  # key: (fields, roles, whether it is restored)
    "red": ({}, ["data", "reflectance"], True),
    "visual": ({}, ["visual"], True),
    "vv": ({}, ["data"], True),
    "stack": ({"bands": [{}, {"classification:classes": CLASS_NAMES}]}, ["data"], True),
    "scl": ({}, ["data", "reflectance"], False),
    "qa_pixel": ({}, ["data"], False),
    "Fmask": ({}, ["data"], False),
    "ortho_udm2": ({}, ["data"], False),
    "vza": ({}, ["data"], False),
    "one": ({"classification:classes": CLASS_NAMES}, ["data"], False),
    "two": ({"classification:bitfields": [{"offset": 0, "length": 1}]}, ["data"], False),
    "three": ({"file:values": [{"values": [4], "summary": "vegetation"}]}, ["data"], False),
    "four": ({"raster:bands": [{"classification:classes": CLASS_NAMES}]}, ["data"], False),
    "five": ({"bands": [{"classification:classes": CLASS_NAMES}] * 2}, ["data"], False),
    "six": ({}, ["data", "cloud"], True),
    "seven": ({}, ["water-mask"], False),
    "eight": ({}, ["metadata"], False),
}


@pytest.mark.parametrize("key", ASSETS)
def test_assets_of_flags_and_classes_are_left_out(tmp_path, key):
    fields, roles, restored = ASSETS[key]
    one = item("scene", 1)
    for name, more, said in ((key, fields, roles), ("blue", {}, ["data"])):
        asset = pystac.Asset(
            f"/data/{name}.tif", media_type=pystac.MediaType.COG, roles=said, extra_fields=more
        )
        one.add_asset(name, asset)
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection("c", "scenes", extent)
    collection.add_items([one])
    collection.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    found = [source for source, _, _ in items(str(tmp_path / "collection.json"), None)]
    # Where there are data, what is only for looking at is left out too.
    assert (f"/data/{key}.tif" in found) == (restored and "data" in roles)
    assert "/data/blue.tif" in found


def test_only_what_is_newer(catalogue):
    found = scenes(str(catalogue / "catalog.json"), since=datetime(2026, 11, 10, tzinfo=UTC))
    assert [one.name for one in found] == ["l5/two_nir.tif", "l5/two_red.tif"]


def test_a_catalogue_in_a_store(catalogue):
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(catalogue), "/archive", recursive=True)
    assert len(items("memory://archive/catalog.json", None)) == 3


@pytest.fixture
def stored(tmp_path, s3):
    """A catalogue in the bucket: one scene that it names by its address, one beside its item."""
    pixels = (texture(2, 100, 90) + noise((2, 100, 90), 9)).astype("uint16")
    for name in ("near", "far"):
        s3.upload_file(
            str(write(tmp_path / f"{name}.tif", pixels)), "archive", f"l5/{name}/{name}.tif"
        )
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection("l5", "scenes", extent)
    collection.add_items(
        [item("near", 1, image="./near.tif"), item("far", 2, image="s3://archive/l5/far/far.tif")]
    )
    top = pystac.Catalog("top", "a catalogue")
    top.add_child(collection)
    top.normalize_and_save(str(tmp_path / "catalogue"), pystac.CatalogType.SELF_CONTAINED)
    for path in (tmp_path / "catalogue").rglob("*.json"):
        s3.upload_file(str(path), "archive", path.relative_to(tmp_path / "catalogue").as_posix())
    return tmp_path / "near.tif"


@pytest.mark.parametrize(
    "where", ["s3://archive/catalog.json", "/vsis3/archive/l5/collection.json"]
)
def test_a_catalogue_on_s3(stored, where):
    found = [(one.source, one.name) for one in scenes(where)]
    assert found == [
        ("/vsis3/archive/l5/far/far.tif", "l5/far.tif"),
        ("/vsis3/archive/l5/near/near.tif", "l5/near.tif"),
    ]


def test_scenes_of_a_catalogue_on_s3_are_restored_once(stored, tmp_path):
    out = tmp_path / "out"
    options = {"model": "identity", "tile": 64}
    first = triage(scenes("s3://archive/catalog.json"), str(out), options, Failures.below(str(out)))
    (out / "l5").mkdir(parents=True)
    assert [run(job).status for _, job in first.jobs()] == ["restored", "restored"]
    assert (read(out / "l5" / "near.tif") == read(stored)).all()
    again = triage(scenes("s3://archive/catalog.json"), str(out), options, Failures.below(str(out)))
    assert [one.status for one in again.outcomes] == ["skipped", "skipped"]


def test_a_scene_goes_to_s3(stored):
    job = Job(
        source="/vsis3/archive/l5/near/near.tif",
        target="/vsis3/archive/out/near.tif",
        model="identity",
        tile=64,
    )
    report = run(job)
    assert max(map(abs, report.bias)) == 0
    assert (read(job.target) == read(stored)).all()
    assert run(job).status == "skipped"


def test_what_is_not_on_s3_is_told_in_one_line(s3):
    with pytest.raises(
        InputError, match=r"s3://archive/missing.json: cannot be read as STAC \(.*\); check"
    ) as caught:
        items("s3://archive/missing.json", None)
    assert "\n" not in str(caught.value)


@pytest.fixture
def api():
    """A STAC API of one collection with two pages of items."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer()

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer()

        def answer(self):
            if self.path.startswith("/search"):
                features = [
                    item("one", 1, image="https://data/one.tif").to_dict(include_self_link=False),
                    item("two", 2, image="/data/two.tif").to_dict(include_self_link=False),
                ]
                reply = {"type": "FeatureCollection", "features": features, "links": []}
            else:
                base = f"http://127.0.0.1:{self.server.server_port}"
                reply = pystac.Catalog("api", "an API").to_dict(include_self_link=False)
                reply["conformsTo"] = [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/item-search",
                ]
                reply["links"] = [
                    {
                        "rel": "search",
                        "href": f"{base}/search",
                        "type": "application/geo+json",
                        "method": "POST",
                    },
                    {"rel": "self", "href": base},
                ]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *words):
            pass

    asked: list[dict] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_search_on_an_api(api):
    address, asked = api
    found = items(f"{address}/collections/l5", None)
    assert [(source, name) for source, name, _ in found] == [
        ("/vsicurl/https://data/one.tif", "one.tif"),
        ("/data/two.tif", "two.tif"),
    ]
    assert asked[0]["collections"] == ["l5"]


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "catalog.json").write_text("{}")
    for where in (tmp_path / "catalog.json", tmp_path / "missing.json"):
        with pytest.raises(InputError, match=r"cannot be read as STAC \(.*\); check") as caught:
            items(str(where), None)
        assert "\n" not in str(caught.value)
