"""Figures, tables and the HTML report, built from collected results. Nothing here trains a model.

One file per figure (``fig_*.py``) or table (``tab_*.py``); `figures.build` finds them, `figures.shared.style` is their style.
"""
