# ---
# arena: {id: "0.5", slug: vaes_and_gans, title: VAEs and GANs, hours: 3}
# objectives:
#   - "Make pictures larger by transposed convolutions, and write these from their definition"
# ---
# %% [markdown]
# ## What you will build
#
# A classifier takes a picture and gives a few numbers. This section goes the other way: from a few numbers to a picture.
# You begin with the layer that makes pictures larger.
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
# ## What you have learned
#
# A transposed convolution stamps its kernel once for each input, and adds up. It's also a convolution, of an input with
# zeros between and around its entries, with the kernel read backwards. Its stride makes pictures larger; its padding cuts
# edges off. Kernels whose size isn't a multiple of the stride leave a chequered pattern.
#
# ## What comes next
#
# Networks that draw are made of such layers: an autoencoder, which folds a picture into five numbers and unfolds it again,
# and a generator, which makes pictures from noise.
#
# ## On your own
#
# - **A learned enlargement.** Halve any pictures in size by the mean of each two by two pixels. Train one layer of yours,
#   with a kernel of 4 and a stride of 2, to bring the originals back. Is what it learns a pyramid?
# - **One matrix.** Write down the matrix of a convolution with stride 2, as a table of numbers. Transpose it, and multiply:
#   is that what `stamp_kernel` gives?
# - **Replicate a paper.** Shi et al. 2016 ([arXiv:1609.07009](https://arxiv.org/abs/1609.07009)) show that a transposed
#   convolution is an ordinary one with more channels, whose channels are then shuffled into space. Write it so, and compare
#   the times.
#
# ## Reading
#
# - Dumoulin and Visin 2016, [A guide to convolution arithmetic for deep learning](https://arxiv.org/abs/1603.07285),
#   chapter 4
# - Odena, Dumoulin and Olah 2016, [Deconvolution and checkerboard artifacts](https://distill.pub/2016/deconv-checkerboard/)
