import subprocess
import sys

import numpy as np
import pytest

from geoae.system.memory import allocate_small_pieces, peak_rss

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="glibc and /proc are Linux's")
MIB = 1 << 20


@LINUX
def test_the_peak_stays_when_the_memory_is_free_again():
    before = peak_rss()
    np.ones(2 * before, np.uint8)
    assert peak_rss() >= 2 * before


@LINUX
def test_the_peak_of_the_process_that_started_this_one_does_not_count():
    held = np.ones(300 * MIB, np.uint8)
    found = subprocess.run(
        [sys.executable, "-c", "from geoae.system.memory import peak_rss; print(peak_rss())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(found.stdout) < held.nbytes


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
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    inside, outside = map(int, found.stdout.split())
    assert inside < 20
    assert (outside > 80) == kept


def test_an_error_inside_the_block_comes_out():
    with pytest.raises(ValueError, match="any"), allocate_small_pieces():
        raise ValueError("any")
