"""The models that QNN-α is compared with, each written from its paper, in rooms by how they make interactions.

`first_order` (a weight per id), `perceptrons`, `crossing` and `adaptive` know `parts` and nothing of one another. Proved by
`tests/qnn_models/models`: a battery for all models, and each formula against loops that share no code with it.
"""
