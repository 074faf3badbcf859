from __future__ import annotations

import pickle
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given

import qnn_theory as qt
from qnn_theory import registry
from qnn_theory.format_files import load_formats
from qnn_theory.grammar.expr import Expr, affine, relu, x, x0
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.readings.formula import NAMES, FormulaError, is_formula, parse
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.testing import expressions

ALL = qt.formats()


@pytest.mark.parametrize("format", ALL, ids=lambda format: format.id)
def test_every_registered_format_reads_back(format: Format) -> None:
    assert parse(to_formula(format.expr)) == format.expr


@given(expressions())
def test_every_expression_reads_back_as_the_same_function(expr: Expr) -> None:
    once = parse(to_formula(expr))
    assert parse(to_formula(once)) == once  # operators flatten what was nested by hand; what they built stays


@pytest.mark.parametrize(
    "text",
    [
        'x - affine("W")',
        "1 - x",
        "2 * x - 3",
        "-(x + 1)",
        "x - (x + 1)",
        "x * (-x)",
        "constant(1) + 2",
        "(-x) ** 2",
        "x | -x",
    ],
)
def test_signs_and_numbers_are_written_as_people_write_them(text: str) -> None:
    assert to_formula(parse(text)) == text


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_an_example_that_is_a_format(name: str) -> None:
    example = NAMES[name].example
    assert name in example
    assert Format("example", parse(example)).expr is not None


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("x*relu(affine('W_a'))+x", x * relu(affine("W_a")) + x),
        ("  x0 *\n affine( 'W' )\t+ x ", x0 * affine("W") + x),
        ('affine("V", affine("U", width=1/2))', affine("V", affine("U", width=Fraction(1, 2)))),
        (
            'affine("V", of=affine("U", width=0.5), width=3/2)',
            affine("V", affine("U", width=Fraction(1, 2)), width=Fraction(3, 2)),
        ),
        ('affine("W", bias=False)', affine("W", bias=False)),
        ("2 * x", 2 * x),
        ("(x)", x),
        ("+x", x),
        ("x ** (1 + 1)", x**2),
        ("0.1 * x", Fraction(1, 10) * x),
        ("x - affine('W')", x - affine("W")),
        ("1 - x", 1 - x),
        ("-x / 3", -x / 3),
        ("x * relu(constant(1) - x)", x * relu(1 - x)),
    ],
)
def test_spellings(text: str, expr: Expr) -> None:
    assert parse(text) == expr


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ('x * afine("W")', 5, "did you mean 'affine'"),
        ('x * affine("W"', 11, "never closed"),
        ("x * affine(W)", 12, "stands in quotes"),
        ("affine", 1, "is a function"),
        ("x(1)", 1, "takes no arguments"),
        ("relu()", 1, "missing a required argument"),
        ("relu(x, x)", 1, "too many positional"),
        ("relu(3)", 6, "is an expression"),
        ('affine("W", widht=1/2)', 19, "did you mean 'width'"),
        ('affine("W", width=0)', 19, "positive share"),
        ('affine("W", width="a")', 19, "is a number"),
        ('affine("W", bias=1)', 18, "True or False"),
        ('affine("b d")', 8, "letters, digits"),
        ("x ^ 2", 5, "**"),
        ("x @ x", 5, "Hadamard"),
        ("x / x", 5, "quotient"),
        ("x / 0", 5, "divided by 0"),
        ("x ** 0.5", 6, "whole number"),
        ("x ** 99", 6, "whole number"),
        ("x ** x", 6, "whole number"),
        ("x.__class__", 1, "not part of the grammar"),
        ("[x]", 1, "not part of the grammar"),
        ("(lambda: x)()", 1, "not part of the grammar"),
        ("x if x else x", 1, "not part of the grammar"),
        ("x < 1", 1, "not part of the grammar"),
        ("affine(*x)", 1, "no argument"),
        ("affine(**x)", 10, "no argument"),
        ('__import__("os").system("true")', 1, "not part of the grammar"),
        ("x + 'a'", 1, "no expression"),
        ("1 | 2", 5, "joins"),
        ("3", 1, "no expression of x"),
        ("", 1, "not complete"),
        ("x +", 4, "not complete"),
        ("x; x", 2, "not complete"),
        ("x := x", 3, "not complete"),
        ("ä * y", 1, "none of the grammar's names"),
        ('"ää" + y', 8, "none of the grammar's names"),
        ("mean()", 1, "at least one"),
        ("((9 ** 16) ** 16) ** 16 * x", 2, "bits"),
    ],
)
def test_what_is_no_formula_is_refused_at_its_column(text: str, place: int, says: str) -> None:
    with pytest.raises(FormulaError) as raised:
        parse(text)
    message = str(raised.value)
    assert f"at column {place}:" in message
    assert says in message
    *_, line, mark = message.split("\n")
    assert line[len(mark) - 1 :].startswith(" ".join(text.split())[place - 1 : place + 3])


