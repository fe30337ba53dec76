# ---
# arena: {id: "0.2", slug: cnns_and_resnets, title: CNNs and ResNets, hours: 12}
# objectives:
#   - "Write the layers of a network as modules: what they keep, how they begin, what they calculate"
#   - "Train a classifier of pictures, and test it on pictures that it hasn't seen"
#   - "Write batch normalisation as PyTorch defines it, with its two modes and its running statistics"
#   - "Build ResNet-34, into which the weights of torchvision's load by name"
#   - "Use what one network has learned to teach another task from a few examples"
#   - "Say where each number of a tensor lies in memory, and pick any regular set of them without a copy"
#   - "Write convolutions and pooling from a single view, and run a trained network on them"
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
# - you **reuse** a trained network for a task that it has never seen,
# - and then you open the last black box: **convolution** itself, from the numbers in memory to a network that runs on yours.
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
# | 6. Memory and strides | 85 |
# | 7. Sums over views | 45 |
# | 8. Convolutions | 70 |
# | 9. Padding, strides and pooling | 90 |
#
# These are the minutes of the exercises, nine hours and a half together. The twelve hours at the top leave the rest for
# reading, and for looking at what comes out. The first five parts and the last four stand on their own feet: you may begin
# with either.
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
# (A **gradient** says how the loss changes with a number, and so which way to move it. Part 2 says more.)
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
    sizes, x_title="layer", y_title="standard deviation of its outputs", title="How large numbers get on their way"
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
# gave it. It's counted in nats, the unit that goes with the natural logarithm. A network that knows nothing gives each of ten
# classes a tenth, and its loss is $\log 10 = 2.30$ nats.
#
# To **train** a network is to lower its loss, step by step. For every parameter ask: if it alone grew a little, by how much
# would the loss rise? That slope is the parameter's **gradient**. PyTorch finds all gradients at once (section 0.4 shows how): a call
# of `loss.backward()` leaves each one in `parameter.grad`. An **optimizer** then moves every parameter a little against its
# gradient, so that the loss falls. Ours is called Adam; section 0.3 is about optimizers, and here you only use one.
#
# One step looks at one **batch**, such as 64 pictures. Once all pictures have had their turn, that's an **epoch**.
#
# A step has four lines: find the loss (`F.cross_entropy` takes logits and labels); clear the old gradients
# (`optimizer.zero_grad()`); find the new ones (`loss.backward()`); move (`optimizer.step()`). Clearing matters, for `backward()`
# *adds* to what is there.
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
# ![A window of three by three numbers on a picture; its weights; the output, with one number for each place of the window](figures/convolution.png)
#
# This window asks whether the numbers on the right are larger than those on the left, so it finds the edge between the zeros and
# the ones. In a network nobody chooses such weights: they are learned.
#
# Each output channel has a window of its own, and the window reads all input channels. With a **stride** of 2 the
# window moves on by two pixels, and the output has half the height and width. **Padding** puts zeros around the picture, so
# that a window can stand at its edge.
# %% exercise="conv2d_module" title="A window that slides" difficulty=2 importance=3 minutes=15
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
# ![The left way: conv1, bn1, relu, conv2, bn2. The right way leads around them. Both are added, then comes a relu](figures/residual_block.png)
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
# a block's first convolution is. Read it from right to left, as gradients travel. Without the way around it has grown tens of
# thousands of times larger when it arrives at the first block (about 72,000 times in our run), so no step suits both ends. With
# it, it has grown about fifteenfold.
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
# After three epochs about 84 % of the test pictures are right. (At the scale "tiny" it sees fewer pictures, once, and hardly learns.)
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
# The same last layer learns on two bodies: the one that knows eight other kinds, and one that was never trained. In our run, with
# five of each, the first was right for 86 % of the test pictures, the second for 73 %. With twenty and more the two were within
# two points of each other, at 87 or 88 %: random features are better than one thinks, if there are examples
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
# ## 6. Memory and strides
#
# *About 85 minutes of exercises. You pick rows, columns, windows and tiles out of a tensor, and nothing is ever copied.*
#
# Your `Conv2d` still hands its work to `F.conv2d`, a black box: images go in, and something fast happens. From here on you
# write that yourself, without a single loop. All it takes is one idea, and the idea is about memory.
#
# A tensor may have two axes, or six. A computer's memory has one. The numbers of every tensor lie in a single row, one
# after another, and PyTorch remembers how to find its way in that row. For a new grid of 4 rows and 5 columns the row of
# numbers is read like a page: all of the first line, then all of the second.
#
# ```
# grid                      memory
# 10 11 12 13 14            10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29
# 15 16 17 18 19
# 20 21 22 23 24
# 25 26 27 28 29
# ```
#
# One step to the right in the grid is one step in memory. One step down is five steps in memory, for you must pass the
# rest of the line. These two numbers, `(5, 1)`, are the grid's **strides**, and `grid.stride()` tells them. With them,
# every entry is found without looking:
#
# $$\text{position of } [i, j] = \text{offset} + 5\,i + 1\,j$$
#
# The **offset** is where the tensor begins, `grid.storage_offset()`. It's 0 for a new tensor. For `grid[1:]`, which has no
# numbers of its own and uses those of `grid`, it's 5.
# %% exercise="memory_position" title="Where does it lie?" difficulty=1 importance=3 minutes=5
# hint: How far does one step along each axis lead? How many steps are taken along it?
# hint: For each axis multiply the index by the stride. Add these up, and add where the tensor begins.
# hint: storage_offset + sum(i * step for i, step in zip(index, stride))
# %% [markdown]
# Why `(5, 1)` for four rows and five columns? One step down leads past a whole line, and a line has five numbers. With
# three axes, one step along the first leads past a whole grid. So the stride of an axis is the product of all lengths
# that come *after* it.
# %% exercise="contiguous_strides" title="The strides of a new tensor" difficulty=2 importance=3 minutes=10
# hint: How many numbers does one step along the last axis pass? How many along the one before it?
# hint: The stride of an axis is the product of the lengths of the axes after it. After the last there is nothing, and the product of nothing is 1.
# hint: tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
# %% [markdown]
# ### Views
#
# Now comes the trick. Nothing forces the strides to fit the way in which the numbers were put there. `as_strided` makes a
# tensor with *any* size and *any* strides, out of the same memory:
#
# ```python
# view = grid.as_strided(size=(4,), stride=(5,), storage_offset=2)
# ```
#
# It has one axis with four numbers. The first lies at place 2, and each is five places further than the one before: that's
# a column. No number was copied. Change `view[0]`, and `grid[0, 2]` changes as well, since they are one and the same place.
# Such a tensor is called a **view**. Transposing, slicing, `expand` and `reshape` (where it can) all make views.
#
# Begin with the simplest one: the first few numbers. Mind one thing. The tensor that you are given may be a view itself.
# `x = grid[:, 2]` has four numbers which lie five places apart. Always ask `x.stride()`, and don't take it for 1. The judge
# tries tensors that are transposed, and tensors that are cut out of larger ones.
#
# `storage_offset` can be left out; then the view begins where x begins.
# %% exercise="take_first" title="The first few" difficulty=1 importance=3 minutes=5
# hint: How many numbers does the result have, and how far apart do they lie?
# hint: The size is (n,). The stride is that of x: what is next to each other in the result is next to each other in x.
# hint: x.as_strided((n,), x.stride())
# %% exercise="take_every" title="Every third" difficulty=2 importance=3 minutes=5
# hint: One step in the result is how many steps in x? And how many places in memory is each of those?
# hint: The stride is step times the stride of x. Of 7 numbers every third is taken: there are 3 of them. Of 6 there are 2.
# hint: n = (len(x) + step - 1) // step rounds up; x.as_strided((n,), (step * x.stride(0),))
# %% exercise="take_column" title="One column" difficulty=2 importance=3 minutes=10
# hint: Where does the column begin, and how far is it from each of its numbers to the next?
# hint: The stride is that of grid's first axis. The column begins `column` steps along the second axis from where grid begins.
# hint: grid.as_strided((height,), (grid.stride(0),), grid.storage_offset() + column * grid.stride(1))
# %% result
# what your column picks from memory.
# Above is the memory of a grid with 4 rows and 5 columns. Coloured numbers are picked, and keep their colour in the view
# below. Grey ones aren't picked. Point at a number to see where it lies.
from arena_lib.plots.convolutions.memory import memory

