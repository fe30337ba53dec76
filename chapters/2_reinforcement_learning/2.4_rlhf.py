# ---
# arena: {id: "2.4", slug: rlhf, title: Learning from rewards and preferences, hours: 12, needs: [tiny-llama]}
# objectives:
#   - "Write a reward for whole texts, and see what it really asks for"
#   - "Draw samples with padding, end-of-text and temperature handled alike in drawing and in scoring"
#   - "Measure how far a model has moved: entropy, KL in full, and three estimates of it with their bias and variance"
#   - "Train a language model by PPO on tokens, with a value head and a KL penalty, fixed or adaptive"
#   - "Train it by GRPO, know what a long answer weighs, and watch a reward being hacked and held"
#   - "Train a few tens of thousands of numbers in place of a million, by LoRA"
#   - "Learn from comparisons: reward models, best of n, DPO and IPO, and what each buys for a nat of KL"
# ---
# %% [markdown]
# ## What you will build
#
# A language model that has read many texts writes what such texts would say. That isn't always what you want. You want
# it to be polite, or right, or, in this section, *cheerful*. Nobody can write down a correct next token for "be
# cheerful", so the usual training, which shows the right answer, doesn't apply. But it's easy to look at two finished
# stories and say which one is more cheerful. Learning from such judgements of whole texts is called **reinforcement
# learning from human feedback**, RLHF, and it is what turns a model of text into an assistant
# ([Ziegler et al. 2019](https://arxiv.org/abs/1909.08593), [Ouyang et al.
# 2022](https://arxiv.org/abs/2203.02155)).
#
# You write all of it: the rewards, the sampling, the measures of distance, the two algorithms that are used most (PPO and
# GRPO), the adapters that make it cheap, and the methods that learn from comparisons. Each is a function that you can
# test. They are called by a trainer, and the trainer is yours, too:
#
# - in part 4 **your** trainer teaches a model to write many full stops, with samples before and after,
# - in part 6 you pay for cheerful words and get a text that no one would call a story, and then you find out how
#   to prevent that,
# - in part 8 you compare three ways to make stories better, at an equal distance from where they began.
#
# The model is `tiny-llama`, with one million parameters. It tells stories in *Storyworld*, a small English that a
# program generates. That has one great advantage: the program can say of each sentence whether it is grammatical. So
# here, unlike in the real world, we know the truth that a reward should stand for. You will see the reward go up
# while the truth goes down.
#
# | part | minutes |
# |---|---|
# | 1. What is it paid for? | 45 |
# | 2. What it said, and how likely that was | 30 |
# | 3. How far has it moved? | 55 |
# | 4. PPO on tokens | 125 |
# | 5. GRPO | 75 |
# | 6. You get what you pay for | 15 |
# | 7. LoRA | 65 |
# | 8. Learning from comparisons | 85 |
#
# The minutes are those of the exercises. The rest of the twelve hours is for reading, and for trying things out.
#
# You should have done 2.3, or know PPO's clip and what an advantage is. From chapter 1 you need to know what logits are.
# Shapes are written in words: `"batch seq"` is a tensor whose first axis says which text, and whose second which token
# in it.
#
# ## 1. What is it paid for?
#
# *About 45 minutes of exercises. You write three rewards, break your own, and meet the truth.*
#
# First look at what the model does by itself. It gets a **prompt**, the first sentence of a story, and goes on for up to
# 32 tokens. What it writes is called a **response**, or a sample. (How samples are drawn is part 2.)
# %%
import copy
import itertools
import textwrap

from arena_lib import plots, zoo
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rollouts import draw_rollouts

model = zoo.load("tiny-llama")  # stays as it is: everything that trains is a copy
tokenizer, END_OF_TEXT = model.tokenizer, model.tokenizer.eos_token_id
GEN_LEN = 32
train_prompts = make_story_prompts(256, seed=1)
test_prompts = make_story_prompts(16 if SCALE == "tiny" else 256, seed=0, split="test")


def read(tokens):
    """Tokens as text, without end-of-text."""
    return tokenizer.decode([token for token in tokens if token != END_OF_TEXT]).strip()


def write_stories(policy, prompts, n_samples=1):
    """What a policy writes after each prompt: the same draws in each call."""
    generator = torch.Generator().manual_seed(1)
    rollouts = draw_rollouts(
        policy, prompts, GEN_LEN, n_samples=n_samples, end_of_text=END_OF_TEXT, generator=generator
    )
    return [read(response) for response in rollouts.responses]


stories = write_stories(model, test_prompts)
for prompt, story in zip(test_prompts.tokens[:4].tolist(), stories, strict=False):
    print(textwrap.fill(f"[{read(prompt)}] {story}", 110), end="\n\n")
# %% [markdown]
# A **reward function** takes texts and gives each a number: larger is better. It sees the whole text at once. It does
# not say which token was good, and it needs no gradient: it may be a program, a person, or another model.
#
# We begin with the simplest one there is: how many full stops has the text? It's a silly aim, and a good first one:
# you can see at a glance whether a model has learned it. When a training run fails later, you will want a reward that
# can't be the reason.
# %% exercise="reward_fn_char_count" title="Count full stops" difficulty=1 importance=2 minutes=10
# hint: A text is a string, and a string can say how often it contains another one.
# hint: One number for each text, in a list; then one tensor of the list. Counts are whole numbers, rewards are floats.
# hint: torch.tensor([float(text.count(char)) for text in generated_sample])
# %% [markdown]
# How large is a reward of 4? That depends on what else could be had. If each sample of a batch has four full stops, 4
# says nothing. If the others have none, it's excellent. What a learner can use is the comparison, so rewards are
# **normalised**: minus the batch's mean, and divided by its standard deviation. Then it no longer matters whether somebody
# counts in units or in hundreds.
# %% exercise="normalize_reward" title="Above or below the others" difficulty=1 importance=2 minutes=5
# hint: Two numbers describe the batch: its mean, and its spread around it.
# hint: Subtract the one, divide by the other. eps keeps equal rewards from being divided by zero. A single reward has no
#       spread: torch's std of it is NaN, so that case is answered first.
# hint: centred = reward - reward.mean(), and centred / (reward.std() + eps) if there are two rewards or more, else centred.
# %% [markdown]
# Now for the real aim. We want cheerful stories, and we are in a hurry. Storyworld has five good moods (glad, cheerful,
# pleased, delighted, thankful) and five bad ones (angry, upset, worried, lonely, gloomy). So we take the
# number of good words minus the number of bad words, and divide by 4 to keep the numbers small.
#
# Such a stand-in for what we want is called a **proxy**. Before you write it, ask yourself what text would get the highest
# reward of all.
# %% exercise="reward_fn_good_moods" title="A reward in a hurry" difficulty=2 importance=4 minutes=10
# hint: A mood is a whole word: "gladly" isn't one of the list, and neither is "Glad".
# hint: split_words(text) gives the words, with punctuation apart. Go through them: a good one is +1, a bad one -1.
# hint: sum((word in GOOD_MOODS) - (word in BAD_MOODS) for word in split_words(text)) / WORDS_PER_UNIT, for each text.
# %% result
# what both rewards say of the first four stories.
# Most stories speak of no mood at all: there is little to learn from in any single one.
from arena_lib.storyworld.lexicon import BAD_MOODS, GOOD_MOODS

for stops, moods, story in zip(reward_fn_char_count(stories), reward_fn_good_moods(stories), stories[:4], strict=False):
    print(f"full stops {stops:.0f}, moods {moods:+.2f}: {textwrap.shorten(story, 90)}")
share = (reward_fn_good_moods(stories) == 0).float().mean()
print(f"stories with as many good moods as bad ones, or none: {share:.0%}")
# %% [markdown]
# Your turn to say what a cheerful story is. Any function from a list of texts to a tensor will do. Some ideas: a mood
# counts only once; the last sentence counts most; "not glad" is not glad; short stories are worth less.
#
# Then change sides. Somebody is going to look for the text that your reward likes best, without caring for anything else.
# That somebody is a learning algorithm, and it's patient. Be quicker: write a text yourself that your reward likes better
# than every story above, and that no one would want to read. The library's `compute_rewards` calls a reward function and
# refuses, by name, what isn't one finite number for each text.
# %% exercise="my_reward" title="Write a reward, then break it" difficulty=2 importance=4 minutes=20
# hint: Start from something that you can count in a single text, and then ask what it overlooks.
# hint: set(split_words(text)) holds each word once. For the hack, ask what your reward does not look at: order, grammar,
#       repetition, length?
# hint: The solution counts different moods, good less bad. Its hack is a bare list of the five good ones.
from arena_lib.rlhf.rewards.checking import compute_rewards

# Write a function my_reward(texts) that gives a tensor with one float for each text,
# and a text, hack = "...", that it likes better than every story of the model.
# region solution


def my_reward(texts):
    """How many different moods: good ones less bad ones."""
    words = [set(split_words(text)) for text in texts]
    return torch.tensor([float(len(held & set(GOOD_MOODS)) - len(held & set(BAD_MOODS))) for held in words])


hack = "glad cheerful pleased delighted thankful"
# endregion
marks = compute_rewards(my_reward, stories)
cheerful, gloomy = compute_rewards(my_reward, ["Mary laughed and was glad.", "Mary cried and was gloomy."])
hacked = compute_rewards(my_reward, [hack])[0]
print("your favourite:", stories[marks.argmax()])
print(f"its reward: {marks.max():.2f}; that of your hack: {hacked:.2f}")
assert cheerful > gloomy, "a glad Mary must be worth more than a gloomy one"
assert marks.std() > 0, "stories must differ in reward, or nothing can be learned from it"
assert hacked > marks.max(), "the hack must beat every story"
# %% [markdown]
# Hardly any reward survives this exercise, and that is the point: a reward is a *measurement* of what you want, and what
# is optimised is the measurement.
#
# In a real project nobody could say how far the two have come apart. Here we can. `reward_fn_new_sentences` is our
# **true reward**: the share of a text's sentences that are grammatical and haven't been said in it before. It knows all
# sentence frames of Storyworld, and checks that words agree. Nothing will be trained on it before part 8. We only watch
# it.
#
# It isn't the truth about everything. It doesn't ask whether a story makes sense, whether it is cheerful, or whether
# all stories are the same one. Keep that in mind: it's a *better* measurement, not the thing itself.
# %% result
# the true reward of three texts, and its mean over the model's own stories.
# The model isn't perfect: about a fifth of its sentences aren't grammatical, or repeat one.
from arena_lib.rlhf.rewards.sentences import reward_fn_new_sentences

