"""THE registry: every neuron format, each written once. Adding a format is adding one entry to `_REGISTRY`.

Sources: ``li2025qnn`` is the paper (arXiv 2505.17999) as printed; ``li2025qnn-code`` is the form that its released code ran,
where the two differ (`note` says how). Biases are part of every affine map, as in the released code.
"""

from __future__ import annotations

import difflib
from fractions import Fraction
from typing import Literal, TypeAlias

from qnn_theory.grammar.expr import (
    ActivationKind,
    Concat,
    Expr,
    HeadMajor,
    RowSum,
    Slice,
    activation,
    affine,
    bilinear,
    mean,
    relu,
    scale,
    x,
    x0,
)
from qnn_theory.grammar.format import Format

HeadLayout: TypeAlias = Literal["aligned", "released"]

_HALF = Fraction(1, 2)
_DOUBLE = Fraction(2)


def qnn_alpha(
    *,
    rows: int = 4,
    heads: int = 1,
    head_layout: HeadLayout = "aligned",
    embedding_dim: int = 2,
    mid_activation: ActivationKind | None = "relu",
    residual: bool = True,
    id: str | None = None,
) -> Format:
    """One layer of QNN-α: ``X • ReLU(W X) + X`` with the Khatri-Rao product • summed over the rows (li2025qnn, eq. 10).

    Args:
        rows: number of rows M of the Khatri-Rao product.
        heads: number of heads H.
        head_layout: ``aligned`` is the printed form (head h owns the h-th block of coordinates, gate and residual alike);
            ``released`` is what the released code computes: the factor of the gate is laid out head-major, the residual is not.
        embedding_dim: width of one field, which only the released layout reads.
        mid_activation: activation of the gate; None is the paper's ablation without it.
        residual: whether the input is added back.
        id: id of the format; built from the arguments when left out.

    Raises:
        ValueError: an unknown layout, rows or heads below 1, or heads that do not divide the embedding.
    """
    if head_layout not in ("aligned", "released"):
        raise ValueError(f"head_layout is 'aligned' or 'released', however: {head_layout!r}.")
    if heads < 1:
        raise ValueError(f"QNN-alpha has at least 1 head, however: heads={heads}.")

    def gate(name: str, width: Fraction = Fraction(1)) -> Expr:
        projected: Expr = affine(name, x, width=width)
        return RowSum(rows=rows, of=projected if mid_activation is None else activation(mid_activation, projected))

    product: Expr
    if head_layout == "released":
        product = HeadMajor(heads=heads, embedding_dim=embedding_dim, of=x) * gate("W")
    elif heads == 1:
        product = x * gate("W")
    else:
        share = Fraction(1, heads)
        product = Concat(
            parts=tuple(Slice(index=h, blocks=heads, of=x) * gate(f"W_{h + 1}", share) for h in range(heads))
        )
    return Format(
        id=id or f"QNN-alpha(rows={rows},heads={heads},{head_layout})",
        expr=product + x if residual else product,
        source="li2025qnn" if head_layout == "aligned" else "li2025qnn-code",
        note=f"{rows} rows, {heads} head{'s' if heads > 1 else ''}",
    )


_CODE = "li2025qnn-code"