grid = torch.arange(10, 30).reshape(4, 5)
memory(grid, take_column(grid, 2), title="Column 2 of a grid, in memory")
# %% [markdown]
# To transpose a matrix no number has to move. Rows become columns if the two axes change places: their lengths, and their
# strides.
# %% exercise="swap_axes" title="Rows for columns" difficulty=1 importance=3 minutes=5
# hint: How long is each axis of the result? How far does one step along it lead?
# hint: Lengths and strides change places together.
# hint: grid.as_strided((width, height), (stride_w, stride_h)), where stride_h, stride_w = grid.stride()
# %% [markdown]
# And a stride may be 0. Then a step along this axis leads nowhere: the same numbers are there again. That's how
# broadcasting repeats a row a million times without needing memory for it.
# %% exercise="repeat_row" title="The same row, many times" difficulty=2 importance=3 minutes=5
# hint: From one row to the next, how far should one go in memory?
# hint: Along a row the stride is row's own. From row to row it is 0.
# hint: row.as_strided((n_rows, len(row)), (0, row.stride(0)))
# %% [markdown]
# ### Windows
#
# Two axes of a view may even walk through the *same* numbers. Take both strides to be 1. One step along a row is one
# number further, and one step down is one number further as well. So each row begins one number later than the row above
# it. This is a window that slides along a signal, and half of a convolution.
# %% exercise="sliding_windows" title="A window slides along" difficulty=2 importance=5 minutes=10
# hint: Where in memory does window 0 begin, and where window 1? How far apart are the numbers in a window?
# hint: Both strides are x's own. The last window ends with the last number of x: how many windows are there?
# hint: x.as_strided((len(x) - window + 1, window), (x.stride(0), x.stride(0)))
# %% result
# windows that overlap.
# Ten numbers in memory, and eight windows of three. The view has 24 numbers, and none of them was copied: follow one
# colour from window to window.
signal = torch.arange(10, 20)
memory(signal, sliding_windows(signal, 3), title="Sliding windows share their numbers")
# %% [markdown]
# Four axes are no harder than two: ask of each how far one step along it leads. To cut a picture into tiles you need two
# axes that say *which tile*, and two that say *where in the tile*.
# %% exercise="cut_tiles" title="Cut into tiles" difficulty=3 importance=4 minutes=15
# hint: One step along the first axis leads to the tile below. How many rows of the grid is that?
# hint: From tile to tile the strides are tile_height and tile_width times as long as grid's own. Within a tile they are grid's own.
# hint: size (height // tile_height, width // tile_width, tile_height, tile_width), stride (tile_height * stride_h, tile_width * stride_w, stride_h, stride_w)
# %% result
# tiles, in memory and as a picture.
# Tiles of 2 by 2 in the same grid. The last column is left over, and stays grey.
memory(grid, cut_tiles(grid, 2, 2), title="A grid in four tiles")
# %% result
# a coat in fewer pixels.
# The picture is one of Fashion-MNIST, with 28 by 28 pixels. Your tiles of 2 by 2 and of 4 by 4 pixels, each replaced by its
# mean, and by its largest number. (Here 0 is black and 1 is white. The rows of clothes above were the other way round, as on paper.) The last kind has a name, max-pooling, and you will write it in the last part.
from arena_lib.fundamentals.images import load_fashion_mnist
from arena_lib.plots.tensors import pictures

