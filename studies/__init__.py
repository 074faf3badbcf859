"""Declared studies, their runner and records, and the `qnn` command line."""

__all__: list[str] = []
