"""Exact theory of quadratic neuron formats, read from the same expressions that the torch modules are built from.

Never imports torch.
"""

from qnn_theory.cost import Cost as Cost
from qnn_theory.cost import cost as cost
from qnn_theory.formats import Format as Format
from qnn_theory.formats import formats as formats
from qnn_theory.formats import get_format as get_format
from qnn_theory.formats import qnn_alpha as qnn_alpha
from qnn_theory.formats import with_mid_activation as with_mid_activation
from qnn_theory.formats import with_post_activation as with_post_activation
