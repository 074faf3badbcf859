"""The grammar, its shape rules and the registry: what is accepted, what is rejected, and with which words."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import (
    Activation,
    Concat,
    Constant,
    HeadMajor,
    Multiple,
    Power,
    Product,
    RowSum,
    Slice,
    Sum,
    activation,
    affine,
    bias_name,
    bilinear,
    children,
    constant,
    mean,
    relu,
    scale,
    uses_activation,
    walk,
    x,
    x0,
)
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.readings.latex import to_latex
from qnn_theory.grammar.rewrite import factor_row_sums, replace
from qnn_theory.grammar.widths import check_dim, divisor, head_major_order, parameters, width
from qnn_theory.registry import qnn_alpha
from tests.qnn_theory.paper_ids import PAPER

HALF = Fraction(1, 2)


def test_the_registry_holds_the_papers_list_in_order() -> None:
    """Formats of one's own may stand anywhere between."""
    assert tuple(format.id for format in qt.formats() if format.id in PAPER) == PAPER


def test_operators_build_the_papers_formulas() -> None:
    assert x * affine("W_a") + x == Sum(terms=(Product(factors=(x, affine("W_a"))), x))
    assert (x + x) + x == Sum(terms=(x, x, x))
    assert x * x * x == Product(factors=(x, x, x))
    assert (x | x) | x == Concat(parts=(x, x, x))
    assert x**2 == Power(of=x, exponent=2)
    assert 2 * x == Multiple(factor=Fraction(2), of=x)
    assert mean(x, x0) == Multiple(factor=HALF, of=Sum(terms=(x, x0)))


