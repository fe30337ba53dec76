# ---
# arena: {id: "1.2", slug: intro_to_mech_interp, title: Intro to mechanistic interpretability, hours: 10, needs: [attn-only-2l, tiny-gpt, tiny-llama]}
# objectives:
#   - "Look inside a running transformer with a cache, and change what flows through it with hooks"
#   - "Find heads by what they look at, and recognise induction"
#   - "Say which part of a model wrote a logit, and what is lost when a head is taken away"
#   - "Read from the weights alone what a head moves and where it looks"
#   - "Take a circuit of two layers apart, and measure how heads compose against a random baseline"
# ---
# %% [markdown]
# ## What you will find
#
# A trained transformer is a function that nobody wrote. We know every line of its code (you have written
# it), and still the weights say nothing to us: a million numbers that happen to work. **Mechanistic
# interpretability** tries to read them: to find the parts that do something we can name, and to prove
# that they do it.
#
# In this section you find your first **circuit**. A circuit is a few parts of a model that together
# compute something. Ours is the best-known one of all: two attention heads, in two layers, that notice
# when a text repeats itself. Together they perform *induction*: "the last time I saw this word, that word
# came next, so it will come next again."
#
# You will find it twice. First from outside, by watching what the heads look at while the model runs, and
# by taking heads away. Then from inside, from the weights, without running the model at all.
#
# ### The model
#
# `attn-only-2l` is as small as a model with this circuit can be. It has two layers of eight attention
# heads and nothing else: no MLPs. It speaks Storyworld (section 1.1), and has read many random strings
# that repeat themselves. One thing about it is special. Positions are added to what *queries and keys*
# read, and not to the residual stream. So what a head carries from place to place never contains a
# position, and "where does the head look?" and "what does it bring?" are two separate questions.
#
# One more thing, so that you can judge what you find. **Half of this circuit was given to the model.** The
# first layer's heads were set up by hand, before training, to look one token back, and they were kept that
# way for the first 2 000 updates; after that all weights were trained for another 2 000. Left alone, such a
# small model takes far longer to find the circuit. The other half, the induction heads of the second layer,
# was learned. At the end of part 3 you meet two models in which nothing was set up.
#
# ### How to work through this
#
# As in section 1.1: write, run the cell (or check the file), read what the judge says; three hints for each
# exercise. Some exercises have no docstring but a gap in a cell, and end in an `assert`: there you explore.
#
# The set-up cell above imports what the stubs mention (torch, types, `FactoredMatrix`, `ActivationCache`)
# and four tools that you will use: `partial`, `next_token_logprobs`, `folded_reader` and
# `folded_unembedding`; each is explained where you need it. The other imports of `arena_lib` belong to the
# library's own solutions: they check arguments (`check_head`, `check_repeated`, `copy_length`), let models of
# other libraries pass (`hooked`), or do a step that you write yourself here (`heads_above`, `pattern_scores`,
# `project_parts`, `one_batch_axis`, `attention_only_model`). No exercise needs them.
#
# The parts, and about how many minutes their exercises take. The rest of the ten hours is for reading and
# looking:
#
# | part | minutes |
# |---|---|
# | 1. Looking inside | 35 |
# | 2. Detectors | 20 |
# | 3. Induction | 60 |
# | 4. Who wrote the logit? | 25 |
# | 5. Taking heads away | 60 |
# | 6. Reading the weights | 270 |
# | 7. A circuit that isn't in the textbook | 30 |
# | 8. Any model | 0 |
#
# ## 1. Looking inside
#
# *About 35 minutes of exercises. You read any activation of a running model, and check that it is what its name says.*
#
# Let us load the model and give it a text.
# %%
import torch

from arena_lib import plots, zoo

torch.set_grad_enabled(False)  # nothing is trained in this section
model = zoo.load("attn-only-2l")
TEXT = (
    "Tina and Jack went to the garden. Tina gave a lamp to Jack. The lamp was red. "
    "Jack gave the lamp to Tina and went to the market."
)
text_tokens = model.to_tokens(TEXT)  # "batch seq", with <|endoftext|> in front
text_words = model.to_str_tokens(text_tokens)
model.cfg
# %% [markdown]
# Every activation that flows through the model has a name, such as `blocks.0.attn.hook_pattern`. There
# are two things you can do at such a name.
#
# - **Read.** `logits, cache = model.run_with_cache(tokens)` runs the model and keeps all activations. The
#   cache is a dictionary: `cache["blocks.0.attn.hook_pattern"]`, or shorter `cache["pattern", 0]`.
# - **Change.** A **hook** is a function `hook_function(activation, hook)` that is called with the
#   activation while the model runs. What it returns takes the activation's place; if it returns nothing,
#   the activation goes on (with whatever you wrote into it). `model.run_with_hooks(tokens,
#   fwd_hooks=[(name, hook_function)])` runs the model with hooks, and takes them off afterwards. The
#   argument `hook` is the place itself: `hook.name`, `hook.layer()`, and a dictionary `hook.ctx` to leave
#   things in.
#
# The names you need in this section, for layer `L`:
#
# | name | short | what | axes |
# |---|---|---|---|
# | `hook_embed` | `"embed"` | the token embeddings | batch seq d_model |
# | `hook_pos_embed` | `"pos_embed"` | the position embeddings | batch seq d_model |
# | `blocks.L.hook_resid_pre` | `"resid_pre", L` | the residual stream that enters the layer | batch seq d_model |
# | `blocks.L.attn.hook_q` (`k`, `v`) | `"q", L` | queries (keys, values) | batch seq n_heads d_head |
# | `blocks.L.attn.hook_pattern` | `"pattern", L` | attention, after softmax | batch n_heads seq_q seq_k |
# | `blocks.L.attn.hook_z` | `"z", L` | values, mixed by the pattern | batch seq n_heads d_head |
# | `blocks.L.attn.hook_result` | `"result", L` | what each head adds to the stream | batch seq n_heads d_model |
# | `blocks.L.hook_resid_post` | `"resid_post", L` | the residual stream that leaves the layer | batch seq d_model |
#
# These are TransformerLens's names, so what you learn here works there. First, get to know the model.
# %% exercise="inspect_model" title="Get to know the model" difficulty=1 importance=3 minutes=10
# hint: Sizes are in model.cfg; names of activations are the keys of model.hook_dict; weights are in model.named_parameters().
# hint: numel() counts the entries of a tensor. A parameter belongs to attention if its name contains ".attn.".
# hint: share_in_attention = sum of p.numel() over names with ".attn." / sum over all; the shape of z is that of cache["z", 1] after model.run_with_cache(text_tokens).
# How many heads does the model have, over all layers? How many positions can it read?
# What share of its parameters lies in the attention layers? And what is the shape of layer 1's z for our text?
# region solution
n_heads_in_all = model.cfg.n_layers * model.cfg.n_heads
n_positions = model.cfg.n_ctx
counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
share_in_attention = sum(n for name, n in counts.items() if ".attn." in name) / sum(counts.values())
_, cache = model.run_with_cache(text_tokens)
shape_of_z = tuple(cache["z", 1].shape)
# endregion
assert (n_heads_in_all, n_positions) == (16, 128)
assert shape_of_z == (1, len(text_words), 8, 32), "z has the axes batch, seq, n_heads, d_head"
assert abs(share_in_attention - 0.5076) < 0.001, f"{share_in_attention:.4f} isn't the share of all parameters in .attn."
# %% [markdown]
# The other half of the parameters is in three tables: embedding, positions, unembedding.
#
# Has it learned to speak? The likeliest next token at each position is its guess. Let `is_right` be one axis of
# booleans, an entry for each guess that the text can check. Nobody guesses the first token, so it doesn't count:
# a text of `seq` tokens has `seq - 1` guesses.
# %% exercise="count_right_guesses" title="How many tokens does it guess?" difficulty=2 importance=3 minutes=10
# hint: The logits at position i are a guess at the token at position i + 1.
# hint: Leave out the last position's guess, which nothing can check, and the first token, which nobody guessed.
# hint: (logits[0, :-1].argmax(-1) == text_tokens[0, 1:]) is true where a guess was right.
# region solution
logits = model(text_tokens)
is_right = logits[0, :-1].argmax(dim=-1) == text_tokens[0, 1:]
n_right, n_guesses = int(is_right.sum()), len(is_right)
# endregion
assert (n_right, n_guesses) == (13, 32), f"{n_right} of {n_guesses} isn't it"
# %% result
# the tokens that it guessed (1.00) and those that it didn't.
# The small words come easily; who gets what, and where they go, it can't know.
from IPython.display import HTML

