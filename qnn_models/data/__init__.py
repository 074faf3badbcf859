"""Data: schemas, encoders, data sets by name, and a planted synthetic one."""

from qnn_models.data.encoded import OOV_ID as OOV_ID
from qnn_models.data.encoded import PADDING_ID as PADDING_ID
from qnn_models.data.encoded import EncodedDataset as EncodedDataset
from qnn_models.data.encoded import FieldLayout as FieldLayout
from qnn_models.data.encoded import Split as Split
from qnn_models.data.encoder import Encoder as Encoder
from qnn_models.data.planted import Planted as Planted
from qnn_models.data.planted import planted_dataset as planted_dataset
from qnn_models.data.registry import dataset_names as dataset_names
from qnn_models.data.registry import describe as describe
from qnn_models.data.registry import load as load
from qnn_models.data.registry import prepare as prepare
from qnn_models.data.rows import read_rows as read_rows
from qnn_models.data.schema import Field as Field
from qnn_models.data.schema import Label as Label
from qnn_models.data.schema import Schema as Schema
from qnn_models.data.schema import Source as Source
from qnn_models.data.schema import load_schema as load_schema
