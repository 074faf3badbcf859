"""Loops for the CPU that torch could only write as chains of operations, each of them a walk through memory.

They are compiled by numba when they are first called, for the types they are called with, and kept on disk from then on (beside
this file, in the user's cache, or in ``NUMBA_CACHE_DIR``): no C++ compiler is needed. All take NumPy arrays and write what they
compute into arrays that the caller gives.

Random numbers are those of SplitMix64 (steele2014fast): word i of a stream is a hash of ``position + i · golden``, so any part of
a stream can be had at any time, in any order. Each word decides four elements, 16 bits each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qnn_models.kernels.numba_compiler import Floats, MaybeFloats, loop

__all__ = ["GOLDEN", "LANES_PER_WORD", "MIX", "drop", "gated_gradient", "gated_rows", "score_rows"]

GOLDEN = 0x9E3779B97F4A7C15
"""What lies between two words of a stream: 2^64 divided by the golden ratio."""

LANES_PER_WORD = 4
"""Elements that a word decides."""

MIX = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Factors of the hash."""

_BLOCK = 1024
_STEP = np.uint64(GOLDEN)
_MIX = np.uint64(MIX[0]), np.uint64(MIX[1])
_SHIFT = np.uint64(30), np.uint64(27), np.uint64(31)

Positions = NDArray[np.uint64] | None


@loop()
def _fill(position: np.uint64, words: NDArray[np.uint64]) -> None:
    """Words of the stream from a position on."""
    for i in range(words.size):
        x = position + np.uint64(i) * _STEP
        x = (x ^ (x >> _SHIFT[0])) * _MIX[0]
        x = (x ^ (x >> _SHIFT[1])) * _MIX[1]
        words[i] = x ^ (x >> _SHIFT[2])