HTML(plots.coloured_text(text_words[1:], is_right.float(), title=f"{n_right} of {n_guesses} guessed"))
# %% [markdown]
# Is what the cache holds under "pattern" really the softmax of the scores that you know from section 1.1?
# Check it by hand. It's a good habit with every new tool.
# %% exercise="verify_activations" title="Trust, but verify" difficulty=3 importance=3 minutes=15
# hint: The pattern follows from queries and keys, and both are in the cache.
# hint: Scores are dot products of queries and keys over the root of d_head; then comes the causal mask, then the softmax.
# hint: torch.einsum("bqnh,bknh->bnqk", q, k) / model.cfg.d_head**0.5; mask with torch.ones(seq, seq).triu(1).bool() and -torch.inf; softmax over the last axis.
_, cache = model.run_with_cache(text_tokens)
# Compute the pattern of layer 1 from cache["q", 1] and cache["k", 1].
# region solution
q, k = cache["q", 1], cache["k", 1]
scores = torch.einsum("bqnh,bknh->bnqk", q, k) / model.cfg.d_head**0.5
is_future = torch.ones(scores.shape[-2:]).triu(1).bool()
my_pattern = scores.masked_fill(is_future, -torch.inf).softmax(dim=-1)
# endregion
torch.testing.assert_close(my_pattern, cache["pattern", 1], rtol=1e-4, atol=1e-5)
# %% [markdown]
# The cache holds what it says. Now look at attention. Each row is a query, each column a key, and each row
# sums to one. Point at a cell to see which tokens it is about.
# %% result
# four heads of the first layer, which all do the same thing: a stripe just below the diagonal.
# Each query looks at the token before it. (The other four look alike.)
names = [f"0.{head}" for head in range(4)]
plots.attention(cache["pattern", 0][0, :4], text_words, head_names=names, title="Layer 0 on a story")
# %% result
# the second layer is less tidy.
# Some heads look at what followed a word earlier, and many queries rest on the first positions.
for heads in (range(4), range(4, 8)):
    names = [f"1.{head}" for head in heads]
    plots.attention(cache["pattern", 1][0, heads], text_words, head_names=names, title="Layer 1 on a story").show()
# %% [markdown]
# Why would a head look at `<|endoftext|>`, which stands before every text and says nothing? A row must
# sum to one, so a head can't look *nowhere*. A likely reason is that the first position serves as a place
# to rest, where a head does no harm.
#
# ## 2. Detectors
#
# *About 20 minutes of exercises. You turn "this head looks back" into a number that others can check.*
#
# Looking at sixteen pictures is fine. For a model with thousands of heads, and for a claim that others
# can check, we need a number. Here are three simple things that heads do, and where they show in the pattern:
#
# - **current token**: each position looks at itself, so the main diagonal is dark;
# - **previous token**: the stripe one below the diagonal;
# - **first token**: the first column.
#
# Write a detector for each. It takes a cache and names the heads, "0.7" for head 7 of layer 0.
#
# A detector reads one text, so the caches it gets have no batch axis: `model.run_with_cache(tokens,
# remove_batch_dim=True)` takes it off every activation of a batch of one, and `cache.remove_batch_dim()` does so
# later. The pattern is then "n_heads seq_q seq_k", and `cache["pattern", 0][7]` is head 7's, "seq_q seq_k".
# %% exercise="current_attn_detector" title="Who looks at itself?" difficulty=2 importance=3 minutes=10
# hint: Each head gets one number from its pattern. Which entries say "I look at myself"?
# hint: Loop over layers and heads; pattern = cache["pattern", layer][head] is "seq_q seq_k". Take the mean of its diagonal, and compare with a threshold.
# hint: pattern.diagonal().mean() > 0.4, and f"{layer}.{head}" goes into the list. Layers and heads are counted by cache.model.cfg, since the judge brings caches of other sizes.
# %% exercise="prev_attn_detector" title="Who looks back?" difficulty=2 importance=3 minutes=5
# hint: Which entry of row i belongs to the position before i?
# hint: The entries [i, i - 1] are a diagonal as well, one below the main one.
# hint: pattern.diagonal(-1).mean().
# %% exercise="first_attn_detector" title="Who rests at the start?" difficulty=2 importance=2 minutes=5
# hint: All queries that look at one key: is that a row or a column?
# hint: The first column, the entries [i, 0]. Query 0 has no choice, so it doesn't count.
# hint: pattern[1:, 0].mean().
# %% result
# your detectors at work on three models.
# In attn-only-2l the whole first layer looks back. tiny-gpt, in which nothing was set up, has one such head.
models = {name: zoo.load(name) for name in ["attn-only-2l", "tiny-gpt", "tiny-llama"]}
for name, other in models.items():
    _, cache = other.run_with_cache(text_tokens, remove_batch_dim=True)
    print(f"{name}: current {current_attn_detector(cache)}, previous {prev_attn_detector(cache)}, ", end="")
    print(f"first {first_attn_detector(cache)}")
# %% [markdown]
# A detector says that a head *does* this on *this* text. It doesn't say what for, nor that it does
# nothing else on other texts. Keep that in mind, here and in papers.
#
# ## 3. Induction
#
# *About 60 minutes of exercises. You make texts in which only copying helps, and score every head for how it copies.*
#
# Take random words, `table sailor red ...`, and write them down twice. The first copy can't be predicted
# by anybody. The second can, word for word, by whoever notices that the text repeats itself. Nothing that
# a model learned about language helps here. So if its loss falls in the second copy, it must have looked
# the answer up in the text itself.
# %% exercise="generate_repeated_tokens" title="The same again" difficulty=2 importance=3 minutes=10
# hint: Draw one half, and use it twice.
# hint: torch.randint draws places in a list of ids, with generator=generator; the first column is model.tokenizer.bos_token_id for every row.
# hint: half = ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)]; torch.cat([start, half, half], dim=1), with start of shape (batch_size, 1).
# %% exercise="run_and_cache_model_repeated_tokens" title="Run it on them" difficulty=1 importance=3 minutes=5
# hint: You have both parts: the tokens of the exercise before, and a way to run with a cache.
# hint: Pass all arguments on, in their order.
# hint: tokens = generate_repeated_tokens(model, seq_len, batch_size, token_ids, generator), then model.run_with_cache(tokens); return the three.
# %% [markdown]
# We draw from Storyworld's words. Its vocabulary also has the 256 single bytes, for spelling what it
# doesn't know, but the models have hardly ever read them.
# %% result
# the loss at each position. It falls steeply where the second copy begins.
# The level line "equal guesses" is what it costs to give all 929 tokens the same probability.
import math

from arena_lib.transformer.loss import next_token_logprobs

WORDS = torch.arange(257, model.cfg.d_vocab)
N = 20 if SCALE == "tiny" else 50
generator = torch.Generator().manual_seed(0)
rep_tokens, rep_logits, rep_cache = run_and_cache_model_repeated_tokens(model, N, 10, WORDS, generator)
losses = {name: -next_token_logprobs(other(rep_tokens), rep_tokens).mean(dim=0) for name, other in models.items()}
first, second = losses["attn-only-2l"][:N].mean(), losses["attn-only-2l"][N + 1 :].mean()
print(f"attn-only-2l: first copy {first:.2f} nats, second copy {second:.2f} nats (without its first token)")
plots.lines(
    losses,
    x=list(range(1, 2 * N + 1)),
    x_title="position of the token",
    references={"equal guesses": math.log(model.cfg.d_vocab)},
    title="Random words, written twice",
)
# %% [markdown]
# The first token of the second copy is as hard as any: nothing announces that the text starts over. After
# it, `attn-only-2l` and `tiny-gpt` know what comes. `tiny-llama` notices two words later; part 7 says why.
#
# ### How could two heads do that?
#
# ![An induction circuit: two heads in two layers repeat what was seen before](figures/induction.png)
#
# Think of what the second `table` would need. It wants to find the place *after* the first `table`. But
# attention finds places by what stands there, and at that place stands `sailor`. Nothing there says
# `table`, unless an earlier layer has brought it. If a **previous-token head** in layer 0 has told each
# position what stands before it, then the position of `sailor` carries the note "before me: table". Now
# the second layer can ask for that note (the **query**: who has `table` before it?), find it (the
# **key**), and copy what stands there (the **value**: `sailor`). A head that does this is an **induction
# head**.
#
# One layer can't do it, since the key must have been made by a head of an earlier layer. Researchers saw this circuit
# form in training, all at once, in models of every size (Olsson et al. 2022).
#
# So we can predict the pattern of an induction head. The sequence is one token and then the same $n$
# tokens twice. The query at position $n + 1 + i$ holds the same token as position $1 + i$, so the head must look
# at position $i + 2$, one further on. That's a stripe again, $n - 1$ below the diagonal.
# %% exercise="induction_attn_detector" title="Who looks one past the copy?" difficulty=2 importance=3 minutes=10
# hint: It's your detector of the previous token with another diagonal.
# hint: From the length of the pattern you know n: the sequence has 1 + 2n positions.
# hint: n = (pattern.shape[-1] - 1) // 2; the diagonal has the offset -(n - 1), and its first two entries don't belong to the second copy.
# %% result
# the induction heads on ten random words, twice, and the stripe of four of them.
# 1.0, 1.1 and 1.4 are the clearest.
short_tokens, _, short_cache = run_and_cache_model_repeated_tokens(
    model, 10, 1, WORDS, torch.Generator().manual_seed(1)
)
short_cache = short_cache.remove_batch_dim()
short_words = model.to_str_tokens(short_tokens)
print("induction heads here:", induction_attn_detector(short_cache))
clear, names = [0, 1, 4, 7], ["1.0", "1.1", "1.4", "1.7"]
plots.attention(short_cache["pattern", 1][clear], short_words, head_names=names, title="Ten random words, twice")
# %% [markdown]
# ### Scores, by hook
#
# For a number that doesn't depend on one random string, take many strings and average. A cache of
# everything would be a waste: of each layer we need `n_heads` numbers. This is what hooks are for: the
# pattern flows by, the hook takes its score, and the pattern is forgotten.
#
# A hook gets two arguments and no more. Where does it put its result? It could write to a global
# variable, which works until somebody forgets to clear it. We use `hook.ctx` instead, a dictionary that
# belongs to the hook's place in the model. `model.reset_hooks()` empties it.
# %% exercise="induction_score" title="One number for a head" difficulty=2 importance=4 minutes=15
# hint: The stripe of the detector, for all heads and examples at once.
# hint: torch's diagonal takes dim1 and dim2, and puts the diagonal's entries into a new last axis: "batch n_heads entries".
# hint: pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1), without its first two entries, which lie before the second copy; then the mean over the batch and the entries.
# %% exercise="induction_score_hook" title="Catch it as it flows by" difficulty=2 importance=4 minutes=10
# hint: A hook that only looks returns nothing.
# hint: You have a function for the score. Where does the result go?
# hint: hook.ctx["induction_score"] = induction_score(pattern).
# %% result
# the scores of all heads of three models; a frame marks those above 0.4.
# The control is attn-only-2l before its training, layer 0 set up by hand: its heads don't do induction.
from arena_lib.zoo.recipes.attn_only_2l import make_model


