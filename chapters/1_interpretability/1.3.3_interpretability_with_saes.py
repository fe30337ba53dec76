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
# stood before it, who is spoken of, what may come next: far more things than there are numbers. In section 1.3.1 you
# found single directions in that vector, one for each question that you could think of. This section goes
# the other way. You don't say what to look for. A **sparse autoencoder** (SAE) takes the vector apart into
# a few directions out of many hundreds, and you find out afterwards what they stand for.
#
# An SAE is a dictionary with one long page for a model's place: each of its entries, called a **latent**, is a direction,
# and at each token only a few of them are active. If all goes well, one latent is active on names, another one
# where a sentence is sad. Whether all goes well is a question that this section takes seriously: the model is `tiny-llama`, which
# speaks Storyworld, and of Storyworld we know what is true at every token. So you can check whether a latent
# means what you think it means. Nobody can do that for a public model.
#
# You should have done 1.1 (the residual stream, blocks). Section 1.5.4 says why models would store more features
# than they have dimensions, and trains small SAEs where the right answer is known; it helps, and you can do it later.
#
# The set-up cell above imports types for the stubs, and tools that each exercise names where you need them. Names with
# `check` in them, and the errors, make the library's messages; you can do without.
#
# | part | minutes |
# |---|---|
# | 1. An autoencoder that chooses | 40 |
# | 2. Activations that stream | 35 |
# | 3. How good is it? | 40 |
# | 4. Train one, and see when it goes wrong | 15 |
# | 5. Where is a latent active? | 35 |
# | 6. What does a latent write? | 25 |
#
# These are minutes of exercises; the rest of the ten hours is for reading, training and looking.
#
# ### The model
#
# Everything runs on `tiny-llama`, four layers of width 128. With `MODEL = "smollm2"` the same cells
# run on a real language model, SmolLM2 with 135 million parameters, after `arena zoo fetch smollm2`; that takes much longer.
# %%
import torch

from arena_lib import plots, zoo
from arena_lib.core.seeds import make_generator
from arena_lib.saes.truth import make_labelled_rows

MODEL = "tiny-llama"
HOOK = "blocks.2.hook_resid_post"  # where the autoencoder reads: the residual stream after layer 2
N_ROWS = 120 if SCALE == "tiny" else 4000

