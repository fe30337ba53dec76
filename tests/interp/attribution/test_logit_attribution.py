"""The columns sum to the logits of the model's own next tokens."""

import torch

from arena_lib.interp.attribution import logit_attribution
from arena_lib.tests.intro_to_mech_interp.small_models import make_model, make_repeated


def test_columns_and_biases_sum_to_the_logits():
    model = make_model(torch.Generator().manual_seed(0)).double()
    tokens = make_repeated(model, 5, 1, torch.Generator().manual_seed(1))
    logits, cache = model.run_with_cache(tokens, remove_batch_dim=True)
    stack = cache.stack_head_results(apply_ln=True)
    embed = cache.apply_ln_to_stack(cache["embed"][None])[0]
    first, second = stack.unflatten(0, (2, 3)).transpose(1, 2)
    columns = logit_attribution(embed, first, second, model.W_U, tokens[0])
    bias = cache.apply_ln_to_stack(model.b_O.sum(dim=0).expand(1, 11, -1))[0, :-1] + model.ln_final.b
    constant = (bias @ model.W_U + model.b_U).gather(1, tokens[0, 1:, None])[:, 0]
    wanted = logits[0, :-1].gather(1, tokens[0, 1:, None])[:, 0]
    assert columns.shape == (10, 7)
    torch.testing.assert_close(columns.sum(dim=1) + constant, wanted)
