# ---
# arena: {id: "1.3.3", slug: interpretability_with_saes, title: Interpretability with SAEs, hours: 10, needs: [tiny-llama]}
# objectives:
#   - "Write the parts of a TopK sparse autoencoder, and train one on a language model's activations"
#   - "Measure how sparse, how faithful and how alive an autoencoder is, and see from its curves what went wrong"
#   - "Find out what a latent stands for, and check the name that you gave it against what is true"
#   - "Test what a model does with a latent: by ablation, by attribution, and by steering"
# ---
# %% [markdown]
# ## What you will do
#
# A language model holds a vector of a few hundred numbers at every token. In it are the token itself, what
# stood before it, who is spoken of, what may come next: far more things than there are numbers. In section
# 1.3.1 you found single directions in that vector, one for each question that you could think of. This section
# goes the other way. You don't say what to look for. A **sparse autoencoder** (SAE) takes the vector apart into
# a few directions out of many hundreds, and you find out afterwards what they stand for.
#
# An SAE is like a dictionary for one place of a model: each of its entries, called a **latent**, is a
# direction, and at each token only a few of them are active. If all goes well, one latent is active on names,
# another one where a sentence is sad. Whether all goes well is a question that this section takes seriously:
# the model is `tiny-llama`, which speaks Storyworld, and of Storyworld we know what is true at every token. So
# you can check whether a latent means what you think it means. For a public model nobody can do that with
# certainty.
#
# You should have done 1.1 (the residual stream, blocks). Section 1.5.4 says why models would store more
# features than they have dimensions, and trains small SAEs where the right answer is known; it helps, and you
# can do it later.
#
# The set-up cell above imports types for the stubs, and tools that each exercise names where you need them.
# Names with `check` in them, and the errors, make the library's messages; you can do without.
#
# | part | minutes |
# |---|---|
# | 1. An autoencoder that chooses | 40 |
# | 2. Activations that stream | 35 |
# | 3. How good is it? | 40 |
# | 4. Train one, and see when it goes wrong | 15 |
# | 5. Where is a latent active? | 35 |
# | 6. What does a latent write? | 25 |
# | 7. Is the name right? | 40 |
# | 8. What does the model do with it? | 70 |
# | 9. Steering, and asking the model itself | 20 |
# | 10. Explained by a machine | 45 |
# | 11. Narrow and wide | 20 |
# | 12. A real model | 0 |
#
# These are minutes of exercises; the rest of the ten hours is for reading, training and looking.
#
# ### The model
#
# Everything runs on `tiny-llama`, four layers of width 128. The library's functions take any model that
# `hooked` takes, so what you write works on larger ones too; part 12 reads SmolLM2 with them.
# %%
import torch

from arena_lib import plots, zoo
from arena_lib.core.batches import ShuffledBatches
from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.truth import make_labelled_rows

HOOK = "blocks.2.hook_resid_post"  # where the autoencoder reads: the residual stream after layer 2
N_ROWS = 120 if SCALE == "tiny" else 4000
# How many latents the autoencoder has, and how many of them may be active at a token.
D_SAE, K = (64, 6) if SCALE == "tiny" else (512, 12)

model = zoo.load("tiny-llama")
d_in = model.cfg.d_model
rows = make_labelled_rows(N_ROWS, 128, seed=99, variables=["full stop"]).tokens  # texts to train on
held = make_labelled_rows(N_ROWS // 20, 128, seed=7, variables=["full stop"]).tokens  # and texts to look at
print(f"{rows.numel():,} tokens to train on, {held.numel():,} to look at; activations have {d_in} entries")
print(model.to_string(held[0, :60]))
with torch.no_grad():
    acts = model.run_with_cache(held, HOOK)[1][HOOK].flatten(0, 1)  # the activations of the texts to look at
# %% [markdown]
# ## 1. An autoencoder that chooses
#
# *About 40 minutes of exercises. You write what a TopK autoencoder consists of: the choice of latents, the
# decoder, and a loss that brings dead latents back.*
#
# Let $x$ be an activation, a vector with $d_{in}$ entries. The **encoder** gives each of $d_{sae}$ latents a
# number: how much of its direction it sees in $x$,
#
# $$p = (x - b_{dec})\, W_{enc} + b_{enc}$$
#
# where $W_{enc}$ is a matrix "d_in d_sae", and $b_{dec}$ and $b_{enc}$ are biases. These are the
# **pre-activations**. Most of them should be nothing: sparsity is what makes a latent mean something. The first
# SAEs got there by a penalty on all latents, which also makes those that remain too small. A **TopK**
# autoencoder (Gao et al. 2024, [Scaling and evaluating sparse autoencoders](https://arxiv.org/abs/2406.04093))
# simply chooses: the $k$ largest stay, all others become 0. So you say how sparse it should be, and no penalty
# is needed.
#
# One detail: a latent says how much of something is *there*, so it's never negative. If fewer than $k$
# pre-activations are above zero, fewer than $k$ latents are active.
# %% exercise="keep_top_k" title="The k largest stay" difficulty=2 importance=5 minutes=10
# hint: Every example chooses for itself. Along which axis?
# hint: torch.topk gives values and where they stood. How do you write them back to their places in a tensor of zeros?
# hint: values, indices = pre_acts.topk(k, dim=-1), then torch.zeros_like(pre_acts).scatter(-1, indices, values.relu()).
# %% [markdown]
# The **decoder** goes back. Row $i$ of $W_{dec}$ ("d_sae d_in") is latent $i$'s direction. The reconstruction
# is the sum of the active latents' directions, each as long as its latent says, and a bias for what is always
# there:
#
# $$\hat x = \sum_i f_i\, W_{dec}[i] + b_{dec}$$
#
# where $f$ are the latents. With $k = 12$ this is a sum of twelve vectors and a bias. If that comes close to
# $x$, then $x$ was, to that degree, *made of* twelve things.
# %% exercise="decode_latents" title="Back to an activation" difficulty=1 importance=4 minutes=5
# hint: A sum of rows, each times a number, is a product with a matrix.
# hint: latents have the shape "*batch d_sae", W_dec is "d_sae d_out": which axis goes?
# hint: latents @ W_dec + b_dec.
# %% [markdown]
# ### Latents that die
#
# The loss is the squared distance $|\hat x - x|^2$, as a share of what always answering the mean of all
# activations would cost. But only latents that were chosen get a gradient. One that is never among the $k$
# largest never learns, and stays as it is: it's **dead**. In a wide SAE more than half of the latents can end
# so.
#
# TopK has a remedy, the **auxiliary loss**. Let $e = x - \hat x$ be the error, what the reconstruction misses.
# The dead latents alone are asked to explain it: of their pre-activations the $k_{aux}$ largest stay, and they
# are decoded (without a bias, since the bias is in $\hat x$ already) to $\hat e$. The loss is
#
# $$L_{aux} = |\hat e - e|^2$$
#
# with a small weight (1/32). So the dead move towards what is missing, until they are chosen and live.
# `compute_squared_error` of the set-up cell takes a batch of reconstructions and of targets, and gives the mean
# of squared distances.
# %% exercise="compute_aux_error" title="Ask the dead" difficulty=3 importance=4 minutes=15
# hint: It's an autoencoder of its own, made of dead latents, whose target is the error.
# hint: Choose with keep_top_k, decode without a bias, compare with the error. What if fewer than k_aux latents are dead?
# hint: latents = keep_top_k(pre_acts, min(k_aux, pre_acts.shape[-1])), then compute_squared_error(latents @ W_dec, error).
# %% [markdown]
# ### Directions of length 1
#
# If latent $i$ were halved and its direction doubled, the reconstruction would be the same. So that the size of
# a latent means something, every direction is kept at **length 1**: after each step each row of $W_{dec}$ is
# divided by its length.
#
# That leaves a small problem. A gradient may push a direction outwards; the optimizer remembers such pushes,
# and the division undoes them each time. So the part of the gradient that points along the direction, the
# **radial** part, is taken away before each step. With $g$ the gradient of a direction $w$ of length 1, the
# rest is $g - (g \cdot w)\, w$.
# %% exercise="remove_radial_gradient" title="Along the sphere only" difficulty=2 importance=2 minutes=10
# hint: Each latent has its own direction and its own gradient: rows of the two matrices.
# hint: The dot product of each row with its partner is a product entry by entry, summed over the last axis.
# hint: radial = (gradient * W_dec).sum(dim=-1, keepdim=True), and gradient - radial * W_dec.
# %% result
# the parts together: a new autoencoder, before any training.
# Its latents are sparse already, as k says. Its reconstructions are hardly better than answering the mean (a share of 1): it has learned nothing.
from arena_lib.saes.autoencoders.functions import compute_spread

sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=D_SAE, k=K), make_generator(0))
with torch.no_grad():
    latents = keep_top_k(sae.compute_pre_acts(acts), K)
    recon = decode_latents(latents, sae.W_dec, sae.b_dec)
    share = compute_squared_error(recon, acts) / compute_spread(acts)
print(f"active latents at a token: {(latents > 0).sum(dim=-1).float().mean():.1f} of {D_SAE}")
print(f"squared error as a share of always answering the mean: {share:.2f}")
# %% [markdown]
# ## 2. Activations that stream
#
# *About 35 minutes of exercises. You build the pieces of a store that reads activations from a model, mixes
# them, and serves them in batches.*
#
# An SAE trains on activations, millions of them. They come from the model, which reads texts; but two things
# are wrong with taking them as they come. First, neighbouring tokens have similar activations, so a batch from
# one text says one thing a hundred times. Second, keeping them all takes too much memory: a hundred million
# tokens of a model of width 768 are 300 GB. So activations **stream** through a buffer: read some, shuffle,
# serve, read more.
#
# Not every position counts. Texts of different lengths are filled up with padding, which the model was never
# trained on. And the first token of a text often has an activation many times as long as any other, whatever it
# says: an SAE may spend much of its effort on that one.
# %% exercise="pick_positions" title="What counts" difficulty=2 importance=4 minutes=15
# hint: Start with "every real token counts", and take away what doesn't.
# hint: Padding may be on the left, so the first real token isn't always in column 0. Which running count is 1 exactly there?
# hint: is_picked.cumsum(dim=1) counts real tokens from the left; at the first of them, and there only among real ones, it's 1. Compare tokens with each of skip_tokens. Copy the mask first.
# %% [markdown]
# Models differ in the size of their activations by factors of a thousand. So that one learning rate suits them
# all, the store multiplies all activations by one number, which makes their mean norm $\sqrt{d_{in}}$ (then a
# single entry is about 1 in size). After training that number is put into the SAE's weights, so that nobody has
# to remember it.
# %% exercise="compute_scale" title="One size for all" difficulty=1 importance=3 minutes=5
# hint: What must the activations be multiplied by so that their mean norm is sqrt(d_in)?
# hint: Compute the norm of each row, then the mean over rows.
# hint: acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1).mean(); float() since the buffer may hold bfloat16.
# %% [markdown]
# ### Shuffle, serve, read on
#
# Now the mixing. Read a **chunk** of activations, say 16 batches. Shuffling a chunk and serving it would mix
# its own texts well, but one chunk's texts would never meet another's. So hold back half of it:
#
# 1. Put the new chunk in a random order (`split`), and cut it in two halves.
# 2. The first half goes now, together with the half that was held back of the chunk before. Serve both in
#    random order (`order`).
# 3. The second half is held back for the next chunk.
#
# Each activation is served once, and each batch holds texts of two chunks. The two orders are drawn outside and
# given to your function, so that equal seeds give equal batches.
# %% exercise="mix_halves" title="Half now, half later" difficulty=2 importance=3 minutes=15
# hint: Follow a single row of the chunk: which of the two orders decides whether it goes now, and which when?
# hint: Indexing with a permutation reorders rows: chunk[split]. chunk(2) cuts a tensor in two halves.
# hint: now, later = chunk[split].chunk(2); serve torch.cat([held, now])[order], and hold back later.
# %% result
# how many texts a batch of 64 activations comes from.
# As they come they are all from one text; the store draws them from nearly as many texts as it can.
from arena_lib.saes.training.store import ActivationStore, StoreConfig

