import time
from dataclasses import replace

import pytest

from scripts.gpu_day import gpu_tests
from scripts.gpu_day.day import SMALL, Day

SOURCE = """
import pytest

pytestmark = pytest.mark.gpu

def test_good(): pass
def test_bad(): assert False
def test_absent(): pytest.skip("no CUDA device")
"""


@pytest.fixture
def day(tmp_path, monkeypatch):
    (tmp_path / "test_some.py").write_text(SOURCE)
    monkeypatch.setattr(gpu_tests, "FILES", (str(tmp_path / "test_some.py"),))
    return Day(tmp_path, tmp_path, tmp_path, "cpu", SMALL, (), time.monotonic() + 120)


def test_failures_are_counted_and_named(day):
    told = gpu_tests.run_pytest(day)
    assert (told["passed"], told["skipped"], told["failed"]) == (1, 1, 1)
    assert told["names"] == ["test_bad"]
    assert told["error"] == "1 failed, 1 skipped"


def test_a_skipped_test_is_an_error_where_there_is_a_gpu(day):
    path = day.work / "test_some.py"
    path.write_text(SOURCE.replace("assert False", "pass"))
    assert "error" not in gpu_tests.run_pytest(day)
    assert gpu_tests.run_pytest(replace(day, device="cuda"))["error"] == "0 failed, 1 skipped"
