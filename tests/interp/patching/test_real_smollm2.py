"""Path patching of SmolLM2: loops, fast form and closed form, on ours and on the bridge, give the same effects."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.interp.ioi import ENGLISH, make_ioi_dataset
from arena_lib.interp.patching.direct_path import direct_path_logits
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput, MLPInput
from arena_lib.interp.patching.path import names_to_keep, path_patch
from arena_lib.interp.patching.path_fast import path_patch_each

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not zoo.is_available("smollm2"), reason="not fetched; run: arena zoo fetch smollm2"),
]

MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE = 3
SENDERS = [Head(23, 3), Head(20, 0), Head(5, 6), MLP(12), Embed()]
QUERIES = [HeadInput(23, 0, "q"), HeadInput(24, 4, "q")]
EARLY = [Head(20, 0), Head(5, 6), MLP(12), Embed()]
"""Those that come before the receivers that are no end."""


@pytest.fixture(scope="module")
def ours():
    return zoo.load("smollm2")


@pytest.fixture(scope="module")
def bridge():
    return zoo.load_bridge("smollm2")


@pytest.fixture(scope="module")
def datasets(ours):
    """Four prompts, and the same with three other names; the first token begins a message of a chat, so it's left out."""
    dataset = make_ioi_dataset(ours, 4, generator=torch.Generator().manual_seed(0), words=ENGLISH, prepend_bos=False)
    return dataset, dataset.abc(torch.Generator().manual_seed(1), ENGLISH.names)


@pytest.fixture(scope="module")
def most(datasets):
    """How far two implementations of one library may be apart: what transformers' two kinds of attention are, times three."""
    from transformers import AutoModelForCausalLM

    folder = zoo.path("smollm2")
    peers = [
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation=kind).eval() for kind in ("eager", "sdpa")
    ]
    with torch.no_grad():
        eager, sdpa = (peer(datasets[0].toks).logits for peer in peers)
    return MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE * (sdpa - eager).abs().max().item()


@pytest.mark.parametrize(
    ("senders", "receivers", "through"),
    [
        (SENDERS, [FinalResidual()], "direct"),
        (SENDERS, [FinalResidual()], "mlps"),
        (EARLY, QUERIES, "direct"),
        (EARLY, QUERIES, "mlps"),
        ([Head(23, 3)], [MLPInput(25)], "mlps"),
    ],
    ids=["final directly", "final through MLPs", "queries directly", "queries through MLPs", "an MLP"],
)
def test_all_ways_of_path_patching_agree(ours, bridge, datasets, most, senders, receivers, through):
    orig, new = (dataset.toks for dataset in datasets)
    answers = datasets[0].answer_tokens

    def metric(logits):
        right, wrong = logits[:, -1].gather(-1, answers).unbind(-1)
        return (right - wrong).mean()

    base = metric(ours(orig))
    found = {}
    for name, model in (("ours", ours), ("bridge", bridge)):
        caches = {
            f"{which}_cache": model.run_with_cache(tokens, names_filter=names_to_keep(model))[1]
            for which, tokens in (("orig", orig), ("new", new))
        }
        kept, fast = PathExperiment(orig, new, through, **caches), PathExperiment(orig, new, through, read_at=-1)
        steps = [path_patch(model, kept, [sender], receivers, metric) for sender in senders]
        found[name, "four steps"] = torch.stack(steps)
        found[name, "fast"] = path_patch_each(model, fast, senders, receivers, metric)
        if (receivers, through) == ([FinalResidual()], "direct"):
            _, orig_cache = model.run_with_cache(orig)
            _, new_cache = model.run_with_cache(new)
            logits = direct_path_logits(model, orig_cache, new_cache, senders, read_at=-1, tokens=answers)
            right, wrong = logits[:, :, 0].unbind(-1)
            found[name, "closed form"] = (right - wrong).mean(-1)
    expected = found["ours", "four steps"]
    assert (expected - base).abs().max() > 100 * most, "an effect far above rounding"
    for way, values in found.items():
        assert (values - expected).abs().max() <= most, way
