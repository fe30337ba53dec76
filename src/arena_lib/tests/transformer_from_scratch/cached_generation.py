"""Judges of a model that reads from a KV cache, and of the loop that writes with it."""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.draws import draws_of_a_generator, ignores_the_generator
from arena_lib.tests.transformer_from_scratch.kv_cache import CFG, attend_by_torch
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
            call="model, tokens, cache",
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
        *instead_of(
            "model.pos_embed.W_pos[start : start + tokens.shape[1]]",
            {
                "0": (
                    "leaves the position embedding out",
                    "the stream starts as token embedding plus position embedding",
                ),
                "model.pos_embed.W_pos[start + tokens.shape[1] - 1]": (
                    "uses the last new token's position for all",
                    "a piece may hold several tokens, and each has a position of its own",
                ),
                "model.pos_embed.W_pos[: tokens.shape[1]]": (
                    "starts the positions at zero again",
                    "new tokens come after the ones that the cache holds",
                ),
                "model.pos_embed.W_pos[start + 1 : start + 1 + tokens.shape[1]]": (
                    "starts the positions one too late",
                    "the first new token is at position n_seen, as it was before this call",
                ),
                "model.pos_embed.W_pos[start]": (
                    "uses the same position for all new tokens",
                    "a piece may hold several tokens, and each has a position of its own",
                ),
            },
        ),
        *instead_of(
            "attend_with_cache(block.attn, block.ln1(residual), cache, layer_idx)",
            {
                "attend_with_cache(block.attn, block.ln1(residual), cache, 0)": (
                    "uses the first layer's cache in every block",
                    "each layer has keys and values of its own",
                ),
                "attend_with_cache(block.attn, residual, cache, layer_idx)": (
                    "forgets ln1",
                    "attention reads the normalised residual stream, as before",
                ),
                "block.attn(block.ln1(residual))": (
                    "attends without the cache",
                    "new tokens look at all earlier ones, which only the cache still holds",
                ),
            },
        ),
        *instead_of(
            "        residual = residual + attend_with_cache(",
            {
                "        residual = attend_with_cache(": (
                    "lets attention replace the residual stream",
                    "attention adds its output to the residual stream",
                ),
            },
        ),
        *instead_of(
            "        residual = residual + block.mlp(block.ln2(residual))\n",
            {
                "        residual = residual + block.mlp(block.ln1(residual))\n": (
                    "uses ln1 for the MLP",
                    "each sublayer has a norm of its own: ln2 belongs to the MLP",
                ),
                "": (
                    "leaves the MLP out",
                    "only attention looks at other positions, so only attention needs the cache; the rest is as before",
                ),
                "        residual = residual + block.mlp(residual)\n": (
                    "forgets ln2",
                    "the MLP reads the normalised residual stream, as before",
                ),
                "        residual = block.mlp(block.ln2(residual))\n": (
                    "lets the MLP replace the residual stream",
                    "the MLP adds its output to the residual stream",
                ),
            },
        ),
        *instead_of(
            "model.unembed(model.ln_final(residual))",
            {
                "model.unembed(residual)": (
                    "forgets the final LayerNorm",
                    "as in the model without a cache, ln_final comes after the last block",
                ),
                "model.ln_final(residual)": (
                    "returns the residual stream",
                    "the result is the logits: unembed the stream",
                ),
                "model.unembed(model.ln_final(residual)).log_softmax(dim=-1)": (
                    "returns log-probabilities",
                    "the result is the model's logits, as without a cache",
                ),
                "model.unembed(model.ln_final(residual[:, -1:]))": (
                    "returns the last position's logits only",
                    "the result holds logits for each of the new positions",
                ),
            },
        ),
    ],
)


