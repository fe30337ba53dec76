"""Judges of h: the mean hidden state of prompts that show a task, and what it does where nothing is shown.

Shapes:  prompts -> answers and h "d_model"; h added -> answers, or log-probabilities.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import function_vectors
from arena_lib.interp.steering.icl import ICLDataset
from arena_lib.tests.function_vectors.tiny_models import dataset, tiny_model

__test__ = False


def two_results(out: Any, name: str, what: str) -> tuple[Any, Any]:
    """The two results of a learner's function."""
    if not (isinstance(out, tuple | list) and len(out) == 2):
        raise Unfit(f"{name} must return {what}: got {type(out).__name__}. Return two things.")
    return out[0], out[1]


def answers_of(answers: Any, n: int) -> list[str]:
    """A list of answers, one a prompt."""
    if not (isinstance(answers, list | tuple) and len(answers) == n and all(isinstance(a, str) for a in answers)):
        said = f"{len(answers)} entries" if isinstance(answers, list | tuple) else type(answers).__name__
        raise Unfit(
            f"answers must be a list of {n} texts, one for each prompt: got {said}. "
            "Decode each token by itself; batch_decode takes a one-dimensional tensor for a single text."
        )
    return list(answers)


def calculate_h_cases(generator: torch.Generator) -> list[Case]:
    """A layer in the middle, the last one, and one prompt only."""
    axes = {"h": "d_model"}
    return [
        Case(label="the middle layer", args=(tiny_model(0), dataset(3, 2), 1), axes=axes),
        Case(label="no layer named", args=(tiny_model(1), dataset(4, 1, seed=1)), axes=axes),
        Case(label="a single prompt without pairs", args=(tiny_model(0), dataset(1, 0, seed=2), 0), axes=axes),
        Case(label="a layer counted from the end", args=(tiny_model(1), dataset(2, 3, seed=3), -2), axes=axes),
    ]


