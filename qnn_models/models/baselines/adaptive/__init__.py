"""Interactions whose partners or orders are learned: attention between fields, logarithms, complex powers and rotations.

Stands on `parts`. Proved by `tests/qnn_models/models/baselines/test_adaptive.py`.
"""
