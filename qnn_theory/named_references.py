"""Well-known layers of the literature by name, apart from the paper's formats: GLU, SwiGLU, GDCN, Π-nets and their kin.

`registry.get_format` reads their names wherever an id is accepted; `registry.formats()`, and so every list, study and table of
the paper, leaves them out. As in the registry, biases are part of every affine map and each layer keeps the width d; the note
says where that differs from the printed form. A hidden width that the source leaves free is a fixed share of d here.
Checked in tests/qnn_theory/test_named_references.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from qnn_theory.grammar.expr import Expr, activation, affine, bilinear, relu, scale, x, x0
from qnn_theory.grammar.format import Format

_HALF = Fraction(1, 2)
_GATE = activation("sigmoid", affine("W_g"))
_NARROW = relu(affine("W_1", width=_HALF))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A layer of the literature.

    Attributes:
        format: name, formula, citation key (`Format.source`) and note.
        work: authors, title and year.
        same_as: registered formats that express the same functions in one layer, which the tests prove.
    """

    format: Format
    work: str
    same_as: tuple[str, ...] = ()


_SHAZEER = ("shazeer2020", "Shazeer, GLU Variants Improve Transformer, 2020")
_CHRYSOS = ("chrysos2020", "Chrysos et al., Π-nets: Deep Polynomial Neural Networks, 2020")
_DAUPHIN = ("dauphin2017", "Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017")


def _reference(id: str, expr: Expr, cited: tuple[str, str], note: str = "", *same_as: str) -> Reference:
    key, work = cited
    return Reference(format=Format(id, expr, source=key, note=note), work=work, same_as=same_as)


