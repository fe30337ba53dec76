# ---
# arena: {id: "1.5.4", slug: superposition_and_saes, title: Toy models of superposition and SAEs, hours: 6}
# objectives:
#   - "Say why a network would store more features than it has dimensions, and what that costs"
#   - "Write a toy model of superposition, train many of them at once, and read their geometry"
#   - "Predict how sparsity, importance and correlations change what is stored, and check it against theory"
#   - "Build models with neurons, which store features and compute with them"
# ---
# %% [markdown]
# ## What you will build
#
# A model has two hidden dimensions, and is given five things to remember. How many will it keep? Two, says linear
# algebra: two directions at right angles, and no third. But train such a model on things that are **rarely present**,
# and it keeps all five. They lie in the plane like the corners of a pentagon, each a little in the way of the others.
#
# ![A toy model, and two ways to put features into two dimensions](figures/superposition.png)
#
# This is **superposition**: to represent more features than there are dimensions. A **feature** is here some property
# of the input that is worth knowing about. In a language model it might be "this is French" or "a negation came
# before". There are far more of those than a model has neurons, and any text shows only a few. So we should expect
# superposition in real models, and it explains why single neurons often answer to several things that have nothing to
# do with each other (they are **polysemantic**). It's the main reason why we can't just read a network neuron by
# neuron.
#
# In a real model nobody knows what the features are. In a toy model we make them ourselves, so every claim can be
# checked. That is the idea of [Elhage et al. 2022, *Toy models of superposition*](https://arxiv.org/abs/2209.10652),
# and you rebuild most of that paper here:
#
# - in parts 1 and 2 you write the model, train many of them at once, and watch features find their directions,
# - in part 3 you see what features do that always come together, or never do,
# - in part 4 you give the model neurons, which then even *compute* in superposition,
# - in part 5 you measure how much of a dimension each feature has, and predict by theory when superposition begins.
#
# | part | minutes |
# |---|---|
# | 1. More features than dimensions | 40 |
# | 2. Five features, two dimensions | 65 |
# | 3. Features that go together | 35 |
# | 4. Neurons | 50 |
# | 5. The geometry of superposition | 45 |
#
# The minutes are those of the exercises; the rest of the six hours is for reading, for looking at pictures, and for
# guessing what comes before you run a cell. You should know PyTorch's tensors and modules, and einsum, from section
# 1.1.
#
# Everything is small and trains within seconds. One habit makes it fast, and you will meet it in every shape: we train
# many models *side by side*. One model is an **instance**, and `n_inst` is an axis of every tensor. The instances
# share nothing. They may have other sparsities, other importances, other starts.
#
# | word | what it counts |
# |---|---|
# | `batch` | examples |
# | `n_inst` | models that are trained side by side |
# | `n_feats` | features |
# | `d_hidden` | hidden dimensions, fewer than features |
# %%
import math

import torch

from arena_lib import plots
from arena_lib.plots.superposition.directions import feature_directions

torch.manual_seed(0)
# %% [markdown]
# ## 1. More features than dimensions
#
# *About 40 minutes of exercises. You make sparse features, squeeze them into fewer dimensions and read them off
# again.*
#
# ### Sparse features
#
# An example is a list of numbers, one for each feature. Most of them are 0: the feature is **absent**. The others are
# **present**, with a strength (a **magnitude**) that is uniform between 0 and 1. Each feature is present with a
# probability $p$ of its own. Papers often speak of the **sparsity** $S = 1 - p$ instead: the larger it is, the rarer
# the feature.
#
# We keep two steps apart that are often mixed: first, who is present? Then, how strong? The first step is a pure
# function of random numbers that somebody else has drawn. That sounds fussy, and it pays: such a function can be
# checked number by number, and part 3 exchanges this step alone.
# %% exercise="independent_presence" title="Who is present?" difficulty=1 importance=3 minutes=5
# hint: A number that is uniform in [0, 1) lies below p with probability p. Which comparison makes p = 0 never present?
# hint: Compare the draws with the probabilities; the probabilities have no axis for examples, so they broadcast.
# hint: draws < feature_probability: shapes "batch n_inst n_feats" and "n_inst n_feats" line up from the right.
# %% exercise="sparse_features" title="How strong?" difficulty=1 importance=3 minutes=5
# hint: Two cases for each entry: its magnitude, or exactly 0.
# hint: torch.where chooses entry by entry, and makes a new tensor.
# hint: torch.where(is_present, magnitudes, 0.0)
# %% [markdown]
# ### Squeeze, and read off
#
# The model has one matrix $W$ with a row for each hidden dimension and a column for each feature. Column $i$, written
# $W_i$, is the **direction** of feature $i$. The features $x$ are squeezed into the hidden state $h$ by adding up the
# directions of all features that are present, each as strong as its feature:
#
# $$h = W x = \sum_i x_i W_i$$
#
# To read feature $i$ off again, take the dot product of $h$ with its direction. All at once this is $W^T h$. Add a
# bias, and let a ReLU cut off what is negative:
#
# $$x' = \text{ReLU}(W^T W x + b)$$
#
# In code $b$ is called `b_final`. The same $W$ squeezes and reads; there is nothing else to learn.
# %% exercise="compress" title="Squeeze" difficulty=2 importance=4 minutes=10
# hint: For one example and one instance it's a matrix times a vector. Which axis disappears?
# hint: n_feats is summed over, n_inst stays, and "..." stands for whatever axes come before.
# hint: einops.einsum(features, W, "... n_inst n_feats, n_inst d_hidden n_feats -> ... n_inst d_hidden")
# %% exercise="reconstruct" title="Read it off again" difficulty=2 importance=5 minutes=10
# hint: Each feature's score is the dot product of the hidden state with its direction. What comes after that, and in which order?
# hint: The same einsum with the other axis summed over; then the bias, and last the ReLU.
# hint: scores = einops.einsum(hidden, W, "... n_inst d_hidden, n_inst d_hidden n_feats -> ... n_inst n_feats"), then torch.relu(scores + b_final).
# %% [markdown]
# Try it on a pentagon that nobody has trained. Before you run the next cell: only feature 0 is present, at full
# strength. What will the five scores be? And which bias would clean them up?
#
# <details>
# <summary>Answer</summary>
#
# Feature 0 gets the dot product of its direction with itself, 1. Every other feature gets the cosine of its angle to
# feature 0: $\cos 72° = 0.31$ for both neighbours, $\cos 144° = -0.81$ for the two beyond them. The ReLU removes what
# is negative, for nothing. What is positive is **interference**, and a bias of $-0.31$ removes it, too. But it takes
# as much away from feature 0.
#
# </details>
# %% result
# what is read off a pentagon: bare scores, then with a ReLU, then with a bias and a ReLU.
# With feature 0 alone it works. With features 0 and 2 both vanish, and feature 1 appears, which isn't there.
angles = torch.arange(5) * 2 * math.pi / 5
pentagon = torch.stack([angles.cos(), angles.sin()])[None]  # "n_inst d_hidden n_feats", with one instance
cutoff = -math.cos(2 * math.pi / 5)
for title, present in {"Feature 0 alone": [0], "Features 0 and 2": [0, 2]}.items():
    x = torch.zeros(1, 5)
    x[0, present] = 1.0
    hidden = compress(x, pentagon)
    series = {
        "scores": (pentagon.mT @ hidden[..., None])[0, :, 0],
        "with ReLU": reconstruct(hidden, pentagon, torch.zeros(1, 5))[0],
        "with bias and ReLU": reconstruct(hidden, pentagon, torch.full((1, 5), cutoff))[0],
    }
    plots.bars(series, [f"feature {i}" for i in range(5)], y_title="read off", title=title).show()
