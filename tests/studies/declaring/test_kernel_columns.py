"""Columns of kernels against kernels measured on the torch modules, and against what is known of single formats."""

from __future__ import annotations

from itertools import product
from math import comb

import pytest

from qnn_models.evaluation.measured_kernels import measured_tangent_kernel
from qnn_models.layers.stack import QuadraticStack
from qnn_theory import get_format, tangent_kernel
from studies.declaring.config import Arm, StudyConfig
from studies.declaring.kernel_columns import (
    KERNEL_PREDICTORS,
    ORDER_PREDICTORS,
    TRAIN_PREDICTORS,
    group_sizes,
    joined,
    kernel_columns,
    normalised,
    share_of,
    variances,
    with_head_as_started,
)
from studies.declaring.plan import plan
from studies.tasks.spec import RunSpec

SHAPE = {"fields": 6, "embedding_dim": 24, "depth": 2, "embedding_std": 0.3}


def a_run(format: str, *, task: str = "interaction", dataset: str = "order-2", **options: object) -> RunSpec:
    arm = Arm(model="quadratic", options={"format": format, **options})  # type: ignore[dict-item]
    return plan(StudyConfig(name="a", title="", task=task, datasets=(dataset,), arms=(arm,)))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["T4", "T9", "T13", "T19", "T22", "QNN-alpha", "T18-paper"])
def test_groups_are_the_modules_parameters(format: str) -> None:
    sizes = group_sizes(get_format(format), fields=3, embedding_dim=4, depth=2, vocabulary=5)
    stack = QuadraticStack(format, dim=12, layers=2)
    own = {name: parameter.numel() for name, parameter in stack.named_parameters()}
    assert sizes == {"embedding": 3 * 4 * 5, **own, "head": stack.out_dim}
    kernel = tangent_kernel(format, fields=3, embedding_dim=4, depth=2)
    assert kernel.groups.keys() == sizes.keys()


@pytest.mark.parametrize("format", ["T5", "T9", "T19"])
def test_shares_of_the_normalised_kernel_are_those_of_the_modules(format: str) -> None:
    theory = tangent_kernel(format, **SHAPE).groups
    measured = measured_tangent_kernel(format, **SHAPE, draws=100).groups
    sizes = group_sizes(get_format(format), fields=6, embedding_dim=24, depth=2, vocabulary=16)
    for power in (0.5, 1.0):
        ours, theirs = (
            variances(normalised(groups, sizes, power=power))
            for groups in (theory, {name: found.values for name, found in measured.items()})
        )
        for order in (1, 2):
            assert share_of(ours, order) == pytest.approx(share_of(theirs, order), abs=0.08)


def test_variances_are_those_of_a_kernel_that_is_made_of_them() -> None:
    wanted = (0.5, 1.0, 0.25, 0.0, 2.0)
    values = [sum(comb(s, k) * wanted[k] / comb(4, k) for k in range(s + 1)) for s in range(5)]
    assert variances(values) == pytest.approx(wanted)
    assert variances(values, highest=2) == pytest.approx(wanted[:3])


def test_normalising_by_the_mean_square_makes_groups_alike_whatever_their_size() -> None:
    groups = {"embedding": (0.0, 1.0, 3.0), "head": (1.0, 2.0, 4.0)}
    sizes = {"embedding": 10, "head": 3}
    larger = {"embedding": tuple(1000 * v for v in groups["embedding"]), "head": groups["head"]}
    assert normalised(larger, sizes, power=1.0) == pytest.approx(normalised(groups, sizes, power=1.0))
    assert normalised(groups, sizes, power=0.0) == joined(with_head_as_started(groups)) == (1.0, 4.0, 10.0)
    assert normalised({"embedding": (0.0, 0.0, 0.0), "head": (1.0, 2.0, 4.0)}, sizes, power=0.5)[0] > 0


@pytest.mark.parametrize(("format", "order", "found"), [("Linear", 1, True), ("Linear", 2, False), ("T9", 4, True)])
def test_a_format_has_a_share_of_the_orders_that_it_can_express(format: str, order: int, found: bool) -> None:
    columns = kernel_columns(a_run(format, dataset=f"order-{order}"), ORDER_PREDICTORS)
    for name in ORDER_PREDICTORS[:4]:
        assert (columns[name] > 0) == found  # type: ignore[operator]


def test_shares_over_the_orders_make_one() -> None:
    for format, std in product(("T9", "T5"), (0.3, 0.01)):
        runs = [a_run(format, dataset=f"order-{order}", embedding_std=std) for order in (1, 2, 3, 4)]
        for name in ORDER_PREDICTORS[:4]:
            assert sum(kernel_columns(run, [name])[name] for run in runs) == pytest.approx(1)  # type: ignore[misc]


def test_of_training_preference_grows_with_the_embeddings_and_the_signal_of_a_product_dies() -> None:
    linear, t9, t5 = (
        kernel_columns(a_run(format, task="train", dataset="ml-100k", layers=3), TRAIN_PREDICTORS)
        for format in ("Linear", "T9", "T5")
    )
    assert t9["theory_above_1_start"] < t9["theory_above_1_operating"] < t5["theory_above_1_operating"]  # type: ignore[operator]
    assert linear["theory_above_1_operating"] == pytest.approx(0, abs=1e-9)
    assert t5["theory_gain_start"] < 1e-9 < t9["theory_gain_start"]  # type: ignore[operator]
    assert t5["theory_fluctuation_operating"] > t9["theory_fluctuation_operating"]  # type: ignore[operator]
    assert 0 <= t9["theory_above_2_operating"] < t9["theory_above_1_operating"]  # type: ignore[operator]


def test_what_has_no_such_kernel_is_empty_and_what_is_not_asked_for_is_not_computed() -> None:
    spec = a_run("T9", task="train", dataset="ml-100k", projection=32)
    assert set(kernel_columns(spec, KERNEL_PREDICTORS).values()) == {None}
    assert kernel_columns(spec, ["theory_degree"]) == {}
    assert set(kernel_columns(a_run("T9", dataset="mixture"), ORDER_PREDICTORS).values()) == {None}
