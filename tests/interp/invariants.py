"""What is asked of each function on a bridge of any family.

Each entry of `CHECKS` uses one function and returns by how much it is off an invariant, from runs of the model that
share nothing with it.
"""

from collections.abc import Callable
from typing import Any

import torch
from tests.interp.trial import Trial, metric, off, off_direction

from arena_lib.interp.attribution.direct import attribute_head_by_source, direct_logit_attribution, residual_stack
from arena_lib.interp.attribution.lens import logit_lens
from arena_lib.interp.circuits.evaluation import all_nodes, resample_knockout, run_circuit
from arena_lib.interp.hooking import hooked, padded
from arena_lib.interp.ioi.copying import embed_names, get_copying_scores
from arena_lib.interp.patching.activation import (
    get_act_patch_attn_head_out_all_pos,
    get_act_patch_resid_pre,
)
from arena_lib.interp.patching.attribution import attribute_patches
from arena_lib.interp.patching.direct_path import direct_path_head_inputs, direct_path_logits
from arena_lib.interp.patching.edges import all_edges, run_edges, score_edges
from arena_lib.interp.patching.nodes import MLP, PARTS, Embed, FinalResidual, Head, HeadInput, MLPInput, reaches
from arena_lib.interp.patching.path import get_path_patch_head_to_heads, path_patch, path_patch_logits
from arena_lib.interp.patching.path_fast import path_patch_each
from arena_lib.interp.patching.sweeps import sweep_blocks, sweep_heads
from arena_lib.interp.steering.head_effects import (
    compute_answer_logprobs,
    compute_function_vector,
    compute_head_effects,
    compute_mean_z,
)
from arena_lib.interp.weights.circuits import full_OV_circuit, full_QK_circuit
from arena_lib.interp.weights.composition import compute_composition_scores


def check_attribution(trial: Trial, by: str) -> float:
    answers, wrong = torch.tensor([7, 8, 9]), torch.tensor([4, 3, 2])
    result = direct_logit_attribution(trial.bridge, trial.tokens, answers, wrong, by=by)
    last = trial.own[0][:, -1]
    stack, labels = residual_stack(trial.bridge, trial.own[1], by_head=by == "head")
    biases = stack[[idx for idx, label in enumerate(labels) if label.endswith("bias")]]
    spread = (biases - biases[:, :1, :1]).abs().max() if len(biases) else 0.0
    rows = torch.arange(3)
    return max(off(result.total, last[rows, answers] - last[rows, wrong]), float(spread))


def check_head_by_source(trial: Trial) -> float:
    answers = torch.tensor([7, 8, 9])
    by_head = direct_logit_attribution(trial.bridge, trial.tokens, answers)
    by_source = attribute_head_by_source(trial.bridge, trial.tokens, (1, 2), answers)
    return off(by_source.sum(dim=1), by_head.values[by_head.labels.index("L1H2")])


def check_lens(trial: Trial) -> float:
    logits, _ = logit_lens(trial.bridge, trial.tokens)
    streams = [trial.own[1][f"blocks.{layer}.hook_resid_pre"] for layer in range(2)]
    expected = [trial.patch({"blocks.1.hook_resid_post": stream})[:, -1] for stream in streams]
    return off(logits, torch.stack([*expected, trial.own[0][:, -1]]))


def check_OV(trial: Trial) -> float:
    tokens = torch.tensor([5, 17, 29])
    circuit = full_OV_circuit(trial.bridge, 0, 2)
    W_E = hooked(trial.bridge).W_E
    entered = trial.own[1]["blocks.0.hook_resid_pre"]
    embedded = off(W_E[trial.tokens[0]] - W_E[trial.tokens[1]], entered[0] - entered[1])
    v = trial.put_rows(W_E[tokens], "blocks.0.hook_resid_pre", "blocks.0.attn.hook_v")
    v = v[:, hooked(trial.bridge).input_head("v", 2)]
    written = v @ hooked(trial.bridge).W_O(0)[2]
    logits = trial.put_rows(written, "blocks.1.hook_resid_post")
    return max(embedded, off_direction(circuit.A[tokens], v), off_direction(circuit.AB[tokens], logits))


