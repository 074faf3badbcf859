"""Cross networks and their kin: each layer multiplies what the layers before it made, so that the degree grows with depth.

Stands on `parts`. Proved by `tests/qnn_models/models/baselines/test_crossing.py`.
"""
