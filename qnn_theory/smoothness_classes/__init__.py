"""How often a format is continuously differentiable: composition rules from below, jumps across kinks from above.

Stands on the registry. Proved by `tests/qnn_theory/smoothness_classes`.
"""
