"""What baselines are made of: declared options, the constructor that reads them, the MLP, start values by name.

Stands on `models.network` and knows no baseline. Proved by `tests/qnn_models/models/baselines/test_parts.py`.
"""
