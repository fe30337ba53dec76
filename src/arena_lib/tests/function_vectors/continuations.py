"""Judge of what a function vector does to a text that the model goes on to write.

Shapes:  a word and a vector "d_model" -> two texts.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.tests.function_vectors.hidden_states import two_results
from arena_lib.tests.function_vectors.tiny_models import tiny_model

__test__ = False


def intervene_with_fn_vector_cases(generator: torch.Generator) -> list[Case]:
    """Two layers, other templates, a vector that is far shorter than 1, and the defaults."""

    def vector(scale: float) -> Tensor:
        return torch.randn(24, generator=generator) * scale

    return [
        Case(label="a list without pairs", args=(tiny_model(0), "hot", 0, vector(2.0), "<|endoftext|> {x}:", 7)),
        Case(label="the defaults", args=(tiny_model(3), "big", 1, vector(1.2))),
        Case(label="a short vector", args=(tiny_model(0), "old", 0, vector(0.05), " {x}, {x}:", 7)),
        Case(label="tokens that read the vector later", args=(tiny_model(0), "big", 0, vector(6.0), " {x}:", 6)),
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


def at_the_first_token(
    model: Any,
    word: str,
    layer: int,
    fn_vector: Tensor,
    prompt_template: str = 'The word "{x}" means',
    n_tokens: int = 5,
) -> tuple[str, str]:
    """Reads the whole text again for each token, with the vector only where the first is made."""
    texts = []
    for vector in (torch.zeros_like(fn_vector), fn_vector):
        ids = model.tokenizer(prompt_template.format(x=word), return_tensors="pt").input_ids
        for step in range(n_tokens):
            with model.trace(ids):
                model.model.layers[layer].output[:, -1] += vector if step == 0 else 0 * vector
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
                "block(model, layer - 1).output[:, -1] += fn_vector": (
                    "adds the vector after the layer before",
                    "layers are counted from zero, and layer i is the module at index i",
                ),
                "block(model, layer + 1).output[:, -1] += fn_vector": (
                    "adds the vector after the next layer",
                    "layers are counted from zero, and layer i is the module at index i",
                ),
                "block(model, 0).output[:, -1] += fn_vector": (
                    "always adds the vector after the first layer",
                    "the vector is added after the layer that the argument names",
                ),
                "block(model, -1).output[:, -1] += fn_vector": (
                    "always adds the vector after the last layer",
                    "the vector is added after the layer that the argument names, so that all later layers read it",
                ),
                "block(model, layer).output[:, -1] += torch.nn.functional.normalize(fn_vector, dim=0)": (
                    "scales the vector to length 1",
                    "the vector's length says how much the heads write, so it is added as it is",
                ),
                "block(model, layer).output[:, -1] += 2 * fn_vector": (
                    "adds the vector twice",
                    "the vector is added once, as it is",
                ),
                "block(model, layer).output[:, -1] += fn_vector\n            fn_vector *= 2": (
                    "changes the vector itself",
                    "the vector may be used again, so it must stay unchanged",
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
                "max_new_tokens=n_tokens, do_sample=True": (
                    "draws tokens instead of the likeliest",
                    "both continuations are greedy, so that they differ by the vector alone: do_sample=False",
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
        *instead_of(
            "return texts[0], texts[1]",
            {
                "return texts[1], texts[0]": (
                    "returns the text with the vector first",
                    "the text without the vector comes first",
                ),
                "return texts[1], texts[1]": (
                    "adds the vector in both runs",
                    "the first text comes from a run that nothing changes",
                ),
                "return [texts[0]], [texts[1]]": (
                    "returns lists of texts",
                    "there is one prompt, so each result is one text",
                ),
            },
        ),
        Mistake(
            "adds the vector for the first new token only",
            function=at_the_first_token,
            why="later tokens read the changed state too: generate keeps it, or the prompt is changed again in each run",
        ),
    ],
)
