# ---
# arena: {id: "1.1", slug: transformer_from_scratch, title: Transformer from scratch, hours: 12, needs: [tiny-gpt, tiny-llama]}
# objectives:
#   - "Split text into tokens with byte-pair encoding, and know why nobody feeds letters or words"
#   - "Write every part of a GPT-2-style transformer, and load trained weights into it"
#   - "Draw from a model: greedy, with temperature, top-k, top-p, and by beam search"
#   - "Train a transformer from random weights until it tells stories"
#   - "Make generation fast with a cache of keys and values"
#   - "Turn GPT-2 into Llama: RMSNorm, rotary positions, grouped queries, a gated MLP"
# ---
# %% [markdown]
# ## What you will build
#
# A language model is a function. You give it a text; it gives back, for every place in the text, a
# score for each token that could come next. Everything else that such models do, from answering
# questions to writing programs, is made of that one guess, repeated.
#
# In this section you write the whole function, with nothing hidden in a library. It's surprisingly
# little code: about two hundred lines, and no part is longer than a screen. By the end
#
# - trained weights run inside **your** classes, and you look at what their attention does,
# - a model that you train yourself goes from noise to sentences while you watch,
# - with six small changes your GPT-2 becomes a Llama, and a real language model of 135 million
#   parameters speaks through your code.
#
# The models that ship with this course speak *Storyworld*, a small English of about nine hundred
# words in which short stories are told. It's tiny so that a laptop can train on it, and it's
# generated, so we always know what a text is really about. The code that you write isn't tiny:
# the same classes at other sizes are GPT-2 and Llama.
#
# ### How to work through this
#
# Each exercise is a function or a class without its body. The docstring says what must hold. Write
# the body and run the cell: the last line judges your code, and if something is wrong it tells you
# what, and often which mistake it was. Hints stand above each exercise, three of them, from the
# idea to the step. Take them when you have been stuck for ten minutes: being stuck for an hour
# teaches nothing that ten minutes don't.
#
# Shapes are written in words. `"batch seq d_model"` is a tensor with three axes: which text, which
# position in it, and the entries of a vector. We use [einops](https://einops.rocks) to move axes by
# name, since `einops.einsum(x, W, "batch seq d_model, d_model d_mlp -> batch seq d_mlp")` says what
# it does and `x @ W` doesn't. You may use either.
#
# ## 1. From text to tokens
#
# A model reads numbers, so a text must become a list of them. Two ways suggest themselves, and both
# are bad.
#
# **One number for each letter.** The list of numbers is short to define, and no text is impossible. But
# texts become long, and the model wastes most of its effort on spelling.
#
# **One number for each word.** Texts are short. But there are hundreds of thousands of words, most
# of which the model would hardly ever see, and a new name can't be written at all.
#
# **Byte-pair encoding** takes the middle: frequent words become one token, rare ones are put
# together from pieces, and in the worst case a text falls apart into bytes, so nothing is
# impossible. The recipe is from data compression (Gage 1994; for language Sennrich et al. 2016):
#
# 1. Start with single symbols.
# 2. Count which two symbols stand side by side most often.
# 3. Join that pair into a new symbol, everywhere. Go to 2.
#
# The list of joins, in order, *is* the tokenizer. Let us take a small text and do it by hand.
#
# Words never merge across their borders, so we first split a text into words, each with the space
# in front of it, and count each word once. Symbols are bytes, written as visible characters; the
# space is written `Ġ`.
# %%
from collections import Counter

from arena_lib.transformer.bpe import split_into_words, to_symbols

TEXT = "the cat sat on the mat, and the cat that sat there chatted with the bat"
word_counts = Counter(to_symbols(word) for word in split_into_words(TEXT))
word_counts.most_common(4)
# %% exercise="count_pairs" title="Which symbols stand side by side?" difficulty=1 importance=3 minutes=10
# hint: A word of n symbols has n - 1 places where two of them meet.
# hint: Go through the words; each pair in a word counts as often as the word itself.
# hint: itertools.pairwise(word) gives the neighbours; add the word's count to a Counter at each.
# %% exercise="merge_pair" title="Join a pair" difficulty=2 importance=3 minutes=10
# hint: Read the word from left to right, and write a new one as you go.
# hint: At each place look at two symbols: if they are the pair, write them as one and step over both.
# hint: Use an index and a while loop, since the step is sometimes 1 and sometimes 2. Compare symbols, not their letters: ("l", "ow") spells like ("lo", "w").
# %% exercise="train_bpe" title="Learn the merges" difficulty=3 importance=4 minutes=20
# hint: The loop is: count the pairs, take the best, join it in every word, note it.
# hint: After a join two different words can become the same; their counts must add up. For ties you need to know how old each symbol is: keep a dictionary from symbol to age.
# hint: min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]])) finds the best pair, ties included.
# %% result
# The first merges that were learned. Frequent endings come first; soon there are whole words, each with its space.
train_bpe(word_counts, 12)
# %% [markdown]
# To encode a new word, the merges are replayed on it: always the one that was learned *earliest*
# among those that apply. Why the earliest, and not simply from left to right? Because the symbols
# that a later merge joins were made by earlier ones. Only in the order of learning does a word fall
# apart into the same pieces as it did in training.
# %% exercise="bpe_encode" title="Replay them on a new word" difficulty=3 importance=3 minutes=20
# hint: At each step there are several places where some merge applies. Which one would training have taken first?
# hint: Give each merge its rank (its place in the list). Find the place in the word whose pair has the lowest rank, join it, and start again.
# hint: places = [(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks], and min(places) is the earliest merge at its leftmost place.
# %% exercise="bpe_decode" title="And back to text" difficulty=2 importance=2 minutes=10
# hint: A character such as "é" takes two bytes, and they may lie in two different symbols.
# hint: So the bytes of all symbols must be joined before anything is decoded.
# hint: to_bytes("".join(symbols)) gives the bytes; bytes.decode has an argument errors="replace".
# %% result
# How a text shrinks as merges are learned from Storyworld: from about five symbols a word to one.
from arena_lib import plots, storyworld

