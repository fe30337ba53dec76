"""Judges of h computed and added in one forward pass, read as answers or as log-probabilities.

Shapes:  prompts that show a task, prompts that don't -> answers, or log-probabilities "batch".
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.hidden_states import (
    ADDITION_MISTAKES,
    answers_without_and_with,
    two_results,
)
from arena_lib.tests.function_vectors.tiny_models import dataset, tiny_model

__test__ = False

IN_ONE_PASS = [
    replace(mistake, raises="OutOfOrderError") if mistake.name == "adds h to the layer's input" else mistake
    for mistake in ADDITION_MISTAKES
]
"""In one trace a layer's input is over when h is there."""

LOGPROBS = ("log-probabilities without h", "log-probabilities with h")


def calculate_h_and_intervene_cases(generator: torch.Generator) -> list[Case]:
    """Different layers, more prompts of one kind or the other, the same number of both."""
    return [
        Case(label="the first layer", args=(tiny_model(2), dataset(5, 2), dataset(4, 0, seed=4), 0)),
        Case(label="the middle layer", args=(tiny_model(3), dataset(2, 3, seed=5), dataset(5, 0, seed=1), 1)),
        Case(label="as many of both", args=(tiny_model(3), dataset(5, 1, seed=6), dataset(5, 0, seed=10), 1)),
    ]


Solution = Callable[..., tuple[Any, Any]]


def mean_output(layer: Any) -> Any:
    """The mean state at the last position, inside a trace."""
    return layer.output[:, -1].mean(dim=0)


def add_to_output(layer: Any, h: Tensor) -> None:
    """Adds h as it should be added, inside a trace."""
    layer.output[:, -1] += h


def in_three_traces(
    result: Callable[[Any, Tensor, Tensor], Any],
    compute_h: Callable[[Any], Any] = mean_output,
    add: Callable[[Any, Tensor], None] = add_to_output,
) -> Solution:
    """A solution in a trace for h and one for each result, which is read off the model, logits and the answers' ids."""

    def solution(model: Any, data: ICLDataset, zero_shot: ICLDataset, layer: int) -> tuple[Any, Any]:
        ids = torch.tensor([model.tokenizer(c, add_special_tokens=False).input_ids[0] for c in zero_shot.completions])
        with torch.no_grad(), model.trace(data.prompts):
            h = compute_h(model.model.layers[layer]).save()
        results = []
        for coefficient in (0.0, 1.0):
            with torch.no_grad(), model.trace(zero_shot.prompts):
                add(model.model.layers[layer], coefficient * h)
                logits = model.lm_head.output[:, -1].save()
            results.append(result(model, logits, ids))
        return results[0], results[1]

    return solution


def add_to_input(layer: Any, h: Tensor) -> None:
    """Adds h before the layer."""
    layer.input[:, -1] += h


def add_at_first_position(layer: Any, h: Tensor) -> None:
    """Adds h where the prompt begins."""
    layer.output[:, 0] += h


def mistakes_in_three_traces(result: Callable[[Any, Tensor, Tensor], Any]) -> list[Mistake]:
    """Mistakes that can't be made in one trace: what they read or change comes before h, or is padding there."""
    return [
        Mistake(
            "adds h to the layer's input",
            function=in_three_traces(result, add=add_to_input),
            why="h is an output of the layer, so it is added to the layer's output",
        ),
        Mistake(
            "reads h from the layer's input and adds it there",
            function=in_three_traces(result, lambda layer: layer.input[:, -1].mean(dim=0), add_to_input),
            why="h is the output of the layer, and is added to the output of the same layer",
        ),
        Mistake(
            "adds h at the first position",
            function=in_three_traces(result, add=add_at_first_position),
            why="the answer is given at the last position",
        ),
    ]


def likeliest_words(model: Any, logits: Tensor, ids: Tensor) -> list[str]:
    """The answers as texts."""
    return [model.tokenizer.decode(token) for token in logits.argmax(dim=-1)]


def in_one_trace_in_order(
    model: Any, data: ICLDataset, zero_shot: ICLDataset, layer: int
) -> tuple[list[str], list[str]]:
    """Three invocations without a barrier: the layer is read in both, in the order in which they are written."""
    with model.trace() as tracer:
        with tracer.invoke(data.prompts):
            h = model.model.layers[layer].output[:, -1].mean(0)
        with tracer.invoke(zero_shot.prompts):
            before = model.lm_head.output[:, -1].argmax(-1).save()
        with tracer.invoke(zero_shot.prompts):
            model.model.layers[layer].output[:, -1] += h
            after = model.lm_head.output[:, -1].argmax(-1).save()
    return [model.tokenizer.decode(t) for t in before], [model.tokenizer.decode(t) for t in after]


