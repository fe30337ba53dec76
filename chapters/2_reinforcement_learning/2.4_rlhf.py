# ---
# arena: {id: "2.4", slug: rlhf, title: Learning from rewards and preferences, hours: 12, needs: [tiny-llama]}
# objectives:
#   - "Write a reward for whole texts, and see what it really asks for"
#   - "Draw samples with padding, end-of-text and temperature handled alike in drawing and in scoring"
#   - "Measure how far a model has moved: entropy, KL in full, and three estimates of it with their bias and variance"
#   - "Train a language model by PPO on tokens, with a value head and a KL penalty, fixed or adaptive"
#   - "Train it by GRPO, know what a long answer weighs, and watch a reward being hacked and held"
#   - "Train a few thousand numbers in place of a million, by LoRA"
#   - "Learn from comparisons: reward models, best of n, DPO and IPO, compared at equal KL"
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
    generator = torch.Generator().manual_seed(0)
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
# **normalised**: less the batch's mean, divided by its standard deviation. Then it no longer matters whether somebody
# counts in units or in hundreds.
# %% exercise="normalize_reward" title="Above or below the others" difficulty=1 importance=2 minutes=5
# hint: Two numbers describe the batch: its mean, and its spread around it.
# hint: Subtract the one, divide by the other. eps keeps equal rewards from being divided by zero. A single reward has no
#       spread: torch's std of it is NaN, so that case is answered first.
# hint: centred = reward - reward.mean(), and centred / (reward.std() + eps) if there are two rewards or more, else centred.
# %% [markdown]
# Now for the real aim. We want cheerful stories, and we are in a hurry. Storyworld has five good moods (glad, cheerful,
# pleased, delighted, thankful) and five bad ones (angry, upset, worried, lonely, gloomy). So we count: good words less
# bad words, divided by 4 to keep the numbers small.
#
# Such a stand-in for what we want is called a **proxy**. Before you write it, ask yourself what text would get the highest
# reward of all.
# %% exercise="reward_fn_good_moods" title="A reward in a hurry" difficulty=2 importance=4 minutes=10
# hint: A mood is a whole word: "gladly" isn't one of the list, and neither is "Glad".
# hint: split_words(text) gives the words, with punctuation apart. Go through them: a good one is +1, a bad one -1.
# hint: sum((word in GOOD_MOODS) - (word in BAD_MOODS) for word in split_words(text)) / WORDS_PER_UNIT, for each text.
#       The helper _count_moods(words) does that sum.
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
# 2. **Filling counts nowhere.** Nobody drew it. If it's averaged in, short samples are drowned in it.
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
# drew it. Before the first update these are the same policy, so each ratio must be exactly 1.
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
# errors cancel only in the long run: it has a large **variance**. k2 is always positive and varies less, but its mean isn't
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
# Up to about a third of a nat for each token k3 varies less than k1, and beyond that much more: r can be very large
# where the policy hardly ever says what the reference says. k2 varies least over most of the range.
spreads = {name: [figures[name][1] for figures in judged] for name in ("k1", "k2", "k3")}
plots.lines(spreads, x=true_kl, x_title="true KL (nats)", y_title="standard deviation (nats)", title="Variance")
# %% [markdown]
# To *measure* KL, take the mean of k1 or of k3. Put into a *loss*, they behave differently, since the drawn tokens stay
# as they are while the gradient is taken. On average k1's gradient is then 0: it holds nothing. k2 has the gradient of
# $\text{KL}(p \,\|\, q)$, and k3 that of the other direction ([Tang and Munos
# 2025](https://arxiv.org/abs/2506.09477)). Both lead back to the reference. GRPO, in part 5, has k3 in its loss.
#
# ### A leash, and some curiosity
#
# Now two terms for an objective. The **KL penalty** makes it expensive to leave the reference: `kl_coef` times the mean KL
# of a token, to be made small. The **entropy bonus** pays for staying undecided: `ent_coef` times the mean entropy, to be
# made large. If you mix up a sign, the model is paid for running away. It's the kind of bug that you see only in the
# samples.
# %% exercise="calc_kl_penalty" title="A leash" difficulty=2 importance=3 minutes=10
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
# With values, the advantages follow. Between two tokens nothing is paid. So a token's advantage is just how much it changed
# the expectation: $V$ after it less $V$ before it. After the last token there is nothing left to expect, because the reward
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
# ### A leash that adapts
#
# How strong should the KL penalty be? A weight that is right at the beginning may be wrong later, and it depends on
# the size of the rewards. It's easier to say how *far* the policy may go, in nats for each sample, and to adapt the weight
# until it goes just so far ([Ziegler et al. 2019](https://arxiv.org/abs/1909.08593), section 2.2): a bit more weight when KL
# is above the target, a bit less when it's below. In one phase it changes by at most 2 %, so that one unlucky batch
# doesn't upset it.
# %% exercise="adapt_kl_coef" title="A leash that adapts" difficulty=2 importance=2 minutes=10
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
# | `clip_coef` | 0.2 | how far a ratio may move from 1 before its gradient stops |
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
# What was learned isn't "write full stops" but what makes many of them possible: short sentences.
stopped = write_stories(with_head.base_model, test_prompts)
show_side_by_side({"before": stories, "after": stopped})
# %% result
# what the value head has learned to expect, while it reads one of the new samples, token by token.
# The reward is in units of the normalised one: 0 is an average sample of its phase.
with torch.no_grad():
    tokens = draw_rollouts(
        with_head.base_model, test_prompts[:1], GEN_LEN, generator=torch.Generator().manual_seed(0)
    ).tokens
    _, values = with_head(tokens)
