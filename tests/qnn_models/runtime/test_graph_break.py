"""Parts that torch.compile must not trace run outside its graphs, and importing them does not load the compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, fx, nn

from qnn_models.layers.dropout import Dropout, MaskSource, seed_dropout
from qnn_models.runtime.graph_break import uncompiled

pytestmark = [  # raised inside torch's own compiler
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


class Graphs:
    """A compiler that notes the operations of each graph and runs it as it is."""

    def __init__(self) -> None:
        self.operations: list[list[str]] = []

    def __call__(self, graph: fx.GraphModule, example: list[Tensor]) -> nn.Module:
        self.operations.append([node.name for node in graph.graph.nodes if node.op.startswith("call")])
        return graph


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch.compiler.reset()


def test_importing_the_models_does_not_load_the_compiler() -> None:
    code = "import sys, qnn_models; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_an_uncompiled_function_is_left_out_of_the_graphs_and_called_each_time() -> None:
    traced = []

    def secret(x: Tensor, *, scale: int) -> Tensor:
        traced.append(torch.compiler.is_compiling())
        return torch.tanh(x) * scale

    def function(x: Tensor) -> Tensor:
        return torch.sin(hidden(x.exp(), scale=2))

    hidden, graphs, x = uncompiled("It is a secret.")(secret), Graphs(), torch.rand(3)
    compiled = torch.compile(function, backend=graphs)
    for _ in range(4):
        assert torch.equal(compiled(x), function(x))
    assert [["exp" in op, "sin" in op, "tanh" in op] for (op,) in graphs.operations] == [
        [True, False, False],
        [False, True, False],
    ]
    assert traced == [False] * 8
    assert hidden.__name__ == "secret"


def test_compiled_dropout_draws_the_masks_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    take = MaskSource.take

    def noted(source: MaskSource, elements: int) -> int:
        traced.append(torch.compiler.is_compiling())
        return take(source, elements)

    monkeypatch.setattr(MaskSource, "take", noted)
    model = nn.Sequential(nn.Linear(5, 7), Dropout(0.4), nn.Linear(7, 3), Dropout(0.2))
    graphs, x = Graphs(), torch.rand(6, 5)
    seed_dropout(model, 1)
    plain = [model(x) for _ in range(4)]
    seed_dropout(model, 1)
    compiled = torch.compile(model, backend=graphs)
    for expected in plain:
        assert torch.equal(compiled(x), expected)
    assert graphs.operations
    assert traced == [False] * 16
