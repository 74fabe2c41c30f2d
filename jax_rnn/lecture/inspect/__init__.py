"""Look inside the trained model of a lesson while it reads a text."""
