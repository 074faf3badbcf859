"""Kernels of formats at their start: covariance, tangent kernel, their spectra by interaction order, and how signals grow.

May import the registry and the grammar. Checked in tests/qnn_theory/kernels.
"""
