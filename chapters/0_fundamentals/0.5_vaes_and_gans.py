# ---
# arena: {id: "0.5", slug: vaes_and_gans, title: VAEs and GANs, hours: 6}
# objectives:
#   - "Make pictures larger by transposed convolutions, and write these from their definition"
#   - "Fold pictures into five numbers and unfold them again, by an autoencoder"
#   - "Turn it into a model of all pictures, a VAE, and know what its loss means in nats"
# ---
# %% [markdown]
# ## What you will build
#
# A classifier takes a picture and gives a few numbers. This section goes the other way: from a few numbers to a picture. The
# pictures are of clothes: Fashion-MNIST, 28 by 28 pixels, ten kinds from sandals to coats.
#
# You write
#
# - **transposed convolutions**, the layers that make pictures larger,
# - **an autoencoder**, which folds a picture into five numbers and unfolds it again,
# - **a VAE**, in which every place among those five numbers means something, so that you can draw a map of all clothes and
#   walk from a shoe to a shirt.
#
# ### How to work through this
#
# Each exercise is a function or a class with a gap. The docstring says what must hold. A judge looks at your code and
# tells you what is wrong. Each exercise has three hints, from the idea to the step.
#
# Shapes are written in words: `"batch in_channels height width"` is a tensor of pictures with several channels each. You
# need tensors and broadcasting (section 0.0). It helps to have met a convolution, but the text says again what one is.
#
# | part | minutes |
# |---|---|
# | 1. Making pictures larger | 120 |
# | 2. Folding pictures: an autoencoder | 65 |
# | 3. Clouds instead of points: a VAE | 105 |
#
# These are the minutes of the exercises, nearly five hours together; the rest is for reading and for looking.
#
# ## 1. Making pictures larger
#
# *About 120 minutes of exercises. You stamp kernels into rows of numbers, then into pictures, and meet three functions
# that bend numbers.*
#
# A **convolution** slides a small row of numbers, the **kernel**, along a long row. At each place it multiplies what lies
# below by the kernel and adds up: each output *gathers* from a few inputs. So the output is no longer than the input, and
# with a stride (the kernel jumps by two places, say) it's about half as long. That's what a classifier wants.
#
# To draw, we want the opposite: each input *scatters* to a few outputs. Think of the kernel as a rubber stamp. Each
# entry of the input presses it onto an empty row, with as much ink as the entry says: 3 gives three times the kernel, -1
# gives the kernel with its sign turned. The next entry presses `stride` places further on. Where stamps overlap, ink adds
# up. This is a **transposed convolution**.
#
# With the input (1, 10) and the kernel (1, 2, 3):
#
# | | stride 1 | stride 2 |
# |---|---|---|
# | the stamp of 1 | 1, 2, 3, 0 | 1, 2, 3, 0, 0 |
# | the stamp of 10 | 0, 10, 20, 30 | 0, 0, 10, 20, 30 |
# | together | 1, 12, 23, 30 | 1, 2, 13, 20, 30 |
#
# The last stamp begins at place stride · (width − 1) and ends a kernel's width further on. So the output has
# stride · (width − 1) + kernel width entries.
# %% exercise="stamp_kernel" title="A rubber stamp" difficulty=1 importance=3 minutes=10
# hint: How long is the output, and at which place does the stamp of entry i begin?
# hint: Begin with zeros, and add for each entry the kernel times that entry to a slice of as many places as the kernel has.
# hint: for i, value in enumerate(x): out[i * stride : i * stride + len(kernel)] += value * kernel
# %% result
# what stamps do to a row.
# Three entries, and a kernel like a hill. At stride 1 the hills run together. At stride 3 they just touch. At stride 6
# there are gaps: the kernel is too narrow for that stride.
import torch

from arena_lib import plots

