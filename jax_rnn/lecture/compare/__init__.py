"""Comparison of JAX and PyTorch: differences, speed and reports."""
