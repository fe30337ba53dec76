"""Judges of the function vector, and of what it does to a text that the model goes on to write.

Shapes:  prompts and heads -> vector "d_model"; a word and a vector -> two texts.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.heads import D_HEAD, N_HEADS, mean_z_layer_by_layer, tensor_output
from arena_lib.tests.function_vectors.hidden_states import two_results
from arena_lib.tests.function_vectors.tiny_models import dataset, tiny_model

__test__ = False


def calculate_fn_vector_cases(generator: torch.Generator) -> list[Case]:
    """Heads of several layers, two of one layer, a single one."""
    axes = {"output": "d_model"}
    return [
        Case(
            label="heads of three layers",
            args=(tiny_model(0), dataset(3, 2), [(0, 1), (2, 3), (1, 0), (2, 2)]),
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
        total = total + block.self_attn.o_proj(kept[layer].flatten())
    return total


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
        Mistake(
            "computes z from corrupted prompts",
            "calculate_mean_z(model, dataset)",
            "calculate_mean_z(model, dataset.create_corrupted_dataset())",
            why="only clean prompts show the task, so z is computed from them",
        ),
    ],
)


def intervene_with_fn_vector_cases(generator: torch.Generator) -> list[Case]:
    """Two layers, other templates, and the defaults."""

    def vector(scale: float) -> Tensor:
        return torch.randn(24, generator=generator) * scale

    return [
        Case(label="a list without pairs", args=(tiny_model(0), "hot", 0, vector(4.0), "<|endoftext|> {x}:", 3)),
        Case(label="the defaults", args=(tiny_model(1), "big", 1, vector(6.0))),
        Case(label="a single token", args=(tiny_model(1), "wet", 1, vector(8.0), " {x}, {x}:", 1)),
    ]


def both_texts(function: Any, case: Case) -> Observations:
    """The two texts, and whether the vector stayed as it was."""
    arguments = case.fresh().args
    without, with_vector = two_results(function(*arguments), "intervene_with_fn_vector", "(text without, text with)")
    unchanged = torch.equal(arguments[3], case.args[3])
    return {
        "text without the vector": without,
        "text with the vector": with_vector,
        "the vector is unchanged": unchanged,
    }


def in_two_generations(
    model: Any,
    word: str,
    layer: int,
    fn_vector: Tensor,
    prompt_template: str = 'The word "{x}" means',
    n_tokens: int = 5,
) -> tuple[str, str]:
    """Two calls of generate, the change inside a loop over the first step."""
    prompt = prompt_template.replace("{x}", word)
    with model.generate(prompt, max_new_tokens=n_tokens, do_sample=False) as tracer:
        plain = tracer.result.save()
    with model.generate(max_new_tokens=n_tokens, do_sample=False) as tracer:
        with tracer.invoke(prompt):
            for _ in tracer.iter[:1]:
                resid = model.model.layers[layer].output.clone()
                resid[0, -1] += fn_vector
                model.model.layers[layer].output = resid
        with tracer.invoke():
            changed = tracer.result.save()
    both = model.tokenizer.batch_decode(torch.cat([plain, changed]), skip_special_tokens=True)
    return both[0], both[1]


def token_by_token(
    model: Any,
    word: str,
    layer: int,
    fn_vector: Tensor,
    prompt_template: str = 'The word "{x}" means',
    n_tokens: int = 5,
) -> tuple[str, str]:
    """Reads the whole text again for each token; the vector stays at the prompt's last position."""
    texts = []
    for change in (0.0, 1.0):
        ids = model.tokenizer(prompt_template.format(x=word), return_tensors="pt").input_ids
        at = ids.shape[1] - 1
        for _ in range(n_tokens):
            with model.trace(ids):
                model.model.layers[layer].output[:, at] += change * fn_vector
                best = model.lm_head.output[:, -1].argmax(dim=-1).save()
            ids = torch.cat([ids, best[:, None]], dim=1)
        texts.append(model.tokenizer.decode(ids[0], skip_special_tokens=True))
    return texts[0], texts[1]


def at_every_step(
    model: Any,
    word: str,
    layer: int,
    fn_vector: Tensor,
    prompt_template: str = 'The word "{x}" means',
    n_tokens: int = 5,
) -> tuple[str, str]:
    """Adds the vector again for each new token."""
    prompt = prompt_template.format(x=word)
    with model.generate(max_new_tokens=n_tokens, do_sample=False) as tracer:
        with tracer.invoke(prompt):
            plain = tracer.result.save()
        with tracer.invoke(prompt):
            for _ in tracer.iter[:n_tokens]:
                model.model.layers[layer].output[:, -1] += fn_vector
            changed = tracer.result.save()
    texts = [model.tokenizer.decode(ids[0], skip_special_tokens=True) for ids in (plain, changed)]
    return texts[0], texts[1]


