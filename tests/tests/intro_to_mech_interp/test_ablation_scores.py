"""What notebooks in use hand in for ablation is judged alike, and a lambda that binds late is named."""

import importlib
from functools import partial

import torch
import torch.nn.functional as F

from arena_lib.checking import run
from arena_lib.interp.heads.ablation import head_zero_ablation_hook

judges = importlib.import_module("arena_lib.tests.intro_to_mech_interp")


def test_notebooks_that_pass_a_model_along_are_judged_alike(capsys):
    judges.test_get_ablation_scores(_scores_of_the_course, "a model", "tokens")
    assert "✓" in capsys.readouterr().out


def _scores_of_the_course(model, tokens, ablation_function=None):
    """As notebooks in use write it: one loop, partial, the loss over the last n - 1 tokens."""

    def zero(z, hook, head_index_to_ablate):
        z[:, :, head_index_to_ablate, :] = 0.0
        return z

    scores = torch.zeros((model.cfg.n_layers, model.cfg.n_heads))
    seq_len = (tokens.shape[1] - 1) // 2

    def loss(logits):
        logprobs = logits.log_softmax(dim=-1)
        picked = logprobs[:, :-1].gather(dim=-1, index=tokens[:, 1:].unsqueeze(-1)).squeeze(-1)
        return -picked[:, -(seq_len - 1) :].mean()

    model.reset_hooks()
    clean = loss(model(tokens))
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = partial(ablation_function or zero, head_index_to_ablate=head)
            name = f"blocks.{layer}.attn.hook_z"
            scores[layer, head] = loss(model.run_with_hooks(tokens, fwd_hooks=[(name, hook)])) - clean
    return scores


def test_a_late_binding_lambda_is_named():
    diagnosis = run(judges.test_get_ablation_scores, _scores_of_late_lambdas).diagnosis
    assert diagnosis.mistake == "always ablates the last head"
    assert "lambda" in diagnosis.why


def _scores_of_late_lambdas(model, tokens, ablation_function=head_zero_ablation_hook):
    """Makes all hooks first: each lambda sees the head at which the loop has ended."""
    n = (tokens.shape[1] - 1) // 2
    hooks = {}
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hooks[layer, head] = lambda z, hook: ablation_function(z, hook, head)  # noqa: B023 -- the mistake itself

    def loss(logits):
        return F.cross_entropy(logits[:, n + 1 : -1].flatten(0, 1), tokens[:, n + 2 :].flatten())

    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    with torch.no_grad():
        for place, hook in hooks.items():
            logits = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{place[0]}.attn.hook_z", hook)])
            scores[place] = loss(logits) - loss(model(tokens))
    return scores