def check_QK(trial: Trial) -> float:
    tokens, lm = torch.tensor([5, 17, 29]), hooked(trial.bridge)
    circuit = full_QK_circuit(trial.bridge, 0, 2)
    errors = []
    for part, factor in (("q", circuit.A), ("k", circuit.B.mT)):
        read = trial.put_rows(lm.W_E[tokens], "blocks.0.hook_resid_pre", f"blocks.0.attn.hook_{part}")
        errors.append(off_direction(factor[tokens], read[:, lm.input_head(part, 2)]))
    # Against a key of zero at the first position, the second has the log-odds of its own score.
    odds = []
    for shift in range(3):
        q, k = (torch.zeros_like(trial.own[1][f"blocks.0.attn.hook_{part}"]) for part in "qk")
        q[:, 1, lm.input_head("q", 2)] = 0.5 * circuit.A[tokens]
        k[:, 1, lm.input_head("k", 2)] = 0.5 * circuit.B.mT[tokens.roll(shift)]
        put = {"blocks.0.attn.hook_q": q, "blocks.0.attn.hook_k": k}
        pattern = trial.patch(put, "blocks.0.attn.hook_pattern")[:, 2, 1].log()
        odds.append(pattern[:, 1] - pattern[:, 0])
    scores = torch.stack([circuit.AB[tokens, tokens.roll(shift)] for shift in range(3)])
    found = torch.stack(odds)
    centred = [(each - each.mean()).flatten() for each in (found, scores)]
    return max(*errors, off_direction(*centred))


def check_composition(trial: Trial, kind: str) -> float:
    scores = compute_composition_scores(trial.bridge, kind, n_random=2).scores
    assert bool(scores[0, :, 1].isfinite().all())
    return max(check_OV(trial), 0.0 if kind == "V" else check_QK(trial))


def check_residual_loops(trial: Trial) -> float:
    patched = get_act_patch_resid_pre(trial.bridge, trial.tokens, trial.other[1], metric)
    whole = [trial.patch({f"blocks.{layer}.hook_resid_pre": trial.other[1]["resid_pre", layer]}) for layer in range(2)]
    return max(off(patched, trial.block_loops[0]), *(off(run, trial.other[0]) for run in whole))


def check_block_loops(trial: Trial) -> float:
    errors = [off(trial.patch(trial.from_other("hook_attn_out", "hook_mlp_out")), trial.other[0])]
    for place, name in enumerate(("blocks.1.hook_resid_pre", "blocks.1.hook_attn_out", "blocks.1.hook_mlp_out")):
        value = trial.own[1][name].clone()
        value[:, 2] = trial.other[1][name][:, 2]
        errors.append(off(trial.block_loops[place, 1, 2], metric(trial.patch({name: value}))))
    return max(errors)


def check_head_loop(trial: Trial) -> float:
    patched = get_act_patch_attn_head_out_all_pos(trial.bridge, trial.tokens, trial.other[1], metric)
    z = trial.own[1]["z", 0].clone()
    z[:, :, 2] = trial.other[1]["z", 0][:, :, 2]
    return off(patched[0, 2], metric(trial.patch({"blocks.0.attn.hook_z": z})))


def check_head_loops(trial: Trial) -> float:
    kinds = [["z"], ["q", "k", "v"]]
    runs = [trial.patch(trial.from_other("hook_mlp_out", *(f"attn.hook_{kind}" for kind in some))) for some in kinds]
    errors = [off(run, trial.other[0]) for run in runs]
    for idx, part in enumerate(("z", "q", "k", "v")):
        value, slot = trial.own[1][part, 0].clone(), hooked(trial.bridge).input_head(part, 2)
        value[:, :, slot] = trial.other[1][part, 0][:, :, slot]
        errors.append(off(trial.head_loops[idx, 0, 2], metric(trial.patch({f"blocks.0.attn.hook_{part}": value}))))
    v = hooked(trial.bridge).repeat_kv(trial.own[1]["v", 0], axis=2)
    pattern, z = trial.other[1]["pattern", 0][:, 2], trial.own[1]["z", 0].clone()
    z[:, :, 2] = torch.einsum("bqk,bkh->bqh", pattern, v[:, :, 2])
    errors.append(off(trial.head_loops[4, 0, 2], metric(trial.patch({"blocks.0.attn.hook_z": z}))))
    return max(errors)


def check_sweep_blocks(trial: Trial, site: str) -> float:
    fast = sweep_blocks(trial.bridge, trial.tokens, trial.other[1], metric, site)
    return off(fast, trial.block_loops[["resid_pre", "attn_out", "mlp_out"].index(site)])


