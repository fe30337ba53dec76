# ---
# arena: {id: "1.4.1", slug: indirect_object_identification, title: Indirect object identification, hours: 12, needs: [tiny-llama]}
# objectives:
#   - "Turn a behaviour into one number, and split that number into what each part of the model wrote"
#   - "Find out by patching activations which of them the answer depends on, layer by layer and head by head"
#   - "Follow single paths through a model: from a head to the logits, and from head to head"
#   - "Tell what a head does by where it looks, what it copies and what is lost without it"
#   - "Leave of a model nothing but a circuit, and say how faithful, complete and minimal it is"
# ---
# %% [markdown]
# ## What you will find
#
# "When Mary and John went to the park, John gave the ball to". Who comes next? Mary, of course. You know
# it without thinking, and so do language models, even small ones. In 2022 five researchers (Wang et al.,
# [Interpretability in the wild](https://arxiv.org/abs/2211.00593)) asked *how* GPT-2 knows. The task is
# called **indirect object identification** (IOI): Mary is the indirect object, the one who gets something.
# They found a circuit of 26 attention heads, and a set of methods that the field has used ever since.
#
# In this section you learn the methods, one after the other, and apply them to a model for which nobody
# has drawn the circuit: `tiny-llama`. It has four layers of four heads, so every one of them fits on the
# screen. You will see that it solves the task, that it solves it in **another way** than GPT-2, and you
# will be able to prove both. At the end, the same cells run on a real language model.
#
# The question behind every method here is: *what depends on what?* You will ask it in four ways.
#
# 1. **Attribution**: who wrote the answer? (Look at what each part adds to the logits.)
# 2. **Activation patching**: which activation makes the difference? (Replace one, see what changes.)
# 3. **Path patching**: along which connection? (Replace what one part tells one other part.)
# 4. **Ablation**: is that all? (Take everything else away.)
#
# You should have done section 1.2: hooks, caches, and what queries, keys, values and the residual stream
# are.
#
# ### What the set-up cell imports
#
# The cell above imports everything that the library's own solutions use. You may use all of it, and need
# little of it:
#
# - `partial` fixes some arguments of a hook, `product` is two loops in one, `progress` draws a bar around a loop.
# - `hooked(model)` makes models of other libraries look like ours. It also knows which key head a query head
#   reads (`input_head`) and what the norms multiply by (`gain`).
# - `folded_unembedding(model)` is $W_U$ with the final norm's gain multiplied in.
# - `generate_repeated_tokens` makes the random tokens of part 5. `scores_by_layer` applies a function to every
#   layer's pattern.
# - `duplicate_attn_scores`, `induction_attn_scores` and `prev_attn_scores` are nearly the solution of one
#   exercise, `get_attn_scores`. If you wrote them in section 1.2, use them. If not, write the diagonals yourself
#   first. The same goes for `mean_ablation_hook` in part 6: it is one line of `add_mean_ablation_hook`.
# - Names with `check` in them, and the errors, make the library's messages. The rest are types.
#
# Where an exercise builds on an earlier one, the text above it ("This builds on your ... Not written yet?")
# says how to take the library's version, in case you skipped yours. That is fine, too.
#
# ### The parts
#
# The minutes are those of the exercises. The rest of the twelve hours is for reading, looking and trying.
#
# | part | minutes |
# |---|---|
# | 1. The task | 10 |
# | 2. Who wrote the answer? | 15 |
# | 3. Patching activations | 85 |
# | 4. Patching paths | 95 |
# | 5. What kind of head is it? | 115 |
# | 6. A circuit on its own | 110 |
# | 7. Another model, and a real one | 0 |
#
# ## 1. The task
#
# *About 10 minutes of exercises. You turn a behaviour into one number, and give it something to be compared with.*
#
# Let us make prompts. Each has two names, one of them twice, and stops before the answer. We call the
# names by their roles: **IO** (the indirect object, the right answer), **S1** (the subject, where it is
# first named) and **S2** (where it is named again). The last position, where the answer is predicted, is
# the **end**.
# %%
from functools import partial

import torch

from arena_lib import plots, zoo  # figures; trained models
from arena_lib.interp.ioi import STORYWORLD, make_ioi_dataset  # names and sentences; the prompts made of them

torch.set_grad_enabled(False)  # nothing is trained in this section
N_PROMPTS = 12 if SCALE == "tiny" else 48
model = zoo.load("tiny-llama")
dataset = make_ioi_dataset(model, N_PROMPTS, generator=torch.Generator().manual_seed(0))
answer_tokens = dataset.answer_tokens  # "batch 2": the token of IO, the token of S
for prompt in dataset.prompts[:6]:
    print(f"{'ABBA' if prompt.is_io_first else 'BABA'}  {prompt.text} ... {prompt.io}")
# %% [markdown]
# In form ABBA the IO is named first, in BABA the subject; the data set has each as often, so that "the
# first name" is right half of the time, and so is "the second". All six sentences were chosen so that
# their words align: S2 is at position 10 and the end at position 14 in each of them.
#
# `dataset.toks` holds the tokens, and `dataset.word_idx["S2"]` the position of S2 in each prompt.
# `dataset.at("S2")` is the same with an error that lists all roles, and `dataset.position("S2")` is one number
# for all prompts. There is a role for each name ("IO", "S1", "S2"), for the word before each name ("IO-1",
# "S1-1", "S2-1") and after it ("IO+1", "S1+1", "S2+1"), and for the two ends ("start", "end").
#
# ### One number for the behaviour
#
# We could count right answers. But a count doesn't move until a guess flips, and we want to see small
# changes. So we take the **logit difference**: the logit of IO less the logit of S, at the end. Above zero
# the model prefers the right name; at 3 it finds it $e^3 \approx 20$ times as likely. It has a second
# advantage: whatever raises both names alike (knowing that a name must come, say) cancels. We measure
# whether the model knows *which* name, and nothing else.
# %% exercise="logits_to_ave_logit_diff" title="How sure is it?" difficulty=2 importance=4 minutes=10
# hint: At which position is the answer predicted? Which two numbers do you need from each prompt's row of logits there?
# hint: gather (or indexing with two tensors) picks from each row the columns of that row's two answers.
# hint: logits[:, -1].gather(dim=-1, index=answer_tokens) has shape (batch, 2): the first column less the second.
# %% [markdown]
# A number needs something to be compared with. We make two more sets of the same sentences:
#
# - **ABC**: three unrelated names in place of the two. "When Ann and Tom went to the park, Lisa gave the
#   ball to". Everything is there that makes a name come next, and nothing that says which.
# - **swapped**: the other one gives. One word changes (S2), and the right answer turns into the wrong one.
#
# Every prompt of these sets stands in for the prompt of the first set with the same number.
# %% result
# far above zero on IOI, about zero without the clue, and far below zero where the other one gives.
# All are measured against the answers of the first set.
abc_dataset = dataset.abc(torch.Generator().manual_seed(1), STORYWORLD.names)
swapped_dataset = dataset.swap_givers()
for prompts in (dataset, abc_dataset, swapped_dataset):
    print(prompts.prompts[0].text)