model = zoo.load(MODEL)
d_in = model.cfg.d_model
rows = make_labelled_rows(N_ROWS, 128, seed=99, variables=["full stop"]).tokens  # texts to train on
held = make_labelled_rows(N_ROWS // 20, 128, seed=7, variables=["full stop"]).tokens  # and texts to look at
print(f"{rows.numel():,} tokens to train on, {held.numel():,} to look at; activations have {d_in} entries")
print(model.to_string(held[0, :60]))
# %% [markdown]
# ## 1. An autoencoder that chooses
#
# *About 40 minutes of exercises. You write what a TopK autoencoder consists of: the choice of latents, the decoder,
# and a loss that brings dead latents back.*
#
# Let $x$ be an activation, a vector with $d_{in}$ entries. The **encoder** gives each of $d_{sae}$ latents a number:
# how much of its direction it sees in $x$,
#
# $$p = (x - b_{dec})\, W_{enc} + b_{enc}$$
#
# where $W_{enc}$ is a matrix "d_in d_sae", and $b_{dec}$ and $b_{enc}$ are biases. These are the **pre-activations**.
# Most of them should be nothing: sparsity is what makes a latent mean something. The first SAEs
# got there by a penalty on all latents, which also makes those that remain too small. A **TopK** autoencoder (Gao et al. 2024,
# [Scaling and evaluating sparse autoencoders](https://arxiv.org/abs/2406.04093)) simply chooses: the $k$ largest stay, all others become 0.
# So you say how sparse it should be, and no penalty is needed.
#
# One detail: a latent says how much of something is *there*, so it's never negative. If fewer than $k$ pre-activations are
# above zero, fewer than $k$ latents are active.
# %% exercise="keep_top_k" title="The k largest stay" difficulty=2 importance=5 minutes=10
# hint: Every example chooses for itself. Along which axis?
# hint: torch.topk gives values and where they stood. How do you write them back to their places in a tensor of zeros?
# hint: values, indices = pre_acts.topk(k, dim=-1), then torch.zeros_like(pre_acts).scatter(-1, indices, values.relu()).
# %% [markdown]
# The **decoder** goes back. Row $i$ of $W_{dec}$ ("d_sae d_in") is latent $i$'s direction. The reconstruction is the sum of the
# active latents' directions, each as long as its latent says, and a bias for what is always there:
#
# $$\hat x = \sum_i f_i\, W_{dec}[i] + b_{dec}$$
#
# where $f$ are the latents. With $k = 12$ this is a sum of twelve vectors and a bias. If that comes close to $x$, then $x$
# was, to that degree, *made of* twelve things.
# %% exercise="decode_latents" title="Back to an activation" difficulty=1 importance=4 minutes=5
# hint: A sum of rows, each times a number, is a product with a matrix.
# hint: latents have the shape "*batch d_sae", W_dec is "d_sae d_out": which axis goes?
# hint: latents @ W_dec + b_dec.
# %% [markdown]
# ### Latents that die
#
# The loss is the squared distance $|\hat x - x|^2$, as a share of what always answering the mean of all activations would cost. But only
# latents that were chosen get a gradient. One that is never among the $k$ largest never learns, and stays as it is: it's **dead**. In a
# wide SAE more than half of the latents can end so.
#
# TopK has a remedy, the **auxiliary loss**. Let $e = x - \hat x$ be the error, what the reconstruction misses. The dead latents alone
# are asked to explain it: of their pre-activations the $k_{aux}$ largest stay, and they are decoded (without a bias, since the bias
# is in $\hat x$ already) to $\hat e$. The loss is
#
# $$L_{aux} = |\hat e - e|^2$$
#
# with a small weight (1/32). So the dead move towards what is missing, until they are chosen and live. `compute_squared_error` of the set-up
# cell takes a batch of reconstructions and of targets, and gives the mean of squared distances.
# %% exercise="compute_aux_error" title="Ask the dead" difficulty=3 importance=4 minutes=15
# hint: It's an autoencoder of its own, made of dead latents, whose target is the error.
# hint: Choose with keep_top_k, decode without a bias, compare with the error. What if fewer than k_aux latents are dead?
# hint: latents = keep_top_k(pre_acts, min(k_aux, pre_acts.shape[-1])), then compute_squared_error(latents @ W_dec, error).
# %% [markdown]
# ### Directions of length 1
#
# If latent $i$ were halved and its direction doubled, the reconstruction would be the same. So that the size of a latent means something,
# every direction is kept at **length 1**: after each step each row of $W_{dec}$ is divided by its length.
#
# That leaves a small problem. A gradient may push a direction outwards; the optimizer remembers such pushes, and
# the division undoes them each time. So the part of the gradient that points along the direction, the **radial** part, is taken
# away before each step. With $g$ the gradient of a direction $w$ of length 1, the rest is $g - (g \cdot w)\, w$.
# %% exercise="remove_radial_gradient" title="Along the sphere only" difficulty=2 importance=2 minutes=10
# hint: Each latent has its own direction and its own gradient: rows of the two matrices.
# hint: The dot product of each row with its partner is a product entry by entry, summed over the last axis.
# hint: radial = (gradient * W_dec).sum(dim=-1, keepdim=True), and gradient - radial * W_dec.
# %% result
# the parts together: a new autoencoder, before any training.
# Its latents are sparse already, as k says. Its reconstructions are worse than answering the mean (a share of 1): it has learned nothing.
from arena_lib.saes.autoencoders.functions import compute_spread
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig

D_SAE, K = (64, 6) if SCALE == "tiny" else (512, 12)
sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=D_SAE, k=K), make_generator(0))
with torch.no_grad():
    _, cache = model.run_with_cache(held, HOOK)
    acts = cache[HOOK].flatten(0, 1)
    latents = keep_top_k(sae.compute_pre_acts(acts), K)
    recon = decode_latents(latents, sae.W_dec, sae.b_dec)
    share = compute_squared_error(recon, acts) / compute_spread(acts)
