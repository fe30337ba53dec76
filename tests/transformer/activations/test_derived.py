"""Which activations follow from which."""

from collections.abc import Callable

import torch

from arena_lib.transformer.activations.derived import record
from arena_lib.transformer.fast.model import Transformer


def sources(model: Transformer, name: str) -> list[str]:
    return [source.name for source in model.derivations[name].sources]


def test_scores_follow_from_q_and_k_after_rotation(make_random: Callable[..., Transformer]) -> None:
    gpt2, llama = make_random("gpt2"), make_random("llama")
    assert sources(gpt2, "blocks.1.attn.hook_pattern") == ["blocks.1.attn.hook_q", "blocks.1.attn.hook_k"]
    assert sources(llama, "blocks.1.attn.hook_pattern") == ["blocks.1.attn.hook_rot_q", "blocks.1.attn.hook_rot_k"]
    assert sources(llama, "blocks.0.attn.hook_attn_scores") == sources(llama, "blocks.0.attn.hook_pattern")


def test_norms_follow_from_the_stream_they_read(make_random: Callable[..., Transformer]) -> None:
    model = make_random("gpt2")
    assert sources(model, "blocks.1.ln1.hook_scale") == ["blocks.1.hook_resid_pre"]
    assert sources(model, "blocks.1.ln2.hook_normalized") == ["blocks.1.hook_resid_mid"]
    assert sources(model, "ln_final.hook_scale") == ["blocks.1.hook_resid_post"]


def test_neurons_outputs_follow_from_their_inputs(make_random: Callable[..., Transformer]) -> None:
    assert sources(make_random("gpt2"), "blocks.1.mlp.hook_post") == ["blocks.1.mlp.hook_pre"]
    gated = ["blocks.0.mlp.hook_pre", "blocks.0.mlp.hook_pre_linear"]
    assert sources(make_random("llama"), "blocks.0.mlp.hook_post") == gated


def test_a_model_without_layers_makes_its_final_norm_in_the_pass(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("gpt2", n_layers=0)
    _, cache = model.run_with_cache(tokens)
    resid = cache["embed"] + cache["pos_embed"]
    torch.testing.assert_close(cache["ln_final.hook_normalized"], model.ln_final.normalized(resid))


def test_a_point_with_a_hook_is_stored_itself(any_model: Transformer, tokens: torch.Tensor) -> None:
    stored: dict[str, torch.Tensor] = {}
    any_model.add_hook("blocks.0.attn.hook_attn_scores", lambda scores, hook: scores * 2)
    with torch.no_grad(), record(any_model, lambda name: name.endswith(("scores", "pattern")), stored) as names:
        any_model(tokens)
    assert len(names) == 2 * any_model.cfg.n_layers
    assert {"blocks.0.attn.hook_attn_scores", "blocks.0.attn.hook_pattern"} < set(stored)
    assert "blocks.1.attn.hook_pattern" not in stored
    expected = stored["blocks.0.attn.hook_attn_scores"].softmax(dim=-1)
    torch.testing.assert_close(stored["blocks.0.attn.hook_pattern"], expected)
