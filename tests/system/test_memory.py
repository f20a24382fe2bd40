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
    """Arrays of 1 MiB that are freed one by one: kept for the next ones, or given back at once."""
    script = f"""
import numpy as np, psutil
from geoae.system.memory import allocate_small_pieces, keep_large_arrays
if {tuned}: keep_large_arrays()
def rise():
    before = psutil.Process().memory_info().rss
    arrays = [np.ones(1 << 20, np.uint8) for _ in range(100)]
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
    assert inside < 20
    assert (outside > 80) == kept


def test_an_error_inside_the_block_comes_out():
    with pytest.raises(ValueError, match="any"), allocate_small_pieces():
        raise ValueError("any")