BATCH = 64
text_idx = torch.arange(64).repeat_interleave(16)  # 64 short texts of 16 tokens: which text each activation is from
generator = make_generator(0)
held_back, counts = text_idx[:0], []
for chunk in text_idx.chunk(2):
    orders = [torch.randperm(len(chunk), generator=generator) for _ in range(2)]
    if len(held_back) == 0:
        _, held_back = mix_halves(chunk[: len(chunk) // 2], chunk, *orders)  # the first chunk only fills the buffer
        continue
    served, held_back = mix_halves(held_back, chunk, *orders)
    counts = [len(batch.unique()) for batch in served.split(BATCH)]
print(f"texts in a batch as they come: {len(text_idx[:BATCH].unique())}; from the store: {counts}")

store = ActivationStore(model, HOOK, ShuffledBatches(rows, 16), StoreConfig(batch_size=1024, chunk_batches=2))
batch = store(make_generator(0)).acts
print(f"the library's store: a batch {tuple(batch.shape)}, mean norm {batch.norm(dim=-1).mean():.2f}")
print(f"as the model gives them the mean norm would be {batch.norm(dim=-1).mean() / store.scale:.2f}")
# %% [markdown]
# The library's `ActivationStore` uses your three pieces, and one more: it lets the model stop after the layer
# that is read.
#
# ## 3. How good is it?
#
# *About 40 minutes of exercises. You write the numbers by which autoencoders are compared, and put a
# reconstruction into a running model.*
#
# A good SAE is **sparse** and **faithful**, and these pull in opposite directions. So one always gives both.
# Sparsity first: **L0** is the number of active latents at a token, on average.
# %% exercise="compute_l0" title="How many at once" difficulty=1 importance=4 minutes=5
# hint: When is a latent active?
# hint: Count the active latents in each row, then take the mean over rows.
# hint: (latents > 0).sum(dim=-1).float().mean().
# %% [markdown]
# The other axis: how often is each latent active? One that never is, is **dead**. One that is active at more
# than a tenth of all tokens is **dense**: it's rarely about one thing.
# %% exercise="compute_frequencies" title="How often" difficulty=1 importance=3 minutes=5
# hint: It's the same yes and no as for L0, averaged over the other axis.
# hint: The mean of yes (1) and no (0) is a share.
# hint: (latents > 0).float().mean(dim=0).
# %% [markdown]
# Now faithfulness. The **fraction of variance unexplained** (FVU) is the squared error, as a share of the error
# that one would make by always answering the mean activation $\bar x$:
#
# $$\text{FVU} = \frac{\sum_n |\hat x_n - x_n|^2}{\sum_n |x_n - \bar x|^2}$$
#
# where $n$ runs over tokens. The mean matters: activations are far from zero, and an SAE shouldn't be praised
# for its bias.
# %% exercise="compute_fvu" title="What is left unexplained" difficulty=2 importance=4 minutes=10
# hint: Two sums of squares over everything: one of errors, one of distances from the mean activation.
# hint: The mean activation is a vector: the mean over rows, entry by entry.
# hint: (recon - acts).square().sum() / (acts - acts.mean(dim=0)).square().sum().
# %% [markdown]
# ### What the model thinks of it
#
# FVU treats all directions alike. The model doesn't: a small error in a direction that later layers read may do
# more harm than a large one elsewhere. So let the model judge. **Splice** the reconstruction in: run the model,
# and at the hook put $\hat x$ in place of $x$. How much worse does it predict the next token? That is the
# **added loss**, in nats.
#
# To splice is to replace a tensor at chosen positions (padding stays as it is). A hook may have its heads on an
# axis of their own, `"batch seq n_heads d_head"`, while the SAE sees them side by side; and a model may compute
# in half precision. The replacement takes the form of what it replaces.
# %% exercise="replace_positions" title="Put it into the model" difficulty=2 importance=4 minutes=15
# hint: What goes back into the model must look like what came out: shape and dtype.
# hint: Reshape the replacement first. Then choose between it and the activations, for each text and position.
# hint: torch.where(chosen, replacement, acts), where chosen is is_spliced with as many axes of length 1 at its end as acts has more.
# %% [markdown]
# Added loss has no scale. Is 0.1 nats much? It depends on how much the layer matters at all. So compare with an
# **ablation**: put the mean activation everywhere (or zeros). If the model's own loss is `clean`, with the
# reconstruction `spliced`, with the ablation `ablated`, the **loss recovered** is the share of the way from
# `ablated` back to `clean`.
# %% exercise="compute_loss_recovered" title="Back from the ablation" difficulty=1 importance=4 minutes=5
# hint: It must be 1 where spliced equals clean, and 0 where it equals ablated.
# hint: How far did splicing come from the ablation, and how far is the whole way?
# hint: (ablated - spliced) / (ablated - clean).
# %%
from arena_lib.interp.hooking import hooked
from arena_lib.transformer.loss import next_token_logprobs


@torch.no_grad()
def loss_with(tokens, replacement=None):
    """The model's loss in nats a token, with these activations at HOOK in place of its own."""
    hooks = [] if replacement is None else [(HOOK, lambda acts, hook: replace_positions(acts, replacement))]
    return float(-next_token_logprobs(hooked(model).run(tokens, hooks), tokens).mean())


def measure(sae, tokens=held[:32]):
    """The numbers of this part for one autoencoder."""
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, HOOK)
        acts = cache[HOOK]
        latents = sae.encode(acts)
        recon = sae.decode(latents)
    clean, spliced = loss_with(tokens), loss_with(tokens, recon)
    ablated = loss_with(tokens, acts.mean(dim=(0, 1)).expand_as(acts))
    frequencies = compute_frequencies(latents.flatten(0, 1))
    return {
        "L0": float(compute_l0(latents.flatten(0, 1))),
        "dead": float((frequencies == 0).float().mean()),
        "FVU": float(compute_fvu(acts.flatten(0, 1), recon.flatten(0, 1))),
        "added loss": spliced - clean,
        "loss recovered": compute_loss_recovered(clean, spliced, ablated),
    }


# %% result
# the untrained autoencoder, spliced into the model.
# Compare FVU with loss recovered before you read on: which of them would you believe?
for name, value in measure(sae).items():
    print(f"{name:>15} {value:6.2f}")
# %% [markdown]
# Twelve random directions leave 82 % of the variance unexplained and cost the model 1.5 nats a token, nearly as
# much again as its own loss of 1.7. And yet the loss recovered is 0.69, since the ablation costs so much more. So
# a high loss recovered isn't an achievement by itself. Give the added loss in nats, too.
#
# ## 4. Train one, and see when it goes wrong
#
# *About 15 minutes of exercises. You train an autoencoder, and tell from training curves what is wrong with
# others.*
#
# Now train it. `train_sae` streams activations through the store, takes steps with Adam, keeps decoder
# directions at length 1, counts which latents have been silent for long (`dead_window` steps), and folds the
# scale into the weights at the end. This takes two to four minutes on two cores, and it shows a bar.
#
# What to expect: the loss falls fast for a hundred steps, and slowly after that. In the last fifth of the steps
# the learning rate falls to 0, and the loss takes one more step down.
# %%
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.saes.training.trainer import train_sae

N_STEPS = 40 if SCALE == "tiny" else 1500
STREAM = StoreConfig(batch_size=256 if SCALE == "tiny" else 1024)
sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=D_SAE, k=K), make_generator(0))
train_sae(
    model, sae, HOOK, ShuffledBatches(rows, 16), SAETrainingConfig(n_steps=N_STEPS, log_every=50), store_config=STREAM
)
sae = sae.requires_grad_(False)  # from here on it's only read
# %% result
# the trained autoencoder beside the model: twelve latents a token, a tenth of the variance left, and nearly all of the loss recovered.
numbers = measure(sae)
for name, value in numbers.items():
    print(f"{name:>15} {value:6.2f}")
# %% [markdown]
# We got an FVU of 0.10, an added loss of 0.09 nats on a loss of 1.67, and 0.98 of the loss recovered, with no
# dead latent at all. So this SAE takes the activations apart into twelve pieces each, out of 512, and the model
# hardly notices.
#
# To compare: the two SAEs for this layer that come with the library were trained for twice as many steps.
# `sae-tiny-llama-topk`, with 8 of 1,024 latents a token, has an FVU of 0.08 and costs 0.05 nats.
# `sae-tiny-llama-jumprelu`, with 10.2 of 768, gets the same two numbers. You will meet them again.
#
# Does that make it a *good* SAE? Faithful and sparse, yes. That its pieces mean something is another matter,
# and no number of part 3 says so. Parts 5 to 7 look.
#
# ### Five runs
#
# Most runs don't go so well at first. The cell below trains five small autoencoders, four of them with one
# setting that is badly wrong. Two are of the older kind: a ReLU in place of TopK, and a penalty on the sum of
# latents (**L1**) that makes them sparse. Look at the curves before you read on. Each shows three numbers as
# training goes on: FVU, L0 and the share of latents that are dead.
# %%
import zlib

from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig

N_SHORT = 24 if SCALE == "tiny" else 240
WIDTH = D_SAE // 2


