# ---
# arena: {id: "1.3.2", slug: function_vectors, title: Function vectors and model steering, hours: 6, needs: [tiny-llama]}
# objectives:
#   - "Read and change what flows through a model with nnsight: traces, several invocations, generation"
#   - "Build prompts that show a task, and prompts that look the same and don't"
#   - "Find where a model keeps the task that it has read off a prompt, by causal effects of single heads"
#   - "Make a function vector, put it where no task is shown, and measure what it does"
#   - "Say what such a vector is and isn't, with controls"
#   - "Steer what a model writes with activations of other texts"
# ---
# %% [markdown]
# ## What you will find
#
# Give a language model this:
#
#     hot: cold, big: small, tall: short, old:
#
# and it says "young". Nobody told it that opposites are wanted. It read that off three examples, while it ran,
# without changing a single weight. This is **in-context learning**, and for a long time nobody knew what it
# looks like inside.
#
# Think about what must happen. At the last colon the model has to know two things: which *word* is asked for,
# and which *task* to perform on it. The word stands right in front. But the task stands nowhere! It has to be
# gathered from the examples and carried to the last position, and only attention heads move information. So
# there might be a vector in there that means "opposites, please".
#
# In this section you find that vector, take it out, and put it into a prompt without any examples. Such a prompt
# is just the text `old:`, which our model by itself continues with "older". With your vector, if the idea is
# right, it will continue it with "young". It's a paper's result that you replicate (Todd et al.
# 2023, *Function vectors in large language models*), on a model small enough that you can see everything. You
# will also find something that isn't in the paper: what the vector of our small model *really* says.
#
# ### The model
#
# `tiny-llama` speaks Storyworld (section 1.1), and among its training texts were lists such as the one above,
# each under one of three rules: **opposite** (`hot: cold`), **same** (`hot: hot`), or **comparative** (`hot:
# hotter`). All three are about the same words. So a prompt without examples, such as `old:`, leaves the rule open,
# and a model that guesses is right a third of the time. The last part does the same with a real
# language model, SmolLM2.
#
# ### How to work through this
#
# As in section 1.1: write, run the cell (or check the file), read what the judge says; three hints for each
# exercise. Some exercises have no docstring but a gap in a cell, and end in an `assert`: there you explore.
#
# The set-up cell above imports types for the stubs, and tools that each exercise names where you need them:
# `block`, `out_projection` and `hooked` (parts of a model, whatever library it comes from), `answer_tokens` and
# the two `decode_...` functions (from text to token ids and back), `SAMPLING` (how continuations are drawn).
# `check_additions` refuses wrong arguments in the library's own solution; you can do without it.
#
# | part | minutes |
# |---|---|
# | 1. nnsight | 15 |
# | 2. Prompts that show a task | 30 |
# | 3. The state that knows the task | 60 |
# | 4. Which heads bring it? | 70 |
# | 5. The function vector | 65 |
# | 6. What does the vector mean? | 30 |
# | 7. Steering by activation addition | 40 |
# | 8. A real model | 0 |
#
# These are minutes of exercises; the rest of the six hours is for reading and looking.
#
# ## 1. nnsight
#
# *About 15 minutes of exercises. You read and change a running model that has no hooks of its own.*
#
# In section 1.2 you used models that were written for looking inside. Most models aren't: they come from
# Hugging Face's `transformers`, and have no hooks. [nnsight](https://nnsight.net) makes any PyTorch model
# readable, so it's what many papers use. This section is written with it.
# %%
import torch

from arena_lib import plots, storyworld, zoo

torch.set_grad_enabled(False)  # nothing is trained in this section
model = zoo.load_nnsight("tiny-llama")
tokenizer = model.tokenizer
model
# %% [markdown]
# That's the model's tree of modules, and each has a name that you can follow:
# `model.model.layers[2].self_attn.o_proj`. For each there is `.input` and `.output`. They have values only
# while the model runs, so you use them inside a **trace**:
# %%
PROMPT = "<|endoftext|> hot: cold, big: small, tall: short, old:"

with model.trace(PROMPT):
    resid = model.model.layers[1].output.save()  # what leaves layer 1: the residual stream
    logits = model.lm_head.output.save()

print(resid.shape, "-> likeliest next token:", repr(tokenizer.decode(logits[0, -1].argmax())))
# %% [markdown]
# Read this as: *run the model on the prompt, and while it runs, do what the block says.* The block isn't run
# by Python line by line, as it seems; nnsight takes its source, and each `.output` waits until the model gets
# there. Four rules follow from that, and nearly every nnsight error comes from breaking one of them:
#
# 1. **Ask in the order in which the model computes.** Layer 1 before layer 2, `lm_head` last. If you ask
#    for layer 1 after layer 2, you come too late and get an `OutOfOrderError`.
# 2. **Save what you want to keep.** After the block only values with `.save()` are left. This holds for
#    everything that you make in the block, lists too: a `list` made inside is gone afterwards. Make it before the
#    block and append to it inside; then it stays, with all that it holds.
# 3. **Writing changes the run.** `model.model.layers[1].output[:, -1] = 0` sets the stream at the last
#    position to zero, and all that follows is computed from that. To replace the whole, assign to `.output`
#    itself.
# 4. **The block begins on a line of its own**, and not with `try`.
#
# Prompts of different length may go into one list. They are padded on the *left*, so `[:, -1]` is always the
# last token.
# %% exercise="first_traces" title="Your first traces" difficulty=2 importance=4 minutes=15
# hint: Two traces: one that only reads, one that writes before it reads the logits.
# hint: In the second trace, first set model.model.layers[1].output[:, -1] to zero, then read model.lm_head.output. The other order comes too late.
# hint: with model.trace(PROMPT): the norm is model.model.layers[1].output[0, -1].norm().save().
# How long is the vector at the last position after layer 1? What does the model guess after it was set to zero?
# region solution
with model.trace(PROMPT):
    length = model.model.layers[1].output[0, -1].norm().save()
with model.trace(PROMPT):
    model.model.layers[1].output[:, -1] = 0
    best = model.lm_head.output[0, -1].argmax().save()
