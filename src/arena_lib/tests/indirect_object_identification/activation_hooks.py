"""Judges of the hooks of activation patching, which exchange one activation for the clean run's.

Shapes:  an activation and a cache -> an activation.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import activation
from arena_lib.tests.indirect_object_identification.small_models import hook_at, make_cache, what_goes_on

__test__ = False

RESIDUAL, HEADS, PATTERN = "batch seq d_model", "batch seq n_heads d_head", "batch n_heads seq_q seq_k"
MAY_WRITE = "a hook may write into the model's tensor"
Places = dict[str, tuple[str, tuple[int, ...], int]]
"""For each label the hook's name, the activation's shape, and the position or head to patch."""


def hook_cases(
    places: Places, index_name: str, axes: str, generator: torch.Generator, kinds: tuple[str, ...]
) -> list[Case]:
    """For each place an activation and a clean run's cache, which holds these kinds in this layer and in layer 0 too."""
    cases = []
    for label, (name, shape, index) in places.items():
        own_layer = name.split(".")[1]
        names = [name, *(f"blocks.{layer}.{kind}" for layer in ("0", own_layer) for kind in kinds)]
        now, elsewhere, *values = torch.randn(2 + len(names), *shape, generator=generator)
        cache = make_cache({"blocks.9.hook_elsewhere": elsewhere} | dict(zip(reversed(names), values, strict=True)))
        cases.append(
            Case(
                label=f"on {name}, {label}",
                given={"now": now, "cache": cache, "name": name, "index": index},
                axes={"activation after the hook": axes},
                call=f"tensor, hook, {index_name}={index}, clean_cache",
            )
        )
    return cases


