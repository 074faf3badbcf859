"""Carrying runs out: runner, backends, records, progress, search of hyper-parameters.

Stands on `declaring`. Proved by `tests/studies/running`: kills, two runners, full disks.
"""
