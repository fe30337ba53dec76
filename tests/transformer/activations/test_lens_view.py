"""TransformerLens's own utilities, on our models."""

import copy
from collections.abc import Callable

import pytest
import torch

from arena_lib import zoo
from arena_lib.transformer.activations.lens_view import lens_view
from arena_lib.transformer.fast.model import Transformer

PROMPT = "When Tina and Jack went to the garden , {} gave the lamp to"


def test_fields_are_the_models(any_model: Transformer, tokens: torch.Tensor) -> None:
    view = lens_view(any_model)
    assert view.cfg.n_layers == any_model.cfg.n_layers
    assert view.cfg.device == torch.device("cpu")
    assert view.cfg.dtype == torch.float64
    assert view.cfg.model_name == type(any_model).__name__
    assert view.cfg.attn_only == (not hasattr(any_model.blocks[0], "mlp"))
    assert view.cfg.gated_mlp == (type(any_model).__name__ == "Llama")
    assert view.cfg.n_key_value_heads == (2 if view.cfg.gated_mlp else None)
    assert view.cfg.default_prepend_bos
    assert torch.equal(view(tokens), any_model(tokens))
    assert torch.equal(view(tokens, return_type="loss"), any_model(tokens, return_type="loss"))
    assert view.W_Q.shape == any_model.W_Q.shape
    assert copy.deepcopy(view).cfg.d_model == copy.copy(view.cfg).d_model == any_model.cfg.d_model
    any_model.float()
    assert view.cfg.dtype == torch.float32
    for have in (view, view.cfg):
        with pytest.raises(AttributeError):
            have.nothing_of_this_name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["tiny-gpt", "tiny-llama"])
def test_patching_sweeps_of_transformer_lens_give_the_bridges_results(name: str) -> None:
    from transformer_lens import patching

    ours, bridge = zoo.load(name), zoo.load_bridge(name)
    clean, corrupted = (ours.to_tokens(PROMPT.format(subject)) for subject in ("Jack", "Tina"))
    answers = ours.to_token_ids([" Tina", " Jack"])

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, answers[0]] - logits[0, -1, answers[1]]

    sweeps: list[Callable[..., torch.Tensor]] = [
        patching.get_act_patch_resid_pre,
        patching.get_act_patch_attn_head_out_all_pos,
        patching.get_act_patch_block_every,
    ]
    with torch.no_grad():
        caches = ours.run_with_cache(clean)[1], bridge.run_with_cache(clean)[1]
        for sweep in sweeps:
            mine = sweep(lens_view(ours), corrupted, caches[0], metric)
            theirs = sweep(bridge, corrupted, caches[1], metric)
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_the_head_detector_of_transformer_lens_gives_the_bridges_results() -> None:
    from transformer_lens.head_detector import detect_head

    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    text = PROMPT.format("Jack")
    for pattern in ("previous_token_head", "duplicate_token_head"):
        mine = detect_head(lens_view(ours), text, pattern)
        torch.testing.assert_close(mine, detect_head(bridge, text, pattern), rtol=1e-4, atol=1e-4)
