"""Exact theory of quadratic neuron formats, read from the same expressions that the torch modules are built from.

Never imports torch.
"""

from qnn_theory.costs import Cost as Cost
from qnn_theory.costs import cost as cost
from qnn_theory.dimension.effective_dimension import EffectiveDimension as EffectiveDimension
from qnn_theory.dimension.effective_dimension import effective_dimension as effective_dimension
from qnn_theory.feature_spaces.closed_forms import degree_formula as degree_formula
from qnn_theory.feature_spaces.closed_forms import dimension_formula as dimension_formula
from qnn_theory.feature_spaces.feature_space import FeatureSpace as FeatureSpace
from qnn_theory.feature_spaces.feature_space import feature_space as feature_space
from qnn_theory.grammar.format import Format as Format
from qnn_theory.grammar.format import with_mid_activation as with_mid_activation
from qnn_theory.grammar.format import with_post_activation as with_post_activation
from qnn_theory.kernels.closed_form import covariance_formula as covariance_formula
from qnn_theory.kernels.covariance import covariance as covariance
from qnn_theory.kernels.covariance import interaction_spectrum as interaction_spectrum
from qnn_theory.kernels.covariance import signal as signal
from qnn_theory.kernels.covariance import tangent_kernel as tangent_kernel
from qnn_theory.kernels.results import Kernel as Kernel
from qnn_theory.kernels.results import Signal as Signal
from qnn_theory.kernels.results import Spectrum as Spectrum
from qnn_theory.named_references import Reference as Reference
from qnn_theory.named_references import references as references
from qnn_theory.paper_claims.claim import Claim as Claim
from qnn_theory.paper_claims.claims import claims as claims
from qnn_theory.registry import formats as formats
from qnn_theory.registry import get_format as get_format
from qnn_theory.registry import qnn_alpha as qnn_alpha
from qnn_theory.relations.limits.limit import Limit as Limit
from qnn_theory.relations.relation import Relation as Relation
from qnn_theory.relations.relation import containment_order as containment_order
from qnn_theory.relations.relation import relation as relation
from qnn_theory.smoothness_classes.smoothness import ANALYTIC as ANALYTIC
from qnn_theory.smoothness_classes.smoothness import Smoothness as Smoothness
from qnn_theory.smoothness_classes.smoothness import smoothness as smoothness
