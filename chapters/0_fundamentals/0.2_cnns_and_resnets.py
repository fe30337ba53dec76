# ---
# arena: {id: "0.2", slug: cnns_and_resnets, title: CNNs and ResNets, hours: 6}
# objectives:
#   - "Write the layers of a network as modules: what they keep, how they begin, what they calculate"
#   - "Train a classifier of pictures, and test it on pictures that it hasn't seen"
#   - "Write batch normalisation as PyTorch defines it, with its two modes and its running statistics"
#   - "Build ResNet-34, into which the weights of torchvision's load by name"
#   - "Use what one network has learned to teach another task from a few examples"
# ---
# %% [markdown]
# ## What you will build
#
# A picture is a table of numbers. "Is this a coat?" is a question about all of them together, and nobody can write down
# the rule. So we let a network find it. In this section you build such networks from their smallest parts:
#
# - **layers**: a relu, a linear layer, a convolution, batch normalisation,
# - **a training loop** that also tests what was learned,
# - **ResNet-34**, a network of 34 layers that changed what people thought possible, and which still serves,
# - and you **reuse** a trained network for a task that it has never seen.
#
# ### How to work through this
#
# Each exercise is a function or a class with a gap. The docstring says what must hold. A judge looks at your code and
# tells you what is wrong. Each exercise has three hints, from the idea to the step.
#
# You need tensors and broadcasting (section 0.0). Shapes are written in words: `"batch channel height width"` is a stack of
# pictures. A grey picture has one channel, a colour picture has three: red, green and blue.
#
# | part | minutes |
# |---|---|
# | 1. Layers as modules | 45 |
# | 2. Training, and testing what was learned | 45 |
# | 3. Convolutions and batch normalisation | 60 |
# | 4. ResNet-34 | 90 |
# | 5. A new task from a few examples | 40 |
#
# These are the minutes of the exercises, four hours and forty minutes together. The six hours at the top leave the rest for
# reading, and for looking at what comes out.
#
# ## 1. Layers as modules
#
# *About 45 minutes of exercises. You write a relu, a linear layer and a flatten, and put a first network together.*
#
# A layer needs two things: numbers that it keeps (and that will be learned), and a calculation. PyTorch's class
# `nn.Module` is made for that pair. You write `__init__`, which begins with `super().__init__()` and makes what is kept,
# and `forward`, which calculates. A call of the module, `layer(x)`, calls `forward`.
#
# What makes a tensor learnable is `nn.Parameter(tensor)`. A module finds every parameter that is kept as an attribute, also
# those of modules inside modules. So `model.parameters()` is all that an optimizer needs to know.
#
# The simplest layer keeps nothing at all. A **relu** lets through what is above 0 and stops what is below. Without
# something like it, a stack of linear layers would be no more than one linear layer.
# %% exercise="relu" title="What is below zero becomes zero" difficulty=1 importance=3 minutes=5
# hint: For each entry the larger of two numbers. Which two?
# hint: A tensor has a method that cuts off what lies below a bound, and there's torch.maximum for two tensors.
# hint: return x.clamp(min=0). Not clamp_, which would change the caller's tensor.
# %% [markdown]
# ### How should weights begin?
#
# A linear layer gives weighted sums. Its weights must begin somewhere. If all were equal, all outputs would be equal, get
# equal gradients, and stay equal for ever. So they are random.
#
# How large? A sum of $n$ random terms grows like $\sqrt{n}$. If weights didn't know about that, numbers would grow from
# layer to layer, until the last layer sees nothing but huge ones. Weights of size $1/\sqrt{n}$ keep a sum over $n$ inputs
# at the size of one input. PyTorch draws them uniformly between $-1/\sqrt{n}$ and $1/\sqrt{n}$, and so do you.
# %% exercise="linear" title="Weighted sums" difficulty=2 importance=4 minutes=15
# hint: Two parameters: one with a row for each output, one with a number for each output, or none.
# hint: torch.empty(rows, columns).uniform_(low, high) draws; nn.Parameter(...) makes it learnable. forward is a product with the transpose, plus the bias.
# hint: self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound)); x @ self.weight.T + self.bias
# %% result
# the size of numbers after many layers, for three ways to begin.
# Each curve is one random input on its way through thirty linear layers of 100 numbers. A uniform number between
# $-1/\sqrt{n}$ and $1/\sqrt{n}$ has the variance $1/(3n)$, so each layer keeps a third of the variance, and after thirty layers
# the numbers are ten million times smaller. With $\sqrt{3}$ times as much they keep their size. With three times as much
# they grow as fast as they shrank before. Few layers don't mind; in part 3 you write a layer that puts an end to this.
import torch
from torch import nn

