import torch
import torch.nn.functional as F
from benchmarks.studies.truth.end_to_end import train_end_to_end

from arena_lib import zoo
from arena_lib.saes.training.splicing import run_with_sae
from arena_lib.saes.training.variants import make_sae
from arena_lib.storyworld import make_rows


def test_predictions_with_the_reconstruction_come_nearer_to_the_models_own():
    model = zoo.load("tiny-llama")
    sae = make_sae("topk", d_in=128, d_sae=64).requires_grad_(False)
    rows = torch.from_numpy(make_rows(8, 12, seed=2))
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}

    def divergence():
        with torch.no_grad():
            spliced = run_with_sae(model, sae, rows, "blocks.3.hook_resid_post").log_softmax(-1)
            return float(F.kl_div(spliced, model(rows).log_softmax(-1), log_target=True, reduction="sum"))

    sae.cfg = sae.cfg.__class__(**{**vars(sae.cfg), "hook_name": "blocks.3.hook_resid_post"})
    before = divergence()
    train_end_to_end(model, sae, rows, n_steps=12, seed=0)
    assert divergence() < before
    assert not any(weight.requires_grad for weight in sae.parameters())
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
