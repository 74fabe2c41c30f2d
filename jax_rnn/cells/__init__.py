"""Cells, the computation of one time step; one per file."""
