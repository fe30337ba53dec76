"""Judges of h, the mean hidden state of prompts that show a task, and of h added where nothing is shown.

Shapes:  prompts -> answers and h "d_model"; h added -> answers.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.tiny_models import (
    FROM_THE_LEFT,
    dataset,
    half_right_dataset,
    tiny_model,
    uneven_dataset,
)

__test__ = False


def two_results(out: Any, name: str, what: str) -> tuple[Any, Any]:
    """The two results of a learner's function."""
    if not (isinstance(out, tuple | list) and len(out) == 2):
        raise Unfit(f"{name} must return {what}: got {type(out).__name__}. Return two things.")
    return out[0], out[1]


def as_list(answers: Any) -> Any:
    """Answers in a tuple as a list; anything else as it is."""
    return list(answers) if isinstance(answers, tuple) else answers


def calculate_h_cases(generator: torch.Generator) -> list[Case]:
    """The first layer, one in the middle, the last one, and one prompt only."""
    axes = {"h": "d_model"}
    return [
        Case(label="the first layer", args=(tiny_model(0), dataset(3, 1, seed=4), 0), axes=axes),
        Case(label="the middle layer", args=(tiny_model(0), dataset(3, 2), 1), axes=axes),
        Case(label="no layer named", args=(tiny_model(1), dataset(4, 1, seed=1)), axes=axes),
        Case(label="a single prompt without pairs", args=(tiny_model(0), dataset(1, 0, seed=2), 0), axes=axes),
        Case(label="a layer counted from the end", args=(tiny_model(1), dataset(2, 3, seed=3), -2), axes=axes),
        Case(label="prompts of uneven length", args=(tiny_model(0), uneven_dataset(4, 1), 1), axes=axes),
        Case(label="right and wrong answers", args=(tiny_model(0), half_right_dataset(tiny_model(0)), 1), axes=axes),
    ]


def answers_and_h(function: Any, case: Case) -> Observations:
    """The answers, and h."""
    answers, h = two_results(function(*case.args), "calculate_h", "(answers, h)")
    return {
        "answers": as_list(answers),
        "h": h.detach() if isinstance(h, Tensor) else h,
    }


def calculate_h_by_logits(model: Any, data: ICLDataset, layer: int = -1) -> tuple[list[str], Tensor]:
    """Saves whole tensors, and works on them outside."""
    with model.trace(data.prompts):
        resid = model.model.layers[layer].output.save()
        logits = model.lm_head.output.save()
    return [model.tokenizer.decode(row[-1].argmax()) for row in logits], sum(row[-1] for row in resid) / len(resid)


def calculate_h_by_invokes(model: Any, data: ICLDataset, layer: int = -1) -> tuple[list[str], Tensor]:
    """One invocation for each prompt, and `batch_decode` on a column."""
    states, best = [], []
    with model.trace() as tracer:
        for prompt in data.prompts:
            with tracer.invoke(prompt):
                states.append(model.model.layers[layer].output[0, -1])
                best.append(model.output.logits[0, -1].argmax())
    return model.tokenizer.batch_decode(torch.stack(best)[:, None]), torch.stack(states).mean(0)


READS_H = "block(model, layer).output[:, -1].mean(dim=0)"
ANSWERS = "return decode_each(model.tokenizer, guesses), h"

