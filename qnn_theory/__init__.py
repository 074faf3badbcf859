"""Exact theory of quadratic neuron formats. Never imports torch; heavy interpreters load on first use."""

from qnn_theory.formats import Format as Format
from qnn_theory.formats import formats as formats
from qnn_theory.formats import get_format as get_format
