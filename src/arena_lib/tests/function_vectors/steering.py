"""Judge of activation addition: which activations are added where, and what is written then.

Shapes:  a prompt and texts with coefficients -> texts.
"""

from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import activation_addition
from arena_lib.tests.function_vectors.tiny_models import TinyModel, tiny_model

__test__ = False

SHARP = 12.0
"""So that one token has more than 0.3 of the probability at nearly every step, and draws with that top_p are sure."""
FLAT = 0.5
"""So that draws differ at temperature 1, and hardly ever at a temperature of 0.1 or less."""
N_DRAWN = 6


def sharp_model(seed: int) -> TinyModel:
    """A model whose draws with a small top_p are sure."""
    return tiny_model(seed, SHARP)


def steering_cases(generator: torch.Generator) -> list[Case]:
    """One text and two, layers out of order, without a first token, several comparisons, and draws that differ."""
    prompt = " the old dog was in the garden"
    return [
        Case(label="one text", args=(sharp_model(0), prompt, [(1, 6.0, " hot cold")], 4)),
        Case(
            label="two texts against each other, layers out of order",
            args=(sharp_model(1), prompt, [(2, 5.0, " happy"), (1, -4.0, " sad and poor")], 4),
        ),
        Case(
            label="no token in front, three comparisons",
            args=(
                sharp_model(2),
                prompt,
                [(0, 5.0, " big small big"), (0, -3.0, " wet"), (2, 2.0, " old")],
                3,
                3,
                False,
            ),
        ),
        Case(label="a text as long as the prompt", args=(sharp_model(3), " hot cold", [(1, 4.0, " wet dry")], 5)),
        Case(label="draws that differ", args=(tiny_model(0, FLAT), prompt, [(1, 1.0, " hot")], 4, N_DRAWN)),
    ]


def steered_texts(function: Any, case: Case) -> Observations:
    """Both lists of texts; where they are drawn from a flat distribution, only how many there are and whether they differ."""
    out = function(*case.args)
    if not (isinstance(out, tuple | list) and len(out) == 2 and all(isinstance(part, list | tuple) for part in out)):
        raise Unfit("This function must return (texts without steering, steered texts), two lists.")
    plain, steered = (list(part) for part in out)
    if case.label != "draws that differ":
        return {"texts without steering": plain, "steered texts": steered}
    model, prompt, _, n_tokens = case.args[:4]
    with (
        torch.no_grad(),
        model.generate(model.tokenizer.bos_token + prompt, max_new_tokens=n_tokens, do_sample=False) as tracer,
    ):
        likeliest = tracer.result.save()
    return {
        "numbers of texts": [len(plain), len(steered)],
        "texts without steering are the likeliest one": set(plain)
        == {model.tokenizer.decode(likeliest[0], skip_special_tokens=True)},
        "texts without steering differ": len(set(plain)) > 1,
        "steered texts differ": len(set(steered)) > 1,
        "all texts begin with the prompt": all(
            text.strip().startswith(case.args[1].strip()) for text in plain + steered
        ),
    }


def steering_at(side: str) -> Callable[..., tuple[list[str], list[str]]]:
    """A solution that reads and changes this side of the layers, "input" or "output", in two generations.

    It adds up what belongs to one layer first, and reads all texts in one trace, where short ones are padded on the left.
    """

    def solution(
        model: Any, prompt: str, activation_additions: Any, n_tokens: int, n_comparisons: int = 1, use_bos: bool = True
    ) -> tuple[list[str], list[str]]:
        start = model.tokenizer.bos_token * use_bos
        vectors: dict[int, Any] = {}
        with model.trace() as tracer:
            for layer, coefficient, text in activation_additions:
                with tracer.invoke(start + text):
                    n = len(model.tokenizer(start + text).input_ids)
                    resid = getattr(model.model.layers[layer], side)
                    vectors.setdefault(layer, []).append(coefficient * resid[0, -n:])
        texts = []
        for is_steered in (False, True):
            with model.generate(
                [start + prompt] * n_comparisons, max_new_tokens=n_tokens, do_sample=True, top_p=0.3
            ) as tracer:
                for layer in sorted(vectors):
                    for vector in vectors[layer] if is_steered else []:
                        resid = getattr(model.model.layers[layer], side).clone()
                        resid[:, : vector.shape[0]] += vector
                        setattr(model.model.layers[layer], side, resid)
                ids = tracer.result.save()
            texts.append(model.tokenizer.batch_decode(ids, skip_special_tokens=True))
        return texts[0], texts[1]

    return solution


