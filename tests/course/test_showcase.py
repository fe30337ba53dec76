"""What the demo says of a model, on models whose behaviour is known."""

import math
import types
from types import SimpleNamespace

import pytest
import torch

from arena_lib import zoo
from arena_lib.course import showcase
from arena_lib.course.showcase import ENGLISH, STORYWORLD, Finding, Prompts, find
from arena_lib.transformer import lesson, lesson_llama
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

PROMPTS = Prompts(indirect_object="w3 w7 w5 w7", swapped="w3 w7 w5 w3", answer="w3", giver="w7", story="w1 w2", n_new=6)
HALF = 24


class Known:
    """A model whose logits and patterns are given; its words are w0, w1 ..."""

    def __init__(self, *, d_vocab=40, patterns=None, logits=None):
        n_layers, n_heads = (1, 1) if patterns is None else patterns.shape[:2]
        self.cfg = SimpleNamespace(n_layers=n_layers, n_heads=n_heads, d_vocab=d_vocab)
        self.patterns, self.logits = patterns, logits

    def __call__(self, tokens):
        return self.logits if torch.is_tensor(self.logits) else self.logits(tokens)

    def run_with_cache(self, tokens, names_filter):
        assert names_filter("blocks.0.attn.hook_pattern")
        assert not names_filter("blocks.0.attn.hook_z")
        every = {("pattern", layer): self.patterns[layer][None] for layer in range(self.cfg.n_layers)}
        return (None if self.logits is None else self(tokens)), every

    def to_tokens(self, text):
        return torch.tensor([[int(word[1:]) for word in text.split()]])

    def to_single_token(self, text):
        return int(text[1:])

    def to_string(self, tokens):
        return "".join(f"w{int(token)}" for token in tokens)

    def to_str_tokens(self, tokens):
        return [f"w{int(token)}" for token in tokens[0]]


def written(*names):
    """A notebook's namespace with these classes as a learner wrote them."""
    learner = types.ModuleType("learner")
    for name in names:
        library = lesson_llama.DemoLlama if name == "DemoLlama" else lesson.DemoTransformer
        setattr(learner, name, type(name, (library,), {"__module__": "learner"}))
    return learner


def uniform(n_layers, n_heads, seq):
    return torch.ones(seq, seq).tril().div(torch.arange(1, seq + 1)[:, None]).expand(n_layers, n_heads, -1, -1).clone()


# the lesson's classes


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (GPT2(GPT2Config(d_model=6, d_vocab=50_000, n_ctx=24, n_layers=1, n_heads=2, d_head=3, d_mlp=7)), "DemoTransformer"),
        (
            Llama(LlamaConfig(d_model=6, d_vocab=50_000, n_ctx=24, n_layers=1, n_heads=2, n_kv_heads=1, d_head=4, d_mlp=7)),
            "DemoLlama",
        ),
    ],
    ids=["gpt2", "llama"],
)  # fmt: skip
def test_the_learners_own_class_takes_the_weights(model, told):
    learner = written("DemoTransformer", "DemoLlama")
    (found,) = showcase.show_learners_form(model.eval(), learner)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert found.text.startswith(
        f"{told}, as written in the notebook, with {n_parameters / 1e6:.1f} million parameters"
    )
    assert float(found.text.split(" by ")[1].split()[0]) < 1e-4
    assert (found.title, found.figure) == ("The learner's own classes run the trained weights:", None)


@pytest.mark.parametrize("names", [(), ("DemoLlama",)])
def test_what_no_learner_wrote_is_not_shown(names):
    """The library's own class, imported into the notebook, isn't the learner's."""
    model = GPT2(GPT2Config(d_model=6, d_vocab=37, n_ctx=24, n_layers=1, n_heads=2, d_head=3, d_mlp=7)).eval()
    learner = written(*names)
    assert showcase.show_learners_form(model, learner) == []
    learner.DemoTransformer = lesson.DemoTransformer
    assert showcase.show_learners_form(model, learner) == []


def test_a_difference_of_the_two_forms_would_be_said(monkeypatch):
    model = GPT2(GPT2Config(d_model=6, d_vocab=37, n_ctx=24, n_layers=1, n_heads=2, d_head=3, d_mlp=7)).eval()
    ours = model.forward
    monkeypatch.setattr(model, "forward", lambda tokens: ours(tokens) + torch.arange(37) / 36 - 2)
    (found,) = showcase.show_learners_form(model, written("DemoTransformer"))
    assert " by 2.0e+00 at most." in found.text