story_words = Counter()
for document in storyworld.tell_many(storyworld.Chooser(0)):
    story_words.update(" " + word for word in document.words)
    if story_words.total() > (2_000 if SCALE == "tiny" else 20_000):
        break
counts = {to_symbols(word): count for word, count in story_words.items()}
merges = train_bpe(counts, 60 if SCALE == "tiny" else 400)
sizes = range(0, len(merges) + 1, 20)
lengths = [
    sum(len(bpe_encode(word, merges[:size])) * count for word, count in counts.items()) / story_words.total()
    for size in sizes
]
plots.lines({"symbols in a word": lengths}, x=list(sizes), x_title="merges", y_title="symbols", title="Byte-pair encoding on stories")
# %% result
# Names that were seen in training are one symbol; a word that never occurred falls apart into pieces, and nothing is lost.
for word in [" Oliver", " garden", " transformer", " naïve 🙂"]:
    symbols = bpe_encode(to_symbols(word), merges)
    print(f"{word!r:18} {symbols}  ->  {bpe_decode(symbols)!r}")
# %% [markdown]
# That is the tokenizer of GPT-2, apart from its size: it has 50 000 merges. The library's
# `BPETokenizer` wraps what you wrote and reads and writes the usual `tokenizer.json`.
#
# Storyworld itself is so small that its tokenizer takes whole words (with bytes for what it doesn't
# know). For what follows it makes no difference: from here on a text is a list of token ids.
#
# ## 2. The transformer
#
# ![The parts of a transformer along the residual stream](figures/residual_stream.svg)
#
# Picture one vector for each position of the text, `d_model` numbers long. It starts as the meaning
# of the token that stands there and nothing else. Then the parts of the model take turns, and each
# **reads** the vector and **adds** something to it. At the end the vector is read one last time, and
# each token of the vocabulary gets a score. This vector with its history of additions is called the
# **residual stream**. Nothing in it is ever overwritten; later parts can read what earlier ones wrote.
#
# There are just two kinds of part that write:
#
# - **Attention** moves information *between* positions. It's the only part that does.
# - The **MLP** works on each position by itself, on what has arrived there.
#
# We now write them all, the simplest first. All take one `cfg` with the sizes:
# %%
from arena_lib.transformer.lesson import Config

Config()  # GPT-2 small
# %% [markdown]
# ### LayerNorm
#
# Every part adds to the stream, so its vectors grow as they travel. A part that reads them would
# have to cope with any size. So before each reading the vector is **normalised**: shifted to mean
# zero, divided by its standard deviation. Then each entry gets a learned gain `w` and shift `b`, so
# that the model may undo what it doesn't want undone.
#
# $$y = \frac{x - \text{mean}(x)}{\sqrt{\text{var}(x) + \epsilon}} \cdot w + b$$
#
# Mean and variance are taken over the entries of *one* vector: each position is normalised by
# itself. The small number $\epsilon$ keeps a constant vector from being divided by zero.
# %% exercise="layer_norm" title="Bring every vector to the same size" difficulty=3 importance=3 minutes=15
# hint: What is normalised is one vector at one position. Which axis is that?
# hint: Keep the axis when you take the mean (keepdim=True), so that the shapes still fit. The variance is the mean of the squared deviations; torch.var divides by n - 1 unless you tell it not to.
# hint: centred = residual - residual.mean(dim=-1, keepdim=True); the variance is centred.pow(2).mean(dim=-1, keepdim=True); epsilon is added to it under the root.
# %% [markdown]
# ### Embedding
#
# The first vector at each position is looked up in a table: row `t` of `W_E` belongs to token `t`.
# The table is learned like every other weight, and tokens that are used alike end up with vectors
# that lie near each other.
# %% exercise="embed" title="A vector for each token" difficulty=1 importance=3 minutes=5
# hint: The table has one row for each token of the vocabulary, and token ids are row numbers.
# hint: You can index a tensor with a tensor of integers, of any shape.
# hint: self.W_E[tokens] has the shape of tokens, with the row's axis behind.
# %% [markdown]
# ### Positions
#
# Attention, as you will see, treats what it reads as a *set*: it would see no difference between
# "Tina thanked Jack" and "Jack thanked Tina". So we tell each vector where it stands, by adding
# a second learned vector, one for each position. (Llama does this in a more elegant way; you will
# write that at the end.)
# %% exercise="pos_embed" title="A vector for each place" difficulty=2 importance=3 minutes=10
# hint: The token ids themselves don't matter here. What of `tokens` does?
# hint: Position 0 gets row 0 of W_pos, and so on, as far as the text is long; every text of the batch gets the same.
# hint: einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch).
# %% [markdown]
# ### Attention, step one: no peeking
#
# Attention lets each position (the **query**) look at other positions (the **keys**) and bring
# information back. How much a query looks at each key is decided by a table of **scores**: row $q$
# holds how interesting each key is for query $q$. A softmax turns each row into shares that sum to
# one, the **pattern**.
#
# There is one rule. Position $q$ must predict token $q + 1$, and the model sees the whole text at
# once in training. If a query could look at a later key, it would read the answer off the page, and
# learn nothing. So keys that lie in the future are hidden *before* the softmax: their score becomes
# $-\infty$, and $e^{-\infty} = 0$. Hiding them after the softmax would be too late, since their
# shares would be missing from the sum.
# %% exercise="causal_mask" title="Hide the future" difficulty=2 importance=5 minutes=15
# hint: What should softmax give for a key that lies in the future? And which score becomes exactly that?
# hint: In the table of scores, rows are queries and columns are keys: the future is above the diagonal. The diagonal itself is the present and stays.
# hint: torch.triu(ones, diagonal=1) marks what lies above the diagonal; scores.masked_fill(mask, -torch.inf) fills it, in a new tensor.
# %% result
# Twelve random scores become a pattern: each row sums to one, and everything above the diagonal is zero.
import torch