def all_induction_scores(model, tokens):
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    model.run_with_hooks(tokens, fwd_hooks=[(name, induction_score_hook) for name in names])
    scores = [torch.as_tensor(model.hook_dict[name].ctx["induction_score"]) for name in names]
    model.reset_hooks()
    return torch.stack(scores)


untrained = make_model()
induction_scores = {
    name: all_induction_scores(other, rep_tokens) for name, other in [*models.items(), ("untrained", untrained)]
}
print(f"untrained: at most {induction_scores['untrained'].max():.2f}")
for name in models:
    scores = induction_scores[name]
    plots.heads(scores, title=f"{name}: attention one past the copy", mark=scores > 0.4, limit=1.0).show()
# %% exercise="find_induction_heads" title="Where nothing was set up" difficulty=2 importance=3 minutes=10
# hint: The scores are in induction_scores[name], "n_layers n_heads"; a head counts above 0.4.
# hint: (scores > 0.4).nonzero() gives pairs of layer and head.
# hint: [f"{layer}.{head}" for layer, head in (scores > 0.4).nonzero().tolist()], for each model.
# Name the induction heads of tiny-gpt and of tiny-llama, for example {"tiny-gpt": ["3.2"], ...}.
# Then look at the first layers of both: which model has a previous-token head, as the story of two heads demands?
# region solution
induction_heads = {
    name: [f"{layer}.{head}" for layer, head in (induction_scores[name] > 0.4).nonzero().tolist()]
    for name in ["tiny-gpt", "tiny-llama"]
}
has_previous_token_head = {}
for name in induction_heads:
    _, cache = models[name].run_with_cache(rep_tokens[:1], remove_batch_dim=True)
    has_previous_token_head[name] = any(head[0] == "0" for head in prev_attn_detector(cache))
# endregion
assert induction_heads["tiny-gpt"] == ["1.0", "1.2", "1.3"]
assert induction_heads["tiny-llama"] == ["2.0", "2.1", "2.2", "2.3"]
assert has_previous_token_head == {"tiny-gpt": True, "tiny-llama": False}


# %% [markdown]
# `tiny-gpt` learned the whole circuit by itself: 0.0 looks one back, and 1.0, 1.2 and 1.3 perform
# induction. `tiny-llama` has induction heads without any head that looks one back! So it must do induction
# in some other way. We come back to it in part 7, when you have the tools.
#
# ## 4. Who wrote the logit?
#
# *About 25 minutes of exercises. You split a logit into what each head wrote, and see what this misses.*
#
# An attention pattern shows where a head looks, not what it does with what it finds. For that, look at
# its output.
#
# The residual stream that leaves the last layer is a **sum**: the embedding, plus what each head added.
# The unembedding is linear. So the logit of a token is a sum, too, with one term for each part:
#
# $$\text{logit}_t = \Big(\text{embed} + \sum_{\text{heads}} \text{result}_h\Big) \cdot W_U[:, t]
# = \text{embed} \cdot W_U[:, t] + \sum_{\text{heads}} \text{result}_h \cdot W_U[:, t]$$
#
# Here $W_U[:, t]$ is the column of the unembedding that belongs to token $t$, and $\text{result}_h$ is what
# head $h$ adds to the stream. Each term says how much that part pushed for token $t$, by itself: its
# **direct logit attribution**.
#
# One detail is in the way. Between the sum and the unembedding stands a LayerNorm, which divides by a
# scale, and the scale depends on the whole stream. But once the model has run, we know the scale: it's
# just a number for each position. So we hold it fixed, and divide each part by it.
# `cache.apply_ln_to_stack` does that (and takes the mean away and multiplies by the gain, which are
# linear anyway). The parts that your function gets are already scaled.
# %% exercise="logit_attribution" title="The logit, in pieces" difficulty=3 importance=4 minutes=15
# hint: One dot product for each position and each component. With which column of W_U?
# hint: Put all components into one tensor, "seq n_components d_model", and leave out the last position. The columns W_U[:, tokens[1:]] are "d_model seq-1".
# hint: components = torch.cat([embed[:, None], l1_results, l2_results], dim=1)[:-1]; then an einsum of "seq comp d_model" with "d_model seq" to "seq comp".
# %% result
# what each part adds to the right next token, on ten random words, twice.
# In the second copy the induction heads push hard, and layer 0 adds next to nothing.
def attribute(model, tokens, cache):
    """Your logit_attribution, for a cache without a batch axis; parts scaled by the final norm."""
    results = cache.stack_head_results(apply_ln=True).unflatten(0, (model.cfg.n_layers, model.cfg.n_heads))
    first, second = results.transpose(1, 2)
    embed = cache.apply_ln_to_stack(cache["embed"][None])[0]
    return logit_attribution(embed, first, second, model.W_U, tokens)


contributions = attribute(model, short_tokens[0], short_cache)
component_names = ["direct"] + [f"{layer}.{head}" for layer in range(2) for head in range(8)]
steps = [f"{a.strip()} → {b.strip()}" for a, b in zip(short_words[:-1], short_words[1:], strict=True)]
plots.matrix(
    contributions,
    rows=steps,
    columns=component_names,
    row_title="token → next token",
    column_title="component",
    quantity="logit",
    title="Direct attribution to the right next token",
)
# %% [markdown]
# Is anything missing? The terms must add up to the logit. They do, up to biases, which no head brings:
# each layer's $b_O$, the final norm's bias and the unembedding's. The library's `direct_logit_attribution`
# lists those too, for any model, so that its parts add up to the logit, apart from rounding:
# %%
from arena_lib.interp.attribution import direct_logit_attribution

