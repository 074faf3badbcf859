"""The figures, one `fig_*.py` each, and how sweeps and orders are drawn. Stands on `shared`."""
