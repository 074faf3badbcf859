"""Dropout with cheap, honest masks: the distribution of `torch.nn.Dropout`, an own generator, a tenth of the time.

On the CPU, torch draws one double-precision uniform number per element, on one thread. Here one 64-bit word decides
four elements: each takes 16 bits and is dropped when they fall below ``round(p * 65536)``. The drop probability is thus
p rounded to a multiple of 2^-16, and survivors are scaled by the inverse of the keep probability as realised, so the
output's mean is the input exactly. The words are hashes of their places in a stream, so that the backward pass draws a mask
anew instead of keeping it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.kernels.dispatch import loops_serve
from qnn_models.runtime.graph_break import uncompiled

__all__ = ["Dropout", "dropout_state", "load_dropout_state", "seed_dropout"]

_LANES = 2**16
_WORDS = 2**64


class MaskSource:
    """The stream of random bits that the dropout layers of one model draw their masks from.

    Args:
        seed: seed of the stream; None takes one from torch's global generator, so that `torch.manual_seed` governs it.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.position = (int(torch.randint(2**63 - 1, ())) if seed is None else seed) % _WORDS

    def take(self, elements: int) -> np.uint64:
        """The position of the bits of so many elements; the stream goes on after them."""
        from qnn_models.kernels.numba_loops import GOLDEN, LANES_PER_WORD

        taken = np.uint64(self.position)
        self.position = (self.position + GOLDEN * -(-elements // LANES_PER_WORD)) % _WORDS
        return taken


class Dropout(nn.Module):
    """Sets each element to 0 with probability p while training, and scales the others by ``1 / (1 - p)``.

    On the CPU, p is rounded to a multiple of 2^-16 and the masks come from the layer's own stream (`seed_dropout`). On
    other devices torch's fused kernel draws them from the device's own generator, which `seed_dropout` seeds as well.

    **Shape:** any, to the same.

    Args:
        p: probability that an element is dropped, in [0, 1).

    Raises:
        ValueError: p is outside [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not (0.0 <= p < 1.0) or round(p * _LANES) == _LANES:
            raise ValueError(f"A drop probability is in [0, 1), however: p={p}.")
        self.p = float(p)
        self._source: MaskSource | None = None

    @property
    def realised_p(self) -> float:
        """The probability of the CPU path: p rounded to a multiple of 2^-16."""
        return round(self.p * _LANES) / _LANES

    @property
    def keep_scale(self) -> float:
        """What survivors are multiplied with: the inverse of the keep probability as realised."""
        return 1 / (1 - self.realised_p)

    @property
    def threshold(self) -> np.int16:
        """Elements whose 16 bits are below it, as a signed number, are dropped."""
        return np.int16(round(self.p * _LANES) - _LANES // 2)

    @property
    def source(self) -> MaskSource:
        """The stream the masks come from."""
        if self._source is None:
            self._source = MaskSource()
        return self._source

    @source.setter
    def source(self, source: MaskSource) -> None:
        self._source = source

    # Loops of numba are opaque to torch.compile, which breaks its graph here.
    @uncompiled
    def mask(self, like: Tensor) -> Tensor:
        """A fresh mask of 0 and ``1 / keep``, shaped and typed like `like`, for callers that multiply with it."""
        if like.device.type != "cpu":
            return functional.dropout(torch.ones_like(like), self.p, training=True)
        mask = np.ones(like.numel(), np.float64 if like.dtype == torch.float64 else np.float32)
        self._drop(self.source.take(mask.size), mask, mask)
        return torch.from_numpy(mask).to(like.dtype).view(like.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The input with dropped elements; the input itself when not training or when p is 0."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p, training=True)
        return _Drop.apply(x, self) if loops_serve(x) else x * self.mask(x)

    def _drop(self, position: np.uint64, source: NDArray[Any], out: NDArray[Any]) -> None:
        from qnn_models.kernels import numba_loops as kernels

        kernels.drop(position, self.threshold, source.dtype.type(self.keep_scale), source, out)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"p={self.p}"


class _Drop(torch.autograd.Function):
    """Dropout that keeps nothing: the backward pass draws the mask from the same place of the stream."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: Dropout) -> Tensor:
        ctx.dropout, ctx.position = dropout, dropout.source.take(x.numel())
        return _dropped(x, ctx.position, dropout)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _dropped(grad, ctx.position, ctx.dropout), None


def _dropped(x: Tensor, position: np.uint64, dropout: Dropout) -> Tensor:
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    dropout._drop(position, x.view(-1).numpy(), out.view(-1).numpy())
    return out


def seed_dropout(model: nn.Module, seed: int) -> None:
    """Give all dropout layers of a model one stream of masks that starts at this seed.

    Torch's generator of each CUDA device that holds parameters of the model is seeded too.
    """
    source = MaskSource(seed)
    for layer in _layers(model):
        layer.source = source
    for device in _cuda_devices(model):
        torch.cuda.default_generators[device.index].manual_seed(seed)


def dropout_state(model: nn.Module) -> dict[str, list[int]]:
    """Positions of the streams a model's dropout layers draw from, as JSON-able numbers.

    Returns:
        ``{"sources": one word per stream, in order of first use by `model.modules()`}`` and, for each CUDA
        device that holds parameters, ``"cuda:N"`` with the bytes of its generator's state.
    """
    state = {"sources": [source.position for source in _sources(model)]}
    for device in _cuda_devices(model):
        state[str(device)] = torch.cuda.get_rng_state(device).tolist()
    return state


def load_dropout_state(model: nn.Module, state: dict[str, list[int]]) -> None:
    """Put the streams back where `dropout_state` found them.

    Raises:
        ValueError: the model shares its streams differently from the one that was saved.
    """
    sources, words = _sources(model), state["sources"]
    if len(words) != len(sources):
        raise ValueError(
            f"A dropout state holds a word per stream and the model has {len(sources)} streams, however: "
            f"{len(words)} words; call seed_dropout on the model first, as it was done before saving, or start anew if the "
            "state is of an older release."
        )
    for source, word in zip(sources, words, strict=True):
        source.position = word
    for device in _cuda_devices(model):
        if str(device) in state:
            torch.cuda.set_rng_state(torch.tensor(state[str(device)], dtype=torch.uint8), device)


def _layers(model: nn.Module) -> list[Dropout]:
    return [module for module in model.modules() if isinstance(module, Dropout)]


def _sources(model: nn.Module) -> list[MaskSource]:
    return list({id(layer.source): layer.source for layer in _layers(model)}.values())


def _cuda_devices(model: nn.Module) -> list[torch.device]:
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    return sorted(devices, key=lambda device: device.index)
