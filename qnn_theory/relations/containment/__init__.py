"""Containment F_a ⊆ F_b: parameter maps from b to a, the search for one, and its proof.

The search may guess; the proof shares none of its guesses. Imports the grammar and `algebra`. Proved by
`tests/qnn_theory/relations`, and on torch modules by `tests/qnn_models/test_testing.py`.
"""
