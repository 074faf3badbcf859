"""From expression to torch: lowering, layers and stacks, gates, embedding, dropout, normalisation, start values.

Stands on `kernels` and the theory. Proved by `tests/qnn_models/layers`, over every registered format, against an exact oracle.
"""
