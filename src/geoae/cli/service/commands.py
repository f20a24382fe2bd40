"""The subcommands of scheduled restoration."""

from pathlib import Path
from typing import Any

import click

__all__ = ["deploy", "server", "worker"]

API = click.option(
    "--api",
    envvar="PREFECT_API_URL",
    default="http://127.0.0.1:4200/api",
    show_default=True,
    metavar="URL",
    help="Address of Prefect's server.",
)
LIMIT = click.option(
    "--limit",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs at a time: one for each GPU.",
)


@click.command()
@API
@LIMIT
@click.option(
    "--inbox", metavar="DIR", help="Folder that is watched; by default inbox, beside the flows."
)
@click.option(
    "--outbox", metavar="DIR", help="Folder of the outputs; by default outbox, beside the flows."
)
@click.option(
    "--server/--no-server",
    default=True,
    show_default=True,
    help="Start a server where none answers.",
)
@click.option(
    "--worker/--no-worker",
    default=True,
    show_default=True,
    help="Start a worker, and stay with it.",
)
@click.option(
    "--systemd",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Only write systemd units of server and worker, into this folder.",
)
def deploy(**options: Any) -> None:
    """Set up scheduled restoration on Prefect: server, pool, deployments, worker; needs the extra
    flows.
    """
    from geoae.cli.console import print_log
    from geoae.cli.service.deploy import Setup, deploy

    with print_log():
        deploy(Setup(**options))


@click.command()
@API
@LIMIT
@click.option(
    "--healthcheck", is_flag=True, help="Answer at /health, on port PREFECT_WORKER_WEBSERVER_PORT."
)
def worker(api: str, limit: int, healthcheck: bool) -> None:
    """Run a worker of geoae deploy: start lost runs again, then wait for new ones."""
    from geoae.cli.console import print_log
    from geoae.cli.service.worker import Service, run_worker

    with print_log():
        run_worker(Service.at(api, {}), limit, healthcheck=healthcheck)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Port to listen on.",
)
def server(host: str, port: int) -> None:
    """Run the Prefect server of geoae deploy, without telemetry."""
    from geoae.cli.console import print_log
    from geoae.cli.service.server import run_server

    with print_log():
        run_server(host, port)
