# ---
# arena: {id: "0.5", slug: vaes_and_gans, title: VAEs and GANs, hours: 9}
# objectives:
#   - "Make pictures larger by transposed convolutions, and write these from their definition"
#   - "Fold pictures into five numbers and unfold them again, by an autoencoder"
#   - "Turn it into a model of all pictures, a VAE, and know what its loss means in nats"
#   - "Train a generator against a critic, a GAN, and measure what it draws"
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
#   walk from a shoe to a shirt,
# - **a GAN**: a generator that learns to deceive another network, which learns to tell its pictures from real ones.
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
# | 4. A critic in place of a squared error: a GAN | 165 |
#
# These are the minutes of the exercises, seven and a half hours together; the rest is for reading and for looking.
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
# %% exercise="conv_transpose2d_module" title="A layer with weights that learn" difficulty=2 importance=2 minutes=15
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
# %% exercise="tanh" title="Between -1 and 1" difficulty=2 importance=2 minutes=10
# hint: Which part of the formula becomes inf for x = 1000, and which for x = -1000?
# hint: Beyond 20, tanh is 1 as far as a computer can tell. So x may be clamped before exp sees it. Or divide both by exp(x).
# hint: x = x.clamp(-20, 20), and then the formula; or 2 / (1 + torch.exp(-2 * x)) - 1
# %% exercise="sigmoid" title="A probability" difficulty=1 importance=2 minutes=5
# hint: What is 1 / inf?
# hint: The formula as it stands gives 0 or 1 for large |x|, and no nan. Other ways of writing it may not.
# hint: return 1 / (1 + torch.exp(-x))
# %% [markdown]
# A **leaky relu** doesn't make negative numbers 0. It makes them smaller: `negative_slope * x`. Where a relu gives 0, its
# slope is 0 too, and no gradient comes back through it. You will train one network by gradients that come *through
# another network*. There each dead place costs something, so let it leak.
# %% exercise="leaky_relu" title="A relu that leaks" difficulty=1 importance=2 minutes=5
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
# A step has four parts, always in this order: calculate the loss, forget the gradients of the step before (`zero_grad`), find the
# new ones (`backward`), and take a step (`step`). And one detail: return the loss with `.detach()`. A loss that isn't detached keeps its whole graph alive, and a
# list of such losses fills the memory.
#
# `minibatches` of the library gives every picture once, in a new order each time.
# %% exercise="autoencoder_trainer" title="Train it" difficulty=2 importance=4 minutes=25
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
# Count those that could be worn. Nobody told the autoencoder to give a meaning to every place between its latents. Real
# pictures lie in some places, and what the decoder does elsewhere is left to chance.
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
# ![Above: an autoencoder, with a point between its halves. Below: a VAE, with a cloud there, and a place drawn from it](figures/autoencoder_and_vae.png)
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
# halve the width costs about 0.3 nats, and to move by two widths of the standard cloud costs 2. Each line joins clouds of one price,
# which is written on it.
import numpy as np
import plotly.graph_objects as go

from arena_lib.plots.style import finish

