# ---
# arena: {id: "1.3.1", slug: linear_probes, title: Linear probes, hours: 7, needs: [tiny-llama]}
# objectives:
#   - "Read a model's activations, and fit linear probes to them in three ways"
#   - "Find the layers at which a model knows something, and see whether it knows it in the same way elsewhere"
#   - "Tell what a model represents from what a probe learns by heart, with control tasks and untrained models"
#   - "Test by intervention whether a model uses a direction that a probe has found"
#   - "Look for truth, and for lies, in a real language model, and say honestly what was found"
#   - "Let a probe choose for itself where in a text to look"
# ---
# %% [markdown]
# ## What you will do
#
# A language model reads "Elena was a baker." and goes on with "She". Somewhere between reading and writing it
# must have worked out that Elena is a woman. Where? And in what form?
#
# The surprising answer of many papers is that the form is often the simplest one there is. Take the vector
# that the model holds at the full stop, a few hundred numbers. There is a **direction** in the space of these
# vectors along which women lie on one side and men on the other. Finding such directions is called
# **probing**, and a **linear probe** is any method that does it: draw a flat boundary through a cloud of
# activations, so that the two kinds fall on different sides.
#
# Probing is easy. Knowing what a probe *means* is hard, and most of this section is about that:
#
# - Does the model hold this at all, or did the probe learn the answers by heart? (Control tasks, untrained models.)
# - Does the direction mean what we think? (Other data sets. You will catch a "truth direction" that isn't one.)
# - Does the model *use* it? (Push the activations along the direction, and see whether the model changes its mind.)
#
# People want to do this with *truth* and with *lies*: if a model's activations say "what I'm writing is
# false", we would like to read that. Parts 8 and 9 look for it in a real language model. Before that you learn
# the methods on a small model, in a language of which we know everything.
#
# You should have done 1.1: tokens, the residual stream, blocks.
#
# The set-up cell above imports types for the stubs, and tools that each exercise names where you need them:
# `find_blocks`, `tokenize`, `block_output` and `read_residual` (what leaves a block of any model),
# `compute_accuracy`, `Selectivity` (two accuracies and their difference), `QUESTION` and `read_logits` (asking
# the model), `instruct` and `render_dialogue` (texts of conversations). `SIGNS`, `split_by_label` and the
# functions that refuse wrong arguments (`check_...`) belong to the library's own solutions; you can do without.
#
# | part | minutes |
# |---|---|
# | 1. Statements, labels, activations | 20 |
# | 2. Look first | 15 |
# | 3. Which layer knows it? | 15 |
# | 4. Two probes to keep | 40 |
# | 5. Does it mean the same elsewhere? | 35 |
# | 6. What was learned by heart? | 20 |
# | 7. Does the model use it? | 25 |
# | 8. Truth | 40 |
# | 9. Lies | 50 |
# | 10. Let the probe look for itself | 50 |
#
# These are minutes of exercises; the rest of the seven hours is for reading and looking.
#
# ### Two models
#
# Everything runs on `tiny-llama`, four layers that speak Storyworld, within seconds. Some results are about a
# real language model, SmolLM2 with 135 million parameters. For these say `MODEL = "smollm2"` below, after
# `arena zoo fetch smollm2` and `arena zoo fetch sae-probes` in a terminal (two downloads of 93 and 45 MB,
# once). The parts marked *real* then take eight to nine minutes in all on two cores. Without it their
# cells say in one line what they need.
# %%
import torch
import transformers
from transformers import AutoModelForCausalLM

from arena_lib import plots, storyworld, zoo
from arena_lib.storyworld import lexicon

transformers.utils.logging.disable_progress_bar()

MODEL = "tiny-llama"  # "smollm2" runs the real parts, too
REAL = MODEL == "smollm2"
if REAL:
    print(zoo.path("smollm2"), zoo.path("sae-probes"))  # says what to fetch where one of them is missing

model = AutoModelForCausalLM.from_pretrained(zoo.path("tiny-llama"), dtype=torch.float32)
tokenizer = zoo.load_tokenizer("tiny-llama")
LAYERS = list(range(model.config.num_hidden_layers))

torch.manual_seed(0)
untrained = AutoModelForCausalLM.from_config(model.config).eval()  # the same model, before it learned anything
# %% [markdown]
# ## 1. Statements, labels, activations
#
# *About 20 minutes of exercises. You collect activations of statements whose answers you know.*
#
# To fit a probe we need statements of which we know the answer. In Storyworld we do: the program that writes
# the stories knows who is a woman and who is a man, and which word refers to whom. The question of the first
# half of this section is: **is the subject of this sentence a woman?** The model was never asked that. But
# pronouns depend on it, so it has a reason to work it out.
#
# The cell below makes statements of five kinds. Three are about one thing: the subject's job, a trait, or
# something that they got from somebody; one is about something that they gave to somebody; and one is the
# beginning of a whole story, where it is Storyworld's own record of the world behind each word that says who
# is spoken of. `labels` is 1 where the subject is a woman. In "gave" and "got" the second person is always of
# the other gender, for now.
#
# The names come in two groups. Probes are fitted on the *seen* names and tested on the *new* ones, which no
# probe has met (the model has, in stories). So a probe that only learns "Elena is a woman" by heart gets
# nothing for it.
# %%
from typing import NamedTuple

START = "<|endoftext|>"
NAMES = {
    "seen": (lexicon.MALE_NAMES, lexicon.FEMALE_NAMES),
    "new": (lexicon.HELD_OUT_MALE, lexicon.HELD_OUT_FEMALE),
}
FRAMES = {
    "job": ("{a} was a {job}.", "{a} worked as a {job}.", "{a} wanted to be a {job}."),
    "trait": ("{a} was {trait}.", "{a} was very {trait}."),
    "got": ("{a} got the {thing} from {b}.", "{a} took the {thing} from {b}."),
    "gave": ("{a} gave the {thing} to {b}.", "{a} handed the {thing} to {b}."),
}


class Statements(NamedTuple):
    texts: list[str]
    labels: torch.Tensor  # 1 where the subject is a woman
    subjects: list[str]  # the subjects' names
    others: torch.Tensor  # 1 where the second person is a woman, if there is one


def tell(kind, group, n, independent=False):
    """n statements of one kind; with `independent` the second person's gender is drawn by itself."""
    choose = storyworld.Chooser("probes", kind, group)
    texts, labels, subjects, others = [], [], [], []
    for i in range(n):
        gender = i % 2
        other = int(choose.chance(0.5)) if independent else 1 - gender
        a = choose.pick(NAMES[group][gender])
        b = choose.pick([name for name in NAMES[group][other] if name != a])
        words = {"job": lexicon.JOBS, "trait": lexicon.PERSON_ADJECTIVES, "thing": tuple(lexicon.THINGS)}
        fills = {slot: choose.pick(options) for slot, options in words.items()}
        texts.append(START + " " + choose.pick(FRAMES[kind]).format(a=a, b=b, **fills))
        labels.append(gender)
        subjects.append(a)
        others.append(other)
    return Statements(texts, torch.tensor(labels), subjects, torch.tensor(others))


def tell_stories(group, n):
    """Stories, each up to the end of its third sentence if that has one person for a subject."""
    choose = storyworld.Chooser("probes", "story", group)
    texts, labels, subjects = [], [], []
    while len(texts) < n:
        story = storyworld.tell_story(choose, "train" if group == "seen" else "test")
        end = int((story.labels.sentence == 2).nonzero()[0][-1])
        subject = story.labels.subject[end]
        if story.labels.number[end] == 0 and subject >= 0 and story.words[end] == ".":
            texts.append(tokenizer.decode([0, *storyworld.encode_words(story.words[: end + 1])]))
            subjects.append(story.people[subject])
            labels.append(int(lexicon.GENDER[subjects[-1]] == "f"))
    return Statements(texts, torch.tensor(labels), subjects, torch.tensor(labels))


KINDS = ["job", "trait", "got", "gave", "story"]
seen = {kind: tell_stories("seen", 300) if kind == "story" else tell(kind, "seen", 300) for kind in KINDS}
new = {kind: tell_stories("new", 200) if kind == "story" else tell(kind, "new", 200) for kind in KINDS}
for kind in KINDS:
    print(f"{kind:6} woman: {int(new[kind].labels[1])}  {new[kind].texts[1].removeprefix(START)}")