def watch(new_sae, lr):
    """Train for a short while, and measure on held-out texts eight times on the way."""
    history = {"FVU": [], "L0": [], "dead": []}

    def look(sae):
        seen = sae.encode(acts)
        history["FVU"].append(float(compute_fvu(acts, sae.decode(seen))))
        history["L0"].append(float(compute_l0(seen)))
        history["dead"].append(float((compute_frequencies(seen) == 0).float().mean()))
        return {"fvu": history["FVU"][-1]}

    settings = SAETrainingConfig(n_steps=N_SHORT, lr=lr, eval_every=N_SHORT // 8, dead_window=N_SHORT // 4)
    stream = StoreConfig(batch_size=64 if SCALE == "tiny" else 512, chunk_batches=8)
    texts = ShuffledBatches(rows, 16)
    train_sae(model, new_sae, HOOK, texts, settings, store_config=stream, evaluate=look)
    return history


def topk_sae():
    return TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=WIDTH, k=K), make_generator(0))


def relu_sae(l1_coef):
    return ReLUSAE(ReLUSAEConfig(d_in=d_in, d_sae=WIDTH, l1_coef=l1_coef), make_generator(0))


runs = {
    "A": watch(topk_sae(), 2e-5),
    "B": watch(relu_sae(0.05), 1e-3),
    "C": watch(topk_sae(), 1e-3),
    "D": watch(relu_sae(10.0), 1e-3),
    "E": watch(topk_sae(), 0.1),
}
QUANTITIES = {"FVU": "FVU", "L0": "active latents at a token (L0)", "dead": "share of latents that are dead"}
for quantity, in_words in QUANTITIES.items():
    plots.lines(
        {name: run[quantity] for name, run in runs.items()},
        x=[(i + 1) * N_SHORT // 8 for i in range(len(runs["C"]["FVU"]))],
        x_title="step",
        y_title=in_words,
        title=f"Five runs: {in_words}",
    ).show()
# %% [markdown]
# What is wrong with each? Here are five diagnoses. Give each run one of them. (The settings are in the cell
# above, but the curves suffice.)
#
# - `"healthy"`
# - `"learning rate too high"`: the first steps are so large that most latents are thrown out of reach, and few of
#   them are ever chosen again
# - `"learning rate too low"`: everything goes the right way, and gets nowhere
# - `"sparsity counts too much"`: the cheapest thing is to say nothing
# - `"sparsity counts too little"`: reconstruction is nearly perfect, since it's allowed everything
# %% exercise="diagnose_runs" title="Five runs, four mistakes" difficulty=3 importance=5 minutes=15
# hint: With TopK, L0 can't be above k, and is below it only where too few latents are positive. What do dead latents say?
# hint: A low FVU isn't good by itself. Look at it together with L0: who pays for it?
# hint: Two runs have an L0 that isn't near 12: one far above, one at about 1. Of the other three one has many dead latents, and one has an FVU that hardly moves.
# Write `diagnoses`, a dictionary from the name of each run, "A" to "E", to one of the five texts.
# region solution
diagnoses = {
    "A": "learning rate too low",
    "B": "sparsity counts too little",
    "C": "healthy",
    "D": "sparsity counts too much",
    "E": "learning rate too high",
}
# endregion
# The answers stand here as checksums, so that nobody reads them by accident.
ANSWERS = {"A": 1018497251, "B": 1959682738, "C": 2141961704, "D": 63232743, "E": 1769601433}
wrong = [run for run in ANSWERS if zlib.crc32(diagnoses.get(run, "").encode()) != ANSWERS[run]]
assert not wrong, f"look again at {', '.join(wrong)}: FVU, L0 and dead latents must all fit the diagnosis"
# %% [markdown]
# What to do in each case:
#
# | what you see | what to do |
# |---|---|
# | many dead latents from the start | a lower learning rate; the auxiliary loss, or resampling; `b_dec` started at the mean |
# | FVU falls in a straight line, and is high | a higher learning rate, or more steps |
# | L0 falls to almost nothing, FVU rises | a smaller weight of sparsity, and raise it slowly (`sparsity_warmup`) |
# | L0 stays high, or rises | a larger weight of sparsity |
# | everything looks good, but added loss is high | the hook is at the wrong place, or padding was trained on: look at where the error is |
#
# ## 5. Where is a latent active?
#
# *About 35 minutes of exercises. You find the tokens on which a latent is most active, and read them.*
#
# A latent is a number at each token. The first question about it: where is it large? Collect many texts, find
# the tokens with its largest activations, and read what stands there. These are **max-activating examples**,
# and most of what people say about SAEs begins with them.
#
# First the search, in a batch of texts. A story says the same thing for a while, so the ten largest may be ten
# neighbours. So one may ask for a minimal distance: a place is left out if a better one in the same text is
# near.
# %% exercise="find_top_positions" title="The largest in a batch" difficulty=3 importance=4 minutes=15
# hint: Sort all activations of the batch at once, and go through them from the largest.
# hint: From the index in the flattened tensor, divmod with the length of a row gives row and position. A stable sort keeps the earlier of equal ones first.
# hint: Keep a list of places. Skip a place if any(row == a and abs(position - b) <= min_distance for a, b in found), stop at k or at the first activation that isn't above 0, and give torch.tensor(found, dtype=torch.long).reshape(-1, 2).
# %% [markdown]
# Now for texts without end. `stream_latents(place, texts, [latent_idx], total_batches=..., skip=...)` goes
# through them batch by batch. Each batch has `tokens`, the latent as `latents` "batch seq 1", the same as
# `counted` with 0 where a token doesn't count (padding, and the token that begins a text), and `is_real`, False
# at padding. `find_place(model, sae, hook_name)` makes the place, and `token_texts(place.lm, ids)` says what
# tokens are as text. On the way, a record such as `Example` may help; what you give back are tuples.
#
# Around each token, its **context**: up to `buffer` tokens on each side, fewer where the text ends. (This
# builds on your `find_top_positions`. Not written yet? Take the library's: `from
# arena_lib.saes.analysis.activations.examples import find_top_positions`.)
# %% exercise="fetch_max_activating_examples" title="Max-activating examples" difficulty=4 importance=5 minutes=20
# hint: Keep a list of the best examples so far. What must happen to it after each batch?
# hint: In each batch find the k best places of acts = batch.counted[..., 0], and cut a window around each, without padding. Then sort all examples by activation and keep k.
# hint: near = range(max(position - buffer, 0), min(position + buffer + 1, acts.shape[1])); window = [i for i in near if batch.is_real[row, i]]; the token is entry window.index(position) of it.
# %%
from arena_lib.saes.analysis.activations.histograms import compute_activation_stats, show_activation_histogram

stats = compute_activation_stats(model, sae, held)
by_frequency = stats.active_share.argsort(descending=True).tolist()
SHOWN = [by_frequency[int(share * D_SAE)] for share in (0.03, 0.15, 0.35)]


# %% result
# three latents, from frequent to rare, each with its best examples.
# Read them before you go on: what would you call each of them? The text between >> and << is the token itself.
def show_examples(model, sae, texts, latent_idx, k=6, buffer=8, skip=None):
    """Print a latent's best examples."""
    for activation, words, at in fetch_max_activating_examples(
        model, sae, texts, latent_idx, k=k, buffer=buffer, may_overlap=False, skip=skip
    ):
        line = "".join(words[:at]) + f" >>{words[at]}<<" + "".join(words[at + 1 :])
        print(f"  {activation:5.1f} ", line.replace("\n", "⏎"))


for latent_idx in SHOWN:
    print(f"latent {latent_idx}: active on {stats.active_share[latent_idx]:.1%} of tokens")
    show_examples(model, sae, held, latent_idx)
# %% result
# how strongly one of them is active, where it's active at all.
# Most latents have many small values and few large ones. The examples that you read are from the right end, and may be about something else than the rest.
show_activation_histogram(model, sae, held, SHOWN[1])
# %% [markdown]
# You will have found some latents that have an obvious name ("the first word of a text, if it's a name", "a
# thing that somebody has"), some that seem to be about two things at once, and some that have no name. Two
# warnings before you believe the obvious ones:
#
# - You read the largest activations only. What does the latent do at the rest, where it's weaker but far more
#   frequent?
# - Your name may be too wide ("names": but is it active on *all* names?) or too narrow ("Wendy": but is it
#   active at other things too?).
#
# Part 7 checks both, since here we know what is true.
#
# ## 6. What does a latent write?
#
# *About 25 minutes of exercises. You read what a latent does to the next token from its direction.*
#
# So far we asked what makes a latent active. The other side: what does it *do*? It adds its direction to the
# residual stream. If nothing later in the model touched that, the final norm and the unembedding $W_U$ would
# turn it into logits. This is the logit lens of section 1.2, applied to a direction.
#
# The final norm multiplies each entry by its gain, a vector that is part of the model. A LayerNorm (GPT-2)
# first takes each vector's mean away, an RMSNorm (Llama) doesn't. It also divides by a size that depends on the
# text; that changes the scale of all logits alike, and is left out. And a number that is added to *all* logits
# changes no probability, so we take the mean over the vocabulary away.
# %% exercise="project_to_logits" title="From directions to logits" difficulty=2 importance=4 minutes=15
# hint: What does the final norm do to a vector that is linear, whatever the text is?
# hint: Centre (if the norm does), multiply by the gain, multiply by W_U, and centre over the vocabulary.
# hint: logits = (directions * gain) @ W_U; logits - logits.mean(dim=-1, keepdim=True).
# %% [markdown]
# Then list the tokens at both ends. `compute_latent_logits(model, sae, [latent_idx], hook_name=...)` applies
# what you wrote to an SAE's decoder directions and gives "1 d_vocab", and `list_ends(place, values, k)` makes
# the lists of `TokenEffects`, with each token's text. You may also sort by hand, and give a pair of lists.
# %% exercise="find_top_logits" title="Likelier and less likely" difficulty=2 importance=3 minutes=10
# hint: Which of an SAE's matrices says what a latent writes, and which what it reads?
# hint: Get the row of logits of one latent; then the k largest, the largest first, and the k smallest, the smallest first.
# hint: place = find_place(model, sae, hook_name); list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k).
# %% result
# what two of your latents make likelier (above), and less likely (hatched). "␣" stands for a space.
from arena_lib.saes.analysis.directions.logits import show_top_logits

for latent_idx in SHOWN[:2]:
    print(latent_idx, "likelier:", [token for token, _ in find_top_logits(model, sae, latent_idx, 5)[0]])
    show_top_logits(model, sae, latent_idx, k=8).show()
# %% [markdown]
# For some latents both sides fit together: one that is active on a name at the beginning of a text makes " and"
# and verbs likelier, which is how sentences go on. For others the tokens look random. After layer 2 of
# `tiny-llama` there is one more layer, which may read the direction and do something else with it; and a latent
# that holds a fact for later needn't write to the next token at all.
# %% [markdown]
# ## 7. Is the name right?
#
# *About 40 minutes of exercises. You measure how well a latent says what you think it says, and compare with
# neurons and with a probe.*
#
# A name is a claim: "this latent is active exactly where the token is *Betty*". In Storyworld we know where
# that is so, and can count. Let *said* be the tokens on which the latent is active, *true* those where the
# claim holds, and TP (true positives) those where both are so. **Precision** is TP / said: if the latent says
# it, is it so? **Recall** is TP / true: if it is so, does the latent say it? A latent that is active once in a
# million tokens can have perfect precision, one that is always active has perfect recall. **F1** is high only
# if both are:
#
# $$F_1 = \frac{2\,\text{TP}}{\text{said} + \text{true}}$$
#
# It's the harmonic mean of the two, written with counts, so that nothing is divided by zero unless nothing is
# said and nothing is true.
# %% exercise="compute_f1" title="Precision and recall in one" difficulty=1 importance=4 minutes=10
# hint: The function gets the three counts. Which two of them stand in the denominator?
# hint: Counts are tensors of whole numbers. Where nothing is said and nothing true, the result should be 0, not NaN.
# hint: 2 * true_positives / (n_said + n_true).clamp(min=1).
# %% [markdown]
# ### A page for a latent
#
# Whoever publishes an SAE puts what is known of a latent on one page, a **dashboard**: how often it's active
# and how strongly, its best examples, examples from *all* of its range, the tokens that it makes likelier, those whose
# embeddings raise it (single bytes among them, which Storyworld never uses: "�"), and the latents nearest to it. So
# you can read the strong and the weak side by side.
#
# An SAE for `tiny-llama` comes with the library. It reads at the same place as yours, has 1,024 latents, of
# which 8 are active at a token, and was trained for twice as long. The cell shows the page of one of its latents, and
# writes it to a file that any browser opens. Read from top to bottom, and look at the weaker examples above all.
# %%
from arena_lib.saes.dashboards import collect_dashboards, save_dashboard, show_dashboard

shipped = zoo.load_sae("sae-tiny-llama-topk").requires_grad_(False)
LATENT = 959
N_PAGE = 100 if SCALE == "tiny" else 300
page_texts = make_labelled_rows(N_PAGE, 128, seed=5, variables=["full stop"]).tokens
(dashboard,) = collect_dashboards(model, shipped, page_texts, [LATENT])
print("written to", save_dashboard(dashboard, f"latent_{LATENT}.html"))
show_dashboard(dashboard)
# %% exercise="name_a_latent" title="Read the page, and name it" difficulty=2 importance=4 minutes=15
# hint: Which token is framed in all examples? Is every such token marked, in the texts that you see?
# hint: What stands before the framed token, in the strong examples and in the weaker ones?
# hint: The token is " to", after " wanted". Is it active on " to" after " loved", too? Try both.
from arena_lib.saes.truth import collect_activations

fresh = make_labelled_rows(N_PAGE, 128, seed=6, variables=["full stop"]).tokens  # texts that the page doesn't show
texts = [model.to_str_tokens(row) for row in fresh]
is_active = shipped.encode(collect_activations(model, fresh, [HOOK])[HOOK])[:, LATENT] > 0


def count_claim(claim):
    """Precision, recall and F1 of "the latent is active exactly where the claim holds", on texts that are new."""
    holds = torch.tensor([claim(words, i) for words in texts for i in range(len(words))])
    n_right, n_said, n_true = (is_active & holds).sum(), is_active.sum(), holds.sum()
    return float(n_right / n_said), float(n_right / n_true.clamp(min=1)), float(compute_f1(n_right, n_said, n_true))


# Give the latent a name that a program can check: a function my_claim(words, i) that is True where the latent should be
# active. `words` are the tokens of a text as strings, and i is a position: words[i] == " kite" claims "the token is kite".
# region solution
def my_claim(words, i):
    return i > 0 and words[i - 1] == " wanted" and words[i] == " to"


# endregion
precision, recall, f1 = count_claim(my_claim)
print(f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.2f}")
assert f1 > 0.6, f"an F1 of {f1:.2f}: with a low precision the claim is too narrow, with a low recall too wide"
# %% result
# your name beside three that sound as good after a look at the best examples alone, and where the latent is active against your name.
names_of_latent = {
    "yours": my_claim,
    'the token is " to"': lambda words, i: words[i] == " to",
    '" to" after wanted or loved': lambda words, i: (
        i > 0 and words[i - 1] in (" wanted", " loved") and words[i] == " to"
    ),
    "somebody wants something": lambda words, i: " wanted" in words[max(i - 4, 0) : i + 1],
}
for name, claim in names_of_latent.items():
    print(f"{name:>28}: precision {{:.2f}}, recall {{:.2f}}, F1 {{:.2f}}".format(*count_claim(claim)))
places = [divmod(place, fresh.shape[1]) for place in is_active.nonzero().flatten().tolist()]
for row, i in [(row, i) for row, i in places if not my_claim(texts[row], i)][:6]:
    print("".join(texts[row][max(i - 6, 0) : i]) + f" >>{texts[row][i]}<<" + "".join(texts[row][i + 1 : i + 4]))
# %% [markdown]
# The best examples suggest " to", or wanting something. Both have a recall near 0: the latent is silent on most
# " to", and on most words of a wish. With " to" after " wanted" recall is 1.00 and precision 0.72: it never misses
# one, and sometimes it's active where nobody wanted anything. Some of that is " to" after " loved", which looks like a
# better name for a moment, "what one likes to do". But it's active on a part of those only: precision rises to
# 0.85, recall falls to 0.66, F1 from 0.84 to 0.74. So the simple name is the better one, and it isn't the whole truth.
# Of 1,024 latents this is one of those with the clearest names.
#
# ### A name that the truth doesn't bear out
#
# Now a latent of yours, and a claim of another kind.
# %% result
# a latent whose most raised token is a name, by far: what is it about?
# It looks like "the token is this name". Five claims are counted on 400 new rows, each at several thresholds (0, then quantiles of its activations).
from arena_lib import storyworld
from arena_lib.saes.analysis.directions.logits import compute_latent_logits
from arena_lib.storyworld import lexicon

NAME_IDS = torch.tensor([storyworld.encode_words([name])[0] for name in lexicon.ALL_NAMES])
best_tokens = compute_latent_logits(model, sae, range(D_SAE), hook_name=HOOK).topk(2, dim=-1)
is_name = torch.isin(best_tokens.indices[:, 0], NAME_IDS)
margins = (best_tokens.values[:, 0] - best_tokens.values[:, 1]).masked_fill(~is_name, -1.0)
by_margin = margins.argsort(descending=True).tolist()
NAMED = by_margin[2]  # one of the clearest; try others
name_id = int(best_tokens.indices[NAMED, 0])
NAME = model.tokenizer.decode([name_id]).strip()
print(
    f"{int(is_name.sum())} of {D_SAE} latents raise a name most; latent {NAMED} raises {NAME}, by {margins[NAMED]:.1f} logits"
)

labelled = make_labelled_rows(
    40 if SCALE == "tiny" else 400, 128, seed=3, variables=["name", "subject", "holder of the thing named last"]
)
where = {variable.name: variable.values == lexicon.ALL_NAMES.index(NAME) for variable in labelled.variables}
here = labelled.tokens == name_id
claims = {
    f"the token is {NAME}": here,
    f"the token before is {NAME}": torch.cat([here[:, :1] & False, here[:, :-1]], dim=1),
    f"the next token is {NAME}": torch.cat([here[:, 1:], here[:, :1] & False], dim=1),
    f"the sentence's subject is {NAME}": where["subject"],
    f"{NAME} holds the thing named last": where["holder of the thing named last"],
}
label_acts = collect_activations(model, labelled.tokens, [HOOK])[HOOK]
label_latents = sae.encode(label_acts)
active = label_latents[:, NAMED]
positive = active[active > 0] if (active > 0).any() else torch.zeros(1)
thresholds = [0.0, *(float(positive.quantile(q)) for q in (0.5, 0.9))]
f1_of_claims = {}
for claim, holds in claims.items():
    holds = holds.flatten()
    said = [active > threshold for threshold in thresholds]
    f1_of_claims[claim] = [float(compute_f1((says & holds).sum(), says.sum(), holds.sum())) for says in said]
    print(f"{claim:>40}: " + "  ".join(f"{f1:.2f}" for f1 in f1_of_claims[claim]))
# %% [markdown]
# Most people would have called it by its name and gone on. In our run 150 of 512 latents raise a name most, by up
# to 13 logits. For one of the clearest of them, which raises Susan, the claim "the token is Susan" has an F1 of
# 0.13 at best. "The next token is Susan" reaches 0.39, at the highest threshold, and "the sentence's subject is
# Susan" 0.19. Nothing comes near 1. A direction that *writes* a name isn't the same as a latent that says where
# it is: at small values these latents are active on all kinds of tokens. They are part of how the model *gets
# ready to say* a name, and that's spread over many tokens.
#
# ### More than one
#
# Perhaps no single latent is the feature, but a few together are: one for the full stop after a name, another
# for the one after "was there". An SAE may **split** a feature like that. So allow a **union**: say yes if at
# least one of up to five latents is above its threshold. Start from the best one, and add whichever raises F1
# most, as long as one does.
#
# A `Detector` has a `feature` and a `threshold`, and `detector.fires(features)` says where the feature is above
# it. `score(says, label)` is the F1 of a yes or no for each token, by your formula.
# %% exercise="grow_union" title="Up to five together" difficulty=3 importance=3 minutes=15
# hint: This is a greedy search. What do you have to remember from one round to the next?
# hint: Compute where each candidate says yes once. In each round score the union so far joined with each of them, and take the best.
# hint: gains = [score(says | fired, label) for fired in fires]; best is where gains is largest; stop if gains[best] <= reached or there are `largest`; give [candidates[idx] for idx in chosen].
# %% result
# the truth table: your latents, alone and in unions, beside raw neurons and a probe, for a few labels.
# Features and thresholds are chosen on other worlds than those that are scored. Only labels that the probe can read enter.
from arena_lib.saes.truth import TruthBench, TruthConfig

sizes = (60, 30, 60, 60) if SCALE == "tiny" else (600, 300, 600, 300)
bench = TruthBench(
    model,
    HOOK,
    neuron_hook="blocks.2.mlp.hook_post",
    config=TruthConfig(
        n_fit=sizes[0],
        n_validation=sizes[1],
        n_test=sizes[2],
        min_positive=sizes[3],
        variables=("full stop",) if SCALE == "tiny" else ("full stop", "kind of text"),
    ),
)
of_latents = bench.score(sae.encode)
neurons, neuron_hook = bench.baselines["neurons"]
of_neurons = bench.score(neurons, of=neuron_hook)
plots.bars(
    {
        "best latent": [entry.f1 for entry in of_latents],
        "up to five latents": [entry.union_f1 for entry in of_latents],
        "best neuron": [entry.f1 for entry in of_neurons],
        "up to five neurons": [entry.union_f1 for entry in of_neurons],
        "probe": [entry.label.probe_f1 for entry in of_latents],
        "always yes": [entry.label.always_f1 for entry in of_latents],
    },
    [entry.label.name for entry in of_latents],
    y_title="F1 on new worlds",
    title="What latents find, beside neurons and a probe",
)
# %% [markdown]
# This is the sober picture. The probe, which was *told* what to look for, reads all of these with an F1 of 0.85 or
# more, so it's all there, linearly. The best single latent isn't better than the best single neuron, on average. In
# unions latents gain more than neurons do: in our run "full stop" goes from 0.69 to 0.90 (neurons: 0.69
# to 0.79), the kinds of text from 0.47 to 0.68 on average (neurons: 0.49 to 0.59).
#
# And yet this SAE recovers 98 % of the loss. Both are true. *Faithful* means that the sum of twelve pieces is
# right. It doesn't mean that each piece is one of the things that **we** have a word for. Some are; most cut
# the world in another way ("the full stop after a list of two", "a thing that somebody has"). This is a
# small SAE on a small model, and larger ones do better; but the same gap was measured on large ones, too
# (Kantamneni et al. 2025, [Are sparse autoencoders useful?](https://arxiv.org/abs/2502.16681)). So check names
# before you use them.
#
# ### Another layer, and more latents
#
# Is that true of SAEs, or of this one? We searched other layers, widths, objectives and variants in the same
# way, and scored what was chosen over 5 seeds on worlds that had chosen nothing. The whole table is
# `docs/sae_truth.md` in the repository, and `python -m benchmarks truth` makes it again.
#
# ![F1 by variable after layer 1: untrained features, latents alone and in unions, and the probe](figures/sae_truth.png)
#
# Each group of bars is a variable, with the number of its labels in brackets (each name is one). The bars, from the left:
# always saying yes; the best of what needs no training, which is one axis of the residual stream ("residual basis"), one
# neuron, or one random direction; the best latent of a Matryoshka SAE, and up to five of its latents; the probe.
#
# Names first. With the settings of part 4 the best latent of a name has an F1 of 0.07 after layer 2, on
# average, though a probe reads them with 0.95. After layer 1 it has 0.76, and in a Matryoshka SAE with 2,048
# latents 0.91, where the best neuron has 0.07. So names *are* recovered, by a latent each, where the model
# still keeps them apart and where there are latents enough. With too few, one latent stands for more than one
# thing: recall is high, and precision fails.
#
# What needs context is another matter. With the same 2,048 latents "the next word is an answer" has 0.54
# (neurons 0.51, an axis of the residual stream 0.56), and the kinds of text 0.47 (neurons 0.41). In unions
# it's 0.68 and 0.66. That is more than unions of neurons find, and far from what the probe reads, 0.82 and
# 0.91. And the loss tells nothing of all this: 200 more steps on the model's own predictions took a TopK
# SAE's added loss from 0.443 to 0.262 nats, and its F1 for names from 0.76 to 0.76.
#
# ## 8. What does the model do with it?
#
# *About 70 minutes of exercises. You take latents away, predict from one gradient what that does, and follow an
# attention latent to its sources.*
#
# Being active is one thing, being *used* is another. To find out, intervene: set a latent to 0, and see what
# changes. As a function of the latents "batch seq d_sae":
# %% exercise="ablate_sae_latent" title="Set it to zero" difficulty=2 importance=4 minutes=10
# hint: Which entries should become 0 if only latent_idx is given, and which if only seq_pos is?
# hint: Indexing with slice(None) means all of an axis. Beware: latent 0 and position 0 count as false in Python.
# hint: at = slice(None) if seq_pos is None else seq_pos; the same for the latent; then ablated = sae_acts.clone() and ablated[:, at, which] = 0.
# %% [markdown]
# Now put the changed latents back into the model. Not as decode(changed): the reconstruction has an error of
# its own, and the model would react to that as well. Everything that the SAE doesn't explain, the **error** $x
# - \text{decode}(f)$, stays in (Marks et al. 2024, [Sparse feature
# circuits](https://arxiv.org/abs/2403.19647)). With $f$ the latents and $f'$ the changed ones
#
# $$x' = \text{decode}(f') + \big(x - \text{decode}(f)\big)$$
#
# so that $x' = x$ exactly, if nothing was changed.
# %% exercise="apply_latent_change" title="The error stays" difficulty=2 importance=5 minutes=10
# hint: Write out both decodings. What do they have in common?
# hint: The bias cancels. What is left is the activation and the change of the latents, decoded.
# hint: acts + (changed - latents) @ W_dec.
# %% [markdown]
# ### All at once, nearly
#
# One run for each latent is slow if there are a hundred thousand. **Attribution** predicts the effects of all
# from one gradient. Let $m$ be a metric, and $g = \partial m / \partial x$ its gradient at the hook. Taking
# latent $i$ away changes $x$ by $-f_i W_{dec}[i]$, so to first order $m$ changes by
#
# $$-f_i \, \big(W_{dec}[i] \cdot g\big)$$
#
# This is attribution patching, on latents. It's exact if the model were linear from there on. It isn't, so
# compare.
# %% exercise="attribute_ablations" title="From one gradient" difficulty=3 importance=4 minutes=15
# hint: How much does a small step along a direction change the metric?
# hint: For every latent at every position you need the dot product of its row of W_dec with the gradient there: one product of matrices.
# hint: -latents * (gradient @ W_dec.T).
# %%
from arena_lib.interp.ioi import make_ioi_dataset
from arena_lib.plots.graphs.scatter import scatter

dataset = make_ioi_dataset(model, 8 if SCALE == "tiny" else 24, generator=make_generator(0))


def logit_difference(logits):
    """How much more the model favours the indirect object than the subject, on average."""
    chosen = logits[:, -1].gather(-1, dataset.answer_tokens)
    return (chosen[:, 0] - chosen[:, 1]).mean()


N_EFFECTS = 20 if SCALE == "tiny" else 60  # latents that are ablated, those of the largest predicted effect


def effects_of_latents(model, sae, tokens, metric, at):
    """For each latent that is active at these positions: its number, what attribution predicts, what ablation does."""
    lm, hook_name = hooked(model), sae.cfg.hook_name
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, hook_name)
        acts = cache[hook_name]
        latents = sae.encode(acts)
    leaf = acts.clone().requires_grad_()
    before = metric(lm.run(tokens, [(hook_name, lambda tensor, hook: leaf)]))
    (gradient,) = torch.autograd.grad(before, leaf)
    before = before.detach()
    predicted = attribute_ablations(latents, gradient, sae.W_dec)[at].sum(dim=0)
    strongest = predicted.abs().argsort(descending=True)[:N_EFFECTS].tolist()
    chosen = [latent_idx for latent_idx in strongest if latents[at][:, latent_idx].any()]
    measured = []
    for latent_idx in chosen:
        ablated = torch.where(at[..., None], ablate_sae_latent(latents, None, latent_idx), latents)
        replaced = apply_latent_change(acts, latents, ablated, sae.W_dec)
        with torch.no_grad():
            after = metric(lm.run(tokens, [(hook_name, lambda tensor, hook, replaced=replaced: replaced)]))
        measured.append(float(after - before))
    return chosen, predicted[chosen].tolist(), measured


