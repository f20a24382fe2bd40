import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.system.ahead import read_ahead


@given(st.integers(0, 20), st.integers(0, 5))
def test_ahead_is_map_in_order(count, depth):
    with ThreadPoolExecutor(3) as pool:
        assert list(read_ahead(pool, lambda x: x * x, range(count), depth)) == [
            x * x for x in range(count)
        ]


def test_ahead_runs_ahead_but_no_farther_than_depth():
    started, go_on = [], threading.Event()

    def slow(item):
        started.append(item)
        return go_on.wait(10)

    with ThreadPoolExecutor(20) as pool:
        taken = []
        results = read_ahead(pool, slow, (taken.append(i) or i for i in range(20)), 4)
        threading.Timer(0.05, go_on.set).start()
        next(results)
        assert taken == [0, 1, 2, 3, 4]
        assert len(list(results)) == 19


def test_ahead_raises_what_a_call_raised_and_starts_no_more():
    started = []

    def failing(item):
        started.append(item)
        if item == 2:
            raise OSError("block 2")
        return item

    with ThreadPoolExecutor(1) as pool:
        results = read_ahead(pool, failing, range(100), 3)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(OSError, match="block 2"):
            next(results)
    assert len(started) <= 6
