"""THE registry: every neuron format, each written once. Adding a format is adding one entry to `_REGISTRY`.

Sources: ``li2025qnn`` is the paper (arXiv 2505.17999) as printed; ``li2025qnn-code`` is the form that its released code ran,
where the two differ (`note` says how). An entry without a source is the paper's. Biases are part of every affine map, as in the
released code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal, TypeAlias

from qnn_theory.grammar.expr import (
    ACTIVATION_KINDS,
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
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.readings.formula import is_formula, parse
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.named_references import find_reference, references

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

_REGISTRY = tuple(format if format.source else replace(format, source="li2025qnn") for format in _REGISTRY)

_BY_ID: dict[str, Format] = {format.id: format for format in _REGISTRY}
if len(_BY_ID) != len(_REGISTRY):
    raise ValueError("Format ids must be unique; rename the entry that was added twice to the registry.")


_own: dict[str, Format] = {}


def formats() -> tuple[Format, ...]:
    """All registered formats, in registry order: T1..T30 and the named ones of the paper, then those of `add_formats`."""
    return (*_REGISTRY, *_own.values())


def is_registered(format: Format) -> bool:
    """Whether it is one of the registry's own formats, not one of `add_formats` or of a formula."""
    return _BY_ID.get(format.id) == format


def add_formats(added: Iterable[Format]) -> None:
    """Give formats of your own a name for the rest of this process: every list, study pattern and command knows them then.

    Raises:
        ValueError: a name is taken by another formula, or is no plain name.
    """
    for format in added:
        if not re.fullmatch(r"[A-Za-z][\w.-]{0,63}", format.id) or is_formula(format.id):
            raise ValueError(
                f"A format's name is a letter, then letters, digits, _ . and - (64 at most), however: {format.id!r}."
            )
        taken = _BY_ID.get(format.id) or _own.get(format.id) or find_reference(format.id)
        if taken is not None and taken.expr != format.expr:
            raise ValueError(
                f"A name stands for one formula, however: {format.id!r} is {to_formula(taken.expr)} already, "
                f"and {to_formula(format.expr)} was given; choose another name."
            )
        if format.id not in _BY_ID:
            _own[format.id] = format


def stored_name(format: str | Format) -> str:
    """The text that stands for a format in any process, as records keep it: a registered id, or the formula.

    Raises:
        KeyError: no such id.
        ValueError: a formula that cannot be read.
    """
    found = get_format(format)
    return to_formula(found.expr) if found.id in _own or is_formula(found.id) else found.id


def get_format(format: str | Format) -> Format:
    """The format that a text names; a `Format` passes through, so a user's own works wherever an id does.

    A text is an id (``T9``), the name of a well-known layer (``SwiGLU``, see `named_references`), one of these with activations
    attached (``T4+relu``: post-activation; ``T19~gelu``: every mid-activation replaced; ``T19~gelu+relu``: both), or a formula
    in the registry's syntax (``x * affine("W") + x``, see `grammar.readings.formula`). A formula's format has the formula as
    its id.

    Raises:
        KeyError: no such id; names the nearest one.
        ValueError: an unknown activation, or a formula that cannot be read (`FormulaError`, shows the place).
    """
    if isinstance(format, Format):
        return format
    if not isinstance(format, str):
        raise TypeError(f"A format is an id, a formula or a Format, however: {format!r}.")
    known = _own.get(format) or _BY_ID.get(format)
    return known if known is not None else _read(format)


def _read(text: str) -> Format:
    base, *attached = re.split(r"(?=[+~])", text.strip())
    if not is_formula(text):
        format = _named(base)
        for part in attached:
            kind = part[1:]
            if kind not in ACTIVATION_KINDS:
                raise ValueError(
                    f"After + (post) or ~ (mid) stands one of {', '.join(ACTIVATION_KINDS)}, however: {kind!r} in {text!r}."
                )
            format = with_post_activation(format, kind) if part[0] == "+" else with_mid_activation(format, kind)
        return format
    return _from_formula(text)


@lru_cache(maxsize=1024)
def _from_formula(text: str) -> Format:
    expr = parse(text)
    return Format(to_formula(expr), expr)


def _named(id: str) -> Format:
    known = {**_BY_ID, **{reference.format.id: reference.format for reference in references()}, **_own}
    if id in known:
        return known[id]
    upper = {name.upper(): name for name in known}
    near = difflib.get_close_matches(id.upper(), upper, n=1, cutoff=0.0)
    raise KeyError(
        f"A format is one of the ids that `qnn formats` lists or a formula of x, however: {id!r}; "
        f"the nearest is {upper[near[0]]!r}."
    )