# %% [markdown]
# This is all of the bargain in two pictures. As long as features come one at a time, a pentagon costs little: a bias
# and a ReLU clean up. When two come together, it may go badly wrong. Features 0 and 2 point away from each other and
# nearly cancel. Feature 1 lies between them and collects from both.
#
# So it depends on how often that happens. If each feature is present with probability $p$, a given pair is present
# together with probability $p^2$, which for rare features is next to nothing.
#
# ### What counts as a mistake
#
# Not every feature matters as much as every other. So the loss weighs each feature's squared error by its
# **importance** $I_i$, and takes the mean over examples and features:
#
# $$L = \text{mean of } I_i\,(x_i - x'_i)^2$$
#
# Each instance has a loss of its own.
# %% exercise="importance_weighted_losses" title="What matters most" difficulty=2 importance=3 minutes=10
# hint: Three steps: the difference, its square, times the importance. Then a mean that leaves one axis.
# hint: The importance has no axis for examples; it broadcasts. The mean goes over the first and the last axis.
# hint: (importance * (batch - out).pow(2)).mean(dim=(0, 2))
# %% [markdown]
# ## 2. Five features, two dimensions
#
# *About 65 minutes of exercises. You build the model, train it at five sparsities, and measure what it has learned.*
#
# Now the parts become a module. You get most of `ToyModel`: its parameters, and the methods that make pairs of
# features (for part 3). All sizes are in its `cfg`, a `ToyModelConfig`:
#
# | setting | default | what it says |
# |---|---|---|
# | `n_inst` | 1 | models trained side by side |
# | `n_feats` | 5 | features |
# | `d_hidden` | 2 | hidden dimensions |
# | `n_correlated_pairs` | 0 | pairs of features that always come together |
# | `n_anticorrelated_pairs` | 0 | pairs of features that never come together |
# | `magnitude_low` | 0.0 | the least strength of a present feature |
# | `magnitude_high` | 1.0 | the greatest |
#
# `self.feature_probability` and `self.importance` are tensors of shape `"n_inst n_feats"`, whatever was passed to the
# model. The class comes in three exercises. The first cell holds the whole class; the two after it add a method or two
# to it, so run them in order.
# %% exercise="model" title="The toy model" difficulty=1 importance=5 minutes=5
# hint: You have both halves from part 1.
# hint: The parameters are self.W and self.b_final; the same W is used twice.
# hint: reconstruct(compress(features, self.W), self.W, self.b_final)
# %% [markdown]
# Next, the examples. `generate_batch` is there, and asks three methods for features: for correlated pairs,
# anticorrelated pairs, and those that are present on their own. You write the last one. All draws come from the
# generator that is passed in, so that a run can be repeated.
# %% exercise="generate_batch" title="Fresh examples" difficulty=3 importance=4 minutes=15
# hint: Two of your functions and one given method: draws, who is present, and how strong.
# hint: The uncorrelated features stand last, so their probabilities are the last n_uncorrelated columns. draw_uniform(shape, generator) gives the draws, with a shape of three sizes.
# hint: draws = draw_uniform((batch_size, self.cfg.n_inst, n_uncorrelated), generator); is_present = independent_presence(draws, self.feature_probability[:, self.cfg.n_feats - n_uncorrelated :]); then self._with_magnitudes(is_present, generator).
# %% [markdown]
# Last, the loss. The optimizer wants one number. A *sum* over instances lets each of them learn exactly as if it were
# alone: nothing that one instance does changes another one's gradient.
# %% exercise="calculate_loss" title="One number to learn from" difficulty=1 importance=3 minutes=5
# hint: One method gives the losses, the other adds them up.
# hint: You have a function for the losses, and self.importance is what it still needs.
# hint: importance_weighted_losses(out, batch, self.importance), and self.calculate_losses(out, batch).sum()
# %% [markdown]
# And an update, as in section 1.1.
# %% exercise="take_step" title="One step downhill" difficulty=2 importance=3 minutes=10
# hint: Five lines: losses, clear, backward, step, return.
# hint: The sum of the losses is differentiated, and the losses without their gradient are returned.
# hint: losses = model.calculate_losses(model(batch), batch); optimizer.zero_grad(); losses.sum().backward(); optimizer.step(); return losses.detach()
# %% [markdown]
# Everything is there. Each instance has five features in two dimensions, and feature $i$ has the importance $0.8^i$.
# There are five probabilities, from always present to 3 times in 100. Training can get stuck in an arrangement that
# isn't the best. So each probability gets four instances, which begin with other weights, and we look at the one with
# the smallest loss.
#
# Before you run the cell, write down a guess. How many features will be kept if all are always present? And if they
# are rare?
# %%
# Runs that no exercise needs are short if SCALE is "tiny".
N_STEPS = {"larger": 600, "storing": 1_000, "computing": 800, "many": 500, "grid": 300}
if SCALE == "tiny":
    N_STEPS = dict.fromkeys(N_STEPS, 10)