hill, entries = torch.tensor([0.4, 1.0, 0.4]), torch.tensor([1.0, 2.0, -1.0])
rows = {f"stride {stride}": stamp_kernel(entries, hill, stride) for stride in (1, 3, 6)}
plots.lines(
    {name: torch.nn.functional.pad(row, (0, 15 - len(row)), value=float("nan")) for name, row in rows.items()},
    x_title="place in the output",
    y_title="value",
    title="Three entries stamp a hill",
)
# %% [markdown]
# ### Channels
#
# A network's layer doesn't have one row but several, its **channels**: red, green and blue at first, and later whatever it
# has learned to look for. Each pair of an input channel and an output channel has a kernel of its own. So the weights have
# three axes, `"in_channels out_channels kernel_width"`. An output channel is the sum of what all input channels stamp
# into it.
#
# Stamping entry by entry is slow in Python. There's a trick: *a transposed convolution is a convolution of a padded
# input, with the kernel read backwards*. Look at the output from the other side. Which inputs have left ink at place $j$?
# Entry $i$ stamps places $i$ to $i + k - 1$, where $k$ is the kernel's width. So ink at $j$ comes from the entries
# $j - k + 1$ to $j$, and entry $i$ left `kernel[j - i]` there: the *later* the entry, the *earlier* the place in the kernel.
# That's a window over the input, with the kernel backwards. At the edges the window hangs over, so put $k - 1$
# zeros there.
#
# One thing remains. A convolution's weights (those that `F.conv1d` takes) have `out_channels` first. Here `in_channels` comes
# first, for the layer goes the other way.
# %% exercise="conv_transpose1d_minimal" title="All channels at once" difficulty=3 importance=2 minutes=20
# hint: For the first place of the output: which entries of the input have left ink there, and which entry of the kernel did each use?
# hint: Pad x by kernel_width - 1 zeros at both ends (F.pad), turn the kernels around (flip), swap the axes of channels, and call F.conv1d.
# hint: F.conv1d(F.pad(x, (k - 1, k - 1)), weights.flip(-1).transpose(0, 1)), where k is weights.shape[-1]
# %% [markdown]
# ### Stride
#
# A stride of 2 begins each stamp two places after the last. The same output comes out if you put a zero between any two
# entries of the input, and then stamp at stride 1: a zero leaves no ink, and takes up one place. Because the window of the
# convolution moves by a *fraction* of the distance between two entries, this is also called a fractional stride.
# %% exercise="fractional_stride_1d" title="Zeros in between" difficulty=2 importance=2 minutes=10
# hint: At which place of the result does entry i of the input land?
# hint: Make zeros of the right length, and write x to every stride-th place.
# hint: out = x.new_zeros(batch, in_channels, stride * (width - 1) + 1); out[..., ::stride] = x
# %% [markdown]
# ### Padding, which cuts off
#
# The last option has a confusing name. In a convolution, padding adds zeros around the *input*, so the output gets larger.
# A transposed convolution is meant to undo one. So its padding takes as much away from its *output*: so many entries are
# cut off at both ends.
#
# You could make the whole output and cut. But it's less work not to make what will be cut: if the input gets one zero less
# at each end, the output is one shorter at each end. So $k - 1 - \text{padding}$ zeros in place of $k - 1$.
# %% exercise="conv_transpose1d" title="With stride and padding" difficulty=3 importance=2 minutes=20
# hint: Which of your two functions takes care of the stride? What does the padding change in the other?
# hint: Spread x out first. Then do what you did before, with k - 1 - padding zeros at both ends in place of k - 1.
# hint: F.pad also takes negative numbers, and cuts off then; so a large padding needs nothing special.
# %% [markdown]
# ### Pictures
#
# In two dimensions a pixel stamps a small picture. Nothing else is new: spread rows and columns apart, turn the kernels
# around in both directions, pad, and convolve.
# %% exercise="fractional_stride_2d" title="Zeros between rows and columns" difficulty=2 importance=2 minutes=10
# hint: It's the same in each direction by itself.
# hint: Make zeros of the right height and width, and write x to every stride_h-th row and every stride_w-th column.
# hint: out[..., ::stride_h, ::stride_w] = x
# %% [markdown]
# For `conv_transpose2d` the stride and the padding may be one number for both directions, or a pair: first the height, then
# the width. `as_pair` of the library makes a pair of either. Watch out for `F.pad`, which goes from the last axis
# backwards: left, right, top, bottom.
# %%
from arena_lib.fundamentals.generative.transposed_2d import as_pair

