"""The direct path in closed form: what a sender's change does where it arrives, with nothing in between.

Along the skip connections a change of a head's output is only added. So the residual stream that the final
norm reads is the original one plus the change, for every sender at once:

    change of head h   (z_new - z_orig)[h] W_O[h]
    logits             unembed(norm(final + change)), the norm recomputed with the change in it
    query of a head    q_orig + (norm(resid_pre + change) - norm(resid_pre)) W_Q

No run of the model is needed beyond the two that are cached.

Shapes:  caches of "batch seq" tokens; changes "senders batch seq d_model"; logits "senders batch seq_out n".
Raises:  what `check_nodes` and `difference` do; UnknownNameError or KeyError for what a cache doesn't hold.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits" (direct paths); Wang et al.
         2022, arXiv:2211.00593, appendix B.
Differs: norms are exact: their scale is that of the changed stream, where direct logit attribution keeps the old one.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM
from arena_lib.interp.patching.activation import Cache
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.nodes import (
    MLP,
    Embed,
    FinalResidual,
    Head,
    HeadInput,
    Part,
    Sender,
    check_nodes,
    reaches,
)
from arena_lib.interp.patching.readout import ReadAt, difference, find_positions, keep_positions
from arena_lib.interp.patching.sweeps import sweep_heads

Keep = Callable[[Tensor], Tensor]
"""Takes the positions that matter out of "batch seq ..."."""


@torch.no_grad()
def direct_path_logits(
    model: AnyModel,
    orig_cache: Cache,
    new_cache: Cache,
    senders: Sequence[Sender],
    *,
    read_at: ReadAt = None,
    tokens: Int[Tensor, "batch n"] | None = None,
) -> Float[Tensor, "senders batch seq_out n"]:
    """The original prompts' logits if each sender in turn, on its direct path alone, sent what it has in the new cache.

    With `read_at` at one position of each prompt; with `tokens` for these few tokens of each prompt, such as the
    right and the wrong answer: then no other logits are made, and all heads of GPT-2 take milliseconds.
    """
    lm = hooked(model)
    check_nodes(lm, senders, [FinalResidual()])
    final = orig_cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"]
    keep = partial(keep_positions, positions=find_positions(lm, final.shape[:2], read_at))
    resid = keep(final) + sender_changes(lm, senders, orig_cache, new_cache, keep)
    if tokens is not None:
        return lm.unembed_tokens(resid, tokens)
    return lm.unembed(resid.flatten(0, 1)).unflatten(0, (len(senders), -1))


@torch.no_grad()
def direct_path_head_inputs(
    model: AnyModel, orig_cache: Cache, new_cache: Cache, senders: Sequence[Sender], layer: int, part: Part
) -> Float[Tensor, "senders batch seq n_heads d_head"]:
    """The original prompts' queries, keys or values of a layer if each sender in turn were new to them alone.

    By query head: those that heads share are repeated, so that [:, :, :, h] is what head h sees.
    """
    lm = hooked(model)
    heads = range(lm.n_heads)
    check_nodes(lm, senders, [HeadInput(layer, 0, part)])
    changes = sender_changes(lm, senders, orig_cache, new_cache)
    own = lm.repeat_kv(orig_cache[f"blocks.{layer}.attn.hook_{part}"], axis=2)
    return own + head_input_changes(lm, orig_cache, layer, part, heads, changes)


def direct_path_to_heads(
    model: AnyModel,
    orig_tokens: Int[Tensor, "batch seq"],
    orig_cache: Cache,
    new_cache: Cache,
    sender: Sender,
    part: Part,
    metric: Metric,
    *,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "n_layers n_heads"]:
    """The metric if one head alone made its query (key, value) from what the sender has in the new cache, head by head.

    What arrives at the heads is the closed form; `sweep_heads` does the rest. Heads that the sender doesn't come
    before have the original metric.
    """
    lm = hooked(model)
    check_nodes(lm, [sender], [HeadInput(lm.n_layers - 1, 0, part)])
    arrived = {}
    for layer in range(lm.n_layers):
        name = f"blocks.{layer}.attn.hook_{part}"
        arrived[name] = orig_cache[name]
        if reaches(sender, HeadInput(layer, 0, part)):
            by_head = direct_path_head_inputs(lm, orig_cache, new_cache, [sender], layer, part)[0]
            arrived[name] = by_head[:, :, :: lm.n_heads // orig_cache[name].shape[2]]
    return sweep_heads(lm, orig_tokens, arrived, metric, part, read_at=read_at, max_tokens=max_tokens)


# -- what senders change ---------------------------------------------------------------------------


def sender_changes(
    lm: HookedLM, senders: Sequence[Sender], orig_cache: Cache, new_cache: Cache, keep: Keep = lambda tensor: tensor
) -> Float[Tensor, "senders batch seq_out d_model"]:
    """What each sender adds to the residual stream on the new prompts, less what it adds on the original ones."""
    lm.require(Assumption.STREAM)
    changes: dict[Sender, Tensor] = {}
    for layer in sorted({sender.layer for sender in senders if isinstance(sender, Head)}):
        heads = [sender.head for sender in dict.fromkeys(senders) if isinstance(sender, Head) and sender.layer == layer]
        z = keep(difference(new_cache, orig_cache, f"blocks.{layer}.attn.hook_z"))
        written = torch.einsum("bsnh,nhm->nbsm", z[:, :, heads], lm.W_O(layer)[heads])
        changes |= {Head(layer, head): change for head, change in zip(heads, written, strict=True)}
    for sender in senders:
        if isinstance(sender, MLP):
            changes[sender] = keep(difference(new_cache, orig_cache, f"blocks.{sender.layer}.hook_mlp_out"))
        elif isinstance(sender, Embed):
            changes[sender] = keep(difference(new_cache, orig_cache, "blocks.0.hook_resid_pre"))
    return torch.stack([changes[sender] for sender in senders])


def head_input_changes(
    lm: HookedLM,
    orig_cache: Cache,
    layer: int,
    part: Part,
    heads: Sequence[int],
    changes: Float[Tensor, "rows batch seq d_model"],
) -> Float[Tensor, "rows batch seq heads d_head"]:
    """What a change of the stream that enters a layer changes some heads' queries, keys or values by, the norm exact."""
    resid_pre = orig_cache[f"blocks.{layer}.hook_resid_pre"]
    normed = lm.norm(layer, "ln1", (resid_pre + changes).flatten(0, 1)).unflatten(0, changes.shape[:2])
    weight = {"q": lm.W_Q, "k": lm.W_K, "v": lm.W_V}[part](layer)[list(heads)]
    return torch.einsum("rbsm,nmh->rbsnh", normed - lm.norm(layer, "ln1", resid_pre), weight)
