"""Algebra that knows nothing of formats: modular arithmetic, ranks, sets of monomials, formulas fitted to computed values.

Imports nothing of ours. Proved by `tests/qnn_theory/algebra`.
"""