H_MISTAKES = [
    *instead_of(
        "with tracer.invoke(dataset.prompts):",
        {
            "with tracer.invoke(zero_shot_dataset.prompts):": (
                "computes h from the zero-shot prompts",
                "only prompts with pairs show the task",
            ),
            "with tracer.invoke(dataset.create_corrupted_dataset().prompts):": (
                "computes h from corrupted prompts",
                "wrong answers don't show the task: h comes from dataset as it is",
            ),
        },
    ),
    *instead_of(
        "h = block(model, layer).output[:, -1].mean(dim=0)",
        {
            "h = block(model, layer).output[:, -1].sum(dim=0)": (
                "sums the states instead of averaging",
                "h is a mean over the prompts",
            ),
            "h = block(model, layer).output[0, -1]": (
                "uses the state of the first prompt as h",
                "the mean keeps what the prompts share",
            ),
            "h = block(model, layer).output[-1, -1]": (
                "uses the state of the last prompt as h",
                "the mean keeps what the prompts share",
            ),
            "h = block(model, layer).output.mean(dim=(0, 1))": (
                "averages over the positions too",
                "h is the state at the last position",
            ),
            "h = block(model, layer).output[:, -2].mean(dim=0)": (
                "reads h at the position before the last",
                "h is the state at the last position, where the answer is about to be given",
            ),
            "h = block(model, layer).input[:, -1].mean(dim=0)": (
                "reads h from the layer's input",
                "h is the layer's output",
            ),
            "h = block(model, layer - 1).output[:, -1].mean(dim=0)": (
                "reads h from the layer before",
                "layers are counted from zero, and layer i is the module at index i",
            ),
        },
    ),
]
NEEDS_NO_BARRIER = {
    "h_is_there = tracer.barrier(2) -> h_is_there = tracer.barrier(1)": (
        "invocations run in the order in which they are written, and h is read in the first"
    )
}

test_calculate_h_and_intervene = exercise(
    reference=function_vectors.calculate_h_and_intervene,
    cases=calculate_h_and_intervene_cases,
    observe=answers_without_and_with,
    accepts=[in_three_traces(likeliest_words), in_one_trace_in_order],
    equivalent=NEEDS_NO_BARRIER,
    mistakes=[
        *H_MISTAKES,
        *IN_ONE_PASS,
        *mistakes_in_three_traces(likeliest_words),
        *instead_of(
            "return decode_each(model.tokenizer, without), decode_each(model.tokenizer, with_h)",
            {
                "return decode_each(model.tokenizer, with_h), decode_each(model.tokenizer, without)": (
                    "returns the answers with h first",
                    "the answers without h come first, then those with h",
                ),
                "return decode_each(model.tokenizer, with_h), decode_each(model.tokenizer, with_h)": (
                    "returns the answers with h in both lists",
                    "the first list comes from a run that nothing changes",
                ),
                "return *([guess.strip() for guess in decode_each(model.tokenizer, ids)] for ids in (without, with_h)),": (
                    "strips the answers' spaces",
                    "an answer is compared with the text of a token, whose space is part of it",
                ),
                "return without.tolist(), with_h.tolist()": (
                    "returns token ids",
                    "answers are texts: decode each token by itself",
                ),
            },
        ),
        Mistake(
            "answers the prompts that show the task",
            "with tracer.invoke(zero_shot_dataset.prompts):\n            without",
            "with tracer.invoke(dataset.prompts):\n            without",
            why="both lists answer the zero-shot prompts, so that they differ by h alone",
        ),
    ],
)


def calculate_h_and_intervene_logprobs_cases(generator: torch.Generator) -> list[Case]:
    """As for the answers; in one case both data sets have the same number of prompts and different answers."""
    axes = dict.fromkeys(LOGPROBS, "batch")
    return [
        Case(label="the first layer", args=(tiny_model(4), dataset(3, 2), dataset(4, 0, seed=4), 0), axes=axes),
        Case(label="as many of both", args=(tiny_model(5), dataset(3, 1, seed=6), dataset(3, 0, seed=7), 1), axes=axes),
        Case(
            label="a single question", args=(tiny_model(4), dataset(2, 3, seed=5), dataset(1, 0, seed=8), 1), axes=axes
        ),
    ]


def logprobs_without_and_with(function: Any, case: Case) -> Observations:
    """Both lists as tensors: what comes later plots them, and takes tensors as well."""
    results = two_results(function(*case.args), "this function", "(log-probabilities without, with h)")
    return dict(zip(LOGPROBS, map(as_tensor, results), strict=True))


