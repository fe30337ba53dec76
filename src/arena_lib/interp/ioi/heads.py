"""Which heads do what in the task, decided by what they are seen to do: measures, thresholds, classes.

A head belongs to a class by three kinds of evidence: where it looks, what it does to what it looks at, and
what is lost without it. Each class states its own (`classify_heads`), a head may be in several classes, and a
model may have none of one.

Shapes:  "n_layers n_heads" for each measure.
Raises:  what `interp.models` raises; UnknownNameError for a kind of head that there is no score of.
Source:  Wang et al. 2022, arXiv:2211.00593, section 3 (classes) and appendix H (validation on random tokens).
Differs: classes are decided by thresholds, which are stated, in place of by eye. Effects are shares of what
         the model does: the logit difference lost, of that between IOI and ABC prompts. "S suppression" isn't in
         the paper: its S-inhibition heads act on the queries of name movers; these write against S themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import UnknownNameError
from arena_lib.interp.heads import (
    duplicate_attn_scores,
    generate_repeated_tokens,
    induction_attn_scores,
    prev_attn_scores,
    scores_by_layer,
)
from arena_lib.interp.hooking import hooked
from arena_lib.interp.ioi.copying import get_copying_scores
from arena_lib.interp.ioi.prompts import IOIDataset
from arena_lib.interp.models import Head, HookedLM
from arena_lib.interp.patching import nodes
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.metrics import Metric, ioi_path_metric, logits_to_ave_logit_diff
from arena_lib.interp.patching.path_fast import names_for_paths, path_patch_each, path_patch_heads

HeadType = Literal["duplicate", "prev", "induction"]
Measure = Float[Tensor, "n_layers n_heads"]
ATTENTION = (("end", "IO"), ("end", "S1"), ("end", "S2"), ("S2", "S1"), ("S2", "S1+1"), ("S1+1", "S1"))
"""From where to where attention is measured."""
LOOKS_AT = {"previous token": ("S1+1", "S1"), "duplicate token": ("S2", "S1"), "induction": ("S2", "S1+1")}
"""For the classes before the end, where their heads stand and where they look."""
RANDOM_SIZES = (20, 12)
"""How many random tokens are written twice, and in how many texts."""


@torch.no_grad()
def get_attn_scores(
    model: Any,
    seq_len: int,
    batch: int,
    head_type: str,
    token_ids: Int[Tensor, " n_ids"] | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n_layers n_heads"]:
    """How much each head of a model looks where its kind would, on random tokens written twice; from 0 to 1.

    The tokens are `generate_repeated_tokens(model, seq_len, batch, token_ids, generator)`: the token that
    begins a text, then n = `seq_len` random ones, then the same again, so token i of the first copy
    stands at position 1 + i, and of the second at n + 1 + i. A score is the mean over the batch and over
    all pairs of positions of the attention

    - "duplicate": from n + 1 + i to 1 + i, the same token before,
    - "prev": from each position but the first to the one before it,
    - "induction": from n + 1 + i to 2 + i, what came after the same token before.

    i goes from 0 to n - 1. Attention is `cache["pattern", layer]`, "batch n_heads seq_q seq_k".
    """
    scores = {"duplicate": duplicate_attn_scores, "prev": prev_attn_scores, "induction": induction_attn_scores}
    if head_type not in scores:
        raise UnknownNameError("kind of head", head_type, get_args(HeadType))
    tokens = generate_repeated_tokens(model, seq_len, batch, token_ids, generator)
    lm = hooked(model)
    _, cache = lm.run_with_cache(tokens, [f"blocks.{layer}.attn.hook_pattern" for layer in range(lm.n_layers)])
    return scores_by_layer(cache, scores[head_type])


@dataclass(frozen=True, kw_only=True)
class HeadMeasures:
    """What was seen of each head. Effects are changes of the logit difference: -1 is all that the model does."""

    attention: Mapping[str, Measure]
    """Mean attention, by "end->IO" and the like."""
    random: Mapping[str, Measure]
    """`get_attn_scores` by kind."""
    copying: Float[Tensor, "2 n_layers n_heads"]
    """Positive and negative copying scores; 0 in layer 0, where there are none."""
    to_logits: Float[Tensor, "2 n_layers n_heads"]
    """The effect of path patching each head to the final residual stream, on ABBA and on BABA prompts; on all, for a
    form that there is none of."""
    output: Mapping[str, Measure]
    """By class of `LOOKS_AT`: the effect of patching a head's output where it stands, however that goes on from
    there, for the heads that look where the class does; 0 for the others."""
    to_movers: Measure
    """The effect of path patching a head to the queries of the name movers, for the heads that look from the end to
    S2; 0 for the others, and where there is no name mover."""

    def of(self, head: Head) -> dict[str, float]:
        """Every measure of one head, by name."""
        named = {f"attention {name}": values for name, values in self.attention.items()}
        named |= {f"{name} on random tokens": values for name, values in self.random.items()}
        named |= {"copying": self.copying[0], "negative copying": self.copying[1]}
        named |= {"to logits, ABBA": self.to_logits[0], "to logits, BABA": self.to_logits[1]}
        named |= {f"output as {kind}": values for kind, values in self.output.items()}
        named["to movers' queries"] = self.to_movers
        return {name: float(values[head]) for name, values in named.items()}


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on a measure counts."""

    attention: float = 0.3
    """Mean attention on prompts; twice what two names would share with two other tokens."""
    random: float = 0.3
    """Mean attention on random tokens."""
    copying: float = 0.5
    """Share of names copied; a head that knows nothing gets about k / d_vocab."""
    effect: float = 0.02
    """Share of what the model does that is lost or gained."""