clothes = load_fashion_mnist("test")
coat = clothes.images[clothes.labels == clothes.classes.index("Coat")][0, 0]
pictures(
    {
        "the picture": coat,
        "means of 2 by 2": cut_tiles(coat, 2, 2).mean(dim=(2, 3)),
        "means of 4 by 4": cut_tiles(coat, 4, 4).mean(dim=(2, 3)),
        "largest of 4 by 4": cut_tiles(coat, 4, 4).amax(dim=(2, 3)),
    },
    n_columns=4,
    title="Tiles of a coat, each made into one pixel",
)
# %% [markdown]
# Now for some on your own. Each target below can be picked from the grid by one size and one stride, with an offset where
# you want one. Think of the memory, not of the grid.
# %% exercise="size_and_stride" title="Fill in size and stride" difficulty=3 importance=4 minutes=15
# hint: Write down at which places of memory the target's numbers lie: the number less 10. How far is it from one to the next?
# hint: Along each axis the places must grow by the same amount: that's the stride. It may be 0, and it may be larger than a row.
# hint: In order: (3,) (1,) 5 / (4,) (6,) / (2, 2) (10, 4) / (3, 3) (0, 6) / (3, 2) (1, 5) 2 / (2, 2, 2) (5, 1, 5)
grid = torch.arange(10, 30).reshape(4, 5)
targets = {
    "part of the second row": torch.tensor([15, 16, 17]),
    "the diagonal": torch.tensor([10, 16, 22, 28]),
    "the corners of the first three rows": torch.tensor([[10, 14], [20, 24]]),
    "the diagonal of three, three times": torch.tensor([[10, 16, 22]] * 3),
    "two rows, on their side": torch.tensor([[12, 17], [13, 18], [14, 19]]),
    "three axes": torch.tensor([[[10, 15], [11, 16]], [[15, 20], [16, 21]]]),
}
# For each target its size, its stride, and the offset (0 where it begins at 10):
# answers = {"part of the second row": ((3,), (1,), 5), "the diagonal": ...}
# region solution
answers = {
    "part of the second row": ((3,), (1,), 5),
    "the diagonal": ((4,), (6,), 0),
    "the corners of the first three rows": ((2, 2), (10, 4), 0),
    "the diagonal of three, three times": ((3, 3), (0, 6), 0),
    "two rows, on their side": ((3, 2), (1, 5), 2),
    "three axes": ((2, 2, 2), (5, 1, 5), 0),
}
# endregion
picked = {name: grid.as_strided(size, stride, offset) for name, (size, stride, offset) in answers.items()}
for name, target in targets.items():
    assert picked[name].tolist() == target.tolist(), (
        f"{name}: yours picks {picked[name].tolist()}, not {target.tolist()}"
    )