def answers_and_h(function: Any, case: Case) -> Observations:
    """The answers, and h."""
    answers, h = two_results(function(*case.args), "calculate_h", "(answers, h)")
    return {
        "answers": answers_of(answers, len(case.args[1])),
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

test_calculate_h = exercise(
    reference=function_vectors.calculate_h,
    cases=calculate_h_cases,
    observe=answers_and_h,
    accepts=[calculate_h_by_logits, calculate_h_by_invokes],
    mistakes=[
        Mistake(
            "averages over all positions",
            READS_H,
            "block(model, layer).output.mean(dim=(0, 1))",
            why="h is the state at the last position, where the answer is about to be given",
        ),
        Mistake(
            "reads the first position",
            READS_H,
            "block(model, layer).output[:, 0].mean(dim=0)",
            why="only the last position has read the whole prompt",
        ),
        Mistake(
            "reads what enters the layer", READS_H, READS_H.replace("output", "input"), why="h is the layer's output"
        ),
        Mistake(
            "takes one prompt in place of the mean",
            READS_H,
            "block(model, layer).output[0, -1]",
            why="the mean over prompts keeps what they share, the task, and loses the single words",
        ),
        Mistake("adds up in place of averaging", ".mean(dim=0)", ".sum(dim=0)", why="h is a mean over the prompts"),
        Mistake(
            "always reads the last layer",
            "block(model, layer)",
            "block(model, -1)",
            why="layer says which",
        ),
        Mistake(
            "reads the layer before",
            "block(model, layer)",
            "block(model, layer - 1)",
            why="layers are counted from zero",
        ),
        Mistake(
            "answers from the first position",
            "model.lm_head.output[:, -1]",
            "model.lm_head.output[:, 0]",
            why="the answer stands behind the last token",
        ),
        Mistake(
            "reads the layer before the last where none is named",
            "layer: int = -1",
            "layer: int = -2",
            why="the default is the last layer",
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
    ]


def answers_without_and_with(function: Any, case: Case) -> Observations:
    """Both lists of answers, and whether h stayed as it was."""
    arguments = case.fresh().args
    without, with_h = two_results(function(*arguments), "this function", "(answers without, answers with h)")
    n = len(next(value for value in reversed(arguments) if isinstance(value, ICLDataset)))
    seen = {"answers without h": answers_of(without, n), "answers with h": answers_of(with_h, n)}
    given = [value for value in arguments if isinstance(value, Tensor)]
    before = [value for value in case.args if isinstance(value, Tensor)]
    return seen | {"h is unchanged": all(torch.equal(a, b) for a, b in zip(given, before, strict=True))}


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


ADDS_H = "block(model, layer).output[:, -1] += h"
ADDITION_MISTAKES = [
    Mistake(
        "adds h at every position",
        ADDS_H,
        "block(model, layer).output[:] += h",
        why="h is a state of the last position, and goes where such a state is",
    ),
    Mistake(
        "adds h at the first position",
        ADDS_H,
        "block(model, layer).output[:, 0] += h",
        why="the answer is given at the last position",
    ),
    Mistake(
        "puts h in place of the state",
        ADDS_H,
        "block(model, layer).output[:, -1] *= 0\n            block(model, layer).output[:, -1] += h",
        why="the state there knows which word is asked for: h is added to it",
    ),
    Mistake(
        "adds h to what enters the layer",
        ADDS_H,
        "block(model, layer).input[:, -1] += h",
        why="h was taken behind the layer, and goes back there",
    ),
    Mistake("subtracts h", ADDS_H, ADDS_H.replace("+=", "-="), why="h is added"),
]

test_intervene_with_h = exercise(
    reference=function_vectors.intervene_with_h,
    cases=intervene_with_h_cases,
    observe=answers_without_and_with,
    accepts=[intervene_in_two_traces],
    mistakes=[
        *ADDITION_MISTAKES,
        Mistake(
            "adds h behind the next layer",
            "block(model, layer).output[:, -1] += h",
            "block(model, layer + 1).output[:, -1] += h",
            why="layers are counted from zero",
        ),
        Mistake(
            "never changes the run",
            "        with tracer.invoke(zero_shot_dataset.prompts):\n            block(model, layer).output[:, -1] += h\n",
            "        with tracer.invoke(zero_shot_dataset.prompts):\n            block(model, layer).output[:, -1] + h\n",
            why="a sum that nobody writes back changes nothing: assign it to the module's output",
        ),
        Mistake(
            "returns them in the other order",
            "return decode_each(model.tokenizer, without), decode_each(model.tokenizer, with_h)",
            "return decode_each(model.tokenizer, with_h), decode_each(model.tokenizer, without)",
            why="first the answers without h, then those with it",
        ),
    ],
)


def calculate_h_and_intervene_cases(generator: torch.Generator) -> list[Case]:
    """Different layers, more prompts of one kind or the other, the same number of both."""
    return [
        Case(label="the first layer", args=(tiny_model(2), dataset(5, 2), dataset(4, 0, seed=4), 0)),
        Case(label="the middle layer", args=(tiny_model(3), dataset(2, 3, seed=5), dataset(5, 0, seed=1), 1)),
        Case(label="as many of both", args=(tiny_model(2), dataset(5, 1, seed=6), dataset(5, 0, seed=7), 1)),
    ]


def in_two_steps(model: Any, data: ICLDataset, zero_shot: ICLDataset, layer: int) -> tuple[list[str], list[str]]:
    """The two functions one after the other."""
    return intervene_in_two_traces(model, zero_shot, calculate_h_by_logits(model, data, layer)[1], layer)


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


FROM_CLEAN = "with tracer.invoke(dataset.prompts):"
H_MISTAKES = [
    Mistake(
        "takes h from the zero-shot prompts",
        FROM_CLEAN,
        "with tracer.invoke(zero_shot_dataset.prompts):",
        why="only prompts with pairs show the task",
    ),
    Mistake(
        "adds the states up in place of averaging",
        "h = block(model, layer).output[:, -1].mean(dim=0)",
        "h = block(model, layer).output[:, -1].sum(dim=0)",
        why="h is a mean over the prompts",
    ),
    Mistake(
        "takes h from the first prompt alone",
        "h = block(model, layer).output[:, -1].mean(dim=0)",
        "h = block(model, layer).output[0, -1]",
        why="the mean keeps what the prompts share",
    ),
    Mistake(
        "averages over the positions too",
        "h = block(model, layer).output[:, -1].mean(dim=0)",
        "h = block(model, layer).output.mean(dim=(0, 1))",
        why="h is the state at the last position",
    ),
]

test_calculate_h_and_intervene = exercise(
    reference=function_vectors.calculate_h_and_intervene,
    cases=calculate_h_and_intervene_cases,
    observe=answers_without_and_with,
    accepts=[in_two_steps, in_one_trace_in_order],
    mistakes=[*H_MISTAKES, *ADDITION_MISTAKES],
)


def calculate_h_and_intervene_logprobs_cases(generator: torch.Generator) -> list[Case]:
    """As for the answers; in one case both data sets have the same number of prompts and different answers."""
    axes = {"without h": "batch", "with h": "batch"}
    return [
        Case(label="the first layer", args=(tiny_model(4), dataset(3, 2), dataset(4, 0, seed=4), 0), axes=axes),
        Case(label="as many of both", args=(tiny_model(5), dataset(3, 1, seed=6), dataset(3, 0, seed=7), 1), axes=axes),
        Case(
            label="a single question", args=(tiny_model(4), dataset(2, 3, seed=5), dataset(1, 0, seed=8), 1), axes=axes
        ),
    ]


def logprobs_without_and_with(function: Any, case: Case) -> Observations:
    """Both lists as tensors."""
    seen = two_results(function(*case.args), "this function", "(log-probabilities without, with h)")
    return {
        name: value.detach() if isinstance(value, Tensor) else as_floats(value)
        for name, value in zip(("without h", "with h"), seen, strict=True)
    }


def as_floats(values: Any) -> Any:
    """A list of numbers as a tensor; anything else as it is."""
    if isinstance(values, list | tuple) and all(isinstance(v, float | int) or _is_number(v) for v in values):
        return torch.tensor([float(value) for value in values])
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0


def logprobs_by_cross_entropy(
    model: Any, data: ICLDataset, zero_shot: ICLDataset, layer: int
) -> tuple[list[float], list[float]]:
    """Two traces after the one for h, and torch's loss."""
    h = calculate_h_by_logits(model, data, layer)[1]
    ids = torch.tensor([model.tokenizer(c, add_special_tokens=False).input_ids[0] for c in zero_shot.completions])
    results = []
    for change in (0.0, 1.0):
        with model.trace(zero_shot.prompts):
            model.model.layers[layer].output[:, -1] += change * h
            logits = model.lm_head.output[:, -1].save()
        results.append((-torch.nn.functional.cross_entropy(logits, ids, reduction="none")).tolist())
    return results[0], results[1]


WITH_H = "with_h = model.lm_head.output[:, -1].log_softmax(dim=-1)[rows, answers]"
WITHOUT_H = "without = model.lm_head.output[:, -1].log_softmax(dim=-1)[rows, answers]"

test_calculate_h_and_intervene_logprobs = exercise(
    reference=function_vectors.calculate_h_and_intervene_logprobs,
    cases=calculate_h_and_intervene_logprobs_cases,
    observe=logprobs_without_and_with,
    accepts=[logprobs_by_cross_entropy],
    mistakes=[
        Mistake(
            "normalises over the prompts",
            WITH_H,
            WITH_H.replace("dim=-1", "dim=0"),
            why="the softmax runs over the vocabulary",
        ),
        Mistake(
            "returns logits with h",
            WITH_H,
            WITH_H.replace(".log_softmax(dim=-1)", ""),
            why="a logit is no log-probability",
        ),
        Mistake(
            "returns logits without h",
            WITHOUT_H,
            WITHOUT_H.replace(".log_softmax(dim=-1)", ""),
            why="a logit is no log-probability",
        ),
        Mistake(
            "returns probabilities",
            "return without.tolist(), with_h.tolist()",
            "return without.exp().tolist(), with_h.exp().tolist()",
            why="their logarithm is asked for",
        ),
        Mistake(
            "returns the loss",
            "return without.tolist(), with_h.tolist()",
            "return (-without).tolist(), (-with_h).tolist()",
            why="the loss is the negative log-probability",
        ),
        Mistake(
            "returns them in the other order",
            "return without.tolist(), with_h.tolist()",
            "return with_h.tolist(), without.tolist()",
            why="first the ones without h",
        ),
        Mistake(
            "asks for the answers of the other data set",
            "answer_tokens(model.tokenizer, zero_shot_dataset.completions)",
            "answer_tokens(model.tokenizer, (dataset.completions * 2)[: len(zero_shot_dataset)])",
            why="the zero-shot prompts ask for zero_shot_dataset.completions",
        ),
        *H_MISTAKES,
        *ADDITION_MISTAKES,
    ],
)
