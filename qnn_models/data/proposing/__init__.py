"""A first schema for files of one's own, guessed from a sample. Stands on `reading`.

Proved by `tests/qnn_models/data/proposing`.
"""
