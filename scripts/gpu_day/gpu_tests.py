"""The step ``tests``: the tests that are marked ``gpu``."""

import xml.etree.ElementTree as ElementTree
from typing import Any

from scripts.gpu_day.day import ROOT, Day, Task, start

__all__ = ["list_tasks"]

# Files with such tests. The machine lacks packages that fixtures of all tests need, so
# ``tests/conftest.py`` is cut off; so are plug-ins, of which it may have any version.
FILES = ("tests/gpu/test_cuda.py", "tests/models/test_torch_restorer.py")
SETTINGS = "[pytest]\nmarkers =\n    gpu: needs a CUDA device\n    slow: minutes\n"


def list_tasks(day: Day) -> list[Task]:
    """List the one task."""
    return [Task("pytest", 60, lambda: run_pytest(day))]


def run_pytest(day: Day) -> dict[str, Any]:
    """Run the tests; count those that passed, were skipped and failed, and name the failed."""
    settings, report = day.work / "pytest.ini", day.work / "pytest.xml"
    settings.write_text(SETTINGS)
    apart = f"--confcutdir={ROOT}/tests/models"
    apart = f"--confcutdir={ROOT}/tests/models"
    options = (
        "-q",
        "-m",
        "gpu",
        apart,
        "-p",
        "no:cacheprovider",
        "-c",
        str(settings),
        f"--rootdir={day.work}",
        f"--junit-xml={report}",
    )
    report.unlink(missing_ok=True)
    try:
        start(day, "-m", "pytest", *options, *FILES)
    except RuntimeError:
        if not report.exists():
            raise
    suite = ElementTree.parse(report).getroot()[0]
    bad = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    skipped, every = int(suite.attrib["skipped"]), int(suite.attrib["tests"])
    names = [case.attrib["name"] for case in suite if {"failure", "error"} & {c.tag for c in case}]
    counts = {"passed": every - bad - skipped, "skipped": skipped, "failed": bad, "names": names}
    unexpected = bad or (skipped and day.device != "cpu")
    return counts | ({"error": f"{bad} failed, {skipped} skipped"} if unexpected else {})