logits, cache = model.run_with_cache(dataset.toks)
abc_logits, abc_cache = model.run_with_cache(abc_dataset.toks)
swapped_logits, swapped_cache = model.run_with_cache(swapped_dataset.toks)
differences = {
    "IOI": logits_to_ave_logit_diff(logits, answer_tokens),
    "ABC": logits_to_ave_logit_diff(abc_logits, answer_tokens),
    "swapped": logits_to_ave_logit_diff(swapped_logits, answer_tokens),
}
accuracy = (logits[:, -1].argmax(dim=-1) == dataset.io_tokens).float().mean()
print(f"likeliest token of all is the IO: {accuracy:.0%}")
plots.bars(list(differences.values()), list(differences), y_title="logit difference", title="tiny-llama on three sets")
# %% [markdown]
# `tiny-llama` never fails here, and its logit difference is 11.8. So there is something to explain.
#
# ## 2. Who wrote the answer?
#
# *About 15 minutes of exercises. You split the logit difference into what each part wrote, and see what that misses.*
#
# The residual stream at the end is a sum of what all parts wrote there. The logit difference is linear in
# it, up to the final norm: it's the dot product of the normalised stream with the **direction**
# $W_U[:, \text{IO}] - W_U[:, \text{S}]$. So each part has a share, and the shares add up to the whole. That is
# direct logit attribution, as in section 1.2, for a difference of two logits.
#
# The norm divides by a scale that depends on the whole stream. We hold it at what it was in this run, and
# then it's just a number.
# %% exercise="residual_stack_to_logit_diff" title="Shares of the difference" difficulty=3 importance=3 minutes=15
# hint: A part's share is linear in the part. Which pieces of the final norm are linear, and which one do you take from the cache?
# hint: Divide the stack by cache["ln_final.hook_scale"] at the end position, multiply by the norm's gain (and take the mean away before, for a LayerNorm); then dot each row with its prompt's direction.
# hint: gain, is_centred = hooked(cache.model).gain(None); shares = (stack / scale * gain * directions).sum(-1).mean(-1), where scale is "batch 1" and is broadcast over the stack's other axes.
# %% result
# the logit lens: what would the model say if it stopped here?
# The stream at the end before each layer, and after the last.
directions = (model.W_U[:, dataset.io_tokens] - model.W_U[:, dataset.s_tokens]).T
stack, labels = cache.accumulated_resid(pos_slice=-1, incl_mid=True, return_labels=True)
so_far = residual_stack_to_logit_diff(stack, cache, directions)
assert torch.allclose(so_far[-1], differences["IOI"], atol=1e-3), "the last entry is the model's own"
plots.bars(so_far, labels, y_title="logit difference", title="The logit difference as the stream grows")
# %% result
# which parts wrote it: each layer's attention and MLP, and each head.
stack, labels = cache.decompose_resid(pos_slice=-1, return_labels=True)
plots.bars(
    residual_stack_to_logit_diff(stack, cache, directions),
    labels,
    y_title="share",
    title="Shares of the logit difference",
).show()
by_head = residual_stack_to_logit_diff(cache.stack_head_results(pos_slice=-1), cache, directions)
plots.heads(by_head.unflatten(0, (4, 4)), quantity="share", title="Shares of the logit difference, by head")
# %% [markdown]
# Ten of twelve points are written by the **MLPs** of layers 1 to 3, and hardly anything by heads: 1.2
# (head 2 of layer 1) adds 0.9, and 3.2 and 2.1 less than half a point each. Is the task then solved by
# MLPs? It can't be: an MLP sees one position, and at the end stands the word "to". Whatever MLPs know of
# names, attention brought it. They must be *working on* something that heads carried there.
#
# That is the blind spot of direct attribution. It shows which part touched the answer last. It can't show
# what that part was given, and by whom. For that we have to intervene.
#
# ## 3. Patching activations
#
# *About 85 minutes of exercises. You find which activation, at which position, the answer depends on: first by
# layer, then by head, then inside a head.*
#
# Take two runs that differ in one thing: the IOI prompts and the swapped ones. Between them only the word
# S2 changes, and the answer flips. Somewhere in the model there are activations that carry this
# change from S2 to the end. To find them, run the model on the **corrupted** (swapped) prompts, and while
# it runs, replace *one* activation with its value from the **clean** (IOI) run. If the right answer comes
# back, this activation holds everything that the answer needs. This is called **denoising**.
#
# To read it off, we put the metric on a scale: 0 is the corrupted run, 1 is the clean one.
#
# $$\text{metric} = \frac{\text{LD} - \text{LD}_{corrupted}}{\text{LD}_{clean} - \text{LD}_{corrupted}}$$
#
# where LD is the average logit difference against the clean answers.
# %% exercise="ioi_metric" title="From 0 to 1" difficulty=1 importance=3 minutes=5
# hint: Which logit difference must become 0, and which one 1?
# hint: Shift by the one, divide by the distance of the two.
# hint: (logit_diff - corrupted_logit_diff) / (clean_logit_diff - corrupted_logit_diff), and no .item(): the result stays a tensor.
# %%
metric = partial(
    ioi_metric,
    answer_tokens=answer_tokens,
    corrupted_logit_diff=differences["swapped"],
    clean_logit_diff=differences["IOI"],
)
print(f"clean {metric(logits):.2f}, corrupted {metric(swapped_logits):.2f}, ABC {metric(abc_logits):.2f}")
# %% [markdown]
# ### The simplest patch: the residual stream
#
# First the coarsest question: at which position, and from which layer on, does the stream hold the answer?
# A hook at `blocks.{layer}.hook_resid_pre` gets the stream that enters a layer, "batch seq d_model", and
# we replace one position of it.
# %% exercise="patch_residual_component" title="Replace one position" difficulty=2 importance=4 minutes=10
# hint: A hook gets the activation of the corrupted run. What should it give back at pos, and what elsewhere?
# hint: The clean run's activation of the same name is clean_cache[hook.name]; take one position of it, in all prompts.
# hint: corrupted[:, pos] = clean_cache[hook.name][:, pos], in a copy or in place (never in the cache), and return it.
# %% exercise="get_act_patch_resid_pre" title="Every layer and position" difficulty=3 importance=5 minutes=20
# hint: Two loops. What must be done for one layer and one position?
# hint: functools.partial fixes pos and clean_cache of your hook; run the corrupted tokens with it at that layer's hook name; give the logits to the metric.
# hint: model.run_with_hooks(corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.hook_resid_pre", partial(patch_residual_component, pos=pos, clean_cache=clean_cache))]).
# %% result
# the answer is at S2 first, and then at the end: it moves there in layer 1.
# Here and in the next figures the colours go from -1 to 1, so that you can compare them.
WORDS = ["<|endoftext|>", "When", "A", "and", "B", "went", "to", "the", "place", ",", "S", "gave", "the", "thing", "to"]
POSITIONS = [f"{word} {i}" for i, word in enumerate(WORDS)]
patched = get_act_patch_resid_pre(model, swapped_dataset.toks, cache, metric)
plots.matrix(
    patched,
    rows=["0", "1", "2", "3"],
    columns=POSITIONS,
    row_title="layer",
    column_title="position",
    quantity="metric",
    limit=1.0,
    is_signed=True,
    title="The stream that enters a layer, patched at one position",
)
# %% [markdown]
# The picture is clear. Before layers 0 and 1 everything is at S2; before layers 2 and 3 everything is at the end. So
# attention of layer 1 carries it from the one to the other. Which of a layer's two parts is it, and does
# the MLP of layer 0 matter?
# %% exercise="get_act_patch_block_every" title="Attention or MLP?" difficulty=2 importance=3 minutes=10
# hint: It's the same loop with another hook name. Which names do the outputs of attention and MLP have?
# hint: Loop over ["resid_pre", "attn_out", "mlp_out"]; all three have the shape of the stream, so the hook is the same.
# hint: f"blocks.{layer}.hook_{place}", and torch.stack(results).unflatten(0, (3, n_layers, -1)), or fill a tensor of zeros.
# %% result
# what attention and MLPs add: MLP 0 at S2, attention 1 at the end, then each MLP has its part.
patched = get_act_patch_block_every(model, swapped_dataset.toks, cache, metric)
for place, values in zip(["attention's output", "the MLP's output"], patched[1:], strict=True):
    plots.matrix(
        values,
        rows=["0", "1", "2", "3"],
        columns=POSITIONS,
        row_title="layer",
        column_title="position",
        quantity="metric",
        limit=1.0,
        is_signed=True,
        title=f"Patching {place}",
    ).show()
