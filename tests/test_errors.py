import inspect
import pickle

import pytest

from geoae import errors
from geoae.errors import BusyError, ClusterError, GeoaeError, InputError, OutputError, ReadError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass)]
TRANSIENT = {ReadError, BusyError, ClusterError}


def test_all_are_public_and_no_other_is():
    assert sorted(found.__name__ for found in CLASSES) == sorted(errors.__all__)


@pytest.mark.parametrize("error", CLASSES)
def test_each_is_one_of_geoae_and_says_what_it_is_in_one_line(error):
    assert issubclass(error, GeoaeError)
    assert error.__doc__.strip()
    assert "\n" not in error.__doc__.strip()
    assert error.__name__ in errors.__doc__, "in the picture of the tree"


@pytest.mark.parametrize("error", CLASSES)
def test_only_what_may_pass_by_itself_is_worth_a_retry(error):
    assert error.transient is (error in TRANSIENT)


def test_a_kind_is_caught_with_its_parent():
    assert issubclass(ReadError, InputError)
    assert issubclass(BusyError, OutputError)


@pytest.mark.parametrize("error", CLASSES)
def test_each_comes_back_from_another_process(error):
    found = pickle.loads(pickle.dumps(error("s.tif: is broken")))
    assert type(found) is error
    assert str(found) == "s.tif: is broken"
