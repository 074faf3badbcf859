"""The order of the registered formats as a committed file with its certificates, written once and read in milliseconds.

`order.json` has one entry a direction. It belongs to the registry whose formulas have its hash; for any other registry it says
nothing, and everything is computed anew. `python -m qnn_theory.relations.write_order` writes it. Proved anew by
`tests/qnn_theory/relations/test_registered_order.py`.
"""
