import torch

from arena_lib.zoo.recipes import reading, tiny_llama


def test_the_model_shares_keys_and_its_embeddings_start_aligned():
    model = tiny_llama.make_model()
    assert (model.cfg.n_heads, model.cfg.n_kv_heads) == (4, 2)
    directions = (
        torch.nn.functional.normalize(model.embed.W_E, dim=1),
        torch.nn.functional.normalize(model.W_U.T, dim=1),
    )
    torch.testing.assert_close(*directions)


def test_it_reads_what_tiny_gpt_reads_and_then_more_lists():
    *shared, last, lists = tiny_llama.PLAN.stages
    assert tuple(shared) == reading.PLAN.stages[:-1]
    assert last.mixture == reading.PLAN.stages[-1].mixture
    assert lists.mixture["adjectives"] > 2 * last.mixture["adjectives"]
    assert tiny_llama.PLAN.steady_steps > reading.PLAN.steady_steps