def generate_cases(generator: torch.Generator) -> list[Case]:
    """Greedy for one text and for several, with a penalty, with nothing to add, up to the whole context; and at random."""
    weights = random_weights(lesson.DemoTransformer(CFG), generator, scale=1.0)
    for name, weight in weights.items():  # large biases would give the same token everywhere
        weights[name] = weight * (0.1 if name.split(".")[-1].startswith("b") else 4.0 if "embed.W" in name else 1.0)

    def case(label: str, shape: tuple[int, int], n_new: int, options: SamplingConfig = GREEDY) -> Case:
        tokens = torch.randint(0, CFG.d_vocab, shape, generator=generator)
        given = {"weights": weights, "call": (tokens, n_new, options)}
        call = f"model, tokens, max_new_tokens={n_new}" + ("" if options is GREEDY else f", options={options}")
        return Case(label=label, given=given, axes={"output": "batch seq"}, call=call)

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
        seen |= draws_of_a_generator(
            function,
            lambda generator: function(unwatched, tokens.clone(), n_new, options, generator=generator).tolist(),
            n_draws=3,
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
        *instead_of(
            "    for _ in range(max_new_tokens):\n",
            {
                "    for _ in range(max_new_tokens):\n        cache, unread = KVCache(model.cfg.n_layers), tokens\n": (
                    "runs the model on the whole text at each step",
                    "with a cache the model reads each token once: only the newest token goes in at each step",
                ),
                "    for _ in range(max_new_tokens):\n        cache = KVCache(model.cfg.n_layers)\n": (
                    "starts each step with an empty cache",
                    "the newest token must look at all earlier ones, so one cache is used for the whole text",
                ),
                "    for _ in range(max_new_tokens - tokens.shape[1]):\n": (
                    "counts the prompt among the new tokens",
                    "max_new_tokens are to be added, counted from the prompt",
                ),
                "    for _ in range(max_new_tokens - 1):\n": (
                    "stops one token early",
                    "max_new_tokens are to be added, counted from the prompt",
                ),
                "    for _ in range(max_new_tokens + 1):\n": (
                    "adds one token too many",
                    "max_new_tokens are to be added, counted from the prompt",
                ),
                "    generator = generator and generator.manual_seed(0)\n    for _ in range(max_new_tokens):\n": (
                    "seeds the generator again at the start",
                    "a second text from the same generator must be a new one",
                ),
            },
        ),
        *instead_of(
            "cache)[:, -1]",
            {"cache)[:, 0]": ("reads the first position's logits", "the last position predicts the next token")},
        ),
        *instead_of(
            "    return tokens\n",
            {
                "    return tokens[:, tokens.shape[1] - max_new_tokens :]\n": (
                    "returns the new tokens only",
                    "the prompt is part of the result",
                )
            },
        ),
        *instead_of(
            "sample_next_token(text, row, options, generator=generator) for text, row in zip(tokens, logits, strict=True)",
            {
                "sample_next_token(text, row, SamplingConfig(), generator=generator) for text, row in zip(tokens, logits, strict=True)": (
                    "always uses the default sampling options",
                    "each token is chosen as the options say",
                ),
                "sample_next_token(text, logits.mean(dim=0), options, generator=generator) for text in tokens": (
                    "chooses every text's token by the mean of the logits",
                    "each text's next token is chosen from its own logits",
                ),
                "sample_next_token(text, row, GREEDY, generator=generator) for text, row in zip(tokens, logits, strict=True)": (
                    "ignores the options",
                    "each token is chosen as the options say",
                ),
                "sample_next_token(text, row, options, generator=generator) for text, row in zip(unread, logits, strict=True)": (
                    "counts only what the model just read for the penalty",
                    "sample_next_token takes the whole text, prompt included",
                ),
                "sample_next_token(tokens[0], row, options, generator=generator) for row in logits": (
                    "counts the first text's tokens for every text",
                    "each text has a penalty of its own",
                ),
                "sample_next_token(text, logits[0], options, generator=generator) for text in tokens": (
                    "chooses every text's token by the first text's logits",
                    "each text's next token is chosen from its own logits",
                ),
            },
        ),
        Mistake(
            "leaves the prompt out of the penalty",
            "for _ in range(max_new_tokens):\n        logits = forward_with_cache(model, unread, cache)[:, -1]\n"
            "        chosen = [\n            sample_next_token(text,",
            "for n_new in range(max_new_tokens):\n        logits = forward_with_cache(model, unread, cache)[:, -1]\n"
            "        chosen = [\n            sample_next_token(text[len(text) - n_new :],",
            why="sample_next_token takes the whole text, prompt included",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="generators with the same seed must give the same text",
            shows=ignores_the_generator,
        ),
    ],
)
