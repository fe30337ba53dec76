"""Judges of heads' mean z, and of the effect that each has by itself.

Shapes:  prompts -> mean z "n_layers n_heads d_head", effects "n_layers n_heads".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.tiny_models import FROM_THE_LEFT, dataset, tiny_model, uneven_dataset

__test__ = False

N_HEADS, D_HEAD = 4, 6


def tensor_output(function: Any, case: Case) -> Observations:
    """What it returns, without a gradient."""
    out = function(*case.args)
    return {"output": out.detach() if isinstance(out, Tensor) else out}


def calculate_mean_z_cases(generator: torch.Generator) -> list[Case]:
    """Several prompts, and one."""
    axes = {"output": "n_layers n_heads d_head"}
    return [
        Case(label="three prompts", args=(tiny_model(0), dataset(3, 2)), axes=axes),
        Case(label="a single prompt", args=(tiny_model(1), dataset(1, 3, seed=1)), axes=axes),
        Case(label="prompts of uneven length", args=(tiny_model(0), uneven_dataset(4, 1)), axes=axes),
    ]


def mean_z_layer_by_layer(model: Any, data: ICLDataset) -> Tensor:
    """A trace for each layer, and saved tensors."""
    means = []
    for block in model.model.layers:
        with model.trace(data.prompts):
            z = block.self_attn.o_proj.input.save()
        means.append(z.unflatten(-1, (N_HEADS, D_HEAD))[:, -1].mean(0))
    return torch.stack(means)


def mean_z_in_one_list(model: Any, data: ICLDataset) -> Tensor:
    """Everything stacked inside the trace."""
    with model.trace(data.prompts):
        zs = [block.self_attn.o_proj.input[:, -1] for block in model.model.layers]
        stacked: Any = torch.stack(zs, dim=1).mean(dim=0)
        stacked = stacked.save()
    return stacked.reshape(-1, N_HEADS, D_HEAD)


test_calculate_mean_z = exercise(
    reference=function_vectors.calculate_mean_z,
    cases=calculate_mean_z_cases,
    observe=tensor_output,
    accepts=[mean_z_layer_by_layer, mean_z_in_one_list],
    mistakes=[
        *instead_of(
            "out_projection(model, layer).input[:, -1].mean(dim=0)",
            {
                (
                    "out_projection(model, layer).input[range(len(dataset.prompts)), "
                    "[len(model.tokenizer(text).input_ids) - 1 for text in dataset.prompts]].mean(dim=0)"
                ): FROM_THE_LEFT,
                "out_projection(model, layer).input.mean(dim=(0, 1))": (
                    "averages over all positions",
                    "z is read at the last position, where the answer is predicted",
                ),
                "out_projection(model, layer).input[-1].mean(dim=0)": (
                    "averages over the positions of the last prompt",
                    "the first axis is the prompts, the second the positions: the last position is [:, -1]",
                ),
                "out_projection(model, layer).input[:, 0].mean(dim=0)": (
                    "reads the first position",
                    "only the last position can have gathered the task from all pairs",
                ),
                "out_projection(model, layer).input[:, -2].mean(dim=0)": (
                    "reads the position before the last",
                    "only the last position can have gathered the task from all pairs",
                ),
                "out_projection(model, layer).input[0, -1]": (
                    "uses the first prompt instead of the mean",
                    "the mean keeps what all prompts of the task share",
                ),
                "out_projection(model, layer).input[-1, -1]": (
                    "uses the last prompt instead of the mean",
                    "the mean keeps what all prompts of the task share",
                ),
                "out_projection(model, layer).input[0].mean(dim=0)": (
                    "averages over the positions of the first prompt",
                    "the first axis is the prompts, the second the positions: the last position is [:, -1]",
                ),
                "out_projection(model, layer).input[:, -1].max(dim=0).values": (
                    "takes the largest entry over the prompts",
                    "the result is a mean over the prompts",
                ),
                "block(model, layer).input[:, -1].mean(dim=0)": (
                    "reads the layer's input",
                    "z is the pattern times the values: it is the input of the output projection",
                ),
                "block(model, layer).output[:, -1].mean(dim=0)": (
                    "reads the layer's output",
                    "z is the pattern times the values: it is the input of the output projection",
                ),
                "out_projection(model, layer).input[:, -1].sum(dim=0)": (
                    "sums over the prompts instead of averaging",
                    "the result is a mean over the prompts",
                ),
                "out_projection(model, layer).output[:, -1].mean(dim=0)": (
                    "reads the attention's output",
                    "the output projection adds the heads up, so z is read from its input, where the heads are still separate",
                ),
                "block(model, layer).self_attn.q_proj.output[:, -1].mean(dim=0)": (
                    "reads the queries",
                    "z is the pattern times the values: it is the input of the output projection",
                ),
                "block(model, layer).self_attn.v_proj.output[:, -1].mean(0).reshape(-1, lm.d_head).repeat_interleave(2, 0)": (
                    "reads the values",
                    "z is the values of all positions, weighted by the pattern: it is the input of the output projection",
                ),
                "out_projection(model, 0).input[:, -1].mean(dim=0)": (
                    "reads the same layer every time",
                    "each layer has an output projection of its own",
                ),
            },
        ),
        *instead_of(
            "z.reshape(lm.n_heads, lm.d_head)",
            {
                "z.reshape(lm.d_head, lm.n_heads).T": (
                    "splits the heads with their axes swapped",
                    "all entries of head 0 come first, then those of head 1",
                ),
                "z.reshape(lm.n_heads, lm.d_head).T": (
                    "returns d_head before the heads",
                    "the result's axes are n_layers, n_heads, d_head",
                ),
                "z.reshape(lm.d_head, lm.n_heads)": (
                    "splits z into d_head rows",
                    "the result's axes are n_layers, n_heads, d_head",
                ),
                "z.reshape(lm.n_kv_heads, -1)": (
                    "splits z by the heads of keys and values",
                    "each query head has a z of its own: there are n_heads of them",
                ),
                "z": ("does not split z into heads", "the result's axes are n_layers, n_heads, d_head"),
            },
        ),
        *instead_of(
            "torch.stack(means)",
            {
                "torch.stack(means, dim=1)": (
                    "returns the heads before the layers",
                    "the result's axes are n_layers, n_heads, d_head",
                ),
                "means": ("returns a list", "the result is one tensor with the axis n_layers: torch.stack"),
                "torch.stack(means[::-1])": ("reverses the layers", "row i of the result is layer i"),
                "torch.stack(means[:-1])": ("leaves out the last layer", "the result has a row for each layer"),
            },
        ),
    ],
)


def calculate_fn_vectors_and_intervene_cases(generator: torch.Generator) -> list[Case]:
    """All layers, some of them, and a single prompt."""
    axes = {"output": "n_layers n_heads"}
    return [
        Case(label="all layers", args=(tiny_model(0), dataset(3, 2)), axes=axes),
        Case(label="two of three layers", args=(tiny_model(1), dataset(4, 1, seed=1), [1, 2]), axes=axes),
        Case(label="the last layer, one prompt", args=(tiny_model(0), dataset(1, 3, seed=2), [2]), axes=axes),
    ]


def effects_head_by_head(model: Any, data: ICLDataset, layers: Any = None) -> Tensor:
    """A trace for each head, on a copy of z."""
    layers = list(range(len(model.model.layers))) if layers is None else layers
    mean_z = mean_z_layer_by_layer(model, data)
    prompts = data.create_corrupted_dataset().prompts
    ids = torch.tensor([model.tokenizer(c, add_special_tokens=False).input_ids for c in data.completions])
    with model.trace(prompts):
        before = model.lm_head.output[:, -1].save()
    before = before.log_softmax(-1).gather(-1, ids).mean()
    effects = torch.zeros(len(layers), N_HEADS)
    for row, layer in enumerate(layers):
        for head in range(N_HEADS):
            with model.trace(prompts):
                z = model.model.layers[layer].self_attn.o_proj.input.clone()
                z.unflatten(-1, (N_HEADS, D_HEAD))[:, -1, head] = mean_z[layer, head]
                model.model.layers[layer].self_attn.o_proj.input = z
                logits = model.lm_head.output[:, -1].save()
            effects[row, head] = (logits.log_softmax(-1).gather(-1, ids)).mean() - before
    return effects


def effects_as_rows(model: Any, data: ICLDataset, layers: Any = None) -> Tensor:
    """All heads of a layer as one batch, the unchanged prompts first."""
    mean_z = mean_z_in_one_list(model, data)
    prompts = data.create_corrupted_dataset().prompts
    n = len(prompts)
    ids = torch.tensor([model.tokenizer(c, add_special_tokens=False).input_ids[0] for c in data.completions])
    rows = []
    for layer in range(len(model.model.layers)) if layers is None else layers:
        with model.trace(prompts * (N_HEADS + 1)):
            z = model.model.layers[layer].self_attn.o_proj.input
            for head in range(N_HEADS):
                z[n * (head + 1) : n * (head + 2), -1, D_HEAD * head : D_HEAD * (head + 1)] = mean_z[layer, head]
            logprobs = model.lm_head.output[:, -1].log_softmax(dim=-1).save()
        by_head = logprobs.unflatten(0, (N_HEADS + 1, n))[:, torch.arange(n), ids].mean(dim=1)
        rows.append(by_head[1:] - by_head[0])
    return torch.stack(rows)


test_calculate_fn_vectors_and_intervene = exercise(
    reference=function_vectors.calculate_fn_vectors_and_intervene,
    cases=calculate_fn_vectors_and_intervene_cases,
    observe=tensor_output,
    accepts=[effects_head_by_head, effects_as_rows],
    mistakes=[
        *instead_of(
            "corrupted = dataset.create_corrupted_dataset()",
            {
                "corrupted = dataset": (
                    "changes the clean prompts",
                    "clean prompts already show the task, so a head's effect is measured in corrupted prompts",
                ),
                "corrupted = dataset.create_zero_shot_dataset()": (
                    "changes the zero-shot prompts",
                    "the change is made in corrupted prompts: dataset.create_corrupted_dataset()",
                ),
            },
        ),
        *instead_of(
            "calculate_mean_z(model, dataset)",
            {
                "calculate_mean_z(model, corrupted)": (
                    "uses the mean z of the corrupted prompts",
                    "the mean z comes from clean prompts, which show the task",
                ),
                "calculate_mean_z(model, dataset.create_zero_shot_dataset())": (
                    "uses the mean z of the zero-shot prompts",
                    "the mean z comes from clean prompts, which show the task",
                ),
            },
        ),
        *instead_of(
            "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]",
            {
                "z[:, :, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]": (
                    "changes every position",
                    "z is replaced at the last position only, and all other positions stay as they are",
                ),
                "z[:, 0, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]": (
                    "changes the first position",
                    "the mean was taken at the last position",
                ),
                "z[0, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]": (
                    "changes only the first prompt",
                    "the first axis is the prompts: the change is made in each of them",
                ),
                "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] += mean_z[layer, head]": (
                    "adds the mean z to the head's own z",
                    "the head's own z is replaced",
                ),
                "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = 0.0": (
                    "sets the head's z to zero",
                    "the head's z is replaced by its mean z over clean prompts, not by zero",
                ),
                "z = z.clone()\n"
                "                    z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]": (
                    "changes only a copy of z",
                    "a changed copy has an effect only if it is assigned to the projection's input",
                ),
                "z[:, -1, : (head + 1) * lm.d_head] = mean_z[layer, : head + 1].flatten()": (
                    "keeps the changes of the heads before",
                    "each run changes one head only, so that its own effect is measured",
                ),
                "z[:, -1, head :: lm.n_heads] = mean_z[layer, head]": (
                    "changes every n_heads-th entry, not one head's block",
                    "a head's entries stand next to each other",
                ),
                "z[:, -1] = mean_z[layer].flatten()": (
                    "changes all heads at once",
                    "each run changes one head only, so that its own effect is measured",
                ),
                "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head - 1]": (
                    "uses another head's mean z",
                    "each head gets its own mean",
                ),
                "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[-1, head]": (
                    "uses the last layer's mean z for every layer",
                    "each layer has its own mean z",
                ),
                "z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[len(effects), head]": (
                    "uses the row's number as the layer of the mean z",
                    "row i of the result belongs to layers[i], and so do the means",
                ),
            },
        ),
        *instead_of(
            "torch.stack(with_mean) - without",
            {
                "torch.stack(with_mean)": (
                    "does not subtract the log-probability without the change",
                    "an effect is a difference: the log-probability with the change minus that without it",
                ),
                "without - torch.stack(with_mean)": (
                    "flips the sign",
                    "a head that helps has a positive effect",
                ),
                "(torch.stack(with_mean) - without) / without": (
                    "divides by the log-probability without the change",
                    "an effect is a plain difference of log-probabilities",
                ),
            },
        ),
        *instead_of(
            "return torch.stack(effects)",
            {
                "return torch.stack(effects) * len(rows)": (
                    "sums over the prompts instead of averaging",
                    "the effect is a mean over the prompts",
                ),
                "return torch.stack(effects) / len(rows)": (
                    "divides by the number of prompts again",
                    "the mean already divides by the number of prompts",
                ),
                "return torch.stack(effects).abs()": (
                    "loses the sign",
                    "a head that works against the answer has a negative effect",
                ),
                "return torch.stack(effects).T": ("swaps the axes", "a row for each layer, a column for each head"),
            },
        ),
        *instead_of(
            "logits[:, -1].log_softmax(dim=-1)[rows, answers].mean()",
            {
                "logits[:, -1].softmax(dim=-1)[rows, answers].mean()": (
                    "uses probabilities instead of log-probabilities",
                    "the effect is a difference of log-probabilities: log_softmax",
                ),
                "logits[:, -1].softmax(dim=-1)[rows, answers].mean().log()": (
                    "uses the logarithm of the mean probability",
                    "the effect is the mean of log-probabilities, so the logarithm comes before the mean",
                ),
                "logits[:, -1].log_softmax(dim=-1)[0, answers[0]]": (
                    "uses the first prompt only",
                    "the effect is averaged over the prompts",
                ),
                "logits[:, -1][rows, answers].mean()": (
                    "uses logits instead of log-probabilities",
                    "log_softmax over the vocabulary turns logits into log-probabilities, which can be compared between runs",
                ),
                "logits[:, -1].log_softmax(dim=0)[rows, answers].mean()": (
                    "normalises over the prompts",
                    "probabilities sum to one over the vocabulary, the last axis: dim=-1",
                ),
                "logits[:, -1].log_softmax(dim=-1)[:, answers].mean()": (
                    "looks every answer up for every prompt",
                    "each prompt has one right answer: index with [torch.arange(len(answers)), answers]",
                ),
                "logits[:, -1].log_softmax(dim=-1).max(dim=-1).values.mean()": (
                    "uses the likeliest token instead of the right answer",
                    "the result is the log-probability of the right answer, whether or not it is the likeliest",
                ),
            },
        ),
        Mistake(
            "compares with the clean prompts",
            "with tracer.invoke(corrupted.prompts):\n                logprobs",
            "with tracer.invoke(dataset.prompts):\n                logprobs",
            why="both terms are from the corrupted prompts: with the change, minus without it",
        ),
        *instead_of(
            "range(lm.n_layers) if layers is None else layers",
            {
                "range(lm.n_layers)": (
                    "ignores the argument layers",
                    "row i is layer layers[i], and the result has no other rows",
                ),
                "reversed(range(lm.n_layers) if layers is None else layers)": (
                    "reverses the layers",
                    "row i is layer layers[i]",
                ),
                "range(lm.n_layers if layers is None else len(layers))": (
                    "uses the first layers, not those in layers",
                    "row i is layer layers[i]",
                ),
            },
        ),
    ],
)
