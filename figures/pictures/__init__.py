"""The figures: one `fig_*.py` each, and the sweeps of one setting, which are entries of `sweeps`. Stands on `shared`."""
