"""QNN-α for serving: BatchNorm folded, dropout gone, weights in float32, bfloat16 or int8, batches cut to fit the cache.

On a CPU the compiled loops of `kernels.numba_loops` do all but the matrix products; a few rows of a small model they score whole,
as a dozen calls of torch would take longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_models.kernels.dispatch import loops_serve, loops_serve_ids
from qnn_models.layers.batch_norm import fold_norm, running_moments
from qnn_models.layers.embedding import FieldEmbedding, looked_up
from qnn_models.layers.gate import finish_rows
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import QNNAlphaNetwork
from qnn_theory.grammar.expr import Activation, HeadMajor, RowSum, Slice, Sum, walk

WeightType: TypeAlias = Literal["float32", "bfloat16", "int8"]

# The projections of one chunk: 256 rows of Criteo's 3 120 channels are 3 MiB, which stays in the cache.
_CHUNK_ELEMENTS = 1 << 20

# Multiplications, embedding aside, up to which a batch is scored by one loop, in which one core does a few a nanosecond.
_LEAN_PRODUCTS = 1 << 20


class ServedQNNAlpha(nn.Module):
    """A trained QNN-α as straight-line inference code; made by `for_inference`.

    **Shape:** ids ``(batch, columns)`` -> logits ``(batch,)``.
    """

    stacked: Tensor | None
    biases: Tensor | None
    head_row: Tensor

    def __init__(self, embedding: FieldEmbedding, gates: list[ServedGate], head: nn.Linear) -> None:
        super().__init__()
        self.embedding = embedding
        self.gates = nn.ModuleList(gates)
        self.head = head
        self.lean_rows = 0
        if gates[0].weights == "float32":
            self.lean_rows = _LEAN_PRODUCTS // sum(gate.weight.numel() for gate in gates)
        _gather(self)
        self.register_load_state_dict_post_hook(_gather)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits ``(batch,)``.

        Raises:
            IndexError: an id that the table does not have.
            ValueError: ids with another number of columns.
        """
        # In this order: in a compiled program the batch is free in size.
        served = self.stacked is not None and loops_serve(self.stacked) and loops_serve_ids(ids)
        if served and ids.shape[0] <= self.lean_rows:
            return self._score_rows(ids)
        return self.score(self.embedding(ids))

    def _score_rows(self, ids: Tensor) -> Tensor:
        from qnn_models.kernels import numba_loops as kernels

        assert self.stacked is not None
        assert self.biases is not None
        embedding, gate = self.embedding, cast(ServedGate, self.gates[0])
        x = looked_up(embedding.weight, ids.contiguous(), embedding.columns, embedding.starts)
        out = x.new_empty(x.shape[0])
        kernels.score_rows(
            x.flatten(1).numpy(),
            self.stacked.numpy(),
            self.biases.numpy(),
            None if gate.order is None else gate.order.numpy(),
            gate.rectified,
            gate.residual,
            self.head_row.numpy(),
            out.numpy(),
        )
        return out

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)`` from embedded fields ``(batch, fields, embedding_dim)``."""
        x = embedded.flatten(1)
        for gate in self.gates:
            x = gate(x)
        return self.head(x).squeeze(-1)


def _gather(served: ServedQNNAlpha, _: object = None) -> None:
    """Copy the weights of all layers into the few arrays that the one loop takes; again after `load_state_dict`."""
    gates, head = [cast(ServedGate, gate) for gate in served.gates], served.head
    lean = served.lean_rows > 0
    with torch.no_grad():
        served.register_buffer("stacked", torch.stack([g.weight for g in gates]) if lean else None, persistent=False)
        served.register_buffer("biases", torch.stack([g.bias for g in gates]) if lean else None, persistent=False)
        served.register_buffer("head_row", torch.cat([head.weight[0], head.bias]), persistent=False)


class ServedGate(nn.Module):
    """One layer ``π(x) ⊙ Σ_m act(W_m x + b_m) + x`` with folded weights.

    Args:
        weight: shape ``(rows * width, dim)``, BatchNorm folded in.
        bias: shape ``(rows * width,)``.
        rows: number of rows M.
        order: positions of the factor's coordinates (released head layout), or None.
        weights: how the weight is stored.
        rectified: whether the gate has its ReLU.
        residual: whether the input is added.
    """

    weight: Tensor
    bias: Tensor
    order: Tensor | None
    scale: Tensor | None
    unit: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        *,
        rows: int,
        order: Tensor | None,
        weights: WeightType,
        rectified: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        # Widths for which torch's int8 kernel is right in every release that we tested; narrower ones make it misread.
        self.kernel_fits = weight.shape[1] >= 32 and weight.shape[1] % 16 == 0 and weight.shape[0] % 16 == 0
        self.rows, self.weights, self.rectified, self.residual = rows, weights, rectified, residual
        scale = None
        if weights == "bfloat16":
            weight = weight.bfloat16()
        elif weights == "int8":  # symmetric, one scale an output channel
            scale = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
            weight = (weight / scale.unsqueeze(1)).round().to(torch.int8)
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)
        self.register_buffer("scale", scale)
        self.register_buffer("order", order)
        # The kernel rounds scales to bfloat16; ones pass through it unharmed and the true scales are applied after it.
        self.register_buffer("unit", None if scale is None else torch.ones_like(scale, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, dim) -> (batch, dim)``."""
        project = self._projection(x.shape[0])
        learning = x.requires_grad and torch.is_grad_enabled()
        if learning or not self.rectified or not loops_serve(x, self.bias):
            z = (project(x) + self.bias).unflatten(1, (self.rows, -1))
            gate = (z.relu() if self.rectified else z).sum(1)
            product = (x if self.order is None else x.index_select(1, self.order)) * gate
            return product + x if self.residual else product
        x, out = x.contiguous(), torch.empty_like(x)
        step = max(1, _CHUNK_ELEMENTS // self.weight.shape[0])
        for start in range(0, x.shape[0], step):
            part, target = x[start : start + step], out[start : start + step]
            finish_rows(project(part), self.bias, self.rows, part, self.order, self.residual, out=target)
        return out

    def _projection(self, batch: int) -> Callable[[Tensor], Tensor]:
        """Products of some of a batch's rows with the weights, without the bias: ``(n, dim) -> (n, rows * width)``."""
        scale, weight = self.scale, self.weight
        if self.weights == "float32":
            return lambda x: F.linear(x, weight)
        if scale is None:
            return lambda x: F.linear(x.bfloat16(), weight).float()
        if self.kernel_fits and weight.device.type == "cpu" and not torch.compiler.is_compiling() and batch <= 32:
            # Reads a byte a weight; for larger batches the products dominate and float32 is the faster way.
            packed = torch.ops.aten._weight_int8pack_mm
            return lambda x: packed(x.bfloat16(), weight, self.unit).float().mul_(scale)
        dense = weight.float().mul_(scale.unsqueeze(1))
        return lambda x: F.linear(x, dense)


def for_inference(model: QNNAlphaNetwork, *, weights: WeightType = "float32") -> ServedQNNAlpha:
    """A copy of a trained QNN-α that only serves: same logits in float32, up to rounding.

    Args:
        model: the trained network; it is not changed.
        weights: ``float32``, ``bfloat16`` (half the memory) or ``int8`` (a quarter; symmetric per output channel). The
            embedding and the head stay in float32.

    Raises:
        ValueError: an unknown weight type, or a gate with another activation than ReLU.

    Example:
        >>> served = for_inference(model, weights="int8")  # doctest: +SKIP
        >>> probability = served(ids).sigmoid()            # doctest: +SKIP
    """
    if weights not in get_args(WeightType):
        raise ValueError(f"weights is one of {', '.join(get_args(WeightType))}, however: {weights!r}.")
    with torch.no_grad():
        embedding = FieldEmbedding(model.embedding, dim=model.embedding.dim)
        embedding.weight.copy_(model.embedding.weight)
        head = nn.Linear(model.core.head.in_features, 1)
        head.load_state_dict(model.core.head.state_dict())
        gates = [_serve(cast(QuadraticLayer, layer), weights) for layer in model.core.stack.layers]
    served = ServedQNNAlpha(embedding, gates, head).eval()
    return served.requires_grad_(False).to(model.embedding.weight.device)


def _serve(layer: QuadraticLayer, weights: WeightType) -> ServedGate:
    nodes = list(walk(layer.format.expr))
    kinds = {node.kind for node in nodes if isinstance(node, Activation)}
    if kinds - {"relu"}:
        raise ValueError(f"Serving code exists for gates with ReLU or none, however: {', '.join(sorted(kinds))}.")
    heads = 1 + max((node.index for node in nodes if isinstance(node, Slice)), default=0)
    rows = next(node.rows for node in nodes if isinstance(node, RowSum))
    suffixes = [""] if heads == 1 else [f"_{h + 1}" for h in range(heads)]
    # Row-major: row m holds the blocks of all heads.
    weight = torch.cat([layer.get_parameter(f"W{suffix}").detach() for suffix in suffixes], dim=1).flatten(0, 1)
    bias = torch.cat([layer.get_parameter(f"b{suffix}").detach() for suffix in suffixes], dim=1).flatten()
    norm = getattr(layer, "norm_0", None)
    if norm is not None:
        weight, bias = fold_norm(norm, weight, bias, *running_moments(norm))
    order = next((b for name, b in layer.named_buffers() if name.startswith("head_major")), None)
    return ServedGate(
        weight,
        bias,
        rows=rows,
        order=None if order is None or any(isinstance(n, HeadMajor) and n.heads == 1 for n in nodes) else order,
        weights=weights,
        rectified=bool(kinds),
        residual=isinstance(layer.format.expr, Sum),
    )
