import gc
from unittest.mock import Mock

import pytest

from geoae import resources
from geoae.catalog.s3 import (
    abort_uploads,
    delete_object,
    find_object,
    hold_upload,
    list_objects,
    list_with_sidecars,
    read_object,
    s3_settings,
    write_object,
)
from geoae.catalog.sources import scenes
from geoae.errors import GeoaeError, InputError
from tests.support.stores import fill_bucket


def test_a_long_list_comes_in_pages(s3_server):
    _, store = s3_server
    names = [f"in/s{index:04d}.tif" for index in range(1001)]
    fill_bucket([*names, "other.tif"])
    store.requests.clear()
    assert [one.name for one in list_objects("s3://archive/in/")] == [
        f"/vsis3/archive/{name}" for name in names
    ]
    assert len(store.requests) == 2


def test_scenes_of_a_folder_in_a_store(s3):
    for name in ("a.tif", "deep/b.TIF", "deep/b.TIF.msk", ".hidden/c.tif", "d.txt", "out/a.tif"):
        s3.put_object(Bucket="archive", Key=f"in/{name}", Body=b"scene")
    found = scenes("s3://archive/in", beside="s3://archive/in/out/")
    assert [(one.source, one.name, one.size) for one in found] == [
        ("/vsis3/archive/in/a.tif", "a.tif", 5),
        ("/vsis3/archive/in/deep/b.TIF", "deep/b.tif", 5),
    ]
    assert all(one.changed > 0 for one in found)
    assert scenes(["/vsis3/archive/in/"], beside="/vsis3/archive/in/out") == found
    assert scenes("s3://archive/in/a.tif")[0].stamp == ""


def test_a_stamp_changes_with_an_object_and_its_sidecars(s3):
    def stamps():
        listed = list_with_sidecars("s3://archive/in/", (".tif",), lambda name: [f"{name}.msk"])
        return {name: one.stamp for name, one in listed}

    for name in ("a.tif", "b.tif"):
        s3.put_object(Bucket="archive", Key=f"in/{name}", Body=b"scene")
    first = stamps()
    assert stamps() == first
    s3.put_object(Bucket="archive", Key="in/a.tif", Body=b"other")
    s3.put_object(Bucket="archive", Key="in/b.tif.msk", Body=b"mask")
    second = stamps()
    assert list(second) == ["a.tif", "b.tif"]
    assert second["a.tif"] != first["a.tif"]
    assert second["b.tif"] != first["b.tif"]


def test_a_small_object(s3):
    name = "/vsis3/archive/notes/one.json"
    assert find_object(name) is None
    write_object(name, b"{}")
    assert read_object(name) == b"{}"
    assert find_object(name) == next(iter(list_objects(name)))
    delete_object(name)
    delete_object(name)
    assert find_object(name) is None
    with pytest.raises(InputError, match=r"s3://archive/notes/one\.json: the store refuses this"):
        read_object(name)


@pytest.mark.parametrize("size", [9, 6 << 20])  # of one part, and of two
def test_an_upload_gets_its_name_at_the_end_of_its_block(s3, tmp_path, monkeypatch, size):
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "5")
    (tmp_path / "x").write_bytes(bytes(size))
    write_object("s3://archive/x.tif", b"older")
    with pytest.raises(KeyError), hold_upload(str(tmp_path / "x"), "/vsis3/archive/x.tif"):
        raise KeyError
    assert read_object("s3://archive/x.tif") == b"older"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="archive")
    with hold_upload(str(tmp_path / "x"), "/vsis3/archive/x.tif"):
        assert read_object("s3://archive/x.tif") == b"older"
    assert read_object("s3://archive/x.tif") == bytes(size)
    assert s3.head_object(Bucket="archive", Key="x.tif")["ContentType"] == "image/tiff"


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("failure", [PermissionError("full"), KeyboardInterrupt()])
def test_an_upload_that_fails_sends_no_more(s3, tmp_path, monkeypatch, failure, lost):
    """It says what failed first, also where the store is lost as it is told to drop the parts."""
    from botocore.exceptions import ConnectionClosedError
    from s3fs import S3FileSystem

    called = []

    def call(store, method, *args, **kwargs):
        called.append(method)
        if called.count("upload_part") == 2:
            raise failure
        return given(store, method, *args, **kwargs)

    given = S3FileSystem.call_s3
    monkeypatch.setattr(S3FileSystem, "call_s3", call)
    if lost:
        gone = ConnectionClosedError(endpoint_url="nowhere")
        monkeypatch.setattr(S3FileSystem, "abort_mpu", Mock(side_effect=gone))
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "5")
    (tmp_path / "x").write_bytes(bytes(13 << 20))
    said = InputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(said, match=r"full|^$"), hold_upload(str(tmp_path / "x"), "s3://archive/x"):
        pass
    gc.collect()  # what it held is closed by now
    assert called == ["create_multipart_upload", "upload_part", "upload_part"]
    assert ("Uploads" in s3.list_multipart_uploads(Bucket="archive")) == lost


