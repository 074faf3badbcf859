"""From rows to ids on disk and back: vocabularies, the encoder, the encoded set. Stands on `reading`.

Proved by `tests/qnn_models/data/encoding`.
"""
