"""Formats as one asks for them: an id with activations attached, and the smallest width to show it at."""

from __future__ import annotations

import math
import re

from qnn_theory.grammar.expr import ACTIVATION_KINDS
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format


def read_format(text: str) -> Format:
    """A format from an id with activations attached: ``T9``, ``T4+relu`` (post-activation), ``T19~gelu+relu`` (mid and post).

    Raises:
        KeyError: unknown id.
        ValueError: an unknown activation.
    """
    base, *attached = re.split(r"(?=[+~])", text)
    format = get_format(base)
    for part in attached:
        kind = part[1:]
        if kind not in ACTIVATION_KINDS:
            raise ValueError(
                f"After + (post) or ~ (mid) stands one of {', '.join(ACTIVATION_KINDS)}, however: {kind!r} in {text!r}."
            )
        format = with_post_activation(format, kind) if part[0] == "+" else with_mid_activation(format, kind)
    return format


def smallest_width(format: Format, at_least: int) -> int:
    """The smallest input width of at least this number that the format accepts."""
    step = divisor(format.expr)
    return step * math.ceil(at_least / step)
