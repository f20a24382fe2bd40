"""Runs of which nothing was heard while the server was away."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.flows.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Two automations that wait for a run until a minute ago, one of geoae and one of somebody else.
WAITING = """
import asyncio, datetime, uuid
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.events.schemas.automations import EventTrigger

async def wait():
    db = provide_database_interface()
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    async with db.session_context(begin_transaction=True) as session:
        for name in ("geoae: silence", "mine"):
            one, trigger = uuid.uuid4(), EventTrigger(posture="Proactive", within=90)
            await session.execute(sa.insert(db.Automation).values(
                id=one, name=name, enabled=True, trigger=trigger, actions=[]
            ))
            await session.execute(sa.insert(db.AutomationBucket).values(
                automation_id=one, trigger_id=trigger.id, bucketing_key=["run"], start=past,
                end=past, count=0, last_operation="test"
            ))

asyncio.run(wait())
"""
UNTIL = """
import asyncio, json
import sqlalchemy as sa
from prefect.server.database import provide_database_interface

async def until():
    db = provide_database_interface()
    async with db.session_context() as session:
        same = db.AutomationBucket.automation_id == db.Automation.id
        columns = db.Automation.name, db.AutomationBucket.end
        both = sa.select(*columns).join(db.AutomationBucket, same)
        print(json.dumps({name: end.isoformat() for name, end in await session.execute(both)}))

asyncio.run(until())
"""


def test_silence_counts_from_the_servers_start(settings, tmp_path):
    environment = os.environ | settings | {"PREFECT_HOME": str(tmp_path / "prefect")}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "prefect").mkdir()
    python("-m", "flows.silence")  # before the first start of all there is no table
    python("-m", "prefect", "server", "database", "upgrade", "--yes")
    python("-c", WAITING)
    python("-m", "flows.silence")
    until = {
        name: datetime.fromisoformat(end) for name, end in json.loads(python("-c", UNTIL)).items()
    }
    assert (
        timedelta(seconds=90) < until["geoae: silence"] - datetime.now(UTC) < timedelta(seconds=121)
    )
    assert until["mine"] < datetime.now(UTC)
