"""Judge of activation addition: which activations are added where, and what is written then.

Shapes:  a prompt and texts with coefficients -> texts.
"""

from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.steering import activation_addition
from arena_lib.tests.function_vectors.tiny_models import TinyModel, tiny_model

__test__ = False

SHARP = 12.0
"""So that one token has more than 0.3 of the probability at nearly every step, and draws with that top_p are sure."""
FLAT = 0.01
"""So that draws differ."""
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
            args=(sharp_model(2), prompt, [(0, 5.0, " big small big"), (0, -3.0, " wet")], 3, 3, False),
        ),
        Case(label="a text as long as the prompt", args=(sharp_model(3), " hot cold", [(1, 4.0, " wet dry")], 5)),
        Case(label="draws that differ", args=(tiny_model(0, FLAT), prompt, [(1, 1.0, " hot")], 4, N_DRAWN)),
    ]


def steered_texts(function: Any, case: Case) -> Observations:
    """Both lists of texts; where they are drawn from a flat distribution, only how many there are and whether they differ."""
    out = function(*case.args)
    if not (isinstance(out, tuple | list) and len(out) == 2 and all(isinstance(part, list | tuple) for part in out)):
        raise Unfit("This function must return (texts as they are, steered texts), two lists.")
    plain, steered = (list(part) for part in out)
    if case.label != "draws that differ":
        return {"texts as they are": plain, "steered texts": steered}
    return {
        "numbers of texts": [len(plain), len(steered)],
        "texts as they are differ": len(set(plain)) > 1,
        "steered texts differ": len(set(steered)) > 1,
        "begin with the prompt": all(text.strip().startswith(case.args[1].strip()) for text in plain + steered),
    }


def steer_in_two_generations(
    model: Any, prompt: str, activation_additions: Any, n_tokens: int, n_comparisons: int = 1, use_bos: bool = True
) -> tuple[list[str], list[str]]:
    """Adds up what belongs to one layer first; reads all texts in one trace, where short ones are padded on the left."""
    start = model.tokenizer.bos_token * use_bos
    found: dict[int, Any] = {}
    with model.trace() as tracer:
        for layer, coefficient, text in activation_additions:
            with tracer.invoke(start + text):
                n = len(model.tokenizer(start + text).input_ids)
                found.setdefault(layer, []).append(coefficient * model.model.layers[layer].input[0, -n:])
    texts = []
    for is_steered in (False, True):
        with model.generate(
            [start + prompt] * n_comparisons, max_new_tokens=n_tokens, do_sample=True, top_p=0.3
        ) as tracer:
            for layer in sorted(found):
                for vector in found[layer] if is_steered else []:
                    resid = model.model.layers[layer].input.clone()
                    resid[:, : vector.shape[0]] += vector
                    model.model.layers[layer].input = resid
            ids = tracer.result.save()
        texts.append(model.tokenizer.batch_decode(ids, skip_special_tokens=True))
    return texts[0], texts[1]


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


ADDS = "block(model, layer).input[:, : len(vector)] += vector"
READS = "block(model, layer).input[0].save()"

test_calculate_and_apply_steering_vector = exercise(
    reference=activation_addition.calculate_and_apply_steering_vector,
    cases=steering_cases,
    observe=steered_texts,
    accepts=[steer_in_two_generations],
    mistakes=[
        Mistake(
            "adds the texts at the end of the prompt",
            ADDS,
            "block(model, layer).input[:, -len(vector) :] += vector",
            why="position by position, from the first one on",
        ),
        Mistake(
            "puts the texts in place of the prompt",
            ADDS,
            ADDS.replace("+=", "="),
            why="the prompt's own activations stay, and the text's are added: +=",
        ),
        Mistake(
            "reads all texts in one batch",
            f"with model.trace(start + text):\n            resid = {READS}",
            "texts = [start + other for _, _, other in activation_additions]\n"
            f"        with model.trace(texts):\n            resid = {READS.replace('[0]', '[len(vectors)]')}",
            why="in a batch short texts are padded on the left, which shifts their positions: one trace for each text",
        ),
        Mistake(
            "adds the mean of each text everywhere",
            ADDS,
            "block(model, layer).input[:] += vector.mean(dim=0)",
            why="each position of the text is added at its own position of the prompt",
        ),
        Mistake(
            "forgets the coefficients",
            "vectors.append((layer, coefficient * resid))",
            "vectors.append((layer, resid))",
            why="they say how much is added, and a negative one takes away",
        ),
        Mistake(
            "reads the layer's output",
            READS,
            READS.replace("input", "output"),
            why="what enters the layer is read and changed",
        ),
        Mistake(
            "adds to the layer's output",
            ADDS,
            ADDS.replace("input", "output"),
            why="what enters the layer is read and changed",
        ),
        Mistake(
            "puts no first token in front of the texts",
            "with model.trace(start + text):",
            "with model.trace(text):",
            why="with use_bos it stands in front of the texts too, so that positions correspond",
        ),
        Mistake(
            "puts no first token in front of the prompt",
            "prompts = [start + prompt] * n_comparisons",
            "prompts = [prompt] * n_comparisons",
            why="with use_bos it stands in front of the prompt, too",
        ),
        Mistake(
            "puts the first token in front twice",
            'model.tokenizer.bos_token if use_bos else ""',
            '2 * model.tokenizer.bos_token if use_bos else ""',
            why="one is enough, in front of the prompt and of each text",
        ),
        Mistake(
            "puts the first token in front of the prompt twice",
            "prompts = [start + prompt] * n_comparisons",
            "prompts = [start + start + prompt] * n_comparisons",
            why="one is enough, and with two the texts stand one position too early",
        ),
        Mistake(
            "puts the first token in front of the texts twice",
            "with model.trace(start + text):",
            "with model.trace(start + start + text):",
            why="one is enough, and with two the texts stand one position too late",
        ),
        Mistake(
            "always puts the first token in front",
            'model.tokenizer.bos_token if use_bos else ""',
            "model.tokenizer.bos_token",
            why="without use_bos texts are read as they stand",
        ),
        Mistake(
            "adds the last text only",
            "for layer, vector in sorted(vectors, key=lambda addition: addition[0]):",
            "for layer, vector in vectors[-1:]:",
            why="all additions act",
        ),
        Mistake(
            "adds in the order given",
            "for layer, vector in sorted(vectors, key=lambda addition: addition[0]):",
            "for layer, vector in vectors:",
            why="in one trace layers must be visited in the order in which the model reaches them",
        ),
        Mistake(
            "writes without drawing",
            "**SAMPLING",
            "do_sample=False",
            why="several continuations of one prompt differ only if they are drawn",
        ),
        Mistake(
            "returns one text of each kind",
            "decode_texts(model.tokenizer, plain), decode_texts(model.tokenizer, steered)",
            "decode_texts(model.tokenizer, plain)[:1], decode_texts(model.tokenizer, steered)[:1]",
            why="there are n_comparisons of each kind",
        ),
        Mistake(
            "leaves special tokens in",
            "decode_texts(model.tokenizer, plain), decode_texts(model.tokenizer, steered)",
            "model.tokenizer.batch_decode(plain), model.tokenizer.batch_decode(steered)",
            why="the results are texts to be read: skip_special_tokens=True",
        ),
        Mistake(
            "goes on adding while it writes",
            function=steer_at_every_step,
            why="the additions act on the prompt alone",
        ),
    ],
)