means, widths = torch.linspace(-3, 3, 61), torch.linspace(0.1, 2, 58)
price = [kl_to_standard_normal(means[:, None], width.log().expand(61, 1)).tolist() for width in widths]
figure = go.Figure(
    go.Contour(
        x=means,
        y=widths,
        z=price,
        contours={"start": 0.5, "end": 6, "size": 0.5, "showlabels": True},
        colorscale="Blues",
        colorbar={"title": "nats"},
    )
)
figure.update_layout(xaxis_title="mean", yaxis_title="width")
finish(figure, "What a cloud costs", width=640, height=420)
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
# Here $p(x \mid z)$ is the density that the decoder gives to $x$ from $z$, which your `log_likelihood` calculates, and
# $\mathbb{E}_z$ is the mean over draws of $z$ from the cloud that the encoder gives. Why is it only a bound? The encoder's cloud is a guess
# at which $z$ belong to $x$. The better the guess, the closer the bound; where the guess is exact, both sides are equal.
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
# %% exercise="vae_trainer" title="Train it" difficulty=2 importance=4 minutes=15
# hint: Descent makes the loss smaller. What must the loss be so that the ELBO grows?
# hint: The step has the same four parts as before; the loss is minus the mean of compute_elbo over the batch. train is as it was.
# hint: loss = -compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()
# %% result
# a VAE learns, and what it has reached.
# The criteria, in code: its mean squared error is under half of the mean picture's. And its ELBO is stated, in nats for
# each picture, with its two parts. In our run, at the scale "full", the error was 0.026, against 0.087 of the mean picture, and
# the ELBO about 270 nats: 285 of the picture less 15 of the cloud. (At the scale "tiny" nothing is asked for.)
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
# Neighbours are alike, all over the map. In our run shoes lay at one side and tops at the other, trousers had a corner of their
# own, and between boots and tops stood bags. Along an edge tops narrowed into trousers. (Which kind lies where is another matter
# with each seed.) Nobody told the network that there are kinds.
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
# fades out while the other fades in, like two slides in a projector. In the walk between latents, each place is a picture of
# its own. In ours the boot's shaft grew wider until it was a bag, and the bag grew into a shirt.
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
# Now the same test for both: five normal numbers, and the decoder. In which rows are there more that could be worn? And
# compare with the real ones: the VAE's have no folds, no patterns, no writing. A squared error forgives blur.
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
# ## 4. A critic in place of a squared error: a GAN
#
# *About 165 minutes of exercises. You train two networks against each other, and measure what comes out by a third.*
#
# Why are the VAE's pictures blurred? Because of what it's told: come near each pixel, on average. If a sleeve may end here or
# there, the best average is half a sleeve at both places. No person would take that for a photograph. So let a *network* say
# what looks real, and train it to say so.
#
# A **generative adversarial network** has two parts.
#
# - The **generator** makes pictures from noise.
# - The **discriminator** looks at pictures, real ones and generated ones, and says which is which.
#
# ![Noise goes through the generator to a picture; this and real ones go to the discriminator, which gives a logit; a gradient goes back](figures/gan.png)
#
# Both learn at the same time. The discriminator learns to tell them apart; the generator learns to deceive it. The generator
# never sees a real picture. All that it knows of clothes it has from the discriminator's gradient: *this pixel darker, and I
# would rather believe you.*
#
# ### First weights
#
# Two networks that learn against each other lose their balance easily, and how they begin matters. The authors of the DCGAN
# (Radford et al. 2016) drew all weights from a normal distribution with a deviation of 0.02. Batch norms have a factor for each
# channel; that one is drawn around 1. With a factor of 0 nothing would pass.
# %% exercise="initialize_weights" title="First weights" difficulty=2 importance=2 minutes=15
# hint: How do you reach every layer of a network, also those inside a Sequential inside another?
# hint: model.modules() goes through all of them. isinstance says which kind it is; nn.init.normal_ and nn.init.zeros_ write in place.
# hint: nn.init.normal_(module.weight, 0.0, 0.02) for three kinds, nn.init.normal_(module.weight, 1.0, 0.02) for BatchNorm2d; a bias may be None.
# %% [markdown]
# ### The two networks
#
# The generator is like your decoder: it doubles the height and the width twice. New are **batch norms**, which bring each
# channel to mean 0 and width 1 over the batch and keep the signal alive in all layers; and a tanh at the end, because the pixels
# of real pictures will lie between -1 and 1. A layer in front of a batch norm needs no bias: the mean is taken away
# anyhow. (The DCGAN of the paper has 1024 channels at its widest. Ours has 64, so that a laptop can train it.)
# %% exercise="make_generator" title="From noise to a picture" difficulty=2 importance=4 minutes=20
# hint: It's your decoder, with one Linear in place of two, and with batch norms. Which layers have no bias?
# hint: Linear, Unflatten, BatchNorm2d, ReLU; ConvTranspose2d, BatchNorm2d, ReLU; ConvTranspose2d, Tanh.
# hint: nn.Linear(d_latent, 2 * n_channels * 7 * 7, bias=False), nn.Unflatten(1, (2 * n_channels, 7, 7)), nn.BatchNorm2d(2 * n_channels), ...
# %% [markdown]
# The discriminator is like your encoder, with relus that leak: the generator learns by a gradient that comes through them. Its
# result is a **logit**, one number for each picture. Sigmoid makes of it the probability that the picture is real.
# %% exercise="discriminator" title="From a picture to an opinion" difficulty=2 importance=4 minutes=20
# hint: It's your encoder with one result, LeakyReLUs, and a batch norm after the second convolution.
# hint: self.layers = nn.Sequential(Conv2d, LeakyReLU(0.2), Conv2d, BatchNorm2d, LeakyReLU(0.2), Flatten, Linear); the result loses its last axis.
# hint: return self.layers(x)[:, 0]
# %% [markdown]
# ### Two losses
#
# The discriminator gives a probability $D(x)$ that $x$ is real. It's right if that is high for real pictures and low for
# generated ones. The loss is the surprise at the truth, in nats, as in every classifier:
#
# $$L_D = -\text{mean} \log D(x_\text{real}) - \text{mean} \log (1 - D(x_\text{fake}))$$
#
# A discriminator that has no idea says 0.5 to everything, and its loss is $2 \log 2 \approx 1.39$.
#
# Once more, a formula isn't a program. For a logit of -200 the sigmoid is 0 in float32, and the logarithm of 0 is `-inf`. But
# $-\log \text{sigmoid}(l) = \log(1 + e^{-l})$, which is called **softplus** of $-l$, and PyTorch has a `softplus` that
# never overflows.
# %% exercise="discriminator_loss" title="Telling them apart" difficulty=2 importance=4 minutes=15
# hint: If the logit of a real picture is l, what is -log sigmoid(l) in terms of softplus? And -log(1 - sigmoid(l)) for a generated one?
# hint: softplus(-l) for real pictures, softplus(l) for generated ones. A mean for each kind, and their sum.
# hint: return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
# %% [markdown]
# The generator wants the opposite. The plain opposite would be to raise $L_D$, so to lower $\log(1 - D(x_\text{fake}))$. But think of the
# beginning: the generator draws noise, the discriminator is sure, the logit is far below 0. There this function is *flat*.
# The generator would get no gradient just when it needs one most. It **saturates**. So one takes another function that wants
# the same and is steep there: $-\log D(x_\text{fake})$.
# %% exercise="generator_loss" title="Deceiving" difficulty=2 importance=4 minutes=10
# hint: Which logit does the generator want for its pictures?
# hint: Its loss for generated pictures is the discriminator's loss for real ones.
# hint: return F.softplus(-logits_fake).mean()
# %% result
# two losses for a generator, and where they are steep.
# To the left the discriminator is sure that the picture is generated, as it is at first. There the slope of the loss that
# saturates is nearly 0, and the other's is -1. To the right, where the generator is winning, it's the other way round.
logits = torch.linspace(-8, 8, 161, requires_grad=True)
saturating = -torch.nn.functional.softplus(logits)
ours = torch.stack([generator_loss(logit[None]) for logit in logits])
both = {"-log D: the one we take": ours, "log(1 - D): saturates": saturating}
plots.lines(
    {name: torch.autograd.grad(loss.sum(), logits)[0] for name, loss in both.items()},
    x=logits,
    x_title="logit of a generated picture",
    y_title="slope of the loss",
    title="Where a generator gets a gradient",
)
# %% [markdown]
# ### A step of each
#
# The discriminator's step looks at generated pictures, and these know how they were made: their graph leads back into the generator.
# This step mustn't go there. It would cost time, leave gradients at the generator that are of no use, and take the graph apart
# that the generator's own step needs. `img_fake.detach()` is the same picture without a past.
#
# In the generator's step it's the opposite. The gradient must go *through* the discriminator and into the generator. It leaves
# gradients at the discriminator's weights on the way, but only the generator's optimizer takes a step. That's why the
# discriminator's next step begins with `zero_grad`.
#
# Now and then a gradient is so long that one step would throw a network off its course. So the gradient of all of its parameters
# together is scaled down if it's longer than `clip_grad_norm`: after it has been worked out, and before the step.
# %% exercise="training_step_discriminator" title="A step of the discriminator" difficulty=3 importance=5 minutes=20
# hint: Which of the two pictures has a past, and what must become of it?
# hint: Call the discriminator on each kind by itself, take the loss, zero_grad, backward, clip, step.
# hint: loss = discriminator_loss(discriminator(img_real), discriminator(img_fake.detach())); nn.utils.clip_grad_norm_(discriminator.parameters(), clip_grad_norm)
# %% exercise="training_step_generator" title="A step of the generator" difficulty=3 importance=5 minutes=15
# hint: What does the gradient pass on its way from the loss to the generator's weights? Is anything to be detached?
# hint: The same five parts, with the generator's loss, optimizer and parameters. Nothing is detached but the loss that is returned.
# hint: loss = generator_loss(discriminator(img_fake)); ...; nn.utils.clip_grad_norm_(generator.parameters(), clip_grad_norm)
# %% exercise="dcgan_trainer" title="Taking turns" difficulty=3 importance=5 minutes=30
# hint: What does one turn need: which pictures, and which two steps in which order?
# hint: For each epoch and each batch: noise, fakes, the discriminator's step, the generator's step with the same fakes, both losses. After an epoch, samples.
# hint: img_fake = self.generator(self.draw_noise(len(img_real))); loss_d = training_step_discriminator(self.discriminator, self.optimizer_D, img_real, img_fake, clip)
# %% [markdown]
# ### How good is it?
#
# There's no held-out loss that says how good a generator is. The discriminator's loss won't do: it says how good the generator is
# *against this discriminator*. So ask a third network, a plain classifier of clothes, that has nothing to do with either.
#
# - **Are all kinds there?** Take the mean of its probabilities over many generated pictures, and the entropy of that mean. If the
#   generator makes nothing but shirts, it's near 0. If all ten kinds are equally frequent, it's $\log 10 = 2.30$ nats. A generator
#   that has found one picture that works and makes no other is a common failure, **mode collapse**. This number shows it.
#   (Beware: pictures that look like nothing at all leave the classifier unsure, and the mean is even as well. So this number
#   says something only together with the next.)
# - **Is each clearly one kind?** A good picture gives probabilities with a low entropy of their own. The **score** puts the two
#   together: exp of the first entropy less the mean of the second. It's 10 if each picture is surely of one kind and all kinds
#   are equally frequent, and 1 if all look alike.
# %% exercise="class_entropy" title="Are all kinds there?" difficulty=2 importance=3 minutes=10
# hint: Entropy of what: of each row, or of their mean?
# hint: The mean over rows, then -sum of p * log(p). What is 0 * log(0) for a computer? torch.special.entr knows better.
# hint: return torch.special.entr(probs.mean(dim=0)).sum()
# %% exercise="classifier_score" title="Is each clearly one kind?" difficulty=2 importance=3 minutes=10
# hint: Which of the two entropies should be large, and which small?
# hint: exp of the entropy of the mean, less the mean of the entropies of the rows.
# hint: torch.exp(class_entropy(probs) - torch.special.entr(probs).sum(dim=1).mean())
# %% result
# a generator learns, epoch by epoch.
# Press Play: the same twenty numbers of noise for each picture, after each epoch. What comes first, outlines or shades? Does a
# picture stay the same piece of clothing to the end? (This is the longest run of the section: at the scale "full" it may take
# three minutes on two cores, more if they are busy.)
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs
from arena_lib.fundamentals.generative.gan.training import generate
from arena_lib.fundamentals.generative.pictures import picture_film

