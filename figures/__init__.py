"""Figures, tables and the HTML report, built from collected results. Nothing here trains a model.

A figure is a file ``pictures/fig_*.py`` or an entry of `figures.pictures.sweeps`, a table a file ``tables/tab_*.py`` or an entry
of `figures.tables.study_tables`; `figures.build` finds them, `figures.shared.style` is their style.
"""

__all__: list[str] = []