# %% [markdown]
# Three steps are visible:
#
# 1. The MLP of **layer 0** at S2 takes the name's embedding and writes something that the rest of the
#    model uses.
# 2. **Attention of layer 1** moves it to the end, alone and completely (1.00).
# 3. The **MLPs of layers 1 to 3** at the end turn it into logits: 0.80 comes back with MLP 1 alone, less
#    with the later ones.
#
# ### Heads
#
# Which of the four heads of layer 1? The output of a head before $W_O$ is `z`, at
# `blocks.{layer}.attn.hook_z`, "batch seq n_heads d_head". We now patch one head, at all positions.
# %% exercise="patch_head_vector" title="Replace one head" difficulty=2 importance=4 minutes=5
# hint: It's patch_residual_component with another axis.
# hint: The axes are batch, seq, n_heads, d_head: the head's index is on the third.
# hint: patched[:, :, head_index] = clean_cache[hook.name][:, :, head_index].
# %% exercise="get_act_patch_attn_head_out_all_pos" title="Every head" difficulty=2 importance=4 minutes=10
# hint: Again two loops: over layers and heads.
# hint: The hook's name is f"blocks.{layer}.attn.hook_z"; partial fixes head_index and clean_cache.
# hint: results[layer, head] = patching_metric(model.run_with_hooks(corrupted_tokens, fwd_hooks=[...])).
# %% result
# one head carries everything.
patched = get_act_patch_attn_head_out_all_pos(model, swapped_dataset.toks, cache, metric)
plots.heads(patched, quantity="metric", limit=1.0, is_signed=True, title="Each head's output, patched")
# %% [markdown]
# It's **1.2**, and no other head. That was the *where*. A head's output can change for two reasons: it looks
# elsewhere (pattern, made of queries and keys), or it finds something else where it looks (values). Patch
# each of them by itself and you know which. One thing to mind: in `tiny-llama` two query heads share one
# key head and one value head, so `hook_k` and `hook_v` have half as many heads.
# %% exercise="patch_attn_patterns" title="Look where it looked" difficulty=2 importance=3 minutes=5
# hint: A pattern has no axis d_head, and its axes stand in another order.
# hint: The axes are batch, n_heads, seq_q, seq_k.
# hint: patched[:, head_index] = clean_cache[hook.name][:, head_index].
# %% exercise="get_act_patch_attn_head_all_pos_every" title="Output, query, key, value, pattern" difficulty=3 importance=4 minutes=20
# hint: Five places, for each of them your loop over heads. What is different for the pattern, and what for keys and values?
# hint: The pattern needs the other hook function. For keys and values the index of the head that is shared is hooked(model).input_head("k", head).
# hint: Loop over ("z", "q", "k", "v", "pattern"), with the name f"blocks.{layer}.attn.hook_{part}"; stack to (5, n_layers, n_heads).
# %% result
# the values change, the pattern doesn't.
# (1.2 and 1.3 share a value head, so both show it.) Compare the 0.03 of 2.1's pattern with the 1.00 of 1.2's value.
patched = get_act_patch_attn_head_all_pos_every(model, swapped_dataset.toks, cache, metric)
for part, values in zip(["output", "query", "key", "value", "pattern"], patched, strict=True):
    plots.heads(values, quantity="metric", limit=1.0, is_signed=True, title=f"Each head's {part}, patched").show()
# %% result
# where 1.2 looks from the end (the lowest row): at S2, whoever is named there.
first_words = model.to_str_tokens(dataset.toks[0])
plots.attention(cache["pattern", 1][0, 2], first_words, head_names=["head 1.2"], title="The first prompt")
# %% [markdown]
# So 1.2 always looks from the end to S2, and brings whatever name it finds there. The model doesn't need
# to know that this name occurred before, or where. It takes **the name in front of the verb**.
#
# ### Denoising finds what suffices
#
# But is that all of it? The swapped prompts contain the same two names. Patching against them, we only see
# what tells *who of the two* gives. How the model knows which two names there are in the first place is
# the same in both runs, and so invisible. What a patch shows is always relative to what you corrupt.
#
# So corrupt more, and reverse the direction: run on the *clean* prompts, and patch in activations of
# the **ABC** run, with its three other names. What falls is *needed*. This is called **noising**. Your
# functions do that without a change: just swap what runs and what is patched in.
# %% result
# noising: the clean prompts with one head's output from the ABC run; -1 is all that the model knows.
path_metric = lambda logits: ioi_metric(logits, answer_tokens, differences["ABC"], differences["IOI"]) - 1
noised = get_act_patch_attn_head_out_all_pos(model, dataset.toks, abc_cache, path_metric)
plots.heads(noised, quantity="change", limit=1.0, is_signed=True, title="Each head's output, from the ABC run")
# %% [markdown]
# Without 1.2 everything is lost. The heads of layer 2 now show up, with about a tenth each, and those of
# layer 3 with the other sign: without them the model is *better*. But a head in layer 2 acts in two ways:
# what it writes reaches the logits, and it reaches the heads of layer 3, which then do something else.
# These two are mixed in one number here. To keep them apart we must patch not activations but *paths*.
#
# ## 4. Patching paths
#
# *About 95 minutes of exercises. You follow the effect of one head along one connection: to the logits, and to the
# queries of other heads.*
#
# Think of the model as a graph. Heads and MLPs are nodes, and wherever one reads what another has written,
# there is an edge. Path patching (Wang et al. 2022, and Goldowsky-Dill et al.
# [2023](https://arxiv.org/abs/2304.05969)) changes what flows along chosen edges and nothing else. Like in
# the paper, we let effects pass through MLPs, and not through other heads.
#
# ![Path patching in three runs: sender, frozen heads, receivers](figures/path_patching.png)
#
# ### From a head to the logits
#
# The simplest path goes from one head, the **sender**, to the final residual stream. Three steps:
#
# 1. Run the model on the original prompts (IOI) and on the new ones (ABC), and keep every head's `z`.
# 2. Run it on the original prompts with **all** heads held at their original `z`, except the sender, which
#    gets its new one. Later heads can't react, since they are held. MLPs and norms are computed anew.
# 3. Turn the final residual stream into logits, and measure.
#
# In the figure the final residual stream is then the receiver, so nothing comes after it, and the third run is
# just the step from there to the logits. All the work of step 2 is in one hook, which sits on `z` of every layer.
# %% exercise="patch_or_freeze_head_vectors" title="Freeze all but one" difficulty=3 importance=4 minutes=15
# hint: What should become of the heads that are not the sender, and what of the sender? In which layers is there a sender at all?
# hint: Begin with the original values of the whole layer; then, if hook.layer() is the sender's layer, put in the new value of that one head.
# hint: patched = orig_cache[hook.name].clone(); layer, head = head_to_patch; if layer == hook.layer(): patched[:, :, head] = new_cache[hook.name][:, :, head].
# %% exercise="get_path_patch_head_to_final_resid_post" title="What reaches the logits directly" difficulty=4 importance=5 minutes=35
# hint: Where do the three steps happen? Which of them must be done once, and which once for each sender?
# hint: The caches are made once. For each head: your hook at z of every layer (they all get the same partial), run the original tokens, and you have the logits.
# hint: With all heads frozen, the logits of that very run are what you need: patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=...)). You needn't keep resid_post.
# %% result
# from each head to the logits: nearly everything goes through 1.2.
direct = get_path_patch_head_to_final_resid_post(model, path_metric, abc_dataset, dataset, abc_cache, cache)
plots.heads(
    direct, quantity="change", limit=1.0, is_signed=True, title="Path patching: head to the final residual stream"
)
# %% [markdown]
# The heads of layer 2 have all but vanished. Are they idle after all? Careful. The average is over prompts
# of *two* forms. A head that helps in one form and harms in the other would average to nothing. Look at
# the forms one by one.
# %% result
# ABBA and BABA by themselves: layer 2 does a lot.
is_abba = torch.tensor([prompt.is_io_first for prompt in dataset.prompts])


def change_among(patched, chosen):
    """The change of the logit difference on the chosen prompts alone."""
    new, orig, now = (logits_to_ave_logit_diff(x[chosen], answer_tokens[chosen]) for x in (abc_logits, logits, patched))
    return (now - orig) / (orig - new)


for form, chosen in (("ABBA", is_abba), ("BABA", ~is_abba)):
    form_metric = partial(change_among, chosen=chosen)
    values = get_path_patch_head_to_final_resid_post(model, form_metric, abc_dataset, dataset, abc_cache, cache)
    plots.heads(
        values, quantity="change", limit=1.0, is_signed=True, title=f"Head to the final residual stream, {form} prompts"
    ).show()
