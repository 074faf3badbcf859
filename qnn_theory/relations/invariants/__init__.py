"""Invariants that separate formats, one file each: a function from a `Pair` of formats to a `Separation` or None."""