@pytest.mark.parametrize(
    "text",
    [
        "x" + " + x" * 10_000,
        "x" + " + x" * 2_000,
        "(" * 5_000 + "x" + ")" * 5_000,
        "relu(" * 59 + "relu(" * 10 + "x" + ")" * 69,
        "-" * 5_000 + "x",
        "x" + " ** 2" * 500,
        "9" * 5_000 + " * x",
        "\0",
        "x * \udcff",
        'affine("' + "W" * 5_000 + '")',
    ],
    ids=range(10),
)
def test_absurd_sizes_are_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(FormulaError):
        parse(text)
    assert time.perf_counter() - start < 2


def test_a_formula_is_accepted_wherever_an_id_is() -> None:
    mine = 'x * affine("V") + x'
    assert qt.get_format(mine) == qt.get_format('x*affine("V")+x')
    assert qt.relation(mine, "T9").kind == "equivalent"
    assert qt.feature_space(mine, dim=4).monomials == qt.feature_space("T9", dim=4).monomials
    assert qt.effective_dimension(mine, dim=4).dimension == qt.effective_dimension("T9", dim=4).dimension
    assert qt.smoothness("x * relu(affine('W')) + x").order == 0
    assert qt.cost(mine).parameters == qt.cost("T9").parameters
    assert qt.get_format("T19~gelu+relu").id == "T19~gelu+relu"
    assert pickle.loads(pickle.dumps(qt.get_format(mine))) == qt.get_format(mine)


@pytest.mark.parametrize(
    "text",
    ["*", "T*", "!T18*", "T?", "T9", "T17-paper", "T9+relu", "T19~gelu", "QNN-alpha", "my-x", "x1", "relu", "T9-x"],
)
def test_ids_are_no_formulas(text: str) -> None:
    assert not is_formula(text)


@pytest.mark.parametrize("text", ["x", "x0", "x-x0", "-x", "x + x", 'affine("W")', "2*x"])
def test_formulas_are(text: str) -> None:
    assert is_formula(text)


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        qt.get_format("T99")
    with pytest.raises(ValueError, match="softmax"):
        qt.get_format("T9+softmax")
    with pytest.raises(TypeError, match="an id, a formula or a Format"):
        qt.get_format(3)  # type: ignore[arg-type]


def test_named_formats_from_toml_and_python(tmp_path: Path) -> None:
    toml, python = tmp_path / "mine.toml", tmp_path / "mine.py"
    toml.write_text(
        "[formats]\nfirst = 'x * affine(\"W\") + x'\nsecond = {formula = 'x * x', source = 'me2026', note = 'a square'}\n"
    )
    first, second = load_formats(toml)
    assert (first.id, first.expr, first.source) == ("first", x * affine("W") + x, "")
    assert (second.id, second.source, second.note) == ("second", "me2026", "a square")
    python.write_text(
        "from qnn_theory import Format\nfrom qnn_theory.grammar.expr import affine, x\n"
        "MINE = Format('third', x * affine('W'))\nMORE = [MINE, Format('fourth', x)]\n"
    )
    assert [format.id for format in load_formats(python)] == ["third", "fourth"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.toml", "formats = 3", "one table"),
        ("a.toml", "[formats]\n", "at least one"),
        ("a.toml", "[format]\na = 'x'", "one table"),
        ("a.toml", "[formats]\na = 'x * y'", "formats.a"),
        ("a.toml", "[formats]\na = {formula = 'x', sauce = 'b'}", "the keys formula, source, note"),
        ("a.toml", "[formats]\na = 'affine(\"W\", width=1/2) + x'", "formats.a"),
        ("a.toml", "[formats", "not TOML"),
        ("a.toml", "a = " + "9" * 5000, "not TOML"),
        ("a.toml", "a = " + "[" * 5000, "not TOML"),
        ("a.py", "X = 1", "at least one"),
        ("a.txt", "", ".toml or .py"),
    ],
)
def test_a_file_without_formats_says_what_is_wrong(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=says) as raised:
        load_formats(tmp_path / name)
    assert name in str(raised.value)
    with pytest.raises(ValueError, match="there is none"):
        load_formats(tmp_path / "missing.toml")


def test_added_formats_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_own", {})
    registry.add_formats([Format("mine", x * affine("V") + x)])
    assert qt.get_format("mine").expr == x * affine("V") + x
    assert [format.id for format in qt.formats()][-1] == "mine"
    assert qt.get_format("mine+relu").id == "mine+relu"
    registry.add_formats([Format("mine", x * affine("V") + x)])
    with pytest.raises(ValueError, match="one formula"):
        registry.add_formats([Format("mine", x)])
    with pytest.raises(ValueError, match="one formula"):
        registry.add_formats([Format("T9", x)])
    with pytest.raises(ValueError, match="letters, digits"):
        registry.add_formats([Format("../mine", x)])
