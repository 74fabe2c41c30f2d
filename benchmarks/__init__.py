"""Benchmarks of speed, memory and the quality that a recipe reaches. These are not tests."""
