"""Scheduled restoration on Prefect: set-up, server, worker and systemd units."""
