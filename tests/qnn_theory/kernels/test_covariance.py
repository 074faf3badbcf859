from __future__ import annotations

import math

import numpy as np
import pytest

import qnn_theory as qt
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.kernels.exact_width import exact_kernel
from qnn_theory.kernels.finite_width import FiniteWidth
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.sampling import simulate
from qnn_theory.kernels.setting import checked_setting
from tests.qnn_theory.kernels import networks

SETTING = {"fields": 8, "embedding_dim": 16, "depth": 3, "embedding_std": 0.8}
POLYNOMIAL = [format.id for format in qt.formats() if not uses_activation(format.expr)]


@pytest.mark.parametrize(
    ("format", "second_moment"), [("Linear", 0.640), ("T9", 6.779), ("T19", 12.624), ("T23", 6.779), ("T8", 6.779)]
)
def test_rules_that_were_derived_by_hand(format, second_moment):
    assert qt.covariance(format, width_correction=False, **SETTING).values[-1] == pytest.approx(second_moment, abs=1e-3)
    assert qt.signal(format, width_correction=False, **SETTING).second_moment[-1] == pytest.approx(
        second_moment, abs=1e-3
    )


def test_the_recursions_of_gates_and_products():
    t = np.arange(9) / 8
    p = o = None
    for _ in range(3):  # T9: p' = p (1 + C), o' = o (1 + C)
        p, o = (0.64, 0.0) if p is None else (p, o)
        c = t * p + (1 - t) * o
        p, o = p * (1 + c), o * (1 + c)
    assert qt.covariance("T9", **SETTING).leading == pytest.approx(t * p + (1 - t) * o)
    c = 0.64 * t
    for _ in range(3):  # T4: the same map twice has a constant part
        c = c[-1] ** 2 + 2 * c**2
    assert qt.covariance("T4", width_correction=False, **SETTING).leading == pytest.approx(c)


def _arc_cosine(c: np.ndarray, v: float) -> np.ndarray:
    angle = np.arccos(np.clip(c / v, -1, 1))
    return v * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def test_relu_stacks_have_the_arc_cosine_kernel_and_its_tangent_kernel():
    fields, embedding_dim, std, depth = 39, 16, 0.7, 3
    t = np.arange(fields + 1) / fields
    kernels, slopes = [std**2 * t], []
    for _ in range(depth):
        c = kernels[-1]
        kernels.append(_arc_cosine(c, c[-1]))
        slopes.append((np.pi - np.arccos(np.clip(c / c[-1], -1, 1))) / (2 * np.pi))
    arguments = {"fields": fields, "embedding_dim": embedding_dim, "depth": depth, "embedding_std": std}
    given = {"post_activation": "relu", "width_correction": False, **arguments}
    assert qt.covariance("Linear", **given).values == pytest.approx(kernels[-1], rel=1e-7)
    found = qt.tangent_kernel("Linear", **given)
    dim = fields * embedding_dim
    for layer in range(depth):
        reach = np.prod(slopes[layer:], axis=0)
        assert found.groups[f"layers.{layer}.W_a"] == pytest.approx(dim * reach * kernels[layer], rel=1e-7)
        assert found.groups[f"layers.{layer}.b_a"] == pytest.approx(reach, rel=1e-7)
    assert found.groups["embedding"] == pytest.approx(t * np.prod(slopes, axis=0), rel=1e-7)
    assert found.groups["head"] == pytest.approx(dim * kernels[-1], rel=1e-7)
    assert found.values == pytest.approx(sum(np.array(part) for part in found.groups.values()))


@pytest.mark.parametrize("format", POLYNOMIAL)
@pytest.mark.parametrize("depth", [1, 2])
def test_closed_forms_are_the_numbers(format, depth):
    kernel = qt.covariance(format, fields=4, embedding_dim=4, depth=depth, embedding_std=0.5, width_correction=False)
    assert kernel.exact
    formula = kernel.formula
    (t,) = formula.free_symbols
    assert kernel.values == pytest.approx([float(formula.subs(t, s / 4)) for s in range(5)])


def test_a_closed_form():
    formula = qt.covariance_formula("T9", depth=2)
    assert str(formula) == "sigma**8*t**4 + 2*sigma**6*t**3 + 2*sigma**4*t**2 + sigma**2*t"


def test_one_layer_at_width_2_by_hand():
    """T9: E[x_i² (1 + (x_1² + x_2²)/2)] = s² + s⁴ (3 + 1)/2."""
    setting = checked_setting("T9", 2, 1, 1, 0.5, None)
    (_, _, value) = exact_kernel(setting.stack(np.ones(1), 2), embedding_dim=1)
    assert value == pytest.approx(0.25 + 0.0625 * 2)


