import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def figures():
    """The figures of ``scripts/structure``: the first number of each line by its name."""
    words = [sys.executable, ROOT / "scripts/structure"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line[:42].strip(): line[42:] for line in lines}


@pytest.mark.parametrize(
    ("name", "place", "least", "most"),
    [
        ("entries at the top of the package", 0, 1, 22),
        ("modules in the fullest folder", 0, 1, 12),
        ("import layers, as declared", 0, 1, 9),
        ("function length, median / p90 / longest", 4, 1, 60),
        ("functions named by participles", 0, 0, 3),
        ("lines over 100 characters, per 1,000", 0, 0, 15),
        ("public functions with an Args section", 0, 90, 100),
    ],
)
def test_the_house_keeps_its_shape(figures, name, place, least, most):
    assert least <= float(figures[name].split()[place]) <= most