_REFERENCES: tuple[Reference, ...] = (
    _reference("GLU", affine("W_v") * _GATE, _DAUPHIN, "gated linear unit"),
    _reference(
        "GTU",
        activation("tanh", affine("W_v")) * _GATE,
        ("oord2016", "van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016"),
        "gated tanh unit; printed without biases",
    ),
    _reference("Bilinear", affine("W_v") * affine("W_g"), _SHAZEER, "GLU without the gate's activation", "T5"),
    _reference("ReGLU", affine("W_v") * relu(affine("W_g")), _SHAZEER),
    _reference("GEGLU", affine("W_v") * activation("gelu", affine("W_g")), _SHAZEER),
    _reference("SwiGLU", affine("W_v") * activation("silu", affine("W_g")), _SHAZEER),
    _reference(
        "SwiGLU-FFN",
        affine("W_o", affine("W_v", width=Fraction(2)) * activation("silu", affine("W_g", width=Fraction(2)))),
        _SHAZEER,
        "feed-forward layer, hidden width 2 d; printed without biases",
    ),
    _reference(
        "ReLU2",
        relu(affine("W")) ** 2,
        ("so2021", "So et al., Primer: Searching for Efficient Transformers for Language Modeling, 2021"),
        "squared ReLU",
    ),
    _reference(
        "PolyReLU",
        affine(
            "W_o",
            scale("a_1", relu(affine("W_1")))
            + scale("a_2", relu(affine("W_1")) ** 2)
            + scale("a_3", relu(affine("W_1")) ** 3),
        ),
        ("zhuo2024", "Zhuo et al., Polynomial Composition Activations, 2024"),
        "order 3, hidden width d; coefficients for each unit, printed with the same for all; the last bias takes the constant",
    ),
    _reference(
        "Highway",
        relu(affine("W_h")) * activation("sigmoid", affine("W_t")) + x * (1 - activation("sigmoid", affine("W_t"))),
        ("srivastava2015", "Srivastava et al., Highway Networks, 2015"),
        "carry gate 1 - σ(W_t x)",
    ),
    _reference(
        "ResNet",
        affine("W_2", relu(affine("W_1"))) + x,
        ("he2016", "He et al., Identity Mappings in Deep Residual Networks, 2016"),
        "residual block of two maps, hidden width d; printed with normalisation and another relu, before the first map",
    ),
    _reference(
        "SENet",
        x * activation("sigmoid", affine("W_2", _NARROW)),
        ("hu2018", "Hu et al., Squeeze-and-Excitation Networks, 2018"),
        "excitation of every coordinate, reduction 2; printed without biases",
    ),
    _reference(
        "GateNet",
        x * activation("sigmoid", affine("W_g")),
        ("huang2020", "Huang et al., GateNet: Gating-Enhanced Deep Network for CTR Prediction, 2020"),
        "hidden gate, sigmoid",
    ),
    _reference(
        "PEPNet",
        x * (2 * activation("sigmoid", affine("W_2", relu(affine("W_1"))))),
        ("chang2023", "Chang et al., PEPNet: Parameter and Embedding Personalized Network, 2023"),
        "gate neural unit, hidden width d",
    ),
    _reference(
        "MaskNet",
        relu(affine("W", affine("W_2", relu(affine("W_1", x0, width=Fraction(2)))) * x)),
        (
            "wang2021masknet",
            "Wang et al., MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models, 2021",
        ),
        "mask block, aggregation width 2 d; printed with layer normalisation",
    ),
    _reference(
        "GDCN",
        x0 * affine("W_c") * _GATE + x,
        ("wang2023", "Wang et al., Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction, 2023"),
        "gated cross layer; printed without the gate's bias",
    ),
    _reference(
        "DCNv2-low-rank",
        x0 * affine("U", affine("V", width=_HALF)) + x,
        ("wang2021dcnv2", "Wang et al., DCN V2: Improved Deep & Cross Network, 2021"),
        "rank d/2; printed without the inner bias",
    ),
    _reference(
        "Pi-CCP", affine("U", x0) * x + x, _CHRYSOS, "one step of the CCP recursion; printed without biases", "T9"
    ),
    _reference(
        "Pi-NCP",
        affine("A", x0) * affine("S"),
        _CHRYSOS,
        "one step of the NCP recursion; printed with the bias of S alone",
        "T5",
    ),
    _reference(
        "FiLM",
        affine("W_g", x0) * x + affine("W_b", x0),
        ("perez2018", "Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, 2018"),
        "conditioned on the network's input",
        "T10",
    ),
    _reference(
        "Bilinear-pooling",
        bilinear("A"),
        ("lin2015", "Lin et al., Bilinear CNN Models for Fine-grained Visual Recognition, 2015"),
        "outer product of x with itself, then a linear map; printed with signed square roots and normalisation between them",
        "T2",
    ),
    _reference(
        "Low-rank-pooling",
        affine("P", affine("U") * affine("V")),
        ("kim2017", "Kim et al., Hadamard Product for Low-rank Bilinear Pooling, 2017"),
        "rank d, shared by all outputs; without the optional tanh",
    ),
    _reference(
        "Multiplicative",
        bilinear("A", x0, x) + affine("U", x0) + affine("V", bias=False),
        ("jayakumar2020", "Jayakumar et al., Multiplicative Interactions and Where to Find Them, 2020"),
        "conditioned on the network's input",
        "T1",
    ),
    _reference(
        "FM-layer",
        affine("P", affine("V", width=_HALF) ** 2) + affine("D", x**2) + affine("W"),
        ("rendle2010", "Rendle, Factorization Machines, 2010"),
        "d/2 shared factors, weighted for each output; D takes the squares that an FM leaves out, and may keep them",
    ),
    _reference(
        "Polynomial-network",
        affine("P", affine("W") ** 2),
        ("livni2014", "Livni et al., On the Computational Efficiency of Training Neural Networks, 2014"),
        "d squares, shared by all outputs",
    ),
)

_BY_ID = {reference.format.id: reference for reference in _REFERENCES}


def references() -> tuple[Reference, ...]:
    """The named layers of the literature, apart from the registered formats."""
    return _REFERENCES


def find_reference(id: str) -> Format | None:
    """The format of that name, or None."""
    return _BY_ID[id].format if id in _BY_ID else None


def reference_of(format: Format) -> Reference | None:
    """The reference that a format is, by its formula."""
    return next((reference for reference in _REFERENCES if reference.format.expr == format.expr), None)
