"""Pictures of kernels and interaction orders: what the theory predicts of formats, and what came of it."""
