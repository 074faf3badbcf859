"""What cancels in an expression: its reading as a piecewise polynomial, equality on cells, and a shorter way to write it.

Imports the nodes, widths, intervals and rewriting of the grammar, and `algebra`. Proved by
`tests/qnn_theory/grammar/test_cancellation.py`, against the exact values of `evaluate`, with which it shares no code.
"""