# %% [markdown]
# ## 7. Sums over views
#
# *About 45 minutes of exercises. You write a trace and two products without a loop and without `@`.*
#
# A view puts the right numbers side by side. After that, `*` and `sum` do the calculating. Practise this on three old
# friends before you meet convolutions: the trace of a matrix, a matrix times a vector, and a matrix times a matrix.
#
# The **trace** is the sum of the diagonal. You picked a diagonal above, but from a grid whose strides you knew. Here the
# matrix may be transposed or a slice, so ask it.
# %% exercise="as_strided_trace" title="The sum of the diagonal" difficulty=2 importance=2 minutes=10
# hint: From one entry of the diagonal to the next: how many steps down, how many to the right?
# hint: One of each. So the diagonal is a view with a single axis, whose stride is the sum of both strides.
# hint: mat.as_strided((min(mat.shape),), (mat.stride(0) + mat.stride(1),)).sum()
# %% [markdown]
# Entry $i$ of a matrix times a vector is $\sum_j \text{mat}_{ij}\,\text{vec}_j$. Every row of the matrix meets the same
# vector. So repeat the vector, once for each row, with a stride of 0. Then multiply entry by entry.
# %% exercise="as_strided_mv" title="A matrix times a vector" difficulty=3 importance=3 minutes=15
# hint: Which shape must a view of vec have, so that it can be multiplied with mat entry by entry?
# hint: The shape of mat. From row to row nothing changes (0), along a row one goes on in vec.
# hint: (mat * vec.as_strided(mat.shape, (0, vec.stride(0)))).sum(dim=1)
# %% [markdown]
# For two matrices, $\text{out}_{ik} = \sum_j A_{ij}\,B_{jk}$. Three letters, so think of a block with three axes: $i$, $j$
# and $k$. $A$ doesn't know $k$: along $k$ its numbers repeat. $B$ doesn't know $i$. Make both into a block, multiply, and
# add up over $j$.
# %% exercise="as_strided_mm" title="A matrix times a matrix" difficulty=4 importance=3 minutes=20
# hint: In a block with the axes (i, j, k): how far does one step along each lead in matA? And in matB?
# hint: matA has the strides (stride_i, stride_j, 0), matB has (0, stride_j, stride_k). Both have the size (i, j, k).
# hint: (matA.as_strided(block, (*matA.stride(), 0)) * matB.as_strided(block, (0, *matB.stride()))).sum(dim=1)
# %% result
# one product, as the sum of a block.
# A is 2 by 3, B is 3 by 2. Both are seen as blocks of 2 by 3 by 2. For each row i there is a panel with j going down and k
# to the right. Multiply the first two blocks entry by entry and you get the third. Its columns add up to the product.
from arena_lib.plots.tensors import cells

