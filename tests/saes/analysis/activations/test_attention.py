"""Direct feature attribution: exact sums, and examples that name their source."""

import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random
from tests.saes.analysis.conftest import RESID, Z, make_sae, make_texts

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.analysis.activations.attention import (
    attribute_to_sources,
    compute_dfa,
    fetch_max_activating_examples_attn,
)
from arena_lib.saes.analysis.activations.examples import fetch_max_activating_examples
from arena_lib.saes.analysis.places import find_place


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
@pytest.mark.parametrize("hook_name", [Z, "blocks.2.attn.hook_z"])
def test_the_parts_sum_to_the_latent_before_its_activation_function(form, hook_name):
    model, sae, tokens = make_random(form), make_sae(hook_name), make_texts(2)[1]
    with torch.no_grad():
        pre_acts = sae.compute_pre_acts(find_place(model, sae).read(tokens[None]))[0]
    for dest in (0, 4, -1):
        dfa = compute_dfa(model, sae, tokens, 11, dest)
        assert dfa.pre_act == pytest.approx(pre_acts[dest, 11].item(), rel=1e-9)
        assert dfa.parts[dest % 8 + 1 :].abs().sum() == 0
        assert dfa.by_source.sum().item() == pytest.approx(dfa.pre_act - dfa.constant)


def test_a_part_is_what_is_lost_without_it(llama):
    sae, tokens = make_sae(Z), make_texts(2)[1]
    dfa = compute_dfa(llama, sae, tokens, 11, 5)
    for src, head in ((2, 1), (5, 3), (0, 0)):

        def cut(pattern, hook, src=src, head=head):
            pattern = pattern.clone()
            pattern[:, head, 5, src] = 0
            return pattern

        seen = []
        hooks = [("blocks.1.attn.hook_pattern", cut), (Z, lambda z, hook, seen=seen: seen.append(z))]
        with torch.no_grad():
            llama.run_with_hooks(tokens[None], fwd_hooks=hooks)
            without = sae.compute_pre_acts(seen[0].flatten(2))[0, 5, 11]
        assert dfa.parts[src, head].item() == pytest.approx(dfa.pre_act - without.item(), rel=1e-6, abs=1e-9)


def test_by_hand():
    v = torch.tensor([[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [2.0, 2.0]], [[9.0, 9.0], [9.0, 9.0]]])
    pattern = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.5, 0.0]])
    encoder = torch.tensor([[1.0, -1.0], [2.0, 0.5]])
    expected = torch.tensor([[0.25 * -1.0, 0.5 * 0.5], [0.75 * 3.0, 0.5 * 5.0], [0.0, 0.0]])
    assert torch.equal(attribute_to_sources(v, pattern, encoder), expected)


def test_examples_are_the_plain_ones_with_their_strongest_source(llama, monkeypatch):
    monkeypatch.setattr("arena_lib.saes.analysis.activations.texts.BATCH_SIZE", 4)
    sae, texts = make_sae(Z), make_texts()
    plain = fetch_max_activating_examples(llama, sae, texts, 8, k=5, buffer=2)
    found = fetch_max_activating_examples_attn(llama, sae, texts, 8, k=5, buffer=2)
    assert [(e.act, e.str_toks_dest, e.dest_pos) for e in found] == plain
    acts = find_place(llama, sae).encode(texts).detach()[..., 8]
    for example in found:
        row, dest = ((acts - example.act).abs() < 1e-12).nonzero()[0].tolist()
        dfa = compute_dfa(llama, sae, texts[row], 8, dest)
        src = int(dfa.by_source.argmax())
        assert example.str_toks_src[example.src_pos] == f" w{texts[row, src]}"
        assert len(example.str_toks_src) == min(src + 3, 8) - max(src - 2, 0)
        assert example.share == pytest.approx(float(dfa.by_source[src] / dfa.by_source.sum()))
        assert example.head == int(dfa.parts[src].argmax())


def test_padding_changes_nothing(llama):
    sae, texts = make_sae(Z), make_texts(2)
    left = torch.cat([torch.full((1, 3), 7), texts[:1, :5]], dim=1)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[0, :3] = False
    padded = fetch_max_activating_examples_attn(llama, sae, [(torch.cat([left, texts[1:]]), mask)], 8, k=4, buffer=2)
    alone = fetch_max_activating_examples_attn(llama, sae, [texts[:1, :5], texts[1:]], 8, k=4, buffer=2)
    assert [(e.str_toks_dest, e.dest_pos, e.str_toks_src, e.src_pos, e.head) for e in padded] == [
        (e.str_toks_dest, e.dest_pos, e.str_toks_src, e.src_pos, e.head) for e in alone
    ]
    assert [e.act for e in padded] == pytest.approx([e.act for e in alone])


def test_a_bridge_has_the_parts_of_our_form():
    sae, tokens = make_sae(Z), make_texts(2, 7)[1]
    ours, theirs = (compute_dfa(model, sae, tokens, 3) for model in (make_random("gpt2"), make_bridge("gpt2")))
    torch.testing.assert_close(ours.parts, theirs.parts, rtol=1e-4, atol=1e-4)


def test_what_cannot_work_is_refused(llama):
    tokens = make_texts()
    with pytest.raises(ConfigError, match=r"hook_z with d_in = 24: got d_in = 24 at 'blocks.1.hook_resid_pre'"):
        compute_dfa(llama, make_sae(RESID), tokens[0], 3)
    with pytest.raises(ConfigError, match="got d_in = 25"):
        fetch_max_activating_examples_attn(llama, make_sae(Z, d_in=25), tokens, 3)
    with pytest.raises(UnknownNameError, match="no latent is called '37'"):
        compute_dfa(llama, make_sae(Z), tokens[0], 37)
    with pytest.raises(ShapeError, match="between -8 and 7: got 8"):
        compute_dfa(llama, make_sae(Z), tokens[0], 3, 8)
