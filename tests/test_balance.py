import pytest

from tests.support.balance import balance


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize(("slow", "fast"), [(0, 7), (7, 0), (5, 100), (138, 4900), (3, 2)])
def test_each_test_runs_once_and_each_worker_begins_with_slow_ones(slow, fast, workers):
    given = [f"slow {number}" for number in range(slow)], list(range(fast))
    ordered = balance(*given, workers)
    assert sorted(map(str, ordered)) == sorted(map(str, [*given[0], *given[1]]))
    assert [one for one in ordered if isinstance(one, str)] == given[0]
    if slow >= workers and fast >= slow * workers:
        starts = [len(ordered) * worker // workers for worker in range(workers)]
        assert all(str(ordered[start]).startswith("slow") for start in starts)
        assert all(isinstance(ordered[start - 1], int) for start in starts)
