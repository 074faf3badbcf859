"""What a study declares: its arms, seeds, data sets, comparisons, and the numbers that belong beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from studies.tasks.signatures import Choice
from studies.tasks.spec import Scalar, Task

Splits: TypeAlias = Literal["one", "per-seed"]
Family: TypeAlias = Literal["dataset", "study"]

MOST_SEEDS = 10_000
"""Repetitions of a study; a plan of more would fill the memory before anything runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A model and its settings, or a grid of them.

    Attributes:
        model: name of the model.
        label: how tables and figures call it; may name settings in braces, as ``{format}``.
        options: settings of the model; a list is a grid.
        options_on: data set -> settings of the model that take the place of ``options`` there.
        training: settings of the training that differ from the study's; a list is a grid.
        datasets: the data sets this arm is run on; empty is all of the study's.
    """

    model: str
    label: str = "{model}"
    options: Mapping[str, Choice] = field(default_factory=dict)
    options_on: Mapping[str, Mapping[str, Choice]] = field(default_factory=dict)
    training: Mapping[str, Choice] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Settings that one data set needs, as in the paper's protocol.

    Attributes:
        options: model settings, given to the models that have them.
        training: training settings.
    """

    options: Mapping[str, Scalar] = field(default_factory=dict)
    training: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """How ``--quick`` shortens the study. Its runs have other ids and never mix with full ones.

    Attributes:
        train_rows: rows of the training split; None keeps all.
        training: training settings that replace the study's.
    """

    train_rows: int | None = None
    training: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Which published numbers stand beside the study's own (`qnn_theory/published/paper_results.csv`).

    Attributes:
        source: the paper's table or figure, as ``table1``.
        reference: the published data set shown where the study's own has none, as ``Criteo``.
        setting: the published setting; may name settings in braces. Empty matches rows without one.
        names: our label -> the paper's, where they differ.
        values: setting value -> the paper's spelling, as ``relu -> ReLU``.
    """

    source: str
    reference: str = ""
    setting: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Which arms are compared, pair by pair on the same seeds and splits.

    Attributes:
        against: value of ``option`` (or the label, when ``option`` is empty) that every other arm is compared with.
        option: the setting in which the two arms of a pair differ, all others being equal.
        apart_from: settings that may differ with it, because the option asks for another value of them.
        metrics: what is compared.
    """

    against: str
    option: str = ""
    apart_from: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("test_auc", "test_logloss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Settings that every arm chooses for itself on validation data, out of one grid; see `studies.declaring.choosing`.

    Attributes:
        training: settings of the training, each with the values that it is tried with.
        options: settings of the model, likewise; given to the models that have them.
        datasets: the data sets on which arms choose; empty is all of the study's.
        seeds: how many repetitions each point of the grid is tried with, the study's first ones.
        metric: what decides, on average over them: ``valid_auc`` or ``valid_logloss``.
    """

    training: Mapping[str, Choice] = field(default_factory=dict)
    options: Mapping[str, Choice] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    seeds: int = 1
    metric: str = "valid_auc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlate:
    """Which columns of the summary are set against each other over the arms of a data set; see `studies.judging.correlations`.

    Attributes:
        predictors: columns that the theory computes.
        outcomes: columns that were measured or published.
        by: settings whose every value is a set of arms of its own, as the optimizer.
        best_of: settings whose best value is taken for each arm by itself, as a learning rate; best by the outcome's better side.
        where: columns of the summary with the value that the arms have, which alone take part.
        family: over which tests the p values are corrected: those of a ``dataset``, or of the whole ``study``.
    """

    predictors: tuple[str, ...]
    outcomes: tuple[str, ...]
    by: tuple[str, ...] = ()
    best_of: tuple[str, ...] = ()
    where: Mapping[str, Scalar] = field(default_factory=dict)
    family: Family = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """One study.

    Attributes:
        name: names its results.
        title: what it asks, in one line.
        task: what its runs do; see `studies.tasks.spec.RunSpec`.
        like: the study whose arms, settings of the training and published numbers it takes where it says none of its own, so that
            its runs are that study's.
        only_reads: whether it carries out no run, and says what can be said by the records that other studies made.
        datasets: data sets by name.
        arms: the models that take part.
        seeds: the repetitions.
        split_seed: seed of the split of the data.
        splits: ``one`` split for all seeds, or another one ``per-seed``; either way all models see the same.
        one_at_a_time: whether runs must not share the machine, because the study measures time.
        training: settings of the training common to all arms.
        overrides: data set -> settings that it needs.
        quick: the shortened form of the study.
        published: the published numbers beside it.
        choose: the settings that arms choose on validation data, beside those they are given.
        compare: the comparisons that are tested.
        correlate: the rank correlations that are computed.
        source: the file it was read from.
    """

    name: str
    title: str
    task: Task
    datasets: tuple[str, ...]
    arms: tuple[Arm, ...] = ()
    like: str = ""
    only_reads: bool = False
    seeds: tuple[int, ...] = (0,)
    split_seed: int = 0
    splits: Splits = "one"
    one_at_a_time: bool = False
    training: Mapping[str, Scalar] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    quick: Quick = Quick()
    published: Published | None = None
    choose: Choose | None = None
    compare: tuple[Comparison, ...] = ()
    correlate: Correlate | None = None
    source: str = ""


def checked_seeds(number: int) -> int:
    """The number of repetitions itself.

    Raises:
        ValueError: it is out of range.
    """
    if not 1 <= number <= MOST_SEEDS:
        raise ValueError(f"A study has 1 to {MOST_SEEDS} seeds, however: seeds={number}")
    return number
