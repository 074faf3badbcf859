"""Quadratic neural networks in torch: layers lowered from the registry's expressions, models, data and training."""

from qnn_models.layer import QuadraticLayer as QuadraticLayer
from qnn_models.network import CTRModel as CTRModel
from qnn_models.network import FieldEmbedding as FieldEmbedding
from qnn_models.network import QNNAlphaNetwork as QNNAlphaNetwork
from qnn_models.network import QuadraticNetwork as QuadraticNetwork
from qnn_models.qnn_alpha import QNNAlpha as QNNAlpha
from qnn_models.stack import QuadraticStack as QuadraticStack
