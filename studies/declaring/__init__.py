"""Declared studies: TOML to declaration, declaration to plan, and the checks before anything runs.

Stands on `tasks`. Proved by `tests/studies/declaring`.
"""
