"""Which format contains which: parameter maps that are searched and proved, separations, and the certificates of both.

Stands on `feature_spaces`, `dimension` and `smoothness_classes`. Proved by `tests/qnn_theory/relations`, and on torch modules by
`tests/qnn_models/test_testing.py`.
"""
