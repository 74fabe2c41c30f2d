"""The lecture: its lessons, what they share, and the comparison of two frameworks."""