def steer_at_every_step(
    model: Any, prompt: str, activation_additions: Any, n_tokens: int, n_comparisons: int = 1, use_bos: bool = True
) -> tuple[list[str], list[str]]:
    """Adds the last row of each text again for every new token."""
    start = model.tokenizer.bos_token if use_bos else ""
    vectors = []
    for layer, coefficient, text in activation_additions:
        with model.trace(start + text):
            resid = model.model.layers[layer].input[0].save()
        vectors.append((layer, coefficient * resid))
    vectors.sort(key=lambda addition: addition[0])
    prompts = [start + prompt] * n_comparisons
    with model.generate(max_new_tokens=n_tokens, **activation_addition.SAMPLING) as tracer:
        with tracer.invoke(prompts):
            plain = tracer.result.save()
        with tracer.invoke(prompts):
            for step in tracer.iter[:n_tokens]:
                for layer, vector in vectors:
                    rows = vector if step == 0 else vector[-1:]
                    model.model.layers[layer].input[:, : len(rows)] += rows
            steered = tracer.result.save()
    both = [[model.tokenizer.decode(row, skip_special_tokens=True) for row in ids] for ids in (plain, steered)]
    return both[0], both[1]


READS = "block(model, layer).input[0].save()"
DECODES = "return decode_texts(model.tokenizer, plain), decode_texts(model.tokenizer, steered)"