answers = rep_tokens[:, 3]  # position N + 2 holds the same token as position 2, so position 3's token comes next
parts = direct_logit_attribution(model, rep_tokens, answers, position=N + 2)
logit = rep_logits[range(10), N + 2, answers]
print(f"largest difference between the sum of the parts and the logit: {(parts.total - logit).abs().max():.1e}")
# %% exercise="interpret_attribution" title="How much of it is induction?" difficulty=2 importance=3 minutes=10
# hint: contributions is "seq-1 components"; which rows are guesses at tokens of the second copy, but for its first token?
# hint: Row i is the guess at token i + 1. The second copy's tokens 2 to 10 are at positions 12 to 20, so the rows 11 to 19.
# hint: rows = contributions[11:]; the columns of 1.0, 1.1 and 1.4 are found with component_names.index; divide the two sums.
# What share of all that the components add, in the second copy, comes from the heads 1.0, 1.1 and 1.4?
# And what share comes from all eight heads of layer 0?
# region solution
in_second_copy = contributions[11:]
columns = [component_names.index(name) for name in ["1.0", "1.1", "1.4"]]
share_of_three = float(in_second_copy[:, columns].sum() / in_second_copy.sum())
share_of_layer_0 = float(in_second_copy[:, 1:9].sum() / in_second_copy.sum())
# endregion
assert 0.5 < share_of_three < 0.9, f"{share_of_three:.2f} isn't it"
assert abs(share_of_layer_0) < 0.05, f"{share_of_layer_0:.2f} isn't it"
print(f"three induction heads {share_of_three:.0%}, layer 0 {share_of_layer_0:.0%}")
# %% [markdown]
# The first layer writes nothing into the logits directly. Does that mean it isn't needed? No: attribution
# is blind to what later heads *make* of a part. To see that, we must interfere.
#
# ## 5. Taking heads away
#
# *About 60 minutes of exercises. You measure what the model loses without a head, in two ways, and where this misleads.*
#
# **Ablation** asks: what is lost without this head? Run the model, replace the head's output by something
# that knows nothing, and measure the loss. The simplest replacement is zero. The place is `hook_z`, where
# the heads are still separate.
# %% exercise="head_zero_ablation_hook" title="Silence a head" difficulty=2 importance=4 minutes=10
# hint: A hook may write into what it gets.
# hint: The third axis of z counts the heads.
# hint: z[:, :, head_index_to_ablate] = 0.0.
# %% [markdown]
# A hook is called with two arguments, and this one takes three. `functools.partial(function,
# head_index_to_ablate=3)` makes a function whose third argument is fixed.
#
# Now do it for every head, one at a time, and see by how much the loss *on the second copy* grows. The
# mean over all positions would hide it: half of them can't be predicted anyway.
# `next_token_logprobs(logits, tokens)` from the set-up cell gives log-probabilities of the tokens that
# came, "batch seq-1": its entry `i` is about token `i + 1`.
# %% exercise="get_ablation_scores" title="One head at a time" difficulty=3 importance=4 minutes=30
# hint: One run without a hook, then one for each head. Every score is a difference of two losses.
# hint: Loop over layers and heads; in each step run_with_hooks with the one hook on f"blocks.{layer}.attn.hook_z". The logprobs of the right tokens come from next_token_logprobs(logits, tokens), "batch seq-1".
# hint: n = (tokens.shape[1] - 1) // 2; loss = -next_token_logprobs(logits, tokens)[:, -(n - 1):].mean(); hook = partial(ablation_function, head_index_to_ablate=head).
# %% result
# how much worse the model repeats without each head.
# Three heads of layer 1 stand out. No single head of layer 0 is missed.
plots.heads(get_ablation_scores(model, rep_tokens), title="Zero ablation", quantity="nats more")
# %% [markdown]
# Is zero a fair replacement? Suppose a head always adds the same vector, whatever it reads. Then it acts as
# a bias. The later layers count on it, and setting it to zero breaks things that have nothing to do with
# what the head *knows*. **Mean ablation** keeps what the head does on average and takes away what depends
# on the example: each example gets the mean over the batch, position by position. (Another way is to give
# each example the output of *another* example, **resampling**: `head_resample_ablation_hook` in the
# library.)
# %% exercise="head_mean_ablation_hook" title="Keep the average" difficulty=2 importance=3 minutes=10
# hint: Which axis counts the examples?
# hint: The mean over the first axis is "seq d_head" for one head, and broadcasts back over the batch.
# hint: z[:, :, head_index_to_ablate] = z[:, :, head_index_to_ablate].mean(0).
# %% result
# zero against mean.
# The same three heads stand out either way, and with the mean each costs less. The others stay within 0.03 nats of
# zero in both. In tiny-gpt the choice matters more: look at its heads 0.1 and 0.2.
head_names = [f"{layer}.{head}" for layer in range(2) for head in range(8)]
by_kind = {
    "zero": get_ablation_scores(model, rep_tokens).flatten(),
    "mean": get_ablation_scores(model, rep_tokens, head_mean_ablation_hook).flatten(),
}
gpt_by_kind = {
    "zero": get_ablation_scores(models["tiny-gpt"], rep_tokens)[0],
    "mean": get_ablation_scores(models["tiny-gpt"], rep_tokens, head_mean_ablation_hook)[0],
}
for kind, scores in gpt_by_kind.items():
    print(f"tiny-gpt, {kind}:", {f"0.{head}": round(float(score), 2) for head, score in enumerate(scores)})
plots.bars(by_kind, head_names, x_title="head", y_title="loss added (nats)", title="What is lost without each head")
# %% [markdown]
# In `attn-only-2l` both ways tell the same story: 1.0, 1.1 and 1.4 are needed. A part of what each of them
# adds is the same for all examples, and mean ablation leaves that in place: 1.0 costs 0.7 nats at zero and
# 0.5 at its mean. The other thirteen heads cost about nothing either way. In `tiny-gpt` the two disagree:
# 0.2 costs 0.27 nats at zero, and nothing at its mean. So the model needs what 0.2 always adds, and nothing
# that 0.2 knows about the example.
#
# And layer 0 of `attn-only-2l`? Each of its heads looks one token back. If one goes, seven are left that say
# the same. To see whether the *job* matters, take them all away.
# %% exercise="ablate_a_layer" title="Take all eight" difficulty=2 importance=3 minutes=10
# hint: fwd_hooks is a list: several hooks may sit at the same place, and are called one after the other.
# hint: Eight hooks at blocks.0.attn.hook_z, each with another head, made with partial.
# hint: hooks = [("blocks.0.attn.hook_z", partial(head_mean_ablation_hook, head_index_to_ablate=head)) for head in range(8)]; then the loss as in get_ablation_scores.
# By how many nats does the loss on the second copy grow when all heads of layer 0 are mean-ablated at once?
from functools import partial

