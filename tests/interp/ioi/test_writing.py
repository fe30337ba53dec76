import pytest
import torch

from arena_lib.errors import UnknownNameError
from arena_lib.interp.ioi import calculate_scatter_embedding_vs_attn, make_ioi_dataset


def test_projection_over_the_norm_scale_is_what_the_head_adds_to_the_logit(model, words):
    dataset = make_ioi_dataset(model, 6, generator=torch.Generator().manual_seed(0), words=words)
    _, cache = model.run_with_cache(dataset.toks)
    attention, projection = calculate_scatter_embedding_vs_attn(1, 2, cache, dataset, model)
    rows, end = torch.arange(6), dataset.at("end")
    for idx, (role, answers) in enumerate((("IO", dataset.io_tokens), ("S1", dataset.s_tokens))):
        assert torch.equal(attention[idx], cache["pattern", 1][rows, 2, end, dataset.at(role)])
        scale = cache["ln_final.hook_scale"][rows, end, 0]
        stack = cache.stack_head_results(apply_ln=True)[1 * 4 + 2][rows, end]
        share = (stack * model.W_U[:, answers].T).sum(-1)
        assert torch.allclose(projection[idx] / scale, share)


def test_a_head_that_is_not_there_is_refused(model, words):
    dataset = make_ioi_dataset(model, 2, generator=torch.Generator().manual_seed(0), words=words)
    with pytest.raises(UnknownNameError, match=r"'1\.4'"):
        calculate_scatter_embedding_vs_attn(1, 4, {}, dataset, model)