example = causal_mask(torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0))).softmax(dim=-1)
plots.attention(example[0], ["Tina", "gave", "Jack", "the", "lamp"], title="A random pattern")
# %% [markdown]
# ### Attention, step two: the whole
#
# ![One attention head: queries meet keys, values travel](figures/attention.svg)
#
# Where do scores come from? Each position writes three short vectors, `d_head` numbers long, made
# from its normalised stream by three learned matrices:
#
# - a **query**: what am I looking for?
# - a **key**: what do I have to offer?
# - a **value**: what will I hand over, if somebody looks at me?
#
# A score is the dot product of a query with a key. It's divided by $\sqrt{d_{head}}$: a sum of
# $d_{head}$ random terms is about $\sqrt{d_{head}}$ in size, and without the division the softmax
# would sit at its extremes, where no gradient flows. After mask and softmax, each query collects
# the values it looks at, in the shares of the pattern; a fourth matrix turns that back into
# `d_model` numbers, which are added to the stream.
#
# All of this happens `n_heads` times side by side with matrices of their own: one **head** may look at
# the previous token, another for names. Their outputs are summed. This is the
# longest exercise so far, and the one that matters most. Take it line by line, and print shapes.
# %% exercise="attention" title="Let positions talk" difficulty=4 importance=5 minutes=45
# hint: The docstring's formula is four steps: q, k, v; scores, masked; pattern; z and the output. What axes does each one have?
# hint: Write each step as one einsum. In the scores the positions of queries and keys need different names, seq_q and seq_k, although they are the same positions. The mask comes after the division and before the softmax.
# hint: q is einsum(x, W_Q, "batch seq d_model, n_heads d_model d_head -> batch seq n_heads d_head") + b_Q; the scores are einsum(q, k, "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k").
# %% [markdown]
# ### MLP
#
# After attention has brought information to a position, the MLP thinks about it. It's two
# linear maps with a bend between them: out to `d_mlp` **neurons** (usually four times `d_model`),
# through a nonlinearity, and back. The bend is what makes it more than one linear map. GPT-2 uses
# GELU, a smooth version of "keep what is positive", in a form with a tanh. The form matters:
# weights that were trained with it notice the difference.
# %% exercise="mlp" title="Think at each position" difficulty=2 importance=4 minutes=10
# hint: Three steps: widen, bend, narrow. Nothing here mixes positions.
# hint: Widen with W_in and b_in, narrow with W_out and b_out. PyTorch's gelu has an argument for the tanh form.
# hint: F.gelu(x W_in + b_in, approximate="tanh"), then W_out and b_out.
# %% [markdown]
# ### A block
#
# Attention and an MLP, each with a LayerNorm in front, make a **block**. Mind what is normalised: a
# *copy* of the stream, for the part to read. The stream itself is only ever added to.
# %% exercise="transformer_block" title="One turn of reading and writing" difficulty=2 importance=4 minutes=10
# hint: Two lines, and each has the form: stream = stream + part(norm(stream)).
# hint: The MLP comes after attention and reads the stream that attention has already written to.
# hint: resid_mid = resid_pre + self.attn(self.ln1(resid_pre)), and the same once more with ln2 and mlp.
# %% [markdown]
# ### Unembedding
#
# At the end each vector is turned into `d_vocab` scores, the **logits**, one for each token that
# could come next. Softmax would turn them into probabilities; we leave that to whoever needs them.
# %% exercise="unembed" title="From vectors back to words" difficulty=1 importance=3 minutes=5
# hint: What does one column of W_U stand for?
# hint: A token's score is the dot product with its column, plus its bias.
# hint: einops.einsum(x, self.W_U, "batch seq d_model, d_model d_vocab -> batch seq d_vocab") + self.b_U.
# %% exercise="demo_transformer" title="The whole model" difficulty=2 importance=5 minutes=10
# hint: Follow the picture at the start of this part from bottom to top.
# hint: Token vectors plus position vectors; then each block in turn; then one more LayerNorm; then the unembedding.
# hint: A loop `for block in self.blocks: residual = block(residual)`. A block returns the whole stream, so nothing is added here.
# %% [markdown]
# ### Now give it a brain
#
# You have written a transformer. With random weights it knows nothing, so let us put trained ones
# in: `tiny-gpt`, which learned Storyworld. Your classes have the same parameter names, so the weights
# drop in.
# %% result
# Your model, with trained weights, guesses the next token. It has never seen this sentence; it worked out who must receive the lamp.
import torch