PROBABILITIES, N_STARTS = torch.tensor([1.0, 0.4, 0.2, 0.07, 0.03]), 4
IMPORTANCES = 0.8 ** torch.arange(5)
NAMES = [f"p = {p:g}" for p in PROBABILITIES.tolist()]


def train_and_watch(model, n_steps, every=20, lr=3e-2):
    """Train with a learning rate that falls as half a cosine; W after every few updates, and all losses."""
    optimizer, generator = torch.optim.Adam(model.parameters(), lr=lr), torch.Generator().manual_seed(0)
    frames, losses = [model.W.detach().clone()], []
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / n_steps)) / 2
        losses.append(take_step(model, optimizer, model.generate_batch(256, generator)))
        if (step + 1) % every == 0:
            frames.append(model.W.detach().clone())
    return torch.stack(frames), torch.stack(losses)


# %% result
# five features in two dimensions, from always present to rarely present, the most important ones darkest.
# Each arrow is a column of W. Press the triangle to watch the training.
from arena_lib.plots.superposition.film import feature_film

repeated = PROBABILITIES.repeat_interleave(N_STARTS)[:, None]
model = ToyModel(ToyModelConfig(n_inst=len(repeated)), repeated, IMPORTANCES)
frames, losses = train_and_watch(model, 400)
final = losses[-100:].mean(dim=0).reshape(-1, N_STARTS)
best_starts = final.argmin(dim=-1) + N_STARTS * torch.arange(len(NAMES))
W = model.W.detach()[best_starts]  # "n_inst d_hidden n_feats", an instance for each probability
steps = range(0, 401, 20)
feature_film(frames[:, best_starts], steps, NAMES, weights=IMPORTANCES, title="Five features find their directions")
# %% [markdown]
# Read it from left to right.
#
# - **p = 1.** Two arrows at right angles, the two most important features. The others have shrunk to nothing. The
#   model does what principal component analysis does: it keeps the directions that matter most, and drops the rest.
# - **p = 0.4 and 0.2.** Four features, as two **antipodal pairs**: two arrows in opposite directions. If one of them
#   is present, the other's score is *negative*, and the ReLU makes 0 of it. So a pair shares one dimension, and the
#   two get in each other's way only when both are present.
# - **p = 0.07 and 0.03.** A pentagon, with all five. Its arrows are a little longer than 1: what the bias takes away
#   from a feature that is present, the length gives back.
#
# Watch the film as well. Arrows grow and push each other apart: an arrow that is too near to another makes the loss
# larger. By the time the rate is small, the shape is there.
#
# Now in numbers. A feature's **length** $\|W_i\|$ says whether it is stored at all: about 1 if it is, 0 if not.
# %% exercise="compute_feature_norms" title="What is stored" difficulty=1 importance=3 minutes=5
# hint: A feature is a column of its instance's W. Over which axis does the length go?
# hint: W is "n_inst d_hidden n_feats", and the result "n_inst n_feats".
# hint: W.norm(dim=1)
# %% [markdown]
# The length doesn't say at what price. Let $\hat W_i = W_i / \|W_i\|$ be the direction with length 1. When feature $j$
# is present, it adds $\hat W_i \cdot W_j$ to what is read off along that direction. The sum of the squares over all
# others says how much feature $i$ is disturbed:
#
# $$\text{interference}_i = \sum_{j \ne i} (\hat W_i \cdot W_j)^2$$
#
# It is 0 for a feature that has a direction to itself, and 1 for one that shares its dimension with an equal.
# %% exercise="compute_interference" title="What it costs" difficulty=3 importance=4 minutes=15
# hint: First all dot products of each direction with each column, "n_inst n_feats n_feats". Then squares, then a sum without the diagonal.
# hint: Divide W by the lengths (kept from being 0), and contract both over d_hidden. Only the first of the two has length 1.
# hint: overlaps = einops.einsum(directions, W, "n_inst d_hidden i, n_inst d_hidden j -> n_inst i j").pow(2); overlaps.sum(dim=-1) - overlaps.diagonal(dim1=-2, dim2=-1), with directions = W / norms.clamp(min=1e-12)[:, None].
# %% result
# length and interference of each feature, at each probability.
# Where a feature isn't stored, its interference is that of a random direction, and means nothing.
measures = {"length": compute_feature_norms(W), "interference": compute_interference(W)}
for quantity, values in measures.items():
    plots.matrix(
        values,
        rows=NAMES,
        columns=[str(i) for i in range(5)],
        row_title="instance",
        column_title="feature",
        quantity=quantity,
        title=f"{quantity.capitalize()} of each feature",
    ).show()
