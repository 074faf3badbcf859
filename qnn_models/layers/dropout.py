"""Dropout with cheap, honest masks: the distribution of `torch.nn.Dropout`, a tenth of the time.

On the CPU, torch draws one double-precision uniform number per element, on one thread. Here one 64-bit word decides
four elements: each takes 16 bits and is dropped when they fall below ``round(p * 65536)``. The drop probability is thus
p rounded to a multiple of 2^-16, and survivors are scaled by the inverse of the keep probability as realised, so the
output's mean is the input exactly. The words are hashes of their places in a stream, so that the backward pass draws a mask
anew instead of keeping it.

Where in the stream a mask lies is one number that torch's generator gives to each call: `torch.manual_seed`, ``fork_rng``,
checkpointing and the ``randomness`` of ``vmap`` act as they do on `torch.nn.Dropout`. `seed_dropout` gives a model a stream of
its own instead, which nothing else reads or moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.kernels.dispatch import loops_serve, observed
from qnn_models.layers.derivatives import wants_plain
from qnn_models.runtime.graph_break import uncompiled

__all__ = ["Draw", "Dropout", "dropout_state", "load_dropout_state", "own_streams", "seed_dropout"]

_LANES = 2**16
_WORDS = 2**64
_PROXY = torch._C._TorchDispatchModeKey.PROXY
_TO_TORCH = "seed_dropout(model, None) makes its masks follow torch's generator"


class MaskSource:
    """A stream of random bits that the dropout layers of one model draw their masks from, one after the other.

    Args:
        seed: the place that it starts at.
    """

    def __init__(self, seed: int) -> None:
        self.position = seed % _WORDS

    def take(self, elements: int) -> int:
        """The position of the bits of so many elements; the stream goes on after them.

        Raises:
            RuntimeError: the call repeats an earlier one, or is one of many, and this stream cannot tell.
        """
        from qnn_models.kernels.numba_loops import GOLDEN, LANES_PER_WORD

        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(
                "Checkpointing repeats a forward pass with the masks of the first time, which a stream of the model's own does "
                f"not, however: this model was seeded by seed_dropout; {_TO_TORCH}."
            )
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._get_dispatch_mode(_PROXY) is not None:
            raise RuntimeError(
                "A graph draws new masks at each run, which it cannot from a stream of the model's own, however: this model was "
                f"seeded by seed_dropout; {_TO_TORCH}."
            )
        if torch._C._are_functorch_transforms_active():
            _check_randomness()
        taken = self.position
        self.position = (taken + GOLDEN * -(-elements // LANES_PER_WORD)) % _WORDS
        return taken


def _check_randomness() -> None:
    from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_all_functorch_interpreters

    for transform in retrieve_all_functorch_interpreters():
        if isinstance(transform, VmapInterpreter) and transform.randomness() != "same":
            raise RuntimeError(
                "Inside vmap a stream of the model's own gives all rows one mask, which is randomness='same', however: "
                f"randomness={transform.randomness()!r}; {_TO_TORCH}."
            )


@dataclass(frozen=True, slots=True)
class Draw:
    """One mask, without its memory.

    Attributes:
        position: where its bits lie in the stream; a tensor where torch must see how it was drawn.
        threshold: elements whose 16 bits are below it, as a signed number, are dropped.
        scale: what the others are multiplied with.
    """

    position: int | Tensor
    threshold: int
    scale: float

    def apply(self, x: Tensor) -> Tensor:
        """The input with dropped elements; of any derivative."""
        if isinstance(self.position, int) and loops_serve(x):
            return _Drop.apply(x, self)
        return x * self.mask(x)

    def mask(self, like: Tensor) -> Tensor:
        """The mask of 0 and the scale, shaped and typed like a tensor on the CPU."""
        if isinstance(self.position, Tensor):
            return self._operations(like)
        mask = np.ones(like.numel(), np.float64 if like.dtype == torch.float64 else np.float32)
        self.write(mask, mask)
        return torch.from_numpy(mask).to(like.dtype).view(like.shape)

    def write(self, source: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
        """Fill `out` with the flat source, masked."""
        from qnn_models.kernels import numba_loops as kernels

        scale = source.dtype.type(self.scale)
        kernels.drop(np.uint64(self.position), np.int16(self.threshold), scale, source, out)

    def _operations(self, like: Tensor) -> Tensor:
        """`numba_loops.drop` in torch operations, which know signed words only."""
        from qnn_models.kernels.numba_loops import GOLDEN, LANES_PER_WORD, MIX

        elements = like.numel()
        words = (
            torch.arange((elements + LANES_PER_WORD - 1) // LANES_PER_WORD, device="cpu") * _signed(GOLDEN)
            + self.position
        )
        words = (words ^ _shifted(words, 30)) * _signed(MIX[0])
        words = (words ^ _shifted(words, 27)) * _signed(MIX[1])
        words = words ^ _shifted(words, 31)
        lanes = torch.stack([((words >> bits & 0xFFFF) ^ 0x8000) - 0x8000 for bits in (0, 16, 32, 48)], -1)
        kept = lanes.flatten()[:elements].reshape(like.shape) >= self.threshold
        return kept.to(like.dtype) * self.scale


def _signed(word: int) -> int:
    return word - _WORDS if word >= _WORDS // 2 else word


def _shifted(words: Tensor, bits: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (words >> bits) & (2 ** (64 - bits) - 1)


class Dropout(nn.Module):
    """Sets each element to 0 with probability p while training, and scales the others by ``1 / (1 - p)``.

    On the CPU, p is rounded to a multiple of 2^-16, and torch's generator or the layer's own stream (`seed_dropout`) gives the
    place of each mask. On other devices torch's fused kernel draws from the device's generator, which `seed_dropout` seeds too.

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
        self.source: MaskSource | None = None

    @property
    def realised_p(self) -> float:
        """The probability of the CPU path: p rounded to a multiple of 2^-16."""
        return round(self.p * _LANES) / _LANES

    @property
    def keep_scale(self) -> float:
        """What survivors are multiplied with: the inverse of the keep probability as realised."""
        return 1 / (1 - self.realised_p)

    def draw(self, elements: int, *, seen: bool = False) -> Draw:
        """A fresh mask of so many elements on the CPU; one that is seen is drawn by an operation that torch knows."""
        threshold = round(self.p * _LANES) - _LANES // 2
        if self.source is not None:
            return Draw(self.source.take(elements), threshold, self.keep_scale)
        position = torch.randint(2**63 - 1, (), device="cpu")
        return Draw(position if seen else int(position), threshold, self.keep_scale)

    def mask(self, like: Tensor) -> Tensor:
        """A fresh mask of 0 and ``1 / keep``, shaped and typed like `like`, for callers that multiply with it."""
        if like.device.type != "cpu":
            return functional.dropout(torch.ones_like(like), self.p, training=True)
        if self.source is not None:
            return self._own_mask(like)
        return self.draw(like.numel(), seen=observed(like)).mask(like)

    @uncompiled(f"A model seeded by seed_dropout draws its masks from a stream that no graph holds; {_TO_TORCH}.")
    def _own_mask(self, like: Tensor) -> Tensor:
        return self.draw(like.numel()).mask(like)

    def forward(self, x: Tensor) -> Tensor:
        """The input with dropped elements; the input itself when not training or when p is 0."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p, training=True)
        return self.draw(x.numel()).apply(x) if loops_serve(x) else x * self.mask(x)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"p={self.p}"


class _Drop(torch.autograd.Function):
    """Dropout that keeps nothing: the backward pass, the same linear map, draws the mask from the same place of the stream."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, draw: Draw) -> Tensor:
        ctx.draw = draw
        return _dropped(x, draw)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.draw.apply(grad) if wants_plain(grad) else _dropped(grad, ctx.draw), None


