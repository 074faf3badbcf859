"""The grammar: the nodes of a format, its width rules, stacks of layers, exact values, and its readings as text.

Imports `algebra` at most; the registry stands on it. Proved by `tests/qnn_theory/grammar`, over every registered format.
"""