test_calculate_h = exercise(
    reference=function_vectors.calculate_h,
    cases=calculate_h_cases,
    observe=answers_and_h,
    accepts=[calculate_h_by_logits, calculate_h_by_invokes],
    mistakes=[
        *instead_of(
            READS_H,
            {
                (
                    "block(model, layer).output[range(len(dataset.prompts)), "
                    "[len(model.tokenizer(text).input_ids) - 1 for text in dataset.prompts]].mean(dim=0)"
                ): FROM_THE_LEFT,
                "block(model, layer).output.mean(dim=(0, 1))": (
                    "averages over all positions",
                    "h is the state at the last position, where the answer is about to be given",
                ),
                "block(model, layer).output[-1].mean(dim=0)": (
                    "averages over the positions of the last prompt",
                    "the first axis is the prompts, the second the positions: the last position is [:, -1]",
                ),
                "block(model, layer).output[:, 0].mean(dim=0)": (
                    "reads the first position",
                    "only the last position has read the whole prompt",
                ),
                "block(model, layer).output[:, -2].mean(dim=0)": (
                    "reads the position before the last",
                    "only the last position has read the whole prompt",
                ),
                "block(model, layer).input[:, -1].mean(dim=0)": (
                    "reads the layer's input",
                    "h is the layer's output",
                ),
                "block(model, layer).mlp.output[:, -1].mean(dim=0)": (
                    "reads the MLP's output",
                    "h is the whole residual stream after the layer: the layer's own output",
                ),
                "block(model, layer).output[0, -1]": (
                    "uses one prompt instead of the mean",
                    "the mean over prompts keeps what they share, the task, and loses the single words",
                ),
                "block(model, layer).output[-1, -1]": (
                    "uses the last prompt instead of the mean",
                    "the mean over prompts keeps what they share, the task, and loses the single words",
                ),
                "block(model, layer).self_attn.output[0][:, -1].mean(dim=0)": (
                    "reads the attention's output",
                    "h is the whole residual stream after the layer: the layer's own output",
                ),
                "torch.nn.functional.normalize(block(model, layer).output[:, -1].mean(dim=0), dim=0)": (
                    "scales h to length 1",
                    "h is the mean state as it is, with its own length",
                ),
                "model.model.norm(block(model, layer).output[:, -1]).mean(dim=0)": (
                    "applies the final norm",
                    "h is the layer's output, before the final norm, so that it can be added there",
                ),
                "block(model, layer).output[:, -1].median(dim=0).values": (
                    "takes the median over the prompts",
                    "h is a mean over the prompts",
                ),
                "block(model, 0).output[:, -1].mean(dim=0)": (
                    "always reads the first layer",
                    "h comes from the layer that the argument layer names",
                ),
                "block(model, layer).output[:, -1].sum(dim=0)": (
                    "sums over the prompts instead of averaging",
                    "h is a mean over the prompts",
                ),
                "block(model, layer).output[:, -1]": (
                    "returns a state for each prompt, not their mean",
                    "h is one state, the mean over the prompts",
                ),
                "block(model, layer).output[:, -1].mean(dim=0, keepdim=True)": (
                    "keeps the axis of the prompts",
                    "after the mean there is no axis of prompts: h is one vector",
                ),
                "block(model, -1).output[:, -1].mean(dim=0)": (
                    "always reads the last layer",
                    "h comes from the layer that the argument layer names",
                ),
                "block(model, layer - 1).output[:, -1].mean(dim=0)": (
                    "reads the layer before",
                    "layers are counted from zero, and layer i is the module at index i",
                ),
                "block(model, min(layer + 1, 2)).output[:, -1].mean(dim=0)": (
                    "reads the layer after",
                    "layers are counted from zero, and h is the output of layer `layer`",
                ),
            },
        ),
        *instead_of(
            ANSWERS,
            {
                "return [guess.strip() for guess in decode_each(model.tokenizer, guesses)], h": (
                    "strips the answers' spaces",
                    "an answer is compared with the text of a token, whose space is part of it",
                ),
                "return decode_each(model.tokenizer, guesses)[:1], h": (
                    "returns only the first answer",
                    "there is one answer for each prompt",
                ),
                "return dataset.completions, h": (
                    "returns the right answers",
                    "the result is the model's answers: the likeliest token after each prompt",
                ),
                "return guesses.tolist(), h": ("returns token ids", "answers are texts: decode each token by itself"),
                "return model.tokenizer.decode(guesses), h": (
                    "decodes all answers as one text",
                    "each token is decoded by itself; batch_decode takes a one-dimensional tensor for a single text",
                ),
                "return h, decode_each(model.tokenizer, guesses)": (
                    "returns h first",
                    "the answers come first, then h",
                ),
            },
        ),
        Mistake(
            "reads the answers at the first position",
            "model.lm_head.output[:, -1]",
            "model.lm_head.output[:, 0]",
            why="the answer comes after the last token",
        ),
        Mistake(
            "reads the layer before the last where none is named",
            "layer: int = -1",
            "layer: int = -2",
            why="if no layer is named, the default is the last layer, -1",
        ),
    ],
)


def intervene_with_h_cases(generator: torch.Generator) -> list[Case]:
    """The first and the middle layer, and a single prompt; h is large enough to change answers."""

    def h(scale: float) -> Tensor:
        return torch.randn(24, generator=generator) * scale

    return [
        Case(label="the first layer", args=(tiny_model(0), dataset(5, 0), h(2.0), 0)),
        Case(label="the middle layer", args=(tiny_model(1), dataset(4, 0, seed=1), h(4.0), 1)),
        Case(label="a single prompt", args=(tiny_model(0), dataset(1, 0, seed=2), h(6.0), 1)),
        Case(label="prompts with pairs", args=(tiny_model(1), dataset(3, 2, seed=3), h(3.0), 0)),
        Case(label="a short vector", args=(tiny_model(2), dataset(8, 0, seed=2), h(0.05), 0)),
        Case(label="prompts of uneven length", args=(tiny_model(0), uneven_dataset(4, 1), h(5.0), 1)),
    ]


def answers_without_and_with(function: Any, case: Case) -> Observations:
    """Both lists of answers, and whether h stayed as it was."""
    arguments = case.fresh().args
    without, with_h = two_results(function(*arguments), "this function", "(answers without, answers with h)")
    now, before = ([value for value in args if isinstance(value, Tensor)] for args in (arguments, case.args))
    return {
        "answers without h": as_list(without),
        "answers with h": as_list(with_h),
        "h stays as it was": all(torch.equal(a, b) for a, b in zip(now, before, strict=True)),
    }