# %% [markdown]
# ### From statements to activations
#
# What exactly do we probe? The residual stream, after a layer, at the **last token** of each statement. The
# last, since the model is causal: only there has it read everything. Here that is the full stop, a token that
# means nothing by itself. So whatever is found there, the model has carried there.
#
# We count layers from 0, and "layer $l$" means the vector that leaves block $l$. In the library
# `transformers` you can get at it in two ways. With `output_hidden_states=True` the model also returns a
# tuple: the embedding, then what leaves each block. So what leaves block $l$ is entry $l + 1$. (A trap: the
# very last entry has been through the final norm as well.) The other way is a **hook**, a function that
# PyTorch calls whenever a module has run.
#
# Statements are of different lengths, and a batch must be a rectangle. So the tokenizer **pads** the short
# ones, and returns an `attention_mask` that is 1 at real tokens and 0 at padding. Which side it pads on is a
# setting of the tokenizer, so say it: `padding_side="right"`. The classic mistake of this section is to take
# column `-1`, and to probe padding.
# %% exercise="extract_activations" title="Activations at the last token" difficulty=3 importance=5 minutes=20
# hint: Each statement has its own last token. Which numbers tell you where it is?
# hint: Go through the statements in batches: tokenize, run without gradients, and from each layer pick one position for each row. With right padding the last real token stands at (number of ones in the mask) - 1.
# hint: acts[torch.arange(batch), last] picks one position a row. Collect the batches in a list for each layer, and join them with torch.cat at the end.
# %% [markdown]
# ## 2. Look first
#
# *About 15 minutes of exercises. You see two of 128 dimensions, and choose them without a label.*
#
# Before fitting anything, look. Each statement is now a point in a space of 128 dimensions, and we can see
# two. Which two? Those along which the points differ most: the **principal components**. If one of the
# strongest differences between statements is the one that we care about, two clouds come apart, and no label
# was used to find them.
# %% exercise="get_pca_components" title="The directions of greatest variance" difficulty=2 importance=4 minutes=15
# hint: Variance is about differences from the mean. What must happen to the activations first?
# hint: The singular value decomposition X = U S V^T sorts directions by how much of X lies along them. Which of the three matrices holds directions in activation space?
# hint: torch.linalg.svd(centred, full_matrices=False) returns U, S and V^T, so the directions are the rows of the third: take k of them, and transpose.
# %% result
# three clumps in which both genders are mixed, and from layer 2 on women and men that move apart.
# The statements are about jobs, and no label was used to choose the directions.
acts = {kind: extract_activations(seen[kind].texts, model, tokenizer, LAYERS, 100) for kind in KINDS}
panels = {f"layer {layer}": acts["job"][layer] @ get_pca_components(acts["job"][layer]) for layer in LAYERS}
genders = ["woman" if label else "man" for label in seen["job"].labels]
plots.clouds(panels, genders, names=seen["job"].subjects, title="tiny-llama at the full stop of 'Elena was a baker.'")
# %% [markdown]
# What the early layers differ by isn't gender. The three clumps are the three sentences: "was a", "worked as
# a", "wanted to be a". At the full stop the first two layers mostly hold what stood nearby. Then, from layer
# 1 to layer 2, the subject arrives, at the other end of the sentence. Something moved it there: attention,
# the only part that moves anything.
#
# ## 3. Which layer knows it?
#
# *About 15 minutes of exercises. You fit a first probe at each layer, and compare with an untrained model.*
#
# Now with labels. The simplest probe is a **difference of means**: with $\mu_1$ the mean activation of the
# statements labelled 1 and $\mu_0$ that of those labelled 0, the direction is $\theta = \mu_1 - \mu_0$. A new
# activation $x$ goes to the class whose mean is nearer: compare $x \cdot \theta$ with the value halfway between the
# means, $\frac{\mu_1 + \mu_0}{2} \cdot \theta$.
#
# Do that at each layer, and always measure on statements that were not used for the means. With 128
# dimensions and 240 statements, accuracy on the training part says little.
# %% exercise="layer_sweep_accuracy" title="One probe for each layer" difficulty=2 importance=4 minutes=15
# hint: Extract once for all layers, split once for all layers; the loop over layers is only about means.
# hint: Means come from the training part alone. Then score every statement, and count how often (score > 0) agrees with the label, in each part.
# hint: scores = (x - (mean_1 + mean_0) / 2) @ (mean_1 - mean_0); is_right = (scores > 0) == (labels == 1).
# %% result
# gender is there from layer 2 on, and at no layer of the untrained model.
# Guessing gets half.
curves = {}
for name, which in {"trained": model, "untrained": untrained}.items():
    curves[name] = layer_sweep_accuracy(seen["job"].texts, seen["job"].labels, which, tokenizer, LAYERS)["test_acc"]
plots.lines(
    curves,
    x=LAYERS,
    x_title="layer",
    y_title="accuracy on held-back statements",
    title="Is the subject a woman?",
    references={"guessing": 0.5},
).update_xaxes(dtick=1)
# %% [markdown]
# The untrained model isn't there for decoration. Its activations are random functions of the words, and
# random functions in many dimensions can be surprisingly useful to a probe: about 0.65 here, better than
# layers 0 and 1 of the trained model (part 6 says how). A probe of a trained model shows something only where
# it beats that.
#
# ## 4. Two probes to keep
#
# *About 40 minutes of exercises. You write the two usual probes, and see where their refinements help and harm.*
#
# Let us turn this into two probes that we can save, compare and use.
#
# **Mass-mean probe** (Marks and Tegmark 2023). The difference of means again, as a classifier with
# probabilities: $p(x) = \sigma(x \cdot \theta)$, where $\sigma$ is the sigmoid. It has one refinement.
# Suppose that some feature that has nothing to do with gender varies a lot, and happens to lie at an angle to
# $\theta$ that isn't quite a right one. Then it disturbs the score. If $\Sigma$ is the covariance *within*
# the classes (how activations of one class vary among themselves), $\Sigma^{-1} \theta$ is the direction that
# best separates the two, with such disturbances taken out: Fisher's linear discriminant. That is for new data
# of the very same kind. Statisticians call these **independent and identically distributed**, in short **iid**,
# and so the probe's argument is called `iid`. On other data, where features vary together in other ways, it may
# do harm. You will see both below.
#
# With 128 dimensions and few statements, $\Sigma$ has directions in which nothing varies at all, so it has no
# inverse; the **pseudoinverse** leaves those out.
#
# The probe has no threshold. It expects activations that are **centred**: subtract the mean of the training
# activations first, so that 0 lies between the classes.
# %% exercise="mm_probe" title="The mass-mean probe" difficulty=2 importance=5 minutes=15
# hint: Three methods: build it from parts, ask it, and make the parts from data.
# hint: For the covariance each activation is centred with the mean of its own class; then it's X^T X over the number of statements.
# hint: torch.linalg.pinv(covariance, hermitian=True, atol=atol) in __init__; forward is (x @ direction).sigmoid(), with inverse @ direction in its place if iid.
# %% [markdown]
# **Logistic regression** asks for the direction with the best classification, wherever it is: the weights $w$
# that make the labels likeliest. In 128 dimensions many directions separate a few hundred statements
# perfectly, so we add a pull towards zero. With $p_i$ the probability for statement $i$ and $y_i$ its
# label, minimise
#
# $$\tfrac{1}{2} |w|^2 + C \sum_i \big( -y_i \log p_i - (1 - y_i) \log (1 - p_i) \big)$$
#
# where a small $C$ means a strong pull. The pull is fair only if all entries have the same spread, so they
# are **standardised**: subtract the mean of each entry, divide by its standard deviation.
#
# This function has one lowest point, so it doesn't matter how you get there. PyTorch's `LBFGS` takes a
# closure that computes the loss and its gradient, and gets there in a few dozen steps.
# %% exercise="lr_probe" title="Logistic regression" difficulty=3 importance=5 minutes=25
# hint: First the scaler, then the optimum in standardised space, then: what is the direction in the original space?
# hint: An entry that never varies would be divided by zero: give it the scale 1. For the loss, F.binary_cross_entropy_with_logits with reduction="sum" is stable. A score z @ w with z = (x - mean) / scale grows by w / scale when x does.
# hint: optimizer = torch.optim.LBFGS([weight], max_iter=1000, line_search_fn="strong_wolfe", tolerance_grad=1e-9); optimizer.step(closure), where the closure zeroes the gradient, computes the loss, calls backward and returns the loss. Double precision helps.
# %% result
# both probes on names that they have never seen, at each layer.
# The cosine says how much the two directions agree: 1 is the same direction, 0 a right angle.
from arena_lib.interp.probes import compute_accuracy

new_acts = {kind: extract_activations(new[kind].texts, model, tokenizer, LAYERS, 100) for kind in KINDS}
accuracies = {"mass-mean": [], "logistic": []}
for layer in LAYERS:
    center = acts["job"][layer].mean(dim=0)
    x, x_new = acts["job"][layer] - center, new_acts["job"][layer] - center
    mm, lr = MMProbe.from_data(x, seen["job"].labels), LRProbe.from_data(x, seen["job"].labels)
    accuracies["mass-mean"].append(compute_accuracy(mm, x_new, new["job"].labels))
    accuracies["logistic"].append(compute_accuracy(lr, x_new, new["job"].labels))
    cosine = torch.cosine_similarity(mm.direction, lr.direction, dim=0)
    print(f"layer {layer}: cosine of the two directions {cosine:5.2f}")
