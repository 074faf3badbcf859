"""Declared options are a constructor's: seen, typed and checked like one written out, whoever declares them."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qnn_models.models.baselines.crossing.dcn import DCNv2
from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.mlp import MLP
from qnn_models.models.baselines.parts.options import DeepKind, Embedded, WithDeep, require
from qnn_models.models.baselines.perceptrons.dnn import DNN
from qnn_models.models.network import Layout
from qnn_models.models.registry import model_class, model_names
from studies.tasks.signatures import check_settings, function_parameters
from tests.qnn_models.models.cases import BATTERY, IDS, Case, Fields, make, vectors

BASELINES = [name for name in model_names() if issubclass(model_class(name), Baseline)]


class Scaled(DNN):
    """What a stranger writes: one more option, one more module."""

    @dataclass(frozen=True, kw_only=True)
    class Options(DNN.Options):
        scale: float = 2.0
        kind: DeepKind = "mlp"

    options: Options

    def _make(self, seed: int | None) -> None:
        super()._make(seed)
        self.weight = nn.Parameter(torch.tensor(self.options.scale))

    def score(self, embedded: Tensor) -> Tensor:
        return self.weight * super().score(embedded)


def test_all_models_but_three_are_declared() -> None:
    assert set(model_names()) - set(BASELINES) == {"quadratic", "qnn-alpha", "lr"}


@pytest.mark.parametrize("name", BASELINES)
def test_options_are_seen_typed_and_have_defaults_of_their_types(name: str) -> None:
    kind = model_class(name)
    layout, *options, seed = inspect.signature(kind).parameters.values()
    assert (layout.name, layout.kind) == ("layout", layout.POSITIONAL_OR_KEYWORD)
    assert (seed.name, seed.default) == ("seed", None)
    assert all(option.kind is option.KEYWORD_ONLY and not isinstance(option.annotation, str) for option in options)
    settings = function_parameters(kind, without=("layout", "seed"))
    assert [*settings] == [option.name for option in options]
    check_settings({key: "none" if p.default is None else p.default for key, p in settings.items()}, settings, name)
    with pytest.raises(ValueError, match="embedding_dim: must be int, however: 'wide'"):
        check_settings({"embedding_dim": "wide"}, settings, name)


def test_a_constructor_reads_as_if_it_were_written_out() -> None:
    written = {
        "layout": (Layout, inspect.Parameter.empty),
        **{
            name: (int, default)
            for name, default in (("embedding_dim", 16), ("hidden_units", 400), ("hidden_layers", 3))
        },
        "dropout": (float, 0.1),
        "batch_norm": (bool, False),
        "deep": (DeepKind, "mlp"),
        **{name: (int, default) for name, default in (("qnn_layers", 2), ("rows", 4), ("cross_layers", 3))},
        "seed": (int | None, None),
    }
    found = function_parameters(DCNv2)
    assert {name: (parameter.annotation, parameter.default) for name, parameter in found.items()} == written
    assert DCNv2.__init__.__qualname__ == "DCNv2.__init__"


def test_a_strangers_options_join_those_that_they_extend() -> None:
    settings = function_parameters(Scaled)
    assert (settings["scale"].annotation, settings["scale"].default) == (float, 2.0)
    assert {"layout", "hidden_units", "kind", "seed"} < set(settings)
    assert "scale" not in inspect.signature(DNN).parameters
    plain, scaled = DNN(Fields(), seed=0).eval(), Scaled(Fields(), scale=3.0, seed=0).eval()
    torch.testing.assert_close(scaled(IDS), 3 * plain(IDS))


def test_a_constructor_of_ones_own_speaks_for_itself() -> None:
    class Fixed(Scaled):
        def __init__(self, layout: Any, *, width: int = 8, seed: int | None = None) -> None:
            super().__init__(layout, hidden_units=width, scale=1.0, seed=seed)

    assert [*inspect.signature(Fixed).parameters] == ["layout", "width", "seed"]
    assert Fixed(Fields(), width=5).options == Scaled.Options(hidden_units=5, scale=1.0)

    class Heir(Fixed):
        pass

    class Widened(Fixed):
        @dataclass(frozen=True, kw_only=True)
        class Options(Scaled.Options):
            shift: float = 0.0

    assert [*inspect.signature(Heir).parameters] == ["layout", "width", "seed"]
    assert Heir(Fields(), width=5).options == Scaled.Options(hidden_units=5, scale=1.0)
    with pytest.raises(TypeError, match="'shift'"):  # it is not passed by, in silence
        Widened(Fields(), shift=1.0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((Fields(),), {"hidden": 3}, "'hidden'"),
        ((Fields(), 16), {}, "positional"),
        ((), {"hidden_units": 3}, "layout"),
        ((Fields(),), {"layout": Fields()}, "multiple values for argument 'layout'"),
    ],
)
def test_what_the_signature_does_not_take_is_refused(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        DNN(*arguments, **options)


def test_a_model_without_its_parts_is_not_built() -> None:
    class Hollow(Baseline):
        def score(self, embedded: Tensor) -> Tensor:
            return embedded.sum((1, 2))

    with pytest.raises(TypeError, match=r"abstract.*_make"):
        Hollow(Fields())  # type: ignore[abstract]


def test_an_option_cannot_take_the_name_of_the_seed() -> None:
    with pytest.raises(ValueError, match="duplicate parameter name: 'seed'"):

        class Twice(DNN):
            @dataclass(frozen=True, kw_only=True)
            class Options(DNN.Options):
                seed: int = 0


def test_an_option_without_default_must_be_given() -> None:
    class Asking(DNN):
        @dataclass(frozen=True, kw_only=True)
        class Options(DNN.Options):
            depth: int

    assert inspect.signature(Asking).parameters["depth"].default is inspect.Parameter.empty
    with pytest.raises(TypeError, match="'depth'"):
        Asking(Fields())


@pytest.mark.parametrize(("name", "case"), [entry for entry in BATTERY if entry.id.endswith("-0")])
def test_copies_and_pickles_keep_options_and_logits(name: str, case: Case) -> None:
    model = make(name, case).eval()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(IDS), model(IDS))
        assert getattr(twin, "options", None) == getattr(model, "options", None)


def test_a_model_is_called_as_a_module_is_and_its_options_stay() -> None:
    model = DNN(Fields(), seed=0)
    assert "hidden_units" not in inspect.signature(model).parameters
    with pytest.raises(FrozenInstanceError):
        model.options.hidden_units = 3  # type: ignore[misc]
    assert "Linear(in_features=64, out_features=400" in repr(model)


def test_shapes_are_values() -> None:
    assert WithDeep(dropout=0.2) == WithDeep(dropout=0.2) != WithDeep()
    assert Embedded() == Embedded(embedding_dim=16)
    with pytest.raises(ValueError, match=r"^A sum is even, however: a=3, b='x'\.$"):
        require(False, "A sum is even", a=3, b="x")
    require(True, "A sum is even", a=2)


def test_an_mlp_without_hidden_layers_is_its_last_map() -> None:
    module = MLP(3, hidden_units=4, hidden_layers=0, outputs=2)
    x = vectors(2, 3).float()
    assert torch.equal(module(x), module.out(x))
