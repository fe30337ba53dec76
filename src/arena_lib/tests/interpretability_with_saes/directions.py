"""Judges of what a latent does to logits, section 1.3.3.

Shapes:  directions "n_chosen d_model"; W_U "d_model d_vocab"; gain "d_model"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.saes.analysis.directions import logits
from arena_lib.tests.interpretability_with_saes.small_models import GPT, LLAMA, RESID, make_model, make_sae

__test__ = False

# -- project_to_logits --------------------------------------------------------------------------------


def projection_cases(generator: torch.Generator) -> list[Case]:
    """With and without a centring norm; directions and rows of W_U that aren't centred themselves."""

    def case(label: str, n_chosen: int, d_model: int, d_vocab: int, is_centred: bool) -> Case:
        directions = 0.5 + torch.randn(n_chosen, d_model, generator=generator)
        W_U = 0.3 + torch.randn(d_model, d_vocab, generator=generator)
        gain = 0.5 + torch.rand(d_model, generator=generator)
        return Case(label=label, args=(directions, W_U, gain, is_centred), axes={"output": "n_chosen d_vocab"})

    return [
        case("a Llama's norm", 3, 5, 7, False),
        case("a GPT-2's norm, which centres", 3, 5, 7, True),
        case("one latent", 1, 4, 6, False),
    ]


def project_by_folding(directions: Tensor, W_U: Tensor, gain: Tensor, is_centred: bool = False) -> Tensor:
    """Folds everything into the unembedding."""
    folded = gain[:, None] * W_U
    if is_centred:
        folded = folded - folded.mean(dim=0)
    return torch.einsum("nd,dv->nv", directions, folded - folded.mean(dim=1, keepdim=True))


THE_MEAN = "a number added to all logits changes no probability, so each row's mean over the vocabulary is taken away"

test_project_to_logits = exercise(
    reference=logits.project_to_logits,
    cases=projection_cases,
    observe=outputs_and_gradients,
    accepts=[project_by_folding],
    mistakes=[
        *instead_of(
            "logits - logits.mean(dim=-1, keepdim=True)",
            {
                "logits": ("does not centre the logits", THE_MEAN),
                "logits - logits.mean(dim=0, keepdim=True)": ("takes the mean over latents", THE_MEAN),
                "logits - logits.mean()": ("takes one mean for all latents", THE_MEAN),
                "logits.log_softmax(dim=-1)": ("gives log probabilities", THE_MEAN),
            },
        ),
        *instead_of(
            "(directions * gain) @ W_U",
            {
                "directions @ W_U": ("forgets the final norm's gain", "the norm multiplies each entry by its gain"),
                "(directions / gain) @ W_U": ("divides by the gain", "the norm multiplies each entry by its gain"),
                "(directions + gain) @ W_U": ("adds the gain", "the norm multiplies each entry by its gain"),
                "(directions / directions.norm(dim=-1, keepdim=True) * gain) @ W_U": (
                    "normalises the directions",
                    "the direction is used as it is",
                ),
            },
        ),
        *instead_of(
            "directions - directions.mean(dim=-1, keepdim=True)",
            {
                "directions": ("never centres the directions", "a LayerNorm takes each vector's mean away"),
                "directions - (directions * gain).mean(dim=-1, keepdim=True) / gain": (
                    "centres after the gain",
                    "a LayerNorm takes the mean away first, and multiplies by its gain then",
                ),
                "directions - directions.mean(dim=0, keepdim=True)": (
                    "takes the mean of all directions",
                    "a LayerNorm takes away the mean over d_model",
                ),
            },
        ),
        Mistake("always centres", "if is_centred:", "if True:", why="an RMSNorm doesn't take the mean away"),
        Mistake("centres where the norm doesn't", "if is_centred:", "if not is_centred:", why="only a LayerNorm does"),
    ],
)

# -- find_top_logits ----------------------------------------------------------------------------------


def top_cases(generator: torch.Generator) -> list[Case]:
    """Both forms of models, an SAE of the stream and one of heads, few tokens and all."""
    llama, gpt = make_model(LLAMA, generator), make_model(GPT, generator)
    heads = make_sae(generator, "blocks.1.attn.hook_z", d_in=LLAMA.n_heads * LLAMA.d_head)
    nameless = make_sae(generator, "")
    return [
        Case(label="tokens of a Llama", args=(llama, make_sae(generator), 3, 4)),
        Case(label="tokens of a GPT-2", args=(gpt, make_sae(generator), 5, 3)),
        Case(label="tokens, of which all are asked for", args=(llama, make_sae(generator), 0, LLAMA.d_vocab)),
        Case(label="an SAE of heads", args=(llama, heads, 2, 5)),
        Case(label="a hook by name", args=(llama, nameless, 8, 2), kwargs={"hook_name": RESID}),
    ]


