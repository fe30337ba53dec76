"""What the parts add sums to the logits, on every form of model and on the bridge."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, TokenError, UnknownNameError
from arena_lib.interp.attribution import (
    accumulated_residual,
    attribute_head_by_source,
    direct_logit_attribution,
    residual_stack,
    scale_by_final_norm,
)
from arena_lib.tests.intro_to_mech_interp.small_models import make_model
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.lesson_llama import LlamaConfig

SIZES = {"d_model": 12, "d_vocab": 17, "n_ctx": 20, "n_layers": 3, "n_heads": 4, "d_head": 6, "d_mlp": 14}


def make_any(form):
    generator = torch.Generator().manual_seed(3)
    if form == "attention-only":
        return make_model(generator, d_model=12, d_vocab=17, n_layers=3, n_heads=4).double()
    model = GPT2(GPT2Config(**SIZES)) if form == "gpt2" else Llama(LlamaConfig(**SIZES, n_kv_heads=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.double()


@pytest.fixture(params=["attention-only", "gpt2", "llama"])
def model(request):
    return make_any(request.param)


TOKENS = torch.randint(0, 17, (3, 7), generator=torch.Generator().manual_seed(0))
ANSWERS, WRONG = torch.tensor([2, 5, 16]), torch.tensor([0, 9, 5])


@pytest.mark.parametrize("by", ["head", "layer"])
@pytest.mark.parametrize("position", [-1, 2])
def test_the_parts_sum_to_the_logit_difference(model, by, position):
    found = direct_logit_attribution(model, TOKENS, ANSWERS, WRONG, position=position, by=by)
    logits = model(TOKENS)[range(3), position]
    torch.testing.assert_close(found.total, logits[range(3), ANSWERS] - logits[range(3), WRONG], atol=1e-9, rtol=0)
    assert len(found.labels) == len(found.values)


def test_the_parts_sum_to_the_logit_itself(model):
    logits = model(TOKENS)[range(3), -1, ANSWERS]
    torch.testing.assert_close(direct_logit_attribution(model, TOKENS, ANSWERS).total, logits, atol=1e-9, rtol=0)


def test_heads_sum_to_their_layer(model):
    by_head = direct_logit_attribution(model, TOKENS, ANSWERS, WRONG)
    by_layer = direct_logit_attribution(model, TOKENS, ANSWERS, WRONG, by="layer")
    of_layer_1 = [label.startswith("L1") and "mlp" not in label for label in by_head.labels]
    torch.testing.assert_close(
        by_head.values[of_layer_1].sum(0), by_layer.values[by_layer.labels.index("L1 attn")], atol=1e-9, rtol=0
    )


def test_sources_sum_to_the_head_less_its_bias(model):
    sources = attribute_head_by_source(model, TOKENS, (1, 2), ANSWERS, WRONG, position=4)
    whole = direct_logit_attribution(model, TOKENS, ANSWERS, WRONG, position=4)
    assert sources.shape == TOKENS.shape
    assert (sources[:, 5:] == 0).all()
    torch.testing.assert_close(sources.sum(dim=1), whole.values[whole.labels.index("L1H2")], atol=1e-9, rtol=0)


def test_stacks_add_up(model):
    _, cache = model.run_with_cache(TOKENS)
    final = cache["resid_post", 2]
    for by_head in (False, True):
        stack, labels = residual_stack(model, cache, by_head=by_head)
        assert len(labels) == len(stack)
        torch.testing.assert_close(stack.sum(dim=0), final, atol=1e-9, rtol=0)
    accumulated, labels = accumulated_residual(model, cache)
    assert labels == ["into L0", "into L1", "into L2", "final"]
    assert torch.equal(accumulated[-1], final)
    zero = model.ln_final(torch.zeros_like(final))
    torch.testing.assert_close(
        scale_by_final_norm(model, stack, final).sum(dim=0) + zero, model.ln_final(final), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-gpt"])
def test_ours_and_the_bridge_agree(name):
    tokens = torch.randint(257, 929, (2, 9), generator=torch.Generator().manual_seed(0))
    answers, wrong = torch.tensor([300, 400]), torch.tensor([500, 600])
    ours, bridge = (
        direct_logit_attribution(load(name), tokens, answers, wrong) for load in (zoo.load, zoo.load_bridge)
    )
    assert ours.labels == bridge.labels
    torch.testing.assert_close(ours.values, bridge.values, atol=1e-4, rtol=1e-3)


def test_what_does_not_exist_is_refused(model):
    with pytest.raises(ShapeError, match="one token for each of 3 prompts: got shape \\(3, 2\\)"):
        direct_logit_attribution(model, TOKENS, torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(TokenError, match="from 0 to 16"):
        direct_logit_attribution(model, TOKENS, torch.tensor([1, 2, 17]))
    with pytest.raises(ShapeError, match="a position must be between -7 and 6: got 7"):
        direct_logit_attribution(model, TOKENS, ANSWERS, position=7)
    with pytest.raises(UnknownNameError, match=r"no head is called '3\.0'"):
        attribute_head_by_source(model, TOKENS, (3, 0), ANSWERS)
    with pytest.raises(ConfigError, match="by 'head' or by 'layer': got 'neuron'"):
        direct_logit_attribution(model, TOKENS, ANSWERS, by="neuron")


def test_a_text_of_one_token_is_the_answer_of_every_prompt():
    model = zoo.load("tiny-gpt")
    tokens = model.to_tokens(["Jack gave the lamp to", "Tina gave the lamp to"])
    ids = torch.full((2,), model.to_single_token(" Jack"))
    by_text = direct_logit_attribution(model, tokens, " Jack", " Tina")
    by_ids = direct_logit_attribution(model, tokens, ids, torch.full((2,), model.to_single_token(" Tina")))
    assert torch.equal(by_text.values, by_ids.values)
    by_source = attribute_head_by_source(model, tokens, (1, 1), " Jack")
    assert torch.equal(by_source, attribute_head_by_source(model, tokens, (1, 1), ids))
    each = direct_logit_attribution(model, tokens, [" Jack", " Tina"], " lamp")
    assert torch.equal(each.values[:, 0], direct_logit_attribution(model, tokens, " Jack", " lamp").values[:, 0])
    assert torch.equal(each.values[:, 1], direct_logit_attribution(model, tokens, " Tina", " lamp").values[:, 1])
    with pytest.raises(TokenError, match="must be one token"):
        direct_logit_attribution(model, tokens, " Jack gave")
    with pytest.raises(TokenError, match=r"answers must be token ids for .*: got ' Jack'"):
        direct_logit_attribution(zoo.load_nnsight("tiny-gpt"), tokens, " Jack")
