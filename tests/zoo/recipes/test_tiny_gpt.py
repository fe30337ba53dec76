import torch

from arena_lib.zoo.recipes import tiny_gpt
from arena_lib.zoo.recipes.running import make_sinusoids


def test_the_model_starts_with_small_sinusoids_and_aligned_embeddings():
    model = tiny_gpt.make_model()
    torch.testing.assert_close(model.pos_embed.W_pos, 0.3 * make_sinusoids(128, 128))
    directions = (
        torch.nn.functional.normalize(model.embed.W_E, dim=1),
        torch.nn.functional.normalize(model.W_U.T, dim=1),
    )
    torch.testing.assert_close(*directions)


def test_the_seed_draws_the_weights():
    first, again, other = (tiny_gpt.make_model(seed).blocks[1].mlp.W_in for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