def both_ends(function: Callable[..., Any], case: Case) -> Observations:
    """The tokens of both ends with their numbers; any pair of lists will do."""
    ends = function(*case.args, **case.kwargs)
    if not isinstance(ends, (tuple, list)) or len(ends) != 2:
        raise Unfit(f"find_top_logits must return two lists, TokenEffects(top, bottom): got {type(ends).__name__}.")
    top, bottom = ends
    return {
        "tokens at the top": [token for token, _ in top],
        "numbers at the top": torch.tensor([float(number) for _, number in top]),
        "tokens at the bottom": [token for token, _ in bottom],
        "numbers at the bottom": torch.tensor([float(number) for _, number in bottom]),
    }


def ends_by_topk(model: Any, sae: Any, latent_idx: int, k: int = 10, *, hook_name: str | None = None) -> Any:
    """Picks by topk."""
    values = logits.compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0]
    pairs = []
    for is_largest in (True, False):
        numbers, ids = values.topk(k, largest=is_largest)
        pairs.append([(model.tokenizer.decode([int(i)]), float(v)) for i, v in zip(ids, numbers, strict=True)])
    return tuple(pairs)


def ends_of_encoder(model: Any, sae: Any, latent_idx: int, k: int = 10, *, hook_name: str | None = None) -> Any:
    """The mistake of taking the direction that the latent reads."""
    place = logits.find_place(model, sae, hook_name)
    gain, is_centred = place.lm.gain(None)
    size = min(sae.W_enc.shape[0], model.cfg.d_model)
    direction = torch.zeros(1, model.cfg.d_model)
    direction[0, :size] = sae.W_enc[:size, latent_idx]
    return logits.list_ends(place, logits.project_to_logits(direction, model.W_U, gain, is_centred)[0], k)


def ends_of_the_largest(model: Any, sae: Any, latent_idx: int, k: int = 10, *, hook_name: str | None = None) -> Any:
    """The mistake of taking the k largest sizes, whatever their sign."""
    place = logits.find_place(model, sae, hook_name)
    values = logits.compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0]
    ids = values.abs().argsort(descending=True)[:k].tolist()
    pairs = list(zip(logits.token_texts(place.lm, ids), values[ids].tolist(), strict=True))
    return [pair for pair in pairs if pair[1] > 0], [pair for pair in pairs if pair[1] <= 0]


ENDS = "the k that are raised most, the most raised first; then the k that are lowered most, the most lowered first"

test_find_top_logits = exercise(
    reference=logits.find_top_logits,
    cases=top_cases,
    observe=both_ends,
    accepts=[ends_by_topk],
    mistakes=[
        *instead_of(
            "compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0]",
            {
                "-compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0]": (
                    "turns the sign round",
                    "the tokens that the latent raises come first",
                ),
                "compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0].abs()": (
                    "takes absolute values",
                    "raised tokens are one end, lowered ones the other",
                ),
                "compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0].log_softmax(dim=-1)": (
                    "gives log probabilities",
                    "what is asked for is what a unit of the latent adds to the logits",
                ),
                "compute_latent_logits(model, sae, [0], hook_name=hook_name)[0]": (
                    "always takes the first latent",
                    "latent_idx says which one",
                ),
            },
        ),
        *instead_of(
            "return list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k)",
            {
                "top, bottom = list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k)\n"
                "    return TokenEffects(bottom, top)": ("puts the lowered ones first", ENDS),
                "top, bottom = list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k)\n"
                "    return TokenEffects(top, bottom[::-1])": ("lists the most lowered last", ENDS),
                "return list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], 10)": (
                    "ignores k",
                    ENDS,
                ),
            },
        ),
        Mistake("takes the k largest sizes", function=ends_of_the_largest, why=ENDS),
        Mistake(
            "takes the encoder's direction", function=ends_of_encoder, why="a latent writes along its row of W_dec"
        ),
    ],
    equivalent={"0 -> -1": "one latent was asked for"},
)
test_show_top_logits = test_find_top_logits.part("tokens")
