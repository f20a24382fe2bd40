from types import SimpleNamespace
from uuid import uuid4

import pytest

from geoae.errors import BusyError, InputError


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_people_are_told_through_a_block(tmp_path, monkeypatch):
    from prefect.blocks.notifications import NotificationBlock
    from prefect.client.schemas import FlowRun
    from prefect.states import Failed

    from flows.notifications import notify
    from flows.restore import restore_scene

    told = []

    class Told(NotificationBlock):
        """A notification block that remembers."""

        _block_type_slug = "told"

        def notify(self, body, subject=None):
            told.append((subject, body))

    Told().save("people", overwrite=True)
    monkeypatch.setenv("GEOAE_NOTIFY", "told/people")
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    restore_scene(source=str(tmp_path / "broken.tif"), return_state=True)
    assert told[0][0] == "geoae: restore broken.tif is Failed"
    assert "cannot be opened as a raster" in told[0][1]
    monkeypatch.setenv("GEOAE_NOTIFY", "told/nobody")
    assert restore_scene(source=str(tmp_path / "broken.tif"), return_state=True).is_failed()
    assert len(told) == 1
    monkeypatch.setenv("GEOAE_NOTIFY", "told/people")
    notify(restore_scene, FlowRun(flow_id=uuid4()), Failed(data=InputError("s.tif: is broken")))
    notify(
        restore_scene,
        FlowRun(flow_id=uuid4()),
        Failed(data=BusyError("s.tif: another run is writing it")),
    )
    assert len(told) == 2, "what is left to another run alarms nobody"


@pytest.fixture
def told(monkeypatch):
    """What a block ``told/people`` is given; another name is of no block."""
    from flows import notifications

    told = []
    block = SimpleNamespace(notify=lambda body, subject: told.append((subject, body)))

    def load(name):
        if name != "told/people":
            raise ValueError(f"no block {name}")
        return block

    monkeypatch.setattr(notifications, "Block", SimpleNamespace(load=load))
    monkeypatch.setenv("GEOAE_NOTIFY", "told/people")
    return told


def end(state) -> None:
    """End a run of a flow in ``state``."""
    from flows.notifications import notify

    run = SimpleNamespace(name="restore s.tif", id="1d")
    notify(SimpleNamespace(name="geoae-restore"), run, state)


def test_name_state_and_reason_are_told(told):
    from prefect.states import Crashed

    end(Crashed(message="the worker died"))
    subject, body = told[0]
    assert subject == "geoae: restore s.tif is Crashed"
    assert body == "geoae-restore/restore s.tif (1d): the worker died"


def test_what_is_left_to_another_run_alarms_nobody(told):
    from prefect.states import Failed

    end(Failed(data=BusyError("s.tif: another run is writing it")))
    assert not told
    end(Failed(data=InputError("s.tif: is broken")))
    assert len(told) == 1


def test_without_a_setting_no_block_is_looked_for(monkeypatch):
    from prefect.states import Failed

    from flows import notifications

    monkeypatch.setattr(notifications, "Block", SimpleNamespace(load=pytest.fail))
    monkeypatch.delenv("GEOAE_NOTIFY", raising=False)
    end(Failed(data=InputError("s.tif: is broken")))


def test_a_block_that_is_not_there_hides_no_failure(told, monkeypatch):
    from prefect.states import Failed

    monkeypatch.setenv("GEOAE_NOTIFY", "told/nobody")
    end(Failed(data=InputError("s.tif: is broken")))
    assert not told


def test_every_end_but_a_good_one_is_told():
    from flows.notifications import notify, on_end

    ends = ("on_failure", "on_crashed", "on_cancellation")
    assert on_end() == {name: [notify] for name in ends}
