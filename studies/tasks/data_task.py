"""The task ``data``: open an encoded data set and count what is in it (table 2); nothing is trained.

Its metrics, over training, validation and test rows together:

==========================================  ===================================================================================
``instances``                               rows
``train_rows_share valid_rows_share``       shares of the rows; the rest are test rows
``fields``                                  fields of the schema; a sequence is one field
``features``                                ids of all fields: those of tokens, and padding and out of vocabulary of each field
``click_share``                             share of the rows with label 1
==========================================  ===================================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.registry import dataset_names, load
from qnn_models.data.schema import SPLITS
from studies.tasks.plain_task import default_together, protocol_options, protocol_training, together_key
from studies.tasks.spec import RunSpec
from studies.tasks.task import Measured

__all__ = ["dataset_names", "default_together", "protocol_options", "protocol_training", "together_key"]

_MODEL = "encoded"
_ROWS_AT_A_TIME = 1_000_000


def model_names() -> tuple[str, ...]:
    """There is one way to look at a data set: as it was encoded."""
    return (_MODEL,)


def option_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """It has no settings."""
    return {}


def training_parameters() -> Mapping[str, inspect.Parameter]:
    """Nothing is trained."""
    return {}


def layer_width(spec: RunSpec) -> int:
    """A data set has no layers.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"Layers have a width, however: {spec.dataset} is a data set.")


def check(spec: RunSpec) -> None:
    """Whatever has a name can be looked at."""


def relative_cost(spec: RunSpec) -> float:
    """All alike: encoding comes before, in `prepare`."""
    return 1.0


def prepare(spec: RunSpec) -> None:
    """Fetch and encode the data set, unless that has been done."""
    load(spec.dataset, split_seed=spec.split_seed)


def run(spec: RunSpec) -> Measured:
    """Count one data set; its rows are streamed, so that it may be larger than memory."""
    dataset = load(spec.dataset, split_seed=spec.split_seed, progress=False)
    rows = {split: dataset.num_rows(split) for split in SPLITS}
    instances = sum(rows.values())
    return Measured(
        metrics={
            "instances": instances,
            "train_rows_share": rows["train"] / instances,
            "valid_rows_share": rows["valid"] / instances,
            "fields": dataset.layout.num_fields,
            "features": dataset.layout.total_ids,
            "click_share": sum(_clicks(dataset, split) for split in SPLITS) / instances,
        },
        series={"content_hash": dataset.content_hash},
    )


def _clicks(dataset: EncodedDataset, split: str) -> int:
    return sum(int(batch.labels.sum()) for batch in dataset.batches(split, batch_size=_ROWS_AT_A_TIME))