from arena_lib import zoo

tiny_gpt = zoo.load("tiny-gpt")
cfg = tiny_gpt.cfg
mine = DemoTransformer(
    Config(
        d_model=cfg.d_model,
        d_vocab=cfg.d_vocab,
        n_ctx=cfg.n_ctx,
        n_layers=cfg.n_layers,
        n_heads=cfg.n_heads,
        d_head=cfg.d_head,
        d_mlp=cfg.d_mlp,
        layer_norm_eps=cfg.layer_norm_eps,
    )
)
mine.load_state_dict(tiny_gpt.state_dict())

prompt = "When Tina and Jack went to the garden , Jack gave the lamp to"
tokens = tiny_gpt.to_tokens(prompt)
with torch.no_grad():
    logits = mine(tokens)
vocabulary = [tiny_gpt.to_string([i]) for i in range(cfg.d_vocab)]
plots.token_probabilities(logits[0, -1].softmax(-1), vocabulary, top=8, title=f"{prompt} ...")
# %% [markdown]
# Swap the names in the prompt, and the answer moves. Try a sentence of your own: every word must be
# one that Storyworld knows, or it falls apart into bytes.
#
# What did attention look at to find that out? Each block's pattern can be seen: run the model up to the
# block, and repeat the first half of your `forward`. That is the next exercise, and there is more
# than one way to do it.
# %% exercise="attention_patterns" title="Look inside" difficulty=3 importance=3 minutes=20
# hint: You need q and k of one layer, so you need the stream in front of that layer.
# hint: Run embed and pos_embed, then the blocks before `layer` as they are; then ln1 of that layer, and the first lines of your Attention.forward.
# hint: The scores are your einsum of q and k over the root of d_head; causal_mask and softmax make the pattern.
import einops
import torch


def attention_patterns(model, tokens, layer):
    """The attention pattern of one layer, "n_heads seq_q seq_k", for the first text of `tokens`."""
    # region solution
    residual = model.embed(tokens) + model.pos_embed(tokens)
    for block in list(model.blocks)[:layer]:
        residual = block(residual)
    attn = model.blocks[layer].attn
    x = model.blocks[layer].ln1(residual)
    project = "batch seq d_model, n_heads d_model d_head -> batch seq n_heads d_head"
    q = einops.einsum(x, attn.W_Q, project) + attn.b_Q
    k = einops.einsum(x, attn.W_K, project) + attn.b_K
    dot = "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k"
    scores = einops.einsum(q, k, dot) / model.cfg.d_head**0.5
    pattern = causal_mask(scores).softmax(dim=-1)[0]
    # endregion
    return pattern


with torch.no_grad():
    pattern = attention_patterns(mine, tokens, layer=1)
