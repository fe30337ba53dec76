"""Patchscopes: what is replaced, where, and how the scale is chosen."""

import pytest
import torch
from tests.saes.analysis.conftest import make_sae

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.saes.analysis.interventions.patchscopes import (
    ScaleSweep,
    find_placeholders,
    generate_patch_scoping_explanation,
    hook_fn_patch_scoping,
    tune_scale,
)

PROMPT = " Paula was in the garden. ? was in the garden. ?"


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


@pytest.fixture(scope="module")
def sae(model):
    """An SAE whose latent 3 is the embedding of one name."""
    sae = make_sae("blocks.2.hook_resid_pre", d_in=128, d_sae=19).float()
    with torch.no_grad():
        sae.W_dec[3] = 7 * model.W_E[model.to_single_token(" Brian")]
    return sae


def test_only_the_positions_are_replaced():
    acts, vector = torch.randn(2, 5, 4), torch.randn(4)
    before = acts.clone()
    patched = hook_fn_patch_scoping(acts, None, [1, 3], vector)
    assert torch.equal(acts, before)
    assert torch.equal(patched[:, [0, 2, 4]], before[:, [0, 2, 4]])
    assert torch.equal(patched[:, [1, 3]], vector.expand(2, 2, 4))
    assert torch.equal(hook_fn_patch_scoping(acts[:, :1], None, [0], vector), before[:, :1])


def test_placeholders_count_from_the_token_that_begins_the_text(model):
    tokens = model.to_str_tokens(PROMPT)
    assert find_placeholders(hooked(model), PROMPT) == [i for i, token in enumerate(tokens) if token.strip() == "?"]
    assert len(find_placeholders(hooked(model), PROMPT)) == 2


@pytest.mark.parametrize("load", [zoo.load, zoo.load_nnsight])
def test_the_text_is_what_the_replaced_stream_leads_to(model, sae, load):
    scale, layer = 40.0, 1
    tokens = model.to_tokens(PROMPT)
    places = find_placeholders(hooked(model), PROMPT)
    direction = sae.W_dec[3] / sae.W_dec[3].norm()

    def patch(acts, hook):
        acts = acts.clone()
        acts[:, places] = scale * direction
        return acts

    for _ in range(4):
        with torch.no_grad():
            logits = model.run_with_hooks(tokens, fwd_hooks=[("blocks.1.hook_resid_post", patch)])
        tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], dim=1)
    expected = model.tokenizer.decode(tokens[0, 1:])
    found = generate_patch_scoping_explanation(load("tiny-llama"), sae, PROMPT, 3, layer, scale, 4)
    assert found == expected
    assert found != model.generate(PROMPT, 4)


def test_each_scale_is_measured_as_by_itself(model, sae):
    scales = [1.0, 10.0, 60.0]
    sweep = tune_scale(model, sae, PROMPT, 3, 1, scales)
    direction = sae.W_dec[3].detach() / sae.W_dec[3].detach().norm()
    places = find_placeholders(hooked(model), PROMPT)
    for scale, entropy, similarity in zip(scales, sweep.entropy, sweep.self_similarity, strict=True):
        seen = []

        def patch(acts, hook, scale=scale):
            acts = acts.clone()
            acts[:, places] = scale * direction
            return acts

        hooks = [
            ("blocks.1.hook_resid_post", patch),
            ("blocks.3.hook_resid_post", lambda acts, hook, seen=seen: seen.append(acts[0, -1])),
        ]
        with torch.no_grad():
            probabilities = model.run_with_hooks(model.to_tokens(PROMPT), fwd_hooks=hooks)[0, -1].softmax(-1)
        assert entropy.item() == pytest.approx(-(probabilities * probabilities.log()).sum().item(), rel=1e-4)
        expected = torch.nn.functional.cosine_similarity(seen[0], direction, dim=0)
        assert similarity.item() == pytest.approx(expected.item(), abs=1e-5)
    early = tune_scale(model, sae, PROMPT, 3, 0, scales, read_layer=1)
    assert not torch.allclose(early.self_similarity, sweep.self_similarity)


def test_the_best_scale_is_sure_and_thinks_of_the_latent():
    sweep = ScaleSweep([1.0, 2.0, 4.0, 8.0], torch.tensor([3.0, 1.5, 1.0, 5.0]), torch.tensor([0.0, 0.2, 0.9, 1.0]))
    assert sweep.best == 4.0
    assert [trace.name for trace in sweep.show().data] == ["self-similarity", "entropy"]
    assert ScaleSweep([2.0], torch.tensor([3.0]), torch.tensor([0.5])).best == 2.0


def test_what_cannot_work_is_refused(model, sae):
    with pytest.raises(ConfigError, match=r"the prompt must have '\?' as a token of its own"):
        generate_patch_scoping_explanation(model, sae, " Paula was here.", 3, 1, 1.0)
    with pytest.raises(UnknownNameError, match="no layer is called '4'"):
        generate_patch_scoping_explanation(model, sae, PROMPT, 3, 4, 1.0)
    with pytest.raises(UnknownNameError, match="no latent is called '19'"):
        tune_scale(model, sae, PROMPT, 19, 1, [1.0])
    with pytest.raises(ConfigError, match="there must be scales to try"):
        tune_scale(model, sae, PROMPT, 3, 1, [])
