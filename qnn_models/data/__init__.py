"""Data: schemas, files as streams of rows, encoders, data sets by name, and a planted synthetic one.

Reads and writes files, knows nothing of models. Proved by `tests/qnn_models/data`.
"""