@loop()
def drop(position: np.uint64, threshold: np.int16, scale: float, x: Floats, out: Floats) -> None:
    """``out = scale · x`` where an element is kept, and 0 where the bits of its lane fall below the threshold.

    Args:
        position: of the stream, as np.uint64; element e has lane e from there on.
        threshold: in -32768..32767, as np.int16.
        scale: of the type of the arrays.
        x: shape (elements,), may be `out`.
        out: shape (elements,).
    """
    words = np.empty(_BLOCK, np.uint64)
    lanes = words.view(np.int16)
    for start in range(0, x.size, lanes.size):
        source, target = x[start : start + lanes.size], out[start : start + lanes.size]
        _fill(position + np.uint64(start // LANES_PER_WORD) * _STEP, words)
        for k in range(source.size):
            target[k] = source[k] * scale if lanes[k] >= threshold else x.dtype.type(0)


@loop()
def gated_rows(
    z: Floats,
    bias: Floats,
    first: int,
    positions: Positions,
    threshold: np.int16,
    scale: float,
    gates: Floats,
    active: NDArray[np.uint8] | None,
    x: MaybeFloats,
    order: NDArray[np.int64] | None,
    residual: bool,
    after_positions: Positions,
    after_threshold: np.int16,
    after_scale: float,
    out: MaybeFloats,
) -> None:
    """``g = drop(Σ_m relu(z_m + b_m))`` and ``y = drop(π(x) ⊙ g + x)`` for some rows of a batch and each pass.

    Args:
        z: products of the weights, shape (n, M * width); the bias is added to them.
        bias: shape (M * width,).
        first: number of the first of these rows in the batch.
        positions: dropout of each summand of the gate: the place in the stream of each pass's bits, shape (passes,), or None.
        threshold: the signed number below which an element's bits drop it, as np.int16.
        scale: of what is kept, of the type of z.
        gates: written in the rows ``first .. first + n``, shape (passes, batch, width); of shape (passes, 1, width) where they
            are not needed afterwards.
        active: written in these rows where given, shape (batch, bytes, width): bit ``m · passes + pass`` of an element's bytes
            says whether row m passed ReLU and dropout.
        x: shape (batch, width), or None for the gate alone.
        order: π as positions of x, or None for the identity.
        residual: whether x is added.
        after_positions: dropout of y.
        after_threshold: of it.
        after_scale: of it.
        out: y, written in these rows, shape (passes, batch, width); or None for the gate alone.
    """
    (count, channels), (passes, kept_rows, width) = z.shape, gates.shape
    zero = z.dtype.type(0)
    words = np.empty(channels // LANES_PER_WORD + 2, np.uint64)
    for b in range(count):
        values = z[b]
        for k in range(channels):
            values[k] += bias[k]
        if active is not None:
            active[first + b] = 0
        for p in range(passes):
            gate = gates[p, first + b if kept_rows > 1 else 0]
            gate[:] = zero
            lanes = words.view(np.int16)
            if positions is not None:
                lanes = _lanes(positions[p], (first + b) * channels, words)
            for m in range(channels // width):
                row = values[m * width : (m + 1) * width]
                kept = lanes[m * width : (m + 1) * width]
                if positions is None:
                    for k in range(width):
                        gate[k] += zero if row[k] <= zero else row[k]  # lets NaN through
                else:
                    for k in range(width):
                        gate[k] += zero if row[k] <= zero or kept[k] < threshold else row[k]
                if active is not None:
                    bit = m * passes + p
                    flags, shift = active[first + b, bit // 8], np.uint8(bit % 8)
                    if positions is None:
                        for k in range(width):
                            flags[k] |= np.uint8(row[k] > zero) << shift
                    else:
                        for k in range(width):
                            flags[k] |= np.uint8((row[k] > zero) & (kept[k] >= threshold)) << shift
            if positions is not None:
                for k in range(width):
                    gate[k] *= scale
            if out is not None:
                _gated_row(x[first + b], gate, order, residual, out[p, first + b])
                _drop_row(
                    after_positions, after_threshold, after_scale, p, (first + b) * width, words, out[p, first + b]
                )


@loop()
def _lanes(position: np.uint64, element: int, words: NDArray[np.uint64]) -> NDArray[np.int16]:
    """The bits of a span's elements from one on."""
    _fill(position + np.uint64(element // LANES_PER_WORD) * _STEP, words)
    return words.view(np.int16)[element % LANES_PER_WORD :]


@loop()
def _gated_row(x: Floats, gate: Floats, order: NDArray[np.int64] | None, residual: bool, y: Floats) -> None:
    """``y = π(x) ⊙ g``, and x added."""
    if order is None:
        for k in range(y.size):
            y[k] = x[k] * gate[k]
    else:
        for k in range(y.size):
            y[k] = x[order[k]] * gate[k]
    if residual:
        for k in range(y.size):
            y[k] += x[k]


@loop()
def _drop_row(
    positions: Positions, threshold: np.int16, scale: float, p: int, element: int, words: NDArray[np.uint64], y: Floats
) -> None:
    """Dropout of the elements from one on, in place; also its own gradient."""
    if positions is not None:
        lanes = _lanes(positions[p], element, words[: y.size // LANES_PER_WORD + 2])
        for k in range(y.size):
            y[k] = y[k] * scale if lanes[k] >= threshold else y.dtype.type(0)


@loop()
def gated_gradient(
    grads: tuple[Floats, ...],
    active: NDArray[np.uint8],
    first: int,
    scale: float,
    grad_z: Floats,
    grad_bias: Floats,
    gates: MaybeFloats,
    x: MaybeFloats,
    order: NDArray[np.int64] | None,
    residual: bool,
    after_positions: Positions,
    after_threshold: np.int16,
    after_scale: float,
    grad_x: MaybeFloats,
) -> None:
    """Gradient of `gated_rows`, whose arguments it has.

    Args:
        grads: of y for each pass, or of the gates where there is no x; shape (batch, width).
        active: as written there.
        first: as there.
        scale: as there.
        grad_z: written, shape (n, M * width).
        grad_bias: the sum of `grad_z` over the rows is added, shape (M * width,).
        gates: as written there.
        x: as there.
        order: as there.
        residual: as there.
        after_positions: as there.
        after_threshold: as there.
        after_scale: as there.
        grad_x: written in the rows ``first .. first + n``: the gradient of x but for its part through the gates.
    """
    (count, channels), passes, width = grad_z.shape, len(grads), active.shape[2]
    zero = grad_z.dtype.type(0)
    of_gates = np.empty((passes, width), grad_z.dtype)
    words = np.empty(width // LANES_PER_WORD + 2, np.uint64)
    for b in range(count):
        for p in range(passes):
            of_gate, incoming = of_gates[p], grads[p][first + b]
            if grad_x is None:
                for k in range(width):
                    of_gate[k] = incoming[k] * scale
            else:
                of_gate[:] = incoming
                _drop_row(after_positions, after_threshold, after_scale, p, (first + b) * width, words, of_gate)
                of_x, gate, source = grad_x[first + b], gates[p, first + b], x[first + b]
                if p == 0:
                    of_x[:] = zero
                if residual:
                    for k in range(width):
                        of_x[k] += of_gate[k]
                if order is None:
                    for k in range(width):
                        of_x[k] += of_gate[k] * gate[k]
                        of_gate[k] *= source[k] * scale
                else:
                    for k in range(width):
                        of_x[order[k]] += of_gate[k] * gate[k]
                        of_gate[k] *= source[order[k]] * scale
        for m in range(channels // width):
            target, total = grad_z[b, m * width : (m + 1) * width], grad_bias[m * width : (m + 1) * width]
            for p in range(passes):
                bit = m * passes + p
                flags, mask, of_gate = active[first + b, bit // 8], np.uint8(1) << np.uint8(bit % 8), of_gates[p]
                if p == 0:
                    for k in range(width):
                        target[k] = of_gate[k] if flags[k] & mask else zero
                else:
                    for k in range(width):
                        target[k] += of_gate[k] if flags[k] & mask else zero
            for k in range(width):
                total[k] += target[k]


@loop(fastmath={"reassoc", "contract"})
def score_rows(
    x: Floats,
    weight: Floats,
    bias: Floats,
    order: NDArray[np.int64] | None,
    rectified: bool,
    residual: bool,
    head: Floats,
    out: Floats,
) -> None:
    """Logits of some rows without a matrix product: for few of them its call costs more than its work.

    Args:
        x: embedded fields, shape (batch, dim); overwritten.
        weight: of all layers, shape (L, M * dim, dim).
        bias: shape (L, M * dim).
        order: π as positions of x, or None.
        rectified: whether the gates have their ReLU.
        residual: whether each layer adds its input.
        head: weight of the head and, last, its bias, shape (dim + 1,).
        out: written, shape (batch,).
    """
    layers, channels, dim = weight.shape
    zero = x.dtype.type(0)
    gate = np.empty(dim, x.dtype)
    y = np.empty(dim, x.dtype)
    for b in range(x.shape[0]):
        row = x[b]
        for layer in range(layers):
            gate[:] = zero
            for c in range(channels):
                values, total = weight[layer, c], zero
                for k in range(dim):
                    total += values[k] * row[k]
                total += bias[layer, c]
                gate[c % dim] += zero if rectified and total <= zero else total
            _gated_row(row, gate, order, residual, y)
            row[:] = y
        total = head[dim]
        for k in range(dim):
            total += head[k] * row[k]
        out[b] = total