print(f"active latents at a token: {(latents > 0).sum(dim=-1).float().mean():.1f} of {D_SAE}")
print(f"squared error as a share of always answering the mean: {share:.2f}")
# %% [markdown]
# ## 2. Activations that stream
#
# *About 35 minutes of exercises. You build the pieces of a store that reads activations from a model, mixes them, and serves them
# in batches.*
#
# An SAE trains on activations, millions of them. They come from the model, which reads texts; but two things
# are wrong with taking them as they come. First, neighbouring tokens have similar activations, so a batch from one text says
# one thing a hundred times. Second, keeping them all takes too much memory: a hundred million tokens of a
# model of width 768 are 300 GB. So activations **stream** through a buffer: read some, shuffle, serve, read more.
#
# Not every position counts. Texts of different lengths are filled up with padding, which the model was never trained on. And the first
# token of a text often has an activation many times as long as any other, whatever it says: an SAE may spend
# much of its effort on that one.
# %% exercise="pick_positions" title="What counts" difficulty=2 importance=4 minutes=15
# hint: Start with "every real token counts", and take away what doesn't.
# hint: Padding may be on the left, so the first real token isn't always in column 0. Which running count is 1 exactly there?
# hint: is_picked.cumsum(dim=1) counts real tokens from the left; at the first of them, and there only among real ones, it's 1. Compare tokens with each of skip_tokens. Copy the mask first.
# %% [markdown]
# Models differ in the size of their activations by factors of a thousand. So that one learning rate suits them all, the store multiplies all
# activations by one number, which makes their mean norm $\sqrt{d_{in}}$ (then a single entry is about 1 in size). After training
# that number is put into the SAE's weights, so that nobody has to remember it.
# %% exercise="compute_scale" title="One size for all" difficulty=1 importance=3 minutes=5
# hint: What must the activations be multiplied by so that their mean norm is sqrt(d_in)?
# hint: Compute the norm of each row, then the mean over rows.
# hint: acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1).mean(); float() since the buffer may hold bfloat16.
# %% [markdown]
# ### Shuffle, serve, read on
#
# Now the mixing. Read a **chunk** of activations, say 16 batches. Shuffling a chunk and serving it would mix its own texts well, but one chunk's
# texts would never meet another's. So hold back half of it:
#
# 1. Put the new chunk in a random order (`split`), and cut it in two halves.
# 2. The first half goes now, together with the half that was held back of the chunk before. Serve both in random order (`order`).
# 3. The second half is held back for the next chunk.
#
# Each activation is served once, and each batch holds texts of two chunks. The two orders are drawn outside and given to your function,
# so that equal seeds give equal batches.
# %% exercise="mix_halves" title="Half now, half later" difficulty=2 importance=3 minutes=15
# hint: Follow a single row of the chunk: which of the two orders decides whether it goes now, and which when?
# hint: Indexing with a permutation reorders rows: chunk[split]. chunk(2) cuts a tensor in two halves.
# hint: now, later = chunk[split].chunk(2); serve torch.cat([held, now])[order], and hold back later.
# %% result
# how many texts a batch of 64 activations comes from.
# As they come they are all from one text; the store draws them from nearly as many texts as it can.
from arena_lib.core.batches import ShuffledBatches
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
# The library's `ActivationStore` uses your three pieces, and one more: it lets the model stop after the layer that is read.
#
# ## 3. How good is it?
#
# *About 40 minutes of exercises. You write the numbers by which autoencoders are compared, and put a reconstruction into
# a running model.*
#
# A good SAE is **sparse** and **faithful**, and these pull in opposite directions. So one always gives both. Sparsity first: **L0**
# is the number of active latents at a token, on average.
# %% exercise="compute_l0" title="How many at once" difficulty=1 importance=4 minutes=5
# hint: When is a latent active?
# hint: Count the active latents in each row, then take the mean over rows.
# hint: (latents > 0).sum(dim=-1).float().mean().
# %% [markdown]
# The other axis: how often is each latent active? One that never is, is **dead**. One that is active at more than a tenth of all
# tokens is **dense**: it's rarely about one thing.
# %% exercise="compute_frequencies" title="How often" difficulty=1 importance=3 minutes=5
# hint: It's the same yes and no as for L0, averaged over the other axis.
# hint: The mean of yes (1) and no (0) is a share.
# hint: (latents > 0).float().mean(dim=0).
# %% [markdown]
# Now faithfulness. The **fraction of variance unexplained** (FVU) is the squared error, as a share of the error that one would make by
# always answering the mean activation $\bar x$:
#
# $$\text{FVU} = \frac{\sum_n |\hat x_n - x_n|^2}{\sum_n |x_n - \bar x|^2}$$
#
# where $n$ runs over tokens. The mean matters: activations are far from zero, and an SAE shouldn't be praised for its bias.
# %% exercise="compute_fvu" title="What is left unexplained" difficulty=2 importance=4 minutes=10
# hint: Two sums of squares over everything: one of errors, one of distances from the mean activation.
# hint: The mean activation is a vector: the mean over rows, entry by entry.
# hint: (recon - acts).square().sum() / (acts - acts.mean(dim=0)).square().sum().
# %% [markdown]
# ### What the model thinks of it
#
# FVU treats all directions alike. The model doesn't: a small error in a direction that later layers read may do more harm than a large one elsewhere.
# So let the model judge. **Splice** the reconstruction in: run the model, and at the hook put $\hat x$ in
# place of $x$. How much worse does it predict the next token? That is the **added loss**, in nats.
#
# To splice is to replace a tensor at chosen positions (padding stays as it is). A hook may have its heads on an axis of their own, `"batch seq n_heads d_head"`, while the
# SAE sees them side by side; and a model may compute in half precision. The replacement takes the form of what it replaces.
# %% exercise="replace_positions" title="Put it into the model" difficulty=2 importance=4 minutes=15
# hint: What goes back into the model must look like what came out: shape and dtype.
# hint: Reshape the replacement first. Then choose between it and the activations, for each text and position.
# hint: torch.where(chosen, replacement, acts), where chosen is is_spliced with as many axes of length 1 at its end as acts has more.
# %% [markdown]
# Added loss has no scale. Is 0.1 nats much? It depends on how much the layer matters at all. So compare with an **ablation**: put the mean activation everywhere
# (or zeros). If the model's own loss is `clean`, with the reconstruction `spliced`, with the ablation `ablated`, the **loss recovered** is the share of
# the way from `ablated` back to `clean`.
# %% exercise="compute_loss_recovered" title="Back from the ablation" difficulty=1 importance=4 minutes=5
# hint: It must be 1 where spliced equals clean, and 0 where it equals ablated.
# hint: How far did splicing come from the ablation, and how far is the whole way?
# hint: (ablated - spliced) / (ablated - clean).
# %% result
# the untrained autoencoder, spliced into the model: worse than the mean in every place.
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


