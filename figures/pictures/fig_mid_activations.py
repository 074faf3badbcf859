"""QNN-α with another activation on its gate (paper figure 5)."""

from matplotlib.figure import Figure

from figures.pictures.sweep import AUC, LOGLOSS, Sweep, draw_sweep, published_sweep
from figures.shared.contract import FigureSpec
from figures.shared.results import Results

_NAMES = {"ReLU": "relu", "Mish": "mish", "GELU": "gelu", "ReLU6": "relu6", "Sigmoid": "sigmoid"}
_SWEEP = Sweep(
    study="mid_activations", setting="mid_activation", title="mid-activation", order=(*_NAMES.values(), "silu", "tanh")
)


def draw(results: Results) -> Figure:
    """AUC and log loss by the activation of the gate."""
    paper = published_sweep("figure5", "mid_activation", names=_NAMES)
    return draw_sweep(results, _SWEEP, (AUC, LOGLOSS), paper=paper)


FIGURE = FigureSpec(
    name="mid_activations",
    caption="QNN-α by its mid-activation: our runs, and the published ones on axes of their own.",
    draw=draw,
    studies=("mid_activations",),
)