# region solution
hooks = [
    ("blocks.0.attn.hook_z", partial(head_mean_ablation_hook, head_index_to_ablate=head))
    for head in range(model.cfg.n_heads)
]
without = model.run_with_hooks(rep_tokens, fwd_hooks=hooks)
loss_without, loss_intact = (
    -next_token_logprobs(logits, rep_tokens)[:, -(N - 1) :].mean() for logits in (without, rep_logits)
)
lost = float(loss_without - loss_intact)
# endregion
assert lost > 4, f"{lost:.2f} is too little: are all eight heads gone?"
print(
    f"without layer 0's heads the loss grows by {lost:.2f} nats; a lost head alone costs {by_kind['mean'][:8].max():.2f}"
)
# %% [markdown]
# Both halves of the story are needed, then: without what layer 0 brings, layer 1 can't find its place.
# Remember it for every ablation study: **a part that isn't missed may still have a job that matters**,
# if others do it as well.
#
# ## 6. Reading the weights
#
# *About 270 minutes of exercises: take breaks. You read from weights what a head moves and where it looks,
# follow the induction circuit through both layers, and compare its heads with what chance gives.*
#
# Everything so far needed texts. But the circuit is *in the weights*; a text only brings it out. Can we
# see it there? In this part we don't run the model, except once, to check.
#
# ### Two circuits in a head
#
# A head does two things, and they have weights of their own (Elhage et al. 2021).
#
# - **Where it looks.** With $x_i$ the stream at position $i$, a query there scores the key at $j$ with
#   $x_i W_Q W_K^T x_j^T$. All that matters is the product $W_Q W_K^T$, one matrix from the stream to the
#   stream: the **QK circuit**.
# - **What it moves.** If it looks at $j$, it adds $x_j W_V W_O$. Again one matrix: the **OV circuit**.
#
# Put the embedding before these matrices and the unembedding after them, and they become tables *between
# tokens*, which we can read:
#
# $$\text{full OV} = W_E \, W_V W_O \, W_U \qquad \text{full QK} = W_E \, W_Q W_K^T \, W_E^T$$
#
# Row $t$ of the full OV circuit says: if this head looks at token $t$, how much does it add to the logit
# of each token? It has $929 \times 929$ entries. In GPT-2 it would be 50 257 squared: 2.5 billion
# numbers, ten gigabytes. Yet all of it passes through the head's `d_head` = 32 numbers. It's a matrix of
# **low rank**, and we never need to write it out: keep its two thin factors $A$ and $B$, 929 × 32 and
# 32 × 929, whose product it is. That is what the class `FactoredMatrix(A, B)` does. It needs three things
# about such a product without making it, and you write them. All three are used below: the norm for
# composition scores, the eigenvalues to measure copying, and the singular values to see how many directions
# a head really uses.
# %% exercise="factored_norm" title="The size of a matrix that isn't there" difficulty=4 importance=2 minutes=20
# hint: A rotation changes no length. How much of A is rotation?
# hint: torch.linalg.qr(A) gives A = Q R with orthonormal columns in Q; the norm of Q (R B) is that of R B, which is small.
# hint: torch.linalg.matrix_norm(torch.linalg.qr(A).R @ B) is the root of the sum of squares over the last two axes.
# %% exercise="factored_eigenvalues" title="Eigenvalues from the small side" difficulty=4 importance=2 minutes=15
# hint: A B is large and B A is small, and they share their eigenvalues, apart from zeros. The docstring shows why.
# hint: torch.linalg.eigvals takes a batch of square matrices.
# hint: torch.linalg.eigvals(B @ A).
# %% exercise="factored_svd" title="Singular vectors, too" difficulty=4 importance=1 minutes=25
# hint: Split the rotations off on both sides, decompose what is left in the middle, and rotate back.
# hint: QR of A, and QR of B transposed; the middle is R_A R_B^T, rank x rank. svd with full_matrices=False.
# hint: U = Q_A @ U_middle; Vh = Vh_middle @ Q_B.mT.
# %% [markdown]
# ### Norms, folded away
#
# The formulas above left out the LayerNorms: a head reads $W_Q$ of the *normalised* stream. A norm does
# four things: it takes the mean away, divides by a scale, multiplies each entry by a gain, and adds a
# bias. Taking the mean away and the gain are linear, and always the same. So they can be **folded** into
# the weight that comes after, once and for all. What is left is the scale, one positive number for each
# position. It makes a whole row larger or smaller and doesn't change who is the largest in it. (The bias
# adds the same to every token; circuits leave it out.)
# %% exercise="fold_norm" title="Fold the norm into the weight" difficulty=3 importance=3 minutes=20
# hint: Two linear maps in a row are one. What does multiplying x by a gain, entry for entry, do to the rows of the weight that comes after it?
# hint: (x * gain) @ W = x @ (gain[:, None] * W). And x - mean(x) is x times a matrix; the same matrix may be applied to the columns of W instead.
# hint: scaled = weight * gain[:, None]; scaled - scaled.mean(dim=-2, keepdim=True) if is_centred.
# %% [markdown]
# The library does this where it's needed: `folded_reader(model, layer, "W_V")` gives the `W_V` of all heads
# of a layer with the layer's norm in it, "n_heads d_model d_head", and `folded_unembedding(model)` gives
# `W_U` with the final norm.
#
# Their products are kept as a `FactoredMatrix`. With `M = FactoredMatrix(A, B)`:
#
# - `M.A` and `M.B` are the factors, `M.shape` is the shape that $A B$ would have, and `M.AB` multiplies it out.
# - `M.norm()`, `M.eigenvalues` and `M.svd()` do what your three functions do. `M.T` is the transpose.
# - `M @ N` is a factored matrix again, if `N` is one or an ordinary matrix.
# - `M[3]` and `M[:, 5:9]` pick rows and columns, and are `FactoredMatrix` again (a single row stays a row).
# - Leading axes are a batch, such as one of heads. They come first in `M.shape` and in an index, `M.norm()`
#   has one number for each matrix, and in `M @ N` they broadcast. `M.unsqueeze(i)` puts a new axis of length 1
#   among them, at place `i`. To reshape them, reshape the factors and make a new `FactoredMatrix`.
#
# ### What an induction head moves
#
# If an induction head looks at `sailor`, it should raise the logit of `sailor`: it should **copy**. In
# the full OV circuit, that is the diagonal.
# %% exercise="full_OV_circuit" title="From token to logit" difficulty=2 importance=3 minutes=15
# hint: Four matrices in a row: embed, read, write, unembed. Where do they pass through the thinnest place?
# hint: The two factors meet in d_head: A = W_E W_V, B = W_O W_U, with the folded W_V and W_U.
# hint: FactoredMatrix(model.W_E @ folded_reader(model, layer, "W_V")[head], model.W_O[layer, head] @ folded_unembedding(model)).
# %% exercise="top_1_acc" title="How often is the diagonal the largest?" difficulty=2 importance=2 minutes=15
# hint: For each source token, is its own logit the largest of its row?
# hint: A slice of rows, full_OV_circuit[start : start + batch_size], is a FactoredMatrix again, and .AB multiplies it out.
# hint: rows.argmax(dim=-1) == torch.arange(start, start + len(rows)); count over all slices, and divide by the number of rows.
# %% result
# a corner of the full OV circuit of head 1.4, for forty words: the diagonal stands out.
some = WORDS[torch.randperm(len(WORDS), generator=torch.Generator().manual_seed(1))[:40]]
some_words = model.to_str_tokens(some)
circuit = full_OV_circuit(model, 1, 4)
plots.matrix(
    circuit.A[some] @ circuit.B[:, some],
    rows=some_words,
    columns=some_words,
    row_title="token looked at",
    column_title="token whose logit it adds to",
    quantity="logit, up to scale",
    title="Head 1.4 copies",
)


# %% result
# how well each head of layer 1 copies: the share of tokens whose own logit it raises the most.
# Among words it's more than among all tokens, which include the 256 bytes that the model has hardly ever read.
def word_accuracy(circuit):
    """top_1_acc for the rows that are words."""
    rows = circuit.A[WORDS] @ circuit.B
    return float((rows.argmax(dim=-1) == WORDS).float().mean())


circuits = [full_OV_circuit(model, 1, head) for head in range(8)]
accuracies = {
    "all tokens": torch.tensor([top_1_acc(circuit) for circuit in circuits]),
    "words": torch.tensor([word_accuracy(circuit) for circuit in circuits]),
}
plots.bars(
    accuracies, [f"1.{head}" for head in range(8)], y_title="share copied", title="Copying, from the weights alone"
)


# %% [markdown]
# 1.0, 1.1 and 1.4 copy about three quarters of all tokens and more than nine of ten words. These are the
# three heads that you found by their attention, and this time it took no text.
#
# ### A second measure, and why it disagrees
#
# Elhage et al. measure copying by eigenvalues. An eigenvector of the full OV circuit is a mix of tokens that
# the head turns into $\lambda$ times itself. If $\lambda$ is positive, looking at that mix raises the logits
# of that same mix. With $\lambda_1, \lambda_2, \dots$ the eigenvalues,
#
# $$\text{copying score} = \frac{\sum_i \lambda_i}{\sum_i |\lambda_i|}$$
#
# is 1 if all are positive and near 0 for a random matrix. Your `factored_eigenvalues` gives them, and your
# `factored_svd` and `factored_norm` say how much of a circuit lies in the largest of its singular directions.
# %% result
# three numbers for each head of layer 1. By the copying score all of them copy; before training none did.
# The third is the share of the circuit's squared norm in its largest singular direction: see 1.5.
def copying_score(circuit):
    """The sum of the eigenvalues over the sum of their sizes, from -1 to 1."""
    eigenvalues = factored_eigenvalues(circuit.A, circuit.B)
    return float(eigenvalues.sum().real / eigenvalues.abs().sum())


def share_of_largest_direction(circuit):
    """How much of the squared norm one singular direction holds, from 0 to 1."""
    _, S, _ = factored_svd(circuit.A, circuit.B)
    return float(S[0] ** 2 / factored_norm(circuit.A, circuit.B) ** 2)


measures = {
    "copying score": [copying_score(circuit) for circuit in circuits],
    "its own logit is the largest": accuracies["all tokens"],
    "in one direction": [share_of_largest_direction(circuit) for circuit in circuits],
}
before_training = [copying_score(full_OV_circuit(untrained, 1, head)) for head in range(8)]
print(f"copying scores before training: from {min(before_training):.2f} to {max(before_training):.2f}")
plots.bars(measures, [f"1.{head}" for head in range(8)], y_title="share", title="Two measures of copying")
# %% [markdown]
# All eight heads have copying scores of at least 0.90. Yet 1.5 puts the token that it looks at on top for only
# 2 % of the tokens. The two measures ask different questions: does the head raise what it reads, and does it
# raise it *above all other tokens*? The singular values explain 1.5: 70 % of its squared norm lies in one
# direction, against 11 % for 1.4. Whatever 1.5 looks at, it writes mostly more or less of one and the same mix
# of tokens, and so it can hardly tell tokens apart. To repeat a word that isn't enough.
#
# Why do even the three best heads miss a quarter of all tokens? A head has only 32 dimensions in which to tell
# 929 tokens apart. But the three heads look at the same place, so what they bring is added up:
# %% exercise="effective_OV_circuit" title="Heads that work together" difficulty=3 importance=3 minutes=15
# hint: The sum of two products A1 B1 + A2 B2 is one product of larger factors. Which?
# hint: Put the A side by side and the B one below the other.
# hint: torch.cat([c.A for c in circuits], dim=-1) and torch.cat([c.B for c in circuits], dim=-2).
# %% result
# how well the three induction heads copy together, and each pair of them.
# Three heads of 32 dimensions tell nearly all tokens apart.
for heads in ([0, 1], [0, 4], [1, 4], [0, 1, 4], range(8)):
    circuit = effective_OV_circuit(model, [(1, head) for head in heads])
    names = " + ".join(f"1.{head}" for head in heads)
    print(f"{names}: {top_1_acc(circuit):.1%} of all tokens, {word_accuracy(circuit):.1%} of words")
