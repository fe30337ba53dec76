import pytest
import torch

from arena_lib.errors import UnknownNameError
from arena_lib.interp.heads import generate_repeated_tokens
from arena_lib.interp.ioi import (
    Thresholds,
    classify_heads,
    get_attn_scores,
    make_ioi_dataset,
    measure_heads,
    share_lost,
)
from arena_lib.interp.ioi.heads import HeadMeasures
from arena_lib.interp.patching.metrics import logits_to_ave_logit_diff


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("head_type", ["duplicate", "prev", "induction"])
def test_scores_are_means_over_the_pairs_of_positions(model, head_type):
    n = 5
    scores = get_attn_scores(model, n, 3, head_type, generator=seeded())
    tokens = generate_repeated_tokens(model, n, 3, generator=seeded())
    _, cache = model.run_with_cache(tokens)
    pairs = {
        "duplicate": [(n + 1 + i, 1 + i) for i in range(n)],
        "prev": [(i, i - 1) for i in range(1, 2 * n + 1)],
        "induction": [(n + 1 + i, 2 + i) for i in range(n)],
    }[head_type]
    for layer in range(3):
        expected = sum(cache["pattern", layer][:, :, query, key].mean(0) for query, key in pairs) / len(pairs)
        assert torch.allclose(scores[layer], expected)


def test_a_kind_that_is_not_known_is_refused(model):
    with pytest.raises(UnknownNameError, match="first"):
        get_attn_scores(model, 5, 3, "first")


def test_the_share_lost_is_zero_for_the_original_and_minus_one_for_the_new_prompts(model, words):
    dataset = make_ioi_dataset(model, 8, generator=seeded(), words=words)
    abc = dataset.abc(seeded(1), words.names)
    logits, new_logits = model(dataset.toks), model(abc.toks)
    metric = share_lost(logits, new_logits, dataset)
    assert float(metric(logits)) == pytest.approx(0, abs=1e-9)
    assert float(metric(new_logits)) == pytest.approx(-1)
    at_end = logits[torch.arange(8), dataset.at("end")][:, None]
    assert float(metric(at_end)) == pytest.approx(0, abs=1e-9)
    first = torch.tensor([prompt.is_io_first for prompt in dataset.prompts])
    halves = [float(share_lost(logits, new_logits, dataset, form)(0.5 * logits)) for form in (first, ~first)]
    ends = [x[torch.arange(8), dataset.at("end")][:, None] for x in (logits, new_logits)]
    for half, form in zip(halves, (first, ~first), strict=True):
        orig, new = (float(logits_to_ave_logit_diff(x[form], dataset.answer_tokens[form])) for x in ends)
        assert half == pytest.approx((0.5 * orig - new) / (orig - new) - 1)


def measures(**changes):
    """Measures of two layers of three heads that show nothing, but for those given."""
    nothing = torch.zeros(2, 3)
    pairs = ("end->IO", "end->S1", "end->S2", "S2->S1", "S2->S1+1", "S1+1->S1")
    found = {
        "attention": dict.fromkeys(pairs, nothing) | changes.pop("attention", {}),
        "random": dict.fromkeys(("duplicate", "prev", "induction"), nothing) | changes.pop("random", {}),
        "copying": torch.zeros(2, 2, 3),
        "to_logits": torch.zeros(2, 2, 3),
        "output": dict.fromkeys(("previous token", "duplicate token", "induction"), nothing)
        | changes.pop("output", {}),
        "to_movers": nothing,
    }
    return HeadMeasures(**(found | changes))


def one(value, *place):
    values = torch.zeros(2, 3) if len(place) == 2 else torch.zeros(2, 2, 3)
    values[place] = value
    return values