guess = tokenizer.decode(best)
# endregion
print(f"length {float(length):.1f}, guess {guess!r}")
assert abs(float(length) - 39.72) < 0.1, (
    f"{float(length):.2f} isn't the norm of one vector: the last position after layer 1"
)
assert guess == ",", "the write must come before the read of the logits"
# %% [markdown]
# With its state at the last position gone, the model no longer knows which word is asked, or that it has just
# read a colon. It still sees the earlier words, and goes on with a comma.
#
# There is a fifth thing to know: a trace can have **several invocations**. They run as one batch, each block
# sees its own rows, and one may use what another has computed.
# %%
with model.trace() as tracer:
    with tracer.invoke(["<|endoftext|> hot: cold, big: small, tall:", "<|endoftext|> tall: short, wet: dry, rich:"]):
        mean_state = model.model.layers[2].output[:, -1].mean(dim=0)
    with tracer.invoke("<|endoftext|> old:"):
        plain = model.lm_head.output[0, -1].argmax().save()
    with tracer.invoke("<|endoftext|> old:"):
        model.model.layers[2].output[:, -1] += mean_state
        changed = model.lm_head.output[0, -1].argmax().save()
print(repr(tokenizer.decode(plain)), "->", repr(tokenizer.decode(changed)))
# %% [markdown]
# Look closely at the third invocation: it uses `mean_state` from the first. That works here because `+=`
# first asks for layer 2, so it waits there, and by then the first invocation has done its line. If you aren't
# sure of the order, make it sure: `meet = tracer.barrier(2)` at the top, and `meet()` in both blocks. The one
# that gets there first waits for the other. (Or use two traces. That's never wrong.)
#
# And you have just seen a model change its mind, from "older" to "young", though its own prompt showed no pair.
# One word proves nothing yet; we come back to it.
#
# In what follows, `block(model, layer)` is short for `model.model.layers[layer]`: it works for GPT-2's form
# as well, where the layers have another name. In the same way `out_projection(model, layer)` is
# `model.model.layers[layer].self_attn.o_proj`.
#
# ## 2. Prompts that show a task
#
# *About 30 minutes of exercises. You write prompts that show a task, and prompts that look the same and don't.*
#
# We need many prompts, so let a function write them. The same pairs can be written down in different
# ways; an `ICLFormat` says how. Storyworld writes lists; other models know questions and answers:
# %%
from arena_lib.interp.steering import QUESTION_ANSWER, RULE_LIST

print(RULE_LIST)
print(QUESTION_ANSWER)
# %% exercise="make_prompt" title="Write the pairs down" difficulty=1 importance=3 minutes=10
# hint: All pairs but the last are shown with their answers; the last one is asked.
# hint: Each pair that is shown ends with form.separator; nothing comes after the last question.
# hint: *shown, (asked, expected) = word_pairs splits them; question, answer and separator are joined for each of shown.
# %% [markdown]
# To show that some part of the model carries *the task*, we need prompts that are like these in all but one
# respect: that they don't show the task. So we keep the words, the colons and the length, and spoil the
# answers.
#
#     hot: cold, big: small, old:       clean
#     hot: loud, big: dry, old:         corrupted
#
# (That's the same thought as in activation patching: change one thing, and keep the rest.) The last pair
# stays as it is: it's the question, and its right answer is what we will ask the model for.
# %% exercise="corrupt_pairs" title="Spoil the answers" difficulty=2 importance=3 minutes=10
# hint: The last pair stays; each of the others gets an answer that belongs to another word.
# hint: For each pair make the list of the answers that are wrong for it, and draw one of them.
# hint: wrong = [answer for answer in answers if answer != right]; wrong[int(torch.randint(len(wrong), (), generator=generator))].
# %% [markdown]
# `ICLDataset` puts this together. It draws pairs, keeps the question's words out of the examples, and writes
# many prompts: `.prompts` are the texts, `.completions` the right answers (with their space, since " wet" and
# "wet" are different tokens), and `.create_corrupted_dataset()` gives the same prompts with spoiled answers.
# %%
from arena_lib.interp.steering import ICLDataset, accuracy

RULES = storyworld.RULES["adjectives"]
WORDS = list(RULES["opposite"])
# Half of the opposites are for examples; what we test on is the other half, which no example contains.
SHOWN, ASKED = [WORDS[i] for i in range(len(WORDS)) if i % 4 < 2], [WORDS[i] for i in range(len(WORDS)) if i % 4 >= 2]


def pairs_of(rule, words):
    """(word, answer) for each of these words, by a rule's name."""
    return [(word, RULES[rule][word]) for word in words]


def make_dataset(rule, n_prepended, words=SHOWN, size=None, seed=0):
    """Prompts of one rule: questions about `words`, examples from SHOWN."""
    return ICLDataset(
        pairs_of(rule, words),
        size or len(words),
        n_prepended,
        bidirectional=False,
        seed=seed,
        form=RULE_LIST,
        demonstrations=pairs_of(rule, SHOWN),
    )


