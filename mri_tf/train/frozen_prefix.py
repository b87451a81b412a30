"""Cuts a network where its frozen part ends: prefix (images -> features), suffix (-> output).

Both are views on the layers of the whole network; training the suffix trains the network. The cut
is the smallest one: of all sets of tensors between frozen weights and the part that trains, the
one with the fewest numbers, found as a minimal cut of the graph. Upsampling and concatenation of a
frozen network thus fall to the suffix, and a block's shortcut is cut along with its trunk.
"""

from collections import deque

import keras
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

UNCUTTABLE = 2**30  # above any number of features; the flow's integers have 32 bits


def split_at_frozen(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """(prefix, suffix) of a flat functional model with one input; prefix outputs are suffix inputs.

    None where the model begins with layers that train.
    """
    order = _operations(model)
    frozen = _frozen(order)
    cut = _smallest_cut(model, order, frozen)
    if any(tensor is model.inputs[0] for tensor in cut):
        return None
    prefix = keras.Model(model.inputs[0], cut, name=f"{model.name}_prefix")
    return prefix, keras.Model(cut, model.outputs, name=f"{model.name}_suffix")


def _operations(model: keras.Model) -> list:
    """Nodes (one call of a layer) between inputs and outputs, each after those it reads."""
    done, order = set(), []
    stack = [_maker(tensor) for tensor in model.outputs]
    while stack:
        node = stack[-1]
        waiting = [_maker(t) for t in node.input_tensors if id(_maker(t)) not in done]
        if waiting and id(node) not in done:
            stack.extend(waiting)
            continue
        stack.pop()
        if id(node) not in done:
            done.add(id(node))
            order.append(node)
    return order


def _maker(tensor):
    """The node that makes a tensor of a functional model."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _frozen(order: list) -> set[int]:
    """Ids of nodes whose outputs depend on the image alone, whatever is trained."""
    frozen: set[int] = set()
    for node in order:
        before = all(id(_maker(tensor)) in frozen for tensor in node.input_tensors)
        if before and _never_changes(node.operation):
            frozen.add(id(node))
    return frozen


def _never_changes(operation) -> bool:
    """Whether a layer has no weight or state that trains and draws no random number."""
    if not isinstance(operation, keras.layers.Layer):
        return True
    if isinstance(operation, keras.layers.Dropout):
        return operation.rate == 0
    parts = operation._flatten_layers()
    drawing = any(getattr(part, "seed_generator", None) is not None for part in parts)
    return not drawing and not (operation.trainable and operation.weights)


def _smallest_cut(model: keras.Model, order: list, frozen: set[int]) -> list:
    """Tensors to cut, in the order of the graph; of equal cuts the one nearest to the output.

    Each tensor is an edge of the flow network with as many units as it has numbers. Frozen nodes
    with weights belong to the prefix, nodes that train to the suffix.
    """
    tensors = [tensor for node in order for tensor in node.output_tensors]
    place = {id(tensor): number for number, tensor in enumerate(tensors)}
    source, sink = 2 * len(tensors), 2 * len(tensors) + 1
    edges: dict[tuple[int, int], int] = {}
    for node in order:
        for tensor in node.output_tensors:
            into, out = 2 * place[id(tensor)], 2 * place[id(tensor)] + 1
            is_frozen = id(node) in frozen
            edges[into, out] = int(np.prod(tensor.shape[1:])) if is_frozen else UNCUTTABLE
            weights = getattr(node.operation, "weights", ())
            if not node.input_tensors or (is_frozen and weights):
                edges[source, into] = UNCUTTABLE
            if not is_frozen:
                edges[out, sink] = UNCUTTABLE
            for read in node.input_tensors:
                edges[2 * place[id(read)] + 1, into] = UNCUTTABLE
    for tensor in model.outputs:
        edges[2 * place[id(tensor)] + 1, sink] = UNCUTTABLE
    rows, columns = np.array(list(edges), dtype=np.int32).T
    graph = csr_array(
        (np.array(list(edges.values()), dtype=np.int32), (rows, columns)), shape=(sink + 1,) * 2
    )
    left = graph - maximum_flow(graph, source, sink).flow
    suffix = _reaching(left, sink)
    return [
        tensor
        for number, tensor in enumerate(tensors)
        if 2 * number not in suffix and 2 * number + 1 in suffix
    ]


def _reaching(left: csr_array, sink: int) -> set[int]:
    """Nodes from which what is left of the capacities leads to the sink."""
    backwards = left.tocsc()
    found, waiting = {sink}, deque([sink])
    while waiting:
        node = waiting.popleft()
        own = slice(backwards.indptr[node], backwards.indptr[node + 1])
        for before in backwards.indices[own][backwards.data[own] > 0].tolist():
            if before not in found:
                found.add(before)
                waiting.append(before)
    return found