def as_tensor(values: Any) -> Any:
    """Numbers, or tensors with one number each, in lists or alone, as a tensor; anything else as it is."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return values


def by_logits(read: Callable[[Tensor, Tensor], Any]) -> Solution:
    """A solution in three traces, which reads its results off the last position's logits and the answers' ids."""
    return in_three_traces(lambda model, logits, ids: read(logits, ids))


def of_answers(values: Tensor, ids: Tensor) -> Tensor:
    """Each row's value at its own answer."""
    return values[torch.arange(len(ids)), ids]


RETURNS = "return without.tolist(), with_h.tolist()"
READS = "model.lm_head.output[:, -1].log_softmax(dim=-1)[rows, answers]"

test_calculate_h_and_intervene_logprobs = exercise(
    reference=function_vectors.calculate_h_and_intervene_logprobs,
    cases=calculate_h_and_intervene_logprobs_cases,
    observe=logprobs_without_and_with,
    accepts=[
        by_logits(lambda logits, ids: (-cross_entropy(logits, ids, reduction="none")).tolist()),
        by_logits(lambda logits, ids: list(of_answers(logits.log_softmax(dim=-1), ids))),
        by_logits(lambda logits, ids: of_answers(logits, ids) - logits.logsumexp(dim=-1)),
    ],
    equivalent=NEEDS_NO_BARRIER,
    mistakes=[
        Mistake(
            "returns logits",
            function=by_logits(of_answers),
            why="log_softmax over the vocabulary turns logits into log-probabilities, which can be compared between runs",
        ),
        Mistake(
            "returns logits with h",
            f"with_h = {READS}",
            f"with_h = {READS.replace('.log_softmax(dim=-1)', '')}",
            why="the logits with h also need log_softmax, which turns them into log-probabilities",
        ),
        Mistake(
            "normalises over the prompts",
            function=by_logits(lambda logits, ids: of_answers(logits.log_softmax(dim=0), ids)),
            why="probabilities sum to one over the vocabulary, the last axis: dim=-1",
        ),
        Mistake(
            "looks every answer up for every prompt",
            function=by_logits(lambda logits, ids: logits.log_softmax(dim=-1)[:, ids]),
            why="each prompt has one right answer: index with [torch.arange(len(answers)), answers]",
        ),
        Mistake(
            "looks the first answer up for every prompt",
            function=by_logits(lambda logits, ids: logits.log_softmax(dim=-1)[:, ids[0]]),
            why="each prompt has one right answer: index with [torch.arange(len(answers)), answers]",
        ),
        Mistake(
            "looks all answers up in the first prompt",
            function=by_logits(lambda logits, ids: logits.log_softmax(dim=-1)[0, ids]),
            why="each prompt has one right answer: index with [torch.arange(len(answers)), answers]",
        ),
        Mistake(
            "uses the likeliest token instead of the right answer",
            function=by_logits(lambda logits, ids: logits.log_softmax(dim=-1).max(dim=-1).values),
            why="the result is the log-probability of the right answer, whether or not it is the likeliest",
        ),
        Mistake(
            "averages over the prompts",
            function=by_logits(lambda logits, ids: of_answers(logits.log_softmax(dim=-1), ids).mean()),
            why="the result has one log-probability for each prompt",
        ),
        Mistake(
            "uses logarithms to base 2",
            function=by_logits(lambda logits, ids: of_answers(logits.softmax(dim=-1).log2(), ids)),
            why="log-probabilities are in nats: the natural logarithm",
        ),
        *instead_of(
            RETURNS,
            {
                "return without.exp().tolist(), with_h.exp().tolist()": (
                    "returns probabilities",
                    "the result is the logarithm of the probabilities",
                ),
                "return without.mean().item(), with_h.mean().item()": (
                    "averages over the prompts",
                    "the result has one log-probability for each prompt",
                ),
                "return (with_h - without).tolist(), without.tolist()": (
                    "returns the difference that h makes first",
                    "both lists have log-probabilities themselves, those without h first",
                ),
                "return (-without).tolist(), (-with_h).tolist()": (
                    "returns the loss",
                    "the loss is the negative log-probability",
                ),
                "return with_h.tolist(), without.tolist()": (
                    "returns those with h first",
                    "the log-probabilities without h come first",
                ),
                "return without.tolist(), (with_h - without).tolist()": (
                    "returns the difference that h makes",
                    "the second list has the log-probabilities with h themselves",
                ),
            },
        ),
        Mistake(
            "looks up the answers of the other data set",
            "answer_tokens(model.tokenizer, zero_shot_dataset.completions)",
            "answer_tokens(model.tokenizer, (dataset.completions * 2)[: len(zero_shot_dataset)])",
            why="the zero-shot prompts ask for zero_shot_dataset.completions",
        ),
        *H_MISTAKES,
        *IN_ONE_PASS,
        *mistakes_in_three_traces(lambda model, logits, ids: of_answers(logits.log_softmax(dim=-1), ids)),
    ],
)