A, B = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 0], [2, 1], [0, 3]])
block_A = A.as_strided((2, 3, 2), (3, 1, 0))
block_B = B.as_strided((2, 3, 2), (0, 2, 1))
cells(
    {"A as a block": block_A, "B as a block": block_B, "their product": block_A * block_B, "A B": as_strided_mm(A, B)},
    title="A product of matrices is a block, added up over j",
)
# %% [markdown]
# This shows what a product *is*. It isn't how to calculate one: the product of the two blocks is written to memory, all
# `i * j * k` numbers of it. `@` never writes it down. `einsum` doesn't either, and you will use it from now on.
#
# ## 8. Convolutions
#
# *About 70 minutes of exercises. You convolve a signal, then signals with channels, then images.*
#
# A **convolution** asks the same question at every place of its input: *how much does what is here look like this?* The
# "this" is a small tensor of weights, the **kernel**. Lay it on a window of the input, multiply entry by entry, add up.
# That's one number of the output. Move the window by one, and do it again.
#
# $$\text{out}_o = \sum_k x_{o + k}\, w_k$$
#
# You have the windows already. They are rows of a view, and each one is multiplied with the kernel.
#
# (In mathematics the kernel is turned round first, and what we do here is called cross-correlation. Deep learning doesn't
# turn it, and calls it convolution all the same. A network that learns its kernels can't tell the difference. A test can.)
# %% exercise="conv1d_minimal_simple" title="One signal, one kernel" difficulty=2 importance=4 minutes=15
# hint: If each window is a row of a matrix, what is the convolution?
# hint: A matrix times a vector. Make the windows by as_strided; einsum multiplies and adds up over the kernel.
# hint: windows as in sliding_windows; einops.einsum(weights, windows, "kernel, output kernel -> output")
# %% result
# two kernels on a noisy signal.
# The signal jumps up and down again, and there is noise on it. The kernel of nine equal weights blurs: noise averages out,
# and the jumps become slopes. The kernel (-1, ..., 0, ..., 1) finds the jumps: it compares what comes with what was. It's
# near 0 where nothing happens.
generator = torch.Generator().manual_seed(0)
steps = torch.cat([torch.zeros(40), torch.ones(50), torch.zeros(50)])
noisy = steps + 0.2 * torch.randn(len(steps), generator=generator)
blur = torch.full((9,), 1 / 9)
jump = torch.tensor([-1.0, -1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0]) / 4
plots.lines(
    {
        "the signal": noisy[4:-4],
        "blurred": conv1d_minimal_simple(noisy, blur),
        "what comes less what was": conv1d_minimal_simple(noisy, jump),
    },
    x=torch.arange(4, len(noisy) - 4),
    x_title="place in the signal",
    y_title="value",
    title="A signal, and what two kernels make of it",
)
# %% [markdown]
# ### Channels and batches
#
# Real inputs have more axes. A signal has **channels**: left and right for music, or sixty-four features for a layer
# deep in a network. A kernel has weights for *each* channel, and what the channels give is added up. A layer has several
# kernels, and each makes one channel of the output. And there is a batch of signals, each of which is treated alike.
#
# $$\text{out}_{b,o,w} = \sum_c \sum_k x_{b,c,w+k}\; \text{weights}_{o,c,k}$$
#
# The view gets axes for `batch` and `in_channels`, with x's own strides. The einsum is the formula, in words.
# %% exercise="conv1d_minimal" title="Channels, batches, several kernels" difficulty=3 importance=4 minutes=20
# hint: Which four axes does the view have? Which of them are in the output, and which are summed over?
# hint: Size (batch, in_channels, width - kernel_width + 1, kernel_width). Strides: x's own three, and once more the last.
# hint: einops.einsum(weights, windows, "out_channels in_channels kernel, batch in_channels output kernel -> batch out_channels output")
# %% [markdown]
# ### Images
#
# One more axis: a kernel with rows and columns slides across and down. So there are two axes for where the window is, and
# two for where in the window, just as with your tiles. This time neighbours overlap, so all four strides are x's own.
# %% exercise="conv2d_minimal" title="Images" difficulty=4 importance=5 minutes=25
# hint: It's conv1d_minimal with two widths. Which six axes does the view have?
# hint: Size (batch, in_channels, output_h, output_w, kernel_h, kernel_w), strides (b, c, h, w, h, w).
# hint: einsum "out_channels in_channels kernel_h kernel_w, batch in_channels output_h output_w kernel_h kernel_w -> batch out_channels output_h output_w"
# %% result
# windows of a picture, in memory.
# A grid of 4 by 5 and a kernel of 3 by 3: there are 2 by 3 windows, with 54 numbers in all, picked from 20.
memory(grid, grid.as_strided((2, 3, 3, 3), (5, 1, 5, 1)), title="All windows of 3 by 3")
# %% result
# what four kernels see in four pictures.
# All are of 3 by 3, and people made them long before networks learned their own. Blur takes the mean of nine pixels.
# Sharpen strengthens what differs from its neighbours. The last two find edges:
# red where the numbers grow from left to right (or from top to bottom), blue where they shrink. Trousers have edges across, and hardly any down.
from arena_lib.fundamentals.convolutions import BLUR, EDGES_ACROSS, EDGES_DOWN, SHARPEN
from arena_lib.plots.backprop.image_rows import image_rows

