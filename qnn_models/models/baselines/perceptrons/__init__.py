"""MLPs on the embeddings: plain, beside QNN-α, fed with products, gated, masked, fused in pairs, shaped by terms of their own.

Stands on `parts`. Proved by `tests/qnn_models/models/baselines/test_perceptrons.py`.
"""