ONE = constant(1)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (x - affine("W_a"), Sum(terms=(x, Multiple(factor=Fraction(-1), of=affine("W_a"))))),
        (-x, Multiple(factor=Fraction(-1), of=x)),
        (-(0 - x), x),
        (+x, x),
        (1 + affine("W_a"), Sum(terms=(ONE, affine("W_a")))),
        (affine("W_a") + 1, Sum(terms=(affine("W_a"), ONE))),
        (2 * x - 3, Sum(terms=(Multiple(factor=Fraction(2), of=x), constant(-3)))),
        (1 - x, Sum(terms=(ONE, Multiple(factor=Fraction(-1), of=x)))),
        ((x + 1) ** 2, Power(of=Sum(terms=(x, ONE)), exponent=2)),
        (affine("W") / 2, Multiple(factor=HALF, of=affine("W"))),
        (x * 2, Multiple(factor=Fraction(2), of=x)),
        (3 * (x / 2) * -2, Multiple(factor=Fraction(-3), of=x)),
        (0.5 * x, Multiple(factor=HALF, of=x)),
        (x + np.int64(1) * np.float64(0.5), Sum(terms=(x, constant(HALF)))),
        (np.float64(0.5) * x, Multiple(factor=HALF, of=x)),
        (np.int64(1) - x, Sum(terms=(ONE, Multiple(factor=Fraction(-1), of=x)))),
        (sum([x, x0]), Sum(terms=(x, x0))),
        (x - 0, x),
        (affine("W", width=HALF) - 1, Sum(terms=(affine("W", width=HALF), constant(-1, width=HALF)))),
        ((x | x) + 1, Sum(terms=(Concat(parts=(x, x)), constant(1, width=Fraction(2))))),
        (Slice(index=0, blocks=2, of=x) + 1, Sum(terms=(Slice(index=0, blocks=2, of=x), constant(1, width=HALF)))),
        (2 * constant(3, width=HALF), constant(6, width=HALF)),
    ],
)
def test_numbers_and_signs_stand_on_either_side(written: object, means: object) -> None:
    assert written == means
    Format("mine", written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (lambda: x + "3", TypeError, r"nodes of qnn_theory\.grammar\.expr, however: '3'"),
        (lambda: x + True, TypeError, "however: True"),
        (lambda: True * x, TypeError, "however: True"),
        (lambda: x + 0.1, ValueError, r"is exact, however: 0\.1 is rounded; write Fraction\(1, 10\)"),
        (lambda: x * float("nan"), ValueError, "is finite, however: nan"),
        (lambda: x - float("inf"), ValueError, "is finite, however: inf"),
        (lambda: x / 0, ValueError, "a number other than 0, however: 0"),
        (lambda: x / affine("W"), TypeError, "divides by numbers only"),
        (lambda: 1 / x, TypeError, "unsupported operand"),
        (lambda: x + 10**400, ValueError, "integers up to 1000000000, however: integers of 1329 and 1 bits"),
        (lambda: x * (2**31 - 1), ValueError, "integers up to 1000000000, however: 2147483647"),
        (lambda: 10**9 * (10 * x), ValueError, "however: 10000000000"),
        (lambda: x | 1, TypeError, r"1 stands alone; write constant\(1\)"),
        (lambda: relu(1), TypeError, r"1 stands alone; write constant\(1\)"),  # type: ignore[arg-type]
        (lambda: affine("W", 2), TypeError, r"2 stands alone; write constant\(2\)"),  # type: ignore[arg-type]
        (lambda: x + 1j, TypeError, "however: 1j"),
    ],
)
def test_what_is_no_exact_number_is_refused(write: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        write()


def test_walking_visits_every_part() -> None:
    expr = bilinear("A", x, affine("W_a", x0)) + relu(x)
    assert children(expr) == (bilinear("A", x, affine("W_a", x0)), relu(x))
    assert list(walk(expr)).count(x) == 2
    assert uses_activation(expr)
    assert not uses_activation(x * x)


@pytest.mark.parametrize(("name", "bias"), [("W_a", "b_a"), ("W", "b"), ("A", "b_A"), ("V_1", "b_V_1")])
def test_a_bias_is_named_after_its_map(name: str, bias: str) -> None:
    assert bias_name(name) == bias


def test_shared_names_are_one_parameter() -> None:
    assert [p.name for p in parameters(qt.get_format("T20").expr)] == ["W_a", "b_a"]
    assert [p.name for p in parameters(qt.get_format("T14").expr)] == ["W_a", "b_a", "W_b", "b_b"]


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        (affine("W_a") + affine("W_a", width=HALF), "terms of a sum must have one width, however: 1·d, 1/2·d"),
        (x * (x | x), "factors of a Hadamard product must have one width"),
        (bilinear("A", x, x | x), "two sides of the bilinear map A must have one width"),
        (
            affine("W_a") * affine("W_a", x | x),
            "W_a is used as affine of shape 1·d × 1·d and as affine of shape 1·d × 2·d",
        ),
        (affine("W_a") + bilinear("W_a"), "same name is the same parameter"),
        (scale("b_a") + affine("W_a"), "b_a is used as scale"),
        (RowSum(rows=2, of=affine("W_a")) + affine("W_a"), "in 2 rows"),
        (x**0, "exponent of at least 1, however: 0"),
        (x**1.5, "integer exponent of at least 1, however: 1.5"),  # type: ignore[operator]
        (Constant(value=0.1), "is a Fraction, however: 0.1"),  # type: ignore[arg-type]
        (Constant(value=Fraction(1), width=Fraction(0)), "width of a constant must be a positive multiple of d"),
        (Multiple(factor=Fraction(10**10), of=x), "integers up to 1000000000, however: 10000000000"),
        (x + constant(1, width=HALF), "terms of a sum must have one width, however: 1·d, 1/2·d"),
        (RowSum(rows=0, of=affine("W")), "at least 1 row, however: rows=0"),
        (RowSum(rows=2, of=RowSum(rows=2, of=affine("W"))), "row sum inside a row sum"),
        (Slice(index=2, blocks=2, of=x), "block 0 to blocks - 1, however: index=2, blocks=2"),
        (HeadMajor(heads=3, embedding_dim=4, of=x), "heads must divide embedding_dim, however: heads=3"),
        (Sum(terms=()), "at least one of the terms of a sum"),
        (affine("W_a", width=Fraction(0)), "positive multiple of d"),
        (Activation(kind="softplus", of=x), "one of relu, relu6"),  # type: ignore[arg-type]
        (Activation(kind="prelu", of=x), "prelu names a learned slope"),
        (Activation(kind="relu", of=x, slope="s"), "prelu names a learned slope"),
    ],
)
def test_a_format_that_does_not_fit_is_rejected_when_written(expr: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"^mine: ") as error:
        Format("mine", expr)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize("id", ["T11", "T12", "T13", "T14", "T15", "T25", "QNN-alpha-released"])
@pytest.mark.parametrize("dim", [1, 3, 7])
def test_odd_widths_are_rejected(id: str, dim: int) -> None:
    with pytest.raises(ValueError, match=rf"^{id} .* however: d={dim}"):
        check_dim(qt.get_format(id).expr, dim, label=id)


