"""The checker: accepts or rejects a certificate of a relation, and shares no code with the search that found it.

It imports the grammar's reader (`formula`, `expr`, `widths`), `fractions` and flint, and nothing else of the project, which
import-linter holds. `document` reads a file, `evaluation` is an evaluator of its own, `functions` has the stated function and
random ones of the other format, `maps` proves containments, `separations` that there is none: at the d of the stated function,
with it at that d. Tested in tests/qnn_theory/checking.
"""