def intervene_in_two_traces(model: Any, data: ICLDataset, h: Tensor, layer: int) -> tuple[list[str], list[str]]:
    """Two traces, and a new tensor in place of the old."""
    texts = []
    for coefficient in (0.0, 1.0):
        with model.trace(data.prompts):
            resid = model.model.layers[layer].output.clone()
            resid[:, -1, :] = resid[:, -1, :] + coefficient * h
            model.model.layers[layer].output = resid
            logits = model.lm_head.output.save()
        texts.append([model.tokenizer.decode(token) for token in logits[:, -1].argmax(-1)])
    return texts[0], texts[1]


ADDITION_MISTAKES = instead_of(
    "block(model, layer).output[:, -1] += h",
    {
        "block(model, layer).output[:, -1] + h": (
            "computes the sum but never writes it back",
            "the sum changes the run only if it is assigned to the module's output",
        ),
        "block(model, layer).output[:] += h": (
            "adds h at every position",
            "h is a state of the last position, and is added at the last position only",
        ),
        "block(model, layer).output[:, -2] += h": (
            "adds h at the position before the last",
            "the answer is given at the last position",
        ),
        "block(model, layer).output[0, -1] += h": (
            "adds h only to the first prompt",
            "the first axis is the prompts: h is added to each of them, at [:, -1]",
        ),
        "block(model, layer).output[-1] += h": (
            "adds h at every position of the last prompt",
            "the first axis is the prompts, the second the positions: the last position is [:, -1]",
        ),
        "block(model, layer).output[:, -1] = h": (
            "replaces the state by h",
            "the state there holds which word is asked about, so h is added to it",
        ),
        "block(model, layer).input[:, -1] += h": (
            "adds h to the layer's input",
            "h is an output of the layer, so it is added to the layer's output",
        ),
        "block(model, -1).output[:, -1] += h": (
            "adds h after the last layer",
            "h is added after the layer that the argument names, so that all later layers read it",
        ),
        "block(model, layer - 1).output[:, -1] += h": (
            "adds h after the layer before",
            "layers are counted from zero, and layer i is the module at index i",
        ),
        "block(model, layer + 1).output[:, -1] += h": (
            "adds h after the next layer",
            "layers are counted from zero, and layer i is the module at index i",
        ),
        "block(model, layer).output[-1, -1] += h": (
            "adds h only to the last prompt",
            "the first axis is the prompts: h is added to each of them, at [:, -1]",
        ),
        "block(model, layer).output[:, -1] += torch.nn.functional.normalize(h, dim=0)": (
            "scales h to length 1",
            "h is added as it is: its length says how far the state is moved",
        ),
        "block(model, layer).output[:, -1] += 2 * h": ("adds h twice", "h is added once, as it is"),
        "block(model, layer).output[:, -1] = (block(model, layer).output[:, -1] + h) / 2": (
            "averages h and the state",
            "h is added, and the state stays as large as it was",
        ),
        "block(model, 0).output[:, -1] += h": (
            "always adds h after the first layer",
            "h is added after the layer that the argument names",
        ),
        "for later in range(layer, model.config.num_hidden_layers):\n"
        "                block(model, later).output[:, -1] += h": (
            "adds h after all later layers too",
            "h is added after one layer; what it changes there reaches the later ones by itself",
        ),
        "block(model, layer).output[:, -1] -= h": ("subtracts h", "h is added to the state"),
    },
)

test_intervene_with_h = exercise(
    reference=function_vectors.intervene_with_h,
    cases=intervene_with_h_cases,
    observe=answers_without_and_with,
    accepts=[intervene_in_two_traces],
    mistakes=[
        *ADDITION_MISTAKES,
        *instead_of(
            "block(model, layer).output[:, -1] += h",
            {
                "block(model, layer).output[:, 0] += h": (
                    "adds h at the first position",
                    "the answer is given at the last position",
                ),
                "block(model, layer).output[:, -1] += h\n            h *= 2": (
                    "changes h itself",
                    "h may be used again, so it must stay unchanged",
                ),
            },
        ),
        *instead_of(
            "return decode_each(model.tokenizer, without), decode_each(model.tokenizer, with_h)",
            {
                "return decode_each(model.tokenizer, with_h), decode_each(model.tokenizer, without)": (
                    "returns the answers with h first",
                    "the answers without h come first, then those with h",
                ),
                "return zero_shot_dataset.completions, decode_each(model.tokenizer, with_h)": (
                    "returns the right answers in place of the model's",
                    "both lists are the model's answers, the first without h",
                ),
                "return decode_each(model.tokenizer, with_h), decode_each(model.tokenizer, with_h)": (
                    "returns the answers with h in both lists",
                    "the first list comes from a run that nothing changes",
                ),
                "return *([guess.strip() for guess in decode_each(model.tokenizer, ids)] for ids in (without, with_h)),": (
                    "strips the answers' spaces",
                    "an answer is compared with the text of a token, whose space is part of it",
                ),
                "return model.tokenizer.decode(without), model.tokenizer.decode(with_h)": (
                    "decodes all answers as one text",
                    "each token is decoded by itself; batch_decode takes a one-dimensional tensor for a single text",
                ),
            },
        ),
    ],
)
