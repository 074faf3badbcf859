"""How many independent directions the parameters have: exact Jacobians, their rank, and the symmetries behind what is redundant.

Stands on `feature_spaces`. Proved by `tests/qnn_theory/dimension`.
"""