seq = tokens.shape[1]
assert pattern.shape == (cfg.n_heads, seq, seq), "a pattern has the axes n_heads, seq_q and seq_k"
torch.testing.assert_close(pattern.sum(dim=-1), torch.ones(cfg.n_heads, seq), msg="each row must sum to one")
_, cache = tiny_gpt.run_with_cache(tokens)
torch.testing.assert_close(pattern, cache["pattern", 1][0], rtol=1e-3, atol=1e-4)
# %% result
# Each head of this layer, query by key. Some look at the word just before, some at names, some rest on the first position.
plots.attention(pattern, tiny_gpt.to_str_tokens(tokens), title="Layer 1 of tiny-gpt, in your code")
# %% [markdown]
# ## 3. Writing
#
# A model that guesses the next token can write: choose a token, append it, ask again. All the art is in
# *choosing*. Always the likeliest token gives dull texts that go in circles; drawing from the whole
# distribution now and then picks something absurd, and the model must live with it. The methods in between
# are small functions on one vector of logits. Each is one exercise, and the first are one-liners.
# %% exercise="greedy_search" title="The likeliest token" difficulty=1 importance=3 minutes=5
# hint: A token id is a place in the vector of logits.
# hint: Which place holds the largest logit?
# hint: int(logits.argmax()).
# %% exercise="sample_basic" title="Draw from the distribution" difficulty=2 importance=4 minutes=10
# hint: Probabilities come from logits by softmax.
# hint: torch.multinomial draws from a vector of probabilities; it takes a generator, which makes draws repeatable.
# hint: int(torch.multinomial(probabilities, num_samples=1, generator=generator)).
# %% [markdown]
# **Temperature** divides the logits before the softmax. At 1 the distribution is the model's own. Close to 0
# it all goes to the likeliest token; the higher it is, the flatter the distribution. The name is from
# physics, where a hot gas visits unlikely states.
# %% exercise="apply_temperature" title="Bolder or calmer" difficulty=1 importance=3 minutes=5
# hint: What must happen to the differences between logits if the distribution is to get sharper?
# hint: A temperature of 0.5 doubles them.
# hint: Divide, and return a new tensor.
# %% exercise="apply_frequency_penalty" title="Don't repeat yourself" difficulty=2 importance=2 minutes=10
# hint: For each token of the vocabulary you need to know how often it occurs in the text.
# hint: torch.bincount counts integers; it must be told how long its result should be.
# hint: counts = torch.bincount(input_ids, minlength=d_vocab); subtract freq_penalty * counts.
# %% [markdown]
# **Top-k** cuts off the tail: only the k likeliest tokens may be drawn. But how long should the tail be? After
# "went to the" a dozen places are plausible; after "more than wild is" just one word. **Top-p**, also called
# nucleus sampling, lets the model say: keep the likeliest tokens until together they have probability p.
# %% exercise="sample_top_k" title="Only the best k" difficulty=2 importance=3 minutes=10
# hint: If only k logits were there, you would already know how to draw.
# hint: torch.topk gives the k largest values and where they stood. Draw a rank with sample_basic, then find out which token has that rank.
# hint: best = logits.topk(min(k, d_vocab)); best.indices[sample_basic(best.values, generator=generator)].
# %% exercise="sample_top_p" title="Only the likely ones" difficulty=3 importance=3 minutes=20
# hint: Sort the tokens by probability. How many from the front do you need to reach p?
# hint: With the cumulative sum of the sorted probabilities: those places whose sum is still below p are all needed, and one more, which crosses the line. Compare with min_tokens_to_keep.
# hint: n_keep = max(int((cumulative < top_p).sum()) + 1, min_tokens_to_keep); draw a rank among the first n_keep sorted logits, and turn it back into a token id.
# %% exercise="sample_next_token" title="Put the choices together" difficulty=2 importance=3 minutes=10
# hint: The docstring gives the order. Only one of the last three ways is used.
# hint: Penalty; then, if the temperature is 0, greedy; else temperature, and one of top-k, top-p or the plain draw.
# hint: Return early. Pass the generator on wherever something is drawn.
# %% exercise="sample" title="Write" difficulty=3 importance=4 minutes=25
# hint: The loop is: read what there is, choose a token, append it.
# hint: The model wants a batch, and reads n_ctx tokens at the most; only the logits at the last position say what comes next. Stop at eos_token_id, and don't append it.
# hint: logits = self.model(context[None])[0, -1]; sample_next_token(tokens, logits, options, generator=generator) with all tokens so far, not just the context.
# %% result
# Stories from your own sampler and your own model. Compare the temperatures: from cautious and repetitive to wild.
sampler = TransformerSampler(mine, zoo.load_tokenizer("tiny-gpt"))
for temperature in [0.0, 0.7, 1.0, 1.5]:
    generator = torch.Generator().manual_seed(1)
    text = sampler.sample("Tina was a sailor .", max_tokens_generated=12 if SCALE == "tiny" else 50, temperature=temperature, generator=generator)
    print(f"temperature {temperature}: {text}\n")
# %% [markdown]
# ### Beam search
#
# Sampling looks one token ahead. But the likeliest *sentence* need not begin with the likeliest *word*. To try
# all sentences is hopeless: with a vocabulary of 900 there are 900 million of three tokens. **Beam search** keeps a few
# candidates, the beams. At each step every beam is extended by its best tokens, and of all the longer texts
# only the best few survive. Beams are compared by the sum of their log-probabilities.
#
# Without a leash it likes to repeat itself, since a repeated phrase is always likely. The usual leash: no n tokens in
# a row may occur twice.
# %% exercise="ban_repeated_ngrams" title="No phrase twice" difficulty=4 importance=1 minutes=30
# hint: The last n - 1 tokens are the beginning of an n-gram. Where did it begin that way before, and how did it go on?
# hint: List all n-grams of each beam (tokens.unfold makes them at once; loops are fine too). Those whose first n - 1 tokens equal the beam's last n - 1 tell which next token is banned.
# hint: Mind n = 1, where the beginning is empty and matches everywhere: tokens[:, seq - n + 1:] is then empty, while tokens[:, -(n - 1):] would be the whole text.
# %% exercise="extend_beams" title="Every beam grows" difficulty=3 importance=2 minutes=25
# hint: For each beam: log-probabilities at the last position, the k best, and k new beams.
# hint: The new sum is the beam's own plus the token's log-probability: broadcasting (n_beams, 1) + (n_beams, k) gives all at once. Repeat each text k times and put the tokens behind.
# hint: replace(beams, tokens=..., logprob_sums=...) makes the new Beams; leave out those whose sum is -inf.
# %% exercise="filter_beams" title="The best survive" difficulty=2 importance=2 minutes=15
# hint: Choose first, then part the chosen ones.
# hint: topk of the sums gives which beams stay, in order. A beam is finished if its last token is the end token; there may be no end token at all.
# hint: beams.select(best[is_finished]) picks beams by index.
# %% exercise="beam_search" title="Search" difficulty=3 importance=2 minutes=25
# hint: Keep a list of results: texts that are finished. At the end the unfinished ones join it.
# hint: In each round: extend, filter, set the finished aside, go on with the others. Stop when no beam is left.
# hint: Pairs (log-probability, token ids) can be sorted as they are: sorted(found, reverse=True)[:n_return].
# %% result
# Greedy search takes the best word each time; beam search finds a sentence that is likelier as a whole (or, at worst, the same).
from arena_lib.transformer.beam_search import Beams