# %% [markdown]
# ### Where a previous-token head looks
#
# Layer 0's heads read token embeddings plus position embeddings, so their score has four terms: token with
# token, token with position, and so on. Look at the term that knows positions only,
# $W_{pos} W_Q W_K^T W_{pos}^T$, a table of query positions and key positions. `position_QK_circuit(model, layer, head)` gives it as a `FactoredMatrix`.
# (Here positions come in after the norm, so nothing is folded.)
# %% exercise="position_pattern" title="A pattern without a text" difficulty=3 importance=3 minutes=15
# hint: If these were the scores, what would the pattern be?
# hint: Over the root of d_head, then the causal mask, then softmax over the keys: as in attention.
# hint: scores = position_QK_circuit(model, 0, head).AB / model.cfg.d_head**0.5; masked_fill with triu(1); softmax; the diagonal with offset -1.
from arena_lib.interp.weights import position_QK_circuit

# For each head of layer 0, make the pattern that positions alone would give, "8 n_ctx n_ctx".
# region solution
position_patterns = []
for head in range(model.cfg.n_heads):
    scores = position_QK_circuit(model, 0, head).AB / model.cfg.d_head**0.5
    hidden = torch.ones_like(scores).triu(1).bool()
    position_patterns.append(scores.masked_fill(hidden, -torch.inf).softmax(dim=-1))
position_patterns = torch.stack(position_patterns)
# endregion
assert position_patterns.shape == (8, 128, 128)
torch.testing.assert_close(position_patterns.sum(-1), torch.ones(8, 128))
looks_back = position_patterns.diagonal(-1, -2, -1).mean(-1)
assert looks_back.min() > 0.9, f"every head looks one back, by positions alone: {looks_back.tolist()}"
# %% result
# the start of head 0.3's pattern, from positions alone, and how much each head looks one back.
print({f"0.{head}": round(float(share), 3) for head, share in enumerate(looks_back)})
plots.matrix(
    position_patterns[3, :12, :12],
    row_title="query position",
    column_title="key position",
    quantity="attention",
    title="Head 0.3 from W_pos, W_Q and W_K alone",
)
# %% [markdown]
# So the heads of layer 0 need no text to know where to look. (They were set up like this. But for the last
# 2 000 updates training was free to change it, and they still do it.)
#
# ### How the induction head finds its place
#
# Now the interesting part: the score of an induction head. Its queries and keys are read from the stream
# that enters layer 1. That is a sum: the token's embedding, the position, and the output of each head of
# layer 0. A score is linear in the query and linear in the key. So it's a sum over **pairs**: each part
# of the query with each part of the key. Our story predicts which pairs matter: the *token* in the query
# ("I am `table`") with the *heads of layer 0* in the key ("before me is `table`"). If layer 0's output is
# read by the later head's keys, we speak of **K-composition**; if by its queries, of Q-composition; if by its
# values, of V-composition.
# %% exercise="decompose_qk_input" title="What the second layer reads, in parts" difficulty=4 importance=4 minutes=25
# hint: The stream that enters layer 1 is a sum of what you know from the cache. The norm in front of layer 1 is applied to each part, with the scale held fixed.
# hint: Stack the embedding, b_O of layer 0, and the eight heads' results; apply_ln_to_stack(parts, 1) scales them. The norm's bias and the position embedding are added to part 1 afterwards.
# hint: heads = cache["result", 0].transpose(0, 1); b_O = model.b_O[0].expand_as(cache["embed"]); parts[1] += model.blocks[1].ln1.b + cache["pos_embed"].
# %% exercise="decompose_q" title="The query, in parts" difficulty=2 importance=3 minutes=10
# hint: Queries are linear in what they are read from, apart from a constant.
# hint: Each part times W_Q of the head; the bias is added once, to part 1.
# hint: q = decomposed_qk_input @ model.W_Q[1, ind_head_index]; q[1] += model.b_Q[1, ind_head_index].
# %% exercise="decompose_k" title="The key, in parts" difficulty=1 importance=2 minutes=5
# hint: The same as for queries.
# hint: Other weights.
# hint: W_K and b_K.
# %% exercise="decompose_attn_scores" title="Each pair of parts" difficulty=2 importance=4 minutes=10
# hint: All pairs of parts, and all pairs of positions: four axes.
# hint: One einsum over d_head. Don't forget what every score is divided by.
# hint: einops.einsum(q, k, "q_comp q_pos d_head, k_comp k_pos d_head -> q_comp k_comp q_pos k_pos") / model.cfg.d_head**0.5.
# %% result
# which pairs of parts make head 1.4 look one past the copy.
# Each number: the pair's mean score there, less its mean over the other words that could be looked at. The first row's
# eight cells, the token as query against what layer 0's heads brought, hold nearly everything.
from arena_lib.interp.weights import component_labels

one = rep_tokens[:1]
_, one_cache = model.run_with_cache(one, remove_batch_dim=True)
parts = decompose_qk_input(one_cache)
pairs = decompose_attn_scores(decompose_q(parts, 4, model), decompose_k(parts, 4, model), model)
is_allowed = torch.ones(pairs.shape[-2:]).tril().bool()
torch.testing.assert_close(
    pairs.sum((0, 1))[is_allowed], one_cache["attn_scores", 1][4][is_allowed], rtol=1e-3, atol=1e-3
)
queries = range(N + 1, 2 * N + 1)
at_the_right_key = torch.stack([pairs[:, :, query, query - N + 1] for query in queries]).mean(0)
at_others = torch.stack([pairs[:, :, query, 1 : query + 1].mean(-1) for query in queries]).mean(0)
lead = at_the_right_key - at_others
print(f"of a lead of {lead.sum():.1f}, the token's query and layer 0's keys give {lead[0, 2:].sum():.1f}")
labels = component_labels(model)
plots.matrix(
    lead,
    rows=labels,
    columns=labels,
    row_title="part of the query",
    column_title="part of the key",
    quantity="score",
    title="Head 1.4: what speaks for the right key",
)
# %% [markdown]
# That's K-composition, measured. A lead of more than 18 in the score means that the right key gets more than
# $e^{18}$ times the attention of a key with an average score: the head is very sure.
#
# It can also be seen without a text. Follow the path through the weights: a key token goes in at layer 0, is
# carried one place on by head $p$ (its OV circuit), and is read as a key by induction head $h$. The query
# token is read directly:
#
# $$\text{K-composition circuit} = W_E \, W_Q^h \, \big(W_E \, W_V^p W_O^p \, W_K^h\big)^T$$
#
# Row: query token. Column: the token that stood before the key. If the head matches equal tokens, the
# diagonal is the largest of each row, and `top_1_acc` measures that.
# %% exercise="find_K_comp_full_circuit" title="The circuit, whole" difficulty=3 importance=4 minutes=20
# hint: Two thin matrices that meet in the induction head's d_head: queries of all tokens, and keys of all tokens by way of layer 0.
# hint: A = W_E W_Q; B is the transpose of W_E W_V W_O W_K. Weights that read the stream are folded; W_O writes and isn't.
# hint: brought = model.W_E @ folded_reader(model, 0, "W_V")[p] @ model.W_O[0, p]; keys = brought @ folded_reader(model, 1, "W_K")[h]; FactoredMatrix(queries, keys.mT).
# %% result
# how often the matching token has the largest score, by way of each head of layer 0.
# No single head of the eight carries more than half of it.
through_one = torch.tensor([[top_1_acc(find_K_comp_full_circuit(model, p, h)) for p in range(8)] for h in (0, 1, 4)])
plots.matrix(
    through_one,
    rows=["1.0", "1.1", "1.4"],
    columns=[f"0.{p}" for p in range(8)],
    row_title="induction head",
    column_title="by way of",
    quantity="accuracy",
    limit=1.0,
    title="K-composition through one head of layer 0",
)
# %% [markdown]
# In the papers' models one or a few previous-token heads feed the induction heads. Here eight heads look one
# back, and they share the work: through the best single one, less than half of the tokens match. Ablation
# said the same: no single head of layer 0 is missed. What the eight bring is *added up* in the stream.
# %% exercise="add_up_eight" title="All eight at once" difficulty=2 importance=3 minutes=10
# hint: A is the same for all eight circuits: the query doesn't pass layer 0.
# hint: If A is shared, A B1 + A B2 = A (B1 + B2).
# hint: circuits = [find_K_comp_full_circuit(model, p, h) for p in range(8)]; FactoredMatrix(circuits[0].A, sum(c.B for c in circuits)).
# For each induction head, the accuracy of the K-composition circuit through all of layer 0: {0: ..., 1: ..., 4: ...}.
from arena_lib.interp.weights import FactoredMatrix