# %% [markdown]
# Look at the interference of the pentagons. Each corner has two neighbours at 72° and two at 144°, so for arrows of
# length 1 it would be $2\cos^2 72° + 2\cos^2 144° = 1.5$, and these are longer. That's *more* than the 1 of an
# antipodal pair. Still the model prefers it: the rarer the features, the rarer the interference, while a lost feature
# is lost in every example that has it.
# %% exercise="count_the_stored" title="Read the picture by numbers" difficulty=2 importance=3 minutes=10
# hint: A feature is stored if its length is above 1/2. An arrow's angle is torch.atan2 of its two coordinates.
# hint: Sort the five angles of the last instance; the gaps between neighbours are the differences, and one more closes the circle.
# hint: angles = torch.atan2(W[-1, 1], W[-1, 0]).sort().values; gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]]), and torch.rad2deg(gaps) in degrees.
# How many features does each instance of W store (a list of five numbers)? And what are the gaps, in degrees, between
# neighbouring arrows of the last instance, in order around the circle?
# region solution
n_stored = (compute_feature_norms(W) > 0.5).sum(dim=-1).tolist()
angles = torch.atan2(W[-1, 1], W[-1, 0]).sort().values
gaps = torch.rad2deg(torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]]))
# endregion
assert n_stored[0] == 2 and n_stored[-1] == 5, f"{n_stored}: two features are stored at p = 1, and five at p = 0.03"
assert n_stored == sorted(n_stored), "the rarer the features, the more of them are stored"
assert len(gaps) == 5 and abs(gaps.sum() - 360) < 0.1, "five gaps close the circle"
assert (gaps - 72).abs().max() < 10, f"{gaps.tolist()}: the gaps of a pentagon are near 72 degrees"
# %% [markdown]
# ### More than we can draw
#
# With more dimensions there are no arrows to draw. Draw the matrix $W^T W$ instead: its diagonal holds squared
# lengths, and everything off the diagonal is interference between two features. Below are twenty features in five
# dimensions; each is 0.7 times as important as the one before it. For a run that nobody watches there is
# `train_toy_model`, which does the same as the loop above.
# %% result
# above, W^T W; below, a bar for each feature's length. Blue bars have their direction to themselves, orange ones
# share it.
# The sparser the features, the more of them are stored, and the more they share.
from arena_lib.plots.superposition.gram import gram_matrices
from arena_lib.saes.superposition.training import ToyTrainingConfig, cosine_lr, train_toy_model


def train(model, n_steps, lr=3e-2):
    """Train as above, without watching, and return the losses as they fell."""
    return train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, lr=lr, schedule=cosine_lr))


def say_if_tiny():
    """Say that a tiny run isn't what the text is about."""
    if SCALE == "tiny":
        print('Too short to learn much: the text describes SCALE = "full".')


by_sparsity = torch.tensor([1.0, 0.3, 0.1, 0.03])
larger = ToyModel(ToyModelConfig(n_inst=4, n_feats=20, d_hidden=5), by_sparsity[:, None], 0.7 ** torch.arange(20))
train(larger, N_STEPS["larger"])
say_if_tiny()
panels = {f"p = {p:g}": W for p, W in zip(by_sparsity.tolist(), larger.W, strict=True)}
gram_matrices(panels, title="Twenty features in five dimensions")


