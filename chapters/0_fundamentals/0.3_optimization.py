# ---
# arena: {id: "0.3", slug: optimization, title: Optimization, hours: 11}
# objectives:
#   - "Write the optimizers that networks are trained with, from gradient descent to Muon, and say what each one adds"
#   - "Watch them walk over surfaces whose shape you know, and see why one gets stuck where another doesn't"
#   - "Give groups of parameters settings of their own, and let the learning rate change over a run"
#   - "Let a program search for settings, and keep a record of every run"
#   - "Make collectives of sends and receives, and train one network on several processes as if on one"
# ---
# %% [markdown]
# ## What you will build
#
# `loss.backward()` tells you, for each of a network's numbers, which way is uphill and how steep it is. It doesn't tell you
# *how far to go*. That is the optimizer's job. A step that is too short wastes your time, and one that is too long throws you
# across the valley. One number, the learning rate, must serve a million weights, whose slopes differ a thousandfold.
#
# Every optimizer in use is an answer to that. None is longer than ten lines. You write
#
# - **gradient descent**, **momentum** and **Nesterov's momentum**,
# - **RMSprop**, **Adam** and **AdamW**, which give every number a step size of its own,
# - **Muon**, which treats a matrix as a matrix,
# - **parameter groups** and **schedules**: settings that differ between parameters, and from step to step,
# - **a search** for settings with Optuna, in which each run leaves a record,
# - **collectives**, and a trainer with which several processes learn as one.
#
# ### How to work through this
#
# Each exercise is a function or a class with a gap. The docstring says what must hold. A judge looks at your code and
# tells you what is wrong. Each exercise has three hints, from the idea to the step.
#
# You need tensors, and to know what `loss.backward()` does: it leaves a gradient in `param.grad` for each parameter
# (section 0.4 shows how). In formulas, $\theta$ is a parameter (the docstrings call it p), $g$ its gradient, $\eta$ the
# learning rate `lr`. Everything is done entry by entry, until Muon.
#
# | part | minutes |
# |---|---|
# | 1. Downhill | 90 |
# | 2. A step size for every number | 140 |
# | 3. Groups and schedules | 85 |
# | 4. Searching, and keeping track | 65 |
# | 5. Many processes | 150 |
#
# These are the minutes of the exercises. The hours at the top leave the rest for reading, and for looking at what comes out.
#
# ## 1. Downhill
#
# *About 90 minutes of exercises. You walk down surfaces, and write your first optimizers.*
#
# A network's loss depends on so many numbers that nobody can see its shape. So begin with two numbers, $x$ and $y$, and a
# surface above them. You can look at that from above, as at a hiking map.
#
# The gradient of a surface points uphill. Plain gradient descent takes a step the other way, as long as the ground is steep:
#
# $$\theta \leftarrow \theta - \eta\, g$$
# %% exercise="gradient_descent" title="Straight downhill" difficulty=2 importance=4 minutes=15
# hint: What do you need at each point before you can take a step from it?
# hint: Make a copy of the point that requires a gradient, call fn on its two numbers, and ask torch.autograd.grad for the gradient. Keep every point in a list.
# hint: point = points[-1].clone().requires_grad_(); (grad,) = torch.autograd.grad(fn(point[0], point[1]), point); points.append(points[-1] - lr * grad)
# %% [markdown]
# Here is a surface with a difficulty, and it's the difficulty that most of this section is about. The **ravine** is
# $(x^2 + 25 y^2) / 2$: a valley along $x$ with steep walls. Across it the ground is twenty-five times as steep as along it.
# So straight downhill is nearly always *across*.
# %% result
# sixty steps in the ravine, with four learning rates.
# You look down on the surface as on a map: light is low, dark is high, and each line joins places of one height. All begin at
# (-4, 1), on the wall; the star is the lowest point. Press Play, or move the slider, and click on a name at the right to hide
# its way. With 0.004 the way is safe, and gets nowhere. With 0.05 it's best. With 0.079 each step lands on the opposite wall. With 0.081 each one lands a little
# *higher* on it, and the way leaves the picture: the limit lies at 2 / 25 = 0.08, since the slope across is 25 y, and a step
# of 0.08 times that goes from y to -y exactly.
import torch

from arena_lib import plots
from arena_lib.fundamentals.optimizers import SURFACES, heights_on_grid
from arena_lib.plots.optimization.descent_film import descent_film

