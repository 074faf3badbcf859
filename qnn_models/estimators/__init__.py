"""Models as scikit-learn's estimators: from a data frame to a fitted classifier, saved as a run.

Stands on `serving`; the one room that needs scikit-learn. Proved by `tests/qnn_models/estimators`.
"""
