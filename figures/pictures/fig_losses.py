"""QNN-α trained with the self-ensemble loss and with its rivals (paper figure 6)."""

from matplotlib.figure import Figure

from figures.pictures.sweep import AUC, LOGLOSS, Sweep, draw_sweep, published_sweep
from figures.shared.contract import FigureSpec
from figures.shared.results import Results

_NAMES = {"SE": "self_ensemble", "MSE": "mse", "KL": "kl", "Cosine": "cosine", "Huber": "huber"}
_SWEEP = Sweep(study="losses", setting="training_loss", title="loss", order=(*_NAMES.values(), "ensemble", "bce"))


def draw(results: Results) -> Figure:
    """AUC and log loss by what ties the two passes together; without a tie and with one pass for scale."""
    paper = published_sweep("figure6", "consistency_loss", names=_NAMES)
    return draw_sweep(results, _SWEEP, (AUC, LOGLOSS), paper=paper)


FIGURE = FigureSpec(
    name="losses",
    caption=(
        "QNN-α by the loss that ties two stochastic passes: our runs, and the published ones on axes of their own. "
        "“no tie” averages two passes without a further term; “one pass” is plain binary cross-entropy."
    ),
    draw=draw,
    studies=("losses",),
)