# %% [markdown]
# In ABBA, where the IO is named first, the answer suffers without 2.1 and 2.2, and gets better without 2.0
# and 2.3. In BABA it's the other way round. That suggests: 2.1 and 2.2 write the **first name**, 2.0 and
# 2.3 the **second**, whoever that is. Their patterns say the same.
# %% result
# where the heads of layer 2 look from the end: two at the first name, two at the second.
at_end = cache["pattern", 2][:, :, -1]
names = torch.stack([at_end[..., 2].mean(dim=0), at_end[..., 4].mean(dim=0)])
plots.bars(
    {"first name (position 2)": names[0], "second name (position 4)": names[1]},
    ["2.0", "2.1", "2.2", "2.3"],
    y_title="attention from the end",
    title="Layer 2 copies both names",
)
# %% [markdown]
# Now we have a hypothesis. `tiny-llama` computes **the names that are there, minus the one who gives**:
#
# - the heads of layer 2 bring both names to the end, without asking who is who;
# - 1.2 brings the giver's name from S2, and what it writes *pushes that name down*;
# - what is left is the answer.
#
# ### From head to head
#
# GPT-2 does it otherwise. There the heads that write the answer (the paper's *name movers*) look at the IO
# alone, and earlier heads (*S-inhibition heads*) tell their **queries** to leave the subject out. Does 1.2
# do that, too? Path patching answers this: the sender is 1.2, and the **receivers** are the queries of the
# heads in layer 2. Now all of the figure is needed:
#
# 1. Run the model on both sets of prompts, and keep every head's `z`, as before.
# 2. Run it on the original prompts with all heads held but the sender, as before, and record what *arrives* at
#    the receivers' queries.
# 3. Run the original prompts once more, untouched, except that the receivers get what was recorded.
# 4. Measure the logits of that run.
#
# In the last run nothing is frozen: whatever follows from the receivers' change counts.
# %% exercise="patch_head_input" title="Hand it to the receivers" difficulty=3 importance=3 minutes=10
# hint: There may be several receivers, in several layers. Which of them concern this hook?
# hint: Collect the heads of head_list whose layer is hook.layer(), and replace these alone; the others keep what they have.
# hint: heads = [head for layer, head in head_list if layer == hook.layer()]; patched[:, :, heads] = patched_cache[hook.name][:, :, heads].
# %% exercise="get_path_patch_head_to_heads" title="From every head to some heads" difficulty=4 importance=4 minutes=35
# hint: Which runs does one sender need, and with which hooks each? Which senders can reach the receivers at all?
# hint: Run 1: your freezing hook at every z, and a hook that records the receivers' q, k or v. Run 2: patch_head_input at the same names with what was recorded, and nothing else. Senders are the heads of layers before the latest receiver's.
# hint: The shape is (latest receiver's layer, n_heads). Where keys and values are shared, turn each receiver's head into hooked(model).input_head(receiver_input, head) before you use it as an index.
# %% result
# to the queries of layer 2: 1.2 does a little of what GPT-2 does.
layer_2 = [(2, head) for head in range(4)]
to_queries = get_path_patch_head_to_heads(layer_2, "q", model, path_metric, abc_dataset, dataset, abc_cache, cache)
plots.heads(
    to_queries, quantity="change", limit=1.0, is_signed=True, title="Path patching: head to the queries of layer 2"
)
# %% [markdown]
# There is an effect, of 5 in a hundred, where the path to the logits carries 88. So 1.2 does what an
# S-inhibition head does, but only a little. Most of what it does is something else.
#
# ## 5. What kind of head is it?
#
# *About 115 minutes of exercises. You tell what a head does by where it looks, what it writes and what is lost
# without it, and check that on random tokens.*
#
# The paper sorts heads into classes. You can't tell a head's class from its pattern alone. It
# takes three kinds of evidence: where the head looks, what it does with what it finds, and what is lost
# without it.
#
# | class | looks from, to | does |
# |---|---|---|
# | name mover | end, IO | raises the logit of the name it looks at |
# | negative name mover | end, a name | lowers it |
# | S-inhibition | end, S2 | tells the name movers' queries to avoid the subject |
# | duplicate token | S2, S1 | notices that the name occurred before |
# | induction | S2, what follows S1 | also notices it; it needs a previous-token head to find that place |
# | previous token | what follows S1, S1 | notes there which name came just before |
#
# In GPT-2 the last three classes detect that S is named twice, S-inhibition heads carry that to the end,
# and name movers copy the other name. For some heads you have seen where they look, and what is lost without
# them. What is missing is what they do: does a head *write* what it looks at?
# %% exercise="calculate_scatter_embedding_vs_attn" title="What it writes, against where it looks" difficulty=3 importance=3 minutes=20
# hint: For each prompt you need two numbers for IO and two for S: an entry of the pattern, and a dot product. Which position do all of them come from?
# hint: Index with rows = torch.arange(batch) and end = dataset.word_idx["end"]: the pattern's axes are batch, head, query, key; z's are batch, position, head, d_head. The head's output is z @ W_O[layer, head].
# hint: directions = folded_unembedding(model)[:, dataset.io_tokens] is "d_model batch"; the projection is (output.T * directions).sum(0), and the same with s_tokens.
# %% result
# a name mover, and its opposite.
# 2.1 writes the name that it looks at: the points rise. 1.2 looks at S2, the subject's second mention, and lowers
# the subject's logit: all of its points for S are below zero.
for layer, head in [(2, 1), (1, 2)]:
    attention, projection = calculate_scatter_embedding_vs_attn(layer, head, cache, dataset, model)
    points = {"IO": (attention[0], projection[0]), "S, attention to S1": (attention[1], projection[1])}
    points["S, attention to S2"] = (cache["pattern", layer][:, head, -1, dataset.position("S2")], projection[1])
    figure = plots.scatter(
        points,
        x_title="attention from the end to the name",
        y_title="output along the name's direction",
        title=f"Head {layer}.{head}",
    )
    figure.update_xaxes(range=[-0.05, 1.05]).show()
# %% [markdown]
# ### Copying scores
#
# That was on our prompts. The question can be asked of the weights alone, for every name: *if* the head
# looked at this name and nothing else, which tokens would its output make likely? The **copying score** is
# the share of names that come out among the $k$ likeliest tokens. With the output's sign turned, the same
# gives the **negative** copying score, of heads that push down what they look at.
#
# What is a name, for a head in a later layer? Not its embedding: you have seen that MLP 0 rewrites names.
# So the name passes that first.
# %% exercise="embed_names" title="A name, as later heads see it" difficulty=2 importance=2 minutes=10
# hint: Think of the stream at a position where attention of layer 0 has written nothing.
# hint: It holds the embedding, and what MLP 0 adds to it when it reads it (through its norm).
# hint: embedded + hooked(model).mlp_out(0, embedded), where the MLP wants an axis of texts in front: embedded[None], and [0] of the result.
# %% exercise="get_copying_scores" title="Who copies names?" difficulty=4 importance=3 minutes=30
# hint: A head that looks at one position alone hands over that position's value: what are the steps from the name's stream to logits?
# hint: The layer's ln1, W_V, W_O of the head; times 1 or -1; then the end of the model. A name counts if it is among topk(k) of its own row of logits.
# hint: (logits.topk(k, dim=-1).indices == names[:, None]).any(dim=-1).float().mean(dim=-1), for layer in range(1, n_layers), at index layer - 1.
# %% result
# layers 2 and 3 copy names, and 1.2 does the opposite.
name_tokens = torch.tensor([model.to_single_token(f" {name}") for name in STORYWORLD.names])
copying = get_copying_scores(model, 5, name_tokens)
for sign, scores in zip(["Copying", "Negative copying"], copying, strict=True):
    by_layer = torch.cat([torch.zeros(1, 4), scores])  # layer 0 has no scores
    plots.heads(by_layer, quantity="share of names", limit=1.0, title=f"{sign} scores (k = 5)").show()
# %% [markdown]
# Heads of layers 2 and 3 copy nearly every one of 96 names. 1.2 has a negative score of 0.76: hand it a
# name, and in three out of four cases this very name is among the five tokens that its output makes *least*
# likely. That is the piece that was missing. GPT-2's S-inhibition heads tell others to avoid the subject. 1.2
# does that too, a little (the 5 in a hundred above). But mainly it **suppresses the subject itself**. We
# call such a head an *S suppression* head. The paper has no such class.
#
# ### Validation on random tokens
#
# Is there a duplicate-token, induction or previous-token head? What a head does in our sentences might be
# an accident of them. So the paper also looks at random tokens, written twice, where nothing but the
# repetition can guide a head.
# %% exercise="get_attn_scores" title="On random tokens" difficulty=3 importance=3 minutes=20
# hint: Where in the text does the second copy of a token stand, and where what it should look at? Draw a short example, with the first token that begins the text.
# hint: For each kind there is one diagonal of the pattern. With n random tokens, the same token stands n positions before, what came after it n - 1, and the previous one 1.
# hint: pattern.diagonal(offset=-n, dim1=-2, dim2=-1) holds the entries from query n on; leave out those that don't belong to the second copy, and take the mean over batch and positions.
# %% result
# no duplicate-token heads (0.03 is next to nothing); layer 2 has induction heads; and 3.2 looks back.
words = torch.arange(257, model.cfg.d_vocab)  # tokens below are bytes, which no text of names has
for kind in ["duplicate", "induction", "prev"]:
    scores = get_attn_scores(model, 20, 8, kind, words, torch.Generator().manual_seed(0))
    plots.heads(scores, quantity="attention", limit=1.0, title=f"On random tokens: {kind}").show()
