"""From records to statements: intervals, comparisons, correlations, fitted exponents, collected CSVs and tables.

Stands on `running`; trains nothing. Proved by `tests/studies/judging`.
"""