as_pair(2), as_pair((3, 1))
# %% exercise="conv_transpose2d" title="A pixel stamps a picture" difficulty=3 importance=2 minutes=15
# hint: What changes from one dimension to two: how many numbers does each step need?
# hint: Spread x out, pad rows by kernel_h - 1 - padding_h and columns by kernel_w - 1 - padding_w, turn the kernels in both directions, F.conv2d.
# hint: F.pad(spread, (reach_w, reach_w, reach_h, reach_h)); weights.flip(2, 3).transpose(0, 1)
# %% result
# a boot of seven by seven pixels, made larger by three kernels.
# All three have stride 2. A kernel of two by two ones repeats each pixel: blocks. A kernel like a pyramid, four by four,
# blends neighbours: each stamp overlaps the next by half, and between two pixels the output changes smoothly. The third
# is three by three ones, and it shows a fault you will see in generated pictures: 3 isn't a multiple of 2, so some places
# get ink from two stamps and their neighbours from one, and the boot gets a chequered pattern. That's why the networks
# below have kernels of 4 and strides of 2.
from arena_lib.plots.backprop.image_rows import image_rows

drawing = ["...##..", "...##..", "...##..", "..###..", ".#####.", "######.", "#######"]
boot = torch.tensor([[float(pixel == "#") for pixel in row] for row in drawing])[None, None]
ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
kernels = {
    "boot": (torch.ones(1, 1), 1, 0),
    "2 x 2 ones": (torch.ones(2, 2), 2, 0),
    "4 x 4 pyramid": (torch.outer(ramp, ramp), 2, 1),
    "3 x 3 ones": (torch.ones(3, 3) / 4, 2, 0),
}
larger = {
    name: conv_transpose2d(boot, kernel[None, None], *options)[0, 0] for name, (kernel, *options) in kernels.items()
}
image_rows(
    torch.stack(
        [
            torch.nn.functional.pad(picture, (0, 15 - picture.shape[1], 15 - len(picture), 0))
            for picture in larger.values()
        ]
    ),
    [f"{name}, {len(picture)} pixels" for name, picture in larger.items()],
    title="A boot, made larger",
)
# %% [markdown]
# ### A layer
#
# These kernels we chose. A network learns its own. For that they are `nn.Parameter`s of an `nn.Module`, which begin with
# random numbers. How large should these be? Small enough that what comes out is about as large as what goes in: PyTorch
# draws them between $-1/\sqrt{n}$ and $1/\sqrt{n}$, with $n$ = `out_channels * kernel_h * kernel_w`.
# %% exercise="ConvTranspose2d" title="A layer with weights that learn" difficulty=2 importance=2 minutes=15
# hint: What must the layer remember from __init__ until forward is called?
# hint: Keep stride and padding, and one nn.Parameter, weight, in the shape that conv_transpose2d takes.
# hint: nn.Parameter(torch.empty(in_channels, out_channels, kernel_h, kernel_w).uniform_(-bound, bound))
# %% [markdown]
# ### Three functions that bend numbers
#
# Layers of stamps alone would be one large stamp: a sum of sums is a sum. Between two layers, networks bend numbers. You
# know relu, which makes negative numbers 0. Networks that draw need three more.
#
# **tanh** and **sigmoid** turn any number into one from a range: tanh between -1 and 1, which will be black and white;
# sigmoid between 0 and 1, which will be a probability.
#
# $$\tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}} \qquad\qquad \text{sigmoid}(x) = \frac{1}{1 + e^{-x}}$$
#
# A formula isn't yet a program. In float32, $e^{100}$ is more than the largest number, so it becomes `inf`. And `inf / inf`
# is `nan`, "not a number", which spreads through a network until all its weights are `nan`. So think about what happens to
# your formula for $x = 1000$.
# %% exercise="Tanh" title="Between -1 and 1" difficulty=2 importance=2 minutes=10
# hint: Which part of the formula becomes inf for x = 1000, and which for x = -1000?
# hint: Beyond 20, tanh is 1 as far as a computer can tell. So x may be clamped before exp sees it. Or divide both by exp(x).
# hint: x = x.clamp(-20, 20), and then the formula; or 2 / (1 + torch.exp(-2 * x)) - 1
# %% exercise="Sigmoid" title="A probability" difficulty=1 importance=2 minutes=5
# hint: What is 1 / inf?
# hint: The formula as it stands gives 0 or 1 for large |x|, and no nan. Other ways of writing it may not.
# hint: return 1 / (1 + torch.exp(-x))
# %% [markdown]
# A **leaky relu** doesn't make negative numbers 0. It makes them smaller: `negative_slope * x`. Where a relu gives 0, its
# slope is 0 too, and no gradient comes back through it. You will train one network by gradients that come *through
# another network*. There each dead place costs something, so let it leak.
# %% exercise="LeakyReLU" title="A relu that leaks" difficulty=1 importance=2 minutes=5
# hint: What is the result for a positive entry, and what for a negative one?
# hint: torch.where chooses entry by entry. The slope is kept by __init__.
# hint: return torch.where(x > 0, x, self.negative_slope * x)
# %% result
# the three functions, and how steep they are.
# tanh and sigmoid are flat far from 0: where their input is large, hardly any gradient comes back. (That's called
# saturation, and it will matter for the loss of a GAN.) The slope of the leaky relu is 0.2 or 1, and never 0.
points = torch.linspace(-6, 6, 121, requires_grad=True)
curves = {"tanh": Tanh(), "sigmoid": Sigmoid(), "leaky relu, 0.2": LeakyReLU(0.2)}
slopes = {name: torch.autograd.grad(module(points).sum(), points)[0] for name, module in curves.items()}
plots.lines(
    {name: module(points) for name, module in curves.items()},
    x=points,
    x_title="x",
    y_title="value",
    title="Three functions",
).show()
plots.lines(slopes, x=points, x_title="x", y_title="slope", title="Their slopes")
# %% [markdown]
# ## 2. Folding pictures: an autoencoder
#
# *About 65 minutes of exercises. You fold a picture into five numbers, unfold it again, and train both halves at once.*
#
# A picture of 28 by 28 pixels is 784 numbers. But most choices of 784 numbers are noise. The pictures of clothes are a tiny
# part of all pictures, and to say *which one* should take fewer numbers: how long are the sleeves, how high is the
# heel, how dark is the cloth?
#
# An **autoencoder** finds such numbers without being told any. It has two halves. The **encoder** turns a picture into a few
# numbers, the **latents**. The **decoder** makes a picture of the latents. The only task is: *what comes out shall be what
# went in*. Because the way leads through five numbers, the encoder must keep what matters and drop the rest.
#
# The encoder is a small classifier without classes: two convolutions, each of which halves the picture, and two linear
# layers.
# %% exercise="make_encoder" title="From a picture to a few numbers" difficulty=2 importance=4 minutes=15
# hint: What is the shape after each layer? Write it down, from "batch 1 28 28" to "batch d_out".
# hint: nn.Sequential takes the layers in order. After two convolutions there are 32 channels of 7 by 7.
# hint: nn.Sequential(nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(), ..., nn.Flatten(), nn.Linear(32 * 7 * 7, d_hidden), ...)
# %% [markdown]
# The decoder goes the same way back, with the layer from part 1. (It's PyTorch's here, which also has a bias and is faster. The
# shapes and the weights are those of yours.)
#
# No function bends the last result. A relu there would be a trap: where it gives 0, its slope is 0 too, and a pixel that is
# wrongly white would never learn.
# %% exercise="make_decoder" title="From a few numbers to a picture" difficulty=2 importance=4 minutes=15
# hint: Read your encoder from its end to its start. Which layer undoes which?
# hint: Linear to d_hidden, ReLU, Linear to 32 * 7 * 7, ReLU, nn.Unflatten(1, (32, 7, 7)), and two ConvTranspose2d with a ReLU in between.
# hint: nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1) makes 14 by 14 of 7 by 7.
# %% exercise="autoencoder" title="Both halves" difficulty=1 importance=4 minutes=10
# hint: What does each half take, and what does it give?
# hint: Make both halves in __init__ and keep them; forward calls one on the result of the other.
# hint: return self.decoder(self.encoder(x))
# %% [markdown]
# ### Training
#
# The loss is the **mean squared error**: for each pixel the difference between what came out and what went in, squared, and
# the mean over all pixels of all pictures.
#
# A step has four parts, always in this order: calculate the loss, forget the gradients of the step before, walk back, take a
# step. And one detail: return the loss with `.detach()`. A loss that isn't detached keeps its whole graph alive, and a
# list of such losses fills the memory.
#
# `minibatches` of the library gives every picture once, in a new order each time.
# %% exercise="AutoencoderTrainer" title="Train it" difficulty=2 importance=4 minutes=25
# hint: training_step: which result of the model is compared with what? train: what happens for each batch, and how often is that repeated?
# hint: loss = (self.model(img) - img).pow(2).mean(); zero_grad, backward, step. train has two loops: epochs, and batches in each.
# hint: for img in minibatches(self.images, self.args.batch_size, self.generator): self.losses.append(self.training_step(img).item())
# %%
# The pictures: 6,000 to learn from, 1,000 that no network sees in training. (At the scale "tiny" there are fewer, and only two
# epochs.)
from arena_lib.fundamentals.generative.autoencoder import AutoencoderArgs
from arena_lib.fundamentals.images import load_fashion_mnist