_REGISTRY: tuple[Format, ...] = (
    Format("T1", bilinear("A") + affine("W_b"), note="FM-like; QuadraLib type 1; full bilinear map per output"),
    Format("T2", bilinear("A"), note="QuadraLib type 1"),
    Format("T3", affine("W_a", x**2), note="QuadraLib type 2"),
    Format("T4", affine("W_a") ** 2, note="QuadraLib type 3"),
    Format("T5", affine("W_a") * affine("W_b"), note="PEPNet-like; QuadraLib type 4"),
    Format("T6", bilinear("A") + affine("W_b", x**2), note="QuadraLib types 1&2"),
    Format("T7", affine("W_a") * affine("W_b") + affine("W_c", x**2), note="Fan et al.; QuadraLib types 2&4"),
    Format("T8", affine("W_a") * affine("W_b") + affine("W_c"), note="QuadraLib's own"),
    Format("T9", x * affine("W_a") + x, note="ECN-like (DCNv3)"),
    Format("T10", x * affine("W_a") + affine("W_b")),
    Format("T11", affine("W_a", width=_HALF) | affine("W_b", width=_HALF) ** 2, note="two halves of width d/2"),
    Format(
        "T12",
        affine("W_a", width=_HALF) * affine("W_b", width=_HALF) | affine("W_c", x**2, width=_HALF),
        note="two halves of width d/2",
    ),
    Format(
        "T13",
        affine("W_a", width=_HALF) * affine("W_b", width=_HALF) | affine("W_c", width=_HALF),
        note="two halves of width d/2; FINAL-like",
    ),
    Format(
        "T14",
        affine("W_a", width=_HALF) * affine("W_b", width=_HALF) | affine("W_b", width=_HALF),
        note="two halves of width d/2, W_b shared; FINAL's concat layer",
    ),
    Format(
        "T15",
        affine("W_a", width=_HALF) ** 2 | affine("W_a", width=_HALF),
        source=_CODE,
        note="two halves of width d/2, W_a shared; printed in the other order",
    ),
    Format("T16", x * affine("W_a") * affine("W_b") + x, note="cubic; GDCN-like"),
    Format("T17", x * affine("W_a") + affine("W_b") + x, source=_CODE, note="printed form: T17-paper"),
    Format(
        "T18",
        affine("W_b", x * affine("W_a") | x),
        source=_CODE,
        note="joined to width 2d, then mapped back to d; printed form: T18-paper",
    ),
    Format("T19", x * relu(affine("W_a")) + x, note="mid-activation"),
    Format("T20", x * affine("W_a") + affine("W_a") + x, note="W_a shared"),
    Format("T21", (x * affine("W_a")) ** 2 + x, note="quartic"),
    Format("T22", x * affine("W_a") + scale("alpha", x)),
    Format("T23", affine("W_a") * affine("W_b") + x),
    Format("T24", affine("W_a") * relu(affine("W_b")) + x, note="MaskNet-like; mid-activation"),
    Format("T25", x * affine("W_a", relu(affine("W_b", width=_HALF))) + x, note="bottleneck d/2; mid-activation"),
    Format("T26", x * mean(relu(affine("W_a")), relu(affine("W_b"))) + x, source=_CODE, note="not in the paper"),
    Format("T27", x**2 * mean(relu(affine("W_a")), relu(affine("W_b"))) + x, source=_CODE, note="not in the paper"),
    Format(
        "T28", x * mean(relu(affine("W_a")) ** 2, relu(affine("W_b")) ** 2) + x, source=_CODE, note="not in the paper"
    ),
    Format("T29", x * mean(relu(affine("W_a")), relu(affine("W_b")) ** 2) + x, source=_CODE, note="not in the paper"),
    Format("T30", mean(x * relu(affine("W_a")), x**2 * relu(affine("W_b"))) + x, source=_CODE, note="not in the paper"),
    Format("Linear", affine("W_a"), note="with a post-activation: a layer of the MLP"),
    Format("CrossNetV2", x0 * affine("W_a") + x, source="wang2021dcnv2", note="DCNv2's cross layer"),
    qnn_alpha(rows=4, id="QNN-alpha"),
    qnn_alpha(rows=4, heads=2, head_layout="released", embedding_dim=2, id="QNN-alpha-released"),
    Format("T17-paper", x * (affine("W_a") + affine("W_b")) + x, note="T17 as printed"),
    Format("T18-paper", x * affine("W_a") | x, note="T18 as printed, of width 2d"),
)

_BY_ID: dict[str, Format] = {format.id: format for format in _REGISTRY}
if len(_BY_ID) != len(_REGISTRY):
    raise ValueError("Format ids must be unique; rename the entry that was added twice to the registry.")


def formats() -> tuple[Format, ...]:
    """All registered formats, in registry order: T1..T30 and the named ones."""
    return _REGISTRY


def get_format(format: str | Format) -> Format:
    """The format with this id; a `Format` passes through, so a user's own works wherever an id does.

    Raises:
        KeyError: no such id; names the nearest one.
    """
    if isinstance(format, Format):
        return format
    if format in _BY_ID:
        return _BY_ID[format]
    upper = {id.upper(): id for id in _BY_ID}
    near = difflib.get_close_matches(str(format).upper(), upper, n=1, cutoff=0.0)
    raise KeyError(
        f"A format is one of the registered ids (`qnn formats` lists them), however: {format!r}; "
        f"the nearest is {upper[near[0]]!r}."
    )
