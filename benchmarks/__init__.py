"""Measurements: what a recipe reaches, and how long it takes. Nothing here is a test."""
