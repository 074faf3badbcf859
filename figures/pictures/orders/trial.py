"""The measurements of the study `interaction_order` in the shape that its pictures share."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from figures.shared.results import Results
from figures.shared.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

STUDY = "interaction_order"

HIGHLIGHTED = {"T4": VERMILION, "T5": ORANGE, "T8": PURPLE, "T9": BLUE, "T19": GREEN}
"""Formats that pictures name; the others are grey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One optimizer at one size of embeddings."""

    optimizer: str
    std: float

    @property
    def title(self) -> str:
        """As a picture prints it."""
        return f"{'Adam' if self.optimizer == 'adam' else 'SGD'}\nembeddings start at {self.std:g}"


def settings(summary: pl.DataFrame) -> list[Setting]:
    """The settings that were run, Adam's first and the larger embeddings before the smaller ones."""
    found = summary.select("training_optimizer", "embedding_std").unique()
    return sorted(
        (Setting(optimizer=optimizer, std=std) for optimizer, std in found.iter_rows()),
        key=lambda setting: (setting.optimizer, -setting.std),
    )


def arms(results: Results) -> pl.DataFrame:
    """One row per format, order, optimizer and size of embeddings: of several learning rates that with the fewest updates."""
    summary = results.table(STUDY, "summary").filter((pl.col("n") > 0) & pl.col("dataset").str.starts_with("order-"))
    return (
        summary.with_columns(order=pl.col("dataset").str.strip_prefix("order-").cast(pl.Int64))
        .sort("updates_to_half_mean", maintain_order=True)
        .unique(["dataset", "label", "training_optimizer", "embedding_std"], keep="first", maintain_order=True)
        .sort("order", "label")
    )


def colour(label: str) -> str:
    """The format's own colour, or grey."""
    return HIGHLIGHTED.get(label, GREY)