def exchanged(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook, and whether it left the cache alone."""
    now, cache, name, index = (case.given[key] for key in ("now", "cache", "name", "index"))
    return what_goes_on(function, now, hook_at(name), index, cache, caches={"clean_cache": cache})


def residual_cases(generator: torch.Generator) -> list[Case]:
    """Different places and positions; one prompt; a prompt of one token."""
    places: Places = {
        "a position in the middle": ("blocks.1.hook_resid_pre", (3, 5, 4), 2),
        "the first position": ("blocks.0.hook_attn_out", (2, 4, 3), 0),
        "the last position": ("blocks.2.hook_mlp_out", (4, 3, 5), 2),
        "one prompt": ("blocks.0.hook_resid_pre", (1, 4, 6), 1),
        "prompts of one token": ("blocks.1.hook_attn_out", (2, 1, 3), 0),
    }
    return hook_cases(places, "pos", RESIDUAL, generator, ("hook_resid_pre", "hook_attn_out", "hook_mlp_out"))


def residual_in_place(corrupted_residual_component: Tensor, hook: Any, pos: int, clean_cache: Any) -> None:
    """Writes into what it got."""
    corrupted_residual_component[:, pos, :] = clean_cache[hook.name][:, pos, :]


def residual_by_where(corrupted_residual_component: Tensor, hook: Any, pos: int, clean_cache: Any) -> Tensor:
    """Chooses by position."""
    is_patched = torch.arange(corrupted_residual_component.shape[1]) == pos
    return torch.where(is_patched[:, None], clean_cache[hook.name], corrupted_residual_component)


def hook_mistakes(exchange: str, received: str) -> tuple[Mistake, ...]:
    """What can go wrong in any hook that patches `received` by the line `exchange`, whatever part it patches."""
    into, source = exchange.split(" = ")
    part = into.removeprefix("patched")
    replaces = "patching replaces the corrupted value by the clean one"
    writes_into_the_cache = (
        "writes into the clean run's cache",
        "the next patch needs the cache unchanged: write into the model's tensor, or make a new one",
    )
    wrong = {
        f"{source} = {into}": writes_into_the_cache,
        f"{source} = {into}; patched = clean": writes_into_the_cache,
        f"kept = {source}.clone(); clean[:] = patched; {source} = kept; patched = clean": writes_into_the_cache,
        f"{into} += {source}": ("adds the clean activation", replaces),
        f"{into} = ({into} + {source}) / 2": ("uses the mean of both runs", replaces),
        f"patched[0{part[2:]} = clean[0{part[2:]}": (
            "patches the first prompt only",
            "all prompts are patched at once",
        ),
        f"clean, patched = patched, clean.clone(); {exchange}": (
            "patches everything except what it should",
            "only the entries of the given index come from the clean run, and all others stay as they were",
        ),
    }
    same_prompt = "each prompt gets the value of the clean prompt with the same index"
    same_hook = "the clean value is the activation of the same hook: clean_cache[hook.name]"
    sources = {
        "torch.zeros_like(clean_cache[hook.name])": (
            "sets the activation to zero",
            "patching uses the clean run's value; setting zeros is ablation",
        ),
        "clean_cache[hook.name].mean(dim=0, keepdim=True)": ("averages the clean run over prompts", same_prompt),
        "clean_cache[hook.name][:1]": ("uses the first clean prompt for all prompts", same_prompt),
        "next(iter(clean_cache.values()))": ("uses the first activation in the cache", same_hook),
        'clean_cache[hook.name.replace(f"blocks.{hook.layer()}.", "blocks.0.")]': (
            "always uses layer 0 of the clean run",
            same_hook,
        ),
    }
    returns = {
        "return None": (
            "changes a copy and returns nothing",
            "the patched copy is a new tensor: return it, or write into the tensor that the hook received",
        ),
        f"return patched{part}": (
            "returns only the patched part",
            "the tensor that a hook returns replaces the whole activation, so it must have the whole shape",
        ),
    }
    zeros = {
        f"torch.zeros_like({received})": (
            "sets everything else to zero",
            "everything that is not patched keeps its corrupted value",
        )
    }
    return (
        *instead_of(exchange, wrong),
        *instead_of("clean_cache[hook.name]", sources),
        *instead_of(f"{received}.clone()", zeros),
        *instead_of("return patched", returns),
    )


def exchanged_at(axis: int) -> Callable[..., Tensor]:
    """A wrong version that takes the index along this axis."""

    def patch(tensor: Tensor, hook: Any, index: int, clean_cache: Any) -> Tensor:
        at: tuple[Any, ...] = (*(slice(None),) * axis, index % tensor.shape[axis])
        tensor[at] = clean_cache[hook.name][at]
        return tensor

    return patch


PATCHES_POSITION = "patched[:, pos] = clean[:, pos]"

test_patch_residual_component = exercise(
    reference=activation.patch_residual_component,
    cases=residual_cases,
    observe=exchanged,
    accepts=[residual_in_place, residual_by_where],
    equivalent={"patched = corrupted_residual_component.clone() -> patched = corrupted_residual_component": MAY_WRITE},
    mistakes=[
        *hook_mistakes(PATCHES_POSITION, "corrupted_residual_component"),
        *instead_of(
            PATCHES_POSITION,
            {
                "patched[:] = clean": (
                    "patches all positions",
                    "only the position pos comes from the clean run; the others stay corrupted",
                ),
                "patched[:, pos:] = clean[:, pos:]": (
                    "patches from position pos on",
                    "only position pos is patched, so that its own effect is seen",
                ),
                "patched[:, : pos + 1] = clean[:, : pos + 1]": (
                    "patches up to position pos",
                    "only position pos is patched, so that its own effect is seen",
                ),
                "patched[:, :pos] = clean[:, :pos]": (
                    "patches the positions before pos",
                    "position pos itself is patched, and no other",
                ),
                "patched[:, pos] = clean[:, -1]": (
                    "uses the clean run's last position",
                    "position pos gets the clean run's value at the same position",
                ),
            },
        ),
        *instead_of(
            "clean_cache[hook.name]",
            {
                'clean_cache[f"blocks.{hook.layer()}.hook_resid_pre"]': (
                    "always uses the clean run's resid_pre",
                    "the clean value is the activation of the same hook: clean_cache[hook.name]",
                )
            },
        ),
        Mistake(
            "indexes the prompts instead of the positions",
            function=exchanged_at(0),
            why="the axes are batch, seq, d_model, so positions are the second axis",
        ),
        Mistake(
            "indexes d_model instead of the positions",
            function=exchanged_at(2),
            why="the axes are batch, seq, d_model, so positions are the second axis",
        ),
    ],
)


def head_cases(generator: torch.Generator) -> list[Case]:
    """Outputs, queries and keys; heads at both ends and in the middle; one prompt."""
    places: Places = {
        "the output of a head": ("blocks.1.attn.hook_z", (3, 5, 4, 2), 2),
        "the query of the first head": ("blocks.0.attn.hook_q", (4, 3, 2, 5), 0),
        "the key of the last head": ("blocks.2.attn.hook_k", (2, 6, 3, 4), 2),
        "one prompt": ("blocks.1.attn.hook_v", (1, 4, 5, 3), 3),
    }
    return hook_cases(places, "head_index", HEADS, generator, tuple(f"attn.hook_{part}" for part in "zqkv"))


def head_in_place(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> Tensor:
    """Copies into what it got, and returns that."""
    corrupted_head_vector[..., head_index, :].copy_(clean_cache[hook.name][..., head_index, :])
    return corrupted_head_vector


def head_by_mask(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> Tensor:
    """Chooses by head; the cache is asked by short name and layer."""
    is_patched = (torch.arange(corrupted_head_vector.shape[-2]) == head_index)[:, None]
    return clean_cache[hook.name.split("_")[-1], hook.layer()].where(is_patched, corrupted_head_vector)


PATCHES_HEAD = "patched[:, :, head_index] = clean[:, :, head_index]"
HEADS_WHY = "the axes are batch, seq, n_heads, d_head, so heads are the third axis"

test_patch_head_vector = exercise(
    reference=activation.patch_head_vector,
    cases=head_cases,
    observe=exchanged,
    accepts=[head_in_place, head_by_mask],
    equivalent={"patched = corrupted_head_vector.clone() -> patched = corrupted_head_vector": MAY_WRITE},
    mistakes=[
        *hook_mistakes(PATCHES_HEAD, "corrupted_head_vector"),
        *instead_of(
            PATCHES_HEAD,
            {
                "patched[:] = clean": (
                    "patches all heads",
                    "the other heads of the layer keep their corrupted values",
                ),
                "patched[:, -1, head_index] = clean[:, -1, head_index]": (
                    "patches the last position only",
                    "the head is patched at all positions",
                ),
                "patched[:, 0, head_index] = clean[:, 0, head_index]": (
                    "patches the first position only",
                    "the head is patched at all positions",
                ),
                "patched[:, :, : head_index + 1] = clean[:, :, : head_index + 1]": (
                    "patches the earlier heads too",
                    "the other heads of the layer keep their corrupted values",
                ),
                "patched[:, :, head_index] = clean[:, :, 0]": (
                    "uses the first head's clean value",
                    "a head gets the clean run's value of the same head",
                ),
            },
        ),
        *instead_of(
            "clean_cache[hook.name]",
            {
                'clean_cache[f"blocks.{hook.layer()}.attn.hook_z"]': (
                    "always uses the clean run's z",
                    "the clean value is the activation of the same hook: clean_cache[hook.name]",
                ),
                "clean_cache[hook.name].mean(dim=1, keepdim=True)": (
                    "averages the clean run over positions",
                    "each position gets the clean run's value at the same position",
                ),
                "clean_cache[hook.name].mean(dim=2, keepdim=True).expand_as(clean_cache[hook.name])": (
                    "averages the clean run over the heads",
                    "a head gets the clean run's value of the same head",
                ),
            },
        ),
        Mistake("uses the axis of positions as that of the heads", function=exchanged_at(1), why=HEADS_WHY),
        Mistake("uses the last axis as that of the heads", function=exchanged_at(3), why=HEADS_WHY),
    ],
)


def pattern_cases(generator: torch.Generator) -> list[Case]:
    """Patterns of different sizes: heads at both ends and in the middle; one prompt."""
    places: Places = {
        "a head in the middle": ("blocks.1.attn.hook_pattern", (2, 4, 3, 3), 1),
        "the first head": ("blocks.0.attn.hook_pattern", (3, 2, 5, 5), 0),
        "the last head": ("blocks.2.attn.hook_pattern", (4, 3, 6, 6), 2),
        "one prompt": ("blocks.1.attn.hook_pattern", (1, 3, 4, 4), 1),
    }
    return hook_cases(places, "head_index", PATTERN, generator, ("attn.hook_pattern",))


def pattern_in_place(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> None:
    """Writes into what it got."""
    corrupted_head_vector[:, head_index, :, :] = clean_cache[hook.name][:, head_index, :, :]


PATCHES_PATTERN = "patched[:, head_index] = clean[:, head_index]"
PATTERN_WHY = "a pattern has the axes batch, n_heads, seq_q, seq_k, so heads are the second axis"

test_patch_attn_patterns = exercise(
    reference=activation.patch_attn_patterns,
    cases=pattern_cases,
    observe=exchanged,
    accepts=[pattern_in_place],
    equivalent={"patched = corrupted_head_vector.clone() -> patched = corrupted_head_vector": MAY_WRITE},
    mistakes=[
        *hook_mistakes(PATCHES_PATTERN, "corrupted_head_vector"),
        *instead_of(
            PATCHES_PATTERN,
            {
                "patched[:] = clean": (
                    "patches all heads",
                    "the other heads of the layer keep their patterns of the corrupted run",
                ),
                "patched[:, head_index, -1] = clean[:, head_index, -1]": (
                    "patches the last query only",
                    "the whole pattern of the head is patched, every query's row",
                ),
                "patched[:, head_index] = clean[:, head_index].softmax(dim=-1)": (
                    "applies softmax to the clean pattern",
                    "a pattern comes after the softmax, so it is used as it is",
                ),
                "patched[:, head_index] = clean[:, head_index].transpose(-1, -2)": (
                    "swaps queries and keys",
                    "rows are queries in both runs, so the clean pattern is used without a transpose",
                ),
            },
        ),
        Mistake("uses the queries' axis as that of the heads", function=exchanged_at(2), why=PATTERN_WHY),
        Mistake("uses the keys' axis as that of the heads", function=exchanged_at(3), why=PATTERN_WHY),
        Mistake("uses the prompts' axis as that of the heads", function=exchanged_at(0), why=PATTERN_WHY),
    ],
)