# %% [markdown]
# The same heads that copy names here perform induction there: "look at what came after", and copy it. On
# our prompts they look at names for another reason. One model, one head, two uses: the class of a head is
# what it does *in a task*.
#
# Does the answer depend on previous-token heads, as it does in GPT-2? There, such a head writes at S1+1 "the
# one before me is S", and a later head reads that. On random tokens the only one is 3.2. But it comes too late:
# what happens to the subject has happened by layer 1, where 1.2 reads S2. Whatever prepares that must be in
# **layer 0**. And there three heads do look from S1+1 to S1 on our prompts, with 0.15 to 0.20 of their
# attention. So test layer 0, with a patch as in part 3.
# %% exercise="validate_prev_token_heads" title="Does looking back matter?" difficulty=2 importance=2 minutes=15
# hint: Which heads look from S1+1 to S1 at all? And what would have to happen to the answer without them, if the paper's story held here?
# hint: Patch into the clean run, at the position S1+1 of each prompt, the z that all heads of layer 0 have in the ABC run; measure with path_metric.
# hint: In a hook on "blocks.0.attn.hook_z": rows = torch.arange(batch); z[rows, dataset.at("S1+1")] = abc_cache[hook.name][rows, dataset.at("S1+1")].
# `attention_back`: "n_heads", how much each head of layer 0 looks from S1+1 to S1, on average over prompts.
# `effect`: path_metric of the clean prompts if all heads of layer 0 have their ABC output at S1+1.
# region solution
rows, place = torch.arange(N_PROMPTS), dataset.at("S1+1")
attention_back = cache["pattern", 0][rows, :, place, dataset.at("S1")].mean(dim=0)


def patch_at_place(z, hook):
    z = z.clone()
    z[rows, place] = abc_cache[hook.name][rows, place]
    return z


effect = path_metric(model.run_with_hooks(dataset.toks, fwd_hooks=[("blocks.0.attn.hook_z", patch_at_place)]))
# endregion
assert attention_back.shape == (4,) and attention_back.max() > 0.1, "some heads look back, a little"
assert abs(float(effect)) < 0.02, "and the answer doesn't depend on it"
# %% [markdown]
# ### What does 1.2 tell?
#
# The paper asks one more question of S-inhibition heads: do they say *which name* to avoid, or *which
# position*? Two more sets of prompts change one and keep the other:
#
# - `dataset.swap_order()` names the same two people in the other order (ABBA becomes BABA, and back). That
#   changes positions and not names.
# - `dataset.rename(generator, names)` puts two other people, drawn from `names`, in the same places. That
#   changes names and not positions.
#
# As before, prompt by prompt they stand in for those of `dataset`. In GPT-2 it was mostly the position. Here?
# %% exercise="decompose_S_suppression" title="Name or position?" difficulty=3 importance=3 minutes=20
# hint: You want the answer of the clean prompts if 1.2 reports from another prompt: one with the same names in other places, or with other names in the same places.
# hint: dataset.swap_order() and dataset.rename(torch.Generator(), STORYWORLD.names) make the two. Patch z of head 2 in layer 1 from their caches into the clean run.
# hint: patch_head_vector does the patching: partial(patch_head_vector, head_index=2, clean_cache=other_cache) at "blocks.1.attn.hook_z"; then logits_to_ave_logit_diff.
# Fill `left`: the logit difference of the clean prompts with 1.2's output taken from "other places" (the same names in the
# other order), "other names" (other people in the same places), and "the other giver" (swapped_dataset).
# region solution
others = {
    "other places": dataset.swap_order(),
    "other names": dataset.rename(torch.Generator().manual_seed(2), STORYWORLD.names),
    "the other giver": swapped_dataset,
}
left = {}
for label, other in others.items():
    _, other_cache = model.run_with_cache(other.toks)
    patch = partial(patch_head_vector, head_index=2, clean_cache=other_cache)
    patched_logits = model.run_with_hooks(dataset.toks, fwd_hooks=[("blocks.1.attn.hook_z", patch)])
    left[label] = float(logits_to_ave_logit_diff(patched_logits, answer_tokens))
# endregion
clean = float(differences["IOI"])
assert abs(left["other places"] - clean) < 0.1 * clean, "places don't matter to it"
assert abs(left["other names"]) < 0.25 * clean, "with another name everything is lost"
assert left["the other giver"] < -0.75 * clean, "with the other name the answer flips"
# %% result
# 1.2 tells which name, not which position.
plots.bars(
    [clean, *left.values()],
    ["clean", *left],
    y_title="logit difference",
    title="1.2's output taken from another prompt",
)
# %% [markdown]
# ### All measures together
#
# The library's `measure_heads` takes all these measures for every head, and `classify_heads` sorts by
# thresholds that are stated, so that nobody's eye decides: attention of at least 0.3, copying of at least
# 0.5, an effect of at least two in a hundred. A head with an effect that fits no class is called
# unexplained, so that it isn't forgotten.
# %% result
# the classes of tiny-llama, and of the same model before training.
from arena_lib.interp.ioi import classify_heads, measure_heads
from arena_lib.transformer.fast.llama import Llama

untrained = Llama(model.cfg, generator=torch.Generator().manual_seed(0))
untrained.tokenizer = model.tokenizer
measured = {
    name: measure_heads(
        measured_model, dataset, abc_dataset, name_tokens, generator=torch.Generator().manual_seed(3), token_ids=words
    )
    for name, measured_model in [("tiny-llama", model), ("untrained", untrained)]
}
for name, measures in measured.items():
    print(name)
    for kind, heads in classify_heads(measures).items():
        print(f"    {kind:20} {', '.join(f'{layer}.{head}' for layer, head in heads) or '-'}")
# %% [markdown]
# 1.2 is in two classes, and both are right: it passes the thresholds for S suppression with 88 in a hundred, and
# the one for S-inhibition with 5, where 2 are asked for. A class says what a head does at all. The effects say
# how much of it.
#
# The untrained model is the control: it has attention patterns and outputs like any other, and its heads
# have effects (on a logit difference of about nothing, so these are shares of noise, and all end up as
# unexplained). But none of its heads has the evidence of a class.
#
# ## 6. A circuit on its own
#
# *About 110 minutes of exercises. You take everything but a circuit away, and say how faithful, complete and
# minimal it is.*
#
# A circuit is a claim: *these heads, at these positions, and no others, do the task.* The strongest test
# of it is to take everything else away and see whether the task is still done.
#
# What does it mean to take a head away? If we put zeros in its place, the rest of the model gets something
# that it has never seen. So the paper puts the head's **mean** over ABC prompts: what it writes when the
# names could be any. It still says "here comes a name", and doesn't know which. Means are taken for each
# template by itself, because position 5 is "went" in one and "walked" in another.
# %% exercise="compute_means_by_template" title="The mean, template by template" difficulty=2 importance=3 minutes=10
# hint: Each prompt gets the mean over the prompts with the same number in groups.
# hint: Loop over groups.unique(); groups == group picks its rows.
# hint: means[groups == group] = z[groups == group].mean(dim=0): one mean is broadcast to all rows of the group.
# %% [markdown]
# The circuit's heads keep their output, and only at the position where their class does its work. For name
# movers that is the end; for a previous-token head it's the position after S1. `SEQ_POS_TO_KEEP` holds
# this for each class: a dictionary from the class to a role of `dataset.word_idx`.
# %% exercise="make_circuit_mask" title="What is kept" difficulty=3 importance=3 minutes=15
# hint: For each head of each class there is one True in each prompt. Where?
# hint: word_idx[seq_pos_to_keep[kind]] has one position for each prompt: pair prompts and positions by indexing with two tensors of the same length.
# hint: mask[layer, torch.arange(batch), word_idx[seq_pos_to_keep[kind]], head] = True. A slice in place of torch.arange(batch) would mark every prompt's position in every prompt.
# %% exercise="add_mean_ablation_hook" title="Nothing but the circuit" difficulty=4 importance=4 minutes=25
# hint: The docstring's three steps, in this order. Why must hooks be removed before the means are taken?
# hint: Reset; run_with_cache on means_dataset.toks; then for each layer a hook that chooses between z and the means by your mask.
# hint: torch.where(mask[layer][..., None], z, means) in a hook; partial(mean_ablation_hook, means=..., is_kept=mask[layer]) is such a one. model.add_hook(name, hook, is_permanent=is_permanent), and return model.
# %% result
# what is left of the task with nothing, with parts, and with all heads that have a class.
# Two questions: how far is IO ahead of S, and how often is IO the likeliest token of all?
from arena_lib.interp.ioi import SEQ_POS_TO_KEEP