N_SHOTS = 5
example = make_dataset("opposite", N_SHOTS)
print(example.prompts[0], "->", repr(example.completions[0]))
print(example.create_corrupted_dataset().prompts[0], "->", repr(example.completions[0]))
# %% [markdown]
# You will want your own tasks later, with another model. What makes a good pair? The answer must be **one
# token**, for we ask for it in one step and compare one number.
# %% exercise="choose_pairs" title="Pairs of your own" difficulty=2 importance=2 minutes=10
# hint: tokenizer(text, add_special_tokens=False).input_ids is a list of ids. Which text do you have to ask about?
# hint: In a prompt the answer follows a colon and a space. Ask about " hotter", not about "hotter".
# hint: [(x, y) for x, y in candidates if all(len(tokenizer(" " + word, add_special_tokens=False).input_ids) == 1 for word in (x, y))].
candidates = [
    ("dog", "dogs"),
    ("cat", "kitten"),
    ("apple", "apples"),
    ("lamp", "light"),
    ("owl", "owls"),
    ("sun", "suns"),
]
# Keep those of which both words are single tokens of this tokenizer.
# region solution
kept = [
    (x, y)
    for x, y in candidates
    if all(len(tokenizer(" " + word, add_special_tokens=False).input_ids) == 1 for word in (x, y))
]
# endregion
assert kept == [("dog", "dogs"), ("apple", "apples"), ("owl", "owls")], (
    f"{kept}: of each pair both words must be one token, with the space in front"
)
# %% result
# how many examples the model needs.
# With none it guesses among the three rules; one is enough. Spoiled answers help it little, except for one rule: why?
# (Where curves coincide, the lower one is drawn thicker: four of the six are at 1.00.)
shots = [0, 1, 5] if SCALE == "tiny" else [0, 1, 2, 3, 5]
curves = {}
for rule in RULES:
    for kind in ("clean", "corrupted"):
        scores = []
        for n_prepended in shots:
            data = make_dataset(rule, n_prepended, ASKED)
            data = data if kind == "clean" else data.create_corrupted_dataset()
            with model.trace(data.prompts):
                guesses = model.lm_head.output[:, -1].argmax(dim=-1).save()
            scores.append(accuracy([tokenizer.decode(guess) for guess in guesses], data.completions))
        curves[f"{rule}, {kind}"] = scores
plots.lines(
    curves,
    x=shots,
    x_title="examples in front",
    y_title="accuracy",
    title="In-context learning",
    references={"one of three": 1 / 3},
)
# %% [markdown]
# Spoiled *comparatives* still say that comparatives are wanted: `hot: taller, big: colder, old:` has the
# wrong words in the right form. So for this rule the corrupted prompts still show the task, and what we measure
# with them will be small. A control is only as good as what it leaves out.
#
# ## 3. The state that knows the task
#
# *About 60 minutes of exercises. You average a hidden state over prompts, and see that it carries the task.*
#
# ![Prompts that show a task, their mean state, and a prompt that shows nothing](figures/function_vector.png)
#
# Where would "opposites, please" be? At the last position, since the answer is given there; and somewhere
# between the layers. So take the residual stream at the last position after some layer, for many prompts of
# the same task. Each such state holds the word that is asked, and (if we are right) the task. Average them,
# and the words wash out, while what they share remains. Call the mean $h$, after the paper:
#
# $$h = \frac{1}{N} \sum_{i=1}^{N} \text{resid}(p_i)_{\text{last position}}$$
#
# for prompts $p_1 \dots p_N$ of one task.
# %% exercise="calculate_h" title="The mean state" difficulty=2 importance=3 minutes=15
# hint: One trace over all prompts gives you both the state and the answers.
# hint: block(model, layer).output is "batch seq d_model". Which position, and which axis is averaged? The logits come later in the run, so ask for them second.
# hint: h = block(model, layer).output[:, -1].mean(dim=0).save(); guesses = model.lm_head.output[:, -1].argmax(dim=-1).save(); decode each token by itself.
# %% [markdown]
# Now the test. Take prompts that show nothing, and add $h$ to what is at their last position after the same
# layer. We *add*, since the word that is asked is in there and must not be lost.
# %% exercise="intervene_with_h" title="Put it where nothing is shown" difficulty=3 importance=4 minutes=15
# hint: The same prompts are run twice, once as they are and once changed: two invocations of one trace.
# hint: In the second invocation change block(model, layer).output at the last position, and read the logits after that.
# hint: block(model, layer).output[:, -1] += h.
# %% [markdown]
# Both steps can be one forward pass, for $h$ can be used while it's being computed. On a GPU, or with a model
# that runs on a remote machine, that's worth a lot.
# %% exercise="calculate_h_and_intervene" title="In one forward pass" difficulty=3 importance=3 minutes=15
# hint: Three invocations: prompts with pairs, the zero-shot prompts, and the zero-shot prompts once more.
# hint: The third must not use h before the first has computed it. What are the two ways to make sure of that?
# hint: meet = tracer.barrier(2) in the trace; in the first invocation compute h, then meet(); in the third meet() comes before the line that adds h. h needs no save.
# %% result
# does it work?
# Held-out words, no examples: accuracy without h, and with the h of each rule added after each layer.
layers = range(4)
lifted = {}
for rule in RULES:
    data, zero_shot = make_dataset(rule, N_SHOTS), make_dataset(rule, 0, ASKED)
    scores = []
    for layer in layers:
        without, with_h = calculate_h_and_intervene(model, data, zero_shot, layer)
        scores.append(accuracy(with_h, zero_shot.completions))
    print(
        f"{rule}: {accuracy(without, zero_shot.completions):.2f} without h, {max(scores):.2f} with h after the best layer"
    )
    lifted[rule] = scores
plots.lines(
    lifted,
    x=list(layers),
    x_title="h added after layer",
    y_title="accuracy",
    title="Zero-shot accuracy with h",
    references={"one of three": 1 / 3},
).update_xaxes(dtick=1)
# %% [markdown]
# It does. After layer 2 there is a state that knows the task, and putting it into an empty prompt makes the
# model perform it. After layers 0 and 1 there's nothing of the kind yet: the task hasn't reached the last
# position.
#
# One point sticks out. Added after layer 3, $h$ of "comparative" is perfect, while the other two have fallen to
# about a half. After layer 3 only the final norm and the unembedding are left, so $h$ can do no more than raise
# the logits of some words and lower those of others, whatever word is asked. Which words does it raise?
# %% result
# the logits that h makes by itself, on average over the words' plain forms and over their comparatives.
# Only "comparative" has answers of its own. "Opposite" and "same" have one set of answers for both: every plain form.
answers = {rule: answer_tokens(tokenizer, [" " + RULES[rule][word] for word in WORDS]) for rule in RULES}
for rule in RULES:
    _, h = calculate_h(model, make_dataset(rule, N_SHOTS), 3)
    logits = model.lm_head(model.model.norm(h))
    plain_form, comparative = (float(logits[answers[kind]].mean()) for kind in ("same", "comparative"))
    print(f"h of {rule:12} plain forms {plain_form:+5.1f}, comparatives {comparative:+5.1f}")
    if rule == "comparative":
        assert comparative > plain_form + 10
    else:
        assert plain_form > comparative + 5
