import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from qnn_models.layers.dropout import Draw, Dropout, dropout_state, load_dropout_state, seed_dropout


def seeded(p: float, seed: int = 0) -> Dropout:
    layer = Dropout(p)
    seed_dropout(layer, seed)
    return layer


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drop_counts_are_binomial_with_the_realised_probability(p: float) -> None:
    layer = seeded(p)
    dropped = int((layer(torch.ones(1_000_000)) == 0).sum())
    assert stats.binomtest(dropped, 1_000_000, layer.realised_p).pvalue > 1e-4


def test_elements_that_share_a_word_and_neighbours_are_independent() -> None:
    dropped = (seeded(0.3)(torch.ones(4_000_000)) == 0).numpy().reshape(-1, 4)
    patterns = np.bincount(dropped @ np.array([1, 2, 4, 8]), minlength=16)
    p = seeded(0.3).realised_p
    expected = [np.prod([p if pattern >> lane & 1 else 1 - p for lane in range(4)]) for pattern in range(16)]
    assert stats.chisquare(patterns, np.array(expected) * len(dropped)).pvalue > 1e-4
    flat = dropped.ravel().astype(float)
    assert abs(np.corrcoef(flat[:-4], flat[4:])[0, 1]) < 5 / np.sqrt(flat.size)


@given(p=st.floats(0, 0.999), shape=st.lists(st.integers(1, 7), min_size=1, max_size=3), seed=st.integers(0, 2**63 - 1))
def test_output_is_zero_or_the_scaled_input_and_the_gradient_is_the_mask(p: float, shape: list[int], seed: int) -> None:
    layer = seeded(p, seed)
    x = torch.rand(shape, dtype=torch.float64) + 1
    x.requires_grad_()
    y = layer(x)
    y.sum().backward()
    scale = 1 / (1 - layer.realised_p)
    assert y.shape == x.shape
    assert torch.all((y == 0) | torch.isclose(y, x * scale, rtol=1e-14))
    assert torch.equal(y, x * x.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_type_of_the_input_is_kept(dtype: torch.dtype) -> None:
    assert seeded(0.1)(torch.ones(5, 3, dtype=dtype)).dtype == dtype


def test_non_contiguous_inputs_are_masked_too() -> None:
    x = torch.ones(300, 200).T
    kept = (seeded(0.5)(x) != 0).float().mean()
    assert 0.48 < kept < 0.52


def test_evaluation_is_the_identity() -> None:
    x = torch.rand(4, 4)
    assert seeded(0.5).eval()(x) is x
    assert seeded(0.0)(x) is x


def test_same_seed_same_masks_and_two_calls_differ() -> None:
    x = torch.ones(64, 64)
    first, second = seeded(0.5, 7), seeded(0.5, 7)
    a = first(x)
    assert torch.equal(a, second(x))
    assert not torch.equal(a, first(x))
    assert not torch.equal(a, seeded(0.5, 8)(x))


def test_unseeded_layers_follow_torchs_global_seed() -> None:
    x = torch.ones(64, 64)
    layer = Dropout(0.5)
    torch.manual_seed(3)
    a, b = layer(x), layer(x)
    assert not torch.equal(a, b)
    torch.manual_seed(3)
    assert torch.equal(a, layer(x))
    assert torch.equal(b, Dropout(0.5)(x))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        assert torch.equal(a, layer(x))
    assert not torch.equal(a, layer(x))


def test_a_seeded_layer_neither_reads_nor_moves_torchs_generator_until_its_stream_is_taken_away() -> None:
    x, layer = torch.ones(64, 64), seeded(0.5, 7)
    before = torch.get_rng_state()
    a = layer(x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    seed_dropout(layer, 7)
    assert torch.equal(a, layer(x))
    seed_dropout(layer, None)
    torch.manual_seed(5)
    b = layer(x)
    torch.manual_seed(5)
    assert torch.equal(b, layer(x))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("elements", [0, 1, 3, 4, 5, 4099])
@pytest.mark.parametrize("position", [0, 2**63 - 2, 12345678901234567])
def test_torch_operations_make_the_mask_that_the_loop_makes(p: float, elements: int, position: int) -> None:
    threshold, like = round(p * 2**16) - 2**15, torch.empty(elements)
    loop, operations = (Draw(at, threshold, 2.0).mask(like) for at in (position, torch.tensor(position)))
    assert torch.equal(loop, operations)


def test_a_probability_may_change_between_forward_and_backward() -> None:
    layer, x = seeded(0.5), torch.ones(1000, requires_grad=True)
    y = layer(x)
    layer.p = 0.1
    y.sum().backward()
    assert torch.equal(x.grad, y)


def test_state_goes_back_to_the_same_masks() -> None:
    model = nn.Sequential(Dropout(0.3), Dropout(0.4))
    seed_dropout(model, 1)
    x = torch.ones(33, 5)
    model(x)
    state, clone = dropout_state(model), copy.deepcopy(model)
    expected = model(x)
    assert torch.equal(clone(x), expected)
    load_dropout_state(model, state)
    assert torch.equal(model(x), expected)
    unshared = nn.Sequential(seeded(0.3), seeded(0.4))
    with pytest.raises(ValueError, match="2 streams, however: 1 words"):
        load_dropout_state(unshared, state)
    with pytest.raises(ValueError, match="draws from torch's generator; call seed_dropout first"):
        dropout_state(nn.Sequential(Dropout(0.3)))


@pytest.mark.parametrize("p", [-0.1, 1.0, 0.999999, float("nan")])
def test_impossible_probabilities_are_rejected(p: float) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\), however: p="):
        Dropout(p)


def test_evaluation_mode_exports() -> None:
    model = nn.Sequential(nn.Linear(3, 3), Dropout(0.5)).eval()
    x = torch.rand(2, 3)
    assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))