from arena_lib import plots

torch.manual_seed(0)
sizes = {}
for name, factor in {"1 / sqrt(n)": 1.0, "1.73 / sqrt(n)": 3**0.5, "3 / sqrt(n)": 3.0}.items():
    x = torch.randn(100)
    sizes[name] = [x.std().item()]
    for _ in range(30):
        layer = Linear(100, 100, bias=False)
        x = (factor * layer(x)).detach()
        sizes[name].append(x.std().item())
figure = plots.lines(
    sizes, x_title="layer", y_title="deviation of its outputs", title="How large numbers get on their way"
)
figure.update_yaxes(type="log", exponentformat="power")
# %% [markdown]
# ### From pictures to rows
#
# A linear layer knows nothing of height and width: it reads one row of numbers for each example. `Flatten` makes that row.
# %% exercise="flatten" title="Many axes become one" difficulty=2 importance=2 minutes=10
# hint: Which axes come before the joined ones, and which after? How long is the joined one?
# hint: The new shape has three parts. -1 % x.ndim is the number of the last axis, counted from the front.
# hint: last = self.end_dim % x.ndim; x.reshape(*x.shape[: self.start_dim], math.prod(x.shape[self.start_dim : last + 1]), *x.shape[last + 1 :])
# %% [markdown]
# ### A first network
#
# Now put the parts together: flatten, a linear layer to 100 numbers, a relu, a linear layer to ten. The ten results are
# **logits**, one for each class. The softmax, $e^{z_k}$ over the sum of all $e^{z_j}$, makes probabilities of them, but that
# is left to the loss.
# %% exercise="simple_mlp" title="A network of two layers" difficulty=2 importance=4 minutes=15
# hint: What does each part take, and what does it give? 28 * 28 pixels are 784 numbers.
# hint: Make the four parts in __init__, with the names of the docstring, and call one after the other in forward.
# hint: return self.linear2(self.relu(self.linear1(self.flatten(x))))
# %% [markdown]
# ## 2. Training, and testing what was learned
#
# *About 45 minutes of exercises. You write one step, a test, and the loop around them.*
#
# The pictures are from **Fashion-MNIST**: photographs of clothes, shrunk to 28 by 28 grey pixels. 6,000 to learn from and
# 1,000 to test with are part of this package, as many of each of ten kinds.
# %% result
# what the network will see.
# Three pictures of each kind, one column for each. Shirts, coats and pullovers look much alike; bags look like nothing else.
from arena_lib.fundamentals.images import load_fashion_mnist
from arena_lib.plots.backprop.image_rows import image_rows

train_set, test_set = load_fashion_mnist("train"), load_fashion_mnist("test")
if SCALE == "tiny":
    train_set, test_set = train_set.take(600), test_set.take(200)