# %% [markdown]
# $h$ of "comparative" raises all comparatives above all plain forms (+5.2 against -7.8), and the state that is
# there, which knows the word, picks the right one among them. Between "old" and "young" no such shift can
# choose, for both are plain forms. That needs the word *and* the rule, and a layer that brings them together.
#
# Accuracy is a coarse measure: it sees only whether an answer comes out on top. Log-probabilities show
# changes that are on their way, and averages over few prompts are steadier.
# %% exercise="calculate_h_and_intervene_logprobs" title="How likely is the right answer?" difficulty=2 importance=3 minutes=15
# hint: It's the last function with another reading at the end: not which token wins, but how likely one certain token is.
# hint: answer_tokens(model.tokenizer, zero_shot_dataset.completions) gives the ids. log_softmax runs over the vocabulary.
# hint: model.lm_head.output[:, -1].log_softmax(dim=-1)[torch.arange(len(answers)), answers], saved; .tolist() after the trace.
# %% result
# the same by log-probability, word by word, after layer 2. Every one of the twelve becomes likelier.
data, zero_shot = make_dataset("opposite", N_SHOTS), make_dataset("opposite", 0, ASKED[:12])
before, after = calculate_h_and_intervene_logprobs(model, data, zero_shot, 2)
names = [f"{seq[0][0]}: {seq[0][1]}" for seq in zero_shot.seqs]
plots.bars(
    {"without h": before, "with h": after}, names, y_title="log-probability (nats)", title="Opposites without examples"
)
# %% [markdown]
# ## 4. Which heads bring it?
#
# *About 70 minutes of exercises. You find the heads that carry the task, by the causal effect of each.*
#
# $h$ is the whole state, with a lot in it that isn't the task. Something brought the task to the last
# position, and only attention heads move things between positions. So which of them was it?
#
# Have a guess first, by looking. A head that reads the task off the examples must look at them.
# %% exercise="heads_that_look_back" title="Who looks at the examples?" difficulty=2 importance=3 minutes=15
# hint: A prompt is <|endoftext|>, then word, colon, answer, comma for each example, then the word and its colon. At which positions do answers stand?
# hint: cache["pattern", layer] is "batch n_heads seq_q seq_k". Take the last query, the keys at answers' positions, add over the keys, average over the prompts.
# hint: Answers stand at positions 3, 7, 11 ...: pattern[:, :, -1, 3:-2:4].sum(dim=-1).mean(dim=0) has one number for each head of a layer.
# nnsight's models don't keep attention patterns, so take our own form of the same model, which does.
ours = zoo.load("tiny-llama")
same_prompts = torch.tensor([tokenizer(prompt).input_ids for prompt in make_dataset("same", N_SHOTS).prompts])
_, cache = ours.run_with_cache(same_prompts)
# For each layer and head: what share of the last position's attention falls on the answers in the examples?
# region solution
on_answers = torch.stack([cache["pattern", layer][:, :, -1, 3:-2:4].sum(dim=-1).mean(dim=0) for layer in range(4)])
# endregion
assert on_answers.shape == (4, 4)
assert divmod(int(on_answers.argmax()), 4) == (2, 1), (
    "rows are layers, columns are heads, entries add up over five keys"
)
assert on_answers.max() > 0.9
# %% result
# one head spends nearly everything on them.
# But a head may look there and bring nothing of use.
plots.heads(on_answers, quantity="attention on answers", title="Where the last position looks: 'same'", limit=1.0)
# %% [markdown]
# Now by cause and effect. Remember what a head does (section 1.1): it mixes values by its pattern into $z$, a
# vector of `d_head` entries, and $z W_O$ is what it adds to the stream. In `transformers` the $z$ of all
# heads lie side by side in the input of the output projection: with 4 heads of 32 entries, entries 0 to 31
# are head 0's, 32 to 63 head 1's, and so on.
#
# For each head, take the mean of its $z$ at the last position over clean prompts.
# %% exercise="calculate_mean_z" title="What each head gathers" difficulty=3 importance=4 minutes=15
# hint: It's calculate_h again, at another place, for every layer: one trace can read them all, from the first to the last.
# hint: out_projection(model, layer).input is "batch seq n_heads*d_head". Take the last position, average over the prompts, and split the last axis.
# hint: out_projection(model, layer).input[:, -1].mean(dim=0).reshape(n_heads, d_head), collected in a list that you make before the trace (one made inside is gone after it); hooked(model) knows n_layers, n_heads and d_head.
# %% [markdown]
# Here is the experiment. Take a *corrupted* prompt, in which the task can't be read. Run it, but in one head,
# at the last position, put its mean $z$ from clean prompts in place of its own. Nothing else is touched. If
# the right answer becomes likelier, this head alone brings something of the task. The size of that is its
# **causal indirect effect**:
#
# $$\text{CIE}(\text{head}) = \text{mean over prompts of } \big[ \log p(\text{answer} \mid \text{corrupted, head's } z := \bar z) - \log p(\text{answer} \mid \text{corrupted}) \big]$$
#
# where $\bar z$ is the head's mean over clean prompts. (The paper takes probabilities; logarithms also show
# changes of answers that are still far from winning.)
# %% exercise="calculate_fn_vectors_and_intervene" title="One head at a time" difficulty=5 importance=5 minutes=40
# hint: For each layer and each head one changed run of the corrupted prompts, and one unchanged run to compare with.
# hint: Where do the means come from, where are they put, and which answers are asked for? Clean prompts; the last position of corrupted ones; dataset.completions.
# hint: In an invocation: z = out_projection(model, layer).input; z[:, -1, head * d_head : (head + 1) * d_head] = mean_z[layer, head]; then the log-probability of the answers, averaged, goes into a list. One trace a layer, n_heads + 1 invocations.
# %% result
# the heat maps, on one scale: the same two heads for two rules.
# For comparatives there is next to nothing, as we said: corrupted comparatives show their task anyway.
N_PROMPTS = 8 if SCALE == "tiny" else len(SHOWN)
effects = {}
for rule in RULES:
    effects[rule] = calculate_fn_vectors_and_intervene(model, make_dataset(rule, N_SHOTS, size=N_PROMPTS))
