"""Exact theory of quadratic neuron formats, read from the same expressions that the torch modules are built from.

Never imports torch.
"""

from qnn_theory.claims import Claim as Claim
from qnn_theory.claims import claims as claims
from qnn_theory.closed_forms import degree_formula as degree_formula
from qnn_theory.closed_forms import dimension_formula as dimension_formula
from qnn_theory.cost import Cost as Cost
from qnn_theory.cost import cost as cost
from qnn_theory.dimension import EffectiveDimension as EffectiveDimension
from qnn_theory.dimension import effective_dimension as effective_dimension
from qnn_theory.feature_space import FeatureSpace as FeatureSpace
from qnn_theory.feature_space import feature_space as feature_space
from qnn_theory.formats import Format as Format
from qnn_theory.formats import formats as formats
from qnn_theory.formats import get_format as get_format
from qnn_theory.formats import qnn_alpha as qnn_alpha
from qnn_theory.formats import with_mid_activation as with_mid_activation
from qnn_theory.formats import with_post_activation as with_post_activation
from qnn_theory.relations import Relation as Relation
from qnn_theory.relations import containment_order as containment_order
from qnn_theory.relations import relation as relation
from qnn_theory.smoothness import ANALYTIC as ANALYTIC
from qnn_theory.smoothness import Smoothness as Smoothness
from qnn_theory.smoothness import smoothness as smoothness