start = tiny_gpt.to_tokens("Jack wanted to be a")
with torch.no_grad():
    for n_beams in [1, 4]:
        beams = Beams(model=mine, tokens=start, logprob_sums=torch.zeros(1))
        for logprob, ids in beam_search(beams, n_beams, max_new_tokens=12):
            print(f"{n_beams} beams: {logprob:7.2f} nats   {tiny_gpt.to_string(ids)}")
# %% [markdown]
# ## 4. Training
#
# Where do trained weights come from? From one number, made small. For each position the model gives
# probabilities for the next token; how surprised it was by what really came is minus the logarithm of that
# token's probability. The mean over all positions is the **cross-entropy**, in nats. A model that knows nothing
# gives all $d_{vocab}$ tokens the same probability and is surprised by $\ln d_{vocab}$ each time; a perfect one by as
# little as the language is predictable.
# %% exercise="cross_entropy_next_token" title="How surprised was the model?" difficulty=2 importance=5 minutes=15
# hint: The logits at position i are a guess at which token?
# hint: Drop the last position's logits, which nothing can check, and the first token, which nobody predicted. Then they fit, side by side.
# hint: logprobs = logits[:, :-1].log_softmax(-1); gather at tokens[:, 1:, None]; minus the mean.
# %% exercise="uniform_loss" title="What does knowing nothing cost?" difficulty=1 importance=3 minutes=5
# hint: What probability does each token get, if all get the same?
# hint: The surprise is minus its logarithm.
# hint: math.log(cfg.d_vocab).
import math

# region solution
uniform_loss = math.log(cfg.d_vocab)
# endregion
guess = cross_entropy_next_token(torch.zeros(1, 9, cfg.d_vocab), torch.arange(9)[None])
assert abs(uniform_loss - float(guess)) < 1e-4, f"logits that are all alike cost {float(guess):.4f} nats"
# %% [markdown]
# Training is a loop around four lines: compute the loss, clear the old gradients, compute new ones, step. The
# gradient says for each weight in which direction the loss grows; the optimizer goes the other way. Clearing
# matters, since PyTorch *adds* new gradients to what is there.
# %% exercise="training_step" title="One step" difficulty=2 importance=5 minutes=15
# hint: The four lines, in their order, and what to return.
# hint: The loss needs its graph until backward is done; what you return shouldn't carry it.
# hint: loss = cross_entropy_next_token(model(tokens), tokens); optimizer.zero_grad(); loss.backward(); optimizer.step(); return loss.detach().
# %% exercise="measure_accuracy" title="How often is it right?" difficulty=2 importance=3 minutes=15
# hint: The guess at a position is its likeliest token. Which token should it be compared with?
# hint: Count right guesses and all guesses over the batches, and divide at the end: the last batch may be smaller, so a mean of means would be wrong.
# hint: predicted = model(batch)[:, :-1].argmax(-1), compared with batch[:, 1:]. torch.inference_mode spares the gradients.
# %% [markdown]
# Now train. The model is small, two layers, and the texts are new stories that were never used before,
# so it can't learn them by heart. Three minutes are enough to see it happen: first it learns how common each word is
# (the loss falls to about the dotted line of single words), then which words follow each other, then more.
# %% result
# Your model learns to tell stories. The samples go from noise to words to sentences.
import time

from arena_lib.storyworld import make_rows
from arena_lib.storyworld.report import compute_ngram_loss

N_STEPS, BATCH = (20, 8) if SCALE == "tiny" else (900, 24)
STORIES = {"story": 1.0}
train_rows = torch.from_numpy(make_rows(N_STEPS * BATCH, 64, seed=1, mixture=STORIES)).long()
test_rows = torch.from_numpy(make_rows(64, 64, seed=2, split="test", mixture=STORIES)).long()

