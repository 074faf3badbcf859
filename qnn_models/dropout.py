"""Dropout with cheap, honest masks: the distribution of `torch.nn.Dropout`, an own generator, a seventh of the time.

On the CPU, torch draws one double-precision uniform number per element, on one thread. Here one 64-bit word decides
four elements: each takes 16 bits and is dropped when they fall below ``round(p * 65536)``. The drop probability is thus
p rounded to a multiple of 2^-16, and survivors are scaled by the inverse of the keep probability as realised, so the
output's mean is the input exactly.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.graph_break import uncompiled

__all__ = ["Dropout", "dropout_state", "load_dropout_state", "seed_dropout"]

_LANES = 2**16
_LANES_PER_WORD = 4


class MaskSource:
    """The stream of random bits that the dropout layers of one model draw their masks from.

    Args:
        seed: seed of the stream; None takes one from torch's global generator, so that `torch.manual_seed` governs it.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._bits = np.random.SFC64(int(torch.randint(2**63 - 1, ())) if seed is None else seed)

    # NumPy's generator is opaque to torch.compile, which breaks its graph here.
    @uncompiled
    def mask(self, like: Tensor, dropped: int) -> Tensor:
        """Zeros where an element is dropped and ``1 / keep`` elsewhere, in the shape and type of `like`.

        Args:
            like: a tensor on the CPU.
            dropped: how many of the 65536 values of an element's 16 bits drop it.
        """
        mask = torch.empty_like(like, requires_grad=False, memory_format=torch.contiguous_format)
        self.keep(mask, dropped=dropped)
        return mask.mul_(_LANES / (_LANES - dropped))

    def keep(self, out: Tensor, *, dropped: int) -> None:
        """Write 1 where an element is kept and 0 where it is dropped."""
        words = self._bits.random_raw(-(-out.numel() // _LANES_PER_WORD))
        lanes = torch.from_numpy(words.view(np.int16)[: out.numel()]).view(out.shape)
        # Writing the comparison as floats in one pass is 5 times faster than multiplying by a tensor of bools.
        torch.ge(lanes, dropped - _LANES // 2, out=out)

    def state(self) -> list[int]:
        """The stream's position: four 64-bit words."""
        return [int(word) for word in self._bits.state["state"]["state"]]

    def load_state(self, state: list[int]) -> None:
        """Go to a position that `state` returned."""
        current = self._bits.state
        current["state"]["state"] = np.array(state, dtype=np.uint64)
        self._bits.state = current


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

    def keep(self, out: Tensor) -> None:
        """Fill a CPU tensor with 1 where an element is kept and 0 where it is dropped, for callers that fuse the rest."""
        self.source.keep(out, dropped=round(self.p * _LANES))

    @property
    def source(self) -> MaskSource:
        """The stream the masks come from."""
        if self._source is None:
            self._source = MaskSource()
        return self._source

    @source.setter
    def source(self, source: MaskSource) -> None:
        self._source = source

    def mask(self, like: Tensor) -> Tensor:
        """A fresh mask of 0 and ``1 / keep``, shaped and typed like `like`, for callers that fuse the product."""
        if like.device.type != "cpu":
            return functional.dropout(torch.ones_like(like), self.p, training=True)
        return self.source.mask(like, round(self.p * _LANES))

    # NumPy's generator is opaque to torch.compile, which breaks its graph here.
    @uncompiled
    def masks(self, like: Tensor, *, passes: int, chunk_rows: int) -> tuple[Tensor, ...]:
        """Masks of several passes, drawn in the order of an operation that takes all passes of a chunk of rows at once."""
        chunks = [[self.mask(chunk) for _ in range(passes)] for chunk in like.split(chunk_rows)]
        return tuple(torch.cat(parts) for parts in zip(*chunks, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """The input with dropped elements; the input itself when not training or when p is 0."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p, training=True)
        return x * self.mask(x)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"p={self.p}"


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
        ``{"sources": four words per stream, flattened, in order of first use by `model.modules()`}`` and, for each CUDA
        device that holds parameters, ``"cuda:N"`` with the bytes of its generator's state.
    """
    state = {"sources": [word for source in _sources(model) for word in source.state()]}
    for device in _cuda_devices(model):
        state[str(device)] = torch.cuda.get_rng_state(device).tolist()
    return state


def load_dropout_state(model: nn.Module, state: dict[str, list[int]]) -> None:
    """Put the streams back where `dropout_state` found them.

    Raises:
        ValueError: the model shares its streams differently from the one that was saved.
    """
    sources, words = _sources(model), state["sources"]
    if len(words) != 4 * len(sources):
        raise ValueError(
            f"A dropout state holds 4 words per stream and the model has {len(sources)} streams, however: "
            f"{len(words)} words; call seed_dropout on the model first, as it was done before saving."
        )
    for index, source in enumerate(sources):
        source.load_state(words[4 * index : 4 * index + 4])
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