# %% [markdown]
# At $p = 1$ the five most important features have a dimension each, without interference, and fifteen are lost. As
# features become rarer, less important ones come in. They come as antipodal pairs first (two red squares on the
# diagonal with two blue ones beside them), while the most important features still have dimensions to themselves. At
# the rarest, everything that is stored shares.
#
# ## 3. Features that go together
#
# *About 35 minutes of exercises. You make features that come in pairs, and see which directions they choose.*
#
# So far features were independent. Real ones aren't. "This is French" and "this word is *le*" come together; "this is
# code" and "this is a poem" hardly ever do. What should that change?
#
# <details>
# <summary>What would you expect?</summary>
#
# Interference costs only when both features are present. So two features that never come together can share a
# dimension for free: an antipodal pair. Two that always come together should stay out of each other's way, at a right
# angle.
#
# </details>
#
# We make both kinds, each the clearest case there is. In a **correlated** pair both features are present, or neither.
# (Their magnitudes are still drawn separately.) In an **anticorrelated** pair at most one of the two is present. One
# uniform draw decides about a pair, and features $2k$ and $2k + 1$ are pair $k$.
#
# In both kinds each feature by itself is present exactly as often as before. That makes the comparison fair: only *how
# features go together* is different.
# %% exercise="correlated_presence" title="Together or not at all" difficulty=2 importance=3 minutes=10
# hint: One question for each pair, and the answer is given twice.
# hint: Both features of a pair have the same probability, so every second column holds the probabilities of the pairs. Each answer must stand twice, side by side.
# hint: is_pair_present = draws < feature_probability[:, ::2]; einops.repeat(is_pair_present, "batch n_inst n_pairs -> batch n_inst (n_pairs 2)").
# %% exercise="anticorrelated_presence" title="Never both" difficulty=3 importance=3 minutes=15
# hint: Cut the interval [0, 1) into three parts: where the first is present, where the second is, and where neither is.
# hint: The first part goes from 0 to p, the second from p to p + q. A draw lies in one part only.
# hint: first, second = feature_probability[:, ::2], feature_probability[:, 1::2]; is_second = (draws >= first) & (draws < first + second); einops.rearrange([is_first, is_second], "two batch n_inst n_pairs -> batch n_inst (n_pairs two)").
# %% [markdown]
# Your `ToyModel` uses both as soon as its config asks for pairs. Below are four equally important features in two
# dimensions, as two pairs of each kind, present 15 times in 100. Training may get stuck in an arrangement that isn't
# the best, so again we start several times, and look at the two starts with the smallest loss.
# %%
def train_pairs(probability, **pairs):
    """Train eight starts of two pairs in two dimensions; their matrices, the one with the smallest loss first."""
    starts = ToyModel(ToyModelConfig(n_inst=8, n_feats=4, d_hidden=2, **pairs), probability)
    history = train(starts, 300)
    return starts.W.detach()[history.losses[-1].argsort()]


# %% result
# the features of a pair have one colour. Correlated ones stand at a right angle, anticorrelated ones are opposite.
correlated = train_pairs(0.15, n_correlated_pairs=2)
anticorrelated = train_pairs(0.15, n_anticorrelated_pairs=2)
panels = {f"correlated, start {i + 1}": correlated[i] for i in range(2)}
panels |= {f"anticorrelated, start {i + 1}": anticorrelated[i] for i in range(2)}
feature_directions(panels, groups=[0, 0, 1, 1], columns=4, title="Two pairs in two dimensions")


# %% exercise="measure_the_pairs" title="At what angle?" difficulty=2 importance=3 minutes=10
# hint: A cosine is a dot product of two directions of length 1.
# hint: Features 0 and 1 are a pair; features 2 and 3 are the other one.
# hint: unit = W / W.norm(dim=0); cosines = unit.T @ unit, of which [0, 1] and [2, 3] are the pairs'.
# What is the cosine between the two features of each pair, in the best start of each kind (correlated[0] and
# anticorrelated[0])? Give a list of two numbers for each kind: [pair 0, pair 1].
# region solution
def cosines_of_pairs(W):
    unit = W / W.norm(dim=0)
    return [float(unit[:, 0] @ unit[:, 1]), float(unit[:, 2] @ unit[:, 3])]


of_correlated, of_anticorrelated = cosines_of_pairs(correlated[0]), cosines_of_pairs(anticorrelated[0])
# endregion
assert max(map(abs, of_correlated)) < 0.2, f"{of_correlated}: correlated features are at right angles"
assert max(of_anticorrelated) < -0.95, f"{of_anticorrelated}: anticorrelated features are opposite"
# %% [markdown]
# Anticorrelated pairs store four features in two dimensions *without any error*: their loss is 0.
#
# And the correlated ones? They make antipodal pairs, too, but with a feature of the *other* pair, which is independent
# of them. Now make features twice as frequent, so that this becomes expensive. What will two features do that always
# come together, if there is no room for four arrows?
# %% result
# correlated pairs, 30 times in 100: both features of a pair lie in one direction.
# Each pair is stored as one feature, the sum of both.
crowded = train_pairs(0.3, n_correlated_pairs=2)
panels = {f"start {i + 1}": crowded[i] for i in range(3)}
feature_directions(panels, groups=[0, 0, 1, 1], title="Two correlated pairs with less room")
# %% [markdown]
# This is principal component analysis again: if two things go together, keep what they have in common. The model now
# knows how strong a pair is, but not which of its two features is. Both arrows have length 0.71, so that the pair's
# squared length is 1. Superposition and principal components are two answers to one question, and which of them is
# better depends on sparsity.
#
# Something to keep in mind for real models: directions that are close together needn't be interference. They may
# belong to features that come together.
#
# ## 4. Neurons
#
# *About 50 minutes of exercises. You give the hidden layer neurons, and let it compute with features.*
#
# Is there anything special about one hidden dimension, compared with any direction in between? In the models so far
# there isn't. Turn all arrows by the same angle, and every dot product stays as it was. The model has no **privileged
# basis**, so it makes no sense to ask what "hidden dimension 0" means.
#
# Put a ReLU into the hidden layer, and this changes. A ReLU acts on each dimension by itself, so now each dimension is
# a **neuron**, and it matters which features point along it:
#
# $$h = \text{ReLU}(W x) \qquad x' = \text{ReLU}(W^T h + b)$$
# %% exercise="neuron_model" title="Hidden neurons" difficulty=2 importance=4 minutes=10
# hint: One thing is new against ToyModel.
# hint: The hidden state goes through a ReLU before it is read off.
# hint: reconstruct(torch.relu(compress(features, self.W)), self.W, self.b_final)
# %% result
# ten features stored by five neurons. A column is a neuron, and its blocks are weights with their feature's number.
# Blue neurons stand for one feature, orange ones for several.
from arena_lib.plots.superposition.stacked import stacked_weights