gan_args = DCGANArgs(n_epochs=2) if SCALE == "tiny" else DCGANArgs()
gan_trainer = DCGANTrainer(gan_args, 2 * images - 1)
generator = gan_trainer.train()
picture_film(
    (torch.stack(gan_trainer.samples) + 1) / 2,
    list(range(1, gan_args.n_epochs + 1)),
    title="What the generator makes of the same noise",
)
# %% result
# the contest.
# At the first dotted line, 1.39, the discriminator has no idea; at the second, 0.69, the generator is taken for real half the
# time. Don't wait for both curves to fall: each network's task gets harder as the other learns.
plots.lines(
    {"discriminator": smooth(gan_trainer.losses_D), "generator": smooth(gan_trainer.losses_G)},
    x=10 * torch.arange(len(gan_trainer.losses_D) // 10),
    y_title="loss (nats)",
    title="Two networks against each other",
    references={"discriminator without an idea": 2 * np.log(2), "generator that deceives half the time": np.log(2)},
)
# %% result
# real pictures, the VAE's and the GAN's, side by side, and their scores.
# Look first, then read the numbers: do they agree with your eyes? The judge is a small classifier that is trained here in a moment,
# so a score of generated pictures means something only beside the score of real ones. The criterion for the GAN is that all
# kinds are there, a class entropy of at least 2.1 of 2.30 nats, and that its score is at least 0.55 of that of real pictures.
# It's printed whether it holds, and not asserted: a GAN may fail with one seed and succeed with the next. With each of five seeds
# ours had a class entropy of 2.16 to 2.27 and 0.63 to 0.69 of the real score, always more than the VAE's 0.57 to 0.59. In our run (ten epochs, seed 0) the class entropy was 2.26 and the score 4.2, where
# real pictures scored 6.2 and the VAE's 3.5. Your eyes may say the same: the GAN's pullovers and trousers have sharp edges and
# cloth with a texture, but many of its shoes and bags are mere smudges. `python -m benchmarks.studies.generative` of the repository measures five seeds.
from arena_lib.fundamentals.generative.scores import class_probabilities, train_judge

judge = train_judge(images, labels, n_epochs=1 if SCALE == "tiny" else 4)
n_rated = 200 if SCALE == "tiny" else 1000
noise = torch.Generator().manual_seed(0)
with torch.no_grad():
    rated = {
        "real": test_images[:n_rated],
        "VAE": vae.decoder(torch.randn(n_rated, 5, generator=noise)).clamp(0, 1),
        "GAN": generate(generator, n_rated, gan_args.d_latent, noise),
    }
probs = {name: class_probabilities(judge, pictures) for name, pictures in rated.items()}
entropies = {name: class_entropy(rows).item() for name, rows in probs.items()}
ratings = {name: classifier_score(rows).item() for name, rows in probs.items()}
for name in rated:
    print(f"{name}: class entropy {entropies[name]:.2f} of {np.log(10):.2f} nats, score {ratings[name]:.1f} of 10")
if SCALE == "full":
    print(f"the GAN draws all kinds (class entropy of at least 2.1): {entropies['GAN'] >= 2.1}")
    print(f"its score is at least 0.55 of that of real pictures: {ratings['GAN'] >= 0.55 * ratings['real']}")
picture_rows(
    {
        f"{name}{more}": pictures[start : start + 12]
        for name, pictures in rated.items()
        for start, more in ((0, ""), (12, ", more"))
    },
    title="Real, and drawn by two networks",
).show()
plots.bars(
    {"score": list(ratings.values())}, list(ratings), y_title="classifier score (1 to 10)", title="How good are they?"
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
# A GAN has no density and no bound, and no blur. Its generator learns from the gradient of a critic, which learns from the
# generator's faults. What it draws must be measured from outside: are all kinds there, and is each clearly one?
#
# ## What comes next
#
# Section 1.3.3 has autoencoders again, of another kind: with more latents than inputs, most of them 0, and the question what
# each stands for.
#
# ## On your own
#
# - **Two latents.** Train a VAE with d_latent=2, and draw the map of its whole latent space, without principal directions. Which
#   kinds of clothes are neighbours? How many nats does the ELBO lose against five latents?
# - **A generator that collapses.** Train the GAN with ten times the learning rate for one of the two networks. What happens to
#   the class entropy, and which of the two losses tells you so first?
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
# - Goodfellow et al. 2014, [Generative adversarial nets](https://arxiv.org/abs/1406.2661)
# - Radford, Metz and Chintala 2016, [Unsupervised representation learning with deep convolutional generative adversarial
#   networks](https://arxiv.org/abs/1511.06434), sections 3 and 4
# - Salimans et al. 2016, [Improved techniques for training GANs](https://arxiv.org/abs/1606.03498), section 4
# - Kingma and Welling 2019, [An introduction to variational autoencoders](https://arxiv.org/abs/1906.02691), chapter 2
