"""Judge of the function vector.

Shapes:  prompts and heads -> vector "d_model".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.heads import D_HEAD, N_HEADS, mean_z_layer_by_layer, tensor_output
from arena_lib.tests.function_vectors.tiny_models import dataset, tiny_model

__test__ = False


def calculate_fn_vector_cases(generator: torch.Generator) -> list[Case]:
    """Heads of several layers, two of one layer, a single one."""
    axes = {"output": "d_model"}
    return [
        Case(
            label="heads of three layers, maps with biases",
            args=(tiny_model(0, has_biases=True), dataset(3, 2), [(0, 1), (2, 3), (1, 0), (2, 2)]),
            axes=axes,
        ),
        Case(label="two heads of one layer", args=(tiny_model(1), dataset(2, 3, seed=1), [(1, 3), (1, 2)]), axes=axes),
        Case(label="a single head", args=(tiny_model(1), dataset(4, 1, seed=2), [(2, 1)]), axes=axes),
    ]


def vector_by_masking(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Hides the other heads, and lets the projection itself do the sum."""
    mean_z = mean_z_layer_by_layer(model, data)
    kept = torch.zeros_like(mean_z)
    for layer, head in head_list:
        kept[layer, head] = mean_z[layer, head]
    total: Any = 0
    for layer, block in enumerate(model.model.layers):
        total = (
            total + block.self_attn.o_proj(kept[layer].flatten()) - block.self_attn.o_proj(0 * kept[layer].flatten())
        )
    return total