def check_sweep_heads(trial: Trial) -> float:
    fast = [sweep_heads(trial.bridge, trial.tokens, trial.other[1], metric, site) for site in ("z", "q", "k", "v")]
    errors = [off(fast[0], get_act_patch_attn_head_out_all_pos(trial.bridge, trial.tokens, trial.other[1], metric))]
    for part, found in zip("qkv", fast[1:], strict=True):
        value, slot = trial.own[1][part, 0].clone(), hooked(trial.bridge).input_head(part, 2)
        value[:, :, slot] = trial.other[1][part, 0][:, :, slot]
        errors.append(off(found[0, 2], metric(trial.patch({f"blocks.0.attn.hook_{part}": value}))))
    return max(errors)


def check_sweep_patterns(trial: Trial) -> float:
    return off(sweep_heads(trial.bridge, trial.tokens, trial.other[1], metric, "pattern"), trial.head_loops[4])


def check_attribute_patches(trial: Trial) -> float:
    """The derivative against a small step in the same direction, whose own error is up to a percent."""
    step, layer = 0.003, 1
    scores = attribute_patches(trial.bridge, trial.tokens, trial.other[1], metric, ("resid_pre", "z", "mlp_out"))
    errors = []
    for site, name in (("resid_pre", "hook_resid_pre"), ("z", "attn.hook_z"), ("mlp_out", "hook_mlp_out")):
        own, other = (run[1][f"blocks.{layer}.{name}"] for run in (trial.own, trial.other))
        ends = [metric(trial.patch({f"blocks.{layer}.{name}": own + s * (other - own)})) for s in (-step, step)]
        slope = (ends[1] - ends[0]) / (2 * step)
        errors.append(off(scores[site][layer].sum(), slope))
    return max(errors) / 100


SOME_SENDERS = [Embed(), Head(0, 1), MLP(0), Head(1, 3), MLP(1)]


def senders_before(receiver: Any) -> list[Any]:
    senders = [Embed(), *(node for layer in range(2) for node in (*(Head(layer, h) for h in range(4)), MLP(layer)))]
    return [sender for sender in senders if reaches(sender, receiver)]


def check_path_to_final(trial: Trial) -> float:
    runs = [
        path_patch_logits(trial.bridge, experiment, senders_before(FinalResidual()), [FinalResidual()])
        for experiment in trial.experiments
    ]
    return max(off(run, trial.other[0]) for run in runs)


def check_path_to_heads(trial: Trial) -> float:
    receiver = HeadInput(1, 2, "q")
    patched = path_patch_logits(trial.bridge, trial.experiments[0], senders_before(receiver), [receiver])
    q = trial.own[1]["q", 1].clone()
    q[:, :, 2] = trial.other[1]["q", 1][:, :, 2]
    return off(patched, trial.patch({"blocks.1.attn.hook_q": q}))


def check_path_to_mlp(trial: Trial) -> float:
    receiver = MLPInput(1)
    patched = path_patch_logits(trial.bridge, trial.experiments[0], senders_before(receiver), [receiver])
    return off(patched, trial.patch({"blocks.1.hook_mlp_out": trial.other[1]["mlp_out", 1]}))


def check_path_loop(trial: Trial) -> float:
    receiver = HeadInput(1, 2, "q")
    loop = get_path_patch_head_to_heads([(1, 2)], "q", trial.bridge, metric, trial.others, trial.tokens)
    each = [path_patch(trial.bridge, trial.experiments[1], [Head(0, h)], [receiver], metric) for h in range(4)]
    return off(loop[0], torch.stack(each))


def check_path_fast(trial: Trial, receivers: list[Any], idx: int) -> float:
    senders, experiment = [each for each in SOME_SENDERS if reaches(each, receivers[0])], trial.experiments[idx]
    fast = path_patch_each(trial.bridge, experiment, senders, receivers, metric)
    slow = [path_patch(trial.bridge, experiment, [sender], receivers, metric) for sender in senders]
    return off(fast, torch.stack(slow))


def check_direct_logits(trial: Trial) -> float:
    closed = direct_path_logits(trial.bridge, trial.own[1], trial.other[1], SOME_SENDERS)
    runs = [path_patch_logits(trial.bridge, trial.experiments[0], [each], [FinalResidual()]) for each in SOME_SENDERS]
    return off(closed, torch.stack(runs))


