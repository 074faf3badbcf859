"""Relations of stacks of L layers: maps that lift layer by layer, and what separates stacks.

`stacked` writes a stack as one format, `pair` looks at stacks layer by layer, `separations`, `factors` and `opposite` separate
them, `depth` joins both, `limits` lifts limits.
Imports `containment` and `invariants`. Proved by `tests/qnn_theory/relations/test_depth.py`.
"""