def show_effects(model, sae, tokens, metric, at, title):
    """Print the strongest latents, and draw all of them."""
    chosen, predicted, measured = effects_of_latents(model, sae, tokens, metric, at)
    for i in sorted(range(len(chosen)), key=lambda i: -abs(measured[i]))[:6]:
        raised = [token for token, _ in find_top_logits(model, sae, chosen[i], 4)[0]]
        print(f"latent {chosen[i]:4d}: ablation {measured[i]:6.2f}, attribution {predicted[i]:6.2f}; raises {raised}")
    correlation = torch.corrcoef(torch.tensor([predicted, measured]))[0, 1]
    print(f"{len(chosen)} latents; correlation of attribution and ablation: {correlation:.2f}")
    return scatter(
        {"latents": (predicted, measured)},
        x_title="change that attribution predicts (logits)",
        y_title="change by ablation (logits)",
        title=title,
        diagonal="both agree",
    )


# %% result
# the indirect object (section 1.4.1) through latents: which of them carry the answer at the last token?
# Each point is a latent: what one gradient predicts, and what ablating it really does to the logit difference.
# On the dashed line the prediction is right. Which latents lie below it?
with torch.no_grad():
    tokens = dataset.toks
    _, cache = model.run_with_cache(tokens, HOOK)
    spliced = hooked(model).run(tokens, [(HOOK, lambda acts, hook: sae(acts))])
    print(
        f"logit difference: the model {logit_difference(model(tokens)):.2f}, with the reconstruction {logit_difference(spliced):.2f}"
    )
