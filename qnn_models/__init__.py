"""Quadratic neural networks in torch: layers lowered from the registry's expressions, models, data and training."""

from qnn_models.evaluation.measured_kernels import measured_covariance as measured_covariance
from qnn_models.evaluation.measured_kernels import measured_signal as measured_signal
from qnn_models.evaluation.measured_kernels import measured_tangent_kernel as measured_tangent_kernel
from qnn_models.layers.embedding import FieldEmbedding as FieldEmbedding
from qnn_models.layers.layer import QuadraticLayer as QuadraticLayer
from qnn_models.layers.stack import QuadraticStack as QuadraticStack
from qnn_models.models.network import CTRModel as CTRModel
from qnn_models.models.network import QNNAlphaNetwork as QNNAlphaNetwork
from qnn_models.models.network import QuadraticNetwork as QuadraticNetwork
from qnn_models.models.qnn_alpha import QNNAlpha as QNNAlpha
from qnn_models.models.registry import build as build
from qnn_models.models.registry import model_names as model_names
from qnn_models.serving.trained import load_trained as load_trained
from qnn_models.training.batched import train_many as train_many
from qnn_models.training.config import TrainConfig as TrainConfig
from qnn_models.training.loop import train as train
