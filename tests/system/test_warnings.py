import threading
import warnings

from geoae.system.warnings import SILENCE


def test_threads_leave_the_filters_as_they_were():
    """The first to come is the first to go: what it restores must not be what the second still
    needs, nor stay.
    """
    before, within, gone = (
        list(warnings.filters),
        threading.Barrier(2, timeout=9),
        threading.Event(),
    )
    silent = []

    def first():
        with SILENCE:
            within.wait()
        gone.set()

    def second():
        within.wait()
        with SILENCE:
            gone.wait(9)
            silent.append(warnings.filters != before)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert silent == [True]
    assert warnings.filters == before