for name, value in measure(sae).items():
    print(f"{name:>15} {value:6.2f}")
# %% [markdown]
# ## 4. Train one, and see when it goes wrong
#
# *About 15 minutes of exercises. You train an autoencoder, and tell from training curves what is wrong with others.*
#
# Now train it. `train_sae` streams activations through the store, takes steps with Adam, keeps decoder directions at length 1, counts which latents
# have been silent for long (`dead_window` steps), and folds the scale into the weights at the end. On two free cores this takes about two minutes, and it shows a bar.
#
# What to expect: the loss falls fast for a hundred steps, and slowly after that. In the last fifth of the steps the learning rate falls to 0,
# and the loss takes one more step down.
# %% result
# the trained autoencoder beside the model: twelve latents a token, a tenth of the variance left, and nearly all of the loss recovered.
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.trainer import train_sae

N_STEPS = 40 if SCALE == "tiny" else 1500
STREAM = StoreConfig(batch_size=256 if SCALE == "tiny" else 1024)
sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=D_SAE, k=K), make_generator(0))
train_sae(
    model, sae, HOOK, ShuffledBatches(rows, 16), SAETrainingConfig(n_steps=N_STEPS, log_every=50), store_config=STREAM
)
sae.requires_grad_(False)
numbers = measure(sae)
for name, value in numbers.items():
    print(f"{name:>15} {value:6.2f}")
