"""The LaTeX tables: one `tab_*.py` each, and those of whole studies, which are entries of `study_tables`. Stands on `shared`."""