largest = max(float(effect.abs().max()) for effect in effects.values())
for rule, effect in effects.items():
    plots.heads(effect, quantity="effect (nats)", title=f"Causal effect: {rule}", limit=largest, is_signed=True).show()
# %% [markdown]
# Of sixteen heads one stands out, 2.1, and next comes 3.0. It's the same 2.1 that looks at the answers: watching
# and intervening agree.
#
# ## 5. The function vector
#
# *About 65 minutes of exercises. You make the task a single vector, see who reads it, and hold it against controls.*
#
# Now keep only what these heads write, and forget the rest of $h$. Add up, over a short list of heads, what
# each adds to the residual stream on average:
#
# $$v = \sum_{(\text{layer}, \text{head})} \bar z_{\text{layer}, \text{head}} \, W_O^{\text{layer}, \text{head}}$$
#
# This sum is the **function vector** of the task. It's a single vector of `d_model` entries, and knows
# nothing of any word.
# %% exercise="calculate_fn_vector" title="What they write, added up" difficulty=4 importance=4 minutes=25
# hint: z isn't yet what a head writes. What lies between z and the residual stream, and which part of it belongs to this head?
# hint: hooked(model).W_O(layer)[head] is "d_head d_model". From o_proj.weight you get it too, but mind that torch keeps weights as output by input.
# hint: sum over head_list of mean_z[layer, head] @ W_O[head].
# %% result
# a vector of two heads, added to empty prompts about words that were in no example.
# It matters after which layer it is added: later layers must still read it.
from arena_lib.interp.steering import best_heads

HEADS = best_heads(effects["opposite"], 2)
vectors = {rule: calculate_fn_vector(model, make_dataset(rule, N_SHOTS), HEADS) for rule in RULES}
curves = {}
for rule in RULES:
    zero_shot = make_dataset(rule, 0, ASKED)
    scores = []
    for layer in layers:
        without, with_vector = intervene_with_h(model, zero_shot, vectors[rule], layer)
        scores.append(accuracy(with_vector, zero_shot.completions))
    curves[rule] = scores
    print(f"{rule}: {accuracy(without, zero_shot.completions):.2f} -> {scores[1]:.2f} with the vector after layer 1")
print("heads:", HEADS)
plots.lines(
    curves,
    x=list(layers),
    x_title="vector added after layer",
    y_title="accuracy",
    title="Zero-shot accuracy with a function vector",
    references={"one of three": 1 / 3},
).update_xaxes(dtick=1)
# %% [markdown]
# That's the paper's result: the vector of two heads does more than the whole state $h$ did. It even works when
# it is added after layer 0 or 1, *before* the heads that wrote it. How can that be? What is added to the residual
# stream stays there until something reads it. So who reads it? Show the vector to single MLPs, and leave the
# stream itself as it is.
# %% result
# accuracy where only certain MLPs see the vector.
# Those of layers 2 and 3 together do nearly all that the vector in the stream does.
for readers in ([2], [3], [2, 3]):
    by_readers = []
    for rule in RULES:
        zero_shot = make_dataset(rule, 0, ASKED)
        with model.trace(zero_shot.prompts):
            for layer in readers:
                norm = block(model, layer).post_attention_layernorm  # in front of the MLP
                seen = norm.input.clone()
                seen[:, -1] += vectors[rule]
                norm.input = seen
            guesses = model.lm_head.output[:, -1].argmax(dim=-1).save()
        by_readers.append(accuracy(decode_each(tokenizer, guesses), zero_shot.completions))
    print(f"MLPs {readers}: " + ", ".join(f"{rule} {score:.2f}" for rule, score in zip(RULES, by_readers, strict=True)))
assert min(by_readers) > 0.9, "the last row is layers 2 and 3 together"
# %% [markdown]
# The readers are the MLPs of layers 2 and 3: with both, 0.96 to 1.00 of the answers are right. So it doesn't
# matter whether the vector is written in layer 2 or was there from the start, as long as it arrives before
# they do their work. After layer 3 it's too late, and the curves fall.
#
# Is it more than a coincidence? We need controls. The first: vectors of **other heads**, as many and from the
# same layers, made in the same way.
# %% exercise="control_heads" title="Would any heads do?" difficulty=3 importance=5 minutes=20
# hint: Pairs of heads of layers 2 and 3 that share none with HEADS are fair controls.
# hint: For each pair and each rule: make the vector of that rule, add it after layer 1 to prompts that show nothing, and take that rule's accuracy.
# hint: itertools.combinations(others, 2) goes through the pairs, with others = [(layer, head) for layer in (2, 3) for head in range(4) if (layer, head) not in HEADS].
from itertools import combinations

# control: for each pair of other heads of layers 2 and 3 a list of three accuracies, one for each rule in RULES,
# each with the vector of that rule, added after layer 1.
# region solution
others = [(layer, head) for layer in (2, 3) for head in range(4) if (layer, head) not in HEADS]
control = {}
for pair in list(combinations(others, 2))[: 3 if SCALE == "tiny" else None]:
    control[pair] = []
    for rule in RULES:
        vector = calculate_fn_vector(model, make_dataset(rule, N_SHOTS), pair)
        zero_shot = make_dataset(rule, 0, ASKED)
        control[pair].append(accuracy(intervene_with_h(model, zero_shot, vector, 1)[1], zero_shot.completions))
# endregion
for pair, scores in control.items():
    print(pair, [round(score, 2) for score in scores])