@pytest.mark.parametrize("dim", [0, -2, True, 2.0, "4"])
def test_widths_are_positive_integers(dim: object) -> None:
    with pytest.raises(ValueError, match="positive integer"):
        check_dim(x, dim)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_every_multiple_of_the_divisor_fits_and_nothing_else(format: Format) -> None:
    step = divisor(format.expr)
    for dim in range(1, 9):
        if dim % step:
            with pytest.raises(ValueError, match="however"):
                check_dim(format.expr, dim)
        else:
            check_dim(format.expr, dim)
            assert width(format.expr) * dim == len(_value(format, dim))


def test_divisor_of_a_permuted_double_width() -> None:
    doubled = HeadMajor(heads=2, embedding_dim=4, of=x | x)
    assert divisor(doubled) == 2
    check_dim(doubled, 2)
    with pytest.raises(ValueError, match="multiple of 4"):
        check_dim(doubled, 3)


@pytest.mark.parametrize("unknown", ["T99", "t9 ", "QNN", ""])
def test_unknown_ids_raise_and_name_the_nearest(unknown: str) -> None:
    with pytest.raises(KeyError, match="the nearest is"):
        qt.get_format(unknown)


def test_a_users_own_format_is_accepted_where_an_id_is() -> None:
    mine = Format("mine", x * affine("W_a"))
    assert qt.get_format(mine) is mine


def test_head_major_order_is_the_released_layout() -> None:
    # Two fields of width 4 in two heads: head 0 takes the first halves of both fields.
    assert head_major_order(8, heads=2, embedding_dim=4) == (0, 1, 4, 5, 2, 3, 6, 7)
    assert head_major_order(8, heads=1, embedding_dim=4) == tuple(range(8))


def test_qnn_alpha_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="head_layout is 'aligned' or 'released', however: 'other'"):
        qnn_alpha(head_layout="other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1 head"):
        qnn_alpha(heads=0)
    with pytest.raises(ValueError, match="rows=0"):
        qnn_alpha(rows=0)
    assert not uses_activation(qnn_alpha(mid_activation=None).expr)


def test_activations_are_replaced_everywhere() -> None:
    format = with_mid_activation(qt.get_format("T26"), "prelu")
    slopes = [node.slope for node in walk(format.expr) if isinstance(node, Activation)]
    assert len(set(slopes)) == 2
    assert None not in slopes
    assert with_post_activation(qt.get_format("T9"), None) is qt.get_format("T9")
    assert with_post_activation(qt.get_format("T9"), "relu").expr == relu(qt.get_format("T9").expr)


@pytest.mark.parametrize(
    ("id", "latex"),
    [
        ("T1", r"X^{\top} A X + W_{b} X"),
        ("T9", r"X \odot W_{a} X + X"),
        ("T11", r"W_{a} X \,\Vert\, \left(W_{b} X\right)^{2}"),
        ("T18", r"W_{b} \left(X \odot W_{a} X \,\Vert\, X\right)"),
        ("T21", r"\left(X \odot W_{a} X\right)^{2} + X"),
        ("T22", r"X \odot W_{a} X + \alpha \odot X"),
        ("T25", r"X \odot W_{a} \operatorname{ReLU}\left(W_{b} X\right) + X"),
        ("CrossNetV2", r"X_1 \odot W_{a} X + X"),
        ("QNN-alpha", r"X \odot \sum_{m=1}^{4} \operatorname{ReLU}\left(W_{m} X\right) + X"),
    ],
)
def test_latex_is_the_papers_notation(id: str, latex: str) -> None:
    assert qt.get_format(id).latex == latex


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_latex_of_every_format_renders(format: Format) -> None:
    from matplotlib.mathtext import MathTextParser

    text = format.latex.replace(r"\operatorname", r"\mathrm").replace(r"\tfrac", r"\frac")
    MathTextParser("path").parse(f"${text}$".replace(r"\Vert", r"\|").replace(r"\top", "T"))


def test_latex_of_slices_and_negative_multiples() -> None:
    assert to_latex(Slice(index=0, blocks=2, of=x)) == "X^{(1)}"
    assert to_latex(Fraction(-1, 2) * x) == r"-\tfrac{1}{2} X"
    assert to_latex(x - affine("W_a") - Fraction(1, 3)) == r"X - W_{a} X - \tfrac{1}{3}"
    assert to_latex(x * (1 - x) - 2 * x**2) == r"X \odot \left(1 - X\right) - 2 X^{2}"
    assert to_latex(-(x + 1) * constant(2) ** 2) == r"\left(-\left(X + 1\right)\right) \odot 2^{2}"
    assert to_latex(Multiple(factor=Fraction(2), of=constant(3))) == r"2 \cdot 3"
    assert to_latex(HeadMajor(heads=2, embedding_dim=2, of=x)) == r"\pi_{2}\left(X\right)"


