from pathlib import Path

import numpy as np
import pytest

from tests.support.rasters import noise, texture, write


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A noisy scene of 13 slabs of 64 px."""
    pixels = texture(2, 500, 300) + noise((2, 500, 300), 30)
    return write(tmp_path_factory.mktemp("scene") / "in.tif", pixels.astype(np.uint16))
