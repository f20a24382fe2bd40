"""The program: ``geoae`` and ``python -m geoae``."""

from geoae.cli.signals import install_handlers

__all__ = ["main"]


def main() -> None:
    """Install signal handlers before slow imports, then run the command."""
    install_handlers()
    from geoae.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