@pytest.mark.parametrize("format", POLYNOMIAL)
def test_the_error_of_the_1_over_d_term_shrinks_with_the_square(format):
    """Against the kernel that is exact in d: every order from the second on is left out, and none below."""
    errors = []
    depth = 1 if format == "T21" else 2  # more terms than are worked through
    for embedding_dim in (128, 1024):
        setting = checked_setting(format, 4, embedding_dim, depth, 0.4, None)
        exact = exact_kernel(setting.stack(np.ones(1), 2), embedding_dim=embedding_dim)
        assert exact is not None
        values = []
        for stack in setting.stacks():
            target = stack.output_entry(depth)
            shift = FiniteWidth(stack, (target,)).shift(target) / float(stack.ratios[depth]) / setting.dim
            values += list(np.broadcast_to(stack.kernel(depth) + shift, stack.share.shape))
        errors.append(np.abs(np.array(values) - exact) / exact[-1])
    close = errors[0] < 1e-12
    assert np.all(errors[1][close] < 1e-12)
    slopes = np.log(errors[0][~close] / errors[1][~close]) / math.log(8)
    assert slopes == pytest.approx(2.0, abs=0.1)


MODULES = [
    ("T14", None),
    ("T18-paper", None),
    ("T26~gelu", None),
    ("Linear", "mish"),
    ("x * affine('W') ** 2 - 0.5 * x + 0.25", None),
    ("affine('W', x) + affine('W', x ** 2)", None),
    ("x * affine('V', tanh(affine('U', width=1/2))) + scale('a', initial=0.5)", None),
    ("x * prelu(affine('W') - 0.3)", None),
    ("x * sigmoid(x + affine('W'))", None),
]


@pytest.mark.parametrize(("format", "post_activation"), MODULES)
def test_the_torch_modules_have_these_kernels(format, post_activation):
    arguments = {"fields": 4, "embedding_dim": 16, "depth": 2, "embedding_std": 0.5, "post_activation": post_activation}
    kernel = qt.covariance(format, **arguments)
    for agreeing in (2, 4):
        mean, error = networks.covariance(format, agreeing=agreeing, draws=80, **arguments)
        assert kernel.values[agreeing] == pytest.approx(
            mean, abs=4 * math.hypot(error, kernel.standard_error[agreeing]) + 0.005 * kernel.values[-1]
        )


def test_a_bilinear_module_has_this_kernel():
    arguments = {"fields": 4, "embedding_dim": 4, "depth": 2, "embedding_std": 0.5}
    kernel = qt.covariance("T1", **arguments)
    mean, error = networks.covariance("T1", agreeing=2, draws=200, **arguments)
    assert kernel.values[2] == pytest.approx(mean, abs=4 * error)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["T9", "T23", "T8", "CrossNetV2", "T25", "QNN-alpha", "T5"])
@pytest.mark.parametrize("post_activation", ["relu", "gelu", "tanh"])
def test_modules_with_a_post_activation_have_these_kernels(format, post_activation):
    test_the_torch_modules_have_these_kernels(format, post_activation)


@pytest.mark.slow
@pytest.mark.parametrize("format", [format.id for format in qt.formats()])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_all_modules_have_these_kernels(format, depth):
    arguments = {"fields": 4, "embedding_dim": 64, "depth": depth, "embedding_std": 0.4}
    if format in ("T1", "T2", "T6"):  # d³ parameters, and a gain that grows with d
        arguments |= {"embedding_dim": 16, "embedding_std": 0.2}
    kernel = qt.covariance(format, **arguments)
    if math.isnan(kernel.values[-1]):
        assert format == "T21"
        assert depth == 3
        return
    for agreeing in (2, 4):
        mean, error = networks.covariance(format, agreeing=agreeing, draws=300, **arguments)
        assert kernel.values[agreeing] == pytest.approx(mean, abs=4 * error + 0.002 * kernel.values[-1])


def test_blocks_that_are_multiplied_are_simulated():
    """h = x_i x_j | x_i twice: E = (E[x_i⁴ x_j²] + E[x_i² x_j²])/2."""
    format = "block(0, 2, x) * block(1, 2, x) | block(0, 2, x)"
    kernel = qt.covariance(format, fields=4, embedding_dim=8, depth=2, embedding_std=0.5)
    assert not kernel.exact
    assert kernel.values[-1] == pytest.approx((3 * 0.5**6 + 0.5**4) / 2, abs=4 * kernel.standard_error[-1])


