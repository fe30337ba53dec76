"""The words of docs/sae_truth.md around its tables."""

HEAD = """# What autoencoders recover of what is true

Made by `python -m benchmarks truth --table` from the figures in `benchmarks/results/studies/sae-truth.json`, where every
seed's scores of every label are; no number in it was typed by hand. `python -m benchmarks truth --search --seeds 0-4`
trains and scores what isn't stored.

Storyworld knows what is true at each token, so the latents of tiny-llama's autoencoders are scored against that and not
against a story. A latent and a threshold say yes or no at each token; F1 says how well.

- **A label enters** if a multinomial logistic probe on the same activations reaches an F1 of 0.8 on held-out worlds, with
  500 tokens or more in fitting and in scoring (150 in the search, whose worlds are fewer). The others are listed.
- **Three tiers, apart.** Token: the token itself says it. Local: its neighbours say it. Carried: only what came before.
- **Single and union.** The best latent, and the best union of up to five, both chosen with their thresholds on worlds
  that aren't scored.
- **Beside them**: saying yes everywhere; a random autoencoder (TopK with the same k, random directions of equal length,
  not trained); the residual stream's own axes and the neurons of the layer's MLP, both signs of each; and the probe.
- **Chosen apart.** Settings were chosen on worlds of their own, with seed 100. What is reported is from worlds that chose
  no setting, with {n_seeds} seeds from 0 on, which decide the weights at the start and the order of the data. Weights of sparsity were
  chosen for an L0 of 12, within a tenth; tables say what it is.
- All autoencoders of a hook learn from the same activations, at a million tokens of Storyworld: 1,200 updates of 512 in the
  final table, of 1,024 in the search unless said otherwise.
- **Added loss** is what the reconstruction costs the model, in nats a token; **FVU** the unexplained share of variance.

"""
MEANING = """## What it means

**Names are recovered where they still stand, if the dictionary is wide enough.** After layer 1 the best latent of a name has
an F1 of {names_wide_f1} with 2,048 latents (Matryoshka; mean over {n_names} names and over seeds), where the best neuron has
{names_neurons_f1}, and an autoencoder that learned nothing {names_random_f1}. In the mean over seeds {n_recovered_wide} of
the {n_names} names are above 0.8. With 512 latents it is {names_narrow_f1}, with {n_recovered_narrow} names above 0.8, and
what fails is precision ({names_narrow_precision}; recall {names_narrow_recall}): the best latent of {n_shared_narrow} names is
active at half of their tokens or more, and wrong more than half of the time. So it stands for more than this name. That's the
opposite of splitting, and a union can't help ({names_narrow_union_f1}). A wider dictionary does, with {n_shared_wide} such
names.

**A kind of words is not.** Five words are of good mood and five of bad, and these two labels are of the token tier, too: the
probe reads them with {moods_probe_f1}. The best latent has {moods_wide_f1} with 2,048 latents, and a union of up to five
{moods_wide_union_f1} (neurons {moods_neurons_f1} and {moods_neurons_union_f1}). Precision is {moods_wide_precision} and recall
{moods_wide_recall}: the best latent is active at few of these words, and at others, too.

**The layer decides more than anything else.** In the search, with TopK, 512 latents and an L0 of 12, names have
{names_layer_0} after layer 0, {names_layer_1} after layer 1 and {names_layer_2} after layer 2, while the probe reads
{names_probe_0}, {names_probe_1} and {names_probe_2}, and the best neurons have {names_neurons_0}, {names_neurons_1} and
{names_neurons_2}. So after layer 2 a name is linearly there, and neither latents nor neurons are about it. Our reading is that
by then most of an activation is about the next token, and that an autoencoder spends its few latents on what is large.

**What needs context is split, and dictionaries inside each other are split less.** With TopK, the best latent for "the next
word is an answer" has {answer_topk_f1}, less than the best neuron ({answer_neurons_f1}) or
the best axis of the residual stream ({answer_basis_f1}). Matryoshka autoencoders of the same
width and L0, whose first latents must reconstruct alone, have {answer_narrow_f1}, and {answer_wide_f1} at 2,048. Unions of up
to five say how much is split: {answer_topk_union_f1} with TopK, {answer_wide_union_f1} with 2,048 latents (neurons
{answer_neurons_union_f1}, probe {answer_probe_f1}). It's alike for the kind of text, which is carried: {kind_topk_f1} alone and
{kind_topk_union_f1} in unions with TopK (precision {kind_topk_precision}, recall {kind_topk_recall} alone), {kind_wide_f1} and
{kind_wide_union_f1} with 2,048 latents, {kind_neurons_f1} and {kind_neurons_union_f1} for neurons. The
highest F1 of a single latent for answers to come was that of a skip transcoder, which reads what the MLP reads and writes what
it writes: {answer_transcoder} in the search, on worlds where that MLP's neurons have {answer_transcoder_neurons}; for names it
has {names_transcoder}. So in both tiers unions of latents find more than those of neurons, and neither tier is recovered: no
setting that we tried reaches a mean of 0.8, not even in unions.

**The loss says little about it.** {end_to_end_steps} steps on the model's own predictions took the added loss of a TopK
autoencoder from {loss_before} to {loss_after} nats, and its F1 for names from {names_layer_1} to {names_end_to_end}.

**A random autoencoder is no straw man.** It has {stop_random_f1} for the full stop and {answer_random_f1} for answers to come,
and for names more than the best neuron. What lies in a large direction is found by chance; the rest, training earns.
"""
"""Numbers are filled in from what is stored."""
