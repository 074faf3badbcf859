"""Well-known layers have names of their own, apart from the paper's formats, and what is said of them is proved."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.named_references import find_reference, reference_of
from qnn_theory.registry import add_formats, stored_name

SAME = [(reference.format.id, other) for reference in qt.references() for other in reference.same_as]


def test_references_are_apart_from_the_registered_formats() -> None:
    ids = [reference.format.id for reference in qt.references()]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {format.id for format in qt.formats()}
    assert len(qt.formats()) == 36
    assert {"GLU", "SwiGLU", "GEGLU", "ReGLU", "Bilinear", "GDCN", "FiLM", "ReLU2", "PolyReLU"} <= set(ids)
    assert all(reference.format.source and reference.work for reference in qt.references())


@pytest.mark.parametrize(
    ("name", "formula"),
    [  # written from the sources, not from the program
        ("GLU", 'affine("W_v") * sigmoid(affine("W_g"))'),
        ("SwiGLU", 'affine("W_v") * silu(affine("W_g"))'),
        ("GDCN", 'x0 * affine("W_c") * sigmoid(affine("W_g")) + x'),
        ("ReLU2", 'relu(affine("W")) ** 2'),
        ("Highway", 'relu(affine("W_h")) * sigmoid(affine("W_t")) + x * (1 - sigmoid(affine("W_t")))'),
        (
            "PolyReLU",
            'affine("W_o", scale("a_1", relu(affine("W_1"))) + scale("a_2", relu(affine("W_1")) ** 2)'
            ' + scale("a_3", relu(affine("W_1")) ** 3))',
        ),
        ("FiLM", 'affine("W_g", x0) * x + affine("W_b", x0)'),
    ],
)
def test_a_name_stands_for_its_formula(name: str, formula: str) -> None:
    format = qt.get_format(name)
    assert format.expr == qt.get_format(formula).expr
    assert format == find_reference(name)
    found = reference_of(qt.get_format(formula))
    assert found is not None
    assert found.format.id == name


@pytest.mark.parametrize(("name", "other"), SAME)
def test_what_is_the_same_is_proved(name: str, other: str) -> None:
    assert qt.relation(name, other).kind == "equivalent"


@pytest.mark.slow
def test_a_reference_that_names_no_equal_has_none() -> None:
    """Else the card of a registered format would leave it out."""
    dims = {
        format.id: qt.effective_dimension(format, dim=2).dimension
        for format in qt.formats()
        if format.id != "T18-paper"
    }
    for reference in qt.references():
        if reference.same_as:
            continue
        own = qt.effective_dimension(reference.format, dim=2).dimension
        for id in (id for id, dimension in dims.items() if dimension == own):
            assert qt.relation(reference.format, id).kind != "equivalent", (reference.format.id, id)


def test_names_work_wherever_an_id_does() -> None:
    assert qt.get_format("SwiGLU+relu").id == "SwiGLU+relu"
    assert qt.get_format("GLU~tanh").expr == qt.get_format('affine("W_v") * tanh(affine("W_g"))').expr
    assert stored_name("GDCN") == "GDCN"
    with pytest.raises(KeyError, match="the nearest is 'SwiGLU'"):
        qt.get_format("SwigLUU")


def test_a_reference_s_name_is_taken() -> None:
    with pytest.raises(ValueError, match=r"'GLU' is .* already"):
        add_formats([qt.Format("GLU", qt.get_format("T9").expr)])


def test_polyrelu_has_every_coefficient() -> None:
    squares = 'affine("W_o", relu(affine("W_1")) ** 2)'
    assert qt.relation(squares, "PolyReLU").kind == "contained"