# the next token


def logits_of(**probabilities):
    """These words have these probabilities at the last position, and another word all before."""
    logits = torch.full((1, 4, 40), -50.0)
    for word, probability in probabilities.items():
        logits[0, -1, int(word[1:])] = math.log(probability)
    logits[0, :-1, 0] = 50.0
    return logits


def test_the_guess_is_shown_for_both_givers():
    asked = PROMPTS.indirect_object
    model = Known(
        logits=lambda tokens: (
            logits_of(w3=0.6, w7=0.3, w5=0.1)
            if tokens[0].tolist() == [3, 7, 5, 7]
            else logits_of(w3=0.2, w7=0.75, w5=0.05)
        )
    )
    found = showcase.show_guess(model, PROMPTS)
    assert found.text == f"After “{asked}” the model gives w3 60%. With w3 as the giver, it gives w7 75%."
    assert found.title == "Who receives it?"
    assert [(bars.name, [round(float(y), 2) for y in bars.y]) for bars in found.figure.data] == [
        ("w7 gives", [0.6, 0.3, 0.1]),
        ("w3 gives", [0.2, 0.75, 0.05]),
    ]


# attention


def test_only_heads_that_look_most_at_the_answer_are_shown_the_strongest_first():
    patterns = uniform(3, 4, 4)
    patterns[0, 1, -1] = torch.tensor([0.5, 0.25, 0.25, 0.0])
    patterns[1, 2, -1] = torch.tensor([0.75, 0.25, 0.0, 0.0])
    patterns[1, 3, -1] = torch.tensor([0.004, 0.996, 0.0, 0.0])
    patterns[2, :, -1] = torch.tensor([0.0, 1.0, 0.0, 0.0])  # another word
    patterns[2, :, :-1, 0] = 1.0  # another query
    found = showcase.show_attention(Known(patterns=patterns), PROMPTS)
    assert found.text.endswith("here with their shares: 1.2 (75%), 0.1 (50%).")
    assert found.title == "Where does the last position look?"
    assert [annotation.text for annotation in found.figure.layout.annotations] == ["head 1.2", "head 0.1"]
    assert [panel.z[-1].tolist() for panel in found.figure.data] == [[0.75, 0.25, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]]


def test_more_heads_than_there_is_room_for_are_left_out():
    patterns = uniform(1, 5, 4)
    for head in range(5):
        patterns[0, head, -1] = torch.tensor([0.6 + head / 20, 0.4 - head / 20, 0.0, 0.0])
    found = showcase.show_attention(Known(patterns=patterns), PROMPTS)
    assert [annotation.text for annotation in found.figure.layout.annotations] == ["head 0.4", "head 0.3", "head 0.2"]


def test_no_head_is_shown_where_none_looks_most_at_the_answer():
    found = showcase.show_attention(Known(patterns=uniform(1, 2, 4)), PROMPTS)
    assert found.text == "No head's last position looks at w3 more than at every other token."
    assert found.figure is None


# induction


def copying_logits(tokens):
    """Each copy has one position that is unlike the rest of it, at its inner edge; the seam between is far wrong."""
    alike = torch.zeros(*tokens.shape, 1000)
    right = 100.0 * torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 1000)
    logits = torch.cat([alike[:, : HALF - 2], right[:, HALF - 2 : HALF - 1], -right[:, HALF - 1 : HALF]], dim=1)
    return torch.cat([logits, alike[:, HALF : HALF + 1], right[:, HALF + 1 :]], dim=1)


def test_the_loss_of_each_copy_is_said():
    model = Known(d_vocab=1000, patterns=uniform(1, 1, 2 * HALF), logits=copying_logits)
    repetition, which = showcase.show_induction(model)
    n, each = HALF - 1, math.log(1000)
    told = f"On random tokens the loss is {each * (n - 1) / n:.2f} nats; on their second copy it is {each / n:.2f}."
    assert repetition.text == told
    (losses,) = repetition.figure.data
    assert (losses.name, len(losses.y)) == ("loss", 2 * HALF - 1)
    assert repetition.figure.layout.xaxis.title.text == "position"
    assert repetition.figure.layout.title.text == "Random tokens, then the same again"
    assert (repetition.title, which.title) == ("Does it notice repetition?", "Which heads do it?")
    assert which.figure.layout.title.text == "Induction heads"
    assert which.figure.data[0].colorbar.title.text.endswith("induction score")