plots.bars(
    accuracies,
    [str(layer) for layer in LAYERS],
    x_title="layer",
    y_title="accuracy on new names",
    title="Two probes, fitted on other names",
    references={"guessing": 0.5},
)
# %% [markdown]
# At layers 2 and 3 both are right for (nearly) every new name, and they point nearly the same way. At layer 1
# logistic regression gets 0.68, somewhat above chance, with a direction that has little in common with the
# difference of means. Part 7 comes back to that.
#
# And the refinement, $\Sigma^{-1} \theta$? Here it is for a probe that was fitted on statements about traits, at
# layer 2: first on more statements of the same kind about the same names, then on the other kinds.
# %% result
# what `iid=True` is good for, and what it costs.
# On other statements of the same kind it gains much; on other kinds it loses as much or more.
traits = tell("trait", "seen", 600)
x = extract_activations(traits.texts, model, tokenizer, [2], 100)[2]
is_fitted = torch.arange(600) < 400
trait_center = x[is_fitted].mean(dim=0)
probe = MMProbe.from_data(x[is_fitted] - trait_center, traits.labels[is_fitted])
tested = {"trait (same names)": (x[~is_fitted] - trait_center, traits.labels[~is_fitted])}
tested |= {
    kind: (new_acts[kind][2] - new_acts[kind][2].mean(dim=0), new[kind].labels) for kind in ("job", "got", "story")
}
plain_and_iid = {
    name: [((probe(x, iid=iid) > 0.5) == (y == 1)).float().mean().item() for x, y in tested.values()]
    for name, iid in {"plain": False, "iid": True}.items()
}
assert plain_and_iid["iid"][0] > plain_and_iid["plain"][0] + 0.15, "the same kind: better"
assert plain_and_iid["iid"][1] < plain_and_iid["plain"][1] - 0.2, "other kinds: worse"
plots.bars(
    plain_and_iid,
    list(tested),
    x_title="tested on",
    y_title="accuracy",
    title="A mass-mean probe for traits",
    references={"guessing": 0.5},
)
# %% [markdown]
# In its own kind of data $\Sigma$ helps: 0.75 becomes 0.97. Elsewhere it takes the probe from 1.00 to 0.69 on
# jobs, and from 0.98 to about 0.6 on who got something. The inverse removes what varied among *these* statements, and with it something that the others need.
# When you want a direction that means something elsewhere, and to push a model along, take the plain $\theta$.
#
# ## 5. Does it mean the same elsewhere?
#
# *About 35 minutes of exercises. You catch a probe that reads something else than its label, and part the two.*
#
# A direction that separates women from men in sentences about jobs might be about women and men, or about
# something that goes along with it *in these sentences*. So take it to other sentences. Fit a probe on each
# kind of statement, and test it on each kind. The diagonal of the matrix is the ordinary test; the
# other entries say what a probe is worth on other data.
#
# For mass-mean probes each kind is centred with the mean of its own training part (Marks and Tegmark do so,
# too): what "neutral" looks like may well be different from one kind of sentence to another. The cell
# below does that before it calls your function, which takes activations as they come.
# %% exercise="compute_generalization_matrix" title="Every data set with every other" difficulty=3 importance=4 minutes=20
# hint: Two loops: which data set the probe is fitted on, and which it is tested on.
# hint: Fit once for each row, from the training part; then go through the columns with the test parts. The probe says 1 where its probability is above 0.5.
# hint: ((probe(acts) > 0.5) == (labels == 1)).float().mean() is one entry.
# %% result
# each row is a probe, fitted on one kind; each column is what it was tested on, always with new names.
# Look along the row of "gave", and down its column.
centers = {kind: acts[kind][3].mean(dim=0) for kind in KINDS}
generalization = compute_generalization_matrix(
    {kind: acts[kind][3] - centers[kind] for kind in KINDS},
    {kind: seen[kind].labels for kind in KINDS},
    {kind: new_acts[kind][3] - centers[kind] for kind in KINDS},
    {kind: new[kind].labels for kind in KINDS},
    KINDS,
    LRProbe,
)
plots.matrix(
    generalization,
    rows=KINDS,
    columns=KINDS,
    row_title="fitted on",
    column_title="tested on",
    quantity="accuracy",
    title="Logistic regression at layer 3 of tiny-llama",
)
# %% [markdown]
# Four kinds agree: a probe for jobs works on traits (0.89), on who got something (1.00), and on whole stories
# (0.90). That is good evidence for *one* direction that means the gender of the one who is spoken of.
#
# And then there is "gave". On its own kind, with new names, that probe merely guesses. But on jobs it is
# wrong nine times out of ten, which is far stranger: a probe that knew nothing would be wrong half of the
# time. It has found the direction, and it points backwards. Why?
#
# Remember how these statements were made: the receiver is always of the other gender. So "the giver is a
# woman" and "the receiver is a man" are the same label, and nothing tells the probe which of them we meant.
# Labels that always go together are called **confounded**, and no clever fit can separate them. Other data
# can. Make some: let the second person's gender be drawn independently, and see whose gender the
# direction from the job statements reads there.
# %% exercise="who_is_read" title="Separate what goes together" difficulty=2 importance=4 minutes=15
# hint: If the genders of giver and receiver are drawn independently, one set of scores can be compared with two sets of labels.
# hint: tell(kind, "new", n, independent=True) makes such statements; .labels is about the first person named, .others about the second. Extract at layer 3, and measure the given probe with each.
# hint: x = extract_activations(statements.texts, model, tokenizer, [3], 100)[3]; centre it with its own mean; compute_accuracy(probe, x, statements.labels), then with .others.
job_probe = LRProbe.from_data(acts["job"][3] - centers["job"], seen["job"].labels)


def who_is_read(probe, kind):
    """Accuracy of the probe on 200 new statements as the first person's gender, and as the second person's."""
    # region solution
    statements = tell(kind, "new", 200, independent=True)
    x = extract_activations(statements.texts, model, tokenizer, [3], 100)[3]
    x = x - x.mean(dim=0)
    first = compute_accuracy(probe, x, statements.labels)
    second = compute_accuracy(probe, x, statements.others)
    # endregion
    return first, second


read = {kind: who_is_read(job_probe, kind) for kind in ("got", "gave")}
for kind, (first, second) in read.items():
    print(f"{kind:5} first person {first:.2f}, second person {second:.2f}")
assert read["got"][0] > 0.9 and read["got"][1] < 0.7, "after 'A got it from B' the direction holds A's gender"
assert min(read["gave"]) > 0.6, "after 'A gave it to B' it holds something of both"
# %% [markdown]
# After "Elena got the lamp from Theo." the direction holds Elena's gender, and Theo's is gone. After "Elena
# gave the lamp to Theo." it holds both, added up: each can be read off for about three in four. So with a man
# and a woman the two nearly **cancel**. That is why our confounded statements had so little to offer, and why
# what was left of the direction was as likely to point backwards as forwards.
#
# So the model doesn't hold "the gender of the grammatical subject" at all. It holds something about whoever
# the story may go on with; in Storyworld, as in English, that is often the one who has just received
# something. A label is what *we* think a direction means; the model may hold something else.
#
# ## 6. What was learned by heart?
#
# *About 20 minutes of exercises. You measure how much of a probe's accuracy is memory.*
#
# Here is a disturbing experiment. Give every *name* a random label, whatever its gender: Elena 1, Vera 0,
# Bernard 1. Everything about Elena is labelled 1. No model holds anything like that. Fit a probe on some
# statements about these names, and test it on *other statements about the same names*. It does well.
#
# It must have learned the names by heart. In 128 dimensions there is room for that: a probe needs only
# one direction along which a hundred names happen to fall on the sides that you gave them. So when a probe does well on a *real* task with the same names
# on both sides, how do we know that it isn't doing the same?
#
# Hewitt and Liang (2019) make this a measure. A **control task** has the same inputs, and a random label for
# each *type* (here: each name). **Selectivity** is the accuracy on the task less the accuracy on the control
# task. High selectivity means that the probe can't simply memorise, so that what it finds was in the model.
# %% exercise="make_control_labels" title="A task that means nothing" difficulty=2 importance=3 minutes=10
# hint: The label belongs to the type, not to the statement. So which list do you draw labels for?
# hint: Take the different types, put them into a random order with the generator, give the first half the label 1, and look each statement's type up.
# hint: different = list(dict.fromkeys(types)); torch.randperm(len(different), generator=generator); a dictionary from type to label.
# %% exercise="compute_selectivity" title="Selectivity" difficulty=2 importance=3 minutes=10
# hint: The same thing is done twice, with two sets of labels.
# hint: Fit on the training statements, measure on the others, first with the task's labels, then with control labels made for the types.
# hint: for wanted in (labels, make_control_labels(types, generator)): fit probe_cls.from_data(acts[is_train], wanted[is_train]) and measure with compute_accuracy on ~is_train.
# %% result
# task and control task, for both probes and both models, with the same names on both sides.
# Where the two bars are alike, the probe's success shows nothing about the model.
LAYER = 2
N_DRAWS = 2 if SCALE == "tiny" else 10  # control labels are drawn, and one draw may be a lucky one: take the mean
many = tell("job", "seen", 600)
is_train = torch.arange(600) < 400
rows = {}
for name, which in {"trained": model, "untrained": untrained}.items():
    x = extract_activations(many.texts, which, tokenizer, [LAYER], 100)[LAYER]
    x = x - x[is_train].mean(dim=0)
    for probe_cls, label in ((MMProbe, "mass-mean"), (LRProbe, "logistic")):
        generator = torch.Generator().manual_seed(0)
        arguments = (x, many.labels, many.subjects, is_train, probe_cls, generator)
        draws = torch.tensor([compute_selectivity(*arguments) for _ in range(N_DRAWS)])
        rows[f"{label}/{name}"] = Selectivity(*draws.mean(dim=0).tolist())
        lowest, highest = draws[:, 1].min(), draws[:, 1].max()
        print(f"{label}/{name}: control accuracy from {lowest:.2f} to {highest:.2f} over {N_DRAWS} draws")
