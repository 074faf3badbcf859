"""Limits: a ⊆ closure of b, uniformly on compact sets, by a one-parameter family; or a separation that limits do not undo.

`series` computes with truncated Laurent series in t, `search` finds a `family`, `proof` proves it; `closed_classes` and
`survival` say which separations hold for limits too; `limit` joins both directions. Imports `containment` and `invariants`.
Proved by `tests/qnn_theory/relations/test_limits.py`.
"""
