"""Hand-made loops, one file a backend, and when they stand in for torch operations.

Stands on `runtime`. Proved by the tests of what calls them: values, gradients and masks against plain operations.
"""
