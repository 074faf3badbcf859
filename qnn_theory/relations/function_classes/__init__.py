"""Containment read off a target's structure: what sums of linear terms and of products of affine forms can express.

Nothing is searched among building blocks: the source is multiplied out, and its coefficients are the target's parameters. Imports
the grammar and `containment`, whose proof every map must pass. Proved by `tests/qnn_theory/relations/test_function_classes.py`.
"""
