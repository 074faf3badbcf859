"""Rows of a card on a network at its start: how its signal grows, and which interaction orders it prefers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from qnn_theory.grammar.format import Format
from qnn_theory.kernels.covariance import interaction_spectrum
from qnn_theory.kernels.moments.layer_rules import NoRuleError

FIELDS, EMBEDDING_DIM, EMBEDDING_STD = 39, 16, 0.3
"""Criteo's shape, and embeddings of the size that trained ones have."""

_DEPTHS = (1, 2, 3, 4)
_SECONDS = 0.3
"""A depth that takes longer is the last: the next takes some ten times as long."""
_DEAD, _EXPLODING = 1e-3, 1e3
_SHOWN_ORDERS = 4


@dataclass(frozen=True, slots=True)
class StartSignal:
    """A stack at its start.

    Attributes:
        depth: number of layers.
        gain: variance of an output over that of an embedding's entry.
        constant: share of the second moment that is the same for all rows.
        shares: variance by interaction order 1, 2, ..., as shares of all of it; empty where there is none.
    """

    depth: int
    gain: float
    constant: float
    shares: tuple[float, ...]


def start_signals(format: Format) -> tuple[list[StartSignal], str]:
    """Signals at depth 1 to 4, as far as each takes a moment only, and why there are no more; leading order in 1/d.

    Gains and spectra are those of `qnn_theory.kernels`, for `FIELDS` fields of width `EMBEDDING_DIM` and embeddings of standard
    deviation `EMBEDDING_STD`.
    """
    found: list[StartSignal] = []
    for depth in _DEPTHS:
        started = time.monotonic()
        try:
            spectrum = interaction_spectrum(
                format, fields=FIELDS, embedding_dim=EMBEDDING_DIM, depth=depth, embedding_std=EMBEDDING_STD
            )
        except (NoRuleError, ValueError, OverflowError) as beyond:
            return found, str(beyond)
        gain = sum(spectrum.variance) / EMBEDDING_STD**2
        if not math.isfinite(gain):
            return found, f"at depth {depth} its size is beyond double precision"
        shares = tuple(max(share, 0.0) for share in spectrum.shares[1:])
        found.append(StartSignal(depth, gain, spectrum.constant, shares))
        if time.monotonic() - started > _SECONDS and depth < _DEPTHS[-1]:
            return found, f"depth {depth + 1} takes longer; ask qt.interaction_spectrum"
    return found, ""


def gain_text(signals: list[StartSignal], why: str) -> str:
    """The gains by depth, with a warning where a stack's signal dies or explodes."""
    lines = [", ".join(f"{signal.gain:.3g}" for signal in signals) + f" (depth {_range(signals)})"] if signals else []
    bad = [signal for signal in signals if not _DEAD <= signal.gain <= _EXPLODING]
    if bad:
        what = "dies" if bad[0].gain < _DEAD else "explodes"
        lines.append(
            f"warning: the signal {what} from depth {bad[0].depth} on; BatchNorm, fewer layers or init='unit-gain' keep it"
        )
    return "\n".join([*lines, *([why] if why else [])])


def orders_text(signal: StartSignal) -> str:
    """The shares of the interaction orders; empty for a signal that is 0."""
    if signal.gain == 0:
        return ""
    shown = [f"{order}: {share:.1%}" for order, share in enumerate(signal.shares[:_SHOWN_ORDERS], 1)]
    rest = sum(signal.shares[_SHOWN_ORDERS:])
    constant = f"; {signal.constant:.0%} of its second moment is constant" if signal.constant >= 0.005 else ""
    return ", ".join([*shown, f"higher: {rest:.1%}"]) + constant


def _range(signals: list[StartSignal]) -> str:
    return str(signals[0].depth) if len(signals) == 1 else f"{signals[0].depth} to {signals[-1].depth}"
