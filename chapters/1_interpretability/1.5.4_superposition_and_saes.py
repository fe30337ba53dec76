# ---
# arena: {id: "1.5.4", slug: superposition_and_saes, title: Toy models of superposition and SAEs, hours: 12}
# objectives:
#   - "Say why a network would store more features than it has dimensions, and what that costs"
#   - "Write a toy model of superposition, train many of them at once, and read their geometry"
#   - "Predict how sparsity, importance and correlations change what is stored, and check it against theory"
#   - "Build models with neurons, which store features and compute with them"
# ---
# %% [markdown]
# ## What you will build
#
# A model with two hidden dimensions is given five things to remember. How many does it keep?
#
# | part | minutes |
# |---|---|
# | 1. More features than dimensions | 5 |
#
# ## 1. More features than dimensions
#
# *About 5 minutes of exercises. You make sparse features.*
# %% exercise="independent_presence" title="Who is there?" difficulty=1 importance=3 minutes=5
# hint: A number that is uniform in [0, 1) lies below p with probability p.
# hint: Compare the draws with the probabilities; the probabilities have no axis for examples.
# hint: One comparison does it: tensors of shape "batch n_inst n_feats" and "n_inst n_feats" line up from the right.
