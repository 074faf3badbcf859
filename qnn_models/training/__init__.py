"""Training: its settings, the batches, the loop, many models at once, losses, checkpoints.

Stands on `evaluation`. Proved by `tests/qnn_models/training`: bits repeat, resumed or not.
"""
