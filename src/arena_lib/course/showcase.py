"""The demo's second half: what the library finds in a trained model, as figures.

Shapes:  tokens "batch seq"; figures are plotly's.
Raises:  ZooError if the model can't be had.
Source:  induction after Olsson et al. 2022, arXiv:2209.11895; the indirect object after
         Wang et al. 2022, arXiv:2211.00593.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEADS_SHOWN = 3
END_OF_TEXT = "<|endoftext|>"
"""What both languages put between texts."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Texts that suit a model's language."""

    indirect_object: str
    answer: str
    story: str
    n_new: int


STORYWORLD = Prompts(
    indirect_object="When Tina and Jack went to the garden, Jack gave the lamp to",
    answer="Tina",
    story="Tina was a sailor.",
    n_new=40,
)
ENGLISH = Prompts(
    indirect_object="When Mary and John went to the store, John gave a drink to",
    answer=" Mary",
    story="The capital of France is",
    n_new=24,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: a sentence and, where there is something to see, a figure."""

    title: str
    text: str
    figure: go.Figure | None = None


def find(name: str) -> list[Finding]:
    """What can be shown of the zoo's model `name`: guesses, attention, induction, and a text of its own."""
    from arena_lib import zoo

    model = zoo.load(name).eval()
    prompts = STORYWORLD if zoo.info(name).source == "bundled" else ENGLISH
    return [
        show_lesson_form(model),
        show_guess(model, prompts),
        show_attention(model, prompts),
        *show_induction(model),
        show_text(model, prompts),
    ]


def show_lesson_form(model: Any) -> Finding:
    """The weights in the plain classes that learners write, and how far their logits lie from the fast form's."""
    import torch

    from arena_lib.transformer.lesson import DemoTransformer
    from arena_lib.transformer.lesson_llama import DemoLlama, LlamaConfig

    plain = (DemoLlama if isinstance(model.cfg, LlamaConfig) else DemoTransformer)(model.cfg)
    plain.load_state_dict(model.state_dict())
    tokens = _random_tokens(model, 1, 24)
    with torch.no_grad():
        difference = float((plain(tokens) - model(tokens)).abs().max())
    n_parameters = sum(parameter.numel() for parameter in plain.parameters())
    return Finding(
        title="The learner's own classes run the trained weights:",
        text=f"{type(plain).__name__} with {n_parameters / 1e6:.1f} million parameters; its logits differ from the fast form's by {difference:.1e} at most.",
    )


def show_guess(model: Any, prompts: Prompts) -> Finding:
    """The likeliest next tokens of a sentence whose answer is the indirect object."""
    import torch

    from arena_lib import plots

    tokens = model.to_tokens(prompts.indirect_object)
    with torch.no_grad():
        probabilities = model(tokens)[0, -1].softmax(dim=-1)
    best = int(probabilities.argmax())
    shown = probabilities.topk(10).indices.tolist()
    answer = model.to_single_token(prompts.answer)
    shown += [answer] * (answer not in shown)
    figure = plots.token_probabilities(
        probabilities[shown],
        [model.to_string([i]) for i in shown],
        answer=model.to_string([answer]),
        title=f"{prompts.indirect_object} ...",
    )
    return Finding(
        title="Who receives it?",
        text=f"The likeliest next token is {model.to_string([best])!r} with {float(probabilities[best]):.0%}; the indirect object is {prompts.answer!r}.",
        figure=figure,
    )


def show_attention(model: Any, prompts: Prompts) -> Finding:
    """The patterns of the layer in which the last position looks most at the answer."""
    import torch

    from arena_lib import plots

    tokens = model.to_tokens(prompts.indirect_object)
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    at = tokens[0].tolist().index(model.to_single_token(prompts.answer))
    to_answer = torch.stack([cache["pattern", layer][0, :, -1, at] for layer in range(model.cfg.n_layers)])
    layer = int(to_answer.max(dim=1).values.argmax())
    heads = to_answer[layer].topk(min(HEADS_SHOWN, model.cfg.n_heads)).indices.sort().values
    figure = plots.attention(
        cache["pattern", layer][0, heads],
        model.to_str_tokens(tokens),
        head_names=[f"head {layer}.{int(head)}" for head in heads],
        title=f"Layer {layer}: the heads in which the last position looks most at the answer",
    )
    share = float(to_answer.max())
    return Finding(
        title="Where does the last position look?",
        text=f"Of all heads, one in layer {layer} gives {share:.0%} of the last position's attention to {prompts.answer!r}.",
        figure=figure,
    )


def show_induction(model: Any) -> list[Finding]:
    """The loss on random tokens that are repeated, and the heads that look behind the earlier copy."""
    import torch

    from arena_lib import plots
    from arena_lib.transformer.loss import next_token_logprobs

    half = 24
    first = _random_tokens(model, 8, half)
    tokens = torch.cat([first, first], dim=1)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    losses = -next_token_logprobs(logits, tokens).mean(dim=0)
    # A query at its token's second occurrence looks at the token behind the first: half - 1 positions back.
    scores = torch.stack(
        [
            cache["pattern", layer].diagonal(offset=1 - half, dim1=-2, dim2=-1)[..., 1:].mean(dim=(0, 2))
            for layer in range(model.cfg.n_layers)
        ]
    )
    before, after = float(losses[: half - 1].mean()), float(losses[half:].mean())
    layer, head = divmod(int(scores.argmax()), model.cfg.n_heads)
    return [
        Finding(
            title="Does it notice repetition?",
            text=f"On random tokens the loss is {before:.2f} nats; on their second copy it is {after:.2f}.",
            figure=plots.lines({"loss": losses}, x_title="position", title="Random tokens, then the same again"),
        ),
        Finding(
            title="Which heads do it?",
            text=f"Induction score: attention to the token behind the earlier copy. The highest is head {layer}.{head} with {float(scores.max()):.2f}.",
            figure=plots.heads(scores, quantity="induction score", title="Induction heads"),
        ),
    ]


def show_text(model: Any, prompts: Prompts) -> Finding:
    """A text that the model writes by itself, drawn with a fixed seed."""
    from arena_lib.core.seeds import make_generator
    from arena_lib.transformer.fast.generation import generate
    from arena_lib.transformer.sampling import SamplingConfig

    tokens = model.to_tokens(prompts.story)
    options = SamplingConfig(temperature=0.7, top_p=0.9)
    written = generate(model, tokens, prompts.n_new, options, generator=make_generator(0))
    texts = [text.strip() for text in model.to_string(written[0]).split(END_OF_TEXT) if text.strip()]
    return Finding(title="In its own words:", text=texts[0])


def _random_tokens(model: Any, batch: int, seq: int) -> Any:
    """Token ids drawn alike from the vocabulary, special and byte tokens left out where there are any."""
    import torch

    from arena_lib.core.seeds import make_generator

    low = min(300, model.cfg.d_vocab // 2)
    return torch.randint(low, model.cfg.d_vocab, (batch, seq), generator=make_generator(0))