test_calculate_and_apply_steering_vector = exercise(
    reference=activation_addition.calculate_and_apply_steering_vector,
    cases=steering_cases,
    observe=steered_texts,
    accepts=[steering_at("input")],
    equivalent={
        "resid = block(model, layer).input[0].save() -> resid = block(model, layer).input[-1].save()": "there is one text"
    },
    mistakes=[
        Mistake(
            "reads and adds at the layer's output",
            function=steering_at("output"),
            why="activations are read from the layer's input and added to it: block(model, layer).input",
        ),
        *instead_of(
            READS,
            {
                "block(model, 0).input[0].save()": (
                    "reads all texts at the first layer",
                    "a text's activations are read where they are added: at the input of its own layer",
                ),
                "block(model, layer).output[0].save()": (
                    "reads the layer's output",
                    "activations are read from the layer's input and added to it: block(model, layer).input",
                ),
                "block(model, layer).input[0, -1:].save()": (
                    "adds the text's last position at the prompt's first",
                    "each position of the text is added at its own position of the prompt",
                ),
                "block(model, layer).input[0].mean(dim=0, keepdim=True).save()": (
                    "adds the mean of each text at the first position",
                    "each position of the text is added at its own position of the prompt",
                ),
            },
        ),
        *instead_of(
            "block(model, layer).input[:, : len(vector)] += vector",
            {
                "block(model, layer).output[:, : len(vector)] += vector": (
                    "adds to the layer's output",
                    "activations are read from the layer's input and added to it: block(model, layer).input",
                ),
                "block(model, layer).input[:, -len(vector) :] += vector": (
                    "adds the texts at the end of the prompt",
                    "position i of the text is added at position i of the prompt, from the first position on",
                ),
                "block(model, layer).input[:, : len(vector)] = vector": (
                    "replaces the prompt's activations by those of the texts",
                    "the prompt's own activations stay, and the text's are added: +=",
                ),
                "block(model, layer).input[:] += vector.mean(dim=0)": (
                    "adds the mean of each text at every position",
                    "each position of the text is added at its own position of the prompt",
                ),
                "block(model, layer).input[:, : len(vector)] += vector[-1]": (
                    "adds the text's last position at each of its positions",
                    "each position of the text is added at its own position of the prompt",
                ),
                "block(model, layer).input[:, -1] += vector[-1]": (
                    "adds the text's last position at the prompt's last",
                    "each position of the text is added at its own position of the prompt",
                ),
                "block(model, layer).input[:, 1 : len(vector)] += vector[1:]": (
                    "leaves the first position out",
                    "position i of the text is added at position i of the prompt, the first token included",
                ),
                "block(model, layer).input[:1, : len(vector)] += vector": (
                    "steers only the first continuation",
                    "the first axis is the continuations: the texts are added to each of them",
                ),
            },
        ),
        *instead_of(
            "vectors.append((layer, coefficient * resid))",
            {
                "vectors.append((layer, resid))": (
                    "forgets the coefficients",
                    "each text's activations are multiplied by its coefficient, which may be negative",
                ),
                "vectors = [other for other in vectors if other[0] != layer] + [(layer, coefficient * resid)]": (
                    "keeps only the last text of each layer",
                    "several texts may be added at one layer, and all are added up",
                ),
                "vectors.append((layer, abs(coefficient) * resid))": (
                    "loses the coefficients' signs",
                    "a negative coefficient subtracts the text's activations",
                ),
                "vectors.append((layer, activation_additions[0][1] * resid))": (
                    "uses the first coefficient for all texts",
                    "each text has its own coefficient",
                ),
                "vectors.append((layer, coefficient * resid / len(activation_additions)))": (
                    "averages over the texts",
                    "the activations of all texts are added up, each times its coefficient",
                ),
                "vectors.append((layer, coefficient * resid / resid.norm()))": (
                    "scales each text's activations to length 1 as a whole",
                    "activations are added as they are, times the coefficient",
                ),
                "vectors.append((layer, coefficient * torch.nn.functional.normalize(resid, dim=-1)))": (
                    "scales activations to length 1",
                    "activations are added as they are, times the coefficient",
                ),
            },
        ),
        Mistake(
            "reads all texts in one batch",
            f"with model.trace(start + text):\n            resid = {READS}",
            "texts = [start + other for _, _, other in activation_additions]\n"
            f"        with model.trace(texts):\n            resid = {READS.replace('[0]', '[len(vectors)]')}",
            why="in a batch short texts are padded on the left, which shifts their positions: one trace for each text",
        ),
        *instead_of(
            "with model.trace(start + text):",
            {
                "with model.trace(text):": (
                    "leaves out the bos_token before the texts",
                    "with use_bos the bos_token stands in front of the texts too, so that positions correspond",
                ),
                "with model.trace(start + start + text):": (
                    "writes the bos_token twice before the texts",
                    "the bos_token comes once; with two the texts are added one position too late",
                ),
            },
        ),
        *instead_of(
            "prompts = [start + prompt] * n_comparisons",
            {
                "prompts = [prompt] * n_comparisons": (
                    "leaves out the bos_token before the prompt",
                    "with use_bos the bos_token stands in front of the prompt too",
                ),
                "prompts = [start + start + prompt] * n_comparisons": (
                    "writes the bos_token twice before the prompt",
                    "the bos_token comes once; with two the texts are added one position too early",
                ),
                "prompts = [start + prompt]": (
                    "writes one continuation of each kind",
                    "there are n_comparisons of each kind",
                ),
            },
        ),
        *instead_of(
            'model.tokenizer.bos_token if use_bos else ""',
            {
                '2 * model.tokenizer.bos_token if use_bos else ""': (
                    "writes the bos_token twice before the prompt and the texts",
                    "the bos_token comes once, in front of the prompt and of each text",
                ),
                '"" if use_bos else model.tokenizer.bos_token': (
                    "writes the bos_token only without use_bos",
                    "with use_bos the tokenizer's bos_token stands in front of the prompt and of each text",
                ),
                "model.tokenizer.bos_token": (
                    "writes the bos_token even without use_bos",
                    "without use_bos the model reads the texts as they are",
                ),
                '""': (
                    "never writes the bos_token",
                    "with use_bos the tokenizer's bos_token stands in front of the prompt and of each text",
                ),
            },
        ),
        *instead_of(
            "for layer, vector in sorted(vectors, key=lambda addition: addition[0]):",
            {
                "for layer, vector in vectors[-1:]:": (
                    "adds the last text only",
                    "the activations of all texts are added",
                ),
                "for layer, vector in vectors[:1]:": ("adds the first text only", "add the vectors of all additions"),
                "for layer, vector in vectors:": (
                    "adds in the order given",
                    "in one trace the layers must come in the order in which the model runs them, so sort the additions by layer",
                ),
            },
        ),
        *instead_of(
            "max_new_tokens=n_tokens, **SAMPLING",
            {
                "max_new_tokens=n_tokens, do_sample=False": (
                    "always writes the likeliest token",
                    "several continuations of one prompt differ because their tokens are drawn, as SAMPLING says",
                ),
                "max_new_tokens=n_tokens, do_sample=True, top_k=0": (
                    "draws from all tokens",
                    "tokens are drawn from the likeliest ones, as SAMPLING says: top_p=0.3",
                ),
                "max_new_tokens=n_tokens + 1, **SAMPLING": (
                    "writes one token too many",
                    "the model writes n_tokens new tokens",
                ),
                "max_new_tokens=n_tokens - 1, **SAMPLING": (
                    "writes one token too few",
                    "the model writes n_tokens new tokens",
                ),
            },
        ),
        *instead_of(
            DECODES,
            {
                "return model.tokenizer.batch_decode(plain), model.tokenizer.batch_decode(steered)": (
                    "keeps special tokens",
                    "people read the results, so special tokens are left out: skip_special_tokens=True",
                ),
                "return decode_texts(model.tokenizer, steered), decode_texts(model.tokenizer, steered)": (
                    "steers both lists of texts",
                    "the first list comes from a run that nothing changes",
                ),
                "return decode_texts(model.tokenizer, plain[:1]) * n_comparisons, "
                "decode_texts(model.tokenizer, steered[:1]) * n_comparisons": (
                    "repeats one continuation",
                    "each of the n_comparisons continuations is drawn by itself",
                ),
                "return decode_texts(model.tokenizer, steered), decode_texts(model.tokenizer, plain)": (
                    "returns the steered texts first",
                    "the continuations without steering come first",
                ),
                "return decode_texts(model.tokenizer, plain[:, -n_tokens:]), "
                "decode_texts(model.tokenizer, steered[:, -n_tokens:])": (
                    "returns only the new text, without the prompt",
                    "each result begins with the prompt",
                ),
            },
        ),
        Mistake(
            "adds the activations at every new token too",
            function=steer_at_every_step,
            why="the activations are added at the prompt's positions only",
        ),
    ],
)
