"""What section 1.3.3 says of the truth study is what is stored."""

import pytest
from benchmarks.studies.truth.running import read_record
from benchmarks.studies.truth.table import ROOT, find_numbers

CHAPTER = ROOT / "chapters" / "1_interpretability" / "1.3.3_interpretability_with_saes.py"
QUOTED = (
    "scored what was chosen over {n_seeds} seeds on worlds that had chosen nothing.",
    "the best latent of a name has an F1 of {names_layer_2} after layer 2, on average, though a probe reads them with "
    "{names_probe_2}. After layer 1 it has {names_layer_1}, and in a Matryoshka SAE with 2,048 latents {names_wide_f1}, "
    "where the best neuron has {names_neurons_f1}.",
    '"the next word is an answer" has {answer_wide_f1} (neurons {answer_neurons_f1}, an axis of the residual stream {answer_basis_f1}), and the kinds of text {kind_wide_f1} '
    "(neurons {kind_neurons_f1}). In unions it's {answer_wide_union_f1} and {kind_wide_union_f1}.",
    "far from what the probe reads, {answer_probe_f1} and {kind_probe_f1}.",
    "{end_to_end_steps} more steps on the model's own predictions took a TopK SAE's added loss from {loss_before} to "
    "{loss_after} nats, and its F1 for names from {names_layer_1} to {names_end_to_end}.",
)


@pytest.mark.skipif(not CHAPTER.exists(), reason="chapters/ is not here")
@pytest.mark.parametrize("quoted", QUOTED)
def test_numbers_of_the_text_are_stored(quoted):
    text = " ".join(CHAPTER.read_text(encoding="utf-8").replace("\n#", "\n").split())
    assert quoted.format(**find_numbers(read_record())) in text
