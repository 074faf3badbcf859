"""What a model is judged by: exact AUC, log loss, and both over a split.

Stands on `models`. Proved by `tests/qnn_models/evaluation`, against scikit-learn.
"""
