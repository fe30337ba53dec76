import pytest
import torch

from arena_lib.errors import TokenError
from arena_lib.transformer import lesson
from arena_lib.transformer.fast.generation import generate
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.kv_cache import generate_with_cache
from arena_lib.transformer.lesson_llama import LlamaConfig
from arena_lib.transformer.sampling import SamplingConfig

SIZES = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
PROMPTS = torch.tensor([[1, 12, 3, 4], [7, 0, 2, 2], [5, 6, 11, 8]])


def make_gpt2():
    return GPT2(GPT2Config(init_range=0.7, **SIZES), generator=torch.Generator().manual_seed(0)).double()


def by_rereading(model, tokens, n_new):
    with torch.no_grad():
        for _ in range(n_new):
            tokens = torch.cat([tokens, model(tokens)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
    return tokens


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_generation_agrees_with_reading_everything_again(form):
    llama = Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=torch.Generator().manual_seed(1))
    model = make_gpt2() if form == "gpt2" else llama.double()
    generated = generate(model, PROMPTS, 6)
    assert torch.equal(generated, by_rereading(model, PROMPTS, 6))
    assert torch.equal(generate(model, PROMPTS, 0), PROMPTS)


def test_generation_draws_as_the_lesson_form_does():
    model = make_gpt2()
    plain = lesson.DemoTransformer(lesson.Config(**SIZES)).double()
    plain.load_state_dict(model.state_dict())
    options = SamplingConfig(temperature=2.0, frequency_penalty=0.5)
    ours = generate(model, PROMPTS, 5, options, generator=torch.Generator().manual_seed(3))
    assert torch.equal(
        ours, generate_with_cache(plain, PROMPTS, 5, options, generator=torch.Generator().manual_seed(3))
    )
    assert not torch.equal(ours, generate(model, PROMPTS, 5, options, generator=torch.Generator().manual_seed(4)))


def test_generation_reads_each_token_once():
    model, read = make_gpt2(), []
    model.embed.register_forward_pre_hook(lambda module, args: read.append(args[0].shape[1]))
    generate(model, PROMPTS, 4)
    assert read == [4, 1, 1, 1]


def test_each_sequence_ends_with_its_first_new_end_token():
    model = make_gpt2()
    options = SamplingConfig(temperature=5.0)
    free = generate(model, PROMPTS, 6, options, generator=torch.Generator().manual_seed(0))
    eos_token_id = int(free[0, 5])
    ended = generate(model, PROMPTS, 6, options, eos_token_id, torch.Generator().manual_seed(0))
    ends = []
    for row in range(3):
        is_end = free[row, 4:].tolist()
        ends.append(4 + is_end.index(eos_token_id) + 1 if eos_token_id in is_end else 10)
        assert torch.equal(ended[row, : ends[row]], free[row, : ends[row]])
        assert (ended[row, ends[row] :] == eos_token_id).all()
    assert len(set(ends)) > 1
    assert ended.shape[1] == max(ends)


def test_generation_stops_when_every_sequence_has_ended():
    model = make_gpt2()
    first = int(generate(model, PROMPTS[:1], 1)[0, -1])
    assert generate(model, PROMPTS[:1], 6, eos_token_id=first).shape == (1, 5)


def test_an_end_token_in_the_prompt_ends_nothing():
    model = make_gpt2()
    assert generate(model, PROMPTS[:1], 2, eos_token_id=12).shape == (1, 6)


def test_generation_must_fit_into_the_context():
    with pytest.raises(TokenError, match="context of 9 tokens: got a prompt of 4 and max_new_tokens=7"):
        generate(make_gpt2(), PROMPTS, 7)
