"""What every floor stands on: seeds, processes of one training, memory of the process, breaks in a compiled graph.

Imports nothing of ours. Proved by `tests/qnn_models/runtime`.
"""
