"""What the kernels answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from qnn_theory.grammar.expr import uses_activation
from qnn_theory.kernels.closed_form import covariance_formula
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.setting import Setting

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel as a function of the number s of fields on which two rows agree.

    Attributes:
        values: K(0) .. K(fields), at the width of the network where that was asked for.
        leading: the limit of large d.
        exact: whether `values` are exact: polynomials, at all orders in 1/d; no quadrature, no series, no simulation.
        standard_error: of `values` where they were simulated: no rule reaches the format, or the 1/d term does not suffice;
            zeros elsewhere.
        groups: of a tangent kernel, the part of each group of parameters, summing up to `values`; empty for a covariance.
        reliable_from_dim: the width d from which the 1/d term suffices, to within 3 % of K(fields): its square is small then, and
            so is the variance over draws (fourth moments). None where that is no width below a million, or where no 1/d term was
            asked for. Far below it moments are those of rare draws: most networks are much smaller than their mean.
    """

    values: tuple[float, ...]
    leading: tuple[float, ...]
    exact: bool
    setting: Setting
    groups: dict[str, tuple[float, ...]]
    reliable_from_dim: int | None = None
    standard_error: tuple[float, ...] = ()

    @cached_property
    def formula(self) -> Formula | None:
        """The leading order as a SymPy polynomial in t = s / f, or None where it is none (or for a tangent kernel)."""
        setting = self.setting
        if self.groups or uses_activation(setting.format.expr):
            return None
        try:
            found = covariance_formula(setting.format, depth=setting.depth)
        except NoRuleError:
            return None
        return found.subs({"sigma": setting.embedding_std, "d": setting.fields * setting.embedding_dim})


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The variance of the output by interaction order.

    Attributes:
        variance: V_0 .. V_fields; their sum is K(fields).
        shares: V_k / Σ_(k >= 1) V_k, with a 0 for k = 0.
        constant: V_0 / K(fields).
    """

    variance: tuple[float, ...]
    shares: tuple[float, ...]
    constant: float


@dataclass(frozen=True, kw_only=True)
class Signal:
    """How large a row's signal is, layer by layer.

    Attributes:
        second_moment: the mean square of a coordinate after layer 1 .. L.
        layer_gains: second moment after a layer over that before it.
        gain: second moment after the last layer over that of the embeddings.
        log_gain: its logarithm.
        log_gains_std: after each layer, the standard deviation over draws of the logarithm of one row's gain (its mean square
            after the layer over that of its own embeddings), to first order in 1/√d; large numbers say that draws differ by
            orders of magnitude, not by how many.
        log_gain_std: after the last layer.
        reliable_from_dim: as for `Kernel`.
        standard_error: of the last second moment, where the format has no rule and was simulated.
    """

    second_moment: tuple[float, ...]
    layer_gains: tuple[float, ...]
    gain: float
    log_gain: float
    log_gains_std: tuple[float, ...]
    log_gain_std: float
    reliable_from_dim: int | None
    standard_error: float = 0.0