def _dropped(x: Tensor, draw: Draw) -> Tensor:
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    draw.write(x.view(-1).numpy(), out.view(-1).numpy())
    return out


def seed_dropout(model: nn.Module, seed: int | None) -> None:
    """Give all dropout layers of a model one stream of masks that starts at this seed, or torch's generator again.

    A stream of its own makes a model's masks independent of all that draws from torch's generator, and the other way round.
    It does not go with `torch.utils.checkpoint`, nor with ``vmap`` but for ``randomness="same"``, nor with one whole compiled
    graph: such calls are refused.

    Torch's generator of each CUDA device that holds parameters of the model is seeded too.

    Args:
        model: what holds the layers.
        seed: of the stream; None takes a stream away.
    """
    source = None if seed is None else MaskSource(seed)
    for layer in _layers(model):
        layer.source = source
    if seed is not None:
        for device in _cuda_devices(model):
            torch.cuda.default_generators[device.index].manual_seed(seed)


@contextmanager
def own_streams(model: nn.Module, device: torch.device) -> Iterator[None]:
    """When the block ends, the model draws its masks from where it drew them before, and the device's generator is as it was."""
    before = [(layer, layer.source) for layer in _layers(model)]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for layer, source in before:
                layer.source = source


def dropout_state(model: nn.Module) -> dict[str, list[int]]:
    """Positions of the streams of a model's own that its dropout layers draw from, as JSON-able numbers.

    Returns:
        ``{"sources": one word per stream, in order of first use by `model.modules()`}`` and, for each CUDA
        device that holds parameters, ``"cuda:N"`` with the bytes of its generator's state.

    Raises:
        ValueError: a layer draws from torch's generator, whose state is not the model's.
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
    sources: dict[int, MaskSource] = {}
    for layer in _layers(model):
        if layer.source is None:
            raise ValueError(
                "The state of a model's dropout is that of its own streams, however: a layer draws from torch's generator; call "
                "seed_dropout first, or keep torch.get_rng_state()."
            )
        sources[id(layer.source)] = layer.source
    return list(sources.values())


def _cuda_devices(model: nn.Module) -> list[torch.device]:
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    return sorted(devices, key=lambda device: device.index)
