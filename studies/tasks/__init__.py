"""What one run is and what it can do: its spec, its settings, and a module for each task.

Stands on `qnn_models`. Proved by `tests/studies/tasks`.
"""