at_end = torch.zeros_like(tokens, dtype=torch.bool)
at_end[:, -1] = True
show_effects(model, sae, tokens, logit_difference, at_end, "Latents at the last token, and the indirect object")
# %% [markdown]
# First: the task survives. The model has a logit difference of 11.7; with the reconstruction in place of the
# activations it was 11.1 in our run. Then: in our run one latent had twice the effect of any other, and raised no
# name in particular, while the next ones raised one name each. The general one was active in every prompt; a
# latent that raises "Wendy" matters in prompts with Wendy.
#
# Is there such a general latent in every SAE of this layer? Not in those that come with the library. Without the
# strongest of `sae-tiny-llama-topk` the difference falls by 1.23, without the next ones by 1.16 and 1.12; of
# `sae-tiny-llama-jumprelu` it's 1.43, 1.31 and 1.23. So what a single latent does says as much about the SAE as
# about the model.
#
# Attribution and ablation agree on the order: their correlation is 0.99, in our run and for
# `sae-tiny-llama-topk`, and 0.98 for `sae-tiny-llama-jumprelu`. On the size they don't. The strongest latents lie
# below the dashed line: attribution predicted about half of what happened in our run, and between 41 and 67 % for
# the five strongest of each of the other two. The last layer and the final norm bend, and a large step goes beyond
# where the gradient is right. So use attribution to find candidates among many, and ablation to say how large an
# effect is.
#
# ### Sentiment
#
# Does every behaviour sit in a few latents? Take another one. In Storyworld people who hold nothing may become
# gloomy, and stay so until the story ends. So at "Vera cried and was" the model has to know Vera's mood. The
# cell finds places in new stories where a word of bad mood follows, and others where a good one does. The
# **gap** is how much more the model favours bad moods over good ones at the first kind of place than at the
# second: if it knew nothing of the mood, it would be 0. Here everybody reads the same latents, those of the SAE
# that comes with the library.
#
# `gap_without` sets latents to 0 at every token of the texts, and keeps the error in, by your formula.
# %%
GOOD, BAD = (
    torch.tensor([storyworld.encode_words([word])[0] for word in words])
    for words in (lexicon.GOOD_MOODS, lexicon.BAD_MOODS)
)
stories = make_labelled_rows(300 if SCALE == "tiny" else 1500, 64, seed=11, variables=["kind of text"])
(kind,) = stories.variables
is_story = kind.values == kind.classes.index("story")


