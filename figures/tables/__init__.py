"""The LaTeX tables, one `tab_*.py` each. Stands on `shared`."""