assert not any(head in HEADS for pair in control for head in pair)
assert max(sum(scores) / 3 for scores in control.values()) < 0.6, (
    "over the three rules every other pair must stay below 0.6"
)
# %% result
# the vectors of other heads, and of ours, on the rule that each was made from.
# Look at the column of opposites first, and only then at the others. Below it: one of these pairs with lists of "same".
from_same = calculate_fn_vector(model, make_dataset("same", N_SHOTS), [(2, 0), (3, 1)])
zero_shot = make_dataset("opposite", 0, ASKED)
opposites = accuracy(intervene_with_h(model, zero_shot, from_same, 1)[1], zero_shot.completions)
print(f"2.0 and 3.1, from lists of 'same': the answer is the opposite for {opposites:.2f} of the words")
rows = {"2.1 and 3.0": [curves[rule][1] for rule in RULES]}
rows |= {f"{a[0]}.{a[1]} and {b[0]}.{b[1]}": scores for (a, b), scores in control.items()}
plots.matrix(
    torch.tensor(list(rows.values())),
    rows=list(rows),
    columns=list(RULES),
    row_title="heads",
    column_title="rule",
    title="Accuracy with vectors of two heads",
    quantity="accuracy",
)
# %% [markdown]
# Had we looked at opposites alone, we'd have been in trouble! A pair with head 2.0 lifts them from 0.38 to 0.92,
# nearly as well as ours. But it does so whatever the lists show: its vector from lists of *equal* words makes
# the model say the opposite, too (0.65), and the equal word hardly ever (0.08). Head 2.0 writes something that
# speaks for opposites in any case. That's a bias of the model, and not a task. Our two heads bring what *these*
# lists show: each rule's vector makes the model follow that rule. Over the three rules no other pair gets
# beyond 0.46 on average, where guessing gives 0.33.
#
# So: **a lift is evidence only if it goes where you point**. Measure several tasks, and look at what a vector
# does to the others.
#
# The second control: the same procedure on an **untrained model**, which has heads and vectors too, and
# learned nothing.
# %% result
# the untrained model: the same code, random weights.
# There are "best heads" here, too: some head is always best.
from nnsight import TransformersModel
from transformers import LlamaForCausalLM

torch.manual_seed(0)
untrained = TransformersModel(LlamaForCausalLM(model.config).eval(), tokenizer=tokenizer, task="text-generation")
data, zero_shot = make_dataset("opposite", N_SHOTS, size=N_PROMPTS), make_dataset("opposite", 0, ASKED)
noise = calculate_fn_vectors_and_intervene(untrained, data)
vector = calculate_fn_vector(untrained, data, best_heads(noise, 2))
without, with_vector = intervene_with_h(untrained, zero_shot, vector, 1)
print(
    f"largest effect {noise.max():.4f} nats; accuracy {accuracy(without, zero_shot.completions):.2f} -> {accuracy(with_vector, zero_shot.completions):.2f}"
)
# %% [markdown]
# ### Longer answers
#
# So far we asked for one token. A model that writes goes on, token after token, and reads what it wrote. What
# if the vector is added only once, at the end of the prompt? With `model.generate` a trace covers the whole
# writing: a plain `.output` is that of the first pass, in which the prompt is read, and `tracer.result` is
# the finished text as token ids.
# %% exercise="intervene_with_fn_vector" title="And let it write on" difficulty=4 importance=4 minutes=20
# hint: The trace is model.generate(max_new_tokens=..., do_sample=False) now, with two invocations of the same prompt.
# hint: The prompt is read in the first pass, the later ones read one new token each. A plain write acts on the first pass, and that's where the vector belongs.
# hint: In the second invocation: block(model, layer).output[:, -1] += fn_vector, then tracer.result.save(). model.tokenizer.decode(ids[0], skip_special_tokens=True) makes the text.
# %% result
# the vector starts a list, and the list goes on by its rule.
# Once the first pair stands there, it's an example, and the vector isn't needed any more. Without it the model starts
# with "older". ("Same" soon falls apart: to the model a list of equal words looks like a word repeated.)
for rule in RULES:
    without, with_vector = intervene_with_fn_vector(model, "old", 1, vectors[rule], "<|endoftext|> {x}:", 11)
    print(f"{rule:12} without:{without}\n{'':12} with:   {with_vector}\n")
# %% [markdown]
# ## 6. What does the vector mean?
#
# *About 30 minutes of exercises. You try the vectors where they should not work, and find out what they say.*
#
# We called $v$ "the vector for opposites". Is that what it says? Storyworld has a second kind of list, about
# countries: `Spain: Madrid` (the **capital**), `Spain: Spanish` (the **people**), and again `Spain: Spain`
# (**same**). What does the vector for opposites do to a country, which has no opposite?
# %% exercise="other_tasks" title="Opposites of countries" difficulty=4 importance=4 minutes=30
# hint: Make a vector for each of the six tasks, from its own lists, with the same two heads.
# hint: For each vector and each kind of word: add it after layer 1 to prompts that show nothing, and see which rule each guess answers.
# hint: ICLDataset(list(table.items()), ..., bidirectional=False, form=RULE_LIST) for each table in storyworld.RULES[kind]; intervene_with_h gives the guesses, which you compare with the answers of each of the kind's rules.
TASKS = [(kind, rule) for kind in storyworld.RULES for rule in storyworld.RULES[kind]]
# share[i, j]: the vector of task i added to bare words of task j's kind: the share of guesses that are task j's answers.
# region solution
share = torch.zeros(len(TASKS), len(TASKS))
for i, (kind, rule) in enumerate(TASKS):
    table = list(storyworld.RULES[kind][rule].items())
    vector = calculate_fn_vector(model, ICLDataset(table, 24, N_SHOTS, bidirectional=False, form=RULE_LIST), HEADS)
    for j, (other_kind, other_rule) in enumerate(TASKS):
        other_table = list(storyworld.RULES[other_kind][other_rule].items())
        empty = ICLDataset(other_table, 24, 0, bidirectional=False, form=RULE_LIST)
        if other_rule == "opposite" or other_rule == "capital":  # bare words are the same whatever the rule
            _, guesses = intervene_with_h(model, empty, vector, 1)
        share[i, j] = accuracy(guesses, empty.completions)