kinds = ["Trouser", "Sneaker", "Bag", "Coat"]
shown_kinds = torch.stack([clothes.images[clothes.labels == clothes.classes.index(kind)][0] for kind in kinds])
kernels = {"blur": BLUR, "sharpen": SHARPEN, "edges across": EDGES_ACROSS, "edges down": EDGES_DOWN}
answers_of_kernels = conv2d_minimal(shown_kinds, torch.stack(list(kernels.values()))[:, None])
shown = [
    image for picture, channels in zip(shown_kinds, answers_of_kernels) for image in [picture[0, 1:-1, 1:-1], *channels]
]
image_rows(
    torch.stack(shown),
    [name for kind in kinds for name in [kind, *kernels]],
    n_columns=5,
    is_signed=True,
    title="Four kernels at work",
)
# %% [markdown]
# Now make a kernel of your own. The two edge finders look for upright and for level edges. Yours shall look for edges along
# one diagonal: light at the bottom right, dark at the top left.
# %% exercise="diagonal_edges" title="A kernel for diagonals" difficulty=2 importance=3 minutes=10
# hint: What do the weights of an edge finder add up to, and why? Look at EDGES_ACROSS.
# hint: Positive where it should be light, negative where it should be dark, 0 along the edge itself.
# hint: Try rows such as (-2, -1, 0), (-1, 0, 1), (0, 1, 2).
towards = torch.arange(9)
scenes = torch.stack(
    [
        (towards[:, None] + towards >= 8).float(),  # light at the bottom right
        (towards[:, None] + 0 * towards >= 4).float(),  # light at the bottom
        (0 * towards[:, None] + towards >= 4).float(),  # light on the right
        (towards[:, None] - towards >= 0).float(),  # light at the bottom left
        torch.ones(9, 9),  # light everywhere
    ]
)
# diagonal = torch.tensor([[...], [...], [...]])
# region solution
diagonal = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
# endregion
answers_by_scene = conv2d_minimal(scenes[:, None], diagonal[None, None]).abs().amax(dim=(1, 2, 3))
assert answers_by_scene[4] < 1e-5, "where everything is equally light there is no edge: the weights must add up to 0"
assert answers_by_scene[0] > answers_by_scene[1:4].max() * 1.1, (
    f"the largest answer must come from the scene that is light at the bottom right: got {answers_by_scene.tolist()}"
)
# %% [markdown]
# ## 9. Padding, strides and pooling
#
# *About 90 minutes of exercises. You complete your convolution, and a trained network runs on it.*
#
# Each convolution makes its input smaller, for at the edges the kernel has no room. After ten layers of 3 by 3 a picture
# of 28 pixels has 8 left. **Padding** puts a frame around the picture first.
#
# With what should one pad? For a convolution with zeros. For something else with something else, as you'll see; so leave
# it open.
# %% exercise="pad1d" title="Room at both ends" difficulty=2 importance=3 minutes=10
# hint: How wide is the result? What is in it, before you put the signal into its place?
# hint: x.new_full(shape, value) makes a tensor of x's dtype. Then assign x to a slice of it.
# hint: padded[..., left : left + width] = x
# %% exercise="pad2d" title="Room on all sides" difficulty=2 importance=3 minutes=10
# hint: Which axis do top and bottom belong to, and which do left and right?
# hint: top and bottom make the height larger, left and right the width. Then one slice for each axis.
# hint: padded[..., top : top + height, left : left + width] = x
# %% [markdown]
# ### Strides, of the other kind
#
# A convolution may move by more than one place at a time. Its **stride** is 2 if it looks at every second window. (The word
# is the same as for memory, and here you'll see why: it ends up as a factor of a stride.) Such a layer makes a picture half
# as large in each direction, and needs a quarter of the time.
#
# How large is the output? The padded input has $n + 2p$ numbers. The first window takes up $k$ of them. Every further one
# takes $s$ more, as long as there are that many left:
#
# $$\text{output} = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
# %% exercise="output_size" title="How many windows?" difficulty=2 importance=4 minutes=10
# hint: How long is the padded axis? How many numbers are left once the kernel has its first place?
# hint: Each further place takes `stride` of them. What is left over at the end is ignored, so round down.
# hint: (size + 2 * padding - kernel_size) // stride + 1
# %% result
# sizes at a glance.
# Each line is a kernel of 3 with another stride. With padding 1 and stride 1 the size stays. With stride 2 it's halved, and
# rounded up.
sizes = torch.arange(3, 33)
figure = plots.lines(
    {
        "stride 1, padding 1": [output_size(n, 3, 1, 1) for n in sizes.tolist()],
        "stride 1": [output_size(n, 3) for n in sizes.tolist()],
        "stride 2, padding 1": [output_size(n, 3, 2, 1) for n in sizes.tolist()],
        "stride 4, padding 1": [output_size(n, 3, 4, 1) for n in sizes.tolist()],
    },
    x=sizes,
    x_title="size of the input",
    y_title="size of the output",
    title="A kernel of 3, with several strides",
)
figure
# %% [markdown]
# Everything is ready for a convolution like PyTorch's. Pad first, and cut your windows out of the *padded* signal: it has
# strides of its own. From window to window go `stride` numbers further. Within a window neighbours stay neighbours.
# %% exercise="conv1d" title="Convolution in one dimension" difficulty=3 importance=4 minutes=20
# hint: What changes in conv1d_minimal? The tensor, one length, and one stride.
# hint: padded = pad1d(x, padding, padding, 0.0), and its strides; output_size says how many windows there are.
# hint: Strides (stride_b, stride_c, stride_w * stride, stride_w), where the first three are padded.stride().
# %% [markdown]
# In two dimensions there may be one stride for the height and another one for the width, and the same goes for padding. The
# type `IntOrPair` is a whole number or a pair, `(height, width)`. `as_pair` is imported above, and makes a pair of either.
# %% exercise="conv2d" title="Convolution in two dimensions" difficulty=4 importance=5 minutes=25
# hint: Which of conv2d_minimal's six strides change, and by which factor?
# hint: stride_h times step_h and stride_w times step_w, from window to window. The kernel's own two stay as they are.
# hint: pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=0.0), then (b, c, h * step_h, w * step_w, h, w).
# %% [markdown]
# ### The largest of each window
#
# **Max-pooling** keeps the largest number of every window, and forgets where it was. It makes a picture smaller, and what
# it finds doesn't change if the picture moves by a pixel. There are no weights. Each channel is by itself.
#
# What must it be padded with? Think of a window at the edge in which all numbers are below 0. With zeros around it, the
# largest would be a zero that nobody put into the picture. So the padding must be smaller than any number.
#
# Windows of pooling mostly lie side by side: if no stride is given, it's the size of the kernel.
# %% exercise="maxpool2d" title="Max-pooling" difficulty=3 importance=3 minutes=15
# hint: It's conv2d with another operation at the end, another number to pad with, and another default stride.
# hint: Pad with -torch.inf (a tensor of whole numbers has no infinity: torch.iinfo(x.dtype).min). Windows as before, then the largest over the last two axes.
# hint: windows.amax(dim=(-2, -1)); as_pair(kernel_size if stride is None else stride)
# %% result
# padding that wins, and padding that doesn't.
# A picture with light edges on dark, shifted so that all numbers are below 0. Pooled by yours, nothing shows at the border.
# Where the padding is 0 a white frame appears: the zeros have won.
dark = coat - 1.0
padded_by_zeros = torch.nn.functional.pad(dark[None, None], (1, 1, 1, 1))
pictures(
    {
        "below 0": dark + 1,
        "yours, minus infinity": maxpool2d(dark[None, None], 3, 2, 1)[0, 0] + 1,
        "zeros around it": maxpool2d(padded_by_zeros, 3, 2)[0, 0] + 1,
    },
    title="Max-pooling, with two kinds of padding",
)
# %% [markdown]
# ### A network that runs on your code
#
# Here is a small network of two convolutions, with pooling after each, trained by PyTorch's own functions on clothes.
# `run_on` copies it, and puts *your* `conv2d` and `maxpool2d` in the place of PyTorch's. The weights stay the same. If all
# is right, so do the answers.
# %% result
# the same answers, from your convolution.
# Each dot is one logit of one test picture: PyTorch's to the right, yours upwards. They lie on the diagonal. The printed
# difference is what float32's rounding leaves, for the two add up in different orders: a few millionths. At the scale "full"
# the network is right on about 83 % of the test pictures.
from arena_lib.fundamentals.convolutions import run_on