of_each = torch.stack([(train_set.labels == label).nonzero()[:3, 0] for label in range(10)], dim=1).flatten()
image_rows(
    train_set.images[of_each, 0],
    captions=[*train_set.classes, *[""] * 20],
    title="Three pictures of each kind",
)
# %% [markdown]
# ### One step
#
# The **cross-entropy** says how surprised the network is by the true class: minus the logarithm of the probability that it
# gave it. A network that knows nothing gives each of ten classes a tenth, and its loss is $\log 10 = 2.30$.
#
# A step has four lines: find the loss; clear the old gradients; find the new ones; move. Clearing matters, for
# `backward()` *adds* to what is there.
# %% exercise="training_step" title="One step downhill" difficulty=2 importance=5 minutes=10
# hint: Loss, clear, backward, step. In which order, and why?
# hint: torch.nn.functional.cross_entropy takes logits and labels, and gives the mean over the batch.
# hint: loss = F.cross_entropy(model(images), labels); optimizer.zero_grad(); loss.backward(); optimizer.step(); return loss.item()
# %% [markdown]
# ### A test
#
# A loss that falls says that the network gets better at pictures that it has seen. It might know them by heart. What
# counts is how it does on pictures that it *hasn't* seen.
#
# Two things to know about asking a network. It has two **modes**: `model.train()` and `model.eval()`. Some layers act
# otherwise in each, as you'll see with batch normalisation. Forgetting to switch is one of the commonest mistakes there are,
# and nothing complains. And PyTorch remembers every calculation for the sake of gradients; `torch.no_grad()` keeps it from
# that, which saves time and memory.
# %% exercise="compute_accuracy" title="How many are right?" difficulty=2 importance=5 minutes=15
# hint: Which class does the network choose? How many of the choices are the true ones?
# hint: Remember model.training first; eval, ask without gradients, and put the model back into the mode it was in.
# hint: predicted = model(images).argmax(dim=-1) inside torch.no_grad(); then model.train(was_training); (predicted == labels).float().mean().item()
# %% exercise="train" title="Training with validation" difficulty=3 importance=5 minutes=20
# hint: Two loops, one inside the other: over epochs, and over batches. What belongs at the end of which?
# hint: torch.randperm(len(labels)).split(args.batch_size) is a list of batches of indices, in a new order each time.
# hint: For each batch losses.append(training_step(model, optimizer, images[batch], labels[batch])); after the batches of an epoch accuracies.append(compute_accuracy(...)).
# %% result
# your network learns.
# The loss of each step is noisy, since each batch is another one. It begins at 2.3, as it must, and ends below 0.6. (At the
# scale "tiny" it sees fewer pictures, and ends higher.) After three epochs 82 % of the test pictures are right.
from arena_lib.fundamentals.resnets import SimpleMLPTrainingArgs