by_sparsity = torch.tensor([0.5, 0.2, 0.1, 0.05])
storing = NeuronModel(ToyModelConfig(n_inst=4, n_feats=10, d_hidden=5), by_sparsity[:, None], 0.75 ** torch.arange(10))
train(storing, N_STEPS["storing"], lr=2e-2)
say_if_tiny()
panels = {f"p = {p:g}": W for p, W in zip(by_sparsity.tolist(), storing.W, strict=True)}
stacked_weights(panels, title="Which features does each neuron hold?")
# %% [markdown]
# At $p = 0.5$ each neuron stands for one of the five most important features: it's **monosemantic**, and the other
# five features are lost. With rarer features more of them are stored, and nearly every neuron is **polysemantic**: it
# answers to three, four, five features that have nothing to do with each other. The model is no more confused than
# before. It just has more to store.
#
# <details>
# <summary>Why would a model prefer one feature for each neuron, if it has no need to share?</summary>
#
# Spread two features over two neurons: one with weights $(1, 1)$, the other at a right angle to it with $(1, -1)$. The
# second feature makes the second neuron's input negative, and the ReLU cuts that off: half of the feature is gone.
# Along a neuron's own axis nothing is lost. That is what it means to have a privileged basis.
#
# </details>
#
# ### Computing in superposition
#
# Storing is dull work. Can a network *compute* with features that it holds in superposition? Take a function that a
# linear map can't do, the absolute value. Features now have random signs, and the model should give $|x_i|$ for each:
#
# $$h = \text{ReLU}(W_1 x) \qquad x' = \text{ReLU}(W_2 h + b)$$
#
# with two separate matrices. First, the signs.
# %% exercise="with_random_signs" title="Positive or negative" difficulty=1 importance=2 minutes=5
# hint: An absent feature must stay 0, so stretching to [-1, 1] won't do.
# hint: Two cases for each entry: the feature, or its negative.
# hint: torch.where(draws < 0.5, -features, features)
# %% [markdown]
# How many neurons does $|x|$ need? Work it out before you go on: there is a way to do it *exactly*, for one feature.
# %% exercise="absolute_value_by_hand" title="By hand" difficulty=2 importance=4 minutes=10
# hint: A ReLU passes on one side of 0. How could you have both sides?
# hint: |x| = ReLU(x) + ReLU(-x).
# hint: One neuron reads the feature with weight 1, the other with weight -1; both are read off with weight 1.
# Write W1 ("d_hidden n_feats") and W2 ("n_feats d_hidden") for one feature, so that
# ReLU(W2 ReLU(W1 x)) is exactly |x|. Use as few neurons as you can.
# region solution
W1 = torch.tensor([[1.0], [-1.0]])
W2 = torch.tensor([[1.0, 1.0]])
# endregion
x = torch.linspace(-1, 1, 41)[:, None]
computed = torch.relu(torch.relu(x @ W1.T) @ W2.T)
assert torch.allclose(computed, x.abs()), "ReLU(W2 ReLU(W1 x)) must be |x|, for both signs of x"
assert W1.shape == (2, 1) and W2.shape == (1, 2), "two neurons are enough, and one isn't"
# %% [markdown]
# Two neurons for each feature. So ten features need twenty neurons, and a model with eight of them can compute four
# absolute values. Or can it? Write the model, and see.
# %% exercise="neuron_computation_model" title="Computing absolute values" difficulty=3 importance=4 minutes=25
# hint: Three methods change against ToyModel: what is computed, which signs the examples have, and what the output is compared with.
# hint: forward has a ReLU after each of the two matrices, and the bias before the second. generate_batch asks super() for features and gives them signs by fresh draws, one for each entry. calculate_losses compares with batch.abs().
# hint: scores = einops.einsum(hidden, self.W2, "... n_inst d_hidden, n_inst n_feats d_hidden -> ... n_inst n_feats"); draws = draw_uniform((batch_size, self.cfg.n_inst, self.cfg.n_feats), generator).
# %% result
# ten features, eight neurons: the weights W1 with which each neuron reads the features.
# Frequent features have two neurons each, one for each sign; rare ones share.
computing = NeuronComputationModel(
    ToyModelConfig(n_inst=4, n_feats=10, d_hidden=8), by_sparsity[:, None], 0.7 ** torch.arange(10)
)
train(computing, N_STEPS["computing"], lr=2e-2)
say_if_tiny()
panels = {f"p = {p:g}": W1 for p, W1 in zip(by_sparsity.tolist(), computing.W1, strict=True)}
stacked_weights(panels, title="Eight neurons that compute absolute values").show()
n_computed = (computing.W1.norm(dim=1) > 0.5).sum(dim=-1)
print("features that are read at all:", dict(zip(panels, n_computed.tolist(), strict=True)))