# region solution
through_all = {}
for head in (0, 1, 4):
    circuits = [find_K_comp_full_circuit(model, p, head) for p in range(8)]
    through_all[head] = top_1_acc(FactoredMatrix(circuits[0].A, sum(circuit.B for circuit in circuits)))
# endregion
assert all(accuracy > 0.9 for accuracy in through_all.values()), f"{through_all}: is something left out?"
print({f"1.{head}": round(accuracy, 3) for head, accuracy in through_all.items()})
# %% [markdown]
# There is your circuit, from weights alone. Layer 0 moves every token one place on (position QK). Layer 1
# finds the place where the moved token equals its own (K-composition, 92 to 94 %) and copies what stands
# there (OV of the three heads together, 94 % of all tokens and every word).
#
# ### Composition scores
#
# We knew which heads to look at. In a larger model we don't. Is there a number that says, for *any* pair
# of heads, how much the later reads what the earlier writes? Let $W_A$ be what the earlier head does to
# the stream, $W_V W_O$, and $W_B$ what reads it: $W_Q W_K^T$ for Q-composition, its transpose for K, $W_V
# W_O$ for V. If the earlier head writes where the later doesn't read, their product is small, although
# both are large:
#
# $$\text{composition score} = \frac{\lVert W_A W_B \rVert}{\lVert W_A \rVert \, \lVert W_B \rVert}$$
#
# where $\lVert \cdot \rVert$ is the Frobenius norm: the root of the sum of all squared entries.
# %% exercise="get_comp_score" title="Do they meet?" difficulty=2 importance=3 minutes=10
# hint: Three norms and a product.
# hint: The Frobenius norm is the root of the sum of all squared entries.
# hint: torch.linalg.matrix_norm for each, and .item() at the end.
# %% [markdown]
# Is 0.07 much? Two random matrices meet a little, too. So measure what chance gives, with random matrices
# of the same shape *and rank*. Matrices of full rank would have about the same mean score, but their scores
# would spread far less, and chance would seem narrower than it is.
# %% exercise="generate_single_random_comp_score" title="What chance gives" difficulty=2 importance=3 minutes=10
# hint: A head's matrix is d_model x d_model, but a product of two thin ones.
# hint: Four random matrices: two for each side.
# hint: torch.randn(d_model, d_head, generator=generator) @ torch.randn(d_head, d_model, generator=generator), twice, into get_comp_score.
# %% exercise="get_batched_comp_scores" title="All pairs, without large matrices" difficulty=4 importance=2 minutes=30
# hint: Every norm here is the norm of a product of thin matrices, and you know how to take it without multiplying out.
# hint: Make one batch axis of each side's. Give the As a second axis and the Bs a first one, so that all pairs broadcast; the product of two factored matrices is one again, and has a .norm().
# hint: A = FactoredMatrix(W_As.A.reshape(-1, *W_As.A.shape[-2:]), W_As.B.reshape(-1, *W_As.B.shape[-2:])) has one batch axis; B likewise. scores = (A.unsqueeze(1) @ B.unsqueeze(0)).norm() / (A.norm()[:, None] * B.norm()[None]); scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2]).
# %% result
# Q-, K- and V-composition between the layers, what chance gives, and the same model before its training.
# White is chance. K-composition is above it for every pair, by up to two thirds; Q and V are mostly below. Before
# training all three are where chance is. (The three figures share one scale.)
from arena_lib.interp.weights import folded_reader


def composition_scores(model):
    """The scores of layer 0's heads (rows) with layer 1's (columns), for each kind of composition."""
    writers = FactoredMatrix(folded_reader(model, 0, "W_V"), model.W_O[0])
    W_Q, W_K = folded_reader(model, 1, "W_Q"), folded_reader(model, 1, "W_K")
    readers = {
        "Q": FactoredMatrix(W_Q, W_K.mT),
        "K": FactoredMatrix(W_K, W_Q.mT),
        "V": FactoredMatrix(folded_reader(model, 1, "W_V"), model.W_O[1]),
    }
    return {kind: get_batched_comp_scores(writers, reader) for kind, reader in readers.items()}


generator = torch.Generator().manual_seed(0)
chance = torch.tensor(
    [generate_single_random_comp_score(256, 32, generator) for _ in range(10 if SCALE == "tiny" else 50)]
)
print(f"chance: {chance.mean():.4f}, give or take {chance.std():.4f}")
scores_before, scores_after = composition_scores(untrained), composition_scores(model)
for kind, scores in scores_after.items():
    before = scores_before[kind]
    print(f"{kind}: from {scores.min():.3f} to {scores.max():.3f}, mean {scores.mean():.3f}; ", end="")
    print(f"before training from {before.min():.3f} to {before.max():.3f}, mean {before.mean():.3f}")
    plots.matrix(
        scores - chance.mean(),
        rows=[f"0.{head}" for head in range(8)],
        columns=[f"1.{head}" for head in range(8)],
        row_title="writes",
        column_title="reads",
        quantity="score less chance",
        limit=0.04,
        is_signed=True,
        digits=3,
        title=f"{kind}-composition",
    ).show()
# %% [markdown]
# Read it with care. K-composition is there, for every pair, and the heads 1.0, 1.1 and 1.4 have the
# highest scores. But the numbers are modest: at most 0.10 where chance gives 0.06, for a mechanism that the
# model depends on. Q and V lie mostly *below* chance, with means of 0.047 and 0.049. Before training the same
# model had 0.063 for all three, as chance has. So it's training that moved them: the later heads' queries and
# values now read less of what layer 0 writes than random weights would. The scores don't say why.
#
# A composition score is a good first look at a model that you don't know. It doesn't prove that a connection
# is used, nor that it isn't: it gives every direction the same weight, even those that no text ever uses.
#
# ## 7. A circuit that isn't in the textbook
#
# *About 30 minutes of exercises. You test a new explanation of induction by taking heads from queries or keys alone.*
#
# `tiny-llama` performs induction (heads 2.0 to 2.3), and has no head that looks one back. How does it do
# it? Look at what the heads of its layer 1 look at.
# %% result
# where the heads of tiny-llama's layer 1 look: how far back, on random words.
# 1.0 looks two back, 1.3 three, 1.2 four.
llama = models["tiny-llama"]
llama_tokens, _, llama_cache = run_and_cache_model_repeated_tokens(
    llama, 20, 10, WORDS, torch.Generator().manual_seed(0)
)
pattern = llama_cache["pattern", 1].mean(dim=0)
by_distance = {f"1.{head}": [float(pattern[head].diagonal(-back)[5:].mean()) for back in range(7)] for head in range(4)}
plots.bars(
    by_distance,
    [str(back) for back in range(7)],
    x_title="positions back",
    y_title="attention",
    title="Layer 1 of tiny-llama",
)
# %% [markdown]
# Heads that look two, three and four back. How can an induction head be made from those?
#
# Think of the second copy, at a query at position $i$, and call the words before it $a\,b\,c\,d$, with
# $d$ at $i$ itself. The right key stands one further on, so before *it* stand $b\,c\,d$, and then itself.
# Suppose query and key both carry notes, "two before me", "three before me", "four before me":
#
# | note | at the query | at the right key |
# |---|---|---|
# | two before me | b | c |
# | three before me | a | b |
# | four before me | the one before a | a |
#
# The same words occur in both columns, **one row lower at the key**. A head that compares the query's
# "two before" (from 1.0) with the key's "three before" (from 1.3), and the query's "three before" (1.3)
# with the key's "four before" (1.2), finds the right key, and no head that looks one back is needed. And it
# matches two words of context, not just one.
#
# There is a first sign that something like this happens. Look back at the losses at the start of part 3.
# The other models repeat from the second word of the copy on. `tiny-llama` needs three words before it
# notices.
#
# But so far it's a story. It predicts that 1.0 matters to the *queries* of layer 2 and not to its keys,
# 1.2 to the *keys* and not to the queries, and 1.3 to both. That we can test. Take a head's output away
# (put its mean in its place) from the input of the queries alone, or of the keys alone, and look at the
# induction scores. The hooks for this are `hook_q_input` and `hook_k_input`: the stream as each head's
# queries, or keys, read it.
# %% exercise="test_the_story" title="Queries or keys?" difficulty=4 importance=3 minutes=30
# hint: What head h of layer 1 adds to the stream is its z times its W_O. What must be taken from the input so that the head's mean over examples is left?
# hint: result = torch.einsum("bsh,hm->bsm", llama_cache["z", 1][:, :, h], llama.W_O[1, h]); subtract result - result.mean(0) from the input, which is "batch seq n_heads d_model".
# hint: One hook on f"blocks.2.hook_{part}_input" subtracts; induction_score_hook on "blocks.2.attn.hook_pattern" measures; read llama.hook_dict["blocks.2.attn.hook_pattern"].ctx afterwards.
# Fill `left`: for each part "q", "k" and each head 0 to 3 of layer 1, the mean induction score of layer 2's heads
# when that head's output (less its mean over examples) is taken from that input alone: left["q"][0] and so on.
# region solution
left = {"q": [], "k": []}
name = "blocks.2.attn.hook_pattern"
for part, scores in left.items():
    for head in range(4):
        result = torch.einsum("bsh,hm->bsm", llama_cache["z", 1][:, :, head], llama.W_O[1, head])
        taken = (result - result.mean(dim=0))[:, :, None]

        def take_away(resid, hook, taken=taken):
            return resid - taken

        hooks = [(f"blocks.2.hook_{part}_input", take_away), (name, induction_score_hook)]
        llama.run_with_hooks(llama_tokens, fwd_hooks=hooks)
        scores.append(float(torch.as_tensor(llama.hook_dict[name].ctx["induction_score"]).mean()))
