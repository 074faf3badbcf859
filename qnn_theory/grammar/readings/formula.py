"""Formulas as text: the registry's own syntax, read without running it, and written so that it reads back as the same expression.

``x * affine("W_a") + x`` is T9, in a Python file as on a command line. `parse` walks Python's syntax tree with a closed list of
names (`NAMES`) and operators; nothing is ever evaluated. `formula_text.to_formula` is its inverse. Checked in
tests/qnn_theory/grammar/test_formula.py: round trips over the registry and over random expressions.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeGuard

from qnn_theory.grammar.expr import (
    ACTIVATION_KINDS,
    NODE_TYPES,
    ActivationKind,
    Expr,
    HeadMajor,
    RowSum,
    Slice,
    activation,
    affine,
    bilinear,
    children,
    constant,
    mean,
    scale,
    walk,
    x,
    x0,
)
from qnn_theory.grammar.readings.formula_text import to_formula

MAX_CHARACTERS = 10_000
MAX_NODES = 1_000
MAX_NESTING = 60
MAX_DEPTH = 120
_MAX_DIGITS = 30
_MAX_BITS = 128


class FormulaError(ValueError):
    """A formula that cannot be read; the message shows it with a mark under the place."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the grammar.

    Attributes:
        value: what it stands for: an expression, or a function that makes one.
        meaning: what it is.
        example: a formula that uses it.
    """

    value: Expr | Callable[..., Expr]
    meaning: str
    example: str


def row_sum(rows: int, of: Expr) -> RowSum:
    """The sum over rows of a Khatri-Rao product, each row with parameters of its own."""
    return RowSum(rows=rows, of=of)


def block(index: int, blocks: int, of: Expr) -> Slice:
    """One of several equal blocks of the coordinates, counted from 0."""
    return Slice(index=index, blocks=blocks, of=of)


def head_major(heads: int, embedding_dim: int, of: Expr) -> HeadMajor:
    """The released head layout of QNN-α: a fixed permutation."""
    return HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of)


def _activation(kind: ActivationKind) -> Callable[..., Expr]:
    if kind == "prelu":

        def prelu(of: Expr, *, slope: str = "slope") -> Expr:
            return activation("prelu", of, slope=slope)

        return prelu

    def plain(of: Expr) -> Expr:
        return activation(kind, of)

    return plain


_MEANINGS: dict[ActivationKind, str] = {
    "relu": "max(of, 0)",
    "relu6": "min(max(of, 0), 6)",
    "prelu": "of where it is positive, slope · of elsewhere, with a learned slope",
    "gelu": "of · Φ(of), Φ the normal distribution function",
    "silu": "of · σ(of)",
    "mish": "of · tanh(log(1 + exp(of)))",
    "sigmoid": "σ(of) = 1 / (1 + exp(-of))",
    "tanh": "the hyperbolic tangent",
}

NAMES: dict[str, Name] = {
    "x": Name(x, "the layer's input, of width d", 'x * affine("W_a") + x'),
    "x0": Name(x0, "the input of the whole network", 'x0 * affine("W_a") + x'),
    "constant": Name(
        constant, "a fixed number in every coordinate, where no neighbour tells its width", "x * relu(constant(1) - x)"
    ),
    "affine": Name(
        affine,
        "W of + b; the same name is the same map, width is a share of d",
        'affine("V", affine("U", width=1/2))',
    ),
    "bilinear": Name(bilinear, "leftᵀ A_k right + b_k, one matrix per output", 'bilinear("A") + affine("W_b")'),
    "scale": Name(scale, "a learned vector times of", 'x * affine("W_a") + scale("alpha")'),
    "mean": Name(mean, "the mean of expressions of one width", 'x * mean(affine("W_a"), relu(affine("W_b")))'),
    "row_sum": Name(
        row_sum, "the sum over rows, each with parameters of its own", 'x * row_sum(4, relu(affine("W"))) + x'
    ),
    "block": Name(
        block,
        "block number index of blocks equal blocks of of's coordinates",
        'block(0, 2, x) * affine("W_a", width=1/2) | block(1, 2, x) * affine("W_b", width=1/2)',
    ),
    "head_major": Name(
        head_major,
        "of's coordinates in the released head layout of QNN-α",
        'head_major(2, 4, x) * row_sum(4, relu(affine("W"))) + x',
    ),
    **{kind: Name(_activation(kind), meaning, f'x * {kind}(affine("W_a")) + x') for kind, meaning in _MEANINGS.items()},
}
"""Every name that a formula may hold. Besides them: ``+ - * ** / |`` (joined coordinates), brackets and numbers."""

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
}


def parse(text: str) -> Expr:
    """The expression that a formula in the registry's syntax stands for.

    Args:
        text: for instance ``x * relu(affine("W_a")) + x``.

    Raises:
        FormulaError: it is no formula of the grammar, or beyond the limits; shows the place.
    """
    line = " ".join(text.split())
    if len(line) > MAX_CHARACTERS:
        raise FormulaError(f"A formula has at most {MAX_CHARACTERS} characters, however: it has {len(line)}.")
    nesting = _nesting(line)
    if nesting > MAX_NESTING:
        raise FormulaError(f"Brackets are nested at most {MAX_NESTING} deep, however: {nesting} deep.")
    try:
        tree = ast.parse(line, mode="eval").body
        expr = _Reader(line).read(tree)
        if not _is_expr(expr):
            raise FormulaError(_marked(line, 0, f"{_shown(expr)} is no expression of x"))
        found, depth = sum(1 for _ in walk(expr)), _depth(expr)
    except SyntaxError as error:
        raise FormulaError(
            _marked(line, (error.offset or len(line) + 1) - 1, f"it is not complete or not closed ({error.msg})")
        ) from None
    except (RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, FormulaError):
            raise
        if isinstance(error, ValueError):
            raise FormulaError(_marked(line, 0, str(error))) from None
        raise FormulaError(
            f"A formula has at most {MAX_NODES} nodes, however: this one is nested too deep to read."
        ) from None
    if found > MAX_NODES or depth > MAX_DEPTH:
        raise FormulaError(
            f"A formula has at most {MAX_NODES} nodes, {MAX_DEPTH} one inside the other, however: it has {found}, {depth}."
        )
    return expr


def is_formula(text: str) -> bool:
    """Whether a text is meant as a formula rather than as an id or a pattern of ids: it calls, or it reads ``x`` or ``x0``."""
    return bool(re.search(r"\(|\s[-+*/|]\s|^\s*-|^\s*x0?\b|(?<![\w.-])x0?(?![\w.])", text))


@dataclass(frozen=True, slots=True)
class _Reader:
    line: str

    def read(self, node: ast.expr) -> Any:
        """An expression, an exact number, a text or a truth value."""
        match node:
            case ast.Constant(value=bool() | str() as literal):
                return literal
            case ast.Constant(value=int() | float()):
                return self._number(node)
            case ast.Name(id=name):
                value = self._name(node, name).value
                if _is_expr(value):
                    return value
                raise self._error(node, f"{name} is a function; call it, as in {NAMES[name].example}")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._apply(node, operator.neg, self.read(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._binary(node, self.read(left), self.read(right))
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, name)
            case ast.BinOp(op=ast.MatMult(), right=right):
                raise self._error(
                    right, 'the grammar has no @: a matrix times x is affine("W_a"), the Hadamard product is *'
                )
            case ast.BinOp(op=ast.BitXor(), right=right):
                raise self._error(right, "a power is written **, as in x ** 2, and not ^")
            case _:
                raise self._error(node, "this is not part of the grammar (numbers, names, calls and + - * ** / |)")

    def _number(self, node: ast.expr) -> Fraction:
        """A literal as the exact number that its digits say."""
        digits = ast.get_source_segment(self.line, node) or ""
        if len(digits) > _MAX_DIGITS:
            raise self._error(node, f"a number has at most {_MAX_DIGITS} digits")
        try:
            return Fraction(digits.replace("_", ""))
        except ValueError:
            return Fraction(ast.literal_eval(node))

    def _name(self, node: ast.expr, name: str) -> Name:
        if name not in NAMES:
            if re.fullmatch(r"[A-Z]\w*", name):
                raise self._error(node, f"a parameter's name stands in quotes, as {name!r} does in affine({name!r}, x)")
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
            remedy = f"; did you mean {near[0]!r}?" if near else ""
            raise self._error(node, f"{name!r} is none of the grammar's names, which are {', '.join(NAMES)}{remedy}")
        return NAMES[name]

    def _binary(self, node: ast.BinOp, left: Any, right: Any) -> Any:
        op, place = node.op, node.right
        numbers = isinstance(left, Fraction) and isinstance(right, Fraction)
        if isinstance(op, ast.Div) and not isinstance(right, Fraction):
            raise self._error(place, "only a number can divide; the grammar has no quotient of expressions")
        if isinstance(op, ast.Div) and right == 0:
            raise self._error(place, "nothing can be divided by 0")
        if isinstance(op, ast.Pow):
            if not isinstance(right, Fraction) or right.denominator != 1 or not 1 <= right <= 16:
                raise self._error(place, f"an exponent is a whole number from 1 to 16, however: {_shown(right)}")
            right = int(right)
        elif isinstance(op, ast.BitOr) and numbers:
            raise self._error(place, "| joins the coordinates of two expressions, not numbers")
        return self._apply(node, _OPERATORS[type(op)], left, right)

    def _call(self, node: ast.Call, name: str) -> Any:
        function = self._name(node.func, name).value
        if not callable(function):
            raise self._error(node.func, f"{name} is an expression and takes no arguments")
        signature = inspect.signature(function)
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._error(keyword.value, "** is no argument of a formula")
            if keyword.arg not in signature.parameters:
                near = difflib.get_close_matches(keyword.arg, signature.parameters, n=1, cutoff=0.5)
                remedy = f"; did you mean {near[0]!r}?" if near else ""
                raise self._error(
                    keyword.value, f"{name} takes {arguments(signature)}, however: {keyword.arg!r}{remedy}"
                )
            keywords[keyword.arg] = keyword.value
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self._error(node, "* is no argument of a formula")
        try:
            bound = signature.bind(*node.args, **keywords)
        except TypeError as error:
            raise self._error(
                node, f"{name} takes {arguments(signature)}: {error}, as in {NAMES[name].example}"
            ) from None
        if name == "mean" and not node.args:
            raise self._error(node, "mean takes at least one expression")
        positional = [self._argument(part, name, signature, at) for at, part in enumerate(bound.args)]
        named = {key: self._argument(part, name, signature, key) for key, part in bound.kwargs.items()}
        return self._apply(node, function, *positional, **named)

    def _argument(self, node: ast.expr, name: str, signature: inspect.Signature, key: int | str) -> Any:
        """An argument, checked against what the parameter takes."""
        names = list(signature.parameters)
        parameter = signature.parameters[key if isinstance(key, str) else names[min(key, len(names) - 1)]]
        value, wanted = self.read(node), str(parameter.annotation)
        if wanted == "str":
            if not isinstance(value, str):
                raise self._error(node, f"{name} needs a name in quotes, as in {NAMES[name].example}")
            if not re.fullmatch(r"[A-Za-z_]\w{0,31}", value):
                raise self._error(
                    node, f"a parameter's name is a letter, then letters, digits and _ (32 at most), however: {value!r}"
                )
        elif wanted == "bool":
            if not isinstance(value, bool):
                raise self._error(node, f"{parameter.name} is True or False, however: {_shown(value)}")
        elif wanted == "int":
            if not isinstance(value, Fraction) or value.denominator != 1:
                raise self._error(node, f"{parameter.name} is a whole number, however: {_shown(value)}")
            value = int(value)
        elif wanted in ("Fraction", "float", "Number"):
            if not isinstance(value, Fraction):
                raise self._error(node, f"{parameter.name} is a number, however: {_shown(value)}")
            if parameter.name == "width" and not 0 < value <= 1024:
                raise self._error(node, f"a width is a positive share of d, at most 1024, however: {value}")
            value = float(value) if wanted == "float" else value
        elif not _is_expr(value):
            raise self._error(node, f"{parameter.name} of {name} is an expression, however: {_shown(value)}")
        return value

    def _apply(self, node: ast.expr, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        for value in arguments:
            if isinstance(value, str | bool) and function in (*_OPERATORS.values(), operator.neg):
                raise self._error(node, f"{_shown(value)} is no expression")
        try:
            result = function(*arguments, **named)
        except (TypeError, ValueError) as error:
            raise self._error(node, str(error)) from None
        if (
            isinstance(result, Fraction)
            and max(result.numerator.bit_length(), result.denominator.bit_length()) > _MAX_BITS
        ):
            raise self._error(node, f"numbers have at most {_MAX_BITS} bits above and below the line")
        return result

    def _error(self, node: ast.expr, what: str) -> FormulaError:
        return FormulaError(_marked(self.line, node.col_offset, what, encoded=True))


def _marked(line: str, column: int, what: str, *, encoded: bool = False) -> str:
    """The message with the formula's neighbourhood and a mark; columns of the syntax tree count UTF-8 bytes."""
    if encoded:
        column = len(line.encode()[:column].decode(errors="ignore"))
    start = max(0, column - 50)
    window = line[start : start + 100]
    what = what.rstrip(".")
    mark = " " * (column - start) + "^"
    return f"A formula is written as in the registry, however at column {column + 1}: {what}.\n  {window}\n  {mark}"


def _is_expr(value: object) -> TypeGuard[Expr]:
    return isinstance(value, NODE_TYPES)


def _depth(expr: Expr) -> int:
    return 1 + max(map(_depth, children(expr)), default=0)


def _nesting(line: str) -> int:
    depth = deepest = 0
    for character in line:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def arguments(signature: inspect.Signature) -> str:
    """The arguments of a name of the grammar, as a formula writes them: ``(name, of=x, width=1, bias=True)``."""
    shown = []
    for parameter in signature.parameters.values():
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f"={_shown(parameter.default)}"
        shown.append(f"{star}{parameter.name}{default}")
    return f"({', '.join(shown)})"


def _shown(value: Any) -> str:
    return to_formula(value) if _is_expr(value) else str(value) if isinstance(value, Fraction) else repr(value)


if set(_MEANINGS) != set(ACTIVATION_KINDS):
    raise ValueError("Each activation has a meaning for `qnn formats`; add the missing one to _MEANINGS.")
