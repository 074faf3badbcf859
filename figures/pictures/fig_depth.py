"""QNN-α with more layers (paper figure 4)."""

from matplotlib.figure import Figure

from figures.pictures.sweep import AUC, LOGLOSS, Sweep, draw_sweep, published_sweep
from figures.shared.contract import FigureSpec
from figures.shared.results import Results

_SWEEP = Sweep(study="depth", setting="layers", title="layers L")


def draw(results: Results) -> Figure:
    """AUC and log loss against the number of layers."""
    return draw_sweep(results, _SWEEP, (AUC, LOGLOSS), paper=published_sweep("figure4", "layers", numbers=True))


FIGURE = FigureSpec(
    name="depth",
    caption="QNN-α with one to five layers: our runs, and the published ones on axes of their own.",
    draw=draw,
    studies=("depth",),
)
