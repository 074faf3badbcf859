"""The figures in which one setting of QNN-α varies: each is one entry here, and `sweep_panels` draws them all."""

from __future__ import annotations

from figures.drawing.sweep_panels import AUC, LOGLOSS, Metric, PublishedSweep, Sweep, sweep_figure

SWEEPS = (
    Sweep(
        study="depth",
        setting="layers",
        title="layers L",
        caption="QNN-α with one to five layers: our runs, and the published ones on axes of their own.",
        published=PublishedSweep(source="figure4", value=r"^layers=(\d+)$"),
    ),
    Sweep(
        study="heads",
        setting="heads",
        title="heads H",
        group="head_layout",
        caption=(
            "QNN-α by the number of heads H: aligned heads are provably the one-head model, released heads permute the gated "
            "factor. Latency is that of one forward pass over 100 rows. Our runs, and the published ones (released code) on axes "
            "of their own."
        ),
        metrics=(
            AUC,
            LOGLOSS,
            Metric(
                ours="latency_100_us",
                published="latency_ms_per_100_samples",
                title="ms / 100 samples",
                scale=1e-3,
            ),
        ),
        published=PublishedSweep(source="table6", column="model", value=r"^QNN-alpha x(\d+)$"),
    ),
    Sweep(
        study="losses",
        setting="training_loss",
        title="loss",
        order=("self_ensemble", "mse", "kl", "cosine", "huber", "ensemble", "bce"),
        caption=(
            "QNN-α by the loss that ties two stochastic passes: our runs, and the published ones on axes of their own. "
            "“no tie” averages two passes without a further term; “one pass” is plain binary cross-entropy."
        ),
        published=PublishedSweep(
            source="figure6",
            value="^consistency_loss=(.+)$",
            names={"SE": "self_ensemble", "MSE": "mse", "KL": "kl", "Cosine": "cosine", "Huber": "huber"},
        ),
    ),
    Sweep(
        study="mid_activations",
        setting="mid_activation",
        title="mid-activation",
        order=("relu", "mish", "gelu", "relu6", "sigmoid", "silu", "tanh"),
        caption="QNN-α by its mid-activation: our runs, and the published ones on axes of their own.",
        published=PublishedSweep(
            source="figure5",
            value="^mid_activation=(.+)$",
            names={"ReLU": "relu", "Mish": "mish", "GELU": "gelu", "ReLU6": "relu6", "Sigmoid": "sigmoid"},
        ),
    ),
    Sweep(
        study="rows",
        setting="rows",
        title="rows M",
        caption="QNN-α by the number of rows M: quality and latency of our runs, and the published ones on axes of their own.",
        metrics=(
            AUC,
            LOGLOSS,
            Metric(
                ours="latency_us",
                published="latency_ms",
                title="latency, 1 row (µs)",
                published_title="latency (ms)",
            ),
        ),
        published=PublishedSweep(source="figure7", value=r"^rows=(\d+)$"),
    ),
)
"""Paper figures 4, 5, 6 and 7, and table 6."""

FIGURES = tuple(map(sweep_figure, SWEEPS))