for name, row in rows.items():
    print(
        f"{name:21} task {row.task_accuracy:.2f}  control {row.control_accuracy:.2f}  selectivity {row.selectivity:+.2f}"
    )
assert rows["mass-mean/trained"].selectivity > rows["logistic/trained"].selectivity
series = {
    "task": [row.task_accuracy for row in rows.values()],
    "control task": [row.control_accuracy for row in rows.values()],
}
plots.bars(
    series, list(rows), y_title="accuracy", title="What a probe can learn by heart", references={"guessing": 0.5}
)
# %% [markdown]
# Three lessons. The untrained model's probes do better than chance here, on the *real* task, because they
# know the names by heart: their control bars are as high, or higher. Without those bars one might have believed
# that even an untrained model knows women from men.
# The stronger probe, logistic regression, memorises a lot: on average over ten draws of labels it gets 0.87 of
# the control task right. So its perfect score on seen names says little. The mass-mean probe memorises less
# (0.75) and is more selective (+0.25 against +0.13). And mind the spread: single draws differ by 0.1 and more,
# so one draw could have told you almost anything. What settled the matter was the test on *new* names in part 4,
# where memory is of no use. If you can hold out whole types, do.
#
# ## 7. Does the model use it?
#
# *About 25 minutes of exercises. You push activations along a direction, and see whether the model follows.*
#
# All of this shows what *we* can read. Perhaps the model never looks there. The only way to find out is to
# **intervene**: change the activation along the direction, and see what the model does.
#
# For gender there is a behaviour to watch. After "Elena was a baker." the model's logit for " She" is above
# that for " He", after "Bernard was a baker." below. Add $\theta$ to the residual stream at the full stop
# (for men this leads from the mean man to the mean woman), or subtract it, and let the rest of the model run.
#
# A hook on a block can do that: what a forward hook *returns* takes the place of the block's output.
# `find_blocks(model)` gives the list of blocks.
# %% exercise="pronoun_difference" title="Push, and watch" difficulty=3 importance=5 minutes=25
# hint: Run the model with a hook that changes one position of each row, then read the logits at that position.
# hint: `tokenize(texts, tokenizer)` pads on the right and returns ids and mask, so you know where each statement ends. In the hook, clone the output, add the direction at [rows, last], and return it. Remove the hook afterwards.
# hint: handle = find_blocks(model)[layer].register_forward_hook(hook) with hook(module, inputs, output); logits = model(ids).logits[rows, last]; then handle.remove() in a finally.
from arena_lib.interp.probes import find_blocks, tokenize

SHE, HE = tokenizer.convert_tokens_to_ids([" She", " He"])


def pronoun_difference(texts, direction, layer):
    """Logit of " She" less that of " He" after each text, with `direction` added to its last token after `layer`."""
    # region solution
    ids, mask = tokenize(texts, tokenizer)
    rows, last = torch.arange(len(texts)), mask.sum(dim=1) - 1

    def hook(module, inputs, output):
        output = output.clone()
        output[rows, last] += direction
        return output

    handle = find_blocks(model)[layer].register_forward_hook(hook)
    try:
        with torch.no_grad():
            logits = model(ids).logits[rows, last]
    finally:
        handle.remove()
    difference = logits[:, SHE] - logits[:, HE]
    # endregion
    return difference


theta = {layer: MMProbe.from_data(acts["job"][layer], seen["job"].labels).direction for layer in LAYERS}
people = new["job"]
women, men = people.labels == 1, people.labels == 0
unchanged = pronoun_difference(people.texts, 0 * theta[LAYER], LAYER)
with torch.no_grad():
    alone = model(tokenizer(people.texts[0], return_tensors="pt").input_ids).logits[0, -1]
torch.testing.assert_close(unchanged[0], alone[SHE] - alone[HE], rtol=1e-3, atol=1e-3)
pushed = pronoun_difference(people.texts, theta[LAYER], LAYER)
assert (pushed[men] > 0).float().mean() > 0.9, "most men should become 'She'"
assert torch.equal(pronoun_difference(people.texts, 0 * theta[LAYER], LAYER), unchanged), "the hook must be gone"
# %% result
# the share of people whose pronoun turns, at each layer.
# A random direction of the same length turns nobody, and neither does layer 1, although a probe reads a little there.
from arena_lib.interp.probes.intervention import make_random_direction

turned = {"mass-mean": [], "logistic": [], "random": []}
for layer in LAYERS:
    length = theta[layer].norm()
    logistic = LRProbe.from_data(acts["job"][layer], seen["job"].labels).direction
    directions = {
        "mass-mean": theta[layer],
        "logistic": logistic * (length / logistic.norm()),
        "random": make_random_direction(theta[layer], torch.Generator().manual_seed(3)),
    }
    for name, direction in directions.items():
        to_she = pronoun_difference(people.texts, direction, layer)[men] > 0
        to_he = pronoun_difference(people.texts, -direction, layer)[women] < 0
        turned[name].append(torch.cat([to_she, to_he]).float().mean().item())
    if layer == LAYER:
        for name, direction in {"nothing": 0 * theta[layer], "+ theta": theta[layer], "- theta": -theta[layer]}.items():
            shift = pronoun_difference(people.texts, direction, layer)
            print(f"layer {layer}, {name:8} She - He: women {shift[women].mean():+.2f}, men {shift[men].mean():+.2f}")
already = ((unchanged > 0) == (people.labels == 0)).float().mean()
print(f"wrong pronouns without any intervention: {already:.2f}")
plots.bars(
    turned,
    [str(layer) for layer in LAYERS],
    x_title="layer",
    y_title="share of pronouns that turn",
    title="Pronouns that turn when the activation is pushed",
)


# %% [markdown]
# That is as clear as it gets. The model prefers " She" after women by 2.4 nats (the mean difference of the
# logits), and " He" after men by 1.5. One step along $\theta$ at layer 2 moves women up by 3.9 nats and men by
# 3.1; a step back moves women down by 3.3 and men by 2.5. That is enough: all but one of the 100 men and 100 women
# change the pronoun, and a random direction of the same length turns nobody. The direction isn't only there:
# the model takes its pronouns from it.
#
# Look also at the early layers. There the difference of the means is tiny compared with the
# activations, and pushing along it does nothing, whatever accuracy a probe may reach. **Being decodable and
# being used are two things.**
# %% [markdown]
# ## 8. Truth
#
# *About 40 minutes of exercises. You look for truth, in a small model and in a real one, and test it by intervention.*
#
# Now the direction that everybody wants. Is there one along which a model's *true* statements lie on one side
# and its *false* ones on the other?
#
# First `tiny-llama`, whose training text contained facts like "The capital of France is Paris." We make true
# and false ones, fit probes on some countries or words, and test them on others.
# %%
def state(kind, frame, table, is_negated=False, start=""):
    """For each key of the table a statement with its own value and one with another's; label 1 where it is true."""
    choose = storyworld.Chooser("facts", kind)
    texts, labels, subjects = [], [], []
    for key, value in table.items():
        other = choose.pick([v for v in sorted(set(table.values())) if v != value])
        for filling in (value, other):
            texts.append(start + frame.format(key, filling))
            labels.append(int((filling == value) != is_negated))
            subjects.append(key)
    return Statements(texts, torch.tensor(labels), subjects, torch.tensor(labels))


def split_by_subject(statements, seed=0):
    """True for the statements about a random 70 % of the subjects."""
    different = sorted(set(statements.subjects))
    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed))
    chosen = {different[int(i)] for i in order[: int(0.7 * len(different))]}
    return torch.tensor([subject in chosen for subject in statements.subjects])


def truth_accuracy(x, statements, n_splits=4):
    """Accuracy of logistic regression on subjects that it wasn't fitted on, the mean of a few splits."""
    accuracies = []
    for seed in range(n_splits):
        is_train = split_by_subject(statements, seed)
        probe = LRProbe.from_data(x[is_train], statements.labels[is_train])
        accuracies.append(compute_accuracy(probe, x[~is_train], statements.labels[~is_train]))
    return sum(accuracies) / n_splits


