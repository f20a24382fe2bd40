"""Restart the clock of missing heartbeats: ``python -m flows.silence``, before the server starts.

A server that was away has missed the heartbeats of runs that computed meanwhile, here or on other
machines. Prefect keeps the time by which one must arrive in its database, and would set these runs
to Crashed as soon as it is back.
"""

import asyncio
from datetime import timedelta

import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.types._datetime import now
from sqlalchemy.exc import OperationalError, ProgrammingError

__all__ = ["prolong_silence"]

# As in `automations/silent-runs.json`, and half a minute for the server to start.
WITHIN = timedelta(seconds=120)


async def prolong_silence() -> None:
    """Give every run that geoae's automations wait for the whole time once more."""
    db = provide_database_interface()
    ours = sa.select(db.Automation.id).where(db.Automation.name.startswith("geoae: "))
    waiting = sa.update(db.AutomationBucket).where(db.AutomationBucket.automation_id.in_(ours))
    try:
        async with db.session_context(begin_transaction=True) as session:
            await session.execute(waiting.values(end=now("UTC") + WITHIN))
    # the tables are made when the server starts for the first time
    except (OperationalError, ProgrammingError):
        pass


if __name__ == "__main__":
    asyncio.run(prolong_silence())
