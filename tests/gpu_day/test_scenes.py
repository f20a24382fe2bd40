import numpy as np
import pytest
import rasterio

from geoae.raster.scene import Scene
from geoae.training.config import TrainConfig
from scripts.gpu_day import scenes
from scripts.gpu_day.scenes import decode, encode, pack_scenes, unpack_scenes
from tests.support.rasters import masks, noise, read, texture, write


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_decoding_undoes_encoding(dtype):
    pixels = (texture(3, 20, 30) + noise((3, 20, 30), 500)).astype(dtype)
    assert decode(encode(pixels), dtype).tobytes() == pixels.tobytes()


@pytest.fixture
def config():
    group = {"files": ["*.tif"]}
    return TrainConfig(
        name="m", cycles=[1], groups=[group], validation=["sub/kept.tif"], exclude=["out.tif"]
    )


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "scenes"
    (made / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.tif", "sub/kept.tif", "out.tif"]):
        write(made / name, texture(3, 700, 600, number).astype(np.uint16))
    damaged = texture(2, 300, 300).astype(np.float32)
    damaged[:, :5] = np.nan
    write(made / "b.tif", damaged, nodata=float("nan"))
    with rasterio.open(made / "a.tif", "r+") as dataset:
        dataset.set_band_description(2, "red")
    return made


def test_scenes_come_back_with_pixels_names_and_holes(folder, config, tmp_path):
    told = pack_scenes(folder, config, tmp_path / "s.npz", 1 << 24)
    assert (told["scenes"], told["kept out"]) == (3, 1)
    back = unpack_scenes(tmp_path / "s.npz", tmp_path / "back")
    assert back == {"scenes": 3, "kept out": ["sub/kept.tif"]}
    assert (read(tmp_path / "back/a.tif") == read(folder / "a.tif")).all()
    assert rasterio.open(tmp_path / "back/a.tif").descriptions[1] == "red"
    assert read(tmp_path / "back/sub/kept.tif").shape == (3, 256, 256)
    assert (masks(tmp_path / "back/b.tif") == masks(folder / "b.tif")).all()
    assert Scene.open(str(tmp_path / "back/b.tif")).bands == (1, 2)
    assert not (tmp_path / "back/out.tif").exists()


def test_scenes_are_cut_to_the_size_that_may_travel(folder, config, tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "SIDES", (256, 600))
    whole = pack_scenes(folder, config, tmp_path / "s.npz", 1 << 24)
    cut = pack_scenes(folder, config, tmp_path / "s.npz", whole["bytes"] - 1)
    assert (whole["side"], cut["side"]) == (600, 256)
    assert cut["bytes"] == (tmp_path / "s.npz").stat().st_size
    with pytest.raises(ValueError, match="more than the 1000 bytes"):
        pack_scenes(folder, config, tmp_path / "s.npz", 1000)


def test_of_many_scenes_alike_some_are_packed(folder, config, tmp_path):
    for number in range(13):
        write(folder / f"sub/{number:02}.tif", texture(1, 192, 192).astype(np.uint8))
    pack_scenes(folder, config, tmp_path / "s.npz", 1 << 24)
    unpack_scenes(tmp_path / "s.npz", tmp_path / "back")
    names = sorted(path.name for path in (tmp_path / "back/sub").iterdir())
    assert names == ["00.tif", "02.tif", "04.tif", "06.tif", "08.tif", "10.tif", "kept.tif"]


def test_a_folder_without_scenes_that_are_kept_out_is_refused(folder, config, tmp_path):
    (folder / "sub/kept.tif").unlink()
    with pytest.raises(ValueError, match="keeps out"):
        pack_scenes(folder, config, tmp_path / "s.npz", 1 << 24)