# endregion
assert share.shape == (6, 6)
assert share.diagonal().min() > 0.8, "each vector must do its own task"
assert share[0, 3] > 0.8, "the vector of task 0 on the words of task 3"
# %% result
# the answer: three vectors, not six.
# "Opposite" makes countries give their capital, "comparative" their people.
names = [f"{rule} ({kind})" for kind, rule in TASKS]
plots.matrix(
    share,
    rows=names,
    columns=names,
    row_title="vector",
    column_title="answers",
    title="Vectors on words of both kinds",
    quantity="share",
)
# %% [markdown]
# The vector doesn't say "give the opposite". It says something like *"rule one of three"*. What that means for an
# adjective or a country is looked up elsewhere, by the layers that know the word. "Opposite" and
# "capital" happen to share a switch, perhaps because both bring in a different word of the same kind, while
# "comparative" and "people" both make a new form of the word. It would have been easy to miss this: every
# experiment up to here agreed with "it means opposites". To learn what a vector means you have to try it
# where your story says that it *shouldn't* work.
#
# The paper asks a second question of this kind: can tasks be **composed** by arithmetic? If vectors were made
# of parts, then
#
# $$v_{\text{opposite}} + v_{\text{comparative}} - v_{\text{same}}$$
#
# should give the comparative of the opposite, `hot: colder`. In large models this works for some tasks of
# lists (section 3.3 of the paper).
# %% result
# in our model it doesn't.
# The comparative of the opposite, `hot: colder`, comes out for one word of 26 at most.
summed = vectors["opposite"] + vectors["comparative"] - vectors["same"]
composed = {word: RULES["comparative"][RULES["opposite"][word]] for word in ASKED}
targets = {**{rule: {word: RULES[rule][word] for word in ASKED} for rule in RULES}, "comparative of opposite": composed}
counts = {}
for layer in (0, 1, 2):
    _, guesses = intervene_with_h(model, zero_shot, summed, layer)
    asked = [seq[0][0] for seq in zero_shot.seqs]
    counts[f"after layer {layer}"] = [
        sum(guess == " " + table[word] for guess, word in zip(guesses, asked, strict=True)) / len(asked)
        for table in targets.values()
    ]
plots.bars(counts, list(targets), y_title="share of guesses", title="opposite + comparative - same")
# %% [markdown]
# ## 7. Steering by activation addition
#
# *About 40 minutes of exercises. You steer a whole text with the activations of two other texts.*
#
# A function vector is one example of a simple idea: *add something to the residual stream, and the model
# behaves differently*. The vector needn't come from careful experiments. Turner et al. (2023) take the
# activations of two short texts, "Love" and "Hate", subtract them, multiply by a number, and add the result
# to another prompt at an early layer. They call it **activation addition**. In their GPT-2 XL, "I hate you
# because" then continues with affection.
#
# The recipe. An addition is (layer, coefficient, text). Read the text by itself, take the residual stream
# that enters the layer, at all its positions, times the coefficient. While the prompt is read, add this to
# what enters that layer: position 0 to position 0, position 1 to position 1, and so on, as far as the text
# goes. With a token in front of both (`use_bos`), the first positions correspond, and for a pair with
# opposite coefficients they cancel.
# %% exercise="calculate_and_apply_steering_vector" title="Add one text to another" difficulty=5 importance=4 minutes=40
# hint: First a trace for each text, to get what is to be added; then a generation with two invocations, one of which adds it.
# hint: block(model, layer).input is what enters a layer. The texts are added at the first positions, the layers in the order in which the model reaches them.
# hint: In the second invocation: for layer, vector in sorted(...): block(model, layer).input[:, : len(vector)] += vector. For several comparisons invoke a list of equal prompts; tracer.result has a row for each.
# %% result
# Tina becomes "he".
# Storyworld's stories say who "she" is. We add Jack and take Tina away, where her name stands, and let it write.
NURSE = " Tina wanted to be a nurse."
torch.manual_seed(0)
plain, steered = calculate_and_apply_steering_vector(model, NURSE, [(1, 1.0, " Jack"), (1, -1.0, " Tina")], 10, 4)
for plain_text, steered_text in zip(plain, steered, strict=True):
    print(f"{plain_text}\n   steered: {steered_text}\n")
# %% result
# in which layer does the name still matter?
# The pronoun's probability right after the prompt, with the same addition at each layer.
jack, tina = "<|endoftext|> Jack", "<|endoftext|> Tina"
pronouns = [tokenizer(word).input_ids[0] for word in (" He", " She")]
shown = {"He": [], "She": []}
for layer in [None, *layers]:
    with model.trace() as tracer:
        with tracer.invoke([jack, tina]):
            if layer is not None:
                jack_states, tina_states = block(model, layer).input[:, -2:]  # padded on the left to the longest prompt
                difference = jack_states - tina_states
        with tracer.invoke("<|endoftext|>" + NURSE):
            if layer is not None:
                block(model, layer).input[:, :2] += difference
            probs = model.lm_head.output[0, -1].softmax(dim=-1)[pronouns].save()
    for name, prob in zip(shown, probs.tolist(), strict=True):
        shown[name].append(prob)
plots.bars(
    shown,
    ["nothing added", *(f"layer {layer}" for layer in layers)],
    y_title="probability",
    title=f"What follows{NURSE}",
)
# %% [markdown]
# Before layers 0, 1 and 2 the addition turns "She" into "He". Before layer 3 it does nothing: by then the
# last position has already fetched what it needs from the name. So the layer matters as
# much as the vector, and papers on steering try many.
#
# What about moods, as in the paper? In this model they can't be steered in this way: whether its people are glad
# or sad depends on what happened to them, and a bare " happy" in front says nothing about that. Try it.
#
# ## 8. A real model
#
# *No exercises, about 15 minutes of looking. You run your own functions on SmolLM2, and see how much less they do.*
#
# Everything you wrote takes any model of Llama's form. Set `MODEL` to `"smollm2"` and run what follows (run
# `arena zoo fetch smollm2` once, a download of about 100 MB). SmolLM2 has 30 layers of 9 heads, and knows
# questions and answers:
#
#     Q: hot
#     A: cold
#
#     Q: big
#     A:
# %%
MODEL = "tiny-llama"  # "smollm2" takes three to four minutes on two cores, and 3 GB of memory

