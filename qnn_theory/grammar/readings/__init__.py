"""An expression as text: for people, in LaTeX, and as a formula that reads back. Stands on `expr` and `widths`."""
