"""What the text of 1.3.3 says of the autoencoder that ships, of its latents, and of SmolLM2's is so.

The autoencoder that learners train themselves comes out a little different on each machine; the text says "in our run".
"""

import pytest
from tests.chapter_runs import read_prose, run_solutions

from arena_lib import zoo
from arena_lib.course.content.catalog import load_catalog


@pytest.fixture(scope="module")
def saes_section(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("saes"))  # where the section writes its page
        return run_solutions("1.3.3", "tiny", part=9, full_from=7)


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