@torch.no_grad()
def measure_heads(
    model: Any,
    dataset: IOIDataset,
    abc_dataset: IOIDataset,
    names: Int[Tensor, " n_names"],
    *,
    generator: torch.Generator,
    token_ids: Int[Tensor, " n_ids"] | None = None,
    thresholds: Thresholds | None = None,
) -> HeadMeasures:
    """Everything that decides about classes. `names` are tokens; random tokens are drawn from `token_ids`."""
    lm, t = hooked(model), thresholds or Thresholds()
    patterns = [f"blocks.{layer}.attn.hook_pattern" for layer in range(lm.n_layers)]
    logits, cache = lm.run_with_cache(dataset.toks, [*names_for_paths(lm), *patterns])
    new_logits, new_cache = lm.run_with_cache(abc_dataset.toks, names_for_paths(lm))
    metric = share_lost(logits, new_logits, dataset)

    experiment = PathExperiment(
        dataset.toks, abc_dataset.toks, read_at=dataset.at("end"), orig_cache=cache, new_cache=new_cache
    )
    attention = mean_attention(lm, dataset, cache)
    copying = torch.nn.functional.pad(get_copying_scores(lm, 5, names), (0, 0, 1, 0))
    is_abba = torch.tensor([prompt.is_io_first for prompt in dataset.prompts])
    to_logits = []
    for form in (is_abba, ~is_abba):
        of_form = share_lost(logits, new_logits, dataset, form if form.any() else None)
        final = [nodes.FinalResidual()]
        to_logits.append(path_patch_heads(lm, experiment, final, of_form))
    movers = find_movers(attention, copying, torch.stack(to_logits), t)
    to_movers = torch.zeros(lm.n_layers, lm.n_heads, device=lm.device)
    queries = [nodes.HeadInput(layer, head, "q") for layer, head in movers]
    looking = [nodes.Head(*head) for head in as_heads(attention["end->S2"] >= t.attention)]
    senders = [head for head in looking if any(nodes.reaches(head, query) for query in queries)]
    if senders:
        effects = path_patch_each(lm, experiment, senders, queries, metric)
        to_movers[[head.layer for head in senders], [head.head for head in senders]] = effects
    return HeadMeasures(
        attention=attention,
        random={kind: get_attn_scores(lm, *RANDOM_SIZES, kind, token_ids, generator) for kind in get_args(HeadType)},
        copying=copying,
        to_logits=torch.stack(to_logits),
        output={
            kind: patch_outputs_at(
                lm, dataset, place, (cache, new_cache), metric, attention[f"{place}->{key}"] >= t.attention
            )
            for kind, (place, key) in LOOKS_AT.items()
        },
        to_movers=to_movers,
    )


def mean_attention(lm: HookedLM, dataset: IOIDataset, cache: Any) -> dict[str, Measure]:
    """Mean attention of each head between the places of `ATTENTION`, by "end->IO" and the like."""
    rows = torch.arange(len(dataset))
    return {
        f"{query}->{key}": torch.stack(
            [
                cache["pattern", layer][rows, :, dataset.at(query), dataset.at(key)].mean(dim=0)
                for layer in range(lm.n_layers)
            ]
        )
        for query, key in ATTENTION
    }


