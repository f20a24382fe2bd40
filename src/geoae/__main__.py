"""``python -m geoae``."""

from geoae.cli import main

if __name__ == "__main__":
    main()
