import os
import subprocess
import sys

import numpy as np
import pytest

from geoae.system.memory import allocate_small_pieces

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="glibc and /proc belong to Linux")
MIB = 1 << 20


@LINUX
def test_the_peak_is_that_of_this_process_and_stays():
    """Not that of the process that started it, which holds more; nor less once memory is free
    again.
    """
    held = np.ones(600 * MIB, np.uint8)
    script = f"""
import numpy as np
from geoae.system.memory import peak_rss
before = peak_rss()
np.ones({200 * MIB}, np.uint8)
print(before, peak_rss())
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, after = map(int, found.stdout.split())
    assert 0 < before < held.nbytes
    assert after - before > 150 * MIB


@LINUX
@pytest.mark.parametrize(("tuned", "kept"), [(True, True), (False, False)])
def test_freed_arrays_stay_in_a_tuned_process_but_for_a_block(tuned, kept):
    """Arrays of 1 MiB that are freed one by one: kept for the next ones, or mostly given
    back.
    """
    script = f"""
import numpy as np, psutil
from geoae.system.memory import allocate_small_pieces, keep_large_arrays
if {tuned}: keep_large_arrays()
def rise():
    before = psutil.Process().memory_info().rss
    arrays = [np.ones(1 << 20, np.uint8) for _ in range(400)]
    del arrays
    return (psutil.Process().memory_info().rss - before) >> 20
with allocate_small_pieces(): print(rise())
print(rise())
"""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "LD_"))
    }
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    inside, outside = map(int, found.stdout.split())
    assert inside < 200
    assert (outside > 350) == kept


def test_an_error_inside_the_block_comes_out():
    with pytest.raises(ValueError, match="any"), allocate_small_pieces():
        raise ValueError("any")


@pytest.mark.parametrize("tuned", [True, False])
def test_the_block_cache_is_small_in_a_tuned_process_and_only_for_the_block(tuned):
    script = f"""
from rasterio.env import Env, get_gdal_config
from geoae.system.memory import keep_large_arrays, small_block_cache
if {tuned}: keep_large_arrays()
def mib():
    with Env(): return get_gdal_config("GDAL_CACHEMAX") >> 20
for most in (16 << 20, 96 << 20, None):
    with small_block_cache(most): print(mib())
    print(mib())
"""
    environment = os.environ | {"GDAL_CACHEMAX": "48"}
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    first = 16 if tuned else 48
    assert list(map(int, found.stdout.split())) == [first, 48, 48, 48, 48, 48]
