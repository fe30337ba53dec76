"""What learners hand in for the patching exercises: as notebooks in use write it, otherwise right, and wrong."""

import importlib
from functools import partial

import einops
import pytest
import torch

from arena_lib.checking import run
from arena_lib.transformer.activations.hooks import get_act_name

judges = importlib.import_module("arena_lib.tests.indirect_object_identification")
PATCHING = [
    "test_get_act_patch_attn_head_all_pos_every",
    "test_get_act_patch_attn_head_out_all_pos",
    "test_get_act_patch_block_every",
    "test_get_act_patch_resid_pre",
    "test_get_path_patch_head_to_final_resid_post",
    "test_get_path_patch_head_to_heads",
    "test_ioi_metric",
    "test_logits_to_ave_logit_diff",
    "test_patch_attn_patterns",
    "test_patch_head_input",
    "test_patch_head_vector",
    "test_patch_or_freeze_head_vectors",
    "test_patch_residual_component",
    "test_residual_stack_to_logit_diff",
]


def status(name, solution):
    return run(getattr(judges, f"test_{name}"), solution).status


@pytest.mark.parametrize("name", PATCHING)
def test_judge_is_called_as_its_exercise(name):
    assert name == f"test_{getattr(judges, name).name}"


def test_logit_difference_with_einops_and_keepdims_passes():
    def solution(logits, answer_tokens, per_prompt=False):
        last = einops.rearrange(logits[:, -1:], "batch 1 d_vocab -> batch d_vocab")
        difference = -torch.diff(last.gather(-1, answer_tokens), dim=-1).squeeze(-1)
        return difference if per_prompt else einops.reduce(difference, "batch -> ", "mean")

    assert status("logits_to_ave_logit_diff", solution) == "passed"


def test_a_hook_may_move_the_axis_and_swap_the_data():
    def solution(corrupted_head_vector, hook, head_index, clean_cache):
        heads = list(corrupted_head_vector.unbind(2))
        heads[head_index] = clean_cache[hook.name].select(2, head_index)
        corrupted_head_vector.copy_(torch.stack(heads, dim=2))

    assert status("patch_head_vector", solution) == "passed"


def resid_pre(model, corrupted_tokens, clean_cache, patching_metric, patch=None):
    def write(resid, hook, pos, clean_cache):
        resid[:, pos, :] = clean_cache[hook.name][:, pos, :]
        return resid

    model.reset_hooks()
    results = torch.zeros(model.cfg.n_layers, corrupted_tokens.size(1), dtype=torch.float32)
    for layer in range(model.cfg.n_layers):
        for position in range(corrupted_tokens.shape[1]):
            hook_fn = partial(patch or write, pos=position, clean_cache=clean_cache)
            logits = model.run_with_hooks(corrupted_tokens, fwd_hooks=[(get_act_name("resid_pre", layer), hook_fn)])
            results[layer, position] = patching_metric(logits)
    return results


def test_a_sweep_as_notebooks_write_it_passes():
    assert status("get_act_patch_resid_pre", resid_pre) == "passed"


def test_a_sweep_that_spoils_the_cache_fails_and_the_next_one_is_judged_on_the_right_one():
    def write_back(resid, hook, pos, clean_cache):
        resid[:, pos] = clean_cache[hook.name][:, pos]
        clean_cache[hook.name][:, pos] = 0

    result = run(judges.test_get_act_patch_resid_pre, partial(resid_pre, patch=write_back))
    assert result.status == "failed"
    assert result.mismatch.observation == "caches changed in place"
    assert status("get_act_patch_resid_pre", resid_pre) == "passed"


def freeze(orig_head_vector, hook, new_cache, orig_cache, head_to_patch):
    orig_head_vector[...] = orig_cache[hook.name][...]
    if head_to_patch[0] == hook.layer():
        orig_head_vector[:, :, head_to_patch[1]] = new_cache[hook.name][:, :, head_to_patch[1]]
    return orig_head_vector


def is_z(name):
    return name.endswith("z")


def final_resid_post(model, patching_metric, new_dataset, orig_dataset, new_cache=None, orig_cache=None):
    model.reset_hooks()
    results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    last_name = get_act_name("resid_post", model.cfg.n_layers - 1)
    if new_cache is None:
        _, new_cache = model.run_with_cache(new_dataset.toks, names_filter=is_z)
    if orig_cache is None:
        _, orig_cache = model.run_with_cache(orig_dataset.toks, names_filter=is_z)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook_fn = partial(freeze, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=(layer, head))
            model.add_hook(is_z, hook_fn)
            _, patched = model.run_with_cache(orig_dataset.toks, names_filter=lambda name: name == last_name)
            model.reset_hooks()
            results[layer, head] = patching_metric(model.unembed(model.ln_final(patched[last_name])))
    return results


def to_heads(
    receiver_heads,
    receiver_input,
    model,
    patching_metric,
    new_dataset,
    orig_dataset,
    new_cache=None,
    orig_cache=None,
):
    """Keeps what arrives in `hook.ctx`, and patches with it in the second run."""
    shares = 1 if receiver_input == "q" else model.cfg.n_heads // getattr(model.cfg, "n_kv_heads", model.cfg.n_heads)
    names = {get_act_name(receiver_input, layer) for layer, _ in receiver_heads}

    def record(tensor, hook):
        hook.ctx["arrived"] = tensor.clone()

    def patch(tensor, hook):
        for layer, head in receiver_heads:
            if layer == hook.layer():
                tensor[:, :, head // shares] = hook.ctx["arrived"][:, :, head // shares]

    caches = [
        model.run_with_cache(dataset.toks)[1] if cache is None else cache
        for dataset, cache in ((new_dataset, new_cache), (orig_dataset, orig_cache))
    ]
    rows = []
    for layer in range(max(layer for layer, _ in receiver_heads)):
        for head in range(model.cfg.n_heads):
            hook_fn = partial(freeze, new_cache=caches[0], orig_cache=caches[1], head_to_patch=(layer, head))
            model.run_with_hooks(orig_dataset.toks, fwd_hooks=[(is_z, hook_fn), (lambda name: name in names, record)])
            rows.append(
                patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=[(lambda n: n in names, patch)]))
            )
    return torch.stack(rows).reshape(-1, model.cfg.n_heads)


