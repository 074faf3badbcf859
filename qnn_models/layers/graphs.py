"""Rewritings of a lowered graph: the layer as one operation, and two stochastic passes over one input."""

from __future__ import annotations

from typing import cast

import torch
from torch import fx

from qnn_models.layers.batch_norm import norm_repeated
from qnn_models.layers.gate import gated_layer, row_gate
from qnn_models.layers.operations import item

__all__ = ["AFTER", "fuse_layer", "two_passes"]

AFTER = "dropout_after"
"""Name of the dropout on a layer's result."""


def fuse_layer(graph: fx.Graph) -> None:
    """``dropout(π(x) ⊙ row_gate(x) + x)`` at the root, each part but the gate optional, becomes the one operation of `gate`."""
    (x, *_), (output,) = graph.nodes, graph.find_nodes(op="output")
    (result,) = output.args
    node, order, residual, after = result, None, False, None
    if node.op == "call_module" and node.target == AFTER:
        after, node = AFTER, node.args[0]
    if node.target is torch.add and node.args[1] is x:
        residual, node = True, node.args[0]
    if node.target is not torch.mul:
        return
    factor, gate = node.args
    if factor.target == "index_select" and factor.args[0] is x:
        order = factor.args[2]
    elif factor is not x:
        return
    if not isinstance(gate, fx.Node) or gate.target is not item:  # it may be a number
        return
    gate = cast(fx.Node, gate.args[0])
    if gate.target is not row_gate or gate.args[0] is not x:
        return
    with graph.inserting_before(output):
        dropout = None if after is None else graph.get_attr(after)
        layers = graph.call_function(gated_layer, (*gate.args, order, residual, dropout))
        fused = graph.call_function(item, (layers, 0))
    result.replace_all_uses_with(fused)
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)


def two_passes(graph: fx.Graph) -> fx.Graph:
    """The graph with everything from the first dropout on computed twice, and everything before it once."""
    result = fx.Graph()
    copies: dict[fx.Node, tuple[fx.Node, fx.Node]] = {}
    for node in graph.nodes:
        differs = any(first is not second for first, second in map(copies.__getitem__, node.all_input_nodes))
        stochastic = node.op == "call_module" and node.target.startswith("dropout_")
        if node.op == "output":
            (value,) = node.args
            result.output(copies[value])
        elif stochastic or differs:
            copies[node] = (
                result.node_copy(node, lambda n: copies[n][0]),
                result.node_copy(node, lambda n: copies[n][1]),
            )
        elif node.target in (row_gate, gated_layer):
            both = result.node_copy(node, lambda n: copies[n][0])
            both.kwargs = {"passes": 2}
            copies[node] = (both, both)
        elif node.target is item and cast(fx.Node, node.args[0]).target in (row_gate, gated_layer):
            both, _ = copies[cast(fx.Node, node.args[0])]
            copies[node] = (result.call_function(item, (both, 0)), result.call_function(item, (both, 1)))
        elif node.op == "call_module":  # a shared norm sees the same batch in both passes
            shared = result.call_function(norm_repeated, (result.get_attr(node.target), copies[node.args[0]][0]))
            copies[node] = (shared, shared)
        else:
            shared = result.node_copy(node, lambda n: copies[n][0])
            copies[node] = (shared, shared)
    return result
