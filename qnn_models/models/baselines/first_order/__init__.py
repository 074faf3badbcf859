"""Models with a weight per id: alone, beside products of pairs of embeddings, beside a deep part.

Stands on `parts`. Proved by `tests/qnn_models/models/baselines/test_first_order.py`.
"""
