"""What pictures and tables share: collected results, names, seeds as intervals, style.

Imports no picture and no table. Proved by `tests/figures`.
"""
