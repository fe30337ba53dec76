"""Judges of a whole model that reads from the KV cache, and of the loop that writes texts with it.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab", or longer texts "batch seq".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.kv_cache import CFG, attend_by_torch
from arena_lib.tests.transformer_from_scratch.sampling import IGNORES_THE_GENERATOR, repeats
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import KVCache, forward_with_cache, generate_with_cache
from arena_lib.transformer.sampling import GREEDY, SamplingConfig, sample_next_token

__test__ = False


def make_model(case: Case) -> lesson.DemoTransformer:
    """The small model with the case's weights."""
    model = lesson.DemoTransformer(CFG)
    load_by_name(model, case.given["weights"])
    return model


def forward_cases(generator: torch.Generator) -> list[Case]:
    """The text in one piece, in two, and token by token."""
    weights = random_weights(lesson.DemoTransformer(CFG), generator)
    tokens = torch.randint(0, CFG.d_vocab, (3, 6), generator=generator)
    pieces = {"in one piece": [6], "a prompt, then single tokens": [4, 1, 1], "pieces of two": [2, 2, 2]}
    return [
        Case(
            label=label,
            given={"weights": weights, "tokens": tokens, "pieces": sizes},
            axes={"output": "batch seq d_vocab"},
        )
        for label, sizes in pieces.items()
    ]


def logits_in_pieces(function: Any, case: Case) -> Observations:
    """The logits for all pieces joined, and how many tokens the cache holds."""
    model, cache = make_model(case), KVCache(CFG.n_layers)
    out = [function(model, piece, cache) for piece in case.given["tokens"].split(case.given["pieces"], dim=1)]
    if not all(isinstance(piece, Tensor) and piece.ndim == 3 for piece in out):
        return {"output": out[0]}
    return {"output": torch.cat(out, dim=1).detach(), "n_seen": cache.n_seen}


def forward_by_embedding_all(model: Any, tokens: Tensor, cache: KVCache) -> Tensor:
    """Embeds positions by index, and names what is written."""
    positions = torch.arange(cache.n_seen, cache.n_seen + tokens.shape[1])
    stream = model.embed.W_E[tokens] + model.pos_embed.W_pos[positions][None]
    for i in range(len(model.blocks)):
        block = model.blocks[i]
        stream = stream + attend_by_torch(block.attn, block.ln1(stream), cache, i)
        stream = stream + block.mlp(block.ln2(stream))
    return model.unembed(model.ln_final(stream))


test_forward_with_cache = exercise(
    reference=forward_with_cache,
    cases=forward_cases,
    observe=logits_in_pieces,
    accepts=[forward_by_embedding_all],
    mistakes=[
        Mistake(
            "starts the positions at zero again",
            "model.pos_embed.W_pos[start : start + tokens.shape[1]]",
            "model.pos_embed.W_pos[: tokens.shape[1]]",
            why="new tokens stand behind the ones that the cache holds",
        ),
        Mistake(
            "starts the positions one too late",
            "model.pos_embed.W_pos[start : start + tokens.shape[1]]",
            "model.pos_embed.W_pos[start + 1 : start + 1 + tokens.shape[1]]",
            why="the first new token stands at position n_seen, as it was before this call",
        ),
        Mistake(
            "gives every block the first layer's cache",
            "cache, layer_idx)",
            "cache, 0)",
            why="each layer has keys and values of its own",
        ),
        Mistake(
            "forgets the final LayerNorm",
            "model.unembed(model.ln_final(residual))",
            "model.unembed(residual)",
            why="it is the same model as before",
        ),
        Mistake(
            "leaves the MLP out",
            "        residual = residual + block.mlp(block.ln2(residual))\n",
            "",
            why="only attention looks at other positions, so only attention needs the cache; the rest is as before",
        ),
    ],
)