def test_the_induction_head_is_found():
    patterns = uniform(2, 3, 2 * HALF)
    behind = torch.eye(2 * HALF).roll(HALF - 1, dims=0).tril()  # the token behind the same one, in the first copy
    patterns[1, 0, HALF:] = behind[HALF:]
    patterns[1, 1] = torch.eye(2 * HALF).roll(HALF, dims=0).tril()  # that same token itself
    patterns[0, 2] = torch.eye(2 * HALF).roll(HALF - 2, dims=0).tril()
    _, which = showcase.show_induction(Known(d_vocab=1000, patterns=patterns, logits=copying_logits))
    assert which.text.endswith("The highest is head 1.0 with 1.00.")
    scores = which.figure.data[0].z
    assert scores.shape == (2, 3)
    assert (scores[1][1], scores[0][2]) == (0, 0)
    assert scores[0][0] == pytest.approx(sum(1 / i for i in range(HALF + 1, 2 * HALF + 1)) / HALF)


@pytest.mark.parametrize(("d_vocab", "low"), [(1000, 300), (601, 300), (40, 20)])
def test_random_tokens_leave_out_the_first_ids_and_are_always_the_same(d_vocab, low):
    model = Known(d_vocab=d_vocab)
    tokens = showcase._random_tokens(model, 30, 70)
    assert tokens.shape == (30, 70)
    assert tokens.min() == low
    assert tokens.max() == d_vocab - 1
    assert torch.equal(tokens, showcase._random_tokens(model, 30, 70))


# its own words


def test_the_first_text_alone_is_shown(monkeypatch):
    asked = []

    def generate(model, tokens, n_new, options, *, generator):
        asked.append((tokens.tolist(), n_new, options.temperature, options.top_p, generator.initial_seed()))
        return torch.tensor([[1, 2, 3]])

    monkeypatch.setattr("arena_lib.transformer.fast.generation.generate", generate)
    model = Known()
    model.to_string = lambda tokens: "<|endoftext|>  a tale. <|endoftext|> another"
    assert showcase.show_text(model, PROMPTS) == Finding(title="In its own words:", text="a tale.")
    assert asked == [([[1, 2]], 6, 0.7, 0.9, 0)]


# all of it


@pytest.mark.parametrize(("source", "prompts"), [("bundled", STORYWORLD), ("fetched", ENGLISH)])
def test_a_model_is_addressed_in_its_own_language(monkeypatch, source, prompts):
    model = torch.nn.Identity()
    monkeypatch.setattr(zoo, "load", {"one": model}.__getitem__)
    monkeypatch.setattr(zoo, "info", {"one": SimpleNamespace(source=source)}.__getitem__)
    names = ("learners_form", "guess", "attention", "induction", "text")
    asked, learner = [], written()

    def stand_in(name):
        found = Finding(title=name, text="")

        def show(*arguments):
            asked.append(arguments)
            return {"learners_form": [found], "induction": [found, found]}.get(name, found)

        return show

    for name in names:
        monkeypatch.setattr(showcase, f"show_{name}", stand_in(name))
    titles = [finding.title for finding in find("one", learner)]
    assert titles == ["learners_form", "guess", "attention", "induction", "induction", "text"]
    assert asked == [(model, learner), (model, prompts), (model, prompts), (model,), (model, prompts)]
    assert not model.training


@pytest.mark.parametrize("prompts", [STORYWORLD, ENGLISH])
def test_the_answer_is_the_name_said_once(prompts):
    """In a sentence with an indirect object the giver is said twice, the receiver once."""
    assert prompts.indirect_object.count(prompts.answer.strip()) == 1
    assert prompts.swapped.count(prompts.giver.strip()) == 1
    assert prompts.indirect_object.count(prompts.giver.strip()) == prompts.swapped.count(prompts.answer.strip()) == 2