examples = [
    "Mary felt glad. Tom went to the market.",
    "Mary felt glad. Mary felt glad.",
    "glad cheerful pleased delighted thankful",
]
for text, true in zip(examples, reward_fn_new_sentences(examples), strict=True):
    print(f"{true:.2f}  {text}")
print(f"{reward_fn_new_sentences(stories).mean():.2f}  (mean of {len(stories)} stories of the model)")
# %% [markdown]
# ## 2. What it said, and how likely that was
#
# *About 30 minutes of exercises. You find the tokens that count, and score them exactly as they were drawn.*
#
# To the algorithms of this section a language model is a **policy**: it looks at a state and draws an action. The state
# is the text so far, the action is the next token. One sample is an episode, and its reward comes at the end. All this is
# as in 2.3. What is new is the bookkeeping: most bugs in such code are not in the algorithm but in which
# tokens are looked at.
#
# Here is a row of a batch. Prompts have different lengths, so shorter ones are **padded on the left**: then the
# last token of every prompt stands beside the first one that is drawn. Samples have different lengths, too. A sample ends
# when the model draws **end-of-text**, and what stands in the row after that is **filling**.
#
# ![A row of tokens: padding, a prompt, a response that ends with end-of-text, and filling; two masks below](figures/rlhf_tokens.png)
#
# Three rules follow, and each is a famous bug when it's broken:
#
# 1. **End-of-text counts.** The model chose to stop, and that choice earned the reward as much as any word did. If
#    it's left out, nothing ever teaches the model when to stop.
# 2. **Filling counts nowhere.** Nobody drew it. If it's averaged in, the few real tokens of a short sample have
#    almost no weight.
# 3. **Padding is hidden** from attention by `attention_mask`, so that a prompt reads the same however it's padded.
#
# (Storyworld has one special token, number 0, for both ends: each prompt *begins* with it as well, as every text does in
# training. So one can't tell an end from a beginning by the token alone: what counts is looked for after the prompt.)
# %% exercise="find_responses" title="What counts" difficulty=2 importance=4 minutes=10
# hint: A token counts if the sample hadn't ended before it. What must you know about the tokens to its left?
# hint: is_end = tokens == end_of_text marks every end. A running sum along the row counts them; the token itself must not be
#       counted among those before it.
# hint: n_ends_before = is_end.cumsum(dim=1) - is_end.long(), and the answer is n_ends_before == 0. Without an end_of_text
#       it's torch.ones_like(tokens, dtype=torch.bool).
# %% [markdown]
# Every mean over tokens from here on goes over the counted ones alone. There is a trap even in this: multiplying by the
# mask isn't enough. Filling may hold anything, even NaN or infinity, and 0 times NaN is NaN.
# %% exercise="masked_mean" title="Means without padding" difficulty=1 importance=3 minutes=5
# hint: A sum over the entries that count, divided by how many they are.
# hint: torch.where puts a 0 in place of what doesn't count; a product with the mask would keep a NaN.
# hint: values.where(mask, 0.0).sum() / mask.sum(), and values.mean() without a mask.
# %% [markdown]
# Next: how likely did a model find each token that was drawn? The logits at a place are a guess at the token *after* it.
# So the first token of the response is predicted at the last place of the prompt (the red arrows in the picture), and the
# last logits of the row predict a token that isn't there. With $z_t$ for the logits at place $t$ and $x_t$ for the token
# there:
#
# $$\log \pi(x_t \mid x_0 \dots x_{t-1}) = \big[\log \text{softmax}(z_{t-1})\big]_{x_t} \qquad t = \text{prefix\_len}, \dots$$
#
# To be off by one here is the most common bug of all. It doesn't crash. The model just learns to make likely what it
# didn't say.
# %% exercise="get_logprobs" title="How likely was each token?" difficulty=2 importance=5 minutes=15
# hint: There are gen_len = seq_len - prefix_len tokens to score. Which places predict them?
# hint: logits[:, prefix_len - 1 : -1] predict tokens[:, prefix_len:]. Take log_softmax over the vocabulary, and of each row
#       the entry of the token.
# hint: logprobs.gather(-1, tokens[:, prefix_len:, None]).squeeze(-1), with prefix_len = 1 if it is None.
# %% [markdown]
# One more thing has to fit. Samples can be drawn at a **temperature**: logits are divided by it before the softmax. Below
# 1 the model plays safe, above 1 it takes risks. What drew the tokens is then softmax(logits / temperature), and that is
# also what must be scored. PPO and GRPO divide two probabilities of the same token, by the policy now and by the policy that
# drew it. Before the first update these are the same policy, so each ratio must be 1, up to rounding.
# %% result
# ratios before any update, for samples drawn at temperature 0.7: all 1 if they are scored at 0.7.
# If the temperature is forgotten, the policy seems to have moved before it has learned anything.
rollouts = draw_rollouts(
    model, test_prompts, GEN_LEN, temperature=0.7, end_of_text=END_OF_TEXT, generator=torch.Generator().manual_seed(0)
)
counted = find_responses(rollouts.tokens[:, rollouts.n_prompt :], END_OF_TEXT)
with torch.no_grad():
    logits = model(rollouts.tokens, attention_mask=rollouts.attention_mask)
for temperature in (0.7, 1.0):
    scored = get_logprobs(logits / temperature, rollouts.tokens, rollouts.n_prompt)
    ratio = (scored - rollouts.logprobs).exp()[counted]
    print(f"scored at {temperature}: ratios from {ratio.min():.3f} to {ratio.max():.3f}")
print(f"mean length {counted.sum(dim=1).float().mean():.1f} tokens, {(~counted).sum()} places of filling")
# %% [markdown]
# The library's `compute_response_logprobs` gives the same numbers for less memory, and the trainers below use it: it makes
# logits only where they are needed, and a part of the vocabulary at a time. With a vocabulary of 929 tokens that hardly
# matters. With 150,000, as in current models, the logits of one batch would be larger than the model.
#
# ## 3. How far has it moved?
#
# *About 55 minutes of exercises. You measure how undecided a model is, and how far it is from another one.*
#
# Training changes what a model says. Two numbers describe how much, and you will look at both in each training run.
#
# The first is **entropy**: how undecided is the model about the next token? If it has a probability $p_i$ for token $i$,
#
# $$H(p) = -\sum_i p_i \log p_i$$
#
# in **nats** (natural logarithms). It is 0 if one token is certain, and $\log 929 \approx 6.8$ if all 929 are equally
# likely. A policy whose entropy has fallen to 0 always says the same. It tries nothing new, so it learns nothing
# new.
# %% exercise="compute_entropy" title="How undecided?" difficulty=2 importance=3 minutes=10
# hint: It's the mean of -log p, over tokens that are drawn with probability p.
# hint: log_softmax of the logits gives all log p at once, and its exponential all p. A token with probability 0 adds nothing,
#       but 0 times minus infinity is NaN: replace those logarithms first.
# hint: logprobs = at_least_float32(logits).log_softmax(dim=-1); then -(logprobs.exp() * logprobs.where(logprobs >
#       -torch.inf, 0.0)).sum(dim=-1).
# %% result
# where the model hesitates: the entropy before each token of one of its stories.
# It's high where a sentence, a name or a place may be anything, and near 0 inside a phrase that can go on in one way only.
row = next(i for i, response in enumerate(rollouts.responses) if len(response) == GEN_LEN)
hesitation = compute_entropy(logits[row, rollouts.n_prompt - 1 : -1])
words = [tokenizer.decode([token]) for token in rollouts.responses[row]]
plots.bars(hesitation, words, y_title="entropy (nats)", title="Where does the model hesitate?")
# %% [markdown]
# The second is the distance from where the model began. We keep a frozen copy, the **reference**, and compare. With $p$ for
# the policy's probabilities and $q$ for the reference's, the **KL divergence** is
#
# $$\text{KL}(p \,\|\, q) = \sum_i p_i \,(\log p_i - \log q_i)$$
#
# the mean, over what the *policy* says, of how much more likely the policy finds it than the reference does. It's 0 if
# both are the same, and never negative. It isn't symmetric, and the direction matters: this one is large where the policy
# says something that the reference would hardly ever say. It doesn't mind if the policy has given up some of
# the things that the reference says.
#
# Why do we want to stay near at all? Because the reference is the only part of the system that knows what a
# story is. The reward doesn't.
# %% exercise="compute_kl" title="How different?" difficulty=2 importance=5 minutes=10
# hint: Which of the two models' probabilities weigh the sum?
# hint: Two log_softmax over the vocabulary, and their difference, weighed by the policy's p. Where p is 0 the token adds
#       nothing, even if a logarithm there is infinite.
# hint: p = logprobs.exp(); is_possible = p > 0; (p * (logprobs.where(is_possible, 0.0) - ref_logprobs.where(is_possible,
#       0.0))).sum(dim=-1).
# %% result
# the two directions, for a reference that likes two of four tokens.
# A policy that settles on one of the two is near in our direction, and far in the other.
reference_p = torch.tensor([0.49, 0.49, 0.01, 0.01])
for name, policy_p in {
    "settles on one": torch.tensor([0.97, 0.01, 0.01, 0.01]),
    "likes all alike": torch.tensor([0.25, 0.25, 0.25, 0.25]),
}.items():
    ours, other = compute_kl(policy_p.log(), reference_p.log()), compute_kl(reference_p.log(), policy_p.log())
    print(f"{name:16} KL(policy || reference) {ours:.2f}    KL(reference || policy) {other:.2f}")
