"""What the text of 1.3.3 says of the autoencoder that ships, of its latents, and of SmolLM2's is so.

The autoencoder that learners train themselves comes out a little different on each machine; the text says "in our run".
"""

import pytest
import torch
from tests.chapter_runs import read_prose, run_solutions

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.course.content.catalog import load_catalog
from arena_lib.saes.analysis.directions.splitting import compute_cosines, find_children
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.truth import make_labelled_rows

SHIPPED = ("sae-tiny-llama-topk", "sae-tiny-llama-jumprelu")
PRINTED = 0.0055
"""Half of the last digit of a number with two decimals, and a tenth of that for another machine's rounding."""


def say_all(section, sentences):
    """Which of the sentences, or of the numbers that stand in them, the text has otherwise; {sentence: {said: measured}}."""
    prose = " ".join(read_prose(section).split())
    missing = [sentence for sentence in sentences if sentence not in prose]
    numbers = [pair for pairs in sentences.values() for pair in pairs]
    return missing + [(said, measured) for said, measured in numbers if abs(said - measured) > PRINTED]


@pytest.fixture(scope="module")
def saes_section(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("saes"))  # where the section writes its page
        return run_solutions("1.3.3", "tiny", part=12, full_from=7)


def test_the_numbers_of_1_3_3_on_shipped_latents_are_those_that_its_cells_make(saes_section):
    section, names = saes_section
    prose, gaps = " ".join(read_prose(section).split()), names["gaps"]
    yours, _, wider, _ = (names["count_claim"](claim) for claim in names["names_of_latent"].values())
    sentences = [
        f"recall is {yours[1]:.2f} and precision {yours[0]:.2f}",
        f"precision rises to {wider[0]:.2f}, recall falls to {wider[1]:.2f}, F1 from {yours[2]:.2f} to {wider[2]:.2f}",
        f"the gap is {gaps['random'][0]:.2f}, and the reconstruction keeps {names['gap_of_recon']:.2f}",
        f"the same latent, {names['orders']['activity'][0]},",
        f"the gap is *larger*, {gaps['logit lens'][1]:.2f}",
        f"first 16 leave {gaps['attribution'][3]:.2f}, its first 64 still leave {gaps['attribution'][4]:.2f}",
        f"the 64 most active latents leave {gaps['activity'][4]:.2f}",
        f"the {len(names['used'])} that are active at more than 2 % of the places, in any order, {gaps['random'][4]:.2f}",
        f"at random change nothing ({gaps['random'][3]:.2f})",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []


def test_what_the_text_of_1_3_3_says_of_names_for_a_latent_is_so(saes_section):
    _, names = saes_section
    _, to, _, wish = (names["count_claim"](claim) for claim in names["names_of_latent"].values())
    assert max(to[1], wish[1]) < 0.2, "as wide as that, a name has a recall near 0"
    assert names["orders"]["logit lens"][0] == names["orders"]["activity"][0]
    assert names["orders"]["attribution"][0] != names["orders"]["activity"][0]


def test_what_1_3_3_says_of_the_cost_of_an_autoencoder_is_on_its_card():
    cost = zoo.info("sae-smollm2-l12").sae.cost
    prose = " ".join(read_prose(load_catalog().section("1.3.3")).split())
    assert f"we timed the first {cost['timed_updates']}: {cost['timed_minutes']} minutes" in prose
    assert f"{cost['memory_mb'] / 1000:.1f} GB of memory" in prose


def test_what_1_3_3_says_of_an_untrained_autoencoder_and_of_those_that_ship_is_so(saes_section):
    section, names = saes_section
    held = make_labelled_rows(200, 128, seed=7, variables=["full stop"]).tokens[:32]  # as part 3 has them at scale full
    untrained = names["measure"](TopKSAE(TopKSAEConfig(d_in=128, d_sae=512, k=12), make_generator(0)), held)
    loss = names["loss_with"](held)
    topk, jumprelu = (names["measure"](zoo.load_sae(name), held) for name in SHIPPED)
    sentences = {
        "Twelve random directions leave 82 % of the variance unexplained": [(0.82, untrained["FVU"])],
        "cost the model 1.5 nats a token, nearly as much again as its own loss of 1.7": [
            (1.47, untrained["added loss"]),
            (1.67, loss),
        ],
        "the loss recovered is 0.69": [(0.69, untrained["loss recovered"])],
        "on a loss of 1.67": [(1.67, loss)],
        "with 8 of 1,024 latents a token, has an FVU of 0.08 and costs 0.05 nats": [
            (8, topk["L0"]),
            (0.08, topk["FVU"]),
            (0.05, topk["added loss"]),
        ],
        "with 10.2 of 768, gets the same two numbers": [
            (1.02, jumprelu["L0"] / 10),
            (0.08, jumprelu["FVU"]),
            (0.05, jumprelu["added loss"]),
        ],
    }
    assert say_all(section, sentences) == []


def test_what_1_3_3_says_of_the_indirect_object_in_autoencoders_that_ship_is_so(saes_section):
    section, names = saes_section
    tokens, metric = names["dataset"].toks, names["logit_difference"]
    at_end = torch.zeros_like(tokens, dtype=torch.bool)
    at_end[:, -1] = True
    effects, correlations, shares = {}, {}, []
    for name in SHIPPED:
        sae = zoo.load_sae(name).requires_grad_(False)
        _, *both = names["effects_of_latents"](names["model"], sae, tokens, metric, at_end)
        predicted, measured = torch.tensor(both)
        strongest = measured.abs().argsort(descending=True)[:5]
        effects[name] = (-measured[strongest]).tolist()
        correlations[name] = float(torch.corrcoef(torch.stack([predicted, measured]))[0, 1])
        shares += (predicted[strongest] / measured[strongest]).tolist()
    first, second = SHIPPED
    sentences = {
        "The model has a logit difference of 11.7;": [(11.7, float(metric(names["model"](tokens).detach())))],
        f"`{first}` the difference falls by 1.23, without the next ones by 1.16 and 1.12": [
            *zip((1.23, 1.16, 1.12), effects[first][:3], strict=True)
        ],
        f"`{second}` it's 1.43, 1.31 and 1.23": [*zip((1.43, 1.31, 1.23), effects[second][:3], strict=True)],
        f"0.99, in our run and for `{first}`, and 0.98 for `{second}`": [
            (0.99, correlations[first]),
            (0.98, correlations[second]),
        ],
        "between 41 and 67 % for the five strongest": [(0.41, min(shares)), (0.67, max(shares))],
    }
    assert say_all(section, sentences) == []
    assert max(effects[name][0] / effects[name][1] for name in SHIPPED) < 2, "none has twice the effect of any other"


def test_what_1_3_3_says_of_the_story_without_steering_is_so(saes_section):
    _, names = saes_section
    story = names["write_with_hooks"](
        names["hooked"](names["model"]),
        "Anna went to the park.",
        [],
        30,
        options=names["WritingConfig"](temperature=0.5, frequency_penalty=2.0),
        generator=make_generator(0),
    )
    assert "Nancy bought a camera for Brian" in story


def test_what_1_3_3_says_of_latents_that_two_autoencoders_share_is_so(saes_section):
    section, _ = saes_section
    wide, narrow = (zoo.load_sae(name).W_dec.detach() for name in SHIPPED)
    n_children = [len(family) for family in find_children(compute_cosines(narrow, wide), threshold=0.5)]
    generator = make_generator(0)
    random = [torch.randn(n, 128, generator=generator) for n in (128, 512)]
    n_split, n_single, n_none = sum(n > 1 for n in n_children), n_children.count(1), n_children.count(0)
    sentences = {
        f"of the {len(n_children)} latents of `{SHIPPED[1]}` {n_split} are split in `{SHIPPED[0]}`, {n_single} have one": [],
        f"have one child, and {n_none} none.": [],
        "of 512 random directions has 0.26 on average": [(0.26, float(compute_cosines(*random).amax(dim=1).mean()))],
    }
    assert say_all(section, sentences) == []


def test_what_1_3_3_says_of_neurons_and_of_the_probe_is_so(saes_section):
    section, names = saes_section
    full_stop, *kinds = names["of_neurons"]
    assert full_stop.label.name == "full stop"
    alone, together = (sum(getattr(kind, field) for kind in kinds) / len(kinds) for field in ("f1", "union_f1"))
    sentences = {
        "0.69 to 0.90 (neurons: 0.69 to 0.79)": [(0.69, full_stop.f1), (0.79, full_stop.union_f1)],
        "0.47 to 0.68 on average (neurons: 0.49 to 0.59)": [(0.49, alone), (0.59, together)],
        "with an F1 of 0.85 or more": [(0.85, min(entry.label.probe_f1 for entry in names["of_neurons"]))],
    }
    assert say_all(section, sentences) == []