def generate_cases(generator: torch.Generator) -> list[Case]:
    """Greedy for one text and for several, with a penalty, with nothing to add, up to the whole context; and at random."""
    weights = random_weights(lesson.DemoTransformer(CFG), generator, scale=1.0)

    def case(label: str, shape: tuple[int, int], n_new: int, options: SamplingConfig = GREEDY) -> Case:
        tokens = torch.randint(0, CFG.d_vocab, shape, generator=generator)
        return Case(
            label=label, given={"weights": weights, "call": (tokens, n_new, options)}, axes={"output": "batch seq"}
        )

    return [
        case("one text", (1, 3), 4),
        case("several texts", (3, 2), 5),
        case("a frequency penalty", (2, 4), 6, SamplingConfig(temperature=0.0, frequency_penalty=4.0)),
        case("up to the end of the context", (1, 2), CFG.n_ctx - 2),
        case("nothing to add", (2, 3), 0),
        case("draws at random", (2, 3), 6, SamplingConfig(temperature=5.0)),
    ]


def generated(function: Any, case: Case) -> Observations:
    """The tokens, or whether a generator alone decides them; and whether the model read any of them twice."""
    model = make_model(case)
    read: list[int] = []
    model.embed.register_forward_pre_hook(lambda module, args: read.append(args[0].numel()))
    tokens, n_new, options = case.given["call"]
    seen = outputs(function, Case(label=case.label, args=(model, tokens, n_new, options), names=case.names))
    if options.temperature > 0:
        text = seen.pop("output")
        is_longer = isinstance(text, Tensor) and text.shape == (tokens.shape[0], tokens.shape[1] + n_new)
        seen["the prompt, and so many tokens more"] = is_longer and torch.equal(text[:, : tokens.shape[1]], tokens)
        unwatched = make_model(case)
        seen |= repeats(
            function,
            lambda generator: function(unwatched, tokens.clone(), n_new, options, generator=generator),
            is_same=torch.equal,
        )
    return seen | {"reads each token at most once": sum(read) <= tokens.shape[0] * (tokens.shape[1] + n_new)}


def generate_by_list(model: Any, tokens: Tensor, max_new_tokens: int, options: Any = GREEDY) -> Tensor:
    """Each text with a cache of its own."""
    texts = []
    for text in tokens:
        cache = KVCache(model.cfg.n_layers)
        unread = text
        for _ in range(max_new_tokens):
            logits = forward_with_cache(model, unread[None], cache)[0, -1]
            unread = torch.tensor([sample_next_token(text, logits, options)])
            text = torch.cat([text, unread])
        texts.append(text)
    return torch.stack(texts)


test_generate_with_cache = exercise(
    reference=generate_with_cache,
    cases=generate_cases,
    observe=generated,
    accepts=[lambda m, t, n, o=GREEDY: generate_by_list(m, t, n, o)],
    mistakes=[
        Mistake(
            "reads the whole text again at each step",
            "    unread = tokens\n    for _ in range(max_new_tokens):\n",
            "    for _ in range(max_new_tokens):\n        cache = KVCache(model.cfg.n_layers)\n        unread = tokens\n",
            why="the result is right, but each token is read again and again: the cache is there to spare that",
        ),
        Mistake(
            "reads the first position's logits",
            "cache)[:, -1]",
            "cache)[:, 0]",
            why="the last position predicts the next token",
        ),
        Mistake(
            "returns the new tokens only",
            "    return tokens\n",
            "    return tokens[:, -max_new_tokens:]\n",
            why="the prompt is part of the result",
        ),
        Mistake(
            "stops one token early",
            "range(max_new_tokens)",
            "range(max_new_tokens - 1)",
            why="max_new_tokens are to be added, counted from the prompt",
        ),
        Mistake(
            "ignores the options",
            "sample_next_token(text, row, options, generator=generator)",
            "sample_next_token(text, row, GREEDY, generator=generator)",
            why="each token is chosen as the options say",
        ),
        IGNORES_THE_GENERATOR,
    ],
)