def run_alone(circuit, positions=SEQ_POS_TO_KEEP):
    """The logits of the clean prompts, with nothing but the circuit."""
    circuit_logits = add_mean_ablation_hook(model, abc_dataset, circuit, positions)(dataset.toks)
    model.reset_hooks(including_permanent=True)
    return circuit_logits


classes = classify_heads(measured["tiny-llama"])
parts = {
    "nothing": {},
    "S suppression": {"S suppression": classes["S suppression"]},
    "name movers": {"name mover": classes["name mover"]},
    "both": {kind: classes[kind] for kind in ("S suppression", "name mover")},
}
alone = {label: run_alone(circuit) for label, circuit in parts.items()} | {"the whole model": logits}
plots.bars(
    [logits_to_ave_logit_diff(x, answer_tokens) for x in alone.values()],
    list(alone),
    y_title="logit difference",
    title="Circuits on their own: the logit difference",
).show()
plots.bars(
    [(x[:, -1].argmax(dim=-1) == dataset.io_tokens).float().mean() for x in alone.values()],
    list(alone),
    y_title="accuracy",
    title="Circuits on their own: how often IO is the likeliest token",
)
# %% [markdown]
# Look at both pictures before you read on. By the logit difference, 1.2 alone does four fifths of the
# task. By accuracy it does *nothing*: IO is the likeliest token in no prompt at all. Both are true. 1.2
# pushes S down and says nothing of IO, which is one name among ninety-five others. With the name movers
# alone the likeliest token is one of the two names nearly always, and the right one half of the time. Only
# together do they solve the task: two names, minus one.
#
# So choose a metric with care. The logit difference asks "IO or S?" and takes for granted that one of them
# comes.
#
# There is something else. The five heads alone reach 15.1, *more* than the whole model, 11.8. A circuit that
# is better than its model isn't faithful: something in the model works against the answer, and we have
# left it out. The likely ones are the heads of layer 3, which we called unexplained: without them the logit
# difference rose.
#
# In the next exercise you add them. You may need more than that: a head can only damp what it can see. A circuit is a
# plain dictionary, so you can add a class of your own to it, under any name, and give that class a position in
# `positions`. A head that works at two places goes into two classes. The roles are those of
# `dataset.word_idx` (part 1).
# %% exercise="explain_the_rest" title="What holds the model back?" difficulty=4 importance=3 minutes=30
# hint: Where do the heads of layer 3 look from the end? cache["pattern", 3][:, :, -1] averages to one row for each head. And what did heads of layer 2 bring to that place?
# hint: If layer 3 reads there what layer 2 has written, a circuit needs layer 2 at that place as well. A head may be in two classes, with two positions.
# hint: They look at the comma, the position before S2, "S2-1". Add {"early name mover": the four heads of layer 2, "damper": the four of layer 3} to the circuit, and {"early name mover": "S2-1", "damper": "end"} to the positions.
# Fill `looked_at`: "n_heads", the position that each head of layer 3 looks at most from the end, on average over prompts.
# Then build `whole` (classes and heads) and `positions` (class to role), so that the circuit alone has nearly the model's logit difference.
# region solution
looked_at = cache["pattern", 3][:, :, -1].mean(dim=0).argmax(dim=-1)
layer_3 = [(3, head) for head in range(4)]
whole = parts["both"] | {"early name mover": layer_2, "damper": layer_3}
positions = SEQ_POS_TO_KEEP | {"early name mover": "S2-1", "damper": "end"}
# endregion
assert looked_at.tolist() == [9, 9, 9, 9], "all of them look at the comma"
of_circuit = float(logits_to_ave_logit_diff(run_alone(whole, positions), answer_tokens))
assert abs(of_circuit - differences["IOI"]) < 0.05 * differences["IOI"], (
    f"the circuit alone must come within 5 % of the model's {differences['IOI']:.2f}: it has {of_circuit:.2f}. "
    + ("Something that damps is missing." if of_circuit > differences["IOI"] else "Something that helps is missing.")
)
print(f"the circuit alone {of_circuit:.2f}, the whole model {differences['IOI']:.2f}")
# %% [markdown]
# So layer 2 brings the names not only to the end but also to the comma, in the middle of the sentence, and
# there layer 3 reads them. What it makes of them works *against* the answer: it takes the circuit from 15.1
# down to 11.6. Why? We don't know. GPT-2 has such heads as well, its negative name movers, and a guess is that they keep the
# model from being too sure, since a confident mistake is expensive in training. In `tiny-llama` they look
# at the comma and not at a name, so no detector of patterns would have found them.
#
# ### Three criteria
#
# Write $F(C)$ for the logit difference of circuit $C$ on its own, and $M$ for the whole model. The paper
# asks for three things.
#
# - **Faithful**: $|F(M) - F(C)|$ is small. The circuit does what the model does.
# - **Complete**: whatever part $K$ you take out of both, circuit and model suffer alike: $|F(C \setminus
#   K) - F(M \setminus K)|$ is small. If the model suffers less, it has understudies that the circuit
#   lacks.
# - **Minimal**: every head $v$ of the circuit counts. There is some $K$ without which its loss is felt:
#   $|F(C \setminus (K \cup \{v\})) - F(C \setminus K)|$ is large.
#
# Why is $K$ needed in the third? Because of heads that do the same. Take one of two away and the other
# does the work: each looks idle as long as the other is there. So for each head we first take away those
# that do the same, and then look at what it's worth.
# %% exercise="compute_minimality_scores" title="Is every head needed?" difficulty=4 importance=3 minutes=30
# hint: For each head v: which heads do the same? These are K. You then need two numbers.
# hint: Build two circuits as dictionaries: one without K, one without K and v. run_alone gives the logits of each.
# hint: def F(kept): circuit = {kind: [head for head in heads if head in kept] for kind, heads in whole.items()}; then |F(all - K - {v}) - F(all - K)| / F(M).
# Fill `minimality`: for each head of whole, for example {(1, 2): 0.9, ...}, the share of the whole model's logit difference that it's
# worth when K is gone. K is the other head that looks at the same name for 2.0, 2.1, 2.2 and 2.3, the three
# others of its layer for each head of layer 3, and nobody for 1.2.
# region solution
everybody = {head for heads in whole.values() for head in heads}
rest = {(2, 0): {(2, 3)}, (2, 3): {(2, 0)}, (2, 1): {(2, 2)}, (2, 2): {(2, 1)}, (1, 2): set()}
rest |= {head: set(whole["damper"]) - {head} for head in whole["damper"]}


def F(kept):
    """The logit difference of these heads on their own."""
    part = {kind: [head for head in heads if head in kept] for kind, heads in whole.items()}
    return float(logits_to_ave_logit_diff(run_alone(part, positions), answer_tokens))


minimality = {
    head: abs(F(everybody - rest[head] - {head}) - F(everybody - rest[head])) / float(differences["IOI"])
    for head in sorted(everybody)
}
# endregion
assert set(minimality) == {head for heads in whole.values() for head in heads}
assert minimality[(1, 2)] > 0.5, "1.2 is worth more than everything else"
assert min(minimality[(2, head)] for head in range(4)) > 0.03, "each name mover counts"
# %% result
# the bar chart of the paper: what each head is worth when those that do the same are gone.
plots.bars(
    list(minimality.values()),
    [f"{layer}.{head}" for layer, head in minimality],
    y_title="share of the model's logit difference",
    title="Minimality: what each head is worth",
)
# %% result
# faithfulness and completeness, as numbers.
# The library measures F for any set of heads; the search for the worst K is greedy, as in the paper.
from arena_lib.interp.circuits import compute_faithfulness, greedy_completeness  # F(C) and F(M); the worst K
from arena_lib.interp.ioi import make_heads_metric

