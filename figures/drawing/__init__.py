"""How pictures are drawn: labels beside points, orders in layers, panels of a sweep, the marks that several pictures share.

Imports no picture. Stands on `shared`; proved by `tests/figures/drawing`.
"""