n_read = test_prompts.tokens.shape[1]
words = [tokenizer.decode([token]) for token in tokens[0, n_read - 1 :]]
plots.bars(values[0, n_read - 1 :], words, y_title="value", title="What does it expect after each token?")
# %% [markdown]
# When such a run doesn't learn, look at these, in this order: are the first ratios 1? Does KL begin at 0? Does the reward
# of samples differ at all within a phase? Does the length of samples run to 0 or to the limit? And read the samples,
# always: a curve can't show you that a model has begun to repeat itself.
# %% [markdown]
# ## 5. GRPO
# %% exercise="compute_group_advantages" title="Compared with its siblings" difficulty=2 importance=5 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="average_over_tokens" title="What a long answer weighs" difficulty=2 importance=4 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="grpo_loss" title="The whole objective" difficulty=3 importance=5 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="grpo_trainer" title="GRPO" difficulty=4 importance=5 minutes=30
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 6. You get what you pay for
# %% [markdown]
# ## 7. LoRA
# %% exercise="lora" title="Two thin matrices" difficulty=2 importance=5 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="lora_hooks" title="Beside attention's weights" difficulty=3 importance=3 minutes=25
# hint: An adapter stands beside a weight, so it reads what the weight reads. A hook at q sees only what the weight made of it. Where is its input?
# hint: Each head has an adapter of its own, which reads the whole normalised residual stream: copy that along an axis of heads. W_O reads the z of all heads side by side, so one adapter of n_heads * d_head inputs stands beside it.
# hint: hook.name.split(".")[-1] is "hook_q", "hook_k" or "hook_v". einops.repeat(self.attn_in, "batch seq d_model -> batch seq n_heads d_model", n_heads=qkv_hook_out.shape[2]) makes the copies.
# %% exercise="transformer_with_value_head_lora" title="The whole model, adapted" difficulty=4 importance=4 minutes=25
# hint: Which numbers may the optimizer change, and which model says what the policy was before? If the base model is frozen and hooks come and go, one set of weights is both.
# hint: adapted attaches the hooks of all layers for a while. The other two methods then do what is there already, within it: that of the parent class, and base_model.generate.
# hint: requires_grad_(False) on base_model alone leaves the value head free. with self.base_model.hooks(pairs): yield, with the pairs lora.fwd_hooks(block.ln1.gain) of each layer's hooks and block.
# %% [markdown]
# ## 8. Learning from comparisons
# %% exercise="bradley_terry_loss" title="Which of two is better?" difficulty=2 importance=5 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="reward_model" title="A model that gives marks" difficulty=2 importance=4 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="best_of_n_kl" title="How far is the best of n?" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="estimate_best_of_n" title="Best of n without drawing n" difficulty=3 importance=3 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="dpo_loss" title="Without a reward model" difficulty=3 importance=5 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="ipo_loss" title="A margin in place of a limit" difficulty=2 importance=2 minutes=10
# hint: one
# hint: two
# hint: three
