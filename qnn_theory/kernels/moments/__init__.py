"""Moments of one coordinate of a stack at its start: rules for nodes, Gaussian integrals, the walk through the layers."""
