"""A trained model in use: loading a run, inference, prediction on files, export, explanation.

Stands on `training` and `data`. Proved by `tests/qnn_models/serving`.
"""
