"""What `test_uses` runs on: layers of each format with post-activation, dropout and BatchNorm, training and evaluating."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import qnn_theory as qt
from qnn_models import QuadraticLayer
from qnn_theory.grammar.widths import divisor

ROWS = 4
ARMS: dict[str, dict[str, Any]] = {
    "post-activation": {"post_activation": "silu"},
    "dropout": {"gate_dropout": 0.4, "dropout": 0.3},
    "batch norm": {"gate_norm": True, "post_norm": True, "post_activation": "prelu"},
}

TOGETHER = {"together": {name: value for options in ARMS.values() for name, value in options.items()}}


class PlainOperations(TorchFunctionMode):
    """Watches each function, so that no loop stands in for it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@dataclass
class Cell:
    """A layer in a mode, and an input."""

    make: Callable[[int], QuadraticLayer]
    layer: QuadraticLayer
    x: Tensor
    drops: bool  # masks are drawn
    learns: bool  # batch statistics are used, and running ones moved

    def __call__(self, x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return self.layer(x)

    def plain(self, x: Tensor) -> Tensor:
        with PlainOperations():
            return self(x)

    def twin(self) -> Cell:
        return Cell(self.make, copy.deepcopy(self.layer), self.x, self.drops, self.learns)

    def gradients(self, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        x = self.x.clone().requires_grad_()
        y = function(x)
        return y, *torch.autograd.grad(y.square().sum(), (x, *self.layer.parameters()), allow_unused=True)

    def expected(self) -> tuple[Tensor, ...]:
        """Value and gradients by plain operations; nothing moves."""
        twin = self.twin()
        return twin.gradients(twin.plain)


def cells(format: qt.Format, arms: dict[str, dict[str, Any]]) -> Iterator[Cell]:
    dim = 2 * divisor(format.expr)
    for options in arms.values():
        for training in (True, False):

            def make(seed: int, options=options, training=training) -> QuadraticLayer:
                layer = QuadraticLayer(format, dim=dim, seed=seed, dtype=torch.float64, **options).train(training)
                generator = torch.Generator().manual_seed(seed)
                for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
                    if "norm" in name and tensor.is_floating_point():
                        tensor.data.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
                return layer

            generator = torch.Generator().manual_seed(0)
            x = torch.randn(ROWS, dim, dtype=torch.float64, generator=generator)
            layer = make(0)
            norms = any(isinstance(module, nn.BatchNorm1d) for module in layer.modules())
            yield Cell(make, layer, x, training and "dropout" in options, training and norms)