# %% [markdown]
# We got an FVU of 0.10, an added loss of 0.08 nats on a loss of 1.68, and 0.98 of the loss recovered, with no dead latent at all. So this SAE takes the
# activations apart into twelve pieces each, out of 512, and the model hardly notices.
#
# Does that make it a *good* SAE? Faithful and sparse, yes. That its pieces mean something is another matter, and no number of part 3 says so. Parts 5 to 7 look.
#
# ### Five runs
#
# Most runs don't go so well at first. The cell below trains five small autoencoders, four of them with one setting that is badly wrong. Two are of the older kind:
# a ReLU in place of TopK, and a penalty on the sum of latents (**L1**) that makes them sparse. Look at the curves before you read on. Each shows three numbers as training goes on: FVU, L0 and
# the share of latents that are dead.
# %%
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
for quantity in ("FVU", "L0", "dead"):
    plots.lines(
        {name: run[quantity] for name, run in runs.items()},
        x=[(i + 1) * N_SHORT // 8 for i in range(len(runs["C"]["FVU"]))],
        x_title="step",
        y_title=quantity,
        title=f"{quantity} in five runs",
    ).show()
# %% [markdown]
# What is wrong with each? Here are five diagnoses. Give each run one of them. (The settings are in the cell above, but the curves suffice.)
#
# - `"healthy"`
# - `"learning rate too high"`: the first steps are so large that most latents are thrown out of reach, and never chosen again
# - `"learning rate too low"`: everything goes the right way, and gets nowhere
# - `"sparsity counts too much"`: the cheapest thing is to say nothing
# - `"sparsity counts too little"`: reconstruction is nearly perfect, since it's allowed everything
# %% exercise="diagnose_runs" title="Five runs, four mistakes" difficulty=3 importance=5 minutes=15
# hint: With TopK, L0 can't be above k, and is below it only where too few latents are positive. What do dead latents say?
# hint: A low FVU isn't good by itself. Look at it together with L0: who pays for it?
# hint: Two runs have an L0 that isn't near 12: one far above, one at about 1. Of the other three one has many dead latents, and one has an FVU that hardly moves.
# region solution
# diagnoses = {
#     "A": "learning rate too low",
#     "B": "sparsity counts too little",
#     "C": "healthy",
#     "D": "sparsity counts too much",
#     "E": "learning rate too high",
# }
# assert sorted(diagnoses) == list("ABCDE"), "give each of the five runs a diagnosis"
# assert len(set(diagnoses.values())) == 5, "each diagnosis is right for one run"
# assert diagnoses["C"] == "healthy", "the healthy run has an L0 of about k, a falling FVU, and hardly any dead latents"
# assert diagnoses["A"] == "learning rate too low", "with a learning rate that is too low, FVU hardly moves and nothing dies"
# assert diagnoses["E"] == "learning rate too high", "with a learning rate that is too high, latents die in the first steps"
# assert diagnoses["D"] == "sparsity counts too much", "where sparsity counts too much, L0 falls to about 1 and FVU rises"
# assert diagnoses["B"] == "sparsity counts too little", "where it counts too little, L0 rises while FVU falls to nothing"
# endregion
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
# A latent is a number at each token. The first question about it: where is it large? Collect many texts, find the tokens with its largest
# activations, and read what stands there. These are **max-activating examples**, and most of what people say about SAEs begins with them.
#
# First the search, in a batch of texts. A story says the same thing for a while, so the ten largest may be ten neighbours. So one may ask for a minimal
# distance: a place is left out if a better one in the same text is near.
# %% exercise="find_top_positions" title="The largest in a batch" difficulty=3 importance=4 minutes=15
# hint: Sort all activations of the batch at once, and go through them from the largest.
# hint: From the index in the flattened tensor, divmod with the length of a row gives row and position. A stable sort keeps the earlier of equal ones first.
# hint: Keep a list of places. Skip a place if any(row == a and abs(position - b) <= min_distance for a, b in found), stop at k or at the first activation that isn't above 0, and give torch.tensor(found, dtype=torch.long).reshape(-1, 2).
# %% [markdown]
# Now for texts without end. `stream_latents(place, texts, [latent_idx], total_batches=..., skip=...)` goes through them batch by batch. Each batch has
# `tokens`, the latent as `latents` "batch seq 1", the same as `counted` with 0 where a token doesn't count (padding, and the token that begins a text), and
# `is_real`, False at padding. `find_place(model, sae, hook_name)` makes the place, and `token_texts(place.lm, ids)` says what tokens are as text. `Example` is a record that
# may help, and tuples will do as well.
#
# Around each token, its **context**: up to `buffer` tokens on each side, fewer where the text ends. (This builds on your `find_top_positions`. Not written yet? Take the
# library's: `from arena_lib.saes.analysis.activations.examples import find_top_positions`.)
# %% exercise="fetch_max_activating_examples" title="Max-activating examples" difficulty=4 importance=5 minutes=20
# hint: Keep a list of the best examples so far. What must happen to it after each batch?
# hint: In each batch find the k best places of acts = batch.counted[..., 0], and cut a window around each, without padding. Then sort all examples by activation and keep k.
# hint: near = range(max(position - buffer, 0), min(position + buffer + 1, acts.shape[1])); window = [i for i in near if batch.is_real[row, i]]; the token is entry window.index(position) of it.
# %% result
# three latents, from frequent to rare, each with its best examples.
# Read them before you go on: what would you call each of them? The text between >> and << is the token itself.
from arena_lib.saes.analysis.activations.histograms import compute_activation_stats, show_activation_histogram

stats = compute_activation_stats(model, sae, held)
by_frequency = stats.active_share.argsort(descending=True).tolist()
SHOWN = [by_frequency[int(share * D_SAE)] for share in (0.03, 0.15, 0.35)]


def show_examples(latent_idx, k=6, buffer=8):
    """Print a latent's best examples."""
    print(f"latent {latent_idx}: active on {stats.active_share[latent_idx]:.1%} of tokens")
    for activation, words, at in fetch_max_activating_examples(
        model, sae, held, latent_idx, k=k, buffer=buffer, may_overlap=False
    ):
        print(f"  {activation:5.1f} ", "".join(words[:at]) + f" >>{words[at]}<<" + "".join(words[at + 1 :]))


for latent_idx in SHOWN:
    show_examples(latent_idx)
# %% result
# how strongly one of them is active, where it's active at all.
# Many small values and few large ones: the examples that you read are from the right end, and may be about something else than the rest.
show_activation_histogram(model, sae, held, SHOWN[1])
# %% [markdown]
# You will have found some latents that have an obvious name ("the verb after two people", "a comma between countries"), and some that have none. Two
# warnings before you believe the obvious ones:
#
# - You read the largest activations only. What does the latent do at the rest, where it's weaker but far more frequent?
# - Your name may be too wide ("names": but is it active on *all* names?) or too narrow ("Wendy": but is it active at other things too?).
#
# Part 7 checks both, since here we know what is true.
#
# ## 6. What does a latent write?
#
# *About 25 minutes of exercises. You read what a latent does to the next token from its direction.*
#
# So far we asked what makes a latent active. The other side: what does it *do*? It adds its direction to the residual stream. If nothing later in the
# model touched that, the final norm and the unembedding $W_U$ would turn it into logits. This is the logit lens of section 1.2, applied to a direction.
#
# The final norm multiplies each entry by its gain, a vector that is part of the model. A LayerNorm (GPT-2) first takes each vector's mean away, an RMSNorm (Llama) doesn't. It also divides by a
# size that depends on the text; that changes the scale of all logits alike, and is left out. And a number that is added to *all* logits changes no
# probability, so we take the mean over the vocabulary away.
# %% exercise="project_to_logits" title="From directions to logits" difficulty=2 importance=4 minutes=15
# hint: What does the final norm do to a vector that is linear, whatever the text is?
# hint: Centre (if the norm does), multiply by the gain, multiply by W_U, and centre over the vocabulary.
# hint: logits = (directions * gain) @ W_U; logits - logits.mean(dim=-1, keepdim=True).
# %% [markdown]
# Then list the tokens at both ends. `compute_latent_logits(model, sae, [latent_idx], hook_name=...)` applies what you wrote to an SAE's decoder directions and gives
# "1 d_vocab", and `list_ends(place, values, k)` makes the lists of `TokenEffects`, with each token's text. You may also sort by hand, and give a pair of lists.
# %% exercise="find_top_logits" title="Likelier and less likely" difficulty=2 importance=3 minutes=10
# hint: Which of an SAE's matrices says what a latent writes, and which what it reads?
# hint: Get the row of logits of one latent; then the k largest, the largest first, and the k smallest, the smallest first.
# hint: place = find_place(model, sae, hook_name); list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k).
# %% result
# what two of your latents make likelier (above), and less likely (hatched).
from arena_lib.saes.analysis.directions.logits import show_top_logits

for latent_idx in SHOWN[:2]:
    print(latent_idx, "likelier:", [token for token, _ in find_top_logits(model, sae, latent_idx, 5).top])
    show_top_logits(model, sae, latent_idx, k=8).show()
# %% [markdown]
# For some latents both sides fit together: a latent that is active after two people were named makes "were" likelier. For others the tokens look random. After layer 2 of
# `tiny-llama` there is one more layer, which may read the direction and do something else with it; and a latent that holds a fact for later needn't
# write to the next token at all.
