"""What a run's id and seeds are of, and what came too late to be part of it."""

from __future__ import annotations

from typing import Any

import pytest

from studies.tasks.spec import LATER_OPTIONS, RunSpec, settings


def spec(**options: Any) -> RunSpec:
    return RunSpec(
        task="train", dataset="ml-100k", model="quadratic", options=settings({"format": "T5", **options}), seed=1
    )


def test_options_that_came_later_leave_ids_and_seeds_as_they_were() -> None:
    """The digits are those of a record that was made before the options existed."""
    for made in (spec(), spec(**LATER_OPTIONS)):
        assert (made.id, made.arm) == ("57609a7f7ba74dcd", "3a1acdcaedfc4d5c")
        assert made.root_seed == 3109931792068810686
        assert RunSpec.from_content(made.content()).options == made.options


@pytest.mark.parametrize("changed", [{"init": "unit-gain"}, {"operating_std": 0.2}, {"embedding_std": 0.1}])
def test_other_values_of_them_are_other_runs(changed: dict[str, Any]) -> None:
    before, after = spec(**LATER_OPTIONS), spec(**{**LATER_OPTIONS, **changed})
    assert before.id != after.id
    assert before.arm != after.arm
    assert before.root_seed != after.root_seed
    assert RunSpec.from_content(after.content()).id == after.id
