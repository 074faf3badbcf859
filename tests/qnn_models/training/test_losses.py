import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.training.losses import LOSS_NAMES, bce, check_loss_name, is_paired, paired_loss

PAIRED = [name for name in LOSS_NAMES if is_paired(name)]
logits = st.floats(-8, 8)


def naive_bce(p: float, target: float) -> float:
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def naive_kl(p: float, r: float) -> float:
    return p * math.log(p / r) + (1 - p) * math.log((1 - p) / (1 - r))


def naive_term(name: str, p: float, r: float) -> float:
    q = (p + r) / 2
    cosine = (p * r + (1 - p) * (1 - r)) / (math.hypot(p, 1 - p) * math.hypot(r, 1 - r))
    difference = abs(p - r)
    return {
        "ensemble": 0.0,
        "self_ensemble": naive_bce(p, q) + naive_bce(r, q),
        "mse": difference**2,
        "kl": (naive_kl(p, r) + naive_kl(r, p)) / 2,
        "cosine": 1 - cosine,
        "huber": difference**2 / 2 if difference <= 1 else difference - 0.5,
    }[name]


rows = st.lists(st.tuples(logits, logits, st.sampled_from([0.0, 1.0])), min_size=1, max_size=8)


@pytest.mark.parametrize("name", PAIRED)
@given(rows=rows)
def test_paired_losses_are_their_formulas(name: str, rows: list[tuple[float, float, float]]) -> None:
    def p(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    expected = sum(naive_bce((p(a) + p(b)) / 2, y) + naive_term(name, p(a), p(b)) for a, b, y in rows) / len(rows)
    first, second, labels = torch.tensor(rows, dtype=torch.float64).T
    assert paired_loss(name, first, second, labels).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(rows=rows)
def test_bce_is_its_formula(rows: list[tuple[float, float, float]]) -> None:
    z, _, labels = torch.tensor(rows, dtype=torch.float64).T
    expected = sum(naive_bce(1 / (1 + math.exp(-a)), y) for a, _, y in rows) / len(rows)
    assert bce(z, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", PAIRED)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(6, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2))
    labels = torch.tensor([0.0, 1.0] * 3, dtype=torch.float64)
    if name == "self_ensemble":
        # The target is a constant of the step: compare with a loss in which it is one.
        target = (torch.sigmoid(first) + torch.sigmoid(second)).detach() / 2

        def function(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return paired_loss("ensemble", a, b, labels) + bce(a, target) + bce(b, target)

        expected = torch.autograd.grad(function(first, second), (first, second))
        actual = torch.autograd.grad(paired_loss(name, first, second, labels), (first, second))
        torch.testing.assert_close(actual, expected)
    else:
        assert torch.autograd.gradcheck(lambda a, b: paired_loss(name, a, b, labels), (first, second))


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_confident_passes_stay_finite(name: Literal["mse"], size: float) -> None:
    first = torch.tensor([size, -size, size, -size], requires_grad=True)
    second = torch.tensor([size, -size, -size, size], requires_grad=True)
    loss = paired_loss(name, first, second, torch.tensor([0.0, 1.0, 1.0, 0.0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(first.grad).all()
    assert torch.isfinite(second.grad).all()


@given(target=st.floats(0.01, 0.99), away=st.floats(-3, 3))
def test_the_self_ensemble_term_is_least_where_the_passes_meet_their_ensemble(target: float, away: float) -> None:
    meeting = torch.logit(torch.tensor([target], dtype=torch.float64))
    fixed = torch.tensor([target], dtype=torch.float64)
    assert bce(meeting + away, fixed) >= bce(meeting, fixed) - 1e-12


def test_unknown_names_are_answered_with_the_nearest() -> None:
    assert check_loss_name("kl") == "kl"
    with pytest.raises(ValueError, match="the nearest is 'self_ensemble'"):
        check_loss_name("self-ensemble")
    with pytest.raises(ValueError, match="reads two passes"):
        paired_loss("bce", torch.zeros(1), torch.zeros(1), torch.zeros(1))