images, labels, class_names = load_fashion_mnist("train")
test_images, test_labels, _ = load_fashion_mnist("test")
if SCALE == "tiny":
    images, labels = images[:512], labels[:512]
n_epochs = 2 if SCALE == "tiny" else 5
mean_error = (test_images - images.mean(dim=0)).pow(2).mean().item()


def smooth(losses, width=10):
    """The mean of each ten losses after another."""
    return torch.tensor(losses).unfold(0, width, width).mean(dim=1)


# %% result
# an autoencoder learns.
# To have something to compare with: whoever may draw only one picture for all clothes does best with the mean of all. The
# dotted line is the mean squared error of that, 0.087. Five numbers for each picture do far better.
ae_trainer = AutoencoderTrainer(AutoencoderArgs(n_epochs=n_epochs), images)
autoencoder = ae_trainer.train()
with torch.no_grad():
    unfolded = autoencoder(test_images)
    ae_error = (unfolded - test_images).pow(2).mean().item()
print(f"mean squared error on pictures it never saw: {ae_error:.4f}; of the mean picture: {mean_error:.4f}")
plots.lines(
    {"autoencoder": smooth(ae_trainer.losses)},
    x=10 * torch.arange(len(ae_trainer.losses) // 10),
    y_title="mean squared error",
    title="Learning to fold",
    references={"the mean picture": mean_error},
)
# %% result
# what is left after folding.
# Ten pictures that it never saw, one of each kind, and what five numbers keep of them. Shapes survive, patterns and
# writing don't. And everything is a little blurred: where the five numbers leave open which of two pictures it was, the
# mean of both has the smallest squared error.
from arena_lib.fundamentals.generative.pictures import picture_rows

one_of_each = [int((test_labels == number).nonzero()[0]) for number in range(10)]
picture_rows(
    {"before": test_images[one_of_each], "after": unfolded[one_of_each].clamp(0, 1)}, title="Folded and unfolded"
)
# %% [markdown]
# ### Can it draw?
#
# The decoder makes a picture of any five numbers. So draw five numbers at random, and there's a new piece of clothing! Let's
# try. As a fair chance, the numbers are normal, with the mean and the deviation that the latents of real pictures have.
# %% result
# what the decoder makes of numbers that no picture has.
# Some look like clothes, many like two at once or like nothing. Nobody told the autoencoder to give a meaning to every place
# between its latents. Real pictures lie in some places, and what the decoder does elsewhere is left to chance.
with torch.no_grad():
    latents = autoencoder.encoder(test_images)
    noise = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    drawn = autoencoder.decoder(latents.mean(dim=0) + latents.std(dim=0) * noise)
picture_rows({"drawn": drawn[:10].clamp(0, 1), "more": drawn[10:].clamp(0, 1)}, title="Drawn by an autoencoder")
# %% [markdown]
# ## 3. Clouds instead of points: a VAE
#
# *About 105 minutes of exercises. You put noise into the latents so that gradients still flow, work out what that costs in
# nats, and draw a map of all clothes.*
#
# How can every place get a meaning? Two ideas, and both are simple.
#
# **First, blur the latents.** The encoder gives not a point but a cloud: a mean $\mu$ and a width $\sigma$ for each latent. The
# decoder gets a random place of that cloud, a new one each time. So it must make the right picture of *all* places near
# $\mu$, and pictures that are neighbours must be alike.
#
# **Second, keep the clouds together.** Left alone, the encoder would move the clouds far apart and make them tiny, and we would
# be where we began. So it pays for each cloud, by how much it differs from one that is the same for all: mean 0, width 1. Then
# the clouds of all pictures together fill the space around 0, and we know where to draw from.
#
# ### Noise that lets gradients through
#
# A place of a cloud is a draw from a normal distribution. But how does a draw depend on $\mu$ and $\sigma$? A call such as
# `torch.normal(mu, sigma)` doesn't say: no gradient comes back, and the encoder learns nothing. The way out is to draw something
# that has nothing to do with the encoder, and then move and stretch it:
#
# $$z = \mu + \sigma \cdot \epsilon \qquad \epsilon \sim \mathcal{N}(0, 1)$$
#
# The result is the same kind of draw. But $\epsilon$ now is a given number like any other, and the slopes are plain: 1 for
# $\mu$, and $\epsilon$ for $\sigma$. This is the **reparameterisation trick**.
#
# A width must be positive, and a network's results needn't be. So the encoder gives $\log \sigma$, of which exp makes a
# positive number.
#
# Be careful with the noise: each latent of each picture has its own. If all latents of a picture share one
# number, the shapes still fit, thanks to broadcasting, and the loss still falls. But the clouds are lines then.
# %% exercise="reparameterise" title="A draw that can learn" difficulty=2 importance=5 minutes=20
# hint: Which part of the result is random, and which parts come from the encoder?
# hint: Draw noise in the shape of mu with torch.randn, from the generator; stretch it by exp(logsigma), and add mu.
# hint: mu + torch.exp(logsigma) * torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
# %% [markdown]
# ### What a cloud costs
#
# How different is a cloud from the standard one, $\mathcal{N}(0, 1)$? The usual measure is the **Kullback-Leibler divergence**. It
# says how many more nats it takes, on average, to say which place was drawn if one expects the standard cloud instead of the
# right one. (A nat is the unit of information that goes with the natural logarithm: 1.44 bits.) For two normal
# distributions the integral can be worked out:
#
# $$\text{KL} = \frac{\sigma^2 + \mu^2 - 1}{2} - \log \sigma$$
#
# Check it at one place: for $\mu = 0$ and $\sigma = 1$ it's 0. Far from 0 it grows with the square of the distance; for narrow
# clouds it grows with $-\log \sigma$. The latents of a picture are independent, so their nats add up.
# %% exercise="kl_to_standard_normal" title="How far from the standard cloud" difficulty=2 importance=4 minutes=15
# hint: Which of the two arguments is sigma, and which power of it does the formula need?
# hint: sigma squared is exp(2 * logsigma). Work out the formula for each entry, then add up over latents, not over the batch.
# hint: ((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=1)
# %% result
# the price of a cloud.
# Each point of the map is a cloud with its mean and its width. The cheapest has mean 0 and width 1 and costs nothing. To
# halve the width costs about 0.3 nats, and to move by two widths of the standard cloud costs 2.
import numpy as np
import plotly.graph_objects as go

means, widths = torch.linspace(-3, 3, 61), torch.linspace(0.1, 2, 58)
price = [kl_to_standard_normal(means[:, None], width.log().expand(61, 1)).tolist() for width in widths]
figure = go.Figure(
    go.Contour(x=means, y=widths, z=price, contours={"start": 0, "end": 6, "size": 0.5}, colorbar={"title": "nats"})
)
figure.update_layout(title="What a cloud costs", xaxis_title="mean", yaxis_title="width", width=640, height=420)
# %% [markdown]
# ### What a picture costs
#
# On the other side stands the error of the picture. To add the two up, it must be in nats as well. So say what an error *means*:
# the decoder doesn't claim to know each pixel, only that it's normal around its guess, with some deviation $s$. (We take
# $s = 0.2$, where white is 0 and black is 1.) Then the picture $x$ has a density, and its logarithm is, for each pixel with
# the guess $\hat{x}$,
#
# $$\log p = -\frac{(x - \hat{x})^2}{2 s^2} - \frac{1}{2} \log (2 \pi s^2)$$
#
# There it is again, the squared error. And $s$ says how much a squared error weighs against a nat of the latents: the smaller
# $s$, the more the picture matters.
# %% exercise="log_likelihood" title="How likely a picture is" difficulty=2 importance=3 minutes=15
# hint: What is the logarithm of the density of a normal distribution?
# hint: Work out the formula for each pixel; then flatten all axes but the batch, and add up.
# hint: nats.flatten(1).sum(dim=1), where nats = -((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2) / 2
# %% [markdown]
# ### The bound
#
# How good is a decoder as a model of all clothes? It should give real pictures a high density $p(x)$: the mean over all $z$ of
# the density that it gives to $x$ from $z$. That mean can't be worked out, as nearly all $z$ give another picture. But it has a
# lower bound that can, and it holds for every encoder:
#
# $$\log p(x) \;\ge\; \underbrace{\mathbb{E}_{z} \log p(x \mid z)}_{\text{the picture}} - \underbrace{\text{KL}}_{\text{the
# cloud}}$$
#
# It's called the **evidence lower bound**, ELBO. To raise it is all that a VAE is trained for. The decoder raises it by better
# guesses. The encoder raises it by clouds that are as narrow and as far out as they need to be, and no more. For the
# mean over $z$ a single draw will do: over many steps its noise cancels.
# %% exercise="compute_elbo" title="The evidence lower bound" difficulty=1 importance=5 minutes=10
# hint: Which of the two parts is good if it's large, and which if it's small?
# hint: You have written both parts. There's one number for each picture.
# hint: return log_likelihood(x, recon, noise) - kl_to_standard_normal(mu, logsigma)
# %% [markdown]
# ### The network
#
# It's your autoencoder with two changes: the encoder gives twice as many numbers, first all means and then all logarithms of
# widths; and between the halves stands the draw.
# %% exercise="vae" title="An encoder of clouds" difficulty=2 importance=4 minutes=20
# hint: How many numbers must the encoder give, and how do you take them apart?
# hint: sample_latent_vector: chunk the encoder's result in two along dim=1, and call reparameterise. forward: decode what was drawn.
# hint: mu, logsigma = self.encoder(x).chunk(2, dim=1); return reparameterise(mu, logsigma), mu, logsigma
# %% exercise="VAETrainer" title="Train it" difficulty=2 importance=4 minutes=15
# hint: Descent makes the loss smaller. What must the loss be so that the ELBO grows?
# hint: The step has the same four parts as before; the loss is minus the mean of compute_elbo over the batch. train is as it was.
# hint: loss = -compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()
# %% result
# a VAE learns, and what it has reached.
# The criteria, in code: its mean squared error is under half of the mean picture's. And its ELBO is stated, in nats for
# each picture, with its two parts. (At the scale "tiny" neither is asked for.)
vae_trainer = VAETrainer(AutoencoderArgs(n_epochs=n_epochs), images)
vae = vae_trainer.train()
torch.manual_seed(0)
with torch.no_grad():
    recon, mu, logsigma = vae(test_images)
    elbo = compute_elbo(test_images, recon, mu, logsigma, vae_trainer.args.noise).mean().item()
    cloud_nats = kl_to_standard_normal(mu, logsigma).mean().item()
vae_error = (recon - test_images).pow(2).mean().item()
print(f"mean squared error {vae_error:.4f}, of the mean picture {mean_error:.4f}")
print(f"ELBO {elbo:.1f} nats for a picture: {elbo + cloud_nats:.1f} of the picture less {cloud_nats:.1f} of the cloud")
assert SCALE == "tiny" or vae_error < mean_error / 2
plots.lines(
    {"VAE": -smooth(vae_trainer.losses)},
    x=10 * torch.arange(len(vae_trainer.losses) // 10),
    y_title="ELBO (nats)",
    title="Learning to fold into clouds",
)
# %% [markdown]
# ### A map of all clothes
#
# Five latents are five directions, and a map has two. Take the two along which the means of real pictures vary most (their
# **principal components**), and see what the decoder makes of each place of that plane.
# %% result
# the latent space as a map.
# There are no gaps: everywhere stands something that could be worn, and neighbours are alike. Follow a row or a column with
# your eyes: heels grow, sleeves shrink, trousers widen into dresses. Nobody told the network that there are such things.
from arena_lib.fundamentals.generative.pictures import picture_map

directions = torch.linalg.svd(mu - mu.mean(dim=0), full_matrices=False).Vh[:2]
n_places = 6 if SCALE == "tiny" else 16
places = torch.linspace(-2.5, 2.5, n_places)
grid = mu.mean(dim=0) + places[None, :, None] * directions[0] + places[:, None, None] * directions[1]
with torch.no_grad():
    atlas = vae.decoder(grid.reshape(-1, 5)).clamp(0, 1)
picture_map(
    atlas,
    places.tolist(),
    places.tolist(),
    x_title="along the first principal direction",
    y_title="along the second",
    title="A map of clothes",
)
# %% [markdown]
# ### A walk
#
# From a shoe to a shirt: take the means of two pictures, and places on the straight line between them. What does one wear in
# between?
# %% exercise="interpolate" title="A straight walk" difficulty=1 importance=3 minutes=10
# hint: If a share of the way is gone, how much of the start and how much of the end is in the place?
# hint: torch.linspace(0, 1, n_steps) gives the shares. Make a column of them, so that they broadcast against a row of latents.
# hint: share = torch.linspace(0, 1, n_steps)[:, None]; return (1 - share) * start + share * end
# %% result
# three walks from a shoe to a shirt.
# At both ends stands what the decoder makes of a real picture. In the straight line between the *pictures*, below, one
# fades out while the other fades in, like two slides in a projector. In the walk between latents, each place is
# a picture of its own, and somewhere on the way the one thing turns into the other.
shoes, shirts = ((test_labels == class_names.index(name)).nonzero()[:3, 0] for name in ("Ankle boot", "Shirt"))
walks = {}
with torch.no_grad():
    for i, (shoe, shirt) in enumerate(zip(shoes, shirts), start=1):
        walks[f"walk {i}"] = vae.decoder(interpolate(mu[shoe], mu[shirt], 12)).clamp(0, 1)
ends = [test_images[index].flatten() for index in (shoes[0], shirts[0])]
walks["faded"] = interpolate(*ends, 12).reshape(-1, 1, 28, 28)
picture_rows(walks, title="From a shoe to a shirt")
# %% result
# new clothes.
# Now the same test that the autoencoder failed: five normal numbers, and the decoder. Look for pictures that are two
# things at once: there are fewer. What has stayed is the blur. A squared error forgives it.
with torch.no_grad():
    vae_samples = vae.decoder(torch.randn(20, 5, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
picture_rows(
    {
        "autoencoder": drawn[:10].clamp(0, 1),
        "VAE": vae_samples[:10],
        "VAE, more": vae_samples[10:],
        "real": test_images[:10],
    },
    title="Drawn from noise",
)
# %% [markdown]
# ## What you have learned
#
# A transposed convolution stamps its kernel once for each input, and adds up. It's also a convolution, of an input with
# zeros between and around its entries, with the kernel read backwards. Kernels whose size isn't a multiple of the stride leave
# a chequered pattern.
#
# An autoencoder folds pictures into a few numbers, but leaves it to chance what lies between them. A VAE folds them into
# clouds, pays for these in nats, and so gives a meaning to every place: its ELBO is a lower bound on the logarithm of the
# density of a picture. Noise that is drawn first and then moved and stretched lets gradients through.
#
# ## What comes next
#
# What draws without blur has no squared error: a generator whose loss is another network, which it must deceive.
#
# ## On your own
#
# - **Two latents.** Train a VAE with d_latent=2, and draw the map of its whole latent space, without principal directions. Which
#   kinds of clothes are neighbours? How many nats does the ELBO lose against five latents?
# - **A learned deviation.** Make the noise of the pixels a parameter that learns by the ELBO too. Which value does it find, and
#   why does the ELBO get better while the pictures hardly change?
# - **Replicate a paper.** Higgins et al. 2017 weigh the cloud more than the picture, and find latents that each stand for one
#   thing. Burgess et al. 2018 ([arXiv:1804.03599](https://arxiv.org/abs/1804.03599)) explain why. Train with two, four and eight
#   times the KL divergence, and change one latent at a time.
#
# ## Reading
#
# - Dumoulin and Visin 2016, [A guide to convolution arithmetic for deep learning](https://arxiv.org/abs/1603.07285),
#   chapter 4
# - Odena, Dumoulin and Olah 2016, [Deconvolution and checkerboard artifacts](https://distill.pub/2016/deconv-checkerboard/)
# - Kingma and Welling 2013, [Auto-encoding variational Bayes](https://arxiv.org/abs/1312.6114), sections 2 and 3
# - Kingma and Welling 2019, [An introduction to variational autoencoders](https://arxiv.org/abs/1906.02691), chapter 2