ravine = SURFACES["ravine"]
start = torch.tensor(ravine.start)
by_rate = {lr: gradient_descent(ravine.fn, start, lr=lr, n_iters=61) for lr in (0.081, 0.079, 0.05, 0.004)}
descent_film(
    *heights_on_grid(ravine),
    {f"lr = {lr:g}": way for lr, way in by_rate.items()},
    lowest=ravine.lowest,
    title="Gradient descent in a ravine",
)
# %% [markdown]
# The best rate is set by the steepest direction, and in all others you crawl. That is the whole trouble. What could help?
#
# **Momentum.** Think of a heavy ball instead of a hiker. Across the ravine the pushes alternate, left, right, left, and
# cancel out. Along it they all go the same way, and add up. So keep a velocity $v$, which each gradient only nudges:
#
# $$v \leftarrow \mu v + g \qquad\qquad \theta \leftarrow \theta - \eta\, v$$
#
# The momentum $\mu$ says how much of the velocity is left after a step. If the slope stays the same, velocities add up to
# $g (1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$: with $\mu = 0.9$ that's ten times as fast.
#
# PyTorch's optimizer does this, and you will write it yourself in a moment. First use it. Three lines make a step of
# training anywhere: `zero_grad` forgets the old gradients, `backward` finds the new ones, `step` moves.
# %% exercise="opt_fn_with_sgd" title="Let PyTorch walk" difficulty=3 importance=4 minutes=15
# hint: What does an optimizer need to be made, and what do the three lines of a step look like?
# hint: The optimizer changes its tensor in place. So give it a copy of xy that requires a gradient, and record a clone before each step.
# hint: optimizer = torch.optim.SGD([point], lr=lr, momentum=momentum); points.append(point.detach().clone()); optimizer.zero_grad(); fn(point[0], point[1]).backward(); optimizer.step()
# %% result
# momentum in the ravine.
# All four have the learning rate 0.02. The last point of the way without momentum is at a height of 0.74, with 0.5
# at 0.06, with 0.9 at 0.03. With 0.98 it's still at 2.8: too heavy a ball rolls past the lowest point and up the other
# side.
ravine_ways = {
    f"momentum {momentum:g}": opt_fn_with_sgd(ravine.fn, start, lr=0.02, momentum=momentum, n_iters=60)
    for momentum in (0.0, 0.5, 0.9, 0.98)
}
descent_film(*heights_on_grid(ravine), ravine_ways, lowest=ravine.lowest, title="Momentum in a ravine")
# %% [markdown]
# ### Your own optimizer
#
# An optimizer is an object with a list of parameters and two methods. What could be hard about that? Details, each of which
# has cost somebody a day:
#
# - `model.parameters()` is a **generator**: it can be gone through only once. Keep a list.
# - A parameter must change **in place**. `param = param - ...` makes a new tensor and gives it a local name; the model never hears
#   of it. `param -= ...` changes the memory that the model uses.
# - PyTorch records what you do to a parameter, so that it can find gradients. A parameter is a **leaf** of that record: it wasn't
#   calculated from other tensors. PyTorch refuses to let a leaf change in place, unless you say `with torch.no_grad():` (or put
#   `@torch.no_grad()` above the method). That means: don't record what happens here.
# - A parameter that took no part in the loss has `param.grad is None`. It stays as it is.
# %% exercise="plain_sgd" title="The smallest optimizer" difficulty=2 importance=5 minutes=15
# hint: Which of the four points above belongs to which of your methods?
# hint: zero_grad sets param.grad = None for each parameter. step goes through them under torch.no_grad(), and skips those whose grad is None.
# hint: self.params = list(params); in step: if param.grad is not None: param -= self.lr * param.grad
# %% [markdown]
# ### With momentum and weight decay
#
# **Weight decay** pulls each weight towards 0, as if a spring were tied to it. A spring's force grows with the weight, so it's
# added to the gradient: $g + \lambda \theta$. Networks with smaller weights often do better on examples they haven't seen.
#
# Now the optimizer has a **state**: a velocity for each parameter, which must be there again in the next step. Where does it begin?
# At zero, so that the first velocity is the first gradient.
#
# One more trap: `param.grad` isn't yours. Others may look at it, or add to it. So don't write `param.grad += ...`.
# %% exercise="sgd" title="A heavy ball" difficulty=4 importance=5 minutes=30
# hint: Which three lines does the docstring give, and which of them must leave something behind for the next step?
# hint: zip(self.params, self.velocities) pairs each parameter with its velocity. Change both in place, under torch.no_grad().
# hint: velocity.mul_(self.momentum).add_(param.grad + self.weight_decay * param); param -= self.lr * velocity
# %% [markdown]
# **Nesterov's momentum** looks where it is going. The ball will move by $\mu v$ in any case. So take that into account
# at once: the step is $g + \mu v$, with the new $v$, in place of $v$. It's a small change. It brakes earlier, when
# the ground begins to rise.
# %% exercise="nesterov_sgd" title="Look ahead" difficulty=2 importance=2 minutes=15
# hint: What changes in your SGD? Only what is subtracted at the end.
# hint: You need g with the decay in it twice: in the velocity, and in the step.
# hint: grad = param.grad + self.weight_decay * param; velocity.mul_(self.momentum).add_(grad); param -= self.lr * (grad + self.momentum * velocity)
# %% result
# your three optimizers on Rosenbrock's banana.
# The valley is narrow and bent, and its floor falls so gently that plain descent hardly moves once it's down there. All three
# have the learning rate 0.001; the two with momentum have 0.95. The last of the 200 points is at a height of 3.47 without
# momentum, of 0.011 with it, and of 0.0003 with Nesterov's.
from arena_lib.fundamentals.optimizers import opt_fn

