"""A break in the graph of torch.compile that costs nothing until it is reached."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

__all__ = ["uncompiled"]

P = ParamSpec("P")
R = TypeVar("R")


def uncompiled(reason: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """``torch.compiler.disable``, applied at the first call: applied at import it would load the compiler, for a second.

    Training loads the compiler anyway, as every torch optimizer does.

    Args:
        reason: why, and what to do instead: what is read by who asks for one whole graph.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        disabled: Callable[P, R] | None = None

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal disabled
            if disabled is None:
                disabled = torch.compiler.disable(function, reason=reason)
            return disabled(*args, **kwargs)

        # What `disable` would note: the compiler reads it before the first call, which it may be the one to make.
        vars(call).update(_torchdynamo_disable=True, _torchdynamo_disable_msg=reason)
        return call

    return decorate
