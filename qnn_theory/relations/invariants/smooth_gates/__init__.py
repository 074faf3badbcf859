"""Invariants of formats with smooth gates: what these functions are far out, on a line, and in the complex plane."""
