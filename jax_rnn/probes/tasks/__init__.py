"""The tasks of the library, one a file."""
