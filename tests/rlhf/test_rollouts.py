"""What is drawn has the probability that is kept; padding, endings and shared prompts change nothing."""

import pytest
import torch

from arena_lib.errors import ConfigError, TokenError, TrainingError
from arena_lib.rlhf.logprobs import compute_response_logprobs
from arena_lib.rlhf.prompts import pad_prompts
from arena_lib.rlhf.rollouts import draw_rollouts, draw_tokens, generator_on, read_prompts
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

SIZES = {"d_model": 10, "d_vocab": 7, "n_ctx": 14, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
PROMPTS = pad_prompts([[1, 4, 3], [5], [6, 2]])
END = 5
"""It also begins prompts, as in storyworld: there it ends nothing."""


def make_model(form: str = "llama") -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    if form == "llama":
        return Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=generator)
    return GPT2(GPT2Config(init_range=0.7, **SIZES), generator=generator)


def draw(model=None, gen_len=6, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return draw_rollouts(
        model or make_model(), options.pop("prompts", PROMPTS), gen_len, generator=generator, **options
    )


@pytest.mark.parametrize("form", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scoring_again_gives_the_logprobs_of_drawing(form, temperature):
    model = make_model(form)
    rollouts = draw(model, n_samples=4, temperature=temperature, end_of_text=END)
    scored = compute_response_logprobs(
        model, rollouts.tokens, rollouts.n_prompt, temperature=temperature, attention_mask=rollouts.attention_mask
    )
    is_response = rollouts.is_response
    assert 0 < is_response.sum() < is_response.numel()
    torch.testing.assert_close(scored[is_response], rollouts.logprobs[is_response])
    assert (rollouts.logprobs[~is_response] == 0).all()


def test_a_sample_ends_with_its_first_end_and_more_of_them_fill_the_row():
    rollouts = draw(n_samples=20, end_of_text=END)
    after = rollouts.tokens[:, 3:]
    lengths = rollouts.is_response.sum(dim=1)
    for row, length in zip(after, lengths, strict=True):
        assert (row[: length - 1] != END).all()
        assert (row[length:] == END).all()
        assert length == 6 or row[length - 1] == END
    assert len(set(lengths.tolist())) > 2


def test_without_an_end_every_token_is_drawn():
    assert draw(n_samples=5).is_response.all()


def test_drawing_stops_once_all_have_ended():
    model, shapes = make_model(), []
    model.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    rollouts = draw(model, gen_len=11, n_samples=2, end_of_text=END)
    longest = int(rollouts.is_response.sum(dim=1).max())
    assert longest < 11
    assert len(shapes) == longest  # the prompts, and each token but the last
    assert rollouts.tokens.shape == (6, 14)


def test_samples_of_a_prompt_stand_side_by_side_and_differ():
    rollouts = draw(n_samples=4)
    assert rollouts.prompts == [[1, 4, 3]] * 4 + [[5]] * 4 + [[6, 2]] * 4
    assert rollouts.tokens.shape == (12, 9)
    assert len({tuple(row) for row in rollouts.responses[:4]}) > 1


def test_equal_seeds_give_equal_samples():
    assert torch.equal(draw(n_samples=3, seed=1).tokens, draw(n_samples=3, seed=1).tokens)
    assert not torch.equal(draw(n_samples=3, seed=1).tokens, draw(n_samples=3, seed=2).tokens)


def test_a_shared_reading_is_as_good_as_a_reading_for_each_sample():
    model = make_model()
    repeated = PROMPTS[torch.tensor([0, 0, 1, 1, 2, 2])]
    together, apart = draw(model, n_samples=2), draw(model, prompts=repeated)
    assert torch.equal(together.tokens, apart.tokens)
    torch.testing.assert_close(together.logprobs, apart.logprobs)


def test_prompts_are_read_once():
    model, shapes = make_model(), []
    model.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    draw(model, gen_len=3, n_samples=5)
    assert shapes == [(3, 3), (15, 1), (15, 1)]


def test_padded_prompts_give_what_they_give_alone():
    model = make_model()
    _, together = read_prompts(model, PROMPTS, 1, 5)
    for row, prompt in enumerate([[1, 4, 3], [5], [6, 2]]):
        torch.testing.assert_close(together[row], model(torch.tensor([prompt]))[0, -1])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_tokens_are_drawn_from_the_distribution_at_that_temperature(temperature):
    logits = torch.tensor([0.0, 1.0, -1.0])
    n = 100_000
    chosen, logprobs = draw_tokens(logits.expand(n, 3), temperature, torch.Generator().manual_seed(0))
    expected = (logits / temperature).softmax(-1)
    torch.testing.assert_close(chosen.bincount() / n, expected, atol=0.01, rtol=0)
    torch.testing.assert_close(logprobs, expected.log()[chosen])


def test_rollouts_can_be_trained_on():
    model = make_model()
    rollouts = draw(model)
    compute_response_logprobs(model, rollouts.tokens, 3, attention_mask=rollouts.attention_mask).sum().backward()
    assert not rollouts.logprobs.requires_grad
    assert model.embed.W_E.grad.any()


def test_speed_counts_what_was_drawn():
    rollouts = draw(n_samples=4, end_of_text=END)
    assert rollouts.tokens_per_second == pytest.approx(rollouts.is_response.sum().item() / rollouts.seconds)


def test_what_does_not_fit_is_refused():
    with pytest.raises(TokenError, match=r"context of 14 tokens: got prompts of 3 and gen_len=12\. Pass gen_len=11 or"):
        draw(gen_len=12)
    with pytest.raises(TokenError, match=r"got prompts of 14 and gen_len=1\. Pass shorter prompts"):
        draw(gen_len=1, prompts=pad_prompts([[1] * 14]))
    assert draw(gen_len=11).tokens.shape == (3, 14)
    for options in ({"gen_len": 0}, {"n_samples": 0}):
        with pytest.raises(ConfigError, match="must be at least 1: got 0"):
            draw(**options)
    with pytest.raises(ConfigError, match="temperature must be finite and above 0"):
        draw(temperature=0.0)


def test_logprobs_have_the_precision_of_the_model():
    model = make_model().double()
    rollouts = draw(model)
    assert rollouts.logprobs.dtype == torch.float64
    scored = compute_response_logprobs(model, rollouts.tokens, 3, attention_mask=rollouts.attention_mask)
    torch.testing.assert_close(scored, rollouts.logprobs, atol=1e-12, rtol=0)
    assert draw(make_model().bfloat16()).logprobs.dtype == torch.float32


def test_a_model_that_gives_no_numbers_is_refused():
    model = make_model()
    with torch.no_grad():
        model.unembed.W_U[0, 2] = torch.nan
    with pytest.raises(TrainingError, match="logits must be finite, so that tokens can be drawn"):
        draw(model)


def test_a_generator_that_can_draw_there_is_taken_as_it_is():
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert generator_on(torch.device("cpu"), generator) is generator
    assert generator_on(torch.device("cpu"), None) is None
    assert torch.equal(generator.get_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_generator_on_the_cpu_draws_on_cuda():
    tokens = [draw(make_model().cuda(), seed=seed).tokens for seed in (0, 0, 1)]
    assert torch.equal(tokens[0], tokens[1])
    assert not torch.equal(tokens[0], tokens[2])


def test_elsewhere_a_generator_gives_the_seed_of_another(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "arena_lib.rlhf.rollouts.make_generator", lambda seed, device: asked.append((seed, device.type))
    )
    for start in (0, 0, 1):
        generator = torch.Generator().manual_seed(start)
        generator_on(torch.device("cuda"), generator)
        generator_on(torch.device("cuda"), generator)
    assert asked[:2] == asked[2:4]
    assert len(set(asked)) == 4  # each call and each seed has its own
    assert {device for _, device in asked} == {"cuda"}
