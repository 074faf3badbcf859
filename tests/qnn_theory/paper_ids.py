"""The formats of the paper and of its released code, in order: what is checked by hand, whatever else is registered."""

PAPER = (
    *(f"T{number}" for number in range(1, 31)),
    *("Linear", "CrossNetV2", "QNN-alpha", "QNN-alpha-released", "T17-paper", "T18-paper"),
)