measure = partial(logits_to_ave_logit_diff, answer_tokens=answer_tokens)
F = make_heads_metric(model, dataset, abc_dataset, whole, measure, positions)
faith = compute_faithfulness(F, everybody)
print(f"faithful: F(C) = {faith.circuit:.2f}, F(M) = {faith.full:.2f}; share {faith.share:.2f} of what heads do at all")
worst = greedy_completeness(F, everybody, n_steps=2 if SCALE == "tiny" else 5)
names_of_worst = sorted(f"{node.layer}.{node.head}" for node in worst.knocked_out)
print(f"complete: worst K {names_of_worst}, F(C - K) = {worst.circuit:.2f}, F(M - K) = {worst.model:.2f}")
# %% [markdown]
# **Faithful**: yes. With 48 prompts the circuit's logit difference is 11.6 and the model's 11.8.
#
# **Complete**: no. Take 2.1, 2.2, 3.1 and 3.2 out of both, and the circuit falls to 8.75, the model only to
# 10.95. The gap of 2.2 is a fifth of the model's logit difference. So something in the model does part of their
# work when they are gone, and our circuit doesn't have it. It may be one of the seven heads that we left out. It may
# also be a head of the circuit at a position where we didn't keep it. A faithful circuit can still be incomplete: while
# everything works, understudies don't show. So don't read our circuit as "all that matters". It is
# *enough* for the task, and not all that the model has for it.
#
# **Minimal**: in part. 1.2 is worth everything that the model has, and each name mover about a third of it. One by
# one, the dampers are worth less than a tenth: only together do they hold the model back. 3.2 is worth 0.01, so by the
# letter of the criterion it would have to go.
#
# ### The circuit, drawn
#
# For the drawing we patch single edges: what one part tells one other part, directly, through nothing in
# between. Here MLPs are parts as well.
# %% result
# the circuit of tiny-llama. Thick edges carry much. Blue edges help: without them the answer gets worse, so their
# numbers are negative. Red, dashed edges hurt. ABBA prompts, on which the two pairs of name movers come apart.
from arena_lib.interp.ioi import share_lost
from arena_lib.interp.patching import MLP, Embed, FinalResidual, Head, HeadInput, MLPInput, score_edges