def find_places(moods):
    """Where a word of these moods follows in a story, "n_rows seq"."""
    follows = torch.isin(stories.tokens[:, 1:], moods) & is_story[:, :-1]
    return torch.cat([follows, follows[:, :1] & False], dim=1)


before_bad, before_good = find_places(BAD), find_places(GOOD)
has_place = (before_bad | before_good).any(dim=1)
moody, before_bad, before_good = stories.tokens[has_place], before_bad[has_place], before_good[has_place]


def gloom(logits, at):
    """How much more the model favours bad moods than good ones at these places."""
    return logits[at][:, BAD].mean() - logits[at][:, GOOD].mean()


def run_from(mood_acts):
    """The model's logits with these activations at HOOK."""
    return hooked(model).run(moody, [(HOOK, lambda acts, hook: mood_acts)])


def mood_gap(logits):
    """The gap of gloom between the two kinds of places."""
    return gloom(logits, before_bad) - gloom(logits, before_good)


@torch.no_grad()
def gap_without(latent_idxs):
    """The gap once these latents are 0 at every token."""
    left = mood_latents.clone()
    left[..., latent_idxs] = 0
    return float(mood_gap(run_from(apply_latent_change(mood_acts, mood_latents, left, shipped.W_dec))))


with torch.no_grad():
    mood_logits, cache = model.run_with_cache(moody, HOOK)
    mood_acts = cache[HOOK]
    mood_latents = shipped.encode(mood_acts)
    gap_of_recon = float(mood_gap(run_from(shipped.decode(mood_latents))))
leaf = mood_acts.clone().requires_grad_()
(mood_gradient,) = torch.autograd.grad(mood_gap(run_from(leaf)), leaf)  # of the gap, "n_rows seq d_model"
of_bad, of_good = (float(gloom(mood_logits, at)) for at in (before_bad, before_good))
print(f"{int(before_bad.sum())} places before bad moods: the model favours bad ones by {of_bad:.2f}")
print(f"{int(before_good.sum())} places before good moods: it favours good ones by {-of_good:.2f}")
print(f"the gap is {of_bad - of_good:.2f}; with the reconstruction in place of the activations {gap_of_recon:.2f}")
# %% exercise="rank_by_three" title="Which latents carry sentiment?" difficulty=3 importance=3 minutes=20
# hint: For each method: what number does it give to a latent, and does a large or a small one mean "carries the gap"?
# hint: attribute_ablations gives a change for each token: add up over texts and positions; the gap should fall. For the logit lens, compute_latent_logits(model, shipped, range(shipped.cfg.d_sae), hook_name=HOOK) says what each direction writes, "d_sae d_vocab".
# hint: push = logits[:, BAD].mean(dim=-1) - logits[:, GOOD].mean(dim=-1), times the difference of the latents' means before bad and before good moods. compute_frequencies(mood_latents[before_bad | before_good]) for activity.
# Write `orders`: for each of three methods a list of all latents' numbers, the one first whose removal should close the
# gap most.
#     "attribution"   by what one gradient predicts for the gap, once the latent is 0 at every token
#     "logit lens"    by how much more its direction raises BAD than GOOD, times how much larger it is, on average, before
#                     bad moods than before good ones: what it writes to the gap *directly*
#     "activity"      by the share of both kinds of places at which it's active
# region solution
predicted_change = attribute_ablations(mood_latents, mood_gradient, shipped.W_dec).sum(dim=(0, 1))
written = compute_latent_logits(model, shipped, range(shipped.cfg.d_sae), hook_name=HOOK)
push = written[:, BAD].mean(dim=-1) - written[:, GOOD].mean(dim=-1)
is_larger_by = mood_latents[before_bad].mean(dim=0) - mood_latents[before_good].mean(dim=0)
activity = compute_frequencies(mood_latents[before_bad | before_good])
orders = {
    "attribution": predicted_change.argsort().tolist(),
    "logit lens": (is_larger_by * push).argsort(descending=True).tolist(),
    "activity": activity.argsort(descending=True).tolist(),
}
# endregion
for method in ("attribution", "logit lens", "activity"):
    assert sorted(orders[method]) == list(range(shipped.cfg.d_sae)), f"{method}: each latent must be in its list once"
assert gap_without(orders["attribution"][:4]) < gap_without([]), (
    "without the first four by attribution the gap is smaller"
)
assert orders["logit lens"][0] == orders["activity"][0], "the latent that is active most often also writes the most"
# %% result
# the gap, as more and more latents are removed in each order, and in a random order of those that are active at the places.
# Before you run it: how many latents do you think it takes to halve the gap?
N_REMOVED = [0, 1, 4, 16, 64]
is_used = (mood_latents[before_bad | before_good] > 0).float().mean(dim=0) > 0.02
used = is_used.nonzero().flatten()
shuffled = used[torch.randperm(len(used), generator=make_generator(0))].tolist()
gaps = {
    method: [gap_without(order[:n]) for n in N_REMOVED] for method, order in (orders | {"random": shuffled}).items()
}
for method in orders:
    first = [(i, [token for token, _ in find_top_logits(model, shipped, i, 3)[0]]) for i in orders[method][:3]]
    print(f"{method:>11}: " + ", ".join(f"{i} raises {raised}" for i, raised in first))
print(
    f"{len(used)} latents are active at more than 2 % of the places; the gap without the first {N_REMOVED} of each order:"
)
for method, values in gaps.items():
    print(f"{method:>11}: " + "  ".join(f"{value:5.2f}" for value in values))
figure = plots.lines(
    gaps, x=N_REMOVED, x_title="latents removed", y_title="gap (logits)", title="How many latents carry sentiment?"
)
figure.update_xaxes(type="category").show()  # the five numbers side by side: on a plain axis four lie in one corner
# %% [markdown]
# The model knows the mood: the gap is 5.66, and the reconstruction keeps 5.21 of it, so the latents hold it. But no
# few of them do, whichever way you look for them.
#
# - The **logit lens** and **activity** begin with the same latent, 641, which raises " angry". That must be it? Without
#   it the gap is *larger*, 6.46. It writes moods directly, yes; but the last layer reads it, too, and takes back
#   more than it writes.
# - **Attribution** begins with latents that close the gap, by a little each. Its first 16 leave 4.29, its first 64
#   still leave 3.72. It ranks small steps, and the removal of 64 latents is no small step.
# - Only where nearly everything that is active at these places is gone, is the gap gone: the 64 most active latents leave
#   0.22, and the 56 that are active at more than 2 % of the places, in any order, 0.33. Of these, the first 16 at random
#   change nothing (5.86).
#
# So here is what holds: in this autoencoder sentiment has no latent of its own. It's spread over most of those that are
# active. (Don't compare that with the one strong latent that yours may have for the indirect object: this autoencoder has
# none for that either, as you read above. Two behaviours can only be compared in the same autoencoder.) Three methods
# gave three different "sentiment latents", each of which would have made a fine picture on its own. Before you say "the
# latent for X", remove it, and see what is left.
#
# ### Where an attention latent comes from
#
# An SAE can read other places. One of them is `hook_z`, the outputs of a layer's attention heads before $W_O$,
# side by side. There a latent can be traced back *exactly*. A head's output at a position is a sum over the
# positions that it looks at, pattern times value; and a latent before its activation function is linear in it.
# So what source position $s$ adds through head $h$ is
#
# $$A_h[s] \, \big( v_h[s] \cdot W_{enc}[h] \big)$$
#
# with $A_h$ the row of the head's attention pattern at the position where the latent is active, $v_h[s]$ its
# value vector, and $W_{enc}[h]$ the head's part of the latent's encoder direction. This is **direct feature
# attribution** (Kissane et al. 2024, [Interpreting attention layer outputs with sparse
# autoencoders](https://arxiv.org/abs/2406.17759)).
# %% exercise="attribute_to_sources" title="From which token?" difficulty=3 importance=3 minutes=15
# hint: It's a product of two numbers for each source position and head. Which two?
# hint: The dot product of value and encoder goes over d_head. The pattern has its axes the other way round.
# hint: pattern.T * (v * encoder).sum(dim=-1).
# %% result
# an autoencoder of attention in layer 1: for two latents, the tokens on which they are active, and the token that adds most.
# Look at what the sources have in common: that is what the heads went to fetch. A share above 100% isn't an error: other
# tokens then take some of it away.
from arena_lib.saes.analysis.activations.attention import fetch_max_activating_examples_attn