def check_direct_inputs(trial: Trial) -> float:
    errors = []
    for part in PARTS:
        closed = direct_path_head_inputs(trial.bridge, trial.own[1], trial.other[1], [Head(0, 1)], 1, part)[0]
        z = trial.own[1]["z", 0].clone()
        z[:, :, 1] = trial.other[1]["z", 0][:, :, 1]
        held = {"blocks.0.attn.hook_z": z, "blocks.0.hook_mlp_out": trial.own[1]["mlp_out", 0]}
        run = trial.patch(held, f"blocks.1.attn.hook_{part}")
        errors.append(off(closed, hooked(trial.bridge).repeat_kv(run, axis=2)))
    return max(errors)


def check_score_edges(trial: Trial) -> float:
    edges = [(Head(0, 1), MLPInput(1)), (MLP(0), HeadInput(1, 2, "q")), (Head(1, 3), FinalResidual())]
    scores = score_edges(trial.bridge, trial.tokens, trial.others, metric, edges)
    runs = [path_patch(trial.bridge, trial.experiments[0], [sender], [receiver], metric) for sender, receiver in edges]
    return off(scores, torch.stack(runs) - metric(trial.own[0]))


def check_run_edges(trial: Trial) -> float:
    every = run_edges(trial.bridge, trial.tokens, trial.others, all_edges(trial.bridge))
    none = run_edges(trial.bridge, trial.tokens, trial.others, [])
    errors = [off(every, trial.own[0]), off(none, trial.other[0])]
    for cut in ((Head(0, 1), MLPInput(1)), (MLP(0), HeadInput(1, 2, "q"))):
        without = run_edges(trial.bridge, trial.tokens, trial.others, [e for e in all_edges(trial.bridge) if e != cut])
        patched = path_patch(trial.bridge, trial.experiments[0], [cut[0]], [cut[1]], metric)
        errors.append(off(metric(without), patched))
    return max(errors)


def check_circuit(trial: Trial) -> float:
    knockout = resample_knockout(trial.bridge, trial.others)
    whole = run_circuit(trial.bridge, trial.tokens, all_nodes(trial.bridge), knockout)
    empty = run_circuit(trial.bridge, trial.tokens, [], knockout)
    values = trial.from_other("attn.hook_z", "hook_mlp_out")
    del values["blocks.0.hook_resid_pre"]
    stream = trial.own[1]["blocks.0.hook_resid_pre"]
    for layer in range(2):
        stream = stream + trial.other[1]["attn_out", layer] + trial.other[1]["mlp_out", layer]
    expected = trial.patch({"blocks.1.hook_resid_post": stream})
    return max(off(whole, trial.own[0]), off(empty, expected), off(empty, trial.patch(values)))


def check_copying(trial: Trial) -> float:
    names = torch.tensor([5, 17, 29])
    assert get_copying_scores(trial.bridge, 3, names).shape == (2, 1, 4)
    stream = torch.zeros_like(trial.own[1]["blocks.0.hook_resid_pre"])
    stream[:, 0] = hooked(trial.bridge).W_E[names]
    put = {"blocks.0.hook_resid_pre": stream, "blocks.0.hook_attn_out": torch.zeros_like(stream)}
    return max(
        check_OV(trial), off(embed_names(trial.bridge, names), trial.patch(put, "blocks.0.hook_resid_post")[:, 0])
    )


def check_head_effects(trial: Trial) -> float:
    answers, mean_z = torch.tensor([7, 8, 9]), compute_mean_z(trial.bridge, trial.others)
    effects = compute_head_effects(trial.bridge, trial.tokens, answers, mean_z)
    before = trial.own[0][:, -1].log_softmax(dim=-1)[torch.arange(3), answers]
    z = trial.own[1]["z", 1].clone()
    z[:, -1, 2] = mean_z[1, 2]
    hooks = [("blocks.1.attn.hook_z", lambda activation, hook: z)]
    after = compute_answer_logprobs(trial.bridge, trial.tokens, answers, hooks)
    return off(effects[1, 2], (after - before).mean())


