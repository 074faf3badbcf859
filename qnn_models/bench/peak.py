"""Peak memory of one training stretch in a fresh process: ``python -m qnn_models.bench.peak ours|baseline SHAPE DEVICE``.

Prints MiB above what the process held with the data and the model in place, optimizer state included.
"""

from __future__ import annotations

import sys

from qnn_models.bench.shapes import SHAPES
from qnn_models.bench.sides import SIDES
from qnn_models.peak_memory import PeakMemory


def main(side: str, shape: str, device: str) -> None:
    """Train one stretch and print the peak."""
    stretch = SIDES[side](SHAPES[shape], device)
    with PeakMemory() as memory:
        stretch()
    print(memory.mib)


if __name__ == "__main__":
    main(*sys.argv[1:])