Z_HOOK = "blocks.1.attn.hook_z"
z_sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=WIDTH, k=8), make_generator(0))
train_sae(model, z_sae, Z_HOOK, ShuffledBatches(rows, 16), SAETrainingConfig(n_steps=N_SHORT), store_config=STREAM)
z_sae.requires_grad_(False)
z_order = compute_activation_stats(model, z_sae, held).active_share.argsort(descending=True).tolist()
for latent_idx in (z_order[WIDTH // 10], z_order[WIDTH // 5]):
    print(f"latent {latent_idx}")
    for example in fetch_max_activating_examples_attn(model, z_sae, held, latent_idx, k=5, buffer=6, may_overlap=False):
        at, source = example.dest_pos, example.src_pos
        active_on = "".join(example.str_toks_dest[:at]) + f" >>{example.str_toks_dest[at]}<<"
        comes_from = "".join(example.str_toks_src[max(source - 2, 0) : source]) + f" >>{example.str_toks_src[source]}<<"
        print(f"  {example.act:4.1f} {active_on}   from {comes_from} ({example.share:.0%}, head 1.{example.head})")
# %% [markdown]
# In our run one latent was active on "hard" in "clean, tall: short, hard", and 68 % of it came from the colon;
# another one was active on the comma after "cruel: crueller", and 80 % of that came from the colon, through
# another head. This is what an attention latent can tell you and a latent of the stream can't: not only *that*
# something is known at a token, but who brought it, and from where.
#
# ## 9. Steering, and asking the model itself
#
# *About 20 minutes of exercises. You make the model write what a latent stands for, and let it explain a latent
# in its own words.*
#
# If a latent's direction means "it's about Susan", adding it should make the model write about Susan. That is
# **steering**: while the model writes, add a multiple of the direction at every position. With $c$ the
# coefficient, $x' = x + c\, W_{dec}[i]$.
# %% exercise="steering_hook" title="Push" difficulty=2 importance=4 minutes=10
# hint: A latent reads along one matrix and writes along another. Which one do you add?
# hint: The direction is a row of W_dec. At a hook by head it must be reshaped; in half precision it must change its dtype.
# hint: direction = sae.W_dec[latent_idx].view(activations.shape[2:]); activations + steering_coefficient * direction.to(activations).
# %% result
# the latent of part 7, pushed harder and harder. The size of its largest activations is a good place to begin.
from functools import partial

from arena_lib.interp.steering.writing import write_with_hooks
from arena_lib.transformer.fast.generation import WritingConfig

print(f"latent {NAMED}, which raises {NAME}; its largest activation: {float(active.max()):.1f}")
for coefficient in (0.0, 3.0, 6.0, 10.0, 20.0):
    steer = partial(steering_hook, sae=sae, latent_idx=NAMED, steering_coefficient=coefficient)
    with torch.no_grad():
        text = write_with_hooks(
            hooked(model),
            "Anna went to the park.",
            [(HOOK, steer)],
            30,
            options=WritingConfig(temperature=0.5, frequency_penalty=2.0),
            generator=make_generator(0),
        )
    print(f"{coefficient:5.1f}: {text}")
# %% [markdown]
# At 0 the model writes its own story. With a push below the latent's own size the person that it names enters,
# and acts as a person should: in our run, at 3, "Susan bought a camera for Brian", where Nancy had bought it
# before. Harder, and she is everywhere; harder still, and the text falls apart. So this direction does stand for
# Susan, *when the model writes*, though the latent's activation was a poor sign of her in part 7. Reading and
# writing are different tests, and a latent can pass one of them.
#
# ### Patchscopes
#
# A last way to ask: let the model say what a direction means to it (Ghandeharioun et al. 2024,
# [Patchscopes](https://arxiv.org/abs/2401.06102)). In a prompt such as `cat: cat, 1135: 1135, ?:` the "?" means
# nothing. Put the latent's direction in its place, in an early layer, and see how the model goes on. The hook
# replaces the activations at chosen positions. One trap: a model that writes keeps what it has computed, and
# then passes only the newest token, a single position. That one must stay as it is.
# %% exercise="hook_fn_patch_scoping" title="In place of a question mark" difficulty=2 importance=2 minutes=10
# hint: How does a pass over the prompt differ from a pass over a token that the model has just written?
# hint: Return activations of one position unchanged. Otherwise copy, and write the vector to the positions.
# hint: patched = activations.clone(); patched[:, list(seq_pos)] = latent_vector.to(activations).
# %% result
# what the model says in place of the question mark, for directions of several lengths.
# Compare with the name that each latent raises: does the model ever say it?
from arena_lib.saes.analysis.interventions.patchscopes import find_placeholders

PROMPT = "Robert : Robert , Wendy : Wendy , ? :"
places = find_placeholders(hooked(model), PROMPT)
for latent_idx in by_margin[1:6]:
    said = []
    for length in (10.0, 20.0, 40.0, 80.0):
        vector = length * sae.W_dec[latent_idx] / sae.W_dec[latent_idx].norm()
        patch = partial(hook_fn_patch_scoping, seq_pos=places, latent_vector=vector)
        with torch.no_grad():
            said.append(
                write_with_hooks(hooked(model), PROMPT, [("blocks.1.hook_resid_post", patch)], 1)[len(PROMPT) :]
            )
    raised = model.tokenizer.decode([int(best_tokens.indices[latent_idx, 0])])
    print(f"latent {latent_idx:4d}, which raises{raised}: {said}")
# %% [markdown]
# In our run one of five works: from a length of 40 on, the model says " Susan" for the latent that raises Susan.
# (It says " Robert" for another one, at 80; but Robert stands in the prompt, so that proves nothing.) For the
# others it answers with a full stop or a colon, whatever stands in place of the "?". That isn't a failure of your
# hook. `tiny-llama` has four layers and has only ever read stories; it never learned to look at a word and say
# what it is, and the direction comes from layer 2, while the prompt is patched in layer 1. The paper's models are
# a thousand times larger or more. A method that works for large models may say little about small ones, and an
# answer that is the same for all latents is no answer.
#
# ## 10. Explained by a machine
#
# *About 45 minutes of exercises. You prepare examples for a model that explains latents, read what a judge
# answers, and score the explanation by it.*
#
# Nobody reads the examples of a million latents. So let a language model do it (Bills et al. 2023, [Language
# models can explain neurons](https://openaipublic.blob.core.windows.net/neuron-explainer/paper/index.html);
# Paulo et al. 2024, [Automatically interpreting millions of features](https://arxiv.org/abs/2410.13928)): show
# it the max-activating examples with the active tokens marked, and ask for one sentence. First the marking:
# " a<< red kite>>." where " red" and " kite" are active.
# %% exercise="mark_tokens" title="Marks for the explainer" difficulty=2 importance=2 minutes=10
# hint: Where does a pair of marks begin, and where does it end?
# hint: A token opens a pair if it's marked and the token before it isn't (or there is none). For the end it's the same with the token after it.
# hint: begins = marked and (i == 0 or not is_marked[i - 1]); i - 1 is -1 for the first token, which Python takes for the last.
# %% [markdown]
# Chat models take a conversation: messages, each with the role of who says it. The `system` message says what
# the task is, the `user`'s brings the texts. One trick is common: write the beginning of the `assistant`'s answer
# yourself. A model that has to go on from "This latent is active on" can't begin with "Sure! Let's look at
# these fascinating examples". `EXPLAINER` and `BEGINNING` of the set-up cell are the task and the beginning;
# print them. (This builds on your `mark_tokens`.)
# %% exercise="create_prompt" title="What the explainer is told" difficulty=2 importance=2 minutes=10
# hint: Which tokens of an example are marked? You have its position.
# hint: Mark each example with mark_tokens, then write one line for each: its number, a full stop, a space, and the text with its line breaks replaced.
# hint: marked = [mark_tokens(words, [i == at for i in range(len(words))]) for _, words, at in examples]; then "\n".join(f"{i}. " + text.replace("\n", "⏎") for i, text in enumerate(marked, start=1)).
# %% [markdown]
# An explanation that sounds good needn't be. So **score** it. In **detection** a judge (another model, or the
# same) gets the explanation and some new texts, numbered from 1. In some of them the latent is active, in the
# others it isn't. The judge names those in which it should be. If the explanation is right, the judge will be.
#
# The judge is asked to answer with numbers alone. Most of the time language models do. Sometimes they write
# "Texts 2, 5 and 7 fit", "1-3", "None of the 9 texts", or that they'd rather not say. A program that reads such
# answers decides what a score means, and errors in it look like results. So be strict about one thing: an answer
# that can't be read isn't an answer that names nothing.
# %% exercise="parse_predictions" title="Read what the judge says" difficulty=3 importance=2 minutes=15
# hint: In which order do you have to ask your questions? When does "none" count more than the numbers after it, and when less?
# hint: Module `re` finds whole numbers: a pattern of digits, with no digit or point before it, and no digit after it, nor a point with a digit. Find ranges with that pattern twice; keep what lies from 1 to n_examples.
# hint: number = r"(?<![\d.])(\d+)(?!\d|\.\d)"; re.findall(number, words) for numbers, re.findall(rf"{number} *(?:-|–|to) *{number}", words) for ranges; re.match(r"none\b", words) first, re.search(r"\bnone\b", words) last.
# %% [markdown]
# With more texts of one kind than of the other, a judge who always says "none" may have a high accuracy. So
# take the share that is judged right among the texts where the latent *is* active, and the share among those
# where it *isn't*, and their mean: **balanced accuracy**. Guessing gets 0.5.
# %% exercise="score_predictions" title="Was the judge right?" difficulty=2 importance=3 minutes=10
# hint: For each text there are two questions: was it named, and should it have been?
# hint: A text is a hit if both have the same answer. Then count hits among the right texts, and among the wrong ones.
# hint: is_hit = [(i in predicted) == right for i, right in enumerate(truth, start=1)], and the mean of two shares.
# %% result
# explanations by a script, which needs no network, and how well they predict; the texts are new to the judge.
# The script names the marked tokens, or the words before them, whichever vary less. It understands nothing; a language model should do better.
from arena_lib.saes.analysis.autointerp.scoring import AutoInterp, AutoInterpConfig
from arena_lib.saes.analysis.autointerp.scripted import explain_by_script, judge_by_script

to_explain = tuple(by_frequency[int(share * D_SAE)] for share in (0.03, 0.08, 0.15, 0.2, 0.25, 0.35))
asked = AutoInterpConfig(latent_idxs=to_explain)
results = AutoInterp(asked, model, sae, held, explainer=explain_by_script, judge=judge_by_script).run(debug=True)
for latent_idx, found in results.items():
    if "skipped" in found:
        print(f"latent {latent_idx:4d}: {found['skipped']}")
        continue
    is_active = [i + 1 in found["truth"] for i in range(asked.n_active + asked.n_inactive)]
    mine = score_predictions(set(found["predicted"]), is_active)
    print(f"latent {latent_idx:4d}: {mine['balanced_accuracy']:.2f}  {found['explanation'][:110]}")
# %% [markdown]
# In our run the script predicts new texts well where it found something simple: the token " the" gets 0.86, names
# of countries 0.79. Elsewhere it is nearer to 0.5, which is guessing. The three latents of part 5 get 0.57 to
# 0.64: their best examples stand in lists of words that have nothing to do with one another, and the script
# writes the words down, where a reader asks what is special about their *place*. The test is hard, too: the
# judged examples are drawn from *all* of a latent's activations, not from the largest, which the explainer saw.
#
# To let a real model explain, hand in another explainer, and nothing else changes.
# `Endpoint(EndpointConfig(base_url="http://localhost:8000/v1", model="..."))` of
# `arena_lib.saes.analysis.autointerp.answering` asks any server that speaks OpenAI's protocol, one on your own
# machine as well; `LocalModel(zoo.load("smollm2"))` asks SmolLM2.
#
# ## 11. Narrow and wide
#
# *About 20 minutes of exercises. You find out what becomes of the latents of a narrow autoencoder in a wide
# one, and draw a map.*
#
# How many latents should an SAE have? There is no right number. A wide SAE often has several latents where a
# narrow one has a single: the same meaning in finer parts. This is **feature splitting** (Bricken et al. 2023,
# [Towards monosemanticity](https://transformer-circuits.pub/2023/monosemantic-features)). Decoder directions
# show it: the parts point nearly where the whole did. How near, says the **cosine**: the dot product of two
# directions of length 1. `normalize_decoder` of the set-up cell brings rows to length 1, and leaves a row of
# zeros as it is.
# %% exercise="compute_cosines" title="How near" difficulty=1 importance=3 minutes=5
# hint: A cosine is a dot product of vectors of length 1.
# hint: Every direction with every other: a product of matrices.
# hint: normalize_decoder(directions) @ normalize_decoder(others).T.
# %% [markdown]
# Now sort the wide SAE's latents to the narrow one's. Each wide latent belongs to the one narrow latent that
# it's nearest to, if that is near enough.
# %% exercise="find_children" title="Whose child?" difficulty=3 importance=3 minutes=15
# hint: Who chooses: the narrow latents their children, or the wide ones their parent?
# hint: For each wide latent take the largest cosine over the narrow ones, and where it is. Go through the wide ones from the nearest to the farthest.
# hint: best, parents = cosines.max(dim=0); for latent in best.argsort(descending=True, stable=True).tolist(): append it to children[int(parents[latent])] if best[latent] >= threshold.
# %% result
# a narrow autoencoder of 128 latents beside yours: what becomes of its latents?
# Each line is a narrow latent and the wide ones that belong to it, with the tokens that they raise.
narrow = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=D_SAE // 4, k=K), make_generator(1))
train_sae(model, narrow, HOOK, ShuffledBatches(rows, 16), SAETrainingConfig(n_steps=N_STEPS // 4), store_config=STREAM)
narrow.requires_grad_(False)
families = find_children(compute_cosines(narrow.W_dec, sae.W_dec), threshold=0.5)
n_children = [len(family) for family in families]
print(
    f"of {len(families)} narrow latents {sum(n > 1 for n in n_children)} were split, {n_children.count(1)} have one child, ",
    end="",
)
print(f"{n_children.count(0)} none; {D_SAE - sum(n_children)} of {D_SAE} wide latents are new")
for parent in sorted(range(len(families)), key=lambda parent: -n_children[parent])[:4]:
    raised = [token for token, _ in find_top_logits(model, narrow, parent, 4)[0]]
    print(f"narrow latent {parent}, which raises {raised}:")
    for child in families[parent][:4]:
        print(f"    {child}: {[token for token, _ in find_top_logits(model, sae, child, 4)[0]]}")
# %% result
# a map of the decoder directions of both, by their two principal components; hover over a point to see what it raises.
# How to read it: a point is a latent, and latents that write alike are near. The reverse needn't hold: two components keep a small part of 128.
# With the extra `maps` installed, `project=project_umap` keeps neighbours together, which a plane cannot.
from arena_lib.saes.analysis.directions.maps import compute_sae_umap_data

compute_sae_umap_data({D_SAE // 4: narrow, D_SAE: sae}, model=model).show()
# %% [markdown]
# In our run two of 128 were split. One of them raises "Who", "Then", "The", "It", words that begin a sentence. It
# became two latents that raise the same words: the feature was split, and a union of the two, as in part 7, would
# put it together again. 25 have one child, and 101 none. So for most of what the narrow SAE found the wide one has
# nothing that points nearly the same way. (A cosine of 0.5 isn't much to ask for, and yet it's far from chance: the
# nearest of 512 random directions has 0.26 on average.)
#
# An SAE isn't *the* list of a model's features. It's one way to cut them, among many; another width, or another
# seed, cuts in other places. Larger SAEs that are trained for longer agree more: of the 768 latents of
# `sae-tiny-llama-jumprelu` 102 are split in `sae-tiny-llama-topk`, 434 have one child, and 232 none.
#
# ## 12. A real model
#
# *No exercises. You look at latents of SmolLM2 with what you wrote.*
#
# All of your functions take a model and an SAE. Put another name here, and the cells below read latents of
# SmolLM2, a real language model with 30 layers of width 576. Its autoencoder is too large to come with the
# library, so you train it: `arena zoo fetch smollm2` and `arena zoo fetch sae-probes` bring the model and the
# texts (93 and 45 MB), and `arena zoo train sae-smollm2-l12` makes it. A run of 400
# updates takes about ten minutes on one core (we timed the first 304: 7.6 minutes) and 1.8 GB of memory.
# %%
from dataclasses import replace  # a copy with one field changed

from arena_lib.interp.ioi import ENGLISH, STORYWORLD, keep_single_tokens

MODEL = "tiny-llama"  # "smollm2" takes one to two minutes of one core, and 2 GB of memory

subject = zoo.load(MODEL)
if MODEL == "smollm2":
    from arena_lib.zoo.recipes.saes import running, sae_smollm2_l12

    its_sae = zoo.load_sae("sae-smollm2-l12").requires_grad_(False)
    its_texts = running.make_evaluation_rows(sae_smollm2_l12.RECIPE, 32)  # texts that it wasn't trained on
    its_texts[:, 0] = sae_smollm2_l12.END_OF_TEXT  # activations at a row's first token are a hundred times too long
    skip = [sae_smollm2_l12.END_OF_TEXT]
else:
    its_sae, its_texts, skip = shipped, held, None
its_stats = compute_activation_stats(subject, its_sae, its_texts, skip=skip)
its_order = its_stats.active_share.argsort(descending=True).tolist()
n_alive = int((its_stats.active_share > 0).sum())
print(f"{MODEL}: {n_alive} of {its_sae.cfg.d_sae} latents are active somewhere on {its_texts.numel():,} tokens")
# %% result
# four latents from frequent to rare, each with its best examples. Name them, as in part 5.
for share in (0.02, 0.1, 0.15, 0.3):
    latent_idx = its_order[int(share * n_alive)]
    raised = [token for token, _ in find_top_logits(subject, its_sae, latent_idx, 4)[0]]
    print(f"latent {latent_idx}: active on {its_stats.active_share[latent_idx]:.2%} of tokens, raises {raised}")
    show_examples(subject, its_sae, its_texts, latent_idx, k=4, buffer=7, skip=skip)
# %% result
# the indirect object through its latents, as in part 8.
source = ENGLISH if MODEL == "smollm2" else STORYWORLD
its_prompts = make_ioi_dataset(
    subject,
    8 if SCALE == "tiny" else 24,
    generator=make_generator(0),
    words=replace(source, names=keep_single_tokens(subject, source.names)),  # answers must be single tokens
    prepend_bos=MODEL != "smollm2",  # its first token begins a message of a chat
)


def its_logit_difference(logits):
    """How much more the model favours the indirect object than the subject, on average."""
    chosen = logits[:, -1].gather(-1, its_prompts.answer_tokens)
    return (chosen[:, 0] - chosen[:, 1]).mean()


its_end = torch.zeros_like(its_prompts.toks, dtype=torch.bool)
its_end[:, -1] = True
with torch.no_grad():
    print(f"logit difference: {its_logit_difference(subject(its_prompts.toks)):.2f}")
show_effects(subject, its_sae, its_prompts.toks, its_logit_difference, its_end, f"{MODEL}: latents at the last token")
# %% [markdown]
# SmolLM2's autoencoder explains less of its activations than those of `tiny-llama`: 32 latents a token leave 22 % of
# the variance, and putting the reconstruction in costs 0.20 nats. Its texts have about 340,000 tokens;
# published ones read billions. And yet three of the first six that we looked at had an obvious name, of a kind that
# Storyworld doesn't have. One is active on pieces of words that read "Mon" ("Monkton", "Montedoro", " Monash", but also
# " monomers"), one on "Joh" of "Johann" and "Johannes", one on " New" in names of places. A fourth was active on
# " carbon" and " charcoal", and on " red" in "red algae". The tokens that they raise look random: 17 more layers are
# to come, so the logit lens says little there.
#
# And the indirect object? SmolLM2 prefers the right name by 5.02, but no latent at the last token changes that by more than
# 0.21. The heads that bring the name are in layers 19 to 24 (section 1.4.1): after layer 12 it isn't there yet. Here
# attribution gets the small effects right in size, too.
#
# Are these names right? Nobody can count it here, as we could above. That is what part 7 is for.
#
# ## What you have learned
#
# You can write the parts of a sparse autoencoder, train one on a model's activations, and say from its curves
# what went wrong. You know its numbers, and what they don't say. You can look at a latent from five sides:
# where it's active, what it writes, what the model loses without it, what happens when it's pushed, and what a
# machine says of it. And you have seen how they disagree:
#
# - An autoencoder that recovers 98 % of the loss had hardly a latent that is exactly one of the things that we
#   have words for.
# - A latent that writes a name by thirteen logits was no sign of where that name stands.
# - Yet pushing it made the model tell of that person.
# - A gradient put the effects nearly in the right order, and made the largest of them up to half too small.
# - A probe that was told what to look for read everything that no latent did.
#
# ## What comes next
#
# Section 1.5.4, on superposition, shows the same methods where the true features are known exactly, and why
# models need more features than dimensions. The circuit of 1.4.1 was made of heads; you could now try to make
# it of latents.
#
# ## On your own
#
# - **Replicate a paper.** Gao et al. 2024 ([arXiv:2406.04093](https://arxiv.org/abs/2406.04093), figure 2) find
#   that TopK is better than ReLU with L1 at every L0. Train both at four values of L0 on `tiny-llama`, and draw
#   FVU and added loss against L0. `arena_lib.saes.autoencoders` has BatchTopK, JumpReLU, gated and Matryoshka
#   SAEs as well.
# - **Earn a feature.** Can you train an SAE in which a single latent reaches an F1 of 0.9 on "full stop", or on
#   a name? Try other layers, widths and k, and measure with `TruthBench`. Which number of part 3 goes along
#   with it, if any?
# - **A real model.** Train an SAE on SmolLM2 (`zoo.load("smollm2")`, after `arena zoo fetch smollm2`) on texts
#   of your own with `TextBatches`, and name twenty latents. For how many of them does your name hold on new
#   texts?
#
# ## Reading
#
# - Bricken et al. 2023, [Towards monosemanticity](https://transformer-circuits.pub/2023/monosemantic-features):
#   SAEs of a small model, looked at from every side
# - Gao et al. 2024, [Scaling and evaluating sparse autoencoders](https://arxiv.org/abs/2406.04093): TopK, dead
#   latents, and how to compare SAEs
# - Templeton et al. 2024, [Scaling
#   monosemanticity](https://transformer-circuits.pub/2024/scaling-monosemanticity/): SAEs of a large model, and
#   steering with them
# - Marks et al. 2024, [Sparse feature circuits](https://arxiv.org/abs/2403.19647): circuits made of latents,
#   with the error term kept
# - Chanin et al. 2024, [A is for absorption](https://arxiv.org/abs/2409.14507): why a latent can be silent
#   where it should be active
# - Kantamneni et al. 2025, [Are sparse autoencoders useful?](https://arxiv.org/abs/2502.16681): probes beside
#   SAEs, on many tasks