banana = SURFACES["rosenbrock"]
banana_ways = {
    name: opt_fn(banana.fn, torch.tensor(banana.start), cls, {"lr": 0.001, **more}, n_iters=200)
    for name, cls, more in [
        ("plain", PlainSGD, {}),
        ("momentum", SGD, {"momentum": 0.95}),
        ("Nesterov", NesterovSGD, {"momentum": 0.95}),
    ]
}
descent_film(*heights_on_grid(banana), banana_ways, lowest=banana.lowest, title="Three ways down the banana")
# %% [markdown]
# ## 2. A step size for every number
#
# *About 140 minutes of exercises. You write RMSprop, Adam, AdamW and Muon, and compare them in training.*
#
# Momentum softens the trouble of the ravine. Can one get rid of it? If the slopes along $y$ are always twenty-five times as
# large as those along $x$, then *measure* how large they usually are, and divide by it. Then every number moves at about the
# same speed.
#
# "Usually" asks for an average over the last steps. Keeping all of them would take too much memory. A **running average**
# needs one number: in each step it keeps a share $\beta$ of what it was, and takes in $1 - \beta$ of what is new.
#
# $$m \leftarrow \beta\, m + (1 - \beta)\, \text{value}$$
#
# It begins at 0, and that's a problem: after the first step with $\beta = 0.99$ it is a hundredth of the first value. How
# much weight has it taken in after $t$ steps? $(1 - \beta)(1 + \beta + \dots + \beta^{t-1}) = 1 - \beta^t$. So $m / (1 - \beta^t)$ is a
# true average at any time.
# %% exercise="moving_average" title="An average that forgets" difficulty=2 importance=4 minutes=15
# hint: Two numbers matter in each step: m, which goes on, and what is given out.
# hint: Begin with m = 0. In step t (counted from 1) update m, then put m / (1 - beta**t) into the result if corrected, else m.
# hint: for i, value in enumerate(values): average = beta * average + (1 - beta) * value; averages[i] = average / (1 - beta ** (i + 1)) if corrected else average
# %% result
# a noisy gradient, averaged with and without the correction.
# The true slope is 1. Without the correction, the average needs a hundred steps to come up from 0. If a step is *divided* by the
# root of such an average, it's far too long for just as many steps.
noise = torch.Generator().manual_seed(0)
slopes = 1 + 0.5 * torch.randn(120, generator=noise)
plots.lines(
    {
        "each step": slopes,
        "average, corrected": moving_average(slopes, 0.97),
        "average, not corrected": moving_average(slopes, 0.97, corrected=False),
    },
    y_title="slope",
    title="A running average begins too low",
    references={"truth": 1.0},
)
# %% [markdown]
# ### RMSprop
#
# The size of a gradient is measured by the average of its square, $s$; the root of that is its "root mean square". RMSprop
# divides by it:
#
# $$s \leftarrow \alpha s + (1 - \alpha) g^2 \qquad\qquad \theta \leftarrow \theta - \eta \frac{g}{\sqrt{s} + \epsilon}$$
#
# The small number $\epsilon$ ("epsilon") keeps a gradient of 0 from being divided by 0. Where it's added matters:
# here outside of the root. RMSprop doesn't correct the bias of $s$. Our class has momentum and weight decay as well.
# %% exercise="rmsprop" title="Divide by what is usual" difficulty=3 importance=3 minutes=20
# hint: There are two states for each parameter now: the average square, and the velocity.
# hint: g with the decay; the average square takes in g**2; the velocity takes in g / (root of the average square + eps); the parameter moves along the velocity.
# hint: square.mul_(self.alpha).add_((1 - self.alpha) * grad**2); velocity.mul_(self.momentum).add_(grad / (square.sqrt() + self.eps)); param -= self.lr * velocity
# %% [markdown]
# ### Adam
#
# Adam is both ideas at once: the step goes along an *average* of gradients $m$, as with momentum, and is divided by the root of
# their average square $s$. Both begin at 0, and both are corrected.
#
# $$\theta \leftarrow \theta - \eta\, \frac{\hat m}{\sqrt{\hat s} + \epsilon}
# \qquad \hat m = \frac{m}{1 - \beta_1^t} \qquad \hat s = \frac{s}{1 - \beta_2^t}$$
#
# Think about the very first step: $\hat m = g$ and $\hat s = g^2$. So it goes $\eta$ up or down, however large the gradient is.
# The learning rate has become a *distance*. That's why 0.001 works for so many networks.
#
# $t$ counts the steps that a parameter has really taken. If it had no gradient in a step, it took none.
# %% exercise="adam" title="Adam" difficulty=4 importance=5 minutes=25
# hint: Write down the state of one parameter. There are three parts.
# hint: Count up n_steps[i] first, so that it's 1 in the first step. m and s go on uncorrected; the corrected ones are new tensors, for this step alone.
# hint: mean_hat = mean / (1 - self.beta1 ** self.n_steps[i]); square_hat = square / (1 - self.beta2 ** self.n_steps[i]); param -= self.lr * mean_hat / (square_hat.sqrt() + self.eps)
# %% [markdown]
# ### AdamW
#
# Weight decay in Adam has a flaw. The pull $\lambda \theta$ goes into the gradient, and Adam divides the gradient by its usual
# size. So a weight with large gradients is hardly pulled at all, and one with small gradients is pulled hard. AdamW keeps
# the two apart. The decay shrinks the weight directly, and the averages never see it:
#
# $$\theta \leftarrow \theta - \eta \lambda\, \theta$$
#
# It's what nearly every language model is trained with.
# %% exercise="adamw" title="Decay on its own" difficulty=2 importance=4 minutes=10
# hint: Which line of your Adam goes, and which one is new?
# hint: The averages take in param.grad itself. The decay comes before the step, and shrinks the parameter in place.
# hint: param -= self.lr * self.weight_decay * param, before the rest of your Adam with param.grad in place of grad.
# %% result
# four optimizers, beside each other, on the ravine.
# Look at the *direction* in which each one starts. Plain descent and momentum fall across the ravine. RMSprop and Adam have
# divided by the size of the slopes: they leave at 45 degrees, as if the ravine were round.
ravine_race = {
    name: opt_fn(ravine.fn, start, cls, settings, n_iters=100)
    for name, cls, settings in [
        ("plain", PlainSGD, {"lr": 0.03}),
        ("momentum", SGD, {"lr": 0.03, "momentum": 0.9}),
        ("RMSprop", RMSprop, {"lr": 0.1, "alpha": 0.9}),
        ("Adam", Adam, {"lr": 0.3}),
    ]
}
descent_film(*heights_on_grid(ravine), ravine_race, lowest=ravine.lowest, title="Four optimizers in a ravine")
# %% result
# the same four on a saddle, and what a pass does to them.
# They begin a thousandth beside the ridge. The slope along the ridge leads straight to the pass at (0, 0), where the ground is flat. Plain
# descent needs 67 steps until it is halfway to the lowest point (y = 0.5), and momentum 25. Adam needs 6: the slope away from
# the ridge is tiny, but it always has the same sign, and divided by its own size it's as good as any other.
saddle = SURFACES["saddle"]
saddle_ways = {
    name: opt_fn(saddle.fn, torch.tensor(saddle.start), cls, settings, n_iters=120)
    for name, cls, settings in [
        ("plain", PlainSGD, {"lr": 0.1}),
        ("momentum", SGD, {"lr": 0.1, "momentum": 0.9}),
        ("RMSprop", RMSprop, {"lr": 0.05, "alpha": 0.9}),
        ("Adam", Adam, {"lr": 0.1}),
    ]
}
steps_to_leave = {name: int((way[:, 1] > 0.5).nonzero()[0]) for name, way in saddle_ways.items()}
print("steps until y is above 0.5:", steps_to_leave)
descent_film(*heights_on_grid(saddle), saddle_ways, lowest=saddle.lowest, title="Over a pass")
# %% [markdown]
# Now you. Learning rates and momentum interact, and a feeling for that comes only from trying.
# %% exercise="tune_by_hand" title="Four tunings" difficulty=2 importance=3 minutes=25
# hint: Change one setting at a time, and look at the picture. Does the way crawl along the floor of the valley, or jump from wall to wall?
# hint: A way that crawls wants more momentum or a larger lr. One that jumps wants a smaller lr. Adam's second beta of 0.999 remembers the steep wall of the beginning for hundreds of steps.
# hint: Try momentum 0.95 with lr 0.001 for both kinds of momentum, betas (0.9, 0.9) with lr 0.1 for Adam, and momentum 0.9 with alpha 0.9 and lr 0.01 for RMSprop.
# Find settings with which each optimizer comes below a height of 0.05 on the banana within 200 steps.
# region solution
settings = {
    "SGD": {"lr": 0.001, "momentum": 0.95},
    "NesterovSGD": {"lr": 0.001, "momentum": 0.95},
    "RMSprop": {"lr": 0.01, "alpha": 0.9, "momentum": 0.9},
    "Adam": {"lr": 0.1, "betas": (0.9, 0.9)},
}
# endregion
tuned_ways = {
    cls.__name__: opt_fn(banana.fn, torch.tensor(banana.start), cls, settings[cls.__name__], n_iters=200)
    for cls in (SGD, NesterovSGD, RMSprop, Adam)
}
for name, way in tuned_ways.items():
    height = banana.fn(*way[-1]).item()
    assert height < 0.05, f"{name} must come below 0.05: with {settings[name]} it ends at a height of {height:.4g}."