def only(kind):
    """The classes of a model with head 1.2 in one class."""
    return {name: [(1, 2)] if name == kind else [] for name in classify_heads(measures())}


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (
            "name mover",
            {"attention": {"end->IO": one(0.5, 1, 2)}, "copying": one(0.9, 0, 1, 2), "to_logits": one(-0.3, 1, 1, 2)},
        ),
        (
            "negative name mover",
            {"attention": {"end->S1": one(0.5, 1, 2)}, "copying": one(0.9, 1, 1, 2), "to_logits": one(0.3, 0, 1, 2)},
        ),
        (
            "S suppression",
            {"attention": {"end->S2": one(0.5, 1, 2)}, "copying": one(0.9, 1, 1, 2), "to_logits": one(-0.3, 0, 1, 2)},
        ),
        ("S-inhibition", {"attention": {"end->S2": one(0.5, 1, 2)}, "to_movers": one(-0.3, 1, 2)}),
        (
            "induction",
            {
                "attention": {"S2->S1+1": one(0.5, 1, 2)},
                "random": {"induction": one(0.8, 1, 2)},
                "output": {"induction": one(-0.1, 1, 2)},
            },
        ),
        (
            "duplicate token",
            {
                "attention": {"S2->S1": one(0.5, 1, 2)},
                "random": {"duplicate": one(0.8, 1, 2)},
                "output": {"duplicate token": one(0.1, 1, 2)},
            },
        ),
        (
            "previous token",
            {
                "attention": {"S1+1->S1": one(0.5, 1, 2)},
                "random": {"prev": one(0.8, 1, 2)},
                "output": {"previous token": one(-0.1, 1, 2)},
            },
        ),
        ("unexplained", {"to_logits": one(0.1, 1, 1, 2)}),
    ],
)
def test_a_head_is_of_a_class_by_all_of_its_evidence_and_no_less(kind, seen):
    assert classify_heads(measures(**seen)) == only(kind)
    if len(seen) > 1:
        for missing in seen:
            rest = {name: value for name, value in seen.items() if name != missing}
            assert classify_heads(measures(**rest))[kind] == []


def test_a_head_that_is_explained_is_not_unexplained():
    seen = {"attention": {"end->S2": one(0.5, 1, 2)}, "to_movers": one(-0.3, 1, 2), "to_logits": one(-0.3, 0, 1, 2)}
    assert classify_heads(measures(**seen)) == only("S-inhibition")


def test_thresholds_decide():
    seen = measures(attention={"end->S2": one(0.25, 1, 2)}, to_movers=one(-0.3, 1, 2))
    assert classify_heads(seen)["S-inhibition"] == []
    assert classify_heads(seen, Thresholds(attention=0.2))["S-inhibition"] == [(1, 2)]


def test_an_untrained_model_has_no_heads_of_any_class_but_effects_by_chance(model, words):
    dataset = make_ioi_dataset(model, 8, generator=seeded(), words=words)
    names = torch.tensor([model.to_single_token(f" {name}") for name in words.names])
    found = measure_heads(
        model, dataset, dataset.abc(seeded(1), words.names), names, generator=seeded(2), thresholds=Thresholds()
    )
    assert found.copying[:, 0].eq(0).all()
    for values in (*found.attention.values(), *found.random.values(), *found.output.values(), found.to_movers):
        assert values.shape == (3, 4)
    assert set(found.of((1, 2))) >= {"attention end->IO", "copying", "to logits, ABBA", "to movers' queries"}


def test_the_heads_of_tiny_llama_are_found():
    from arena_lib import zoo
    from arena_lib.interp.ioi import STORYWORLD

    model = zoo.load("tiny-llama").requires_grad_(False)
    dataset = make_ioi_dataset(model, 12, generator=seeded())
    names = torch.tensor([model.to_single_token(f" {name}") for name in STORYWORLD.names])
    abc = dataset.abc(seeded(1), STORYWORLD.names)
    found = classify_heads(measure_heads(model, dataset, abc, names, generator=seeded(2)))
    assert found["name mover"] == [(2, 0), (2, 1), (2, 2), (2, 3)]
    assert found["S suppression"] == [(1, 2)]
    assert found["induction"] == found["duplicate token"] == found["previous token"] == []


def test_an_output_is_patched_at_its_place_alone(model, words):
    from arena_lib.interp.hooking import hooked
    from arena_lib.interp.ioi.heads import patch_outputs_at

    dataset = make_ioi_dataset(model, 8, generator=seeded(), words=words)
    (logits, own), (new_logits, other) = (
        model.run_with_cache(toks) for toks in (dataset.toks, dataset.abc(seeded(1), words.names).toks)
    )
    metric = share_lost(logits, new_logits, dataset)
    among = torch.zeros(3, 4, dtype=torch.bool)
    among[1, 2] = among[0, 3] = True
    effects = patch_outputs_at(hooked(model), dataset, "S2", (own, other), metric, among)
    for layer, head in ((1, 2), (0, 3)):

        def patch(z, hook, head=head):
            z = z.clone()
            for row, place in enumerate(dataset.at("S2")):
                z[row, place, head] = other[hook.name][row, place, head]
            return z

        patched = model.run_with_hooks(dataset.toks, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", patch)])
        assert float(effects[layer, head]) == pytest.approx(float(metric(patched)), abs=1e-6)
    assert effects[~among].eq(0).all()
