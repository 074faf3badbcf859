import functools
import math
import time
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn_metrics

from qnn_models.evaluation.metrics import auc, calibration_error, constant_log_loss, log_loss


@st.composite
def both_classes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes, and scores of some type with few or many ties."""
    rows = draw(st.integers(2, 60))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows)))
    labels[0], labels[-1] = 0, 1
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    width = np.dtype(dtype).itemsize * 8
    values = draw(
        st.sampled_from(
            [
                st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]),
                st.floats(-50, 50, width=width),
                st.floats(-1e4, 1e4, width=width),
            ]
        )
    )
    return labels, draw(arrays.arrays(dtype, rows, elements=values))


@given(both_classes())
def test_auc_equals_counting_every_pair(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    pairs = list(product(scores[labels == 1].tolist(), scores[labels == 0].tolist()))
    wins = sum(2 * (a > b) + (a == b) for a, b in pairs)
    assert auc(labels, scores) == wins / (2 * len(pairs))


@given(both_classes())
def test_metrics_agree_with_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    assert auc(labels, scores) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12)
    z = np.clip(scores.astype(np.float64), -10, 10)
    expected = sklearn_metrics.log_loss(labels, 1 / (1 + np.exp(-z)), labels=[0, 1])
    assert log_loss(labels, z) == pytest.approx(expected, rel=1e-9)


@given(both_classes())
def test_auc_keeps_its_value_under_monotone_maps_and_flips_with_the_sign(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    exact = scores.astype(np.float64)
    assert auc(labels, 8 * exact) == auc(labels, exact)
    assert auc(labels, -exact) == pytest.approx(1 - auc(labels, exact), abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("label_dtype", [torch.bool, torch.int8, torch.int64, torch.float32])
def test_tensors_of_any_type_are_taken(dtype: torch.dtype, label_dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(500, generator=generator).to(dtype)
    labels = (torch.rand(500, generator=generator) < 0.3).to(label_dtype)
    expected = sklearn_metrics.roc_auc_score(labels.numpy(), scores.double().numpy())
    assert auc(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_large_samples_do_not_overflow_and_infinities_are_ordered() -> None:
    rows = 200_000
    labels = np.repeat([0, 1], rows // 2)
    assert auc(labels, labels.astype(np.float32)) == 1.0
    assert auc(labels, np.zeros(rows, np.float32)) == 0.5
    assert auc([0, 1, 1], [-math.inf, 0.0, math.inf]) == 1.0


def test_log_loss_of_confident_logits_is_finite_and_exact() -> None:
    assert log_loss([1, 0], [1000.0, -1000.0]) == 0.0
    assert log_loss([0, 1], [1000.0, -1000.0]) == 1000.0
    assert log_loss([0, 1], [0.0, 0.0]) == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "all 2 labels are positive; take a sample that holds a negative row"),
        ([0, 0], [0.1, 0.2], "all 2 labels are negative"),
        ([0, 1], [0.1, math.nan], "1 of 2 are NaN"),
        ([0, 2], [0.1, 0.2], "A label is 0 or 1, however: 2"),
        ([0, 1, 1], [0.1, 0.2], r"however: shapes \(3,\) and \(2,\)"),
        ([], [], "not empty"),
    ],
)
def test_wrong_inputs_are_named(labels: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auc(labels, scores)


@pytest.mark.slow
def test_auc_of_many_scores_is_several_times_faster_than_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random(2_000_000) < 0.25).astype(np.float32)
    scores = (generator.normal(size=len(labels)) + labels).astype(np.float32)

    def seconds(function: object) -> float:
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            function(labels, scores)  # type: ignore[operator]
            runs.append(time.perf_counter() - start)
        return min(runs)

    assert seconds(sklearn_metrics.roc_auc_score) > 3 * seconds(auc)


@pytest.mark.parametrize(("rate", "entropy"), [(0.5, math.log(2)), (0.0, 0.0), (1.0, 0.0), (0.28, 0.5930)])
def test_the_best_constant_is_the_entropy_of_the_rate(rate: float, entropy: float) -> None:
    assert constant_log_loss(rate) == pytest.approx(entropy, abs=5e-5)
    if 0 < rate < 1:
        labels, logit = np.arange(1000) < 1000 * rate, math.log(rate / (1 - rate))
        assert log_loss(labels.astype(int), np.full(1000, logit)) == pytest.approx(constant_log_loss(rate))
        assert log_loss(labels.astype(int), np.full(1000, logit + 0.1)) > constant_log_loss(rate)


def test_a_share_beyond_one_has_no_entropy() -> None:
    with pytest.raises(ValueError, match=r"within 0 and 1, however: rate=1\.5"):
        constant_log_loss(1.5)


@given(both_classes(), st.integers(1, 20))
def test_calibration_error_is_the_mean_gap_of_equal_bins(data: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    labels, scores = data
    z = np.clip(scores.astype(np.float64), -30, 30)
    order = sorted(range(len(z)), key=lambda row: (z[row], row))
    size, larger = divmod(len(z), min(bins, len(z)))
    total, start = 0.0, 0
    for number in range(min(bins, len(z))):
        stop = start + size + (number < larger)
        rows = order[start:stop]
        total += abs(sum(1 / (1 + math.exp(-z[row])) for row in rows) - sum(int(labels[row]) for row in rows))
        start = stop
    assert calibration_error(labels, z, bins=bins) == pytest.approx(total / len(z), abs=1e-12)


def test_true_probabilities_are_calibrated_and_shifted_ones_are_off_by_the_shift() -> None:
    generator = np.random.default_rng(0)
    p = generator.uniform(0.1, 0.6, 200_000)
    labels = (generator.random(p.size) < p).astype(int)
    assert calibration_error(labels, np.log(p / (1 - p))) < 0.01
    higher = p + 0.2
    assert calibration_error(labels, np.log(higher / (1 - higher))) == pytest.approx(0.2, abs=0.005)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([-2.0, -0.5, 0.0, 0.25, 3.0]), st.integers(0, 4)), max_size=12)
)
def test_a_weight_counts_as_repeated_rows(rows: list[tuple[bool, float, int]]) -> None:
    rows += [(True, 0.1, 1), (False, 0.2, 2)]
    labels, logits, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    repeated = [np.repeat(column, weights.astype(int)) for column in (labels, logits)]
    for metric in (auc, log_loss, functools.partial(calibration_error, bins=1)):
        assert metric(labels, logits, weights) == pytest.approx(metric(*repeated), rel=1e-12)
    assert auc(labels, logits, np.ones(len(rows))) == pytest.approx(auc(labels, logits), rel=1e-12)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
@pytest.mark.parametrize("metric", [auc, log_loss, calibration_error])
def test_weights_are_numbers_of_rows(metric, weights: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite number a row, none negative and not all 0"):
        metric([0.0, 1.0], [0.0, 1.0], weights)