# %% result
# tiny-llama knows these facts perfectly, and no probe finds out whether a statement is true.
# Half is guessing.
storyworld_facts = {
    "capitals": ("The capital of {} is {}.", lexicon.CAPITAL),
    "opposites": ("The opposite of {} is {}.", lexicon.OPPOSITE),
    "comparatives": ("More than {} is {}.", lexicon.COMPARATIVE),
}
truth_curves = {}
for kind, (frame, table) in storyworld_facts.items():
    statements = state(kind, frame, table, start=START + " ")
    x = extract_activations(statements.texts, model, tokenizer, LAYERS, 100)
    truth_curves[kind] = [truth_accuracy(x[layer], statements) for layer in LAYERS]
    choices = tokenizer.convert_tokens_to_ids([f" {value}" for value in table.values()])
    beginnings = [START + " " + frame.split("{}.")[0].format(key).rstrip() for key in table]
    ids, mask = tokenize(beginnings, tokenizer)
    with torch.no_grad():
        logits = model(ids).logits[torch.arange(len(ids)), mask.sum(dim=1) - 1][:, choices]
    knows = logits.argmax(dim=-1).tolist()
    is_known = [list(table.values())[i] == value for i, value in zip(knows, table.values(), strict=True)]
    print(f"{kind:13} the likeliest ending is the true one for {sum(is_known) / len(is_known):.0%} of {len(table)}")
plots.lines(
    truth_curves,
    x=LAYERS,
    x_title="layer",
    y_title="accuracy on other subjects",
    title="Is this statement true? (tiny-llama)",
    references={"guessing": 0.5},
).update_xaxes(dtick=1).update_yaxes(range=[0, 1])
# %% [markdown]
# Every single capital, opposite and comparative is known, and *truth is not represented*. (Why
# some points lie below a half: a word that makes a statement false for one subject makes it true for another,
# and a probe that remembers the word is wrong there.)
#
# This needn't surprise you. A model learns what helps it to guess the next word. In Storyworld **nothing
# false is ever said**, so after "The capital of France is Lisbon." there is nothing to prepare for, and the
# model doesn't. Knowing that France goes with Paris and holding "that was false" are two things. A model that
# has read the internet, where people err and lie and are contradicted in the next sentence, has a reason.
# Does SmolLM2 do it?
#
# ### Truth in a real model
#
# The same construction, for SmolLM2: seven kinds of simple statements, made from Storyworld's tables (real
# English, real capitals), and three of them again with a *not* in them. With the negation the label turns:
# "The city of Paris is not in France." is false.
# %%
THINGS = {**lexicon.THINGS, **lexicon.ANIMALS}
SORTS = {**dict.fromkeys(lexicon.ANIMALS, "animal"), **dict.fromkeys(lexicon.FOODS, "food")}
real_facts = {
    "capitals": ("The capital of {} is {}.", lexicon.CAPITAL),
    "cities": ("The city of {1} is in {0}.", lexicon.CAPITAL),
    "languages": ("People in {} speak {}.", lexicon.PEOPLE_OF),
    "plurals": ("The plural of {} is {}.", THINGS),
    "sorts": ("The {} is a kind of {}.", SORTS),
    "comparatives": ("The comparative of {} is {}.", lexicon.COMPARATIVE),
    "opposites": ("The opposite of {} is {}.", lexicon.OPPOSITE),
}
negated_facts = {
    "cities:not": ("The city of {1} is not in {0}.", lexicon.CAPITAL),
    "languages:not": ("People in {} do not speak {}.", lexicon.PEOPLE_OF),
    "sorts:not": ("The {} is not a kind of {}.", SORTS),
}
facts = {kind: state(kind, *made) for kind, made in real_facts.items()}
facts |= {kind: state(kind, *made, is_negated=True) for kind, made in negated_facts.items()}
if REAL:
    smollm2 = AutoModelForCausalLM.from_pretrained(zoo.path("smollm2"), dtype=torch.float32)
    smol_tokenizer = zoo.load_tokenizer("smollm2")
    SWEPT = [2, 6, 10, 12, 14, 16, 18, 22]
    fact_acts = {kind: extract_activations(s.texts, smollm2, smol_tokenizer, SWEPT) for kind, s in facts.items()}
for kind in ("cities", "cities:not"):
    print(facts[kind].texts[:2], facts[kind].labels[:2].tolist())
# %% result
# on the real model, how well each kind of fact can be judged at each layer, on subjects that no probe was fitted on.
# Little in the lower layers; from layer 12 on nearly everything.
if REAL:
    shown = {
        kind: [truth_accuracy(fact_acts[kind][layer], facts[kind]) for layer in SWEPT]
        for kind in ("cities", "cities:not", "plurals", "comparatives", "sorts", "opposites")
    }
    figure = plots.lines(
        shown,
        x=SWEPT,
        x_title="layer",
        y_title="accuracy on other subjects",
        title="Is this statement true? (SmolLM2)",
        references={"guessing": 0.5},
    )
    figure.show()
else:
    print(
        "For this, MODEL = 'smollm2'. Ours: 0.45 to 0.68 at layer 2, 0.92 to 1.00 from layer 12 on (opposites: 0.84)."
    )
# %% [markdown]
# So SmolLM2, unlike `tiny-llama`, does hold something about each statement when it ends. Have we found truth?
# You know by now what to ask. Here is the matrix, with mass-mean probes at layer 16, each kind centred by
# itself.
# %% result
# on the real model, whether the truth of one kind of statement predicts that of another.
# Look at the rows and columns with "not".
if REAL:
    TRUTH_LAYER = 16
    centered = {kind: fact_acts[kind][TRUTH_LAYER] - fact_acts[kind][TRUTH_LAYER].mean(dim=0) for kind in facts}
    truths = {kind: facts[kind].labels for kind in facts}
    # All of a kind on both sides: beside the diagonal no statement is in both, and the diagonal was judged above.
    truth_matrix = compute_generalization_matrix(centered, truths, centered, truths, list(facts), MMProbe)
    figure = plots.matrix(
        truth_matrix,
        rows=list(facts),
        columns=list(facts),
        row_title="fitted on",
        column_title="tested on",
        quantity="accuracy",
        title="Mass-mean probes at layer 16 of SmolLM2",
    )
    figure.show()
else:
    print("For this, MODEL = 'smollm2'. Ours: 'cities' on 'plurals' 0.96, on 'sorts' 0.94, on 'cities:not' 0.02.")
# %% [markdown]
# What a matrix! A direction that was found with cities classifies plurals (0.96), sorts of things (0.94) and
# comparatives (0.78), which have nothing in common with geography. If the three kinds with "not" were missing,
# who would not call it the truth direction?
#
# But on "The city of Paris is *not* in France." it is wrong 98 times in 100. That statement is false, and the
# direction says true. So it isn't truth. It is something like **"these two belong together"**: Paris and
# France, ball and balls. In statements without a negation the two are confounded, exactly as giver and
# receiver were. (The three kinds with "not" agree with each other, 0.79 to 0.98, and so they must: there true
# means that the two do *not* belong together. And "opposites" go along with neither, since hot and cold both do and don't.)
#
# Marks and Tegmark found the same kind of thing in smaller models, and a truth direction that survives
# negation only in larger ones (13 billion parameters and more; later work finds two directions, one for truth
# and one for truth times polarity: Bürger et al. 2024). And the way out is again other data: fit on
# statements with and without "not" *together*, so that "belongs together" is no help.
# %% result
# on the real model, probes that were fitted on cities, with and without "not", and tested on all else.
# What is left is the part of the direction that follows the meaning through the negation.
if REAL:
    both = ["cities", "cities:not"]
    x, y = torch.cat([centered[kind] for kind in both]), torch.cat([truths[kind] for kind in both])
    others = [kind for kind in facts if kind not in both]
    judged = {
        name: [compute_accuracy(probe_cls.from_data(x, y), centered[kind], truths[kind]) for kind in others]
        for name, probe_cls in (("mass-mean", MMProbe), ("logistic", LRProbe))
    }
    figure = plots.bars(
        judged, others, y_title="accuracy", title="Fitted with and without 'not'", references={"guessing": 0.5}
    )
    figure.show()
else:
    print(
        "For this, MODEL = 'smollm2'. Ours, mass-mean: capitals 0.92, plurals 0.92, 'languages:not' 0.79, 'sorts:not' 0.31."
    )