test_intervene_with_fn_vector = exercise(
    reference=function_vectors.intervene_with_fn_vector,
    cases=intervene_with_fn_vector_cases,
    observe=both_texts,
    accepts=[in_two_generations, token_by_token],
    equivalent={
        "model.generate(max_new_tokens=n_tokens, do_sample=False) -> model.generate(max_new_tokens=n_tokens)": (
            "greedy is what generate does for a model whose own settings say nothing else"
        ),
        "model.tokenizer.decode(ids[0], skip_special_tokens=True) -> "
        "model.tokenizer.decode(ids[-1], skip_special_tokens=True)": "the batch has one prompt",
    },
    mistakes=[
        Mistake(
            "adds the vector at every step",
            function=at_every_step,
            why="the vector is added once, at the prompt's last position; later tokens read it from there",
        ),
        *instead_of(
            "block(model, layer).output[:, -1] += fn_vector",
            {
                "block(model, layer).output[:, -1] + fn_vector": (
                    "computes the sum but never writes it back",
                    "the sum changes the run only if it is assigned to the module's output",
                ),
                "block(model, layer).output[:] += fn_vector": (
                    "adds the vector at every position",
                    "the vector is added at the prompt's last position only, where the answer begins",
                ),
                "block(model, layer).output[:, 0] += fn_vector": (
                    "adds the vector at the first position",
                    "the answer begins after the last position",
                ),
                "block(model, layer).output[:, -2] += fn_vector": (
                    "adds the vector at the position before the last",
                    "the answer begins after the last position",
                ),
                "block(model, layer).output[:, -1] = fn_vector": (
                    "replaces the state by the vector",
                    "the state there holds which word is asked about, so the vector is added to it",
                ),
                "block(model, layer).input[:, -1] += fn_vector": (
                    "adds the vector to the layer's input",
                    "the vector is added to the layer's output",
                ),
                "block(model, layer + 1).output[:, -1] += fn_vector": (
                    "adds the vector after the next layer",
                    "layers are counted from zero, and layer i is the module at index i",
                ),
                "block(model, layer).output[:, -1] -= fn_vector": (
                    "subtracts the vector",
                    "the vector is added to the state",
                ),
            },
        ),
        *instead_of(
            "max_new_tokens=n_tokens, do_sample=False",
            {
                "max_new_tokens=max(1, n_tokens - 1), do_sample=False": (
                    "writes one token too few",
                    "the model writes n_tokens new tokens",
                ),
                "max_new_tokens=n_tokens + 1, do_sample=False": (
                    "writes one token too many",
                    "the model writes n_tokens new tokens",
                ),
                "max_new_tokens=5, do_sample=False": (
                    "always writes five tokens",
                    "n_tokens says how many tokens are written, and 5 is only its default",
                ),
            },
        ),
        *instead_of(
            "model.tokenizer.decode(ids[0], skip_special_tokens=True)",
            {
                "model.tokenizer.decode(ids[0], skip_special_tokens=False)": (
                    "keeps special tokens",
                    "people read the results, so special tokens are left out: skip_special_tokens=True",
                ),
                "model.tokenizer.decode(ids[0, -n_tokens:], skip_special_tokens=True)": (
                    "returns only the new text, without the prompt",
                    "each result begins with the prompt",
                ),
                "model.tokenizer.decode(ids[0], skip_special_tokens=True).strip()": (
                    "strips the texts",
                    "a text is returned as it is decoded, with the space it begins with",
                ),
            },
        ),
        *instead_of(
            "prompt_template.format(x=word)",
            {
                "f'The word \"{word}\" means'": ("ignores the template", "the word stands where the template has {x}"),
                "prompt_template": ("leaves {x} in the prompt", "the word stands where the template has {x}"),
                "prompt_template + word": (
                    "writes the word after the template",
                    "the word stands where the template has {x}: prompt_template.format(x=word)",
                ),
                "word": ("runs the model on the bare word", "the word stands in the template: format(x=word)"),
            },
        ),
        Mistake(
            "returns the text with the vector first",
            "return texts[0], texts[1]",
            "return texts[1], texts[0]",
            why="the text without the vector comes first",
        ),
    ],
)
