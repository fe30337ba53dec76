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
N_ROWS = 200 if SCALE == "tiny" else 4000

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