# %% [markdown]
# That helps, part of the way. The new direction still gets capitals and plurals right (0.92 both), and now also
# languages with *and* without "not" (0.79 and 0.83). But sorts of things with "not" remain wrong (0.31), so
# it isn't *the* truth direction of this model, if it has one. And we have learned it from two kinds of statement:
# a claim such as "we found the direction of truth" stands for exactly the data on which it was tried.
#
# How about real texts, by people who had no probe in mind?
# %% result
# on the real model, real texts that nobody made for us, next to a model of the same build with random weights.
# Each bar is logistic regression at layer 16, fitted on 140 texts and tested on 60.
if REAL:
    torch.manual_seed(0)
    random_smollm2 = AutoModelForCausalLM.from_config(smollm2.config).eval()
    SETS = ["sentiment", "historical-figures", "spam", "truth-science", "truth-misconceptions", "truth-commonsense"]
    on_real_texts = {"SmolLM2": [], "random weights": []}
    for name in SETS:
        texts = zoo.load_dataset(name, n_per_class=100)
        y = torch.tensor([text.target for text in texts])
        for label, which in (("SmolLM2", smollm2), ("random weights", random_smollm2)):
            x = extract_activations([text.prompt for text in texts], which, smol_tokenizer, [16])[16]
            probe = LRProbe.from_data(x[:140], y[:140])
            on_real_texts[label].append(compute_accuracy(probe, x[140:], y[140:]))
    del random_smollm2
    figure = plots.bars(
        on_real_texts,
        SETS,
        y_title="accuracy",
        title="Real data sets, last token, layer 16",
        references={"guessing": 0.5},
    )
    figure.show()
else:
    print(
        "For this, MODEL = 'smollm2'. Ours, with random weights in brackets: spam 0.95 (0.80), historical figures 0.78 (0.70),"
        " science 0.68 (0.57), sentiment 0.62 (0.55), misconceptions 0.58 (0.53), common sense 0.43 (0.43)."
    )
# %% [markdown]
# This is sobering. With 60 texts a bar is off by about 0.06 by chance alone. So only spam is clearly more than what
# random weights give (0.95 against 0.80), and even random weights, which see little more than which words occur,
# get far there. Of the three sets about truth none is. What worked on our own seven kinds of statement doesn't
# carry over to texts that vary in everything else, with 140 examples, one layer and one token.
#
# ### What does the model itself say?
#
# If a direction is to be tested by intervention, there must be a behaviour in which truth shows. Marks and
# Tegmark ask the model by example. A few statements with their verdicts stand in front, then the one in
# question, and the model goes on with true or false:
#
#     The plural of kite is kites. This statement is: true
#     The plural of lamp is coins. This statement is: false
#     The plural of drum is drums. This statement is:
#
# The measure is $P(\text{true}) - P(\text{false})$, from the model's probabilities for the next token. Each
# of the two answers must be *one* token. Look before you choose: for SmolLM2 " true" is one token, but "
# TRUE" is two and " FALSE" three.
# %% exercise="few_shot_evaluate" title="Ask the model" difficulty=2 importance=3 minutes=15
# hint: It's one forward pass for each batch of prompts. At which position of each row is the verdict predicted?
# hint: The prompt is few_shot_prompt + statement + " This statement is:", and the verdict comes after its last real token. Softmax over the whole vocabulary, then two columns.
# hint: logits[torch.arange(batch), mask.sum(dim=1) - 1].softmax(dim=-1), then [:, true_id] - [:, false_id]; join the batches.
# %% result
# your function on tiny-llama, with " She" and " He" for its two answers.
# It has never read "This statement is:" and spells it out letter by letter, so neither is likely. Still, the sign is right.
asked_pronouns = few_shot_evaluate(people.texts, model, tokenizer, "", SHE, HE)
print(f"P(She) - P(He): women {asked_pronouns[women].mean():+.4f}, men {asked_pronouns[men].mean():+.4f}")
assert asked_pronouns[women].mean() > 0 > asked_pronouns[men].mean()
# %% [markdown]
# Now the intervention: while the model reads the prompt, add the direction to the residual stream where the
# statement ends, at its last two tokens, and nowhere else. These are its full stop and its last word, or the
# last piece of that word where it takes several tokens. It's your hook from part 7, with one difficulty more:
# the statement now stands in the *middle* of the prompt, and at a different place in each row.
#
# How large is an effect? Marks and Tegmark take the **normalised indirect effect**. For false statements to
# which the direction is added: how far has the mean of $P(\text{true}) - P(\text{false})$ moved, as a share
# of the way to where true statements lie? 0 is nothing at all, 1 means that the model now treats false
# statements as true ones. The same work asks this of the direction of logistic regression, and finds it
# weaker than the plain difference of means in just this respect, though it's the better classifier.
# **Inference-time intervention** (Li et al. 2023) turns it into a method: it shifts a few heads along such
# directions while a model writes, and the answers become more truthful.
# %% exercise="intervention_experiment" title="Change its mind" difficulty=3 importance=5 minutes=25
# hint: Where does the statement end within the prompt? The prompt without its question ends exactly there.
# hint: Tokenize few_shot_prompt + statement for each row: if it has n tokens, the two places are n - 2 and n - 1. Register a hook on each block of intervene_layers that adds sign * direction there, and call few_shot_evaluate on the batch, with the same batch_size. The places count from a row's first token, so the prompts must be padded on the right.
# hint: places = mask.sum(dim=1, keepdim=True) - torch.tensor([2, 1]); in the hook: resid = output.clone(); resid[torch.arange(batch)[:, None], places] += sign * direction. Remove the hooks in a finally.
# %% result
# your function on tiny-llama, with the gender direction added at layers 1 and 2, and with a random one.
# Added, it moves women and men towards " She"; subtracted, towards " He".
random_push = make_random_direction(theta[LAYER], torch.Generator().manual_seed(3))
for name, direction in {"theta": theta[LAYER], "random": random_push}.items():
    for sign in ("add", "subtract"):
        verdicts = intervention_experiment(people.texts, model, tokenizer, direction, "", SHE, HE, [1, 2], sign)
        print(f"{name:6} {sign:8}  women {verdicts[women].mean():+.4f}, men {verdicts[men].mean():+.4f}")
# %% result
# on the real model, its verdicts as they are, and with the direction of the cities added or subtracted.
# The statements are about plurals: nothing about cities could help. Beside it are random directions of the same length.
from arena_lib.interp.probes import compute_indirect_effect