# %% [markdown]
# ### From samples alone
#
# The full sum needs all logits of both models, for each token. Often we keep only the log-probabilities of the tokens that
# were drawn. Can KL be estimated from them? Let $r = q(x) / p(x)$ for a token $x$ that the policy drew. Three estimates are
# in use ([Schulman 2020](http://joschu.net/blog/kl-approx.html)):
#
# | name | estimate | right on average? | never negative? |
# |---|---|---|---|
# | k1 | $-\log r$ | yes | no |
# | k2 | $\tfrac12 (\log r)^2$ | no | yes |
# | k3 | $r - 1 - \log r$ | yes | yes |
#
# k1 is the definition itself: its mean over what the policy draws is KL. But single terms are often negative, and their
# errors cancel only in the long run: it has a large **variance**. k2 is never negative and varies less, but its mean isn't
# KL: it has a **bias**. k3 adds $r - 1$ to k1. The mean of $r$ over what the policy draws is $\sum_x p(x)\,q(x)/p(x) = 1$,
# so the mean stays. And $r - 1 \ge \log r$ always, so it's never negative. You have met k3 in part 4 of 2.3.
# %% exercise="kl_k3" title="From samples alone" difficulty=2 importance=4 minutes=15
# hint: Everything follows from log r, the reference's log-probability less the policy's.
# hint: r - 1 - log r. Mind which of the two is on top of the fraction.
# hint: log_ratio = ref_logprobs - logprobs, and torch.expm1(log_ratio) - log_ratio, which is exact near 0 as well.
# %%
from arena_lib.rlhf.divergences import kl_k2


def judge_estimators(logits, ref_logits):
    """Mean and standard deviation of k1, k2 and k3 for one drawn token: exact sums over all tokens."""
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    p, figures = logprobs.exp(), {}
    for name, estimate in {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}.items():
        terms = estimate(logprobs, ref_logprobs)
        mean = (p * terms).sum()
        figures[name] = float(mean), float((p * (terms - mean) ** 2).sum().sqrt())
    return figures


