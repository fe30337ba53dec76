"""The demo's second half: what the library finds in a trained model, as figures.

Shapes:  tokens "batch seq"; figures are plotly's.
Raises:  ZooError if the model can't be had.
Source:  induction after Olsson et al. 2022, arXiv:2209.11895; the indirect object after
         Wang et al. 2022, arXiv:2211.00593.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEADS_SHOWN = 3
WHERE = "Where does the last position look?"
END_OF_TEXT = "<|endoftext|>"
"""What both languages put between texts."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Texts that suit a model's language."""

    indirect_object: str
    """Ends where the name of the one who receives something comes next."""
    swapped: str
    """The same with the giver and the receiver exchanged."""
    answer: str
    giver: str
    story: str
    n_new: int


STORYWORLD = Prompts(
    indirect_object="When Tina and Jack went to the garden, Jack gave the lamp to",
    swapped="When Tina and Jack went to the garden, Tina gave the lamp to",
    answer="Tina",
    giver="Jack",
    story="Tina was a sailor.",
    n_new=40,
)
ENGLISH = Prompts(
    indirect_object="When Mary and John went to the store, John gave a drink to",
    swapped="When Mary and John went to the store, Mary gave a drink to",
    answer=" Mary",
    giver=" John",
    story="The capital of France is",
    n_new=24,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: a sentence and, where there is something to see, a figure."""

    title: str
    text: str
    figure: go.Figure | None = None


def find(name: str, learner: types.ModuleType) -> list[Finding]:
    """What can be shown of the zoo's model `name`: guesses, attention, induction, and a text of its own.

    If `learner` holds the model's class as written in a notebook, that takes the weights first.
    """
    from arena_lib import zoo

    model = zoo.load(name).eval()
    prompts = STORYWORLD if zoo.info(name).source == "bundled" else ENGLISH
    return [
        *show_learners_form(model, learner),
        show_guess(model, prompts),
        show_attention(model, prompts),
        *show_induction(model),
        show_text(model, prompts),
    ]


def show_learners_form(model: Any, learner: types.ModuleType) -> list[Finding]:
    """The weights in the learner's own class, and how far its logits are from the fast form's; nothing without one."""
    import torch

    from arena_lib.transformer.lesson_llama import LlamaConfig

    name = "DemoLlama" if isinstance(model.cfg, LlamaConfig) else "DemoTransformer"
    form = getattr(learner, name, None)
    if form is None or form.__module__ != learner.__name__:
        return []
    plain = form(model.cfg)
    plain.load_state_dict(model.state_dict())
    tokens = _random_tokens(model, 1, 24)
    with torch.no_grad():
        difference = float((plain(tokens) - model(tokens)).abs().max())
    n_parameters = sum(parameter.numel() for parameter in plain.parameters())
    return [
        Finding(
            title="The learner's own classes run the trained weights:",
            text=f"{name}, as written in the notebook, with {n_parameters / 1e6:.1f} million parameters; its logits differ from those of the library's fast form by {difference:.1e} at most.",
        )
    ]


def show_guess(model: Any, prompts: Prompts) -> Finding:
    """Who receives it, and who does once giver and receiver are exchanged."""
    import torch

    from arena_lib import plots

    names = [prompts.answer, prompts.giver]
    ids = [model.to_single_token(name) for name in names]
    shares = {}
    for prompt in (prompts.indirect_object, prompts.swapped):
        with torch.no_grad():
            probabilities = model(model.to_tokens(prompt))[0, -1].softmax(dim=-1)
        of_names = probabilities[ids].tolist()
        shares[prompt] = [*of_names, 1 - sum(of_names)]
    (to_answer, _, _), (_, to_giver, _) = shares.values()
    first, second = (name.strip() for name in names)
    figure = plots.bars(
        {f"{giver} gives": values for giver, values in zip((second, first), shares.values(), strict=True)},
        [first, second, "any other token"],
        y_title="probability",
        x_title="next token",
        title="The next token, for each giver",
    )
    return Finding(
        title="Who receives it?",
        text=f"After “{prompts.indirect_object}” the model gives {first} {to_answer:.0%}. With {first} as the giver, it gives {second} {to_giver:.0%}.",
        figure=figure,
    )


def show_attention(model: Any, prompts: Prompts) -> Finding:
    """The patterns of the heads whose last position looks at the answer more than at any other token."""
    import torch

    from arena_lib import plots

    tokens = model.to_tokens(prompts.indirect_object)
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    at = tokens[0].tolist().index(model.to_single_token(prompts.answer))
    looks = torch.stack([cache["pattern", layer][0, :, -1] for layer in range(model.cfg.n_layers)])
    to_answer = looks[..., at]
    to_others = torch.cat([looks[..., :at], looks[..., at + 1 :]], dim=-1).amax(dim=-1)
    heads = (to_answer > to_others).nonzero().tolist()
    heads = sorted(heads, key=lambda head: -float(to_answer[tuple(head)]))[:HEADS_SHOWN]
    answer = prompts.answer.strip()
    if not heads:
        return Finding(title=WHERE, text=f"No head's last position looks at {answer} more than at every other token.")
    names = [f"{layer}.{head}" for layer, head in heads]
    shares = [f"{name} ({float(to_answer[tuple(head)]):.0%})" for name, head in zip(names, heads, strict=True)]
    return Finding(
        title=WHERE,
        text=f"In some heads it looks at {answer} more than at any other token; here with their shares: {', '.join(shares)}.",
        figure=plots.attention(
            torch.stack([cache["pattern", layer][0, head] for layer, head in heads]),
            model.to_str_tokens(tokens),
            head_names=[f"head {name}" for name in names],
            title=f"Heads whose last position looks most at {answer}",
        ),
    )


def show_induction(model: Any) -> list[Finding]:
    """The loss on random tokens that are repeated, and the heads that look one past the earlier copy."""
    import torch

    from arena_lib import plots
    from arena_lib.transformer.loss import next_token_logprobs

    half = 24
    first = _random_tokens(model, 8, half)
    tokens = torch.cat([first, first], dim=1)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    losses = -next_token_logprobs(logits, tokens).mean(dim=0)
    # A query at its token's second occurrence looks at the token after the first: half - 1 positions back.
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
            text=f"Induction score: attention to the token after the earlier copy. The highest is head {layer}.{head} with {float(scores.max()):.2f}.",
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