# %% [markdown]
# With frequent features the model found what you found: four of them, each with a neuron for either sign. With rare
# ones it reads more, with neurons that serve several features at once. So superposition isn't only a way to store.
# Circuits can run on features that have no neuron to themselves. Where we see one neuron that takes part in five
# computations, there need be no confusion in the model; the confusion is ours.
#
# ## 5. The geometry of superposition
#
# *About 45 minutes of exercises. You measure how much of a dimension each feature has, and predict when sharing
# begins.*
#
# Orthogonal, antipodal, pentagon: each shape shares the dimensions in its own way. Is there one number for it? A
# feature in an antipodal pair has "half a dimension". In general, a feature's **dimensionality** is its own part of
# everything that lies along its direction:
#
# $$D_i = \frac{\|W_i\|^2}{\sum_j (\hat W_i \cdot W_j)^2}$$
#
# The sum has the feature itself in it, where it gives $\|W_i\|^2$. If nobody else is there, $D_i = 1$. If an equal
# shares the dimension, it's $1/2$.
# %% exercise="compute_dimensionality" title="A share of a dimension" difficulty=3 importance=4 minutes=15
# hint: It's your interference with the diagonal left in, beneath the squared length.
# hint: Squared overlaps as before, summed over the second feature. Where a length is 0, the denominator must be kept from being 0.
# hint: norms.pow(2) / overlaps.sum(dim=-1).clamp(min=1e-24)
# %% exercise="name_the_shapes" title="Shapes and their shares" difficulty=2 importance=3 minutes=10
# hint: The corners of a regular n-gon lie at the angles 2 pi k / n; a tetrahedron's corners are four of the eight corners of a cube.
# hint: For a tetrahedron take (1, 1, 1), (1, -1, -1), (-1, 1, -1) and (-1, -1, 1), as columns.
# hint: torch.stack([angles.cos(), angles.sin()])[None] is a polygon with one instance; compute_dimensionality(...)[0, 0] is the share of a corner.
# Make each of these shapes by hand, as a W with one instance, and compute what share of a dimension a corner has.
# Then add up all shares of a shape: what do you get, and why?
# region solution
def polygon(n):
    angles = torch.arange(n) * 2 * math.pi / n
    return torch.stack([angles.cos(), angles.sin()])[None]


tetrahedron = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])[None]
shapes = {"triangle": polygon(3), "square": polygon(4), "pentagon": polygon(5), "tetrahedron": tetrahedron}
shares = {name: float(compute_dimensionality(W)[0, 0]) for name, W in shapes.items()}
sums = {name: float(compute_dimensionality(W).sum()) for name, W in shapes.items()}
# endregion
expected = {"triangle": 2 / 3, "square": 1 / 2, "pentagon": 2 / 5, "tetrahedron": 3 / 4}
assert all(abs(shares[name] - share) < 1e-4 for name, share in expected.items()), f"{shares} isn't right"
assert all(abs(sums[name] - (3 if name == "tetrahedron" else 2)) < 1e-4 for name in expected), f"{sums} isn't right"
# %% [markdown]
# The shares of a shape add up to the number of its dimensions: nothing is wasted. So $n$ equal features that fill $d$
# dimensions evenly have $d / n$ each. What do models choose, when they have room for large shapes? Forty equally
# important features in eight dimensions, from present 60 times in 100 to 5 times in 100:
# %% result
# each dot is a feature, each column an instance, sparser to the right; the lines are shapes.
# Dots gather on the line of antipodal pairs, and then below it, instead of spreading evenly.
from arena_lib.plots.superposition.dimensionality import dimensionality

SHAPES = {"alone": 1.0, "tetrahedron": 3 / 4, "triangle": 2 / 3, "antipodal pair": 1 / 2, "pentagon": 2 / 5}
by_sparsity = torch.logspace(math.log10(0.6), math.log10(0.05), 10)
many = ToyModel(ToyModelConfig(n_inst=10, n_feats=40, d_hidden=8), by_sparsity[:, None])
train(many, N_STEPS["many"])
say_if_tiny()
shares_of_features = compute_dimensionality(many.W)
dimensionality(1 / by_sparsity, shares_of_features, levels=SHAPES, title="Forty features in eight dimensions")
# %% [markdown]
# A dot at 0 is a feature that isn't stored. Look at the left half. There is no smooth slide as features become rarer:
# over a wide range the models do exactly the same, sixteen features in eight antipodal pairs, at 1/2, and nothing of
# the other
# 24. Antipodal pairs are *sticky*. Then the pattern breaks, and more and more features come in. If $n$ of them are
#     stored,
# each has about $8/n$ of a dimension.
#
# With more features, more dimensions and more patience, [Elhage et al.](https://arxiv.org/abs/2209.10652) see the
# features gather at other shares, too: triangles, tetrahedra, pentagons, square antiprisms. That was the surprise of
# their paper. Nobody asked for regular shapes. They are what gradient descent finds, as soon as features are packed as
# far apart as possible.
#
# ### When does it begin?
#
# One case is small enough for theory: two features, one dimension. The first has importance 1, the second importance
# $I$. Both are present with probability $p$, and then uniform in $[0, 1]$. There are three things to do:
#
# - $W = (1, 0)$: keep the first. The second is lost. The best that the output can do for it is a constant, its mean
#   $p/2$.
# - $W = (0, 1)$: the same with the roles exchanged.
# - $W = (1, -1)$: an antipodal pair. Both are right, unless both are present.
#
# Before you look at the docstring of the next exercise, work out the loss of each on paper, summed over both features.
# You need two facts. The mean of $x^2$ for a uniform $x$ in $[0, 1]$ is $1/3$, and that of $\min(x, y)^2$ for two of
# them is $1/6$.
#
# <details>
# <summary>How it goes</summary>
#
# What a constant can't explain is the variance. A feature's mean square is $p/3$ and its mean $p/2$, so its variance
# is $v = p/3 - p^2/4$. Keeping only the first costs $I v$, keeping only the second costs $v$.
#
# In an antipodal pair the hidden state is $x - y$. The outputs are $\text{ReLU}(x - y)$ and $\text{ReLU}(y - x)$. If
# both are present and $x$ is larger, $x - y$ is read off instead of $x$, and 0 instead of $y$: both errors are $y$,
# the smaller one. It happens with probability $p^2$ and costs $1/6$ on average, for each feature with its importance:
# $(1 + I)\,p^2/6$.
#
# </details>
# %% exercise="two_feature_losses" title="Three ways to use one dimension" difficulty=2 importance=3 minutes=20
# hint: Two ingredients, the variance of a feature and the error when both are present; the three losses are made of them.
# hint: A loss for the second feature's sake is weighed by `importance`, one for the first's by 1. The result has a new last axis of length 3.
# hint: v = p / 3 - p ** 2 / 4; shared = (1 + importance) * p ** 2 / 6; torch.stack(torch.broadcast_tensors(importance * v, v, shared), dim=-1).
# %% [markdown]
# Whichever is smallest should be what training finds. Both losses grow with $p$, but one like $p$ and the other like
# $p^2$. So for small $p$ superposition must win, whatever the importance.
#
# To test it, train a model at every point of a grid: 12 probabilities times 12 importances, with four starts for each.
# That's 576 instances at once, each with two features and one dimension. Of the starts the one with the smallest loss
# counts.
# %%
N_GRID = 12 if SCALE == "full" else 4
probabilities, second_importances = torch.logspace(0, -2, N_GRID), torch.logspace(-1, 1, N_GRID)