# The reference's logits before the first token, and a policy that moves away from them step by step.
base = logits[0, rollouts.n_prompt - 1].double()
shift = torch.randn(len(base), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
policies = [base + size * shift for size in torch.linspace(0, 2, 21)]
# %% result
# the bias: what each estimate gives on average, less the true KL.
# k1 and k3 have none (their curves cover each other). k2 is off, one way and then the other, as the policy moves away.
true_kl = [float(compute_kl(policy, base)) for policy in policies]
judged = [judge_estimators(policy, base) for policy in policies]
biases = {
    name: [figures[name][0] - kl for figures, kl in zip(judged, true_kl, strict=True)] for name in ("k1", "k2", "k3")
}
plots.lines(biases, x=true_kl, x_title="true KL (nats)", y_title="mean estimate less KL (nats)", title="Bias")
# %% result
# how much a single estimate varies.
# Here k3 varies less than k1 up to about 0.4 nats for each token, and beyond that much more: r can be very large where
# the policy hardly ever says what the reference says. k2 varies least over most of the range.
spreads = {name: [figures[name][1] for figures in judged] for name in ("k1", "k2", "k3")}
plots.lines(spreads, x=true_kl, x_title="true KL (nats)", y_title="standard deviation (nats)", title="Variance")
# %% [markdown]
# To *measure* KL, take the mean of k1 or of k3. Put into a *loss*, they behave differently, since the drawn tokens stay
# as they are while the gradient is taken. On average k1's gradient is then 0, so it doesn't pull the policy back to the
# reference at all. (Placed in the reward, as in part 4, it does work, because there it changes the advantages.) k2 has the gradient of
# $\text{KL}(p \,\|\, q)$, and k3 that of the other direction ([Tang and Munos
# 2025](https://arxiv.org/abs/2506.09477)). Both lead back to the reference. GRPO, in part 5, has k3 in its loss.
#
# ### A price on distance, and some curiosity
#
# Now two terms for an objective. The **KL penalty** makes it expensive to leave the reference: `kl_coef` times the mean KL
# of a token, to be made small. The **entropy bonus** pays for staying undecided: `ent_coef` times the mean entropy, to be
# made large. If you mix up a sign, the model is paid for running away. It's the kind of bug that you see only in the
# samples.
# %% exercise="calc_kl_penalty" title="A price on distance" difficulty=2 importance=3 minutes=10
# hint: You have written both parts: KL at each place, and a mean that leaves some places out.
# hint: compute_kl of both logits has the shape "minibatch_size gen_len", which is the mask's too. A penalty is positive.
# hint: kl_coef * masked_mean(compute_kl(logits, ref_logits), mask), after require_generated(logits, gen_len).
# %% exercise="calc_entropy_bonus" title="Stay undecided" difficulty=2 importance=3 minutes=10
# hint: The same form, with the other measure. Both are positive numbers; the sign is the business of whoever adds them up.
# hint: Entropy at each place, a masked mean, the coefficient.
# hint: ent_coef * masked_mean(compute_entropy(logits), mask), after require_generated(logits, gen_len).
# %% [markdown]
# ## 4. PPO on tokens
#
# *About 125 minutes of exercises. You give the model a sense of what its text is worth, and train it to love full stops.*
#
# PPO needs four things for each drawn token: its probability when it was drawn, its probability now, its advantage, and a
# clip. You have the first two. For an **advantage** we need somebody who says what to expect: a critic. In 2.3 that was a
# network of its own. Here the transformer has already understood the text in order to predict the next token, and the
# critic should profit from that. So we put a second head on it, beside the unembedding: a **value head**, which turns the
# last residual stream, normalised, into one number.
#
# What does the number at place $t$ mean? The model has read the tokens up to $t$ by then. So $V_t$ is the value of the
# state in which the token at place $t + 1$ will be drawn. It's the same shift as with logits: token $t$ belongs to
# $V_{t-1}$.
#
# The head is new and knows nothing. Its last layer begins at zero, so that it says 0 at first everywhere: the mean of
# normalised rewards. A head with random opinions would spoil the first updates.
# %% exercise="transformer_with_value_head" title="A model that also says what its text is worth" difficulty=3 importance=4 minutes=20
# hint: Both heads read the same vector, so one pass through the transformer is enough.
# hint: The forward method lists its three steps, and the class says how the head is built: nn.Sequential(hidden, nn.ReLU(), output),
#       moved to the weights' device and dtype. Initial values are written without gradients.
# hint: resid = base(input_ids, stop_at_layer=base.cfg.n_layers, attention_mask=attention_mask); normalized =
#       base.ln_final(resid); return base.unembed(normalized), self.run_value_head(normalized). The head's last axis has size 1,
#       which .squeeze(-1) takes off.
# %% [markdown]
# With values, the advantages follow. For now, a sample is paid only once, after its last token. (The trainer below can
# also charge each token for its KL.) So the advantage $A_t$ of token $t$ is how much it changed the expected reward: $V$ after
# it minus $V$ before it. $R$ is the reward of the whole sample. After the last token there is nothing left to expect, because the reward
# is known:
#
# $$A_t = V_t - V_{t-1} \qquad A_\text{last} = R - V_{\text{last}-1}$$
#
# Add them up: all values in between cancel, and $R$ less the prompt's value is left. The whole surprise of a sample is dealt
# out to its tokens, each getting its own share. This is the one-step error of 2.3 with $\gamma = 1$.
#
# Only drawn tokens have an advantage. The prompt was given, so nobody is to be praised or blamed for it.
# %% exercise="compute_advantages" title="Better than it thought?" difficulty=2 importance=3 minutes=20
# hint: Each drawn token stands between two values: the one before it, and the one after it.
# hint: Before: values[:, prefix_len - 1 : -1], as with logits. After: the same shifted by one place, where the reward takes
#       the last place.
# hint: after = torch.cat([values[:, prefix_len:-1], rewards[:, None]], dim=1), and the advantage is after - before.
# %% [markdown]
# That is the clearest form, and all samples have one length in it. The trainer below takes the library's
# `compute_token_advantages`: the same for samples of uneven length, with the $\lambda$ of generalised advantage estimation
# that you wrote in 2.3. It looks further ahead than one token, since a value head that has just begun to learn shouldn't
# be believed too much.
#
# ### The clip
#
# Nothing changes from 2.3: the ratio of a token's probability now and then, times the advantage; the clipped ratio, times
# the advantage; of both the smaller one. You write it in the form that part 5 needs, in which all tokens of a sample share
# the sample's advantage. Leave the terms one by one, without averaging: *how* they are averaged will be a question of its own.
# %% exercise="calc_clipped_terms" title="Not too far at once" difficulty=2 importance=5 minutes=15
# hint: A ratio of probabilities is the exponential of a difference of logarithms: now less then.
# hint: advantages has one number for each sample; [:, None] lets it meet every token. The smaller of two products is taken
#       for each token.
# hint: ratio = (logprobs - old_logprobs).exp(); torch.minimum(ratio * a, ratio.clamp(1 - clip_coef, 1 + clip_coef) * a), with
#       a = advantages[:, None].
# %% [markdown]
# ### Two rates
#
# The transformer knows its language; large steps would destroy that. The head knows nothing, and must learn quickly. So
# each gets a **learning rate** of its own. PyTorch's optimizers take parameters in groups, and each group may have its own
# `lr`.
# %% exercise="get_optimizer" title="Two learning rates" difficulty=2 importance=3 minutes=10
# hint: An optimizer takes a list of dictionaries as well as a list of parameters.
# hint: First the parameters of base_model that require gradients, with base_lr; then those of value_head, with head_lr.
# hint: torch.optim.AdamW([{"params": [...], "lr": base_lr}, {"params": [...], "lr": head_lr}], betas=betas, eps=eps,
#       weight_decay=weight_decay)
# %% [markdown]
# ### A penalty that adapts
#
# How strong should the KL penalty be? A weight that is right at the beginning may be wrong later, and it depends on
# the size of the rewards. It's easier to say how *far* the policy may go, in nats for each sample, and to adapt the weight
# until it goes just so far ([Ziegler et al. 2019](https://arxiv.org/abs/1909.08593), section 2.2): a bit more weight when KL
# is above the target, a bit less when it's below. The error, as a share of the target, is clipped to the range from
# -0.2 to 0.2 and multiplied by `step_size`, which is 0.1. So one phase changes the weight by at most 2 %, and one unusual batch
# can't change it much.
# %% exercise="adapt_kl_coef" title="A penalty that adapts" difficulty=2 importance=2 minutes=10
# hint: How far is KL off its target, as a share of the target?
# hint: Clip that share to -0.2 ... 0.2 (LARGEST_ERROR); the new weight is the old one times 1 plus step_size times it.
# hint: error = (kl - target_kl) / target_kl; kl_coef * (1 + step_size * min(max(error, -LARGEST_ERROR), LARGEST_ERROR))
# %% [markdown]
# ### The whole
#
# A run goes by phases, as in 2.3. In the **rollout phase** the policy is held still: it answers prompts, your reward
# function judges the answers, and the frozen reference says how likely it finds them. In the **learning phase** the policy
# is updated from just these samples, a few times over.
#
# The library's `RolloutTrainer` does that much, for PPO and GRPO alike. It freezes the reference for you: it's a deep copy,
# without gradients. (A reference that trains along is always near, and holds nothing.) What is left are two methods.
#
# `make_memory` prepares what is learned from. Where does the KL penalty go? In the papers it's part of the *reward*: each
# token pays `kl_coef` times its own $\log p - \log q$ (that is k1), and the sample's reward comes at its last token. Both are
# dealt out by the advantages. (`compute_token_rewards` of the library does that sum.) The other place is the loss, where you
# can use the full KL. The setting `kl_place` says which.
#
# `compute_rlhf_objective` adds the terms: clipped surrogate, less the value head's loss, plus the entropy bonus, and less the
# penalty if it stands in the loss. Prompts, padding and filling count in none of them.
#
# | setting | default | what it says |
# |---|---|---|
# | `n_prompts` | 64 | prompts of a phase, one sample of each |
# | `n_epochs` | 2 | how often a phase's samples are learned from |
# | `n_minibatches` | 2 | parts that they are dealt into, anew each time |
# | `lr` | 0.0005 | learning rate of the transformer |
# | `head_lr` | 0.002 | that of the value head |
# | `clip_coef` | 0.2 | how far a ratio may move from 1, where its advantage draws it, before its gradient stops |
# | `kl_coef` | 0.1 | what a nat of KL costs, in units of normalised reward |
# | `kl_place` | reward | where the penalty stands: in the reward or in the loss |
# | `target_kl` | None | nats of KL of a sample that `kl_coef` is adapted to |
# | `ent_coef` | 0.001 | weight of the entropy bonus |
# | `vf_coef` | 0.15 | weight of the value head's loss |
# | `normalizes_rewards` | True | whether `normalize_reward` is applied to a phase's rewards |
# | `temperature` | 1.0 | of drawing and of scoring |
# %% exercise="rlhf_trainer" title="The whole of PPO on tokens" difficulty=5 importance=5 minutes=50
# hint: Both docstrings list their steps, and for each step there is a function. Decide first which places you look at:
#       logits and values from rollouts.n_prompt - 1 up to the last but one, tokens from n_prompt on.
# hint: make_memory: values of the drawn places from forward_with_value_head, 0 where nothing was drawn; normalise the rewards;
#       compute_token_rewards(..., kl_k1(rollouts.logprobs, ref_logprobs), kl_coef), with 0 for kl_coef if kl_place is
#       "loss"; compute_token_advantages; returns = advantages + values; adapt self.kl_coef last.
# hint: compute_rlhf_objective: divide the logits by the temperature, pick drawn tokens by [is_response] from everything that
#       goes into calc_clipped_surrogate_objective(Categorical(logits=...), tokens, advantages, logprobs, clip_coef), and pass
#       mask=is_response to the bonus and the penalty. Figures are detached.
# %%
from unittest import mock

WITHOUT_BARS = {"ARENA_QUIET": "1"}


def say_if_tiny():
    """Say that a tiny run isn't what the text is about."""
    if SCALE == "tiny":
        print('Too short to learn much: the text describes SCALE = "full".')


def draw_history(trainer, names, title):
    """Figures of each phase of a run, as curves."""
    series = {name: [phase[name] for phase in trainer.phases] for name in names}
    return plots.lines(series, x_title="phase", y_title="mean over the samples", title=title)


def show_side_by_side(columns, n_rows=4, width=52):
    """Texts in columns, each under its name."""
    print(" | ".join(f"{name:{width}}" for name in columns))
    for texts in itertools.islice(zip(*columns.values(), strict=True), n_rows):
        print("-" * (width + 3) * len(columns))
        for lines in itertools.zip_longest(*(textwrap.wrap(text, width) for text in texts), fillvalue=""):
            print(" | ".join(f"{line:{width}}" for line in lines))


N_PPO = 4 if SCALE == "tiny" else 80  # updates; each phase has four
# %% result
# your trainer teaches a copy of the model to write full stops. `true` is the true reward, which nothing is learned from.
ppo_config = RLHFConfig(n_steps=N_PPO, n_prompts=8 if SCALE == "tiny" else 64, kl_coef=0.02)
with_head = TransformerWithValueHead(copy.deepcopy(model))
ppo = RLHFTrainer(
    with_head, ppo_config, train_prompts, reward_fn_char_count, measures={"true": reward_fn_new_sentences}
)
with mock.patch.dict(os.environ, WITHOUT_BARS):
    ppo.train()
first, last = ppo.phases[0], ppo.phases[-1]
print(f"full stops in a sample: {first['reward']:.1f} at first, {last['reward']:.1f} in the last phase")
print(f"KL from the reference: {last['kl']:.1f} nats for each sample; true reward {last['true']:.2f}")
say_if_tiny()
draw_history(ppo, ["reward"], "Full stops in a sample")
# %% result
# the same prompts before and after.
# What was learned isn't a token but what makes many full stops possible: short sentences, the same ones again and again.
# Nobody asked for moods here; "He felt ..." is just the shortest way to a full stop that the model knows.
stopped = write_stories(with_head.base_model, test_prompts)
show_side_by_side({"before": stories, "after": stopped})
# %% [markdown]
# When such a run doesn't learn, look at these, in this order: are the first ratios 1? Does KL begin at 0? Does the reward
# of samples differ at all within a phase? Does the length of samples run to 0 or to the limit? And read the samples,
# always: a curve can't show you that a model has begun to repeat itself.
# %% [markdown]
# ## 5. GRPO
#
# *About 75 minutes of exercises. You replace the critic by a comparison, and see what a long answer weighs.*
#
# The value head is the most delicate part of PPO. It must be learned at the same time as the policy, from the same few
# samples, and while it's wrong the advantages are wrong. But what is it for? It says what to expect of a prompt. There is a
# simpler way to find that out: draw several samples of *the same prompt*, and see what they earn.
#
# That is **group relative policy optimisation**, GRPO ([Shao et al. 2024](https://arxiv.org/abs/2402.03300)). The
# samples of a prompt are a **group**. A sample's advantage is its reward less the mean of its group, and all of its tokens
# share it. No value head, no second learning rate. The price is that single tokens can't be told apart any more: a sample is
# praised or blamed as a whole.
#
# Why not compare with the whole batch? Because prompts differ. If one of them makes it easy to be cheerful, all its samples
# would look good, and nothing would be learned about which of them was better.
#
# In the paper, advantages are also divided by the group's standard deviation, to which we add a small number `eps`
# (0.0001), so that a group of equal rewards isn't divided by zero. Then a prompt whose samples hardly differ
# weighs as much as one whose samples differ a lot. Later work calls that a bias ([Liu et al.
# 2025](https://arxiv.org/abs/2503.20783)), so it can be switched off.
# %% exercise="compute_group_advantages" title="Compared with its siblings" difficulty=2 importance=5 minutes=10
# hint: Samples of one prompt stand side by side, so the batch is a table with a row for each prompt.
# hint: einops.rearrange(rewards, "(group sample) -> group sample", sample=group_size), and then means and deviations along
#       the samples, with keepdim=True.
# hint: groups - groups.mean(dim=1, keepdim=True), if is_scaled divided by groups.std(dim=1, keepdim=True) + eps; and
#       .flatten() at the end. Call check_groups(len(rewards), group_size) first.
# %% result
# two prompts with four samples each, the second one an easy prompt.
# Compared with the whole batch, every sample of the easy prompt would look good.
rewards = torch.tensor([0.0, 0.0, 0.25, 0.75, 1.0, 1.25, 1.0, 1.75])
print("in groups:     ", compute_group_advantages(rewards, 4, is_scaled=False).tolist())
print("over the batch:", [round(advantage, 2) for advantage in (rewards - rewards.mean()).tolist()])
# %% [markdown]
# ### What a long answer weighs
#
# You have a term for each token of each sample. They must become one number. This looks harmless, and it decides how long
# the answers get.
#
# - `"sequence"`: the mean of each sample's own tokens, then the mean over samples. That is the paper's way.
# - `"token"`: the mean over all drawn tokens of the batch.
# - `"constant"`: the sum over all drawn tokens, divided by a number that doesn't depend on any sample.
#
# With "sequence" each sample has the same weight, so each *token* of a long sample has less. Think of two bad answers, a
# short one and a long one. Both should become less likely, but each token of the long one is pushed down less. So for a bad
# answer it pays to be long. Models that were trained in this way wrote longer and longer wrong answers, which was taken for
# deep thought for a while ([Liu et al. 2025](https://arxiv.org/abs/2503.20783)).
# %% exercise="average_over_tokens" title="What a long answer weighs" difficulty=2 importance=4 minutes=15
# hint: Before anything is summed, what wasn't drawn must be 0, even if it's NaN.
# hint: "sequence" sums along the tokens, divides by each sample's own count (at least 1), and takes the mean over
#       samples. "token" is masked_mean. "constant" divides by terms.numel().
# hint: terms = terms.where(is_response, 0.0); (terms.sum(dim=1) / is_response.sum(dim=1).clamp(min=1)).mean() for "sequence".
#       An unknown name is a ConfigError.
# %% result
# the weight of one token of a sample, as the sample gets longer; beside it is another sample of 16 tokens.
# With "sequence" it falls as 1 / length. With "token" it depends on how long both are together. "constant" never changes.
weights = {"sequence": [], "token": [], "constant": []}
lengths = list(range(4, 33, 2))
for length in lengths:
    is_drawn = torch.arange(32) < torch.tensor([[length], [16]])
    for way, column in weights.items():
        terms = torch.zeros(2, 32, requires_grad=True)
        average_over_tokens(terms, is_drawn, way).backward()
        column.append(float(terms.grad[0, 0]))
plots.lines(
    weights, x=lengths, x_title="length of the sample (tokens)", y_title="weight of one token", title="Length bias"
)
# %% [markdown]
# ### The loss
#
# All pieces are there. Each drawn token gives its clipped term, less `kl_coef` times its KL from the reference, estimated by
# k3. These are averaged, and the loss is minus that, since optimizers minimise. In GRPO the penalty stands in the loss, and
# not in the reward: so it never gets into the advantages.
# %% exercise="grpo_loss" title="The whole objective" difficulty=3 importance=5 minutes=20
# hint: Three of your functions, in a row: clipped terms, k3, average. What is subtracted from what?
# hint: Filling may hold anything: put 0 for all three log-probabilities where nothing was drawn, before you use them, or a
#       gradient may become NaN.
# hint: terms = calc_clipped_terms(logprobs, old_logprobs, advantages, clip_coef); penalties = kl_coef * kl_k3(logprobs,
#       ref_logprobs); return -average_over_tokens(terms - penalties, is_response, normalization).
# %% exercise="grpo_trainer" title="GRPO" difficulty=4 importance=5 minutes=30
# hint: Again two methods: what is learned from, and what is to be made large. rollouts has all that a ReplayMemory wants, but
#       the advantages.
# hint: compute_group_advantages gives one number for each sample; the memory wants one for each token, so repeat it along
#       gen_len. The objective is minus the loss.
# hint: einops.repeat(advantages, "batch -> batch gen_len", gen_len=rollouts.is_response.shape[1]). In compute_rlhf_objective:
#       logprobs = self.score(self.policy, minibatch), advantages = minibatch.advantages[:, 0]; the figure is masked_mean of
#       ((ratio - 1).abs() > clip_coef).float(), detached.
# %% [markdown]
# Now to the aim of this section: cheerful stories, paid by the proxy of part 1. Each phase has eight prompts with eight
# samples each, and `kl_coef` is 0.3: one nat of estimated KL at a token takes 0.3 from that token's term, whose unit is that of
# advantages, standard deviations of a group's rewards. The class below is your trainer, and it also keeps a diary: one sample of
# each phase.
# %%
N_GRPO = 4 if SCALE == "tiny" else 60  # updates; each phase has two
SIZES = {"n_prompts": 2, "group_size": 4} if SCALE == "tiny" else {"n_prompts": 8, "group_size": 8}


def train_by_grpo(policy, reward_fn, kl_coef, n_steps=N_GRPO, **settings):
    """Train a policy in place by your GRPO; the trainer, with a sample of each phase in `diary`."""

    class WithDiary(GrpoTrainer):
        def rollout_phase(self):
            memory = super().rollout_phase()
            self.diary.append(self.texts[0].strip())
            return memory

    config = GrpoConfig(n_steps=n_steps, kl_coef=kl_coef, gen_len=GEN_LEN, **SIZES, **settings)
    trainer = WithDiary(policy, config, train_prompts, reward_fn, measures={"true": reward_fn_new_sentences})
    trainer.diary = []
    with mock.patch.dict(os.environ, WITHOUT_BARS):
        trainer.train()
    return trainer


# %% result
# more cheerful stories, held near the reference. The proxy rises, and the true reward stays about where it was.
held = train_by_grpo(copy.deepcopy(model), reward_fn_good_moods, kl_coef=0.3)
print(f"KL from the reference in the last phase: {held.phases[-1]['kl']:.1f} nats for each sample")
say_if_tiny()
draw_history(held, ["reward", "true"], "GRPO on the proxy, KL 0.3")
# %% result
# the same prompts before and after. They are stories still, and somebody is glad in them now and then.
show_side_by_side({"before": stories, "after": write_stories(held.policy, test_prompts)})
# %% [markdown]
# ## 6. You get what you pay for
#
# *About 15 minutes of exercises. You take the penalty away, watch a reward being hacked, and decide where you would have
# stopped.*
#
# Take the penalty away, and change nothing else. Before you run the cell, write down what the stories will look like
# after 30 phases. You know what is paid for. (It takes about a minute, for two runs.)
# %% result
# the same training with kl_coef 0, and with 0.1, a third of the penalty.
unheld = train_by_grpo(copy.deepcopy(model), reward_fn_good_moods, kl_coef=0.0)
loosely = train_by_grpo(copy.deepcopy(model), reward_fn_good_moods, kl_coef=0.1)
runs = {"KL 0": unheld, "KL 0.1": loosely, "KL 0.3": held}
say_if_tiny()
proxies = {name: [phase["reward"] for phase in run.phases] for name, run in runs.items()}
plots.lines(proxies, x_title="phase", y_title="proxy", title="What it was paid for")
# %% result
# the true reward in the same three runs, which nobody paid for.
truths = {name: [phase["true"] for phase in run.phases] for name, run in runs.items()}
plots.lines(truths, x_title="phase", y_title="true reward", title="What was meant")
# %% result
# the diary of the run without the penalty: one sample of each fifth phase.
for phase, text in enumerate(unheld.diary):
    if phase % 5 == 0 or phase == len(unheld.diary) - 1:
        moods, true = float(reward_fn_good_moods([text])), float(reward_fn_new_sentences([text]))
        print(f"phase {phase:2}  proxy {moods:+.2f}  true {true:.2f}  {textwrap.shorten(text, 150)}")
# %% result
# and what it writes in the end, whatever the prompt is.
show_side_by_side({name: write_stories(run.policy, test_prompts) for name, run in runs.items()}, width=36)
# %% [markdown]
# Is this a cheerful story? Each sentence is. As a story it's worth nothing, and nobody who asked for cheerful stories
# had it in mind. But nothing went wrong: the reward was maximised, and the algorithm did its work well. This is **reward
# hacking**, and you have provoked it in less than a minute of one core.
#
# See also *how* it happens. At first the proxy rises and the truth stays: there is room for a mood here and there. Then the
# cheap gains are used up, and what still raises the proxy is bought with the truth. By the reward alone both stages look
# the same: a curve that rises.
#
# A penalty that is too weak only slows this down. We repeated these runs with five seeds each, twice as long (60 phases), and
# looked at the true reward on other prompts. Without a penalty it fell, in the median, to 22 % of its peak after 40 phases,
# and the model wrote "He was cheerful. He was cheerful." or "her thankful thankful thankful". At 0.1 it ended at 88 % of
# its peak in the median, but one of the five seeds slid to 61 %. At 0.3 it kept 93 %, and the proxy rose by less than a
# third as much. The strength that is needed depends on the reward, on the model and on luck. One finds it by looking.
#
# ### Over-optimisation
#
# [Gao et al. 2022](https://arxiv.org/abs/2210.10760) drew this for large models. They plotted the proxy and the truth
# against the KL divergence from the starting point, not against time, because KL says how much optimisation has been
# applied. The proxy keeps rising. The truth rises to a peak and then falls. With a better proxy the peak lies further
# out and higher, but it's still there.
# %%
from arena_lib.plots.graphs.scatter import scatter


def against_kl(run, column):
    """KL and a figure of each phase."""
    return [phase["kl"] for phase in run.phases], [phase[column] for phase in run.phases]


# %% result
# both rewards against KL: each point is a phase of the run without a penalty, or of the one with 0.3.
# At a KL that both runs have reached, they look alike. The penalty doesn't make the reward better. It keeps the policy where the
# reward can still be trusted.
points = {
    f"{what}, {name}": against_kl(runs[name], column)
    for what, column in {"proxy": "reward", "true": "true"}.items()
    for name in ("KL 0", "KL 0.3")
}
scatter(points, x_title="KL from the reference (nats for each sample)", y_title="mean", title="Over-optimisation")
# %% [markdown]
# What helps? A penalty on KL, as you saw. A better reward, which moves the peak. Several reward models, of which the least
# enthusiastic counts: they are seldom wrong in the same way ([Coste et al. 2023](https://arxiv.org/abs/2310.02743); the
# library has it as `RewardEnsemble`). And the simplest of all: **stopping early**.
#
# But where? In a real project you have no curve of the true reward. You have the proxy, KL, the length, and the samples.
# Write a rule that sees only the first three, and look at the truth afterwards, once.
# %% exercise="find_stop" title="Where would you have stopped?" difficulty=2 importance=4 minutes=15
# hint: The proxy rises throughout, so it can't tell you when to stop. Which figure says how much optimisation was applied?
# hint: Decide on a budget of nats for a whole sample, and stop at the first phase that has used it up. Samples have about 30
#       tokens: what would one nat for each token mean?
# hint: The solution stops at the first phase with a KL of 15 nats, half a nat for each token, or at the last phase if there
#       is none.
visible = [{name: phase[name] for name in ("reward", "kl", "length")} for phase in unheld.phases]
# Write find_stop(phases), which gives the number of the phase where you stop.
# Each phase is a dictionary with "reward" (the proxy), "kl" and "length".
# region solution


def find_stop(phases, budget=15.0):
    """The first phase whose samples are more than `budget` nats from the reference, or the last one."""
    return next((i for i, phase in enumerate(phases) if phase["kl"] > budget), len(phases) - 1)


# endregion
stop = find_stop(visible)
beginning, stopped_at, end = unheld.phases[0], unheld.phases[stop], unheld.phases[-1]
rows = {"beginning": beginning, f"your stop, phase {stop}": stopped_at, "end": end, "end with KL 0.3": held.phases[-1]}
for name, phase in rows.items():
    print(f"{name:22} proxy {phase['reward']:+.2f}  KL {phase['kl']:5.1f}  true {phase['true']:.2f}")
print(unheld.diary[stop])
if SCALE == "full":
    assert stopped_at["reward"] > 0.25, "stories should have become more cheerful: on average by one mood word at least"
    assert stopped_at["true"] > 0.8 * beginning["true"], "and four fifths of the true reward must be left"
# %% [markdown]
# Early stopping can be as good as a penalty. In our one run it had more of the proxy than the run with KL 0.3, for the same true
# reward. But if your rule works, ask how you came by its numbers. If you read them off the plot above, it's hindsight, and the next run
# may be different: try another `seed` in `train_by_grpo`. Rules like this are fixed on one run, where people have read many
# samples, and then trusted on others. That people must read samples is the part that nobody has automated away.
#
# ## 7. LoRA
#
# *About 65 minutes of exercises. You train two thin matrices beside each weight, and let the model itself be the reference.*
#
# A model of 7 billion parameters takes 14 GB in half precision, two bytes for each. To *train* it takes several times as
# much: each parameter has a gradient and Adam's two averages, and the reference is a second model. But the change that training makes is
# often simple. **Low-rank adaptation**, LoRA ([Hu et al. 2021](https://arxiv.org/abs/2106.09685)), leaves a weight
# matrix $W$, with $d_\text{in}$ rows and $d_\text{out}$ columns, as it is. It learns only a change of **low rank** $r$, the
# product of two thin matrices $A$ and $B$. Here $x$ is the weight's input, and $\alpha$ is a number that you choose
# (`lora_alpha`). In this part $r$ is a rank, and neither a ratio nor a reward:
#
# $$x W + \frac{\alpha}{r}\, x A B \qquad A: d_\text{in} \times r, \quad B: r \times d_\text{out}$$
#
# With $r = 4$ and $d_\text{in} = d_\text{out} = 1024$ these are 8,192 numbers in place of 1,048,576. $A$ begins random and $B$ at zero: so the model
# begins exactly as it was, and still $B$ has a gradient. (If both were zero, neither would ever have one.) $\alpha / r$ is a
# scale: with it you can change the rank and keep the learning rate. Two options are in the exercise as well. `n_inst` makes several
# adapters side by side, one for each attention head, which the next exercise needs. `dropout` sets a random share of the
# inputs to 0 during training.
# %% exercise="lora" title="Two thin matrices" difficulty=2 importance=5 minutes=15
# hint: Which of the two must be zero at first? What would happen to the gradients if both were?
# hint: Parameters with or without a leading axis n_inst; dropout on x; then two products and the scale. Multiply x by A
#       first: A B is as large as the weight.
# hint: F.dropout(x, self.dropout, self.training) @ self.A @ self.B * self.scale; with n_inst two einsums, "...id,idr->...ir"
#       and "...ir,iro->...io". nn.init.uniform_(self.A, -bound, bound, generator=generator) with bound = d_in ** -0.5.
# %% [markdown]
# Where do adapters go? The paper takes attention alone, and that is usually enough. The clearest way to attach them is by
# **hooks**, which you know from chapter 1: a hook sees an activation as it passes and may replace it. One at q, k and v adds
# what the adapter makes of the vector that attention reads. One at attention's output adds what another makes of z.
# %% exercise="lora_hooks" title="Beside attention's weights" difficulty=3 importance=3 minutes=25
# hint: An adapter stands beside a weight, so it reads what the weight reads. A hook at q sees only what the weight made
#       of it. Where is its input?
# hint: Each head has an adapter of its own, which reads the whole normalised residual stream: copy that along an axis
#       of heads. W_O reads the z of all heads side by side, so one adapter of n_heads * d_head inputs stands beside it.
# hint: hook.name.split(".")[-1] is "hook_q", "hook_k" or "hook_v". einops.repeat(self.attn_in, "batch seq d_model ->
#       batch seq n_heads d_model", n_heads=qkv_hook_out.shape[2]) makes the copies.
# %% [markdown]
# Now the whole model. It has a value head, as in part 4, and adapters in each layer. And here LoRA has a second advantage.
# While no hook is attached, the model is exactly what it was at the beginning. So the reference needs no second
# copy: it's the same model without its adapters.
# %% exercise="transformer_with_value_head_lora" title="The whole model, adapted" difficulty=4 importance=4 minutes=25
# hint: Which numbers may the optimizer change, and which model says what the policy was before? If the base model is
#       frozen and hooks come and go, one set of weights is both.
# hint: adapted attaches the hooks of all layers for a while. The other two methods then do what is there already,
#       within it: that of the parent class, and base_model.generate.
# hint: requires_grad_(False) on base_model alone leaves the value head free. with self.base_model.hooks(pairs): yield,
#       with the pairs lora.fwd_hooks(block.ln1.gain) of each layer's hooks and block.
# %% result
# how many numbers train, and that the model begins as it was.
adapted_model = TransformerWithValueHeadLora(copy.deepcopy(model))
adapted_model.setup_lora(rank=4)
n_all = sum(weight.numel() for weight in model.parameters())
n_adapters = sum(weight.numel() for weight in adapted_model.lora.parameters())
print(f"{n_all:,} parameters in the model, {n_adapters:,} in its adapters: {n_adapters / n_all:.1%}")
with torch.no_grad():
    with_hooks, _ = adapted_model(test_prompts.tokens[:2], test_prompts.attention_mask[:2])
    without = model(test_prompts.tokens[:2], attention_mask=test_prompts.attention_mask[:2])
print(f"largest difference of logits before training: {(with_hooks - without).abs().max():.1g}")
# %% [markdown]
# Hooks are easy to read, and slow: each token passes the adapters again. There is another way to see the same sum. $xW + xAB$
# is $x(W + AB)$. So once training is over, the product can be added to the weight, and the adapters have vanished: the model
# is **merged**, and costs what it did before. The library's `attach_lora` works in that way for any weights that you name,
# and takes it back exactly. It saves adapters in the format of the PEFT library, so others can use them.
#
# With it, the trainers need to know nothing of adapters: whatever requires a gradient is trained.
# %%
from arena_lib.rlhf.lora import LoraConfig, attach_lora

EVERYWHERE = ("W_Q", "W_K", "W_V", "W_O", "W_gate", "W_in", "W_out")
# %% result
# GRPO again, on the same proxy with KL 0.3, but adapters alone train, beside every weight matrix of
# the blocks: rank 4, and a learning rate four times as high.
small = copy.deepcopy(model)
adapters = attach_lora(small, LoraConfig(targets=EVERYWHERE, rank=4))
n_trained = sum(weight.numel() for weight in small.parameters() if weight.requires_grad)
by_lora = train_by_grpo(small, reward_fn_good_moods, kl_coef=0.3, lr=2e-3)
print(f"{n_trained:,} numbers trained, {n_trained / n_all:.1%} of the model")
print(f"in the last phase: proxy {by_lora.phases[-1]['reward']:.2f}, KL {by_lora.phases[-1]['kl']:.1f} nats")
say_if_tiny()
curves = {
    "all weights": [phase["reward"] for phase in held.phases],
    "LoRA": [phase["reward"] for phase in by_lora.phases],
}
plots.lines(curves, x_title="phase", y_title="proxy", title="Four percent of the numbers")
# %% result
# the two ways to compute the sum agree up to rounding, and merging changes nothing that can be seen.
# Without its adapters the model is what it was, to the last bit.
one = Lora(96, 40, rank=3, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    one.B.normal_(generator=torch.Generator().manual_seed(1))
    x, W = torch.ones(5, 96), torch.linspace(-1, 1, 96 * 40).reshape(96, 40)
    beside, within = x @ W + one(x), x @ (W + one.delta())
    print(
        f"x W + x A B against x (W + A B): {((beside - within).abs().max() / within.abs().max()):.0e} of the largest entry"
    )
    tokens = test_prompts.tokens[:4]
    with_adapters = small(tokens)
    with adapters.disabled():
        print(f"adapters off against the model of the beginning: {(small(tokens) - model(tokens)).abs().max():.0e}")
    adapters.remove(keep=True)  # an ordinary model from here on, with the sums in its weights
    print(f"with adapters against merged: {(small(tokens) - with_adapters).abs().max():.0e}")
# %% [markdown]
# ### A real model
#
# Nothing above depends on Storyworld but the rewards. The next cell takes one other argument: `"smollm2"`, a chat model with
# 135 million parameters (`arena zoo fetch smollm2`, about 100 MB, once). The reward is the first one of all, full stops.
# Four phases of 16 short answers only show that everything runs: for a useful result one takes thousands of prompts, a
# reward that means something, and a GPU.
# %%
import time

from arena_lib.rlhf.prompts import pad_prompts

QUESTIONS = [
    "How was your day?",
    "What is the sun?",
    "Name an animal.",
    "What should I cook?",
    "Is it late?",
    "Who are you?",
]


def train_chat_model(name, n_steps=8):
    """GRPO with LoRA on a chat model of the zoo; the trainer, and how long it took."""
    policy = zoo.load(name)
    chats = [f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" for question in QUESTIONS]
    prompts = pad_prompts([policy.tokenizer.encode(chat) for chat in chats])
    attach_lora(policy, LoraConfig(targets=("W_Q", "W_V"), rank=8))
    config = GrpoConfig(n_steps=n_steps, n_prompts=4, group_size=4, gen_len=16, kl_coef=0.05, lr=1e-3)
    trainer, start = GrpoTrainer(policy, config, prompts, reward_fn_char_count), time.perf_counter()
    with mock.patch.dict(os.environ, WITHOUT_BARS):
        trainer.train()
    return trainer, time.perf_counter() - start


# %% result
# SmolLM2 is paid for full stops, at scale full, if it's on this machine.
if SCALE == "full" and zoo.is_available("smollm2"):
    chat, seconds = train_chat_model("smollm2")
    marks = [f"{phase['reward']:.2f}" for phase in chat.phases]
    print(f"full stops in an answer, phase by phase: {', '.join(marks)}")
    print(
        f"KL in the last phase {chat.phases[-1]['kl']:.1f} nats; {seconds:.0f} s for {len(marks)} phases of 16 answers"
    )
    for text in chat.texts[:3]:
        print("-", textwrap.shorten(text, 110))
else:
    print("Run `arena zoo fetch smollm2` (a download of about 100 MB, once), and keep SCALE at full.")
# %% [markdown]
# ## 8. Learning from comparisons
#
# *About 85 minutes of exercises. You learn a reward from pairs, choose the best of n, and then do without a reward at all.*
#
# So far, somebody wrote the reward. For most things that we want from a language model, nobody can. And people are bad at
# giving marks: is this answer a 6 or a 7? But they are quite good at *comparing*: here are two answers, which one is
# better? So that is what is asked of them.
#
# How do comparisons become a reward? By an assumption from 1952, the **Bradley-Terry model**: each answer has a strength,
# its reward $r$, and answer $a$ is preferred to $b$ with probability
#
# $$P(a \succ b) = \sigma\big(r(a) - r(b)\big) \qquad \sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# Equal rewards give one half. A difference of 1 gives 73 %, of 3 already 95 %. Now look at a pair of which we know who
# won, and ask how surprised the model is: $-\log \sigma(r_\text{chosen} - r_\text{rejected})$. The mean of that over all pairs
# is the loss. Only differences count: add 100 to all rewards, and nothing changes.
# %% exercise="bradley_terry_loss" title="Which of two is better?" difficulty=2 importance=5 minutes=10
# hint: How likely was what happened, if these are the rewards?
# hint: The difference, chosen less rejected; the logarithm of its sigmoid; minus the mean.
# hint: -F.logsigmoid(chosen - rejected).mean(), which stays finite for large differences, unlike torch.log(torch.sigmoid(x)).
# %% [markdown]
# And what computes $r$? A **reward model**: a copy of the language model, since that can read already, with a head that gives
# one number for the whole text. Where must the head read? Attention looks back only, so just one place has seen the whole
# text: the **last real token**. In a batch of texts of different lengths that is a different place in each row, and the
# last column of the tensor is filling for most of them.
# %% exercise="reward_model" title="A model that gives marks" difficulty=2 importance=4 minutes=15
# hint: One vector for each text, from the place that has seen all of it; then a dot product and a bias.
# hint: Stop the transformer before the unembedding, with stop_at_layer=n_layers. last_real(resid, attention_mask) picks the
#       last real place of each row. ln_final comes before the head, as in the value head.
# hint: last = self.transformer.ln_final(last_real(resid, attention_mask)[:, None])[:, 0]; return last @ self.w + self.b. w
#       begins normal with standard deviation (d_model + 1) ** -0.5, and b is a single 0.
# %% [markdown]
# Our "people" are the true reward, this time. For each prompt the model writes eight answers, and for pairs of
# them somebody who knows the truth says which one is better. (They never say by how much. Pairs of equally good answers are left
# out.) We keep other prompts apart, to see whether the reward model has learned something about stories or has only
# learned its pairs by heart.
# %%
from arena_lib.core.optimization import TrainingConfig
from arena_lib.rlhf.preferences.answers import answers_from_rollouts
from arena_lib.rlhf.preferences.labels import make_pairs
from arena_lib.rlhf.preferences.texts import encode_texts, make_reward_fn
from arena_lib.rlhf.preferences.training import evaluate_reward_model, train_reward_model

N_ANSWERS = 8
N_TESTED = 8 if SCALE == "tiny" else 32
"""Answers to each prompt that is kept apart: enough to look for the best of them."""


def draw_answers(prompts, n_answers):
    """Samples of the model, their texts, and what these are worth."""
    generator = torch.Generator().manual_seed(2)
    rollouts = draw_rollouts(model, prompts, GEN_LEN, n_samples=n_answers, end_of_text=END_OF_TEXT, generator=generator)
    texts = [read(response) for response in rollouts.responses]
    return rollouts, texts, reward_fn_new_sentences(texts)


def compare(answers, true, n_answers):
    """Pairs of answers to one prompt, of which the better one was chosen."""
    return make_pairs(answers, true, n_answers, n_per_prompt=N_PAIRS, generator=torch.Generator().manual_seed(0))


N_PAIRS = 8 if SCALE == "tiny" else 28
"""Pairs of each prompt; eight answers make 28."""
drawn, drawn_texts, drawn_true = draw_answers(train_prompts[: 8 if SCALE == "tiny" else 256], N_ANSWERS)
kept_prompts = make_story_prompts(8 if SCALE == "tiny" else 64, seed=2, split="test")
_, kept_texts, kept_true = draw_answers(kept_prompts, N_TESTED)
text_pairs = compare(encode_texts(model, drawn_texts), drawn_true, N_ANSWERS)
kept_pairs = compare(encode_texts(model, kept_texts), kept_true, N_TESTED)
winner, loser = text_pairs.chosen.tokens[0].tolist(), text_pairs.rejected.tokens[0].tolist()
print(f"{len(text_pairs)} pairs. Of this one the first was chosen:\n- {read(winner)}\n- {read(loser)}")
# %% result
# a reward model learns from the pairs; accuracy and calibration are those on other prompts.
# A coin would have an accuracy of 0.5.
N_RM = 2 if SCALE == "tiny" else 256
marker = RewardModel(copy.deepcopy(model), torch.Generator().manual_seed(0))
with mock.patch.dict(os.environ, WITHOUT_BARS):
    train_reward_model(marker, text_pairs, TrainingConfig(n_steps=N_RM, lr=1e-3), batch_size=8)
numbers, calibration = evaluate_reward_model(marker, kept_pairs)
print(
    f"loss {numbers['loss']:.2f} (a coin: {math.log(2):.2f}), accuracy {numbers['accuracy']:.2f} on {len(kept_pairs)} pairs"
)
say_if_tiny()
enough = calibration.n_pairs >= 10
scatter(
    {"pairs by confidence": (calibration.confidence[enough], calibration.accuracy[enough])},
    x_title="how sure it was (mean probability)",
    y_title="how often it was right",
    title="Is it as good as it thinks?",
    diagonal="calibrated",
)
# %% [markdown]
# **Accuracy** says how often it prefers the right one. **Calibration** says whether its confidence can be believed: of all
# pairs on which it's 80 % sure, 80 % should be right. Points below the line mean that it's too sure of itself. That
# matters, because whoever optimises the reward goes right to the answers of which it is most sure.
#
# ### The best of n
#
# The simplest use of a reward needs no training. Draw $n$ answers and keep the one with the highest mark. That is
# **best of n**, and it's hard to beat. It has a price: $n$ times the computation, for each answer, for ever.
#
# It even has a known distance from the model. The best of $n$ is a draw from a distribution of its own, which says often
# what is marked high. If no two answers tie, its KL divergence is exactly
#
# $$\text{KL}(\text{best of } n \,\|\, \text{model}) = \log n - \frac{n - 1}{n}$$
#
# Here is why. Order all answers by their marks, and let $u$ be an answer's rank from 0 to 1: of a single draw, $u$ is
# uniform. The largest of $n$ has the density $n u^{n-1}$. So KL is the mean of $\log (n u^{n-1}) = \log n + (n - 1) \log u$ under
# that density, and the mean of $\log u$ is $-1/n$. The marks themselves don't matter, and neither does the model.
# %% exercise="best_of_n_kl" title="How far is the best of n?" difficulty=2 importance=3 minutes=10
# hint: One formula, for a whole number n from 1.
# hint: For n = 1 nothing is chosen, and the result must be 0. Less than 1 can't be drawn.
# hint: math.log(n) - (n - 1) / n, after a ConfigError for n < 1.
# %% [markdown]
# How good is the best of $n$? One could draw $n$ answers, choose, and repeat that many times. But from $N$ answers that we
# have, we can compute the mean over *all* choices of $n$ among them, with no luck in it ([Nakano et al.
# 2021](https://arxiv.org/abs/2112.09332)). An answer is the best of a choice if the $n - 1$ others are worse. If $k$ of
# the $N$ are worse, that happens in $\binom{k}{n-1}$ of $\binom{N}{n}$ choices. These shares are the answers' weights.
#
# And now one thing that makes it a tool for this section: what *chooses* needn't be what *counts*. The reward model
# chooses, and we look at the true reward of what it has chosen.
# %% exercise="estimate_best_of_n" title="Best of n without drawing n" difficulty=3 importance=3 minutes=20
# hint: Each answer has a weight: in what share of all choices of n is it the best one? The result is the weighted mean of
#       the values.
# hint: For each answer count those that are worse (k) and those that are equally good, itself included (m). Of the C(N, n)
#       choices, C(k + m, n) - C(k, n) have one of these m on top, and each gets an m-th of them.
# hint: n_worse = (rewards[..., None, :] < rewards[..., :, None]).sum(dim=-1), and n_alike with ==. Make a table of
#       C(i, n) / C(N, n) for each i from 0 to N, by exp of differences of lgamma (0 for i < n), in float64, and look up both
#       places in it.
# %% result
# the best of n by your reward model, in true reward, for n from 1 to 32, against its KL. Dashed: the truth itself chooses.
sizes = [n for n in (1, 2, 4, 8, 16, 32) if n <= N_TESTED]
marks = make_reward_fn(marker)(kept_texts).unflatten(0, (-1, N_TESTED))
worth = kept_true.unflatten(0, (-1, N_TESTED))
best_of = [float(estimate_best_of_n(marks, n, worth).mean()) for n in sizes]
series = {
    "chosen by the reward model": best_of,
    "chosen by the truth": [float(estimate_best_of_n(worth, n).mean()) for n in sizes],
}
best_of_kl = [best_of_n_kl(n) for n in sizes]
plots.lines(series, x=best_of_kl, x_title="KL (nats)", y_title="true reward", title="The best of n")
# %% [markdown]
# ### Without a reward model
#
# Pairs make a reward model, and the reward model trains a policy, with a KL penalty. Can one do it in a single step? Look at
# what that training aims at: the policy $\pi$ that has the most reward less $\beta$ times KL from the reference.
# A formula for that policy is known. For each answer $y$
#
# $$\pi(y) = \frac{1}{Z}\, \pi_\text{ref}(y)\, e^{r(y) / \beta}$$
#
# where $Z$ is the number that makes the probabilities of all answers add up to 1. These are the reference's answers, reweighted
# by their reward; $\beta$ is what one nat of KL costs, in units of reward, and the prompt is held fixed. To compute $Z$ one
# would have to sum over all possible answers, so the formula can't be used directly. But read it the other way round:
#
# $$r(y) = \beta \log \frac{\pi(y)}{\pi_\text{ref}(y)} + \beta \log Z$$
#
# So every policy *is* a reward model: it likes what it has made more likely. In the difference of two answers to the same
# prompt $Z$ cancels. Put that difference into the Bradley-Terry loss, and you have **direct preference optimisation**, DPO
# ([Rafailov et al. 2023](https://arxiv.org/abs/2305.18290)):
#
# $$h = \log \frac{\pi(y_c)}{\pi_\text{ref}(y_c)} - \log \frac{\pi(y_r)}{\pi_\text{ref}(y_r)} \qquad \text{loss} = -\log \sigma(\beta h)$$
#
# with $y_c$ the chosen and $y_r$ the rejected answer. No reward model, no samples, no rollouts: it's as simple as usual
# training. The log-probability of an answer is the sum over its tokens, its end-of-text included, the prompt's not.
# %% exercise="dpo_loss" title="Without a reward model" difficulty=3 importance=5 minutes=20
# hint: You have the loss already. What stands in for the reward of an answer?
# hint: Two log-ratios, policy minus reference: one of the chosen answer, one of the rejected. Their difference is h.
# hint: h = (chosen_logprobs - ref_chosen_logprobs) - (rejected_logprobs - ref_rejected_logprobs); -F.logsigmoid(beta *
#       h).mean(). check_positive("beta", beta) refuses what can't work.
# %% [markdown]
# DPO's loss keeps falling while $h$ grows, for ever. If one answer *always* wins against the other, the best $h$ is infinite,
# and no $\beta$ holds the policy. **IPO** ([Azar et al. 2023](https://arxiv.org/abs/2310.12036)) sets a finite goal:
# $h$ should be $1 / (2\tau)$, where $\tau$ is a positive number that you choose. The smaller $\tau$, the larger the goal. What is above costs as much as what is below.
# %% exercise="ipo_loss" title="A finite goal" difficulty=2 importance=2 minutes=10
# hint: The same h as in DPO, and a squared distance.
# hint: The goal is 1 / (2 tau): the smaller tau, the further apart.
# hint: (h - 1 / (2 * tau)).pow(2).mean(), with h as before.
# %%
from arena_lib.rlhf.dpo import DPOConfig, DPOTrainer
from arena_lib.rlhf.logprobs import compute_response_logprobs

answer_pairs = compare(answers_from_rollouts(drawn), drawn_true, N_ANSWERS)
N_DPO = 2 if SCALE == "tiny" else 160


@torch.no_grad()
def measure(policy):
    """KL from the model in nats for each sample, and the true reward, on prompts that nothing was trained on."""
    generator = torch.Generator().manual_seed(3)
    rollouts = draw_rollouts(policy, test_prompts, GEN_LEN, end_of_text=END_OF_TEXT, generator=generator)
    ref_logprobs = compute_response_logprobs(
        model, rollouts.tokens, rollouts.n_prompt, attention_mask=rollouts.attention_mask
    )
    kl = (rollouts.logprobs - ref_logprobs).where(rollouts.is_response, 0.0).sum(dim=1).mean()
    return float(kl), float(reward_fn_new_sentences([read(response) for response in rollouts.responses]).mean())


def train_on_pairs(loss_fn, beta=0.5, lr=1e-4):
    """DPO or IPO with your loss: the policy, and its (KL, true reward) as it trains."""
    policy, track = copy.deepcopy(model), [measure(model)]

    def look(net):
        track.append(measure(policy))
        return {"true": track[-1][1]}

    config = DPOConfig(n_steps=N_DPO, beta=beta, lr=lr, batch_size=8, eval_every=max(N_DPO // 4, 1))
    with mock.patch.dict(os.environ, WITHOUT_BARS):
        DPOTrainer(policy, config, answer_pairs, loss_fn=loss_fn, evaluate=look).train()
    return policy, track


# %% result
# DPO on the same pairs, and its answers beside the model's own.
direct, dpo_track = train_on_pairs(dpo_loss)
for kl, true in dpo_track:
    print(f"KL {abs(kl):5.2f} nats  true reward {true:.2f}")
show_side_by_side({"before": stories, "after DPO": write_stories(direct, test_prompts)})
# %% [markdown]
# A nat or less has been spent, and the true reward has risen. It isn't always so tame. In another run of ours, with
# `beta=0.1, lr=3e-4` on the same pairs, the policy went 13 to 18 nats away, and its true reward *fell* from 0.81 to 0.65: worse
# than before, while the loss looked fine. Look at $h$ again: it grows as well when both answers become less likely, as long as
# the rejected one does so faster. What takes their place are texts that nobody has ever compared.
#
# `train_on_pairs(ipo_loss, beta=0.1)` trains by IPO; its beta is $\tau$. Which of the two goes further on these pairs?
#
# ### What each costs
#
# Now the same aim in three ways, all from the same pairs: best of n by the reward model, GRPO on the reward model, and DPO.
# Equal effort is hard to define for methods so different. Equal *distance* isn't: how much truth does each one bring for a
# nat of KL?
# %% result
# true reward against KL. GRPO's points are its phases, on training prompts; the others are measured on other prompts.
by_marks = train_by_grpo(copy.deepcopy(model), make_reward_fn(marker), kl_coef=0.1)
say_if_tiny()
scatter(
    {
        "best of n": (best_of_kl, best_of),
        "GRPO on the reward model": against_kl(by_marks, "true"),
        "DPO": tuple(zip(*dpo_track, strict=True)),
    },
    x_title="KL from the model (nats for each sample)",
    y_title="true reward",
    title="Truth for a nat",
)
# %% [markdown]
# Read the plot from left to right. The best of n goes furthest for its first nats, and it can't go further than its formula
# allows: even 1,000 answers for each question are 5.9 nats. Training has no such limit, and its cost is paid once. DPO stays
# near, with a learning rate that keeps it there.
#
# Did you notice what did *not* happen here? GRPO maximised a reward that is often wrong (look at its accuracy), and the truth
# didn't fall. This reward was learned from comparisons by grammar, and grammar was meant. The count of moods was never
# wrong about moods, and still it led away from what was meant. But don't rely on it. In our longer runs with PPO and no
# penalty, the truth rose to 0.98 with one seed, and fell to 0.35 with the other. With a KL penalty both ended at 0.95 or more.
#
# | method | needs | costs when trained | costs when used | what it aims at |
# |---|---|---|---|---|
# | best of n | a reward | nothing | n answers for each | the reward model's favourite |
# | PPO | a reward, a value head, a reference | rollouts; the policy with its value head, the reference, and a reward model if there is one | nothing | reward less KL |
# | GRPO | a reward, a reference | rollouts, several of each prompt | nothing | reward less KL |
# | DPO, IPO | pairs, a reference | as usual training | nothing | the order in the pairs |
#
# DPO is the cheapest, and it can only learn from the pairs that are there. As soon as its policy has moved, it says other
# things than those that were compared, and nobody has judged these. PPO and GRPO ask for a judgement of what they say *now*.
#
# ### Where real systems differ
#
# - **The answers of people.** Ours were given by a program that is always right. People disagree, get tired, and
#   prefer what is long, sure of itself, and agrees with them. A reward model learns that too, and the policy finds it.
# - **The first step.** A chat model is first trained on good examples, and only then on preferences. Our model could tell
#   stories before we began.
# - **Size.** Rewards come from models as large as the policy, a phase has thousands of samples, and rollouts take most of
#   the time. The code is the same; what is added is the distribution over many GPUs.
# - **Rewards that are checked.** Where an answer can be verified, such as the result of a calculation or a program's tests,
#   no reward model is needed. This is where GRPO is used most. It can be hacked as well: a program may pass its tests
#   without being right.
#
# And what this section can't show: our true reward is a program, too. It doesn't know whether a story is worth reading. One
# of our own runs was called good by it, and consisted of short sentences about who was in the library.
#
# ## What you have learned
#
# - A reward is a measurement of what you want. What is optimised is the measurement.
# - What is scored must be what was drawn: the same tokens, the same temperature, end-of-text counted, filling not.
# - KL says how much optimisation has been applied. k1 and k3 estimate it from samples, and k3 with less variance while
#   the policy is near.
# - PPO asks a value head what to expect; GRPO asks the other samples of the prompt. How tokens are averaged decides how
#   long the answers get.
# - LoRA trains a few percent of the numbers, and the model without its adapters is the reference.
# - From comparisons you can learn a reward, choose by it, train by it, or train on them directly.
#
# ## What comes next
#
# A model that was trained in this way behaves better where it was judged. Whether it does so elsewhere must be tested. That is
# what chapter 3 is about: evaluations. What you have seen here, that a system does what is measured, is a good thing to
# keep in mind when you write them.
#
# ## On your own
#
# - **An ensemble.** Train three reward models with other seeds (`RewardEnsemble`), and let GRPO maximise their worst case
#   without a KL penalty. Is the true reward held, and at which KL does it fall? Write down your guess first.
# - **Replicate a paper.** Gao et al. 2022 ([arXiv:2210.10760](https://arxiv.org/abs/2210.10760)) found that the true reward
#   follows $d(\alpha - \beta d)$ for best of n and $d(\alpha - \beta \log d)$ for reinforcement learning, with $d$ the root of
#   the KL. Fit both to your curves, with reward models from 500, 1,000 and 2,000 pairs. How do $\alpha$ and $\beta$ change?
# - **Length bias.** Train by GRPO with each of the three averages, on a reward that makes long answers neither better nor
#   worse, such as `reward_fn_ends_well`. Compare the lengths over five seeds, with intervals.
#
# ## Reading
#
# - [Ziegler et al. 2019](https://arxiv.org/abs/1909.08593): where it began for language models, with the adaptive KL
#   penalty, and a flipped sign that they found in the samples (section 4.4).
# - [Stiennon et al. 2020](https://arxiv.org/abs/2009.01325): the whole way, with people, and over-optimisation in figure 5.
# - [Gao et al. 2022](https://arxiv.org/abs/2210.10760): over-optimisation, measured.
# - [Rafailov et al. 2023](https://arxiv.org/abs/2305.18290): DPO, with the derivation in full.
# - [Shao et al. 2024](https://arxiv.org/abs/2402.03300): GRPO; and [Liu et al. 2025](https://arxiv.org/abs/2503.20783): its
#   biases.
# - [Casper et al. 2023](https://arxiv.org/abs/2307.15217): a survey of what is open and what may stay so.