losses, accuracies, model = train(SimpleMLPTrainingArgs(train_set=train_set, test_set=test_set))
print("accuracy after each epoch:", *(f"{accuracy:.1%}" for accuracy in accuracies))
plots.lines({"loss": losses}, title="Three epochs of a small network", references={"knows nothing": 2.303})
# %% result
# what it mixes up.
# A row for each true kind, a column for what the network said, in pictures. Trousers and bags are rarely mistaken. Shirts
# are the hardest: they are taken for T-shirts, pullovers and coats.
predicted = model(test_set.images).argmax(dim=-1)
confusion = torch.zeros(10, 10).index_put_((test_set.labels, predicted), torch.tensor(1.0), accumulate=True)
plots.matrix(
    confusion,
    rows=test_set.classes,
    columns=test_set.classes,
    row_title="true kind",
    column_title="what the network said",
    quantity="pictures",
    digits=0,
    title="What it mixes up",
)
# %% [markdown]
# ## 3. Convolutions and batch normalisation
#
# *About 60 minutes of exercises. You write the layers that networks for pictures are made of.*
#
# A linear layer has a weight for each pixel. It doesn't know that two pixels are neighbours, and a sleeve that it has learned
# to see at the left it doesn't know at the right. A **convolution** slides a small window over the picture. The same
# few weights look at every place, so what is learned at one place is known at all.
#
# Each output channel has a window of its own, and the window reads all input channels. With a **stride** of 2 the
# window moves on by two pixels, and the output has half the height and width. **Padding** puts zeros around the picture, so
# that a window can stand at its edge.
# %% exercise="conv2d" title="A window that slides" difficulty=2 importance=3 minutes=15
# hint: What is kept? One window for each pair of an output and an input channel.
# hint: The weight is "out_channels in_channels kernel_h kernel_w". An output sums up in_channels * kernel_size * kernel_size numbers: that's the n of 1 / sqrt(n).
# hint: F.conv2d(x, self.weight, stride=self.stride, padding=self.padding), and no bias.
# %% [markdown]
# ### Batch normalisation
#
# You have seen how numbers grow or shrink from layer to layer. And while a network learns, every layer must follow the
# changes of all layers before it. **Batch normalisation** puts an end to that: after it, each channel has mean 0 and variance 1,
# whatever came in.
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \qquad y = \gamma \hat x + \beta$$
#
# Here $\mu$ and $\sigma^2$ are the mean and the variance of one channel, over all pictures of the batch and all their
# pixels. $\epsilon$ keeps us from dividing by 0. The gain $\gamma$ (`weight`) and the shift $\beta$ (`bias`) are learned, so
# the network can have any mean and variance it wants: but now it has them in two numbers.
#
# There is a catch. With the batch's own statistics, what the network says about one picture depends on the others in the
# batch. To learn, that's fine. But an answer mustn't depend on who else asked. So the layer keeps **running
# statistics** while it learns: after each batch they move a little, by `momentum`, towards the batch's. In evaluation mode it
# uses these.
#
# Running statistics aren't learned by gradients, yet they belong to the layer: they're saved with it. Such tensors are
# **buffers**; `self.register_buffer(name, tensor)` makes one.
#
# Take your time for this one. A wrong batch norm often still learns, only worse, and nothing complains.
# %% exercise="batch_norm2d" title="Mean 0, variance 1" difficulty=4 importance=5 minutes=35
# hint: Which axes are averaged over, so that one number for each channel is left? Which of the two variances goes where?
# hint: if self.training: statistics over the axes (0, 2, 3), biased for x and unbiased for running_var, which moves under torch.no_grad(). Else: the running ones.
# hint: x.var(dim=(0, 2, 3), unbiased=False) normalises; self.running_var.copy_((1 - m) * self.running_var + m * x.var(dim=(0, 2, 3))) moves. To broadcast, give each a shape of (1, channel, 1, 1).
# %% result
# what happens if you forget `eval()`.
# A batch norm that has learned from a hundred batches is asked about one picture at a time. In evaluation mode, brighter
# pictures give larger numbers. In training mode every picture is compared with itself alone, and how bright it is is lost.
torch.manual_seed(0)
norm = BatchNorm2d(1)
for _ in range(100):
    norm(train_set.images[torch.randint(len(train_set.labels), (64,))])
