"""Settings that arms choose on validation data: the grid that each is tried with.

A study that compares arms at one fixed setting measures also which of them that setting suits. With ``[choose]`` every arm is
tried at each point of one grid, on as many repetitions, and the point with the best validation metric is its own; the study then
has two rankings, at the fixed setting and at the chosen ones. Pure, as the plan is: what was chosen is told by the records, see
`studies.running.choosing`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from studies.declaring.config import Choose, StudyConfig
from studies.declaring.plan import plan
from studies.tasks.protocol import protocol_name
from studies.tasks.signatures import Choice, as_value
from studies.tasks.spec import RunSpec, Scalar, settings
from studies.tasks.task import task_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A setting that an arm may choose.

    Attributes:
        given: its values by name, as the columns of collected files are called: those of the training as ``training_…``.
        specs: the arm's repetitions at this setting.
        tried: how many of them, the first ones, the choice is made by.
    """

    given: Mapping[str, Scalar]
    specs: tuple[RunSpec, ...]
    tried: int

    @property
    def trials(self) -> tuple[RunSpec, ...]:
        """The runs that the choice is made by."""
        return self.specs[: self.tried]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """An arm on a data set, and what it may choose from.

    Attributes:
        fixed: its repetitions at the study's setting.
        candidates: the points of the grid, in the order in which they are declared.
    """

    fixed: tuple[RunSpec, ...]
    candidates: tuple[Candidate, ...]

    @property
    def trials(self) -> tuple[RunSpec, ...]:
        """The runs that the choice is made by."""
        return tuple(spec for candidate in self.candidates for spec in candidate.trials)


def alternatives(config: StudyConfig, *, quick: bool = False) -> tuple[Alternatives, ...]:
    """What each arm of a study chooses from; none where the study declares no choice."""
    choose = config.choose
    if choose is None:
        return ()
    arms: dict[tuple[str, str], list[RunSpec]] = {}
    for spec in plan(config, quick=quick):
        if not choose.datasets or {spec.dataset, protocol_name(spec.dataset)} & set(choose.datasets):
            arms.setdefault((spec.arm, spec.label), []).append(spec)
    return tuple(
        Alternatives(fixed=tuple(fixed), candidates=tuple(_candidates(config, choose, fixed)))
        for fixed in arms.values()
    )


def trials(config: StudyConfig, *, quick: bool = False) -> tuple[RunSpec, ...]:
    """The runs that the choices are made by."""
    return tuple(spec for arm in alternatives(config, quick=quick) for spec in arm.trials)


def _candidates(config: StudyConfig, choose: Choose, fixed: Sequence[RunSpec]) -> Iterator[Candidate]:
    """The points of the grid; a setting that the model has not is left out of it."""
    module = task_module(config.task)
    parameters = module.option_parameters(fixed[0].model)
    own = {name: choice for name, choice in choose.options.items() if name in parameters}
    for options in _grid(own, parameters):
        for training in _grid(choose.training, module.training_parameters()):
            yield Candidate(
                given={**options, **{f"training_{name}": value for name, value in training.items()}},
                specs=tuple(
                    replace(
                        spec,
                        options=settings({**dict(spec.options), **options}),
                        training=settings({**dict(spec.training), **training}),
                    )
                    for spec in fixed
                ),
                tried=min(choose.seeds, len(fixed)),
            )


def _grid(choices: Mapping[str, Choice], parameters: Mapping[str, inspect.Parameter]) -> Iterator[dict[str, Scalar]]:
    values = [
        [as_value(value, parameters[name].annotation) for value in (choice if isinstance(choice, tuple) else (choice,))]
        for name, choice in choices.items()
    ]
    for point in itertools.product(*values):
        yield dict(zip(choices, point, strict=True))
