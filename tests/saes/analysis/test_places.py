"""Where an SAE reads: found, refused by name, and edited without touching what it doesn't explain."""

from functools import partial

import pytest
import torch
from tests.interp.patching.conftest import make_random
from tests.saes.analysis.conftest import MLP_OUT, RESID, Z, make_sae, make_texts, make_transcoder

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.analysis.places import check_latents, find_place, token_texts


def test_the_hook_of_the_config_is_taken_unless_another_is_named(llama):
    sae = make_sae()
    assert find_place(llama, sae).hook_name == RESID
    assert find_place(llama, sae, "blocks.2.hook_resid_post").hook_name == "blocks.2.hook_resid_post"


def test_a_hook_that_isnt_there_is_refused_with_the_nearest_name(llama):
    with pytest.raises(
        UnknownNameError, match=r"no hook is called 'blocks.1.hook_resid_pree'. Did you mean 'blocks.1.hook"
    ):
        find_place(llama, make_sae(), "blocks.1.hook_resid_pree")


def test_an_sae_that_knows_no_hook_says_what_to_pass(llama):
    with pytest.raises(ConfigError, match="the name of a hook is needed: got none"):
        find_place(llama, make_sae(""))


@pytest.mark.parametrize("latent_idx", [-1, 37])
def test_a_latent_outside_is_refused(latent_idx):
    with pytest.raises(UnknownNameError, match=f"no latent is called '{latent_idx}'. There are 37, from 0 to 36"):
        check_latents(make_sae(), [3, latent_idx])


def test_an_sae_of_another_width_is_refused(llama, without_types):
    with pytest.raises(ShapeError, match=r"d_in = 23 entries: got 24 at 'blocks.1.hook_resid_pre'"):
        find_place(llama, make_sae(d_in=23)).encode(make_texts())


def test_heads_stand_side_by_side_at_hook_z(llama):
    tokens = make_texts()
    acts = find_place(llama, make_sae(Z)).read(tokens)
    _, cache = llama.run_with_cache(tokens)
    torch.testing.assert_close(acts[..., 6:12], cache["z", 1][:, :, 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("hook_name", [RESID, Z, "blocks.2.hook_resid_post", "blocks.2.hook_mlp_out"])
def test_reading_stops_early_and_is_what_a_whole_run_has(llama, bridge, hook_name):
    tokens = make_texts(seq=7)
    _, cache = llama.run_with_cache(tokens)
    for model in (llama, bridge):
        torch.testing.assert_close(
            find_place(model, make_sae(hook_name)).read(tokens), cache[hook_name].flatten(2), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("hook_name", [RESID, Z])
def test_an_edit_that_changes_nothing_leaves_the_logits(llama, hook_name):
    tokens = make_texts()
    place = find_place(llama, make_sae(hook_name))
    for unchanged in (lambda latents, hook: latents, lambda latents, hook: None):
        torch.testing.assert_close(place.lm.run(tokens, place.edit(unchanged)), llama(tokens), rtol=0, atol=1e-12)


@pytest.mark.parametrize("hook_name", [RESID, Z])
def test_an_edit_moves_activations_by_the_change_of_the_reconstruction(llama, hook_name):
    tokens = make_texts()
    sae = make_sae(hook_name)
    place = find_place(llama, sae)
    acts = place.read(tokens)
    latents = sae.encode(acts)
    seen = []
    hooks = [*place.edit(lambda latents, hook: latents * 0.25), (hook_name, lambda acts, hook: seen.append(acts))]
    with torch.no_grad():
        place.lm.run(tokens, hooks)
        expected = acts - sae.decode(latents) + sae.decode(latents * 0.25)
    torch.testing.assert_close(seen[0].flatten(2), expected, rtol=0, atol=1e-12)


def test_an_edit_in_place_counts_as_one_that_is_returned(llama):
    tokens, place = make_texts(), find_place(llama, make_sae())

    def write(latents, hook, *, is_returned):
        latents[..., 3:20] = 0.5
        return latents if is_returned else None

    outputs = [place.lm.run(tokens, place.edit(partial(write, is_returned=flag))) for flag in (True, False)]
    assert torch.equal(*outputs)
    assert not torch.allclose(outputs[0], llama(tokens))


def test_a_transcoders_latents_change_what_it_writes(llama):
    tokens, transcoder = make_texts(), make_transcoder()
    place = find_place(llama, transcoder)
    _, cache = llama.run_with_cache(tokens)
    latents = transcoder.encode(cache["normalized", 1, "ln2"])
    seen = []
    hooks = [*place.edit(lambda latents, hook: latents * 0.25), (MLP_OUT, lambda acts, hook: seen.append(acts))]
    with torch.no_grad():
        place.lm.run(tokens, hooks)
        expected = cache["mlp_out", 1] - 0.75 * latents @ transcoder.W_dec
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)


def test_edits_of_another_shape_are_refused(llama):
    place = find_place(llama, make_sae())
    with pytest.raises(ShapeError, match=r"shape of the latents, \(11, 8, 37\): got \(11, 8, 36\)"):
        place.lm.run(make_texts(), place.edit(lambda latents, hook: latents[..., 1:]))


def test_tokens_are_texts_or_numbers(llama):
    assert token_texts(find_place(llama, make_sae()).lm, [3, 0]) == [" w3", " w0"]
    assert token_texts(find_place(make_random("llama"), make_sae()).lm, [3, 0]) == ["[3]", "[0]"]