def test_path_patching_as_notebooks_write_it_passes():
    assert status("get_path_patch_head_to_final_resid_post", final_resid_post) == "passed"
    assert status("get_path_patch_head_to_heads", to_heads) == "passed"


def test_a_shared_key_that_is_taken_by_the_query_heads_number_fails():
    def unaware(receiver_heads, receiver_input, *args):
        return to_heads([(layer, head) for layer, head in receiver_heads], "q", *args)

    assert status("get_path_patch_head_to_heads", unaware) == "failed"


def test_activation_patching_handed_in_as_path_patching_is_named():
    def no_freeze(model, patching_metric, new_dataset, orig_dataset, new_cache=None, orig_cache=None):
        new_cache = new_cache or model.run_with_cache(new_dataset.toks)[1]
        results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
        for layer, head in results.isfinite().nonzero().tolist():

            def patch(z, hook, head=head):
                z[:, :, head] = new_cache[hook.name][:, :, head]

            hooks = [(get_act_name("z", layer), patch)]
            results[layer, head] = patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=hooks))
        return results

    result = run(judges.test_get_path_patch_head_to_final_resid_post, no_freeze)
    assert result.status == "failed"
    assert result.diagnosis.mistake == "does not freeze the later heads"


@pytest.mark.parametrize("first", [lambda layer: layer, lambda layer: 0], ids=["the sender's", "up to the sender's"])
def test_freezing_hooks_that_miss_later_layers_are_named(first):
    def frozen_early(model, patching_metric, new_dataset, orig_dataset, *caches):
        caches = caches or [model.run_with_cache(dataset.toks)[1] for dataset in (new_dataset, orig_dataset)]
        results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
        for layer, head in results.isfinite().nonzero().tolist():
            hook = partial(freeze, new_cache=caches[0], orig_cache=caches[1], head_to_patch=(layer, head))
            hooks = [(get_act_name("z", at), hook) for at in range(first(layer), layer + 1)]
            results[layer, head] = patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=hooks))
        return results

    result = run(judges.test_get_path_patch_head_to_final_resid_post, frozen_early)
    assert result.diagnosis.mistake == "does not freeze the later heads"


def test_untouched_stubs_are_not_started():
    def stub(*args):
        raise NotImplementedError

    for name in PATCHING:
        assert run(getattr(judges, name), stub).status == "not_started"


@pytest.mark.parametrize("name", ["get_act_patch_resid_pre", "get_path_patch_head_to_heads"])
def test_a_judge_shows_no_bars_of_its_own(name, capfd):
    def constant(*args):
        return torch.zeros(2, 3)

    assert status(name, constant) == "failed"
    assert status(name, getattr(judges, f"test_{name}").reference) == "passed"
    assert capfd.readouterr() == ("", "")


def test_new_cache_counts_and_not_the_set_it_could_be_made_from():
    def makes_it_again(model, patching_metric, new_dataset, orig_dataset, new_cache=None, orig_cache=None):
        return final_resid_post(model, patching_metric, new_dataset, orig_dataset, None, orig_cache)

    result = run(judges.test_get_path_patch_head_to_final_resid_post, makes_it_again)
    assert result.diagnosis.mistake == "computes new_cache again although one was passed"


def test_orig_cache_may_be_made_again():
    def makes_it_again(model, patching_metric, new_dataset, orig_dataset, new_cache=None, orig_cache=None):
        return final_resid_post(model, patching_metric, new_dataset, orig_dataset, new_cache, None)

    assert status("get_path_patch_head_to_final_resid_post", makes_it_again) == "passed"


def logit_diff_with_end(logits, answer_tokens, per_prompt=False, end=None):
    last = logits[:, -1] if end is None else logits[:, end[0]]
    differences = last.gather(1, answer_tokens).diff(dim=1)[:, 0].neg()
    return differences if per_prompt else differences.mean()


def test_a_metric_that_takes_end_must_use_each_prompts_own():
    result = run(judges.test_logits_to_ave_logit_diff, logit_diff_with_end)
    assert result.diagnosis.mistake == "uses the first prompt's end for all prompts"


def test_a_metric_without_end_passes_and_its_mistakes_are_named():
    def without_end(logits, answer_tokens, per_prompt=False):
        return logit_diff_with_end(logits, answer_tokens, per_prompt)

    def at_the_first_position(logits, answer_tokens, per_prompt=False):
        return logit_diff_with_end(logits[:, :1], answer_tokens, per_prompt)

    assert status("logits_to_ave_logit_diff", without_end) == "passed"
    result = run(judges.test_logits_to_ave_logit_diff, at_the_first_position)
    assert result.diagnosis.mistake == "reads the first position"


def test_a_hook_may_ask_the_cache_by_short_name_and_layer():
    def solution(orig_head_vector, hook, new_cache, orig_cache, head_to_patch):
        orig_head_vector[:] = orig_cache["z", hook.layer()]
        if head_to_patch[0] == hook.layer():
            orig_head_vector[:, :, head_to_patch[1]] = new_cache["z", hook.layer()][:, :, head_to_patch[1]]

    assert status("patch_or_freeze_head_vectors", solution) == "passed"