def test_heavy_tails_say_so():
    light = qt.covariance("T9", fields=8, embedding_dim=32, depth=3, embedding_std=0.4)
    heavy = qt.covariance("T21", fields=8, embedding_dim=32, depth=3, embedding_std=0.4)
    assert light.reliable_from_dim is not None
    assert light.reliable_from_dim < 64
    assert heavy.reliable_from_dim is None
    assert all(map(math.isnan, heavy.values))
    assert heavy.leading[-1] == pytest.approx(0.328, abs=1e-3)


def test_the_gain_varies_more_between_draws_without_a_linear_path():
    arguments = {"fields": 8, "embedding_dim": 32, "depth": 3, "embedding_std": 0.1}
    spreads = {name: qt.signal(name, **arguments) for name in ("T3", "T4", "T5", "T9", "T16", "T23")}
    assert min(spreads[name].log_gain_std for name in ("T3", "T4", "T5")) > 5 * max(
        spreads[name].log_gain_std for name in ("T9", "T16", "T23")
    )
    assert spreads["T5"].gain < 1e-6 < spreads["T9"].gain
    assert spreads["T9"].gain == pytest.approx(math.prod(spreads["T9"].layer_gains))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"fields": 0}, "fields is a positive integer"),
        ({"fields": True}, "fields is a positive integer"),
        ({"fields": 4, "embedding_dim": 2.0}, "embedding_dim is a positive integer"),
        ({"fields": 4, "depth": 0}, "depth is a positive integer"),
        ({"fields": 4, "embedding_std": 0.0}, "embedding_std is a positive number"),
        ({"fields": 4, "embedding_std": math.nan}, "embedding_std is a positive number"),
        ({"format": "T13", "fields": 3, "embedding_dim": 1}, "so d must be even"),
        ({"format": "affine('W', affine('W'))", "fields": 4}, "W is applied to its own"),
        ({"fields": 10**6}, "up to 10000 fields"),
        ({"fields": 4, "depth": 900, "embedding_std": 0.1}, "take fewer layers"),
        ({"fields": 4, "depth": 900, "width_correction": False}, "they grow beyond 1e308"),
        ({"format": "affine('W') ** 16", "fields": 4, "depth": 5}, "they grow beyond 1e308"),
        ({"format": "x ** 16 + affine('W')", "fields": 4, "depth": 4, "embedding_std": 0.01}, "take fewer layers"),
        ({"format": "row_sum(1000, affine('W'))", "fields": 4, "embedding_dim": 1}, "random numbers a coordinate"),
    ],
)
def test_what_has_no_answer_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        qt.covariance(**{"format": "T9", **arguments})


@pytest.mark.parametrize("format", ["T19", "block(0, 2, x) * affine('W', width=1/2) | block(1, 2, x)"])
def test_no_closed_form_is_refused(format):
    with pytest.raises(NoRuleError, match="A closed form"):
        qt.covariance_formula(format, depth=2)
    assert qt.covariance(format, fields=2, embedding_dim=2, depth=2, width_correction=False).formula is None


def test_deep_stacks_need_no_deep_recursion():
    values = qt.covariance("T9", fields=4, depth=300, embedding_std=1e-60, width_correction=False).values
    assert values[-1] == pytest.approx(1e-120)


def test_many_rows_cost_nothing():
    """E[(Σ relu(W_m x))²] = M v/2 + M (M - 1) v/2π."""
    given = {"fields": 4, "embedding_std": 0.1, "width_correction": False}
    values = qt.covariance("row_sum(1000, relu(affine('W')))", **given).values
    assert values[-1] == pytest.approx(0.01 * (1000 / 2 + 1000 * 999 / (2 * math.pi)))


@pytest.mark.parametrize("format", ["T9", "T18-paper", "T26~gelu", "QNN-alpha-released", "T12"])
def test_simulation_and_rules_agree(format):
    """They share no code but the activations; the simulation serves formats without rules."""
    setting = checked_setting(format, 4, 16, 2, 0.5, None)
    found = simulate(setting)
    kernel = qt.covariance(format, fields=4, embedding_dim=16, depth=2, embedding_std=0.5)
    for s in (0, 2, 4):
        allowed = 4.5 * found.errors[-1][s] + 0.002 * kernel.values[-1]
        assert found.values[-1][s] == pytest.approx(kernel.values[s], abs=allowed)


@pytest.mark.slow
@pytest.mark.parametrize("format", [format.id for format in qt.formats()])
def test_simulation_and_rules_agree_on_all_formats(format):
    test_simulation_and_rules_agree(format)


def test_an_unknown_format_is_named():
    with pytest.raises(KeyError, match="one of the ids that `qnn formats` lists"):
        qt.covariance("T99", fields=4)