descent_film(*heights_on_grid(banana), tuned_ways, lowest=banana.lowest, title="Tuned by hand")
# %% [markdown]
# ### Muon
#
# All optimizers so far see a heap of numbers. But most weights of a network stand in *matrices*, which multiply vectors. What does
# a step do to a matrix? It can be taken apart into directions: by its singular value decomposition, a matrix is a sum of a few
# patterns (an input direction times an output direction), each with a strength, its **singular value**. In a gradient, a few
# patterns are usually hundreds of times as strong as all others. It's the ravine again, in the space of patterns. Adam can't divide
# that away, since it only knows single entries.
#
# Muon does it: it takes the momentum of a matrix, keeps its patterns, and makes all their strengths about equal. Calculating a
# singular value decomposition in every step would be too slow. There's a trick that needs only products of matrices. If
# $X = U S V^T$, then $X X^T X = U S^3 V^T$: products change the singular values, and leave the patterns alone. So any odd
# polynomial in $X$ acts on each singular value by itself. This one, five times in a row, takes everything from 0.01
# up to 1 to somewhere near 1:
#
# $$X \leftarrow a X + b\,(X X^T) X + c\,(X X^T)^2 X$$
# %% exercise="orthogonalize" title="All strengths equal" difficulty=3 importance=3 minutes=25
# hint: What must hold of the singular values before the first step, and what guarantees it?
# hint: Divide by the Frobenius norm: no singular value is larger than that. Then the steps, with A = X @ X.T. For a tall matrix work with the transpose.
# hint: x = x / x.norm().clamp(min=1e-7); in each step: gram = x @ x.T; x = a * x + (b * gram + c * gram @ gram) @ x
# %% result
# what five steps do to singular values.
# From left to right: the singular value before the first step. After five steps everything from about 0.01 on lies between 0.68
# and 1.21. It isn't exactly 1, and needn't be. The coefficients were chosen so that *small* values come up fast.
before = torch.logspace(-3, 0, 200, dtype=torch.float64)
after = {}
for n_steps in (0, 1, 3, 5):
    values = before.clone()
    for _ in range(n_steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    after[f"after {n_steps} step{'s' * (n_steps != 1)}"] = values
figure = plots.lines(
    after, x=before, x_title="singular value at first", y_title="singular value", title="Newton-Schulz, step by step"
)
figure.update_xaxes(type="log")
# %% exercise="muon" title="Muon" difficulty=3 importance=3 minutes=20
# hint: Which of its lines have you written before, in Adam and in AdamW?
# hint: The average of gradients; the update, with Nesterov's look ahead or without; the decay as in AdamW; the step along orthogonalize(update).
# hint: update = self.momentum * mean + (1 - self.momentum) * param.grad if self.nesterov else mean; param -= adjust_lr(self.lr, tuple(param.shape), self.adjust_lr_fn) * orthogonalize(update)
# %% [markdown]
# ### In training
#
# Pictures of two numbers are good for the mind. Does it carry over to networks? We train one with 13,000 weights to read digits,
# by each of your optimizers. The digits are drawn by a program (section 0.4 has more about them).
#
# What the network minimises is the **cross-entropy**: minus the logarithm of the probability that it gives to the right digit,
# as a mean over a **batch**, the pictures of one step. It's counted in *nats*, the unit that goes with the natural logarithm. A
# network that knows nothing gives each of ten digits a tenth, and its loss is log 10 = 2.30 nats.
#
# One mistake is made in very many comparisons, also in papers: a new optimizer with a well tuned learning rate is set beside an
# old one with a rate from somewhere. So try *every* rate.
# %% result
# the picture that you should ask for whenever somebody compares optimizers.
# Each point is a run of 150 steps. Every curve is a valley: to the left learning is slow, to the right it breaks down. The best rate
# is 0.3 for plain descent, 0.1 with momentum, 0.03 for Adam and 0.003 for RMSprop: at any *one* rate you could make any of them
# look bad. Compare how low the curves go: plain descent to 0.65, RMSprop to 0.54, momentum to 0.34, Adam to 0.32, and Muon to 0.15.
# (Muon learns the two matrices here, and Adam the biases.)
from arena_lib.fundamentals.backprop.classifier import make_digits
from arena_lib.fundamentals.optimizers.experiments import compute_accuracy, make_mlp, train_for

digits = make_digits(600, 300) if SCALE == "tiny" else make_digits(4000, 1000)
images, labels = torch.tensor(digits.train_images, dtype=torch.float32), torch.tensor(digits.train_labels)
test_images, test_labels = torch.tensor(digits.test_images, dtype=torch.float32), torch.tensor(digits.test_labels)


def muon_and_adam(params, lr):
    params = list(params)
    matrices = [param for param in params if param.ndim == 2]
    others = [param for param in params if param.ndim != 2]
    return [Muon(matrices, lr=lr, weight_decay=0.0), Adam(others, lr=0.001)]


makers = {
    "plain": PlainSGD,
    "momentum 0.9": lambda params, lr: SGD(params, lr, momentum=0.9),
    "RMSprop": RMSprop,
    "Adam": Adam,
    "Muon": muon_and_adam,
}
rates = [1e-3, 1e-1] if SCALE == "tiny" else [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0]
n_steps = 30 if SCALE == "tiny" else 150
sweep = {name: [] for name in makers}
for name, make in makers.items():
    for lr in rates:
        model = make_mlp(digits.n_pixels, 64, digits.n_classes, seed=0)
        losses = train_for(model, make(model.parameters(), lr), images, labels, n_steps=n_steps, may_diverge=True)
        sweep[name].append(min(torch.tensor(losses[-30:]).nan_to_num(9.9).mean().item(), 2.5))
figure = plots.lines(
    sweep,
    x=rates,
    x_title="learning rate",
    y_title="loss of the last 30 steps (nats, cut at 2.5)",
    title="Every optimizer with every learning rate",
)
figure.update_xaxes(type="log", exponentformat="power")
# %% [markdown]
# ## 3. Groups and schedules
#
# *About 85 minutes of exercises. You let settings differ between parameters, and from step to step.*
#
# One learning rate for all parameters isn't always what you want. When a trained network learns something new, its last layer
# must move and its first layers should hardly change. Biases shouldn't decay. So PyTorch's optimizers take **groups**:
# dictionaries, each with parameters and the settings that are special about them.
#
# ```python
# optimizer = SGDParamGroups([{"params": body, "lr": 0.001}, {"params": head}], lr=0.1, momentum=0.9)
# ```
#
# What a group doesn't say is taken from the settings for all. Making groups complete is a small job in which a lot can go wrong:
# a misspelt setting that's silently ignored; a parameter in two groups, which would take two steps at once. Such mistakes
# don't crash. The network just learns badly. So refuse them.
# %% exercise="make_param_groups" title="Complete the groups" difficulty=3 importance=3 minutes=20
# hint: First turn everything into a list of dictionaries. Then each dictionary is completed in the same way.
# hint: If the first item isn't a dictionary (a Mapping), all of it is one group. {**defaults, **group} takes defaults first, and lets the group's own values win.
# hint: Identity tells parameters apart: compare the number of all id(param) with the number of different ones. Raise ConfigError for the four cases in the docstring.
# %% [markdown]
# Which parameters should decay? Decay keeps the weights of products small. A bias isn't multiplied with anything, and the gain of
# a normalisation sits near 1, not near 0. The usual rule needs no names: what has two axes or more decays.
# %% exercise="decay_groups" title="Who decays" difficulty=2 importance=3 minutes=10
# hint: Two lists, one for each side of a question about param.ndim.
# hint: Leave out parameters that don't require a gradient, and at the end groups that have none.
# hint: [param for param in trained if param.ndim >= 2] with weight_decay, [param for param in trained if param.ndim < 2] with 0.0; then filter by group["params"].
# %% [markdown]
# Now SGD with groups, and with everything that PyTorch's has. New is **dampening**: a gradient enters the velocity as
# $(1 - \text{dampening})\, g$. There's an oddity in it, and your judge knows it: the *first* gradient isn't dampened. So here it
# matters whether a velocity begins as zeros or as the first gradient.
#
# Read the settings from the group in every step. Schedules will change them in between.
# %% exercise="sgd_param_groups" title="SGD, all of it" difficulty=4 importance=2 minutes=30
# hint: Two loops: over groups, and over the parameters of each. Which of your SGD's lines change?
# hint: self.velocities is a dictionary from parameters to velocities, empty at first. Whether a parameter is in it says whether this is its first step. Without momentum there's no velocity at all.
# hint: if param in self.velocities: velocity = momentum * self.velocities[param] + (1 - group["dampening"]) * grad, else velocity = grad; store it; grad = grad + momentum * velocity if group["nesterov"] else velocity
# %% [markdown]
# ### Schedules
#
# The best learning rate isn't the same throughout a run. At the beginning the weights are random, gradients are large and point
# anywhere, and Adam's averages are made of few values: small steps are safer. So the rate grows in a **warm-up**. At the end you're near
# the bottom of a valley, and steps that are too long jump around it: the rate should fall. Half a cosine does that
# smoothly.
# %% exercise="warmup_cosine" title="Up, and slowly down" difficulty=2 importance=4 minutes=15
# hint: Three cases: in the warm-up, after it, after the end. Which one can be folded into another?
# hint: s is the share of the way down that is done. min(1.0, s) takes care of the end. A cosine from 0 to π goes from 1 to -1: move it up by 1 and halve it.
# hint: final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * share)) / 2
# %% [markdown]
# A schedule is an object beside the optimizer, which sets `group["lr"]` in each group. It multiplies the rate that the group
# had *at first*: multiplying the last one would pile factors up.
# %% exercise="schedule" title="The hand on the dial" difficulty=2 importance=3 minutes=10
# hint: What must be remembered when the schedule is made, before the first rate is set?
# hint: full_rates keeps every group's rate. set_rates puts rate * factor(n_steps) into each group; __init__ calls it once, and step after counting up.
# hint: for group, rate in zip(self.optimizer.param_groups, self.full_rates): group["lr"] = rate * self.factor(self.n_steps)
# %% result
# what a schedule is good for.
# Three runs at the same full rate, with batches of eight pictures, whose gradients are noisy. A constant rate learns fast at first,
# and then jumps around: in the end about 83 % of the test pictures are right. With the cosine the loss goes on falling while the
# rate does: about 94 %. The warm-up makes no difference here, since this network is small and momentum has no averages of squares to fill. The deeper a
# network, and the larger the batches, the more it matters. The last curve is the factor of the rate.
n_steps = 60 if SCALE == "tiny" else 1500
curves, test_accuracy = {}, {}
for name, n_warmup, final in [("constant", 0, 1.0), ("cosine", 0, 0.0), ("warm-up and cosine", n_steps // 20, 0.0)]:
    model = make_mlp(digits.n_pixels, 64, digits.n_classes, seed=1)
    optimizer = SGDParamGroups(decay_groups(model, 1e-4), lr=0.05, momentum=0.9, nesterov=True)
    schedule = Schedule(optimizer, lambda step: warmup_cosine(step, n_steps, n_warmup, final))
    losses = train_for(model, optimizer, images, labels, n_steps=n_steps, batch_size=8, schedules=(schedule,))
    curves[name] = moving_average(torch.tensor(losses), 0.97)
    test_accuracy[name] = compute_accuracy(model, test_images, test_labels)
print("accuracy on the test set:", ", ".join(f"{name} {share:.1%}" for name, share in test_accuracy.items()))
factors = [warmup_cosine(step, n_steps, n_steps // 20, 0.0) for step in range(n_steps)]
plots.lines(
    curves | {"factor of the rate": factors}, title="Three schedules", y_title="loss (nats, averaged) or factor"
)
# %% [markdown]
# ## 4. Searching, and keeping track
#
# *About 65 minutes of exercises. You keep the numbers of every run, and let a program search for settings.*
#
# You have tuned by hand, and you have tried all values of one setting. With three or four settings neither will do any more. A
# program must search, and then two habits matter. Every run must **leave a record**, or in an hour nobody knows which
# settings gave the good one. And **what may be tried** must be written down, as data, not buried in code.
#
# First the record. `MetricsLog` of this library writes a table, `metrics.csv`, into a folder, a row at a time, so that a run that
# crashes has left its numbers. There are services for this, such as Weights & Biases, which show curves of many runs in a browser.
# You need no account here: the same trainer logs there as well if you pass `trackers=("wandb",)`, and with `WANDB_MODE=offline` in
# the environment it doesn't even need a network.
# %% exercise="tracked_trainer" title="A run that leaves a record" difficulty=3 importance=4 minutes=30
# hint: Which three things must be there before the first step? pre_training_setup makes them.
# hint: training_step counts first and logs then: the first row has step 1. evaluate logs at the step that was reached, and leaves the model in training mode.
# hint: self.log.log(self.n_steps, {"loss": loss.item()}); in train: for batch in order.split(self.args.batch_size): self.training_step(inputs[batch], labels[batch])
# %% [markdown]
# ### What may be tried
#
# A learning rate may be 0.0001 or 0.1. If you draw evenly between the two, nine of ten draws lie above 0.01, and small rates are
# never tried. So draw its *logarithm* evenly: each power of ten gets its share. Weight decay has a further twist. It may be
# exactly 0, which no logarithmic scale contains. So a second entry says whether there is any.
# %% exercise="make_sweep_config" title="Write down what may be tried" difficulty=2 importance=3 minutes=10
# hint: Which of the settings live on a logarithmic scale, and which are choices from a list?
# hint: Nested dictionaries: method, metric and parameters; under parameters an entry for each setting.
# hint: "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}, "batch_size": {"values": [32, 64, 128, 256]}, ...
# %% [markdown]
# Optuna is a library that searches. It calls a function of yours with a **trial**, again and again. You ask the trial for settings,
# run, and return a score. Behind the scenes it learns which settings have done well, and suggests more like those.
# %% exercise="sample_parameters" title="Ask for settings" difficulty=2 importance=3 minutes=15
# hint: There are three kinds of entries. How do you tell them apart?
# hint: "values" in options tells a choice. Otherwise look at options.get("distribution"), and raise ConfigError if it's neither of the two.
# hint: trial.suggest_categorical(name, options["values"]); trial.suggest_float(name, options["min"], options["max"], log=True)
# %% exercise="update_args" title="From a draw to a run" difficulty=1 importance=3 minutes=10
# hint: The arguments are frozen: a new object has the new values.
# hint: dataclasses.replace(args, name=value, ...) copies all other fields.
# hint: weight_decay=sampled_parameters["weight_decay"] if sampled_parameters["weight_decay_bool"] else 0.0
# %% result
# a search, trial by trial.
# Each mark is a run, with its record in a folder of its own. The second curve is the best so far. The first ten trials are random, and
# reach 37 % on average. By then the search knows where to look: the last ten reach 75 %, and the best of all 80 %. (The accuracy
# is the share of test pictures that are read right, as a number from 0 to 1.)
import tempfile
from pathlib import Path

from arena_lib.fundamentals.optimizers.experiments import TrackedTrainingArgs, run_search

runs_folder = Path(tempfile.mkdtemp())
sweep_config = make_sweep_config()
n_search = 200 if SCALE == "tiny" else 1000


def objective(trial):
    args = update_args(TrackedTrainingArgs(n_epochs=2), sample_parameters(sweep_config, trial))
    model = make_mlp(digits.n_pixels, 64, digits.n_classes, seed=0)
    sets = (images[:n_search], labels[:n_search]), (test_images, test_labels)
    return TrackedTrainer(args, model, *sets, runs_folder / f"run{trial.number}").train()


study = run_search(objective, n_trials=4 if SCALE == "tiny" else 30)
scores = torch.tensor([trial.value for trial in study.trials])
print(f"best accuracy {study.best_value:.1%} with", study.best_params)
plots.lines(
    {"each trial": scores, "best so far": scores.cummax(0).values},
    x_title="trial",
    y_title="accuracy",
    title="A search",
)
# %% result
# which setting mattered?
# The same runs over their learning rates, with a colour for each batch size. The search has found out where the learning rate should
# be: the four best runs lie between 0.009 and 0.016. And all four have batches of 32. With batches of 256, the same rates reach only
# 61 to 64 %. But beware: all runs see each picture twice, so small batches mean more *steps*. A search answers the question that you
# put, here "what is best within two epochs?", and not the one that you meant.
sizes_tried = sorted({trial.params["batch_size"] for trial in study.trials})
by_size = {
    size: [(t.params["learning_rate"], t.value) for t in study.trials if t.params["batch_size"] == size]
    for size in sizes_tried
}
importance_figure = plots.scatter(
    {f"batches of {size}": tuple(map(torch.tensor, zip(*runs))) for size, runs in by_size.items()},
    x_title="learning rate",
    y_title="accuracy",
    title="What the search has found out",
)
importance_figure.update_xaxes(type="log", exponentformat="power")
# %% [markdown]
# ## 5. Many processes
#
# *About 150 minutes of exercises. You make collectives of sends and receives, and train one network on several processes.*
#
# A large network learns on hundreds of machines at once. How can that be the *same* learning as on one? The idea is simple. Each
# machine has a copy of the network. A batch is cut into parts, and each machine finds the gradient for its part. The mean of
# these gradients is the gradient of the whole batch. If all take a step along the mean, all copies stay equal.
#
# So all that must be sent around is gradients, and all that must be calculated together is a mean. How that's done decides
# whether a thousand machines are a thousand times as fast, or wait for each other all day.
#
# A few words. A **world** is a number of processes, `world_size`, which all run the same program. Each has a number from 0, its
# **rank**, and does what the program says for this rank. They have two ways to talk, from `torch.distributed`:
#
# ```python
# dist.send(tensor, dst=1)      # waits until rank 1 receives
# dist.recv(tensor, src=0)      # waits until rank 0 sends, and writes what comes into tensor, in place
# ```
#
# While you write, the world is **simulated**: `run_simulated` starts a thread for each rank in your own process, and notes every message.
# Real processes that wait for each other just hang, which is the most common mishap in this trade. Here you're told who waits
# for whom, at once. At the end of this part your code runs in real processes, unchanged.
# %% result
# a deadlock, as it is told.
# Two ranks want to swap numbers. Both send first. A send waits until the other side receives, but the other side is waiting, too.
import torch.distributed as dist

from arena_lib.errors import DeadlockError
from arena_lib.fundamentals.distributed import run_simulated


def swap(rank):
    mine, other = torch.tensor([float(rank)]), torch.empty(1)
    dist.send(mine, dst=1 - rank)
    dist.recv(other, src=1 - rank)
    return other.item()


try:
    run_simulated(swap, [(0,), (1,)])
except DeadlockError as error:
    print(error)
# %% [markdown]
# There are two ways out. Half of the ranks may receive first. Or a send is only *begun*: `work = dist.isend(tensor, dst)` returns
# at once, and `work.wait()` waits until it's done. In between the tensor must stay as it is.
# %% exercise="send_right" title="Around the ring" difficulty=2 importance=4 minutes=15
# hint: What happens if all ranks send first? And if all receive first?
# hint: Begin the send with isend, receive, and then wait for the send. One rank alone copies the tensor.
# hint: sending = dist.isend(outgoing, dst=(rank + 1) % world_size); dist.recv(incoming, src=(rank - 1) % world_size); sending.wait()
# %% [markdown]
# ### Collectives
#
# Patterns in which all ranks take part are called **collectives**. The simplest is **broadcast**: one rank has something that all
# others need too, such as the first weights.
# %% exercise="broadcast" title="From one to all" difficulty=2 importance=3 minutes=10
# hint: The same function runs on every rank. What does rank src do, and what do the others do?
# hint: if rank == src: a send to each other rank; else: one receive.
# hint: for other in range(world_size): if other != src: dist.send(tensor, dst=other). The others: dist.recv(tensor, src=src).
# %% [markdown]
# **Reduce** goes the other way: what all have is added up at one rank.
# %% exercise="reduce" title="From all to one" difficulty=3 importance=3 minutes=15
# hint: Where is there room for what is received? The tensor of dst is needed for the sum.
# hint: dst receives from each of the others into a second tensor, and adds that to its own, in place. The others send, once.
# hint: received = torch.empty_like(tensor); dist.recv(received, src=other); tensor += received; at the end tensor /= world_size for the mean.
# %% exercise="all_reduce" title="From all to all" difficulty=1 importance=4 minutes=5
# hint: You have both halves.
# hint: After reduce one rank has the result. Which collective gives it to all?
# hint: reduce(tensor, rank, world_size, dst=0, op=op); broadcast(tensor, rank, world_size, src=0)
# %% [markdown]
# ### A better way
#
# That works. But look at rank 0: it receives a whole tensor from everybody, and sends one to everybody. With a thousand ranks, 999 of
# them wait for one. Its line carries everything, all others carry nothing.
#
# In a **ring**, everybody's line is in use all the time. Each rank talks only to its neighbours. The tensor is cut into as many
# **chunks** as there are ranks, and there are two rounds:
#
# 1. **Reduce-scatter.** Each chunk travels around the ring once. Each rank that it comes to adds its own. At the end
#    of the round every chunk is complete somewhere, each at another rank.
# 2. **All-gather.** The complete chunks travel around the ring once more, and everybody keeps a copy.
#
# All chunks travel at the same time, each one place ahead of the next. For three ranks the first round looks like this (the
# letters are ranks whose numbers have been added up):
#
# | | chunk 0 at | chunk 1 at | chunk 2 at |
# |---|---|---|---|
# | at first | rank 0: a | rank 1: b | rank 2: c |
# | after step 0 | rank 1: a b | rank 2: b c | rank 0: c a |
# | after step 1 | rank 2: a b c | rank 0: b c a | rank 1: c a b |
#
# So rank r has the sum of chunk (r + 1) % 3 in the end.
# %% exercise="ring_reduce_scatter" title="Once around, adding" difficulty=4 importance=4 minutes=25
# hint: In step 0 rank r sends its own chunk r. What does it send in step 1? What it has just added to.
# hint: In step s it sends chunk (r - s) % world_size, and receives chunk (r - s - 1) % world_size, which has its own size. Use send_right.
# hint: target = chunks[(rank - step - 1) % world_size]; received = torch.empty_like(target); send_right(chunks[(rank - step) % world_size], received, rank, world_size); target += received
# %% exercise="ring_all_gather" title="Once around, copying" difficulty=2 importance=3 minutes=10
# hint: Which chunk of rank r is complete at first? It sends that one in step 0.
# hint: The same loop, one chunk further on, and what is received takes the place of what was there.
# hint: send_right(chunks[(rank + 1 - step) % world_size], chunks[(rank - step) % world_size], rank, world_size)
# %% exercise="ring_all_reduce" title="All-reduce in a ring" difficulty=3 importance=4 minutes=15
# hint: What are the chunks of a tensor with any shape, and how do they get back into it?
# hint: Flatten a copy, cut it with tensor_split (the pieces share its memory), run both rounds, and copy the result back in place.
# hint: flat = tensor.flatten().clone(); chunks = list(flat.tensor_split(world_size)); ...; tensor.copy_(flat.reshape(tensor.shape))
# %% result
# bytes on the wire.
# A tensor of 120,000 numbers of four bytes each goes through both kinds of all-reduce. Shown is what the *busiest* rank sends. In
# the simple way that's the whole tensor times the number of the other ranks. In the ring everybody sends 2 (n - 1) / n of the
# tensor: 0.48 MB for two ranks, 0.84 MB for eight, and never more than 0.96 MB, for however many.
world_sizes = [2, 3, 4, 6, 8]
busiest = {"to one and back": [], "ring": []}
for world_size in world_sizes:
    for name, function in {"to one and back": all_reduce, "ring": ring_all_reduce}.items():
        run = run_simulated(function, [(torch.ones(120_000), rank, world_size) for rank in range(world_size)])
        busiest[name].append(max(run.bytes_sent()) / 1e6)
plots.lines(
    busiest,
    x=world_sizes,
    x_title="number of ranks",
    y_title="sent by the busiest rank (MB)",
    title="What an all-reduce of 0.48 MB costs",
    references={"twice the tensor": 0.96},
)
# %% [markdown]
# ### Training together
#
# Three things are missing. Each rank must take its part of a batch; the parts must be equally large, or the mean of their means isn't
# the mean of all.
# %% exercise="shard" title="My part" difficulty=1 importance=3 minutes=5
# hint: How many examples does each rank get, and where does its piece begin?
# hint: size = len(batch) // world_size. Raise ConfigError if something is left over.
# hint: batch[rank * size : (rank + 1) * size]
# %% exercise="average_gradients" title="One mean for all" difficulty=3 importance=4 minutes=15
# hint: How can many small tensors travel as one?
# hint: Lay them end to end with torch.cat, take the mean with ring_all_reduce, cut the result with split, and copy each piece back.
# hint: flat = torch.cat([grad.flatten() for grad in grads]); ring_all_reduce(flat, rank, world_size, "mean"); pieces = flat.split([grad.numel() for grad in grads])
# %% exercise="dist_trainer" title="A trainer for a world" difficulty=5 importance=4 minutes=35
# hint: What must be equal on all ranks before the first step, and what keeps it equal after each step?
# hint: Equal first weights (broadcast), one order of examples (one seed), one mean gradient in each step. Losses and counts are brought together by all_reduce.
# hint: training_step: zero_grad, loss on the shard, backward, average_gradients, optimizer.step(), then all_reduce of loss.detach().clone() with "mean".
# %% result
# one process, and several, train the same network.
# Everything here is yours, and these are *real* processes, which talk through gloo. Each rank even begins with other weights, until
# `pre_training_setup` makes them equal. The curves lie on top of each other. What is left of a difference is rounding, because
# sums are taken in another order: it's printed below.
# (A process takes a few seconds to start. If one hangs, you'd be told after `time_limit` seconds.)
from arena_lib.fundamentals.distributed import DistTrainingConfig, run_processes

n_train = 512 if SCALE == "tiny" else 3840
train_set, test_set = (images[:n_train], labels[:n_train]), (test_images[:240], test_labels[:240])
config = DistTrainingConfig(n_epochs=1 if SCALE == "tiny" else 3, batch_size=48, lr=0.1)


def train_on_rank(rank, world_size):
    model = make_mlp(train_set[0][0].numel(), 64, 10, seed=rank)
    trainer = DistTrainer(config, rank, world_size, model, train_set, test_set)
    return trainer.train(), trainer.evaluate()


worlds = {1: run_simulated(train_on_rank, [(0, 1)]).results}
for world_size in [2] if SCALE == "tiny" else [2, 4]:
    arguments = [(rank, world_size) for rank in range(world_size)]
    worlds[world_size] = run_processes(train_on_rank, arguments, time_limit=240)
alone = torch.tensor(worlds[1][0][0])
differences = [
    (torch.tensor(losses) - alone).abs().max().item() for results in worlds.values() for losses, _ in results
]
print(f"largest difference between losses: {max(differences):.1e}")
print("accuracy:", ", ".join(f"{n} process{'es' * (n > 1)} {results[0][1]:.1%}" for n, results in worlds.items()))
plots.lines(
    {f"{n} process{'es' * (n > 1)}": results[0][0] for n, results in worlds.items()},
    title="The same training, on one process and on several",
)
# %% [markdown]
# ## What you have learned
#
# The steepest direction limits the learning rate, and all others crawl. Momentum adds up what agrees and cancels what
# alternates. RMSprop and Adam divide by the usual size of each entry's gradient, Muon evens out the patterns of a matrix.
# Averages that begin at 0 must be corrected. Decay belongs outside of what Adam divides. And an optimizer is compared with another
# only over all learning rates.
#
# Several processes learn as one if they begin equal, see one order of examples, and step along one mean gradient. A ring brings that mean
# to everybody, and nobody sends more than twice the gradient's size.
#
# ## What comes next
#
# Section 0.4 opens the box that was closed here: how `loss.backward()` finds a gradient. Section 0.6 measures the surfaces
# of real networks, of which ravines and saddles are drawings.
#
# ## On your own
#
# - **Sharpness.** Gradient descent with the rate η can only stay where no direction is steeper than 2 / η, as you saw in the
#   ravine. Measure the steepest direction of the digits' loss while a network trains on all of them at once. Where does it end?
# - **Accumulate.** A batch that doesn't fit into memory can be taken in four parts, whose gradients add up before one step. Do it, and
#   show that the result is that of one large batch. What must be divided by four?
# - **Replicate a paper.** Chen et al. 2023 ([arXiv:2302.06675](https://arxiv.org/abs/2302.06675)) found an optimizer by search: the sign
#   of an average, nothing else. Write Lion, and put it into the picture of all learning rates.
#
# ## Reading
#
# - Kingma and Ba 2015, [Adam](https://arxiv.org/abs/1412.6980), and Loshchilov and Hutter 2019, [Decoupled weight decay
#   regularization](https://arxiv.org/abs/1711.05101)
# - Goh 2017, [Why momentum really works](https://doi.org/10.23915/distill.00006)
# - Jordan et al. 2024, [Muon](https://kellerjordan.github.io/posts/muon/), and Liu et al. 2025, [Muon is scalable for LLM
#   training](https://arxiv.org/abs/2502.16982)
# - Cohen et al. 2021, [Gradient descent on neural networks typically occurs at the edge of
#   stability](https://arxiv.org/abs/2103.00065)