llama.reset_hooks()
# endregion
assert left["q"][0] < 0.5 < 0.75 < left["k"][0], "1.0 speaks to the queries"
assert left["k"][2] < 0.6 < 0.75 < left["q"][2], "1.2 speaks to the keys"
assert max(left["q"][3], left["k"][3]) < 0.6, "1.3 speaks to both"
# %% result
# the story holds: 1.0 is needed by the queries, 1.2 by the keys, 1.3 by both.
intact = float(all_induction_scores(llama, llama_tokens)[2].mean())
plots.bars(
    {"from the queries": left["q"], "from the keys": left["k"]},
    [f"1.{head}" for head in range(4)],
    y_title="induction score",
    references={"intact": intact},
    title="Layer 2 of tiny-llama, with a head's output taken away",
)
# %% [markdown]
# The story holds, on strings of twenty words. Is it the *whole* story? Try fifty: without 1.0 in the queries
# the score falls only to 0.62, not to 0.19. Something else helps there, and we don't know what. Most circuits
# end like this: a mechanism that is real, and something that it doesn't explain.
#
# Nobody set this up, and the papers' pictures don't show it. It's what a small model with rotary positions
# learned. "Induction head" names a *behaviour*; how a model does it, you have to find out for each model.
#
# ## 8. Any model
#
# *No exercises. You turn your tools on another model, and run an ablation with its control.*
#
# All of your tools work on larger models too. Put another name here: `"tiny-gpt"`, or `"smollm2"`, a
# real language model with 30 layers of 9 heads (run `arena zoo fetch smollm2` once, a download of about
# 100 MB). With a network, GPT-2 and Llama models from the Hugging Face hub work by their names, `"gpt2"`
# for example.
#
# Here is what these cells show for SmolLM2. The loss falls from 14.9 nats in the first copy to
# 4.8 in the second (these are random tokens out of 49 152, far from any text that it has seen). Seven
# heads of its 270 have an induction score above 0.4, the first of them in layer 17: 17.3, 17.4, 17.5,
# 18.6, 20.6, 23.2 and 23.7. Without these seven the loss rises from 4.8 to 8.3; without seven other heads
# drawn from layer 17 upwards it stays at 4.9. And direct attribution says that most of the answer's logit
# (19 of 22) is written by the *last MLP*. An MLP writes only from what it reads at its own position, so earlier
# parts must have brought the answer there. Attribution can't see that: it counts only what each part writes.
# %%
MODEL = "tiny-llama"  # "smollm2" takes half a minute on two cores, and 1.5 GB of memory

subject = zoo.load(MODEL)
token_ids = WORDS if subject.cfg.d_vocab == model.cfg.d_vocab else None
subject_tokens, subject_logits, _ = run_and_cache_model_repeated_tokens(
    subject, 20, 4, token_ids, torch.Generator().manual_seed(0)
)
loss = -next_token_logprobs(subject_logits, subject_tokens)
print(f"{MODEL}: first copy {loss[:, :20].mean():.2f} nats, second copy {loss[:, 21:].mean():.2f} nats")
# %% result
# its induction heads, and what is lost when they are taken away together.
# The control: as many other heads, drawn at random from the same layers and those above. (Those below may be what
# feeds the induction heads, as in part 7.)
subject_scores = all_induction_scores(subject, subject_tokens)
n_heads = subject.cfg.n_heads
best = (subject_scores > 0.4).nonzero().tolist()
lowest = min((layer for layer, head in best), default=0)
others = [[layer, head] for layer, head in (subject_scores <= 0.4).nonzero().tolist() if layer >= lowest]
drawn = torch.randperm(len(others), generator=torch.Generator().manual_seed(0))[: len(best)].tolist()


def loss_without(heads):
    """The loss on the second copy with these heads mean-ablated together."""
    hooks = [
        (f"blocks.{layer}.attn.hook_z", partial(head_mean_ablation_hook, head_index_to_ablate=head))
        for layer, head in heads
    ]
    logits = subject.run_with_hooks(subject_tokens, fwd_hooks=hooks)
    return float(-next_token_logprobs(logits, subject_tokens)[:, 21:].mean())


costs = {
    "intact": loss_without([]),
    f"{len(best)} induction heads gone": loss_without(best),
    f"{len(best)} others gone": loss_without([others[i] for i in drawn]),
}
print("induction heads:", {f"{layer}.{head}": round(float(subject_scores[layer, head]), 2) for layer, head in best})
plots.bars(list(costs.values()), list(costs), y_title="loss, nats", title=f"{MODEL}: the second copy")
# %% result
# which parts write the right answer, by direct attribution, and when it appears, by the logit lens.
# The first figure has the eight largest parts and the three smallest; L2H3 is head 2.3. The lens applies the final
# norm and the unembedding to the stream before each layer and after the last.
from arena_lib.interp.attribution import track_target

answers = subject_tokens[:, 11]  # position 30 holds the same token as position 10
parts = direct_logit_attribution(subject, subject_tokens, answers, position=30)
values, order = parts.values.mean(dim=1).sort(descending=True)
shown = [*range(8), *range(-3, 0)]
plots.bars(
    values[shown],
    [parts.labels[order[i]] for i in shown],
    y_title="logit",
    title=f"{MODEL}: the largest and smallest parts",
).show()
lens = track_target(subject, subject_tokens, answers, position=30)
plots.lines(
    {"right answer": lens.logprobs.mean(dim=1)},
    x_title="layers passed",
    y_title="log-probability (nats)",
    title=f"{MODEL}: the logit lens",
).update_xaxes(tickformat="d")
# %% [markdown]
# ## What you have learned
#
# You have found a circuit in three ways: by watching, by taking away, and by reading weights. You have also
# seen what each way misses. Watching shows where a head looks and not what for. Attribution
# misses what later parts make of a head's output. Ablation misses what others can do as well. Weights show
# what is possible and not what is used.
#
# ## What comes next
#
# What is missing is a way to say exactly *along which path* information flows in a given text. That is
# patching, the subject of section 1.4.1. Before that, section 1.3.1 asks what a model *represents*, with
# linear probes, and 1.3.2 how a few examples in a prompt tell it what to do.
#
# ## On your own
#
# - **Replicate a paper.** Olsson et al. 2022 ([arXiv:2209.11895](https://arxiv.org/abs/2209.11895)) saw
#   induction heads form suddenly, while the loss dropped. Train an attention-only model with one layer
#   and one with two on a mix of stories and repeated words, with the training loop of section 1.1. Record the
#   induction scores every hundred steps. Do score and loss change at the same time? Does it happen at all
#   with one layer?
# - **Explain the rest.** On strings of fifty words `tiny-llama` repeats well without 1.0 in the queries. Find
#   out what else helps, with the hooks of part 7.
# - **Composition scores, tested.** `tiny-gpt` has a known pair: 0.0 and its induction heads. Does their
#   K-composition score stand out among all pairs
#   (`arena_lib.interp.weights.compute_composition_scores`)? Do high scores predict which pairs of
#   heads matter when you ablate them together?
#
# ## Reading
#
# - Elhage et al. 2021, [A mathematical framework for transformer
#   circuits](https://transformer-circuits.pub/2021/framework/index.html): QK, OV, composition
# - Olsson et al. 2022, [In-context learning and induction heads](https://arxiv.org/abs/2209.11895): how
#   the circuit forms, and how far it reaches
# - Wang et al. 2022, [Interpretability in the wild](https://arxiv.org/abs/2211.00593): a circuit of 26
#   heads in GPT-2, and mean ablation
