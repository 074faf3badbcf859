"""The checker: accepts or rejects a certificate of a relation, and shares no code with the search that found it.

It imports the grammar's reader (`formula`, `expr`, `widths`), `fractions` and flint, and nothing else of the project, which
import-linter holds. `document` reads a file, `evaluation` is an evaluator of its own, `maps` proves containments, `separations`
proves that there is none. Tested in tests/qnn_theory/checking.
"""
