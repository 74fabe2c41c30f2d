"""What happens in one time step. One cell a file, equations first."""
