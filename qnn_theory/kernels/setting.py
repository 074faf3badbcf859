"""What a kernel is asked for: a format, fields, widths, layers and the size of embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from qnn_theory.grammar.expr import ActivationKind, Concat, HeadMajor, Slice, walk
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.moments.stack import Stack
from qnn_theory.registry import get_format


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a kernel is asked for."""

    format: Format
    fields: int
    embedding_dim: int
    depth: int
    embedding_std: float

    @property
    def dim(self) -> int:
        """The network's width d."""
        return self.fields * self.embedding_dim

    def stack(self, share: Any, rows: int, *, join_rows: bool = True) -> Stack:
        """The moments for some shares of agreeing fields."""
        return Stack(
            self.format,
            fields=self.fields,
            embedding_dim=self.embedding_dim,
            depth=self.depth,
            second_moment=self.embedding_std**2,
            share=share,
            rows=rows,
            join_rows=join_rows,
        )

    def stacks(self, *, join_rows: bool = True) -> tuple[Stack, Stack]:
        """For s = 0 .. f - 1, and for s = f."""
        below = np.arange(self.fields) / self.fields
        return self.stack(below, 2, join_rows=join_rows), self.stack(np.ones(1), 1, join_rows=join_rows)


def check_rules(setting: Setting) -> None:
    """Refuse a format that the rules do not reach.

    Raises:
        NoRuleError: names the part without a rule.
    """
    problem = _problem(setting.format, setting.depth, setting.fields, setting.embedding_dim)
    if problem:
        raise NoRuleError(problem)


def has_rules(setting: Setting) -> bool:
    """Whether the rules reach every part of a format; where they do not, its covariance can be simulated."""
    return not _problem(setting.format, setting.depth, setting.fields, setting.embedding_dim)


def blocks_are_alike(format: Format, depth: int) -> bool:
    """Whether a format treats all blocks of the coordinates alike."""
    return not _problem(format, depth, 2 * divisor(format.expr) ** depth, 1)


@lru_cache(maxsize=1024)
def _problem(format: Format, depth: int, fields: int, embedding_dim: int) -> str:
    """The first part of a stack that has no rule, or nothing."""
    try:
        if any(isinstance(node, Slice | Concat | HeadMajor) for node in walk(format.expr)):
            _check_alike(format, depth, fields, embedding_dim)
        else:
            _probe(format, fields, embedding_dim, depth).kernel(depth)
    except NoRuleError as error:
        return str(error)
    return ""


def _probe(
    format: Format, fields: int, embedding_dim: int, depth: int, shares: tuple[float, ...] | None = None
) -> Stack:
    return Stack(
        format,
        fields=fields,
        embedding_dim=embedding_dim,
        depth=depth,
        second_moment=0.3,
        share=np.array([0.4]),
        shares=shares,
    )


def _check_alike(format: Format, depth: int, fields: int, embedding_dim: int) -> None:
    """Refuse blocks that make the kernel depend on where the agreeing fields are.

    With a share of agreeing fields for each block, the kernel must depend on their mean alone.
    """
    stack = _probe(format, fields, embedding_dim, depth)
    mixed = [level for level in range(1, depth + 1) if stack.mixes(level)]
    permuted = any(isinstance(node, HeadMajor) for node in walk(format.expr))
    if permuted and not all(stack.linear(level) for level in range(1, depth + 1)):
        raise NoRuleError(
            "A head-major permutation has a rule where a layer is linear in its input, given its maps, however: this format "
            "multiplies coordinates with permuted ones."
        )
    if permuted:
        return
    if mixed and (depth > 1 or fields < stack.pieces):
        raise NoRuleError(
            "Blocks of coordinates have a rule where each is multiplied with itself, however: this format multiplies "
            "coordinates of different blocks, so its kernel depends on which fields agree."
        )
    if stack.pieces > 1:
        middle = (stack.pieces - 1) / 2
        shares = tuple(0.4 + 0.3 * (piece - middle) / stack.pieces for piece in range(stack.pieces))
        values = [_probe(format, fields, embedding_dim, depth, given).kernel(depth) for given in (shares, shares[::-1])]
        alike = float(np.ravel(stack.kernel(depth))[0])
        if any(abs(float(np.ravel(value)[0]) / alike - 1) > 1e-9 for value in values):
            raise NoRuleError(
                "Blocks of coordinates have a rule where all have one law, however: this format treats them in different "
                "ways, so its kernel depends on which fields agree."
            )


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
