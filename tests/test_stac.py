import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geoae.errors import InputError
from geoae.sources import scenes
from geoae.stac import items

pystac = pytest.importorskip("pystac")


def item(name: str, day: int, **assets: str):
    made = pystac.Item(name, None, None, datetime(2026, 11, day, tzinfo=UTC), {})
    for key, href in assets.items():
        roles, kind = (
            (["thumbnail"], "image/png") if key == "preview" else (["data"], "image/tiff; profile=cloud-optimized")
        )
        made.add_asset(key, pystac.Asset(href, media_type=kind, roles=roles))
    return made


@pytest.fixture
def catalogue(tmp_path):
    extent = pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]]))
    collection = pystac.Collection("l5", "scenes", extent)
    collection.add_items([item("one", 1, image="/data/one.tif", preview="/data/one.png"), item("two", 20, red="/data/r.tif", nir="/data/n.tif")])  # fmt: skip
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
    assert [one.name for one in scenes(str(catalogue / "l5" / "collection.json"))] == ["l5/one.tif", "l5/two_nir.tif", "l5/two_red.tif"]  # fmt: skip


def test_only_what_is_newer(catalogue):
    found = scenes(str(catalogue / "catalog.json"), since=datetime(2026, 11, 10, tzinfo=UTC))
    assert [one.name for one in found] == ["l5/two_nir.tif", "l5/two_red.tif"]


def test_a_catalogue_in_a_store(catalogue):
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(catalogue), "/archive", recursive=True)
    assert len(items("memory://archive/catalog.json", None)) == 3


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
                features = [item("one", 1, image="https://data/one.tif").to_dict(include_self_link=False), item("two", 2, image="/data/two.tif").to_dict(include_self_link=False)]  # fmt: skip
                reply = {"type": "FeatureCollection", "features": features, "links": []}
            else:
                base = f"http://127.0.0.1:{self.server.server_port}"
                reply = pystac.Catalog("api", "an API").to_dict(include_self_link=False)
                reply["conformsTo"] = [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/item-search",
                ]
                reply["links"] = [{"rel": "search", "href": f"{base}/search", "type": "application/geo+json", "method": "POST"}, {"rel": "self", "href": base}]  # fmt: skip
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
    assert [(source, name) for source, name, _ in found] == [("/vsicurl/https://data/one.tif", "one.tif"), ("/data/two.tif", "two.tif")]  # fmt: skip
    assert asked[0]["collections"] == ["l5"]


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "catalog.json").write_text("{}")
    for where in (tmp_path / "catalog.json", tmp_path / "missing.json"):
        with pytest.raises(InputError, match=r"cannot be read as STAC \(.*\); check") as caught:
            items(str(where), None)
        assert "\n" not in str(caught.value)