chosen = test_set.images[test_set.images.mean(dim=(1, 2, 3)).argsort()[:: len(test_set.labels) // 40]]
norm.eval()
evaluated = [norm(image[None]).mean().item() for image in chosen]
norm.train()
trained = [norm(image[None]).mean().item() for image in chosen]
plots.lines(
    {"evaluation mode": evaluated, "training mode": trained},
    x=chosen.mean(dim=(1, 2, 3)),
    x_title="mean brightness of the picture",
    y_title="mean of the output",
    title="One picture at a time, in both modes",
)


# %% [markdown]
# At the end of a network for pictures, it no longer matters *where* something was seen. The mean over all pixels leaves one
# number for each channel, however large the picture was.
# %% exercise="average_pool" title="One number for each channel" difficulty=1 importance=2 minutes=10
# hint: Which two axes disappear?
# hint: mean takes several axes at once.
# hint: return x.mean(dim=(2, 3))
# %% [markdown]
# ## 4. ResNet-34
#
# *About 90 minutes of exercises. You build a network of 34 layers, block by block.*
#
# More layers should never hurt: the new ones could simply pass on what they get. But in 2015 deep networks learned *worse*
# than shallow ones, even on the pictures that they learned from. Passing something on unchanged turned out to be hard to learn.
#
# The answer was a way around. A **residual block** calculates a correction and *adds* it to what went in:
#
# $$y = \mathrm{relu}\bigl(F(x) + x\bigr)$$
#
# To pass $x$ on, $F$ must only become 0, which is easy. And gradients find a way back that no layer can block.
#
# Where $F$ changes the number of channels or the size, $x$ doesn't fit any more. Then a 1 x 1 convolution with the same
# stride, and a batch norm, make it fit: `downsample`.
#
# Mind the order at the end: add first, then relu. And keep the names of the docstring. They are torchvision's, and weights
# from elsewhere are found by their names.
# %% exercise="residual_block" title="A correction, and a way around" difficulty=4 importance=5 minutes=30
# hint: Two ways from x to the sum. What lies on each?
# hint: Left: conv1, bn1, relu, conv2, bn2. Right: x itself, or self.downsample(x) where channels or size change.
# hint: left = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))); right = x if self.downsample is None else self.downsample(x); return self.relu(left + right)
# %% result
# the gradient that arrives at each of forty blocks.
# Forty blocks with a way around, and forty without it, before anything was learned. A point says how large the gradient of
# a block's first convolution is. Read it from right to left, as gradients travel. Without the way around it has grown
# fifty-thousandfold when it arrives at the first block, so no step suits both ends. With it, it has grown twentyfold.
class WithoutSkip(ResidualBlock):
    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


torch.manual_seed(0)
x = torch.randn(8, 4, 7, 7)
gradients = {}
for name, block in {"with the way around": ResidualBlock, "without": WithoutSkip}.items():
    blocks = nn.Sequential(*(block(4, 4) for _ in range(40)))
    (blocks(x) * torch.randn_like(x)).mean().backward()
    gradients[name] = [block.conv1.weight.grad.norm().item() for block in blocks]
figure = plots.lines(gradients, x_title="block", y_title="size of the gradient", title="What arrives where")
figure.update_yaxes(type="log", exponentformat="power")
# %% [markdown]
# ### Groups, and the whole
#
# Blocks come in groups. The first block of a group may double the channels and halve the size; the others keep both.
# `nn.Sequential` calls its parts one after the other, and names them "0", "1", "2". A subclass need only hand them to
# `super().__init__`.
# %% exercise="block_group" title="Blocks in a row" difficulty=2 importance=3 minutes=15
# hint: Which block is different from the others, and in what?
# hint: The first takes in_feats and has the stride; all others go from out_feats to out_feats.
# hint: super().__init__(ResidualBlock(in_feats, out_feats, first_stride), *(ResidualBlock(out_feats, out_feats) for _ in range(n_blocks - 1)))
# %% exercise="resnet34" title="All of it" difficulty=4 importance=4 minutes=35
# hint: Stem, groups, pool, classes. Which channels does each group get from the one before it?
# hint: In a loop, self.add_module(f"layer{number}", BlockGroup(...)) keeps each group under its name; in_feats becomes out_feats.
# hint: x = self.maxpool(self.relu(self.bn1(self.conv1(x)))), then each group in order, then self.fc(self.avgpool(x)).
# %% result
# 218 names, and whose weights they could hold.
# `resnet34.json` lists the names and shapes of torchvision's ResNet-34. Yours has the same, in the same order. So if you
# have a file of its weights, `model.load_state_dict(torch.load(file, weights_only=True))` is all it takes. The bars say where
# the 21.8 million parameters are: most of them in the last group, where pictures are small and channels are many.
from arena_lib.fundamentals.resnets import read_manifest

whole = ResNet34()
state = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
assert list(state.items()) == list(read_manifest().items())
parts = ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
counts = [sum(p.numel() for p in getattr(whole, part).parameters()) / 1e6 for part in parts]
print(f"{len(state)} names, {sum(p.numel() for p in whole.parameters()):,} parameters")
plots.bars(counts, parts, y_title="million parameters", title="Where the parameters of ResNet-34 are")
# %% exercise="predict" title="Which class, and how sure?" difficulty=2 importance=3 minutes=10
# hint: Probabilities first. Then two things about the largest of each row.
# hint: Softmax over the last axis, in evaluation mode and without gradients, and the model back in its mode.
# hint: largest, classes = model(images).softmax(dim=-1).max(dim=-1)
# %% [markdown]
# ## 5. A new task from a few examples
#
# *About 40 minutes of exercises. You teach a trained network two kinds of clothes that it has never seen.*
#
# A network that tells coats from trousers must have learned about edges, sleeves and outlines. Somebody with another task
# and few pictures would like to have that for nothing. **Feature extraction** does it: keep the trained network as it is,
# replace its last layer, and train that layer alone.
#
# We make such a network ourselves. A small ResNet (your class, with three groups of one block each) learns eight of the ten
# kinds. Sneakers and ankle boots are left out.
# %%
from arena_lib.fundamentals.images import LabelledImages
from arena_lib.fundamentals.resnets import ResNetTrainingArgs, prepare_for_resnet

UNSEEN = ("Sneaker", "Ankle boot")
SEEN = tuple(name for name in train_set.classes if name not in UNSEEN)


def pick(labelled, names, n_per_class=None):
    """The pictures of these kinds, as the ResNet takes them, with new labels: 0 for the first name, and so on."""
    places = [(labelled.labels == labelled.classes.index(name)).nonzero()[:n_per_class, 0] for name in names]
    new_labels = torch.cat([torch.full((len(place),), number) for number, place in enumerate(places)])
    return LabelledImages(prepare_for_resnet(labelled.images[torch.cat(places)]), new_labels, tuple(names))


# %% result
# a small ResNet learns eight kinds of clothes.
# After three epochs 85 % of the test pictures are right. (At the scale "tiny" it sees fewer pictures, once, and hardly learns.)
torch.manual_seed(0)
small = ResNet34((1, 1, 1), (16, 32, 64), (1, 2, 2), n_classes=len(SEEN))
optimizer = torch.optim.Adam(small.parameters(), lr=1e-3)
seen, seen_test = pick(train_set, SEEN), pick(test_set, SEEN)
losses = []
for epoch in range(1 if SCALE == "tiny" else 3):
    for batch in torch.randperm(len(seen.labels)).split(64):
        losses.append(training_step(small, optimizer, seen.images[batch], seen.labels[batch]))
    print(
        f"epoch {epoch}: {compute_accuracy(small, seen_test.images, seen_test.labels):.1%} of the test pictures are right"
    )
plots.lines({"loss": losses}, title="A small ResNet learns eight kinds", references={"knows nothing": 2.079})
# %% result
# its most confident mistakes.
# The test pictures of which it was surest and yet wrong, with what it said. Some of them are hard for people too.
probabilities, said = predict(small, seen_test.images)
wrong = (said != seen_test.labels).nonzero()[:, 0]
worst = wrong[probabilities[wrong].argsort(descending=True)[:10]]
print("what they are:", ", ".join(SEEN[seen_test.labels[i]] for i in worst))
image_rows(
    seen_test.images[worst, 0] * 0.353 + 0.286,
    captions=[f"{SEEN[said[i]]}?" for i in worst],
    n_columns=5,
    title="What it said, and was sure of",
)
# %% exercise="get_resnet_for_feature_extraction" title="Freeze, and replace the head" difficulty=3 importance=3 minutes=15
# hint: Copy, freeze, replace. What must not be changed along the way?
# hint: copy.deepcopy copies a module with all its parts. requires_grad_(False) on a module freezes all its parameters; a new layer isn't frozen.
# hint: model = copy.deepcopy(pretrained); model.requires_grad_(False); model.fc = Linear(model.fc.in_features, n_classes)
# %% [markdown]
# One trap is left, and many fall into it. Frozen *parameters* don't change. But batch norm's running statistics are
# *buffers*: in training mode they move with every batch, frozen or not. The features would drift under the new layer. So the
# model stays in evaluation mode, all the time.
# %% exercise="train_resnet" title="Train the head alone" difficulty=3 importance=3 minutes=25
# hint: It's your train, with another model, another set of parameters to learn, and another mode.
# hint: get_resnet_for_feature_extraction(args.n_classes, args.pretrained).eval(), and an Adam of model.fc.parameters().
# hint: The two loops are those of train; training_step calls the model in the mode it's in, and compute_accuracy puts it back into that.
# %% result
# two kinds that it has never seen, from five, twenty or a hundred examples of each.
# The same last layer learns on two bodies: the one that knows eight other kinds, and one that was never trained. With
# five of each, what the first has learned about clothes makes 87 % of 73 %. With twenty and more the two are within three
# points of each other (88 % and 88 %, then 90 % and 87 %): random features are better than one thinks, if there are examples
# enough. (At the scale "tiny" the body has hardly learned anything, and there's little to see.)
blank = ResNet34((1, 1, 1), (16, 32, 64), (1, 2, 2), n_classes=len(SEEN))
unseen_test = pick(test_set, UNSEEN)
transfer = {"a trained body": [], "a body that learned nothing": []}
sizes = (5,) if SCALE == "tiny" else (5, 20, 100)
for n_per_class in sizes:
    few = pick(train_set, UNSEEN, n_per_class)
    for name, body in zip(transfer, (small, blank)):
        args = ResNetTrainingArgs(
            pretrained=body,
            train_set=few,
            test_set=unseen_test,
            n_classes=2,
            batch_size=10,
            epochs=max(10, 200 // n_per_class),
            learning_rate=1e-2,
        )
        transfer[name].append(train_resnet(args)[1][-1])
plots.bars(
    transfer,
    [f"{n_per_class} of each" for n_per_class in sizes],
    y_title="share of test pictures that is right",
    title="Sneaker or ankle boot?",
    references={"a guess": 0.5},
)
# %% [markdown]
# ## What you have learned
#
# A module is what it keeps and what it calculates. You have written those that networks for pictures are made of, with
# the initialisation, the modes and the buffers of PyTorch's own, and put them together to ResNet-34. You have
# trained, validated, looked at mistakes, and reused what was learned.
#
# The mistakes that cost most here say nothing: a batch norm in the wrong mode, a relu before the sum, a running variance
# that never moves, gradients that weren't cleared. Now you know where to look.
#
# ## What comes next
#
# Your layers call PyTorch's convolution and pooling. Section 0.3 is about optimizers: what Adam did in these loops, and what
# else there is. Section 0.5 makes pictures instead of reading them.
#
# ## On your own
#
# - **A batch of two.** Train the small ResNet with batches of 2, 8, 64 and 512 pictures for as many pictures in all. Where
#   do the running statistics go wrong, and how do you see it in the two modes?
# - **Without batch norm.** Take the batch norms out of your blocks and train again. How much must you lower the learning rate?
#   What if each block's last convolution begins with zeros?
# - **Replicate a paper.** He et al. 2016 ([arXiv:1603.05027](https://arxiv.org/abs/1603.05027)) move the relu and the batch norm
#   before the convolutions, so that nothing stands in the way around. Build both kinds with 50 blocks and compare.
#
# ## Reading
#
# - Ioffe and Szegedy 2015, [Batch normalization](https://arxiv.org/abs/1502.03167), sections 3.1 and 3.2
# - He et al. 2015, [Deep residual learning](https://arxiv.org/abs/1512.03385): its figure 1 is the riddle, its figure 2 the answer
# - Xiao, Rasul and Vollgraf 2017, [Fashion-MNIST](https://arxiv.org/abs/1708.07747)
# - Donahue et al. 2013, [DeCAF](https://arxiv.org/abs/1310.1531), on features that serve for other tasks