if MODEL == "smollm2":
    from arena_lib.interp.steering.word_pairs import ANTONYMS

    real = zoo.load_nnsight("smollm2")
    real_clean = ICLDataset(ANTONYMS[::2], 8, N_SHOTS)
    real_few = ICLDataset(ANTONYMS[1::2], 24, N_SHOTS, demonstrations=ANTONYMS[::2])
    real_empty = real_few.create_zero_shot_dataset()
    sweep, after_layers, strengths, n_best = list(range(13, 23)), list(range(3, 25, 3)), (1.0, 2.0), 5
else:
    real = model
    real_clean = make_dataset("opposite", N_SHOTS, size=8)
    real_few = make_dataset("opposite", N_SHOTS, ASKED)
    real_empty = make_dataset("opposite", 0, ASKED)
    sweep, after_layers, strengths, n_best = [2, 3], [0, 1, 2, 3], (1.0, 2.0), 2
print(repr(real_clean[0]))
few_guesses, _ = calculate_h(real, real_few)
empty_guesses, _ = calculate_h(real, real_empty)
few, none = accuracy(few_guesses, real_few.completions), accuracy(empty_guesses, real_empty.completions)
print(
    f"{MODEL}: right with {N_SHOTS} examples {few:.2f}, with none {none:.2f}; without examples it says {empty_guesses[:6]}"
)
# %% result
# the heads of the real model: few again, in the middle of the model.
# SmolLM2's heads in layers 13 to 22; those below and above have next to no effect.
real_effects = calculate_fn_vectors_and_intervene(real, real_clean, sweep)
real_heads = [(sweep[row], head) for row, head in best_heads(real_effects, n_best)]
print({f"{layer}.{head}": round(float(real_effects[sweep.index(layer), head]), 2) for layer, head in real_heads})
every_layer = torch.zeros(real.config.num_hidden_layers, real.config.num_attention_heads)
every_layer[sweep] = real_effects
plots.heads(every_layer, quantity="effect (nats)", title=f"{MODEL}: causal effect, opposites")
# %% result
# what the vector does, layer by layer, at two strengths, beside the whole state h.
# In SmolLM2 h itself does nothing when it is added; the vector of a few heads does.
real_vector = calculate_fn_vector(real, real_clean, real_heads)
curves = {}
for strength in strengths:
    curves[f"vector x {strength:g}"] = [
        accuracy(intervene_with_h(real, real_empty, strength * real_vector, layer)[1], real_empty.completions)
        for layer in after_layers
    ]
curves["h"] = [
    accuracy(calculate_h_and_intervene(real, real_clean, real_empty, layer)[1], real_empty.completions)
    for layer in after_layers
]
plots.lines(
    curves,
    x=after_layers,
    x_title="added after layer",
    y_title="accuracy",
    title=f"{MODEL}: opposites without examples",
    references={f"{N_SHOTS} examples": few, "nothing": none},
)
# %% result
# a continuation, and activation addition.
# In SmolLM2's case a template that it knows, and the paper's own example.
if MODEL == "smollm2":
    for word in ("hot", "simple", "friend"):
        for text in intervene_with_fn_vector(real, word, 12, 2 * real_vector, n_tokens=12):
            print(repr(text))
    torch.manual_seed(0)
    additions = [(3, 4.0, " Love"), (3, -4.0, " Hate")]
    plain, steered = calculate_and_apply_steering_vector(real, "I hate you because", additions, 20, 3)
    print("\nas it is:", *plain, "\nsteered:", *steered, sep="\n   ")
else:
    print("Set MODEL to 'smollm2' for this cell.")
# %% [markdown]
# The same method, other layers and other heads, and less of an effect. With `MODEL = "smollm2"` we got:
#
# - With five examples SmolLM2 is right in 88 % of 24 opposites, with none in 0 %: it answers with a space
#   or with "The", as there is no rule to follow.
# - Five heads stand out: 20.5 (1.5 nats), 14.1 (0.8), 18.6 (0.5), 20.6 and 21.1 (0.3 each).
# - Their vector, added after layer 15, makes 21 % of the answers right, and twice the vector after layer
#   18 makes 25 %. That is a quarter from nothing, and far from what five examples do. In `tiny-llama` the
#   vector went from 38 % to 100 %.
# - $h$, the whole state, does next to nothing: one answer of 24, after layer 6. So it pays to take a few
#   heads apart.
# - When it writes on: `The word "hot" means` goes on with `"very hot"`, and with the vector with `"cold"`.
#   For "simple" and "friend" it doesn't.
#
# ## What you have learned
#
# You can read and write any model with nnsight. You found the two heads that carry a task, put what they write
# into one vector, and made a model perform a task that nobody had shown it. You also know how far that goes.
# The vector is causal, and held up against two controls. Yet its *meaning* wasn't what its name said. And in a
# real model it gave a quarter of the answers, far fewer than five examples do.
#
# ## What comes next
#
# In section 1.4.1 you follow a whole task through a model, from head to head, and write down the circuit that
# performs it. The heads' outputs that you replaced here are patched there, one path at a time.
#
# ## On your own
#
# - **Replicate a paper.** Hendel et al. 2023 ([arXiv:2310.15916](https://arxiv.org/abs/2310.15916)) don't add the
#   state, they *replace* the state of the question by that of a demonstration. Do this with `tiny-llama` and
#   SmolLM2, at every layer. Is there a layer at which replacing works and adding doesn't?
# - **Who sets the switch?** Part 6 found a vector that says "rule one of three". Find the neurons of the MLPs of
#   layers 2 and 3 that read it, with the traces of part 5. Are they the same for adjectives and for countries?
# - **A task of your own.** Write pairs for SmolLM2 (plurals, past tenses, colours of fruit), and give it `v` of
#   a few heads. Which tasks does a single vector carry, and which does it not?
#
# ## Reading
#
# - Todd et al. 2023, [Function vectors in large language models](https://arxiv.org/abs/2310.15213): many
#   models, forty tasks, composition
# - Hendel et al. 2023, [In-context learning creates task vectors](https://arxiv.org/abs/2310.15916): the same
#   idea with the whole state
# - Turner et al. 2023, [Activation addition](https://arxiv.org/abs/2308.10248): steering without optimisation
# - Brown et al. 2020, [Language models are few-shot learners](https://arxiv.org/abs/2005.14165): where
#   in-context learning was named
