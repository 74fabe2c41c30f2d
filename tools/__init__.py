"""Programs for developers: `python -m tools.NAME --help`."""