def train_grid(n_starts=4):
    """What became of the second feature at every point: its length, and how much of the first lies in its direction."""
    p, second, _ = torch.meshgrid(probabilities, second_importances, torch.zeros(n_starts), indexing="xy")
    grid_importances = torch.stack([torch.ones(second.numel()), second.flatten()], dim=-1)
    grid = ToyModel(ToyModelConfig(n_inst=p.numel(), n_feats=2, d_hidden=1), p.reshape(-1, 1), grid_importances)
    history = train(grid, N_STEPS["grid"])
    best = history.losses[-1].reshape(p.shape).argmin(dim=-1, keepdim=True)
    measures = compute_feature_norms(grid.W), compute_interference(grid.W)
    return tuple(values.detach()[:, 1].reshape(p.shape).gather(-1, best)[..., 0] for values in measures)


# %% result
# white: the second feature isn't stored. Blue: it has the dimension to itself. Orange: superposition.
# Left what training found, right what the theory says.
from arena_lib.plots.superposition.phases import phase_diagram

best = two_feature_losses(probabilities[None, :], second_importances[:, None]).argmin(dim=-1)
panels = {"trained": train_grid(), "theory": ((best != 0).float(), (best == 2).float())}
say_if_tiny()
states = [torch.where(length < 0.5, 0, torch.where(shared < 0.5, 1, 2)) for length, shared in panels.values()]
agreement = (states[0] == states[1]).float().mean()
print(f"theory and training agree at {agreement:.0%} of the points")
phase_diagram(panels, probabilities.tolist(), second_importances.tolist(), title="What becomes of the second feature?")
# %% [markdown]
# On the left, among frequent features, there is no superposition at all: the more important feature has the dimension,
# and at $I = 1$ it flips. To the right of the border it's superposition everywhere, and there is hardly anything in
# between: a **phase change**, like ice that melts, and not a gradual mixing. The theory knows only three arrangements,
# and it predicts nearly every point of what training found. Where it doesn't, most often all starts have got stuck.
#
# Where exactly is the border at $I = 1$? Set the losses equal: $p/3 - p^2/4 = p^2/3$, so $p = 4/7$. A feature may be
# present more than half of the time, and superposition already pays.
#
# ## What you have learned
#
# - A model stores more features than it has dimensions as soon as they are rare enough, and pays with interference.
# - Features that never come together share a dimension for free; features that always come together stay at right
#   angles, or are stored as one.
# - A ReLU in the hidden layer makes neurons of dimensions. Neurons hold one feature while features are frequent, and
#   many when they are rare; they can even compute that way.
# - Superposition begins at once, and where it begins can be computed.
#
# ## What comes next
#
# If features lie in superposition, can they be found again, by somebody who sees only the hidden state? A sparse
# autoencoder tries that: it writes each hidden state as a sum of few directions. `arena_lib.saes.toy` has such
# autoencoders for the models of this section, and `arena_lib.saes` for language models.
#
# ## On your own
#
# - **Replicate a paper.** Henighan et al. 2023 ([Superposition, memorization and double
#   descent](https://transformer-circuits.pub/2023/toy-double-descent/index.html)) train the model of
#   [arXiv:2209.10652](https://arxiv.org/abs/2209.10652) on few examples, again and again. It stores examples instead
#   of features, until there are enough of them. Draw the loss on fresh examples over their number.
# - **A third kind of pair.** Make pairs in which the second feature is present only if the first is, and then half of
#   the time. Guess their geometry first. Which of the two is stored better?
# - **Other shapes.** Train forty features in eight dimensions as in part 5, with other learning rates and starts. Can
#   you find triangles or tetrahedra? A feature's dimensionality tells you where to look, and $W^T W$ whom it lies
#   with.
#
# ## Reading
#
# - [Elhage et al. 2022, Toy models of superposition](https://arxiv.org/abs/2209.10652): the paper behind this section.
# - [Henighan et al. 2023, Superposition, memorization and double
#   descent](https://transformer-circuits.pub/2023/toy-double-descent/index.html): what few examples do.
# - [Scherlis et al. 2022, Polysemanticity and capacity in neural networks](https://arxiv.org/abs/2210.01892): shares
#   of a dimension, as a budget.