def share_lost(
    logits: Float[Tensor, "batch seq d_vocab"],
    new_logits: Float[Tensor, "batch seq d_vocab"],
    dataset: IOIDataset,
    among: Tensor | None = None,
) -> Metric:
    """The metric by which effects are measured, of all prompts or `among` some: 0 for these logits, -1 for the new ones.

    It takes logits at every position, or at each prompt's "end" alone.
    """
    among = torch.ones(len(dataset), dtype=torch.bool) if among is None else among
    rows, answers = torch.arange(len(dataset)), dataset.answer_tokens[among]
    at_end = [x[rows, dataset.at("end")][:, None][among] for x in (logits, new_logits)]
    orig, new = (logits_to_ave_logit_diff(x, answers) for x in at_end)

    def metric(patched: Float[Tensor, "batch seq d_vocab"]) -> Float[Tensor, ""]:
        last = patched if patched.shape[1] == 1 else patched[rows, dataset.at("end")][:, None]
        return ioi_path_metric(last[among], answers, orig, new)

    return metric


def patch_outputs_at(
    lm: HookedLM, dataset: IOIDataset, role: str, caches: tuple[Any, Any], metric: Metric, among: Tensor
) -> Measure:
    """The metric with one head's output at a role's position taken from the other run, for the heads in `among`."""
    own, other = caches
    rows, places = torch.arange(len(dataset)), dataset.at(role)
    effects = torch.zeros(lm.n_layers, lm.n_heads, device=lm.device)
    for layer, head in as_heads(among):
        name = f"blocks.{layer}.attn.hook_z"
        z = own[name].clone()
        z[rows, places, head] = other[name][rows, places, head]
        resid = own[f"blocks.{layer}.hook_resid_pre"]
        effects[layer, head] = metric(lm.run(resid, [(name, partial(_put, value=z))], start_at_layer=layer))
    return effects


def _put(z: Tensor, hook: Any, value: Tensor) -> Tensor:
    return value


def find_movers(
    attention: Mapping[str, Measure], copying: Tensor, to_logits: Tensor, thresholds: Thresholds
) -> list[Head]:
    """Heads that look from the end to the IO, copy names, and lose logit difference on ABBA or BABA prompts."""
    found = (attention["end->IO"] >= thresholds.attention) & (copying[0] >= thresholds.copying)
    return as_heads(found & (to_logits.amin(dim=0) <= -thresholds.effect))


def classify_heads(measures: HeadMeasures, thresholds: Thresholds | None = None) -> dict[str, list[Head]]:
    """The heads of each class, in the order of layers. A head may be in several.

    Looks from -> to, and does:

    - "name mover": end -> IO, copies names, logit difference is lost when it is path patched to the logits.
    - "negative name mover": end -> IO or S1, copies negatively, logit difference is gained.
    - "S suppression": end -> S2, copies negatively, logit difference is lost.
    - "S-inhibition": end -> S2, logit difference is lost when it is path patched to the name movers' queries.
    - "induction": S2 -> S1+1 and so on random tokens; its output at S2 matters.
    - "duplicate token": S2 -> S1 and so on random tokens; its output at S2 matters.
    - "previous token": S1+1 -> S1 and so on random tokens; its output at S1+1 matters.
    - "unexplained": in no other class, and logit difference is lost or gained when it is path patched to the logits.
    """
    t = thresholds or Thresholds()
    looks = {name: values >= t.attention for name, values in measures.attention.items()}
    kind = {name: values >= t.random for name, values in measures.random.items()}
    suppresses = measures.copying[1] >= t.copying
    loses, gains = measures.to_logits.amin(dim=0) <= -t.effect, measures.to_logits.amax(dim=0) >= t.effect
    matters = {name: effect.abs() >= t.effect for name, effect in measures.output.items()}
    classes = {
        "name mover": find_movers(measures.attention, measures.copying, measures.to_logits, t),
        "negative name mover": as_heads((looks["end->IO"] | looks["end->S1"]) & suppresses & gains),
        "S suppression": as_heads(looks["end->S2"] & suppresses & loses),
        "S-inhibition": as_heads(looks["end->S2"] & (measures.to_movers <= -t.effect)),
        "induction": as_heads(looks["S2->S1+1"] & kind["induction"] & matters["induction"]),
        "duplicate token": as_heads(looks["S2->S1"] & kind["duplicate"] & matters["duplicate token"]),
        "previous token": as_heads(looks["S1+1->S1"] & kind["prev"] & matters["previous token"]),
    }
    known = {head for heads in classes.values() for head in heads}
    return classes | {"unexplained": [head for head in as_heads(loses | gains) if head not in known]}


def as_heads(is_in: Tensor) -> list[Head]:
    """The heads for which it is true."""
    return [(int(layer), int(head)) for layer, head in is_in.nonzero().tolist()]