def _value(format: Format, dim: int) -> list[Fraction]:
    def ones(shape: tuple[int, ...]) -> object:
        return Fraction(1) if not shape else [ones(shape[1:]) for _ in range(shape[0])]

    values = {p.name: ones(p.shape(dim)) for p in parameters(format.expr)}
    return evaluate(format.expr, [Fraction(i + 1) for i in range(dim)], values, activation=relu_of_numbers)


def test_evaluation_by_hand() -> None:
    """d = 2, all parameters 1, x = (1, 2): every affine map of x is 1 + 2 + 1 = 4."""
    by_hand = {"T9": [5, 10], "T4": [16, 16], "T1": [9 + 1 + 4, 14], "T3": [6, 6], "T16": [17, 34], "T21": [17, 66]}
    for id, expected in by_hand.items():
        assert _value(qt.get_format(id), 2) == expected
    assert _value(qt.get_format("QNN-alpha"), 2) == [1 + 16, 2 + 32]
    released = qnn_alpha(rows=1, heads=2, head_layout="released", embedding_dim=2)
    assert _value(released, 4) == [1 + 1 * 11, 2 + 3 * 11, 3 + 2 * 11, 4 + 4 * 11]


def test_activations_need_a_rule() -> None:
    with pytest.raises(ValueError, match="relu is not a ring operation"):
        evaluate(relu(x), [Fraction(1)], {})
    with pytest.raises(ValueError, match="however: gelu"):
        evaluate(activation("gelu", x), [Fraction(1)], {}, activation=relu_of_numbers)


def test_factoring_row_sums_keeps_the_value() -> None:
    inside = Format("inside", RowSum(rows=3, of=x * relu(affine("W"))))
    outside = Format("outside", factor_row_sums(inside.expr))
    assert outside.expr == x * RowSum(rows=3, of=relu(affine("W")))
    assert _value(inside, 3) == _value(outside, 3)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_replacing_nothing_changes_nothing(format: Format) -> None:
    assert replace(format.expr, lambda node: node) == format.expr


def test_the_theory_starts_fast_and_without_torch() -> None:
    code = "import sys, qnn_theory; qnn_theory.formats(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_node_and_interpreter_is_tested() -> None:
    """A node must occur in a format that the module tests run; an interpreter must have tests that cover the registry."""
    from qnn_theory.grammar.expr import NODE_TYPES
    from tests.qnn_models.layers.test_layer import UNUSUAL

    used = {type(node) for format in (*qt.formats(), *UNUSUAL) for node in walk(format.expr)}
    assert used == set(NODE_TYPES), "add a format with the new node to UNUSUAL in tests/qnn_models/test_layer.py"

    root = Path(__file__).parents[3]
    tests = [path.read_text() for path in (root / "tests").rglob("test_*.py")]
    entries = {  # what users call them through
        "lower": "qnn_models",
        "support": "qnn_theory.feature_spaces.feature_space",
        "layer_analysis": "qnn_theory.smoothness_classes.smoothness",
        "expansion": "qnn_theory.relations.relation",
        "free_parameters": "qnn_theory.relations.relation",
    }
    uncovered = []
    for package in ("qnn_theory", "qnn_models"):
        for path in (root / package).rglob("*.py"):
            if any(map(_interprets, ast.walk(ast.parse(path.read_text())))):
                entry = entries.get(path.stem, ".".join(path.relative_to(root).with_suffix("").parts))
                if not any(f"from {entry} import" in text and "formats()" in text for text in tests):
                    uncovered.append(str(path.relative_to(root)))
    assert not uncovered, "no test imports these interpreters of expressions and runs over formats()"


def _interprets(node: ast.AST) -> bool:
    """Whether this is a function of an expression whose `match` ends in `assert_never`."""
    if not isinstance(node, ast.FunctionDef):
        return False
    takes_expr = any(argument.annotation and ast.unparse(argument.annotation) == "Expr" for argument in node.args.args)
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return takes_expr and any(isinstance(call, ast.Name) and call.id == "assert_never" for call in calls)
