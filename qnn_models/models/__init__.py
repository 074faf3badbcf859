"""From ids to logits: the quadratic network, QNN-α, the baselines, and every model by name.

Stands on `layers` and `data.layout`. Proved by `tests/qnn_models/models`: one battery for all.
"""
