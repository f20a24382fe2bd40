"""What a run shows of its progress."""

from uuid import uuid4

import pytest

from geoae.pipeline.run import Progress

pytest.importorskip("prefect")


@pytest.fixture
def shown(monkeypatch):
    """What the server is told, second by second; it fails while it is ``away``."""
    import httpx

    from flows import artifacts

    class Shown(list):
        now, away = 0.0, False

        def update(self, artifact, share):
            self.append((self.now, share))
            if self.away:
                raise httpx.ConnectError("away")

    shown = Shown()
    monkeypatch.setattr(artifacts, "create_progress_artifact", lambda *words, **more: uuid4())
    monkeypatch.setattr(artifacts, "update_progress_artifact", shown.update)
    monkeypatch.setattr(artifacts.time, "monotonic", lambda: shown.now)
    return shown


def work(shown, update, done: range, total: int = 1000) -> None:
    """One tile a second."""
    for number in done:
        shown.now = float(number)
        update(Progress(done=number, total=total, resumed=0))


def test_progress_is_shown_every_few_seconds_and_in_the_end(shown):
    from flows.artifacts import progress

    work(shown, progress("scene.tif"), range(1, 13), total=12)
    assert [now for now, _ in shown] == [5.0, 10.0, 12.0]
    assert shown[-1] == (12.0, 100.0)


def test_a_server_that_is_away_is_asked_again_later(shown):
    from flows.artifacts import progress

    update = progress("scene.tif")
    shown.away = True
    work(shown, update, range(1, 200))
    assert [now for now, _ in shown] == [5.0]
    shown.away = False
    work(shown, update, range(200, 312))
    assert [now for now, _ in shown] == [5.0, 305.0, 310.0]
