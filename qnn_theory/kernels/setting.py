"""What a kernel is asked for: a format, fields, widths, layers and the size of embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.kernels.stack import Stack
from qnn_theory.registry import get_format


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a kernel is asked for."""

    format: Format
    fields: int
    embedding_dim: int
    depth: int
    embedding_std: float

    def stack(self, share: Any, rows: int) -> Stack:
        """The moments for some shares of agreeing fields."""
        return Stack(
            self.format,
            fields=self.fields,
            embedding_dim=self.embedding_dim,
            depth=self.depth,
            second_moment=self.embedding_std**2,
            share=share,
            rows=rows,
        )

    def stacks(self) -> tuple[Stack, Stack]:
        """For s = 0 .. f - 1, and for s = f."""
        return self.stack(np.arange(self.fields) / self.fields, 2), self.stack(np.ones(1), 1)


def checked_setting(
    format: str | Format,
    fields: int,
    embedding_dim: int,
    depth: int,
    embedding_std: float,
    post_activation: ActivationKind | None,
) -> Setting:
    """The setting, if its numbers are in their ranges."""
    for name, number in (("fields", fields), ("embedding_dim", embedding_dim), ("depth", depth)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} is a positive integer, however: {name}={number!r}.")
    if not 0 < embedding_std < math.inf:
        raise ValueError(f"embedding_std is a positive number, however: embedding_std={embedding_std!r}.")
    return Setting(
        format=with_post_activation(get_format(format), post_activation),
        fields=fields,
        embedding_dim=embedding_dim,
        depth=depth,
        embedding_std=float(embedding_std),
    )


def floats(values: Any, count: int) -> tuple[float, ...]:
    """The numbers of an array, or a number so many times."""
    return tuple(float(v) for v in np.broadcast_to(np.asarray(values, dtype=float), (count,)))