def make_shots(kind, n):
    """A few-shot prompt of n statements, true and false by turns, and the subjects that it uses up."""
    chosen = facts[kind]
    order = torch.randperm(len(chosen.texts) // 2, generator=torch.Generator().manual_seed(5))[:n].tolist()
    lines = []
    for turn, i in enumerate(order):
        row = 2 * i + int(turn % 3 == 1 or turn % 4 == 3)  # of each pair, the first statement is the true one
        lines.append(f"{chosen.texts[row]} This statement is: {'true' if chosen.labels[row] else 'false'}\n")
    return "".join(lines), {chosen.subjects[2 * i] for i in order}


if REAL:
    ASKED, N_SHOTS, CHANGED = "plurals", 8, [10, 12, 14]
    (TRUE,), (FALSE,) = (smol_tokenizer(word).input_ids for word in (" true", " false"))  # one token each
    prompt, used = make_shots(ASKED, N_SHOTS)
    rows = [i for i, subject in enumerate(facts[ASKED].subjects) if subject not in used]
    asked, is_true = [facts[ASKED].texts[i] for i in rows], facts[ASKED].labels[rows] == 1
    trues = [text for text, label in zip(asked, is_true, strict=True) if label]
    falses = [text for text, label in zip(asked, is_true, strict=True) if not label]
    verdicts = few_shot_evaluate(asked, smollm2, smol_tokenizer, prompt, TRUE, FALSE)
    on_true, on_false = verdicts[is_true], verdicts[~is_true]
    print(f"unchanged: true {on_true.mean():+.3f}, false {on_false.mean():+.3f}")
    x = {kind: fact_acts[kind][12] - fact_acts[kind][12].mean(dim=0) for kind in both}
    y = {kind: truths[kind] for kind in both}
    mean_direction = MMProbe.from_data(x["cities"], y["cities"]).direction
    logistic = LRProbe.from_data(x["cities"], y["cities"]).direction
    directions = {
        "cities": mean_direction,
        "cities, logistic": logistic * (mean_direction.norm() / logistic.norm()),
        "cities and not": MMProbe.from_data(torch.cat(list(x.values())), torch.cat(list(y.values()))).direction,
    }
    for seed in range(4):
        directions[f"random {seed}"] = make_random_direction(mean_direction, torch.Generator().manual_seed(seed))
    for name, direction in directions.items():
        arguments = (smollm2, smol_tokenizer, direction, prompt, TRUE, FALSE, CHANGED)
        added = compute_indirect_effect(on_false, intervention_experiment(falses, *arguments, "add"), on_true)
        taken = compute_indirect_effect(on_true, intervention_experiment(trues, *arguments, "subtract"), on_false)
        print(f"{name:16} length {direction.norm():4.1f}  NIE added {added:+.2f}, taken away {taken:+.2f}")
else:
    print(
        "For this, MODEL = 'smollm2'. Ours, on plurals: NIE of 'cities' 0.73 added, 0.79 taken; random 0.26 and 0.36."
    )
# %% [markdown]
# NIE is the share of the way from the verdict on false statements to that on true ones (or back). Asked about
# 34 true and 34 false plurals, SmolLM2 says true a little more readily of the true ones (+0.036 against -0.072).
# Added at layers 10, 12 and 14, the direction of cities goes 0.73 of the way, and taken away 0.79. Beside it
# stand four random directions of the same length: 0.26 on average when added (one of them 0.57), 0.36 when
# taken away. So the direction does more than any other push of that size that we tried, but by less than the bare number suggests:
# **an intervention without a random control proves little.** The direction of logistic regression, made as
# long, does more still (1.04 and 1.09), unlike in Marks and Tegmark's larger models.
#
# The direction fitted on cities with and without "not" does nothing here (-0.02). But its length is 1.7, a fifth of
# the other's, so it hardly pushes at all, and this shows nothing about it.
#
# ## 9. Lies
#
# *About 50 minutes of exercises. You steer with a direction, read it token by token, and find out what it reads.*
#
# A statement may be false although nobody lies. To find *deception* we need texts that differ only in
# whether the speaker is honest. **Instructed pairs** are a simple way to make them: tell the model to be
# honest, or to be a liar, and then let it say the very same fact, word for word. Whatever differs at the end
# of the fact can only come from the instruction.
#
# Here too something may be confounded. The direction may mean "I was told to lie", or that the word "liar" was
# mentioned, or "this is a story", rather than "I am deceiving".
# %% exercise="construct_instructed_pairs" title="The same fact, two speakers" difficulty=3 importance=4 minutes=15
# hint: Two sets of texts, and your extract_activations does the rest.
# hint: `instruct(instruction, fact, tokenizer)` makes one text, with the chat template if there is one. It ends where the fact ends, so the last token is the fact's.
# hint: extract_activations([instruct(honest, fact, tokenizer) for fact in facts], model, tokenizer, layers), and the same with dishonest; return the two.
# %% result
# your function on tiny-llama, with a sentence about a man and one about a woman for the two instructions.
# The facts are about things. Even so, what differs at their ends points along the gender direction of part 7.
old_things = [f"The {thing} was old." for thing in list(lexicon.THINGS)[:24]]
after_he, after_she = construct_instructed_pairs(
    old_things, model, tokenizer, [LAYER], START + " He was a sailor.", START + " She was a baker."
)
apart = after_she[LAYER].mean(dim=0) - after_he[LAYER].mean(dim=0)
alike = torch.cosine_similarity(apart, theta[LAYER], dim=0)
by_chance = torch.cosine_similarity(make_random_direction(apart, torch.Generator().manual_seed(0)), theta[LAYER], dim=0)
print(f"cosine with the gender direction {alike:.2f}; of a random direction {by_chance:.2f}")
assert alike > 0.3 > abs(by_chance)
# %% [markdown]
# ### Steering
#
# A direction can do more than be read: added at *every* token while a model writes, it steers what the model
# writes. A context manager makes sure that the hooks come off afterwards, whatever happens:
#
#     with DeceptionSteeringHook(model, direction, layers=[3], coefficient=6.0):
#         model.generate(...)
#
# The name says what one would like it for. The hook doesn't care which direction it is given.
# %% exercise="deception_steering_hook" title="Steer with a direction" difficulty=3 importance=4 minutes=20
# hint: Three small methods: what the hook does, putting it on, taking it off.
# hint: `register_forward_hook` returns a handle; keep all of them. A hook that returns something replaces the block's output. If the output is a tuple, return a tuple with the same tail.
# hint: resid = block_output(output); steered = resid + (self.coefficient * self.direction).to(resid).
# %% result
# tiny-llama goes on about Bernard and Elena, steered along the gender direction.
# It's the same prompt and the same weights in each line.
torch.manual_seed(0)
for beginning in ("Bernard was a sailor.", "Elena was a baker."):
    ids = tokenizer(START + " " + beginning, return_tensors="pt").input_ids
    for coefficient in (0.0, 14.0, -14.0):
        with DeceptionSteeringHook(model, theta[LAYER], layers=[LAYER], coefficient=coefficient):
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=0
            )
        print(f"{coefficient:+5.0f}  {tokenizer.decode(out[0]).removeprefix(START)}")
# %% [markdown]
# With half of what turned the pronouns (14, where $\theta$ is 29 long), Bernard becomes a "she" with something
# "in her hands". The other way the model doesn't say "He" of Elena. It repeats her name instead: the direction
# moves what the model says, but not always as we expect. And one can push too hard: try 90, and the text falls
# apart into "her her her", since no activation in training ever lay there.
#
# ### Token by token
#
# A probe can be asked at every token, not only at the last. In a conversation one looks at what the
# *assistant* says: at the tokens of its turns, not at those of the user or of the chat template's markers.
# Which tokens are these? The template gives a text; we know which characters of it the assistant speaks; and
# the tokenizer can say for every token from which character to which it reaches (its **offsets**).
# %% exercise="score_dialogue" title="Who says what, and how does it score?" difficulty=2 importance=4 minutes=15
# hint: Scores are the easy half: one dot product a token. The mask needs two kinds of places in characters: spans of turns, and spans of tokens.
# hint: `render_dialogue` gives the text and the assistant's spans; the tokenizer with return_offsets_mapping=True gives each token's. A token belongs to a turn if the two overlap.
# hint: two spans overlap if each starts before the other ends: start < span_end and end > span_start.
# %% result
# how the gender direction reads a story, word by word, in orange for women and in blue for men.
# What tiny-llama tells about Elena and Bernard stands in the place of the assistant.
from IPython.display import HTML, display

story = [
    {"role": "user", "content": START + " Elena and Bernard were in the park."},
    {
        "role": "assistant",
        "content": "She was a baker. He was a sailor. Elena got the lamp from Bernard. She was glad.",
    },
]
words, scores, is_spoken = score_dialogue(story, model, tokenizer, theta[LAYER] / theta[LAYER].norm(), LAYER)
spoken = [word for word, chosen in zip(words, is_spoken, strict=True) if chosen]
typical = scores[is_spoken].mean()
display(HTML(plots.coloured_text(spoken, scores[is_spoken] - typical, digits=1, title="Gender, word by word")))
# %% [markdown]
# At the pronouns and the word after them the probe reads what it should: "She was" is orange (+6 to +14), "He was"
# deep blue (-22, -12). Elsewhere it reads little that makes sense. "sailor", in a sentence about a man, is orange
# (+5.5); every full stop is blue; both names are near zero. The direction was fitted at the ends of sentences about
# jobs, with the mean of those ends taken off. At other tokens, other things lie along it, and zero is somewhere
# else. The full stops here are all alike (-4.6 to -5.6), the one after "He was a sailor" too. So **a score at a
# token of a kind on which the probe wasn't fitted needs its own test.**
# %% result
# on the real model, a direction from instructed pairs, and how it scores the same answer of two speakers.
# The direction comes from languages, the dialogues are about something else.
if REAL:
    honest, dishonest = construct_instructed_pairs(
        facts["languages"].texts[0::2], smollm2, smol_tokenizer, [TRUTH_LAYER]
    )
    pairs = torch.cat([dishonest[TRUTH_LAYER], honest[TRUTH_LAYER]])
    is_lie = torch.tensor([1] * len(dishonest[TRUTH_LAYER]) + [0] * len(honest[TRUTH_LAYER]))
    middle = pairs.mean(dim=0)
    lie_probe = MMProbe.from_data(pairs - middle, is_lie)
    new_honest, new_dishonest = construct_instructed_pairs(
        facts["capitals"].texts[0::2], smollm2, smol_tokenizer, [TRUTH_LAYER]
    )
    new_pairs = torch.cat([new_dishonest[TRUTH_LAYER], new_honest[TRUTH_LAYER]])
    print(f"told to lie or not, on other facts: {compute_accuracy(lie_probe, new_pairs - middle, is_lie):.2f}")
    told = {
        "honest": "Where were you last night?",
        "liar": "Where were you last night? Don't tell them that you stole the car.",
    }
    for name, question in told.items():
        dialogue = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "I was at home the whole evening, and I read a book."},
        ]
        unit = lie_probe.direction / lie_probe.direction.norm()
        words, scores, is_spoken = score_dialogue(dialogue, smollm2, smol_tokenizer, unit, TRUTH_LAYER)
        scores = scores - middle @ unit
        spoken = [word for word, chosen in zip(words, is_spoken, strict=True) if chosen]
        display(
            HTML(
                plots.coloured_text(
                    spoken, scores[is_spoken], digits=1, title=f"{name}: {scores[is_spoken].mean():+.2f} on average"
                )
            )
        )
    for instruction in (
        "Pretend you are a pirate, and say something true.",
        "Say something about a purple cow.",
        "Pretend you are a liar, and say something true.",
        "Nobody here is a liar, and nothing here is false. Say something true.",
    ):
        other, _ = construct_instructed_pairs(
            facts["capitals"].texts[0::2], smollm2, smol_tokenizer, [TRUTH_LAYER], honest=instruction
        )
        said_to_lie = (lie_probe(other[TRUTH_LAYER] - middle) > 0.5).float().mean()
        print(f"'{instruction}' counts as lying for {said_to_lie:.0%} of the facts")
