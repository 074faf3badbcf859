"""What one run is: a frozen value whose id is a hash of its content, so that equal runs are the same record everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

Scalar: TypeAlias = bool | int | float | str | None
Settings: TypeAlias = tuple[tuple[str, Scalar], ...]
Task: TypeAlias = Literal["train", "boundary", "scaling", "data", "interaction"]
TASKS: tuple[Task, ...] = get_args(Task)

LATER_OPTIONS: Mapping[str, Scalar] = {"embedding_std": 1e-4, "init": "paper", "operating_std": 0.1}
"""Options that models got after records existed, with what stood in their place. There a run is the one it was, id and seeds.

Never change a value, whatever the defaults become.
"""
LATER_TRAINING: Mapping[str, Scalar] = {"monitor": "auc", "prior_bias": False}
"""The same of settings of the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run of a study.

    Every setting is written out, defaults included, so a changed default is another run and never an old record.

    Attributes:
        task: what is done: ``train`` a click-through-rate model, draw a decision ``boundary``, measure ``scaling``, count
            ``data``, or time how soon an ``interaction`` is found.
        dataset: name of the data set.
        model: name of the model in its task's registry.
        options: the model's own settings, sorted by key.
        training: the settings of the training, sorted by key.
        seed: which repetition this is; initialisation, dropout and shuffling derive from it and from the model.
        split_seed: seed of the split of the data; it never depends on the model.
        train_rows: rows of the training split that are used; None is all of them.
        quick: whether this is a shortened run; it keeps quick records apart from full ones.
        alone: whether nothing else runs beside it because its time is measured: a record that was made beside other runs
            cannot stand in for it.
        label: how tables and figures call it. It is no part of the run's identity.
    """

    task: Task
    dataset: str
    model: str
    options: Settings = ()
    training: Settings = ()
    seed: int = 0
    split_seed: int = 0
    train_rows: int | None = None
    quick: bool = False
    alone: bool = False
    label: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the SHA-256 of the content; the name of the run's record."""
        return digest(self._identity())

    @property
    def arm(self) -> str:
        """Digest of the content without the seeds: the runs of one arm differ only in them."""
        content = self._identity()
        return digest({key: value for key, value in content.items() if key not in ("seed", "split_seed")})

    @property
    def root_seed(self) -> int:
        """Seed that initialisation, dropout and order of the batches derive from; differs between models and repetitions."""
        from qnn_models.runtime.seeds import derive

        return derive(self.seed, "run", self.model, json.dumps(list(_without(LATER_OPTIONS, self.options).items())))

    def content(self) -> dict[str, Any]:
        """The content as plain JSON values, without the label; ``alone`` only where it is so."""
        content = asdict(self)
        del content["label"]
        if not self.alone:
            del content["alone"]
        return content | {"options": dict(self.options), "training": dict(self.training)}

    def _identity(self) -> dict[str, Any]:
        lasting = {
            "options": _without(LATER_OPTIONS, self.options),
            "training": _without(LATER_TRAINING, self.training),
        }
        return self.content() | lasting

    def option(self, key: str) -> Scalar:
        """The model's setting of this name; None where it has none."""
        return dict(self.options).get(key)

    @classmethod
    def from_content(cls, content: Mapping[str, Any], *, label: str = "") -> RunSpec:
        """The spec whose `content` this is."""
        return cls(
            **{
                **content,
                "options": settings(content["options"]),
                "training": settings(content["training"]),
                "label": label,
            }
        )


def _without(later: Mapping[str, Scalar], settings: Settings) -> dict[str, Scalar]:
    return {key: value for key, value in settings if key not in later or value != later[key]}


def settings(values: Mapping[str, Scalar]) -> Settings:
    """A mapping as a sorted, hashable tuple of pairs."""
    return tuple(sorted(values.items()))


def as_text(value: Scalar) -> str:
    """A setting as a study file writes it: an option that is off is ``none``."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def digest(content: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of JSON values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