abba = make_ioi_dataset(model, N_PROMPTS // 2, generator=torch.Generator().manual_seed(0), form="ABBA")
abba_abc = abba.abc(torch.Generator().manual_seed(1), STORYWORLD.names)
edges = [(Embed(), MLPInput(0)), (MLP(0), HeadInput(1, 2, "v"))]
edges += [(Head(1, 2), MLPInput(layer)) for layer in (1, 2, 3)] + [(Head(1, 2), FinalResidual())]
edges += [(Head(1, 2), HeadInput(2, head, "q")) for head in range(4)]
edges += [(Head(2, head), FinalResidual()) for head in range(4)]
edges += [(Head(3, head), FinalResidual()) for head in range(4)]
edges += [(MLP(layer), FinalResidual()) for layer in (1, 2, 3)]
edges += [(MLP(1), MLPInput(2)), (MLP(1), MLPInput(3)), (MLP(2), MLPInput(3))]
abba_metric = share_lost(model(abba.toks), model(abba_abc.toks), abba)
scores = score_edges(model, abba.toks, abba_abc.toks, abba_metric, edges, read_at=-1)


def label(node):
    """The name of a sender or receiver in the drawing."""
    if isinstance(node, Head | HeadInput):
        return f"{node.layer}.{node.head}"
    if isinstance(node, MLP | MLPInput):
        return f"MLP {node.layer}"
    return "names" if isinstance(node, Embed) else "logits"


nodes = {"names": (-1, "prompt"), "MLP 0": (0.5, "MLP"), "1.2": (1, "S suppression"), "MLP 1": (1.5, "MLP")}
nodes |= {f"2.{head}": (2, "mover of the first name") for head in (1, 2)}
nodes |= {f"2.{head}": (2, "mover of the second name") for head in (0, 3)}
nodes |= {"MLP 2": (2.5, "MLP")} | {f"3.{head}": (3, "damper") for head in range(4)}
nodes |= {"MLP 3": (3.5, "MLP"), "logits": (4, "answer")}
drawn = {
    (label(sender), label(receiver)): score
    for (sender, receiver), score in zip(edges, scores.tolist(), strict=True)
    if abs(score) > 0.02
}
plots.circuit(nodes, drawn, aside="MLP", title="How tiny-llama finds the indirect object (ABBA prompts)")
# %% [markdown]
# Read it from the bottom up. The giver's name at S2 goes through MLP 0 and is taken by 1.2, which tells MLP 1: not
# this one. MLPs 1 to 3 turn it into logits. On the left are the name movers. In ABBA prompts the first
# name is right, so its movers help (blue) and those of the second hurt (red); in BABA it's the other way
# round. (What the name movers read isn't drawn: two of them share one value head, so an edge into one
# would change both.)
#
# ## 7. Another model, and a real one
#
# *No exercises. You run the whole analysis on other models, and see which findings carry over.*
#
# Is this how it's done, then? It's how *one* model does it. Put another name here, and the same cells give
# you its circuit, by the same measures: `"tiny-gpt"`, or `"smollm2"`, a real language model with 30 layers
# of 9 heads (run `arena zoo fetch smollm2` once, a download of about 100 MB). With a network, `"gpt2"`
# works as well, and there you can compare with the paper.
# %%
from dataclasses import replace  # a copy with one field changed

from arena_lib.interp.ioi import ENGLISH, keep_single_tokens  # names and sentences of real English
from arena_lib.interp.patching import PathExperiment, path_patch_each  # your path patching, for chosen senders, faster

MODEL = "tiny-gpt"  # "smollm2" takes three to four minutes on two cores, and 2 GB of memory
N_REAL = 12 if SCALE == "tiny" else 16

subject = zoo.load(MODEL)
is_storyworld = subject.cfg.d_vocab == model.cfg.d_vocab
source = STORYWORLD if is_storyworld else ENGLISH
source = replace(source, names=keep_single_tokens(subject, source.names))  # answers must be single tokens
real_set = make_ioi_dataset(
    subject,
    N_REAL,
    generator=torch.Generator().manual_seed(0),
    words=source,
    prepend_bos=MODEL != "smollm2",  # its first token begins a message of a chat
)
real_abc = real_set.abc(torch.Generator().manual_seed(1), source.names)
real_logits, real_abc_logits = subject(real_set.toks), subject(real_abc.toks)
real_measure = partial(logits_to_ave_logit_diff, answer_tokens=real_set.answer_tokens)
print(real_set.prompts[0].text, "...")
print(f"{MODEL}: logit difference {real_measure(real_logits):.2f}, on ABC prompts {real_measure(real_abc_logits):.2f}")
print(f"IO above S in {(real_measure(real_logits, per_prompt=True) > 0).float().mean():.0%} of prompts")
# %% result
# the classes of its heads, and what each does to the logits directly. Squares mark heads with a class.
real_names = torch.tensor([subject.to_single_token(f" {name}") for name in source.names])
real_measures = measure_heads(
    subject,
    real_set,
    real_abc,
    real_names,
    generator=torch.Generator().manual_seed(3),
    token_ids=words if is_storyworld else torch.arange(1000, subject.cfg.d_vocab // 2),
)
real_classes = classify_heads(real_measures)
for kind, heads in real_classes.items():
    print(f"{kind:20} {', '.join(f'{layer}.{head}' for layer, head in heads) or '-'}")
is_classed = torch.zeros(subject.cfg.n_layers, subject.cfg.n_heads)
for kind, heads in real_classes.items():
    for head in heads:
        is_classed[head] = kind != "unexplained"
plots.heads(
    real_measures.to_logits.mean(dim=0),
    quantity="change",
    mark=is_classed,
    limit=1.0,
    is_signed=True,
    title=f"{MODEL}: path patching to the logits",
)
# %% result
# its circuit on its own: faithful, complete, minimal? The bars show what each head is worth when the others of
# its class are gone.
real_circuit = {kind: heads for kind, heads in real_classes.items() if heads}
F = make_heads_metric(subject, real_set, real_abc, real_circuit, real_measure)
with_a_class = {head for kind, heads in real_circuit.items() if kind != "unexplained" for head in heads}
everybody = {head for heads in real_circuit.values() for head in heads}
real_faith = {
    "heads with a class": compute_faithfulness(F, with_a_class),
    "the unexplained, too": compute_faithfulness(F, everybody),
}
for label, faith in real_faith.items():
    print(
        f"{label:20}: F(C) = {faith.circuit:5.2f}, F(M) = {faith.full:.2f}, "
        f"F(nothing) = {faith.empty:.2f}, share {faith.share:.2f}"
    )
real_worst = greedy_completeness(F, with_a_class, n_steps=2)
names_of_worst = sorted(f"{node.layer}.{node.head}" for node in real_worst.knocked_out)
print(f"worst K {names_of_worst}: F(C - K) = {real_worst.circuit:.2f}, F(M - K) = {real_worst.model:.2f}")
worth = {}
for kind, heads in real_circuit.items():
    for head in heads if kind != "unexplained" else []:
        others = set(heads) - {head}  # K: the others of its class
        worth[kind, head] = abs(F(with_a_class - others - {head}) - F(with_a_class - others)) / F.full
plots.bars(
    list(worth.values()),
    [f"{layer}.{head} {kind}" for kind, (layer, head) in worth],
    y_title="share of the model's logit difference",
    title=f"{MODEL}: what each head is worth",
)
# %% result
# its circuit, drawn: from each head to the logits, and from S-inhibition heads to the name movers' queries.
real_nodes = {"logits": (subject.cfg.n_layers, "answer")}
real_edges = {}
for kind, heads in real_classes.items():
    for layer, head in heads if kind != "unexplained" else []:
        real_nodes.setdefault(f"{layer}.{head}", (layer, kind))
        real_edges[f"{layer}.{head}", "logits"] = float(real_measures.to_logits.mean(dim=0)[layer, head])
real_metric = share_lost(real_logits, real_abc_logits, real_set)
real_paths = PathExperiment(real_set.toks, real_abc.toks, read_at=-1)
inhibitors = [Head(*head) for head in real_classes["S-inhibition"]]
for layer, head in real_classes["name mover"]:
    senders = [sender for sender in inhibitors if sender.layer < layer]
    if senders:
        query = [HeadInput(layer, head, "q")]
        effects = path_patch_each(subject, real_paths, senders, query, real_metric)
        names_of_edges = [(f"{sender.layer}.{sender.head}", f"{layer}.{head}") for sender in senders]
        real_edges |= dict(zip(names_of_edges, effects.tolist(), strict=True))
real_edges = {edge: effect for edge, effect in real_edges.items() if abs(effect) > 0.005}
plots.circuit(real_nodes, real_edges, title=f"{MODEL}: the heads with a class")
# %% [markdown]
# The classes were found by the same thresholds as for `tiny-llama`, and a head may miss one narrowly. Read
# the drawing beside the numbers that you printed, not instead of them.
#
# ### What tiny-gpt does
#
# `tiny-gpt` learned from the same stories, with as many layers and heads, and its circuit is another one. It
# has both ways of finding the answer:
#
# - **S-inhibition**, as in GPT-2. 0.0 and 0.3 look at S2 and tell the queries of the name movers 1.0 and 1.2 to
#   leave the subject out. The name movers obey: from the end they look at the IO with 0.66 and 0.68, at the
#   subject with 0.20 and 0.18. Those of `tiny-llama` take both names alike.
# - **S suppression**, as in `tiny-llama`. 1.1 looks at S2 and lowers the subject's logit. Its path to the logits
#   carries the most of all (-0.60).
# - Three heads of layer 3 (3.0, 3.2 and 3.3), and 3.1 a little, make the answer *worse*. They look at the comma, like
#   the dampers of `tiny-llama`. Two models that were trained separately have them, so they aren't an accident.
#
# How good is this circuit? **Faithful**: not quite. The five heads with a class reach 19.07, more than the model's
# 17.24, since the dampers are missing. Adding the unexplained heads at the end makes it worse, 20.00. You know
# why from part 6: the dampers read the comma, and nobody is kept there who writes to it. **Complete**: no. Without 0.0
# and 0.3 the circuit keeps 13.14, and the model only 9.58. So the model leans on these two in more ways than
# our circuit does. **Minimal**: yes. Each head is worth 0.17 or more.
#
# ### What SmolLM2 does
#
# With `MODEL = "smollm2"` (16 prompts) we got a circuit that is much closer to GPT-2's than that of
# `tiny-llama`. SmolLM2 prefers the right name in every prompt; its logit difference is 5.05.
#
# - **Name movers** 23.0, 23.1, 23.2 and 23.7, a **negative name mover** 24.4, and **S-inhibition heads**
#   19.2 and 20.0, which reach the name movers' queries: the parts that the paper found, in the same order.
#   Before them stand an induction head (17.4), a previous-token head (16.0) and four duplicate-token heads
#   (5.6, 8.0, 8.1, 14.3).
# - One head does more than any of these: 23.3 looks at the *subject* and makes it less likely, as 1.2
#   does in `tiny-llama`. Its path to the logits alone carries half of the logit difference (0.54).
# - **Faithful** in part: the 14 heads with a class reach 3.85 of 5.05, four fifths of what heads do at all
#   (with none of them it's -0.85). The seven unexplained ones make it worse, not better (3.44).
# - Not **complete**: without 24.4 and 8.1 the circuit falls to 2.82, while the model rises to 5.84. So it
#   has heads that step in, and we haven't found them. As with `tiny-llama`, the circuit is enough for much of
#   the task, and not all that the model has.
# - **Minimal**, nearly: 23.3 is worth 0.58 of the logit difference, the induction head 0.42, most others
#   between 0.05 and 0.4, the duplicate-token head 14.3 only 0.02.
#
# ## What you have learned
#
# You can take a behaviour, turn it into a number, and find the parts of a model that it depends on. You
# can follow paths from part to part. You can say how much of the behaviour your circuit explains, and what it
# leaves open. And you have seen how each method misleads when it's used alone:
#
# - Attribution named the MLPs, which only finished what a head had brought.
# - Denoising against the swapped prompts showed one head, and hid those that both runs share.
# - An average over two forms made four heads invisible.
# - The logit difference called a circuit good that never gets the answer right.
# - A circuit without its dampers was better than the model, so it wasn't the model's.
# - A faithful circuit wasn't complete: it lacked what steps in when a part is gone.
#
# ## What comes next
#
# The parts of your circuit were whole heads and MLPs, and each of them may do several things at once. Sparse
# autoencoders split an activation into features that can be patched one by one; sections on them are being
# written. Until then, 1.3.2 (function vectors) shows what else a few heads can carry, if you haven't done it yet.
#
# ## On your own
#
# - **Replicate a paper.** Find the circuit of Wang et al. 2022
#   ([arXiv:2211.00593](https://arxiv.org/abs/2211.00593)) in GPT-2 itself, with `MODEL = "gpt2"` (this needs a
#   network). Which of their 26 heads do the thresholds of part 5 find? Which do they miss, and by how much? Is your
#   circuit as complete as theirs?
# - **Find the understudies.** `tiny-llama`'s circuit isn't complete. Knock out 2.1, 2.2, 3.1 and 3.2 in the model, and
#   path patch again. Who does more than before? Add it to the circuit, and measure the gap again.
# - **What are the dampers for?** Take the heads of layer 3 out of `tiny-llama`, and measure its loss on stories
#   (`arena_lib.storyworld` makes them). Where does it rise? If the guess of part 6 is right, at places where a
#   model could be sure and wrong.
#
# ## Reading
#
# - Wang et al. 2022, [Interpretability in the wild](https://arxiv.org/abs/2211.00593): the circuit in
#   GPT-2, with everything that you did here
# - Goldowsky-Dill et al. 2023, [Localizing model behavior with path
#   patching](https://arxiv.org/abs/2304.05969)
# - Heimersheim and Nanda 2024, [How to use and interpret activation
#   patching](https://arxiv.org/abs/2404.15255)
# - McDougall et al. 2023, [Copy suppression](https://arxiv.org/abs/2310.04625): what a negative name mover
#   of GPT-2 does everywhere
# - Conmy et al. 2023, [Towards automated circuit discovery](https://arxiv.org/abs/2304.14997): the search for a
#   circuit, done by a program
# - Makelov, Lange and Nanda 2023, [Is this the subspace you are looking
#   for?](https://arxiv.org/abs/2311.17030): how patching a subspace can mislead
