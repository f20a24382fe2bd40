"""Forget for how long runs have been silent: ``python -m flows.silence``, before the server starts.

A server that was away has not heard the heartbeats of runs that computed meanwhile on other machines. Prefect keeps the
time of the last one in its database, and would set them to Crashed as soon as it is back.
"""

import asyncio

import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from sqlalchemy.exc import OperationalError, ProgrammingError

__all__ = ["forget_silence"]


async def forget_silence() -> None:
    """Remove what geoae's automations wait for; the next heartbeat of a run starts its time anew."""
    db = provide_database_interface()
    ours = sa.select(db.Automation.id).where(db.Automation.name.startswith("geoae: "))
    try:
        async with db.session_context(begin_transaction=True) as session:
            await session.execute(sa.delete(db.AutomationBucket).where(db.AutomationBucket.automation_id.in_(ours)))
    except (OperationalError, ProgrammingError):  # the tables are made when the server starts for the first time
        pass


if __name__ == "__main__":
    asyncio.run(forget_silence())