def vector_with_biases(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Hides the other heads, head after head, and adds the projection's bias each time."""
    total: Any = vector_by_masking(model, data, head_list)
    for layer, _ in head_list:
        total = total + bias_of(model, layer)
    return total


def vector_with_a_bias_for_each_layer(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Hides the other heads, layer after layer, and adds the bias of each layer that has a head in the list."""
    total: Any = vector_by_masking(model, data, head_list)
    for layer in {layer for layer, _ in head_list}:
        total = total + bias_of(model, layer)
    return total


def bias_of(model: Any, layer: int) -> Tensor | float:
    """The bias of a layer's output projection, or 0."""
    bias = model.model.layers[layer].self_attn.o_proj._module.bias
    return 0.0 if bias is None else bias.detach()


def vector_by_columns(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """The columns of o_proj that belong to the head."""
    mean_z = mean_z_layer_by_layer(model, data)
    total = torch.zeros(model.config.hidden_size)
    for layer, head in head_list:
        weight = model.model.layers[layer].self_attn.o_proj.weight
        total += weight[:, D_HEAD * head : D_HEAD * (head + 1)] @ mean_z[layer, head]
    return total


def vector_by_rows(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Takes rows of o_proj.weight for the head's part."""
    mean_z = mean_z_layer_by_layer(model, data)
    weights = [block.self_attn.o_proj.weight for block in model.model.layers]
    return sum(mean_z[layer, head] @ weights[layer][D_HEAD * head : D_HEAD * (head + 1)] for layer, head in head_list)


def vector_without_projection(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Leaves z where it stands in the projection's input."""
    mean_z = mean_z_layer_by_layer(model, data)
    total = torch.zeros(N_HEADS, D_HEAD)
    for layer, head in head_list:
        total[head] += mean_z[layer, head]
    return total.flatten()


def vector_of_whole_layers(model: Any, data: ICLDataset, head_list: Any) -> Tensor:
    """Adds what the whole attention of each layer puts out."""
    mean_z = mean_z_layer_by_layer(model, data)
    layers = model.model.layers
    return sum(layers[layer].self_attn.o_proj(mean_z[layer].flatten()) for layer, _ in head_list)


test_calculate_fn_vector = exercise(
    reference=function_vectors.calculate_fn_vector,
    cases=calculate_fn_vector_cases,
    observe=tensor_output,
    accepts=[vector_by_masking, vector_by_columns],
    mistakes=[
        Mistake(
            "forgets W_O",
            function=vector_without_projection,
            why="the head writes z times its output weights W_O into the residual stream",
        ),
        Mistake(
            "uses rows of o_proj instead of columns",
            function=vector_by_rows,
            why="torch stores weights as output by input, so the head's part of the input is a block of columns",
        ),
        Mistake(
            "adds up all heads of the layers",
            function=vector_of_whole_layers,
            why="only the heads of the list belong to the vector",
        ),
        *[
            Mistake(
                "adds the layer's bias to what the heads write",
                function=function,
                why="the bias belongs to the layer, not to a head: use the projection's weights alone, or subtract its output at z = 0",
            )
            for function in (vector_with_biases, vector_with_a_bias_for_each_layer)
        ],
        *instead_of(
            "torch.stack(written).sum(dim=0)",
            {
                "torch.stack(written).mean(dim=0)": (
                    "averages over the heads",
                    "heads add to the residual stream, so the vector is their sum",
                ),
                "torch.stack(written)": (
                    "keeps each head's vector",
                    "heads add to the residual stream, so the vector is their sum",
                ),
                "torch.stack(written).amax(dim=0)": (
                    "takes the largest entry over the heads",
                    "heads add to the residual stream, so the vector is their sum",
                ),
                "written[-1]": ("keeps the last head only", "the vectors of all heads in the list are added up"),
                "written[0]": ("keeps the first head only", "the vectors of all heads in the list are added up"),
                "torch.nn.functional.normalize(torch.stack(written).sum(dim=0), dim=0)": (
                    "scales the vector to length 1",
                    "the vector's length says how much the heads write, so it stays as it is",
                ),
            },
        ),
        *instead_of(
            "mean_z[layer, head] @ lm.W_O(layer)[head]",
            {
                "mean_z[layer, head] @ lm.W_O(layer)[0]": (
                    "uses the first head's output weights for all",
                    "each head has its own part of the output weights",
                ),
                "mean_z[layer, head] @ lm.W_O(layer)[head - 1]": (
                    "uses the output weights of another head",
                    "each head has its own part of the output weights",
                ),
                "mean_z[layer, head] @ lm.W_O(layer)[head // 2]": (
                    "uses the output weights of the head that its keys are shared with",
                    "heads share only keys and values; each head has output weights of its own",
                ),
                "mean_z[layer, head] @ lm.W_O(layer).flatten(0, 1)[head :: lm.n_heads]": (
                    "uses every n_heads-th column, not the head's block",
                    "a head's part of the output weights stands together: head*d_head to (head+1)*d_head",
                ),
                "mean_z[layer, head] @ lm.W_O(0)[head]": (
                    "uses the first layer's output weights for every head",
                    "the list holds (layer, head): W_O comes from that layer",
                ),
                "mean_z[layer, head] @ lm.W_O(lm.n_layers - 1)[head]": (
                    "uses the last layer's output weights for every head",
                    "the list holds (layer, head): W_O comes from that layer",
                ),
                "torch.nn.functional.normalize(mean_z[layer, head] @ lm.W_O(layer)[head], dim=0)": (
                    "scales what each head writes to length 1",
                    "a head that writes more counts for more",
                ),
                "mean_z[layer, head] @ lm.W_V(layer)[head].T": (
                    "uses the weights of the values instead of W_O",
                    "a head writes z times its output weights W_O into the residual stream",
                ),
                "mean_z[layer].mean(dim=0) @ lm.W_O(layer)[head]": (
                    "averages z over the heads of a layer",
                    "each head of the list has its own mean z",
                ),
                "mean_z[0, head] @ lm.W_O(layer)[head]": (
                    "uses the first layer's z for every head",
                    "the list holds (layer, head): z comes from that layer",
                ),
                "torch.nn.functional.normalize(mean_z[layer, head], dim=0) @ lm.W_O(layer)[head]": (
                    "scales each z to length 1",
                    "the length of z says how much the head writes",
                ),
                "mean_z[head % lm.n_layers, layer] @ lm.W_O(head % lm.n_layers)[layer]": (
                    "swaps layer and head",
                    "the list holds (layer, head)",
                ),
            },
        ),
        *instead_of(
            "calculate_mean_z(model, dataset)",
            {
                "calculate_mean_z(model, dataset.create_corrupted_dataset())": (
                    "computes z from corrupted prompts",
                    "only clean prompts show the task, so z is computed from them",
                ),
                "calculate_mean_z(model, dataset.create_zero_shot_dataset())": (
                    "computes z from zero-shot prompts",
                    "only clean prompts show the task, so z is computed from them",
                ),
            },
        ),
        *instead_of(
            "in lm.check_heads(head_list)",
            {
                "in {layer: (layer, head) for layer, head in head_list}.values()": (
                    "keeps one head of each layer",
                    "several heads of the list may be of one layer, and all are added up",
                ),
                "in [(layer, head) for layer in range(lm.n_layers) for head in range(lm.n_heads)]": (
                    "adds up all heads of the model",
                    "only the heads of the list belong to the vector",
                ),
            },
        ),
    ],
)