torch.manual_seed(0)
student = DemoTransformer(Config(d_model=96, d_vocab=cfg.d_vocab, n_ctx=64, n_layers=2, n_heads=4, d_head=24, d_mlp=384))
optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3, weight_decay=0.01)
warmup = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=N_STEPS, pct_start=0.1)
writer = TransformerSampler(student, zoo.load_tokenizer("tiny-gpt"))
losses, began = [], time.perf_counter()
for step, batch in enumerate(train_rows.split(BATCH)):
    losses.append(float(training_step(student, optimizer, batch)))
    warmup.step()
    if step in (0, N_STEPS // 9, N_STEPS // 3, N_STEPS - 1):
        text = writer.sample("Tina was", max_tokens_generated=25, temperature=0.8, generator=torch.Generator().manual_seed(0))
        print(f"step {step + 1:4}, loss {losses[-1]:.2f}: {text}\n")
print(f"{time.perf_counter() - began:.0f} seconds; accuracy on new names and sentences: {measure_accuracy(student, test_rows, 16):.1%}")
# %% result
# The loss over time, with what simpler models reach: equal guesses, single words, pairs of words, triples.
n_documents = 500 if SCALE == "tiny" else 10_000
baselines = {
    name: compute_ngram_loss(order, n_train=n_documents, n_test=300)
    for order, name in enumerate(["single words", "pairs of words", "triples of words"], start=1)
}
plots.lines({"your transformer": losses}, references={"equal guesses": uniform_loss, **baselines}, title="Training on stories")
# %% [markdown]
# ## 5. A cache makes it fast
#
# Your sampler reads the whole text again for every new token: for the hundredth token it computes keys and values of
# ninety-nine positions that it had computed before. They can't have changed, since the causal mask keeps earlier
# positions from seeing later ones. So keep them. With a **KV cache** each token is read once: the new position
# makes its own query, key and value, puts key and value into the cache, and looks at all that the cache holds.
# %% exercise="kv_cache" title="Keep keys and values" difficulty=2 importance=3 minutes=10
# hint: Each layer has its own keys and values; at first there are none.
# hint: Join old and new along the axis of positions, store the result for the layer, and return it.
# hint: torch.cat([old_k, k], dim=1), unless old_k is None.
# %% exercise="cached_causal_mask" title="Who is the future now?" difficulty=2 importance=3 minutes=10
# hint: The queries are the newest positions: with 2 queries and 5 keys, the queries are positions 3 and 4.
# hint: Query i stands at position seq_k - seq_q + i. How far does the diagonal of the mask move?
# hint: torch.triu(ones, diagonal=seq_k - seq_q + 1).
# %% exercise="attend_with_cache" title="Attention with a memory" difficulty=3 importance=4 minutes=25
# hint: It's your Attention.forward with one more line and another mask.
# hint: Compute q, k and v for the new positions alone; extend the cache; let q look at everything that extend returns.
# hint: k, v = cache.extend(layer_idx, new_k, new_v), then cached_causal_mask on the scores.
# %% exercise="forward_with_cache" title="The model with a memory" difficulty=3 importance=3 minutes=20
# hint: Only attention looks at other positions. What else in the model must know where the new tokens stand?
# hint: Positions start at cache.n_seen. Note it before the first layer extends the cache.
# hint: The blocks are opened up: residual + attend_with_cache(block.attn, block.ln1(residual), cache, layer_idx), then the MLP as before.
# %% exercise="generate_with_cache" title="Generate" difficulty=3 importance=3 minutes=20
# hint: The prompt is read in one piece, then each new token by itself.
# hint: Keep two things: all tokens so far, which you return, and those that the cache hasn't read yet.
# hint: unread = tokens at first; after each step unread is the new token, shape (batch, 1), which is also put behind tokens.
# %% result
# The same text, with and without the cache. The longer it gets, the more the cache saves.
n_new = 30 if SCALE == "tiny" else cfg.n_ctx - tokens.shape[1]
began = time.perf_counter()
with_cache = generate_with_cache(mine, tokens, n_new)
middle = time.perf_counter()
again = tokens
with torch.no_grad():
    for _ in range(n_new):
        again = torch.cat([again, mine(again)[:, -1:].argmax(-1)], dim=1)
end = time.perf_counter()
assert torch.equal(with_cache, again), "the cache must not change what is written"
print(f"{n_new} tokens with the cache: {middle - began:.2f} s, without: {end - middle:.2f} s ({(end - middle) / (middle - began):.1f} times as long)")
# %% [markdown]
# ## 6. From GPT-2 to Llama
#
# Models since 2023 have nearly all taken the same few changes to GPT-2. None of them changes the picture of a
# residual stream that parts read and add to. With them your code runs Llama, SmolLM, Qwen and
# many others.
#
# ### RMSNorm
#
# LayerNorm subtracts a mean, divides, scales and shifts. It turns out that dividing and scaling are enough (Zhang and
# Sennrich 2019): $y = x / \sqrt{\text{mean}(x^2) + \epsilon} \cdot w$.
# %% exercise="rms_norm" title="A simpler norm" difficulty=2 importance=3 minutes=10
# hint: It's your LayerNorm with two things left out.
# hint: Without a mean to subtract, the variance becomes the mean of the squares.
# hint: residual / (residual.pow(2).mean(dim=-1, keepdim=True) + eps).sqrt() * self.w.
# %% [markdown]
# ### Rotary positions
#
# ![Turning queries and keys: only the distance counts](figures/rotary.svg)
#
# A table of position vectors ends somewhere, and it says *where* a token stands, while attention mostly cares how
# *far away* another one is. Rotary positions (Su et al. 2021) solve both. Take two entries of a query as a point in the plane,
# and turn it by an angle that grows with its position; do the same with the key. The dot product of two turned vectors
# depends only on the *difference* of their angles, so on the distance of the two positions, and nothing had to be
# added to the stream.
#
# A head has many such pairs of entries, and each turns at a speed of its own: the first by one radian per
# token, which tells neighbours apart, the last so slowly that it hardly moves over a whole page.
# %% exercise="rotary_angles" title="How far each pair turns" difficulty=2 importance=3 minutes=15
# hint: An angle is a position times a speed.
# hint: Pair i has the speed rope_theta ** (-2i / d_head), for i from 0 to d_head / 2 - 1.
# hint: torch.arange(0, d_head, 2) gives the numbers 2i; multiply positions and speeds with an outer product.
# %% exercise="apply_rotary" title="Turn" difficulty=3 importance=4 minutes=20
# hint: A point (x1, x2) turned by the angle a is (x1 cos a - x2 sin a, x2 cos a + x1 sin a).
# hint: The first half of the head's entries are the x1, the second half the x2. The angles have no axes for batch and heads: put in an axis of size 1 for the heads.
# hint: x1, x2 = x.chunk(2, dim=-1); cos = angles.cos()[:, None]; join the results with torch.cat along the last axis.
# %% result
# The score of one query with the same key at every distance: it depends on the distance alone, so both curves coincide.
d_head, positions = 32, torch.arange(60)
query, key = torch.randn(2, d_head, generator=torch.Generator().manual_seed(0))
turned = {}
for at in [20, 40]:
    q = apply_rotary(query[None, None, None], rotary_angles(torch.tensor([at]), d_head, 1e4))
    k = apply_rotary(key.expand(1, len(positions), 1, d_head), rotary_angles(positions, d_head, 1e4))
    turned[f"query at position {at}"] = (q * k).sum(-1).flatten()[at - 20 : at + 20]
plots.lines(turned, x=list(range(-20, 20)), x_title="position of the key, seen from the query", y_title="score", title="Only the distance counts")
# %% [markdown]
# ### Grouped queries
#
# You have seen what a cache holds: keys and values of every position, layer and head. For long texts that is
# more memory than the weights. Do all heads need keys of their own? Let several query heads **share** one key and value head
# (Ainslie et al. 2023): SmolLM2 has nine query heads and three key heads, and a cache a third of the size.
# %% exercise="repeat_kv" title="Share the keys" difficulty=2 importance=3 minutes=10
# hint: Query heads that are neighbours share a key head: 0 0 0 1 1 1.
# hint: Every head is repeated in place. In einops, the order inside the brackets says which index runs faster.
# hint: einops.repeat(x, "batch seq n_kv_heads d_head -> batch seq (n_kv_heads group) d_head", group=n_heads // n_kv_heads).
# %% exercise="grouped_query_attention" title="Llama's attention" difficulty=3 importance=4 minutes=30
# hint: Start from your Attention, and leave out the biases. What is turned, what is repeated, and in which order?
# hint: q and k are turned, v isn't. Then k and v are repeated, so that from there on everything is as before.
# hint: angles = rotary_angles(torch.arange(seq, device=x.device), d_head, rope_theta); q = apply_rotary(einsum(x, W_Q), angles); k = repeat_kv(apply_rotary(einsum(x, W_K), angles), n_heads).
# %% [markdown]
# ### A gated MLP
#
# In place of bending the hidden values, *multiply* them with a second set that says how far each gate is open
# (Shazeer 2020). Why this works better nobody quite knows; the paper itself credits "divine benevolence".
# %% exercise="gated_mlp" title="A gate for every neuron" difficulty=2 importance=3 minutes=10
# hint: Two maps out, one of them bent; a product; one map back.
# hint: Only the gate goes through SiLU.
# hint: (F.silu(x W_gate) * (x W_in)) W_out.
# %% exercise="demo_llama" title="The whole Llama" difficulty=2 importance=4 minutes=15
# hint: It's your DemoTransformer without position vectors.
# hint: With tie_embeddings the table that embeds also unembeds: a token's score is the dot product with its own row of W_E.
# hint: einops.einsum(x, self.embed.W_E, "batch seq d_model, d_vocab d_model -> batch seq d_vocab"), or self.unembed(x).
# %% result
# Trained weights in your Llama: it tells a story.
tiny_llama = zoo.load("tiny-llama")
my_llama = DemoLlama(tiny_llama.cfg)
my_llama.load_state_dict(tiny_llama.state_dict())
teller = TransformerSampler(my_llama, zoo.load_tokenizer("tiny-llama"))
print(teller.sample("Oliver was a", max_tokens_generated=10 if SCALE == "tiny" else 50, temperature=0.7, generator=torch.Generator().manual_seed(3)))
# %% result
# And a real one: SmolLM2 with 135 million parameters, if you have fetched it (`arena zoo fetch smollm2`, about 100 MB, once).
if SCALE == "full" and zoo.is_available("smollm2"):
    smollm2 = zoo.load("smollm2")
    big = DemoLlama(smollm2.cfg)
    big.load_state_dict(smollm2.state_dict())
    ids = smollm2.to_tokens("The capital of France is")
    with torch.no_grad():
        for _ in range(12):
            ids = torch.cat([ids, big(ids)[:, -1:].argmax(-1)], dim=1)
    print(smollm2.to_string(ids[0]))
else:
    print("SmolLM2 isn't here yet: run `arena zoo fetch smollm2` and set SCALE to full.")
# %% [markdown]
# ## What you have now
#
# A tokenizer, two families of transformers, every usual way to write with them, a training loop, and a cache: the whole of a
# language model, and you know each line. Read the papers now, and you will find that they describe your code:
#
# - Vaswani et al. 2017, [Attention is all you need](https://arxiv.org/abs/1706.03762)
# - Elhage et al. 2021, *A mathematical framework for transformer circuits*, for the picture of the residual stream
# - Holtzman et al. 2019, [The curious case of neural text degeneration](https://arxiv.org/abs/1904.09751), for top-p
# - Su et al. 2021, [RoFormer](https://arxiv.org/abs/2104.09864), for rotary positions
#
# The next section asks what goes on *inside*: which heads do what, how they work together, and how to prove it.