def train_on_clothes(make_model, n_images, n_epochs):
    """Trains a new model, and returns it with its losses."""
    torch.manual_seed(0)
    model = make_model()
    data = load_fashion_mnist("train").take(n_images)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(n_epochs):
        for batch in torch.randperm(n_images).split(64):
            loss = nn.functional.cross_entropy(model(data.images[batch]), data.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model, losses


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )


n_images, n_epochs = (1000, 1) if SCALE == "tiny" else (6000, 4)
network, losses = train_on_clothes(make_network, n_images, n_epochs)
with torch.no_grad():
    theirs = network(clothes.images)
    yours = run_on(network, conv2d, maxpool2d)(clothes.images)
agreed = (theirs.argmax(dim=1) == yours.argmax(dim=1)).float().mean()
accuracy = (yours.argmax(dim=1) == clothes.labels).float().mean()
print(f"largest difference of a logit: {(theirs - yours).abs().max():.1e}; same answer for {agreed:.1%}")
print(f"right on the test pictures, by your convolution: {accuracy:.1%}")
figure = plots.scatter(
    {"logits": (theirs[:100].flatten(), yours[:100].flatten())},
    x_title="logit by PyTorch's convolution",
    y_title="logit by yours",
    title="One network, two convolutions",
)
figure
# %% result
# a network that learns through your convolution.
# Gradients flow back through your views, so a network can be trained on them too. The two curves begin with equal weights
# and see equal batches. One network convolves with PyTorch's function, and one with yours. They lie on top of each other:
# after sixteen steps the losses differ by less than a millionth.
_, losses_of_yours = train_on_clothes(lambda: run_on(make_network(), conv2d, maxpool2d), 1000, 1)
_, losses_of_theirs = train_on_clothes(make_network, 1000, 1)
plots.lines(
    {"PyTorch's convolution": losses_of_theirs, "yours": losses_of_yours},
    x_title="step",
    y_title="loss (nats)",
    title="Training through your own convolution",
)
# %% result
# what the network has learned to look for.
# The eight kernels of the first layer, and what each of them, applied by your conv2d, finds in a sneaker. Compare them with
# the kernels made by hand above. Nobody told the network about edges.
kernels = network[0].weight.detach()
sneaker = clothes.images[clothes.labels == clothes.classes.index("Sneaker")][:1]
found = conv2d(sneaker, kernels, padding=2)[0]
enlarged = nn.functional.interpolate(kernels, size=(28, 28), mode="nearest")[:, 0]
image_rows(
    torch.cat([enlarged, found]),
    [f"kernel {i}" for i in range(8)] + [f"{i} finds" for i in range(8)],
    n_columns=8,
    is_signed=True,
    title="Learned kernels, and what they find in a sneaker",
)
# %% [markdown]
# ### How fast is it?
#
# Your convolution is one view and one product. PyTorch's is thousands of lines that know the processor. Making the view
# costs nothing, but the product needs its numbers side by side, so `einsum` copies the windows first: for a kernel of 3 by
# 3 that's nine times the input's memory. On four layers of usual sizes the library's version took between 1.4 and 5 times
# as long as PyTorch's (`python -m benchmarks run strided_conv`, two busy cores). For a few lines that's not bad.
#
# The order in which the two go into `einsum` matters as well. On a CPU `einsum(weights, windows, ...)` took between half and
# two thirds of the time of `einsum(windows, weights, ...)`, with equal results: the product that PyTorch makes of it then has
# its long axis last. Try both.
#
# ## What you have learned
#
# A module is what it keeps and what it calculates. You have written those that networks for pictures are made of, with
# the initialisation, the modes and the buffers of PyTorch's own, and put them together to ResNet-34. You have
# trained, validated, looked at mistakes, and reused what was learned.
#
# And you know what a convolution is made of: a view of memory in which windows overlap, and a sum. Stride and padding,
# channels and batches are numbers in that view.
#
# The mistakes that cost most here say nothing: a batch norm in the wrong mode, a relu before the sum, a running variance
# that never moves, gradients that weren't cleared. Now you know where to look.
#
# ## What comes next
#
# Section 0.3 is about optimizers: what Adam did in these loops, and what
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
# - Dumoulin and Visin 2016, [A guide to convolution arithmetic](https://arxiv.org/abs/1603.07285), with a picture of every
#   stride and padding
# - Donahue et al. 2013, [DeCAF](https://arxiv.org/abs/1310.1531), on features that serve for other tasks
