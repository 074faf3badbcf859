"""The models that QNN-α is compared with, each written from its paper. `qnn_models.models.registry` knows them by name."""