def check_function_vector(trial: Trial) -> float:
    mean_z = compute_mean_z(trial.bridge, trial.tokens)
    vector = compute_function_vector(trial.bridge, mean_z, [(1, head) for head in range(4)])
    silent = trial.patch({"blocks.1.attn.hook_z": torch.zeros_like(trial.own[1]["z", 1])}, "blocks.1.hook_attn_out")
    return off(vector, (trial.own[1]["attn_out", 1] - silent)[:, -1].mean(dim=0))


PADDED = torch.tensor([[False, True, True, True], [True] * 4, [False, False, True, True]])


def check_padded(trial: Trial, run: Callable[[Any, torch.Tensor, Any], torch.Tensor]) -> float:
    """A mean over padded prompts (of 3, 4 and 2 tokens) beside that of each prompt alone."""
    lm = padded(trial.bridge, PADDED)
    together = run(lm, trial.tokens, lm.run_with_cache(trial.others)[1])
    alone = []
    for row, is_real in enumerate(PADDED):
        tokens, others = (batch[row : row + 1, is_real] for batch in (trial.tokens, trial.others))
        alone.append(run(trial.bridge, tokens, trial.bridge.run_with_cache(others)[1]))
    return off(together, torch.stack(alone).mean(dim=0))


def lens_of(model: Any, tokens: torch.Tensor, other: Any) -> torch.Tensor:
    return logit_lens(model, tokens)[0].mean(dim=1)


def heads_of(model: Any, tokens: torch.Tensor, other: Any) -> torch.Tensor:
    return get_act_patch_attn_head_out_all_pos(model, tokens, other, metric)


def sweep_of(model: Any, tokens: torch.Tensor, other: Any) -> torch.Tensor:
    return sweep_heads(model, tokens, other, metric)


CHECKS: dict[str, Callable[[Trial], float]] = {
    "`logit_lens`": check_lens,
    "`direct_logit_attribution`": lambda trial: check_attribution(trial, "head"),
    '`direct_logit_attribution(by="layer")`': lambda trial: check_attribution(trial, "layer"),
    "`attribute_head_by_source`": check_head_by_source,
    "`full_OV_circuit`": check_OV,
    "`full_QK_circuit`": check_QK,
    "`compute_composition_scores`, V": lambda trial: check_composition(trial, "V"),
    "`compute_composition_scores`, Q and K": lambda trial: check_composition(trial, "K"),
    "`get_act_patch_resid_pre`": check_residual_loops,
    "`get_act_patch_block_every`": check_block_loops,
    "`get_act_patch_attn_head_out_all_pos`": check_head_loop,
    "`get_act_patch_attn_head_all_pos_every`": check_head_loops,
    "`sweep_blocks`, resid_pre": lambda trial: check_sweep_blocks(trial, "resid_pre"),
    "`sweep_blocks`, attn_out": lambda trial: check_sweep_blocks(trial, "attn_out"),
    "`sweep_blocks`, mlp_out": lambda trial: check_sweep_blocks(trial, "mlp_out"),
    "`sweep_heads`, z, q, k, v": check_sweep_heads,
    "`sweep_heads`, pattern": check_sweep_patterns,
    "`attribute_patches`": check_attribute_patches,
    "`path_patch` to the final stream": check_path_to_final,
    "`path_patch` to heads": check_path_to_heads,
    "`path_patch` to MLPs": check_path_to_mlp,
    "`get_path_patch_head_to_*`": check_path_loop,
    "`path_patch_each`, direct": lambda trial: check_path_fast(trial, [FinalResidual()], 0),
    "`path_patch_each` through MLPs": lambda trial: check_path_fast(trial, [FinalResidual()], 1),
    "`path_patch_each` to heads": lambda trial: check_path_fast(trial, [HeadInput(1, 1, "v")], 0),
    "`path_patch_each` to MLPs": lambda trial: check_path_fast(trial, [MLPInput(1)], 0),
    "`direct_path_logits`": check_direct_logits,
    "`direct_path_head_inputs`": check_direct_inputs,
    "`score_edges`": check_score_edges,
    "`run_edges`": check_run_edges,
    "`run_circuit` and its criteria": check_circuit,
    "`get_copying_scores`": check_copying,
    "`compute_head_effects`": check_head_effects,
    "`compute_function_vector`": check_function_vector,
    "`padded`, with what only runs the model": lambda trial: max(
        check_padded(trial, run) for run in (lens_of, heads_of)
    ),
    "`padded`, with runs from a layer on": lambda trial: check_padded(trial, sweep_of),
}
"""What is asked of a function, by its name in the table."""