else:
    print(
        "For this, MODEL = 'smollm2'. Ours: right on all other facts; the answers score -6.09 (honest) and -2.45 (liar);"
    )
    print("a pirate and a purple cow count as lying for 0% of the facts, 'Nobody here is a liar ...' for 100%.")
# %% [markdown]
# With `MODEL = "smollm2"` the probe looks excellent at first. On facts about capitals, which it has never seen, it
# tells the two instructions apart every time (1.00).
#
# The dialogues are less impressive. The one who was told to hide a theft scores higher (-2.45 on average, against
# -6.09), as one would hope. But both are *below zero*, on the honest side: the probe says of neither that they lie.
# Only the difference goes the right way, and two dialogues are no sample.
#
# Then the controls. A probe that flags every unusual instruction has found the unusual, not lying. This probe
# passes that test: a pirate and a purple cow count as lying for none of the facts. But "Pretend you are a liar, and
# say something *true*" counts as lying for all of them, and so does "**Nobody** here is a liar, and nothing here is
# false. Say something true." Nobody was told to lie there. So what we called a direction of lies mostly says that
# words such as "liar" or "false" were read before. The fact that followed was true all along.
#
# ## 10. Let the probe look for itself
#
# *About 50 minutes of exercises. You build a probe that learns at which tokens to look.*
#
# All our probes have read one token. But what gives a text away may stand anywhere. Take whole stories, in
# which somebody is glad or somebody is sad in one sentence, and ask at the end of the story which it was. By
# then `tiny-llama` has moved on to who holds the umbrella. The last token has forgotten, and a mean over all
# tokens drowns the few that know.
#
# An **attention probe** learns where to look. A direction $q$ scores each token, a softmax over the tokens
# turns the scores into weights, and the weighted mean of the activations is classified:
#
# $$a_s = \text{softmax}_s(x_s \cdot q \cdot \text{scale}) \qquad \text{logit} = \Big(\sum_s a_s x_s\Big) \cdot w + b$$
#
# Several heads, each with its own $q$, may look at different things; what they bring back is put side by
# side. It's still nearly linear: one soft choice, then a flat boundary.
#
# For this you need the activations of whole texts, padded to one length, with a mask that says which are real.
# %% exercise="extract_full_sequence_activations" title="Every token of every text" difficulty=3 importance=4 minutes=20
# hint: As extract_activations, but nothing is picked. What keeps you from joining the batches?
# hint: Each batch is as long as its longest text: pad them all on the right to the longest of all, the mask too. The tokenizer cuts with truncation=True, max_length=max_length.
# hint: F.pad(acts, (0, 0, 0, longest - acts.shape[1])) adds positions at the end; acts.masked_fill(mask[..., None] == 0, 0.0) makes padding zero.
# %% exercise="attention_probe_forward" title="An attention probe" difficulty=4 importance=4 minutes=30
# hint: It's attention with a query that doesn't depend on the text, and with the activations themselves as values.
# hint: Four steps: scores, mask, softmax over positions, weighted sum for each head. Then all heads' sums side by side, times W_out.
# hint: scores = einsum(x, W_q, "batch seq d_model, d_model n_heads -> batch seq n_heads") * scale; padding gets -inf before softmax(dim=1); rearrange "batch n_heads d_model -> batch (n_heads d_model)".
# %% result
# three ways to find the mood of a story: at its last token, by the mean of all tokens, and by looking for it.
# Below, where the attention probe looks.
N_TRAIN, N_TEST, N_STEPS = (60, 40, 60) if SCALE == "tiny" else (300, 150, 250)


def tell_moods(split, n):
    """Stories in which moods are either all good (1) or all bad (0), half of each."""
    choose = storyworld.Chooser("moods", split)
    texts, labels, wanted = [], [], {1: n // 2, 0: n - n // 2}
    while sum(wanted.values()):
        story = storyworld.tell_story(choose, split)
        moods = set(story.labels.sentiment.tolist()) - {0}
        if len(moods) == 1 and wanted[label := int(moods == {1})] and len(story.words) < 120:
            texts.append(tokenizer.decode([0, *storyworld.encode_words(story.words)]))
            labels.append(label)
            wanted[label] -= 1
    return texts, torch.tensor(labels)


texts, mood = tell_moods("train", N_TRAIN)
new_texts, new_mood = tell_moods("test", N_TEST)
x, mask = extract_full_sequence_activations(texts, model, tokenizer, LAYER)
x_new, mask_new = extract_full_sequence_activations(new_texts, model, tokenizer, LAYER)
center, spread = x[mask].mean(dim=0), x[mask].std(dim=0)
x, x_new = ((part - center) / spread for part in (x, x_new))


def last_token(x, mask):
    return x[torch.arange(len(x)), mask.sum(dim=1) - 1]


def mean_token(x, mask):
    return (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


mood_accuracies = {}
for name, pool in {"last": last_token, "mean": mean_token}.items():
    mood_accuracies[name] = compute_accuracy(LRProbe.from_data(pool(x, mask), mood), pool(x_new, mask_new), new_mood)

d_model, n_heads = x.shape[-1], 1
generator = torch.Generator().manual_seed(0)
W_q = (0.02 * torch.randn(d_model, n_heads, generator=generator)).requires_grad_()
W_out = torch.zeros(n_heads * d_model, 1, requires_grad=True)
b_out = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.AdamW([W_q, W_out, b_out], lr=1e-2, weight_decay=1e-2)
for _ in range(N_STEPS):
    batch = torch.randint(0, len(x), (64,), generator=generator)
    logits, _ = attention_probe_forward(x[batch], mask[batch], W_q, W_out, b_out, d_model**-0.5)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, mood[batch].float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    logits, pattern = attention_probe_forward(x_new, mask_new, W_q, W_out, b_out, d_model**-0.5)
mood_accuracies["attention"] = ((logits > 0) == (new_mood == 1)).float().mean().item()

shown = tokenizer(new_texts[0]).input_ids
labels = [tokenizer.decode(token) for token in shown]
display(HTML(plots.coloured_text(labels, pattern[0, : len(shown), 0], title="Where the attention probe looks")))
plots.bars(
    list(mood_accuracies.values()),
    list(mood_accuracies),
    y_title="accuracy on new stories",
    title="Was it a glad story?",
    references={"guessing": 0.5},
)
# %% [markdown]
# Compare the bars. The last token (0.53) would have to remember the whole story, and doesn't. The mean (0.78)
# waters down what only a few tokens say. The attention probe (0.96) learns where to look, and its pattern shows
# it: here two thirds of its attention are on "cried".
#
# ## What you have learned
#
# You can read a model's activations and fit three kinds of probe to them. And you have seen, in numbers, what
# a probe's accuracy does *not* show:
#
# | a probe is accurate, but | what showed it |
# |---|---|
# | it learned types by heart | a control task, or types that were held out |
# | random features would do as well | an untrained model |
# | it reads something that goes along with the label | other data sets, made so that the two part |
# | the model doesn't use what it reads | an intervention, against a random direction |
#
# Where all four were passed, with gender in `tiny-llama`, the direction turned every pronoun.
#
# ## What comes next
#
# In section 1.3.2 directions are made from what *heads* write, and a whole task is put into one vector. Section
# 1.4.1 then asks how the parts of a model work together to solve a task.
#
# ## On your own
#
# - **Replicate a paper.** Bürger et al. 2024 ([arXiv:2407.12831](https://arxiv.org/abs/2407.12831)) find two
#   directions, one for truth and one for truth times polarity, by a regression on both. Do it with SmolLM2 and the
#   facts of part 8. Does the first one get "sorts of things" with "not" right, where ours failed?
# - **A better lie detector.** Make pairs of instructions in which "liar", "false" and "not" occur as often on the
#   honest side as on the other, fit the probe anew, and repeat the controls of part 9. What is left of it?
# - **Whose gender?** Part 5 found that after "gave" both genders are added up. Find the heads that bring each of
#   them to the full stop, with the tools of 1.2. Is there a layer at which they lie along different directions?
#
# ## Reading
#
# - Alain and Bengio 2016, [Understanding intermediate layers using linear classifier probes](https://arxiv.org/abs/1610.01644)
# - Hewitt and Liang 2019, [Designing and interpreting probes with control tasks](https://arxiv.org/abs/1909.03368)
# - Marks and Tegmark 2023, [The geometry of truth](https://arxiv.org/abs/2310.06824)
# - Li et al. 2023, [Inference-time intervention](https://arxiv.org/abs/2306.03341)
# - Bürger et al. 2024, [Truth is universal](https://arxiv.org/abs/2407.12831), on truth and negation
# - Goldowsky-Dill et al. 2025, [Detecting strategic deception using linear probes](https://arxiv.org/abs/2502.03407)
