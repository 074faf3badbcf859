"""Which monomials a stack of layers reaches: set rules, sparse expansion, closed forms, quadratic forms, pieces and regions.

Stands on the registry. Proved by `tests/qnn_theory/feature_spaces`: two independent ways of counting, with SymPy as a third.
"""
