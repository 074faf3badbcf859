"""The paper's sentences that can be computed, each with verdict and evidence.

Stands on `relations`, `costs` and `published`. Proved by `tests/qnn_theory/paper_claims`.
"""