def test_what_fails_on_this_machine_is_not_put_down_to_the_store(s3, tmp_path):
    for name, said in (("none", FileNotFoundError), ("", IsADirectoryError)):
        with pytest.raises(said), hold_upload(str(tmp_path / name), "s3://archive/x"):
            pass
    (tmp_path / "x").write_bytes(b"scene")
    with pytest.raises(TimeoutError), hold_upload(str(tmp_path / "x"), "s3://archive/x"):
        raise TimeoutError


def test_parts_of_an_upload_grow_where_a_store_takes_no_more_of_them(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "5")
    monkeypatch.setattr("geoae.catalog.s3.MOST_PARTS", 2)
    (tmp_path / "x").write_bytes(bytes(13 << 20))
    with hold_upload(str(tmp_path / "x"), "/vsis3/archive/x.tif"):
        pass
    assert s3.head_object(Bucket="archive", Key="x.tif")["ETag"].endswith('-2"')


def test_uploads_of_one_object_are_aborted(s3):
    for key in ("x.tif", "x.tif", "x.tif.aux.xml"):
        s3.create_multipart_upload(Bucket="archive", Key=key)
    assert abort_uploads("/vsis3/archive/x.tif") == 2
    left = s3.list_multipart_uploads(Bucket="archive")["Uploads"]
    assert [one["Key"] for one in left] == ["x.tif.aux.xml"]
    assert abort_uploads("/vsis3/archive/x.tif") == 0


def test_what_the_store_says_is_one_line(s3):
    with pytest.raises(InputError, match=r"s3://nowhere/: the store refuses this \(.*bucket.*\)"):
        list(list_objects("s3://nowhere/"))
    with pytest.raises(InputError, match="s3://nowhere/x: the store refuses this"):
        write_object("s3://nowhere/x", b"")


def test_an_extra_that_lacks_is_named(monkeypatch):
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    with pytest.raises(GeoaeError, match=r"needs s3fs: pip install 'geoae\[s3\]'"):
        list(list_objects("s3://archive/"))


def test_settings_are_those_of_gdal(monkeypatch):
    for name in ("AWS_S3_ENDPOINT", "AWS_HTTPS", "AWS_VIRTUAL_HOSTING", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert s3_settings() == {"anon": False, "default_block_size": 50 << 20}
    monkeypatch.setenv("AWS_S3_ENDPOINT", "minio:9000")
    monkeypatch.setenv("AWS_HTTPS", "no")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "7")
    assert s3_settings() == {
        "anon": True,
        "default_block_size": 7 << 20,
        "client_kwargs": {"region_name": "eu-north-1"},
        "endpoint_url": "http://minio:9000",
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }


def test_a_word_that_is_not_no_is_yes_and_an_empty_one_is_none(monkeypatch):
    monkeypatch.setenv("AWS_S3_ENDPOINT", "minio:9000")
    monkeypatch.setenv("AWS_HTTPS", "y")
    assert s3_settings()["endpoint_url"] == "https://minio:9000"
    monkeypatch.setenv("AWS_HTTPS", "")
    assert s3_settings()["endpoint_url"] == "https://minio:9000"
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "")
    assert not s3_settings()["anon"]
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "")
    assert s3_settings()["default_block_size"] == 50 << 20


@pytest.mark.parametrize("said", ["fifty", "4", "5121", "-5", "5.5", "\u0665"])
def test_a_size_of_parts_that_is_none_is_one_line(monkeypatch, said):
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", said)
    with pytest.raises(InputError, match=rf"^VSIS3_CHUNK_SIZE={said}: .* from 5 to 5120, or unset"):
        list(list_objects("s3://archive/"))


@pytest.mark.parametrize("said", ["[::1]:9000", "https://[2001:db8::1]", "10.0.0.7:9000"])
def test_an_endpoint_may_be_a_number(monkeypatch, said):
    monkeypatch.setenv("AWS_HTTPS", "YES")
    monkeypatch.setenv("AWS_S3_ENDPOINT", said)
    assert s3_settings()["endpoint_url"] == f"https://{said.removeprefix('https://')}"


@pytest.mark.parametrize("said", ["no host", "http://", "http://[::1", "::1", "http://[v]:9"])
def test_an_endpoint_that_is_none_is_one_line(monkeypatch, said):
    monkeypatch.setenv("AWS_S3_ENDPOINT", said)
    with pytest.raises(InputError, match=r"^AWS_S3_ENDPOINT: \S*.* is no address; give HOST, HOST"):
        list(list_objects("s3://archive/"))
