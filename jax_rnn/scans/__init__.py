"""Scans, which run a cell over time. All scans return the same results."""
