# ---
# arena: {id: "0.6", slug: loss_landscapes, title: Loss landscapes, hours: 8}
# objectives:
#   - "See a network as a point in a landscape, and measure its curvature without writing the Hessian down"
#   - "Find the largest eigenvalues of a matrix, and the density of all of them, from products with it alone"
#   - "Say where curvature comes from, and account for every direction that has none"
#   - "Find out what a measure of flatness really measures, with a control experiment"
#   - "Watch gradient descent climb to the edge of stability, and stay there"
# ---
# %% [markdown]
# ## What you will build
#
# Training a network means walking downhill, in a landscape with as many dimensions as the network has parameters. Where
# is it steep, where is it flat, and which way does it bend? People say that networks in wide, flat valleys work better on
# new data. People also draw pictures of such valleys. In this section you build the instruments that such statements rest
# on. Then you use them with suspicion.
#
# You write
#
# - **the network as a function of one vector**, so that a landscape has a place and a height,
# - **products with the Hessian**, by trying and exactly,
# - **power iteration and Lanczos's method**, which find eigenvalues of a matrix that nobody wrote down,
# - **the behavioural gradient** and the Gauss-Newton matrix: curvature that comes from what the network does,
# - **symmetries**, which explain every direction in which nothing happens,
# - **a control experiment**, for a plot that looks convincing and is wrong,
# - and a way down on which you can watch **gradient descent hold itself at the edge of stability**.
#
# ### How to work through this
#
# Each exercise is a function with a gap. The docstring says what must hold. A judge looks at your code and tells you what
# is wrong. Each exercise has three hints, from the idea to the step. In two exercises you experiment on your own: there
# the cell ends in an assertion.
#
# You need PyTorch's tensors, what a gradient is, and from linear algebra what an eigenvalue is: a number $\lambda$ with
# $A v = \lambda v$ for some vector $v$. Section 0.4 built derivatives of derivatives by hand in its part 6; here
# PyTorch does what your engine did there.
#
# | part | minutes |
# |---|---|
# | 1. A place and a height | 50 |
# | 2. Curvature | 50 |
# | 3. Eigenvalues from products | 90 |
# | 4. Where curvature comes from | 60 |
# | 5. Directions without curvature | 60 |
# | 6. Pictures of landscapes | 20 |
# | 7. What did you measure? | 70 |
# | 8. The edge of stability | 20 |
#
# These are the minutes of the exercises, seven hours together. The eighth is for reading, and for looking at what comes
# out.
#
# ## 1. A place and a height
#
# *About 50 minutes of exercises. You turn a network into a function of one vector, and walk along a line.*
#
# A network keeps its parameters in several tensors. A landscape needs one place. So put all parameters into one long
# vector, called $\theta$ (theta). The **loss** of the network with these parameters, over a fixed set of examples, is the
# height of the landscape there: $L(\theta)$. With 610 parameters, the landscape lies over a space of 610 dimensions.
# %% exercise="flatten_parameters" title="All parameters in one vector" difficulty=1 importance=4 minutes=10
# hint: Which parameters are there, and in which order does the model list them?
# hint: Flatten each parameter, detached from any history, and put them one after the other.
# hint: torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
# %% [markdown]
# Back again: cut the vector into parts with the right names and shapes. This time the parts must stay connected to the
# vector. We want to know how the loss changes with $\theta$, so gradients must flow from the parts to it.
# %% exercise="unflatten_parameters" title="And back to names and shapes" difficulty=2 importance=4 minutes=15
# hint: How many entries belong to each parameter, and in which order?
# hint: theta.split(sizes) cuts a vector into parts of these sizes. A view of each part gives it its shape.
# hint: zip(model.named_parameters(), theta.split(sizes)) pairs names and old tensors with parts; part.view_as(old).
# %% [markdown]
# Now ask the network what it *would* answer with other parameters. One way is to copy them in. But then the network is
# changed after each measurement, and no gradient reaches $\theta$. PyTorch has a better way: `functional_call` calls a
# model with parameters that are lent to it for this one call.
# %% exercise="outputs_at" title="What would it answer there?" difficulty=2 importance=4 minutes=10
# hint: The model needs its parameters by name. Which of your functions gives them?
# hint: torch.func.functional_call(model, parameters, (inputs,)) calls the model with these parameters.
# hint: return functional_call(model, unflatten_parameters(theta, model), (inputs,))
# %% [markdown]
# ### A small world
#
# We use the digits that a program draws (section 0.4), made coarser: 7 by 7 pixels, so 49 numbers. The network has one
# hidden layer of ten ReLU units and ten outputs, one for each class: 610 parameters. That's small enough to calculate the
# *whole* Hessian and to check every clever method against it. Everything is in float64, so that small numbers mean
# something.
# %%
import torch
from torch.nn.functional import cross_entropy

from arena_lib import plots
from arena_lib.fundamentals.backprop.classifier import make_digits
from arena_lib.fundamentals.landscapes import TwoLayers, compute_accuracy, shrink_images, train_to_loss

digits = make_digits(150, 300) if SCALE == "tiny" else make_digits(400, 1000)
x, x_test = (shrink_images(torch.tensor(images).double()) for images in (digits.train_images, digits.test_images))
y, y_test = torch.tensor(digits.train_labels), torch.tensor(digits.test_labels)
model = TwoLayers(49, 10, 10, "relu", seed=3)


def loss_fn(theta):
    return cross_entropy(outputs_at(model, theta, x), y)


# %% [markdown]
# The first look is along a line: from the place where training begins, straight to the place where it ends, and on.
# Training itself went along some other way. What is the loss in between?
# %% exercise="losses_along_line" title="Along a line" difficulty=2 importance=3 minutes=15
# hint: Which places lie on the straight line between two points?
# hint: A share t of the way is (1 - t) * theta_a + t * theta_b. Take n_points shares from 0 to 1, both included.
# hint: with torch.no_grad(): torch.stack([loss_fn((1 - t) * theta_a + t * theta_b) for t in torch.linspace(0, 1, n_points)])
# %% result
# from the start of training to its end, and as far again.
# A smooth slope into a valley, and a gentle rise on the far side. The bottom lies a little further on: training stopped
# at a loss of 0.1. Is this the landscape? It's one line out of a space of 610 dimensions. Keep that in mind until part 6.
theta_start = flatten_parameters(model)
n_steps_of_training = train_to_loss(model, x, y, goal=0.1)
theta_end = flatten_parameters(model)
along = losses_along_line(loss_fn, theta_start, theta_start + 2 * (theta_end - theta_start), 41)
accuracy = compute_accuracy(model, x_test, y_test)
plots.lines(
    {"loss": along},
    x=torch.linspace(0, 2, 41),
    x_title="share of the way from start to end",
    y_title="loss (nats)",
    title="A line through the landscape",
)
# %% [markdown]
# ## 2. Curvature
#
# *About 50 minutes of exercises. You measure how the gradient changes along a direction, by trying and exactly.*
#
# The gradient says which way is up, and how steep. **Curvature** says how the gradient changes when you move. Along a
# direction $v$ it changes by
#
# $$H v, \qquad H_{ij} = \frac{\partial^2 L}{\partial \theta_i \, \partial \theta_j}$$
#
# $H$ is the **Hessian**: a symmetric table with a row and a column for each parameter. For a network with a million
# parameters it has a million million entries, so nobody writes it down. But $Hv$, for one direction, is a vector like
# $\theta$. And you can find it by trying: go a little way along $v$, go a little way back, and see how the gradient differs.
#
# $$H v \approx \frac{\nabla L(\theta + \epsilon v) - \nabla L(\theta - \epsilon v)}{2 \epsilon}$$
# %% exercise="hvp_by_differences" title="Curvature by trying" difficulty=2 importance=3 minutes=15
# hint: It's the central difference of section 0.4, with gradients in place of values.
# hint: compute_gradient(loss_fn, place) gives a gradient. You need it at two places.
# hint: (compute_gradient(loss_fn, theta + eps * v) - compute_gradient(loss_fn, theta - eps * v)) / (2 * eps)
# %% [markdown]
# There is an exact way, at about the same price (Pearlmutter 1994). The gradient times $v$, added up, is a number. The
# gradient of *this number* is
#
# $$\nabla \bigl(\nabla L \cdot v\bigr) = H v$$
#
# For that, the first gradient must remember how it depends on $\theta$. PyTorch forgets it unless you say
# `create_graph=True`. It's the same step as in part 6 of section 0.4, where a gradient became a tensor with a recipe.
# %% exercise="hessian_vector_product" title="Curvature exactly" difficulty=3 importance=5 minutes=20
# hint: What is a number here, so that it has a gradient?
# hint: Make point = theta.detach().requires_grad_(True). Take the gradient of the loss there with create_graph=True. Multiply by v, add up, and take the gradient again.
# hint: (gradient,) = torch.autograd.grad(loss_fn(point), point, create_graph=True); zeros if not gradient.requires_grad; else torch.autograd.grad(gradient @ v.detach(), point)[0]
# %% result
# how wrong the way by trying is, for steps of every length.
# To the left rounding takes over, as in section 0.4. In float64 the best step gives about ten digits. In float32, in which
# networks are usually trained, trying never gives three. To the right the error jumps at once: a step of more than a
# thousandth is long enough to switch some ReLU on or off for some picture, and beyond such a kink the gradient is another
# one. The exact product has no step to choose.
from arena_lib.fundamentals.landscapes import compute_gradient

direction = torch.randn(len(theta_end), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
direction /= direction.norm()
exact = hessian_vector_product(loss_fn, theta_end, direction)
lengths = 10.0 ** torch.arange(-9, 1, 0.5)
model_32 = TwoLayers(49, 10, 10, "relu").float()
x_32 = x.float()


def loss_fn_32(theta):
    return cross_entropy(outputs_at(model_32, theta, x_32), y)


errors = {"float64": [], "float32": []}
for eps in lengths.tolist():
    tried = hvp_by_differences(loss_fn, theta_end, direction, eps)
    tried_32 = hvp_by_differences(loss_fn_32, theta_end.float(), direction.float(), eps)
    errors["float64"].append(((tried - exact).norm() / exact.norm()).item())
    errors["float32"].append(((tried_32.double() - exact).norm() / exact.norm()).item())
figure = plots.lines(
    errors, x=lengths, x_title="eps", y_title="error, as a share of |Hv|", title="How wrong curvature by trying is"
)
figure.update_xaxes(type="log", exponentformat="power")
figure.update_yaxes(type="log", exponentformat="power")
# %% [markdown]
# Our network is small enough for the whole matrix. A matrix times the vector (0, ..., 1, ..., 0) is one of its columns.
# %% exercise="exact_hessian" title="The whole matrix" difficulty=2 importance=3 minutes=15
# hint: What does a matrix times a unit vector give?
# hint: One product for each unit vector. The rows of torch.eye(n) are the unit vectors.
# hint: torch.stack([hessian_vector_product(loss_fn, theta, unit) for unit in torch.eye(len(theta)).to(theta)])
# %% result
# the largest eigenvalues of the Hessian, where training began and where it ended.
# An eigenvalue is the curvature along its eigenvector. At the end nine stand out, one fewer than there are classes, and
# then the curve drops to the floor: 576 of the 610 eigenvalues are smaller than a hundredth of the largest. A few large ones,
# about as many as there are classes, and all others near 0: people find that in large classifiers too (Sagun et al. 2016).
hessian = exact_hessian(loss_fn, theta_end)
eigenvalues, eigenvectors = torch.linalg.eigh(hessian)
eigenvalues_start = torch.linalg.eigvalsh(exact_hessian(loss_fn, theta_start))
n_flat = int((eigenvalues.abs() < 0.01 * eigenvalues.max()).sum())
print(
    f"{n_flat} of {len(eigenvalues)} eigenvalues are smaller than a hundredth of the largest, {eigenvalues.max():.2f}"
)
plots.lines(
    {"at the end": eigenvalues.flip(0)[:40], "at the start": eigenvalues_start.flip(0)[:40]},
    x_title="rank of the eigenvalue",
    y_title="eigenvalue of the Hessian",
    title="A few steep directions, and many flat ones",
)
# %% [markdown]
# ## 3. Eigenvalues from products
#
# *About 90 minutes of exercises. You find the steepest directions, and the density of all, from products with vectors.*
#
# With a million parameters there is no matrix to hand to `torch.linalg.eigh`. There are only products. Is that enough?
#
# Write any vector as a mixture of eigenvectors. Each time you multiply by the matrix, every part grows by its own
# eigenvalue. After many products the part with the eigenvalue of largest size has left all others behind. This is
# **power iteration**. The vector must be divided by its length now and then, or its numbers overflow.
#
# How large is the eigenvalue? For a vector $v$ of length 1 the **Rayleigh quotient** $v \cdot (A v)$ says how strongly
# the matrix stretches it along itself. For an eigenvector that is its eigenvalue, with its sign.
# %% exercise="power_iteration" title="The loudest direction" difficulty=2 importance=4 minutes=20
# hint: What becomes of a mixture of eigenvectors when you multiply it by the matrix again and again?
# hint: Start with length 1. n_steps times: multiply, and divide by the length of what comes out. At the end take v · (A v).
# hint: product = matvec(vector); if product.norm() == 0: return 0.0, vector; vector = product / product.norm(). And return (vector @ matvec(vector)).item(), vector.
# %% [markdown]
# Power iteration throws away all products but the last. **Lanczos's method** keeps them. All that products can reach from
# a start $q_1$ lies in the space of $q_1, A q_1, A^2 q_1, \ldots$. Lanczos builds vectors $q_1, q_2, \ldots$ of length 1
# for this space, each orthogonal to all others. Something surprising happens: because $A$ is symmetric, $A q_j$ has a
# part along $q_{j-1}$, along $q_j$, and along the new $q_{j+1}$, and *along no other*. So in this basis the matrix is
# **tridiagonal**, which means that all its entries are 0 but three diagonals:
#
# $$T = \begin{pmatrix} \alpha_1 & \beta_1 & & \\ \beta_1 & \alpha_2 & \beta_2 & \\ & \beta_2 & \alpha_3 & \ddots \\ & & \ddots & \ddots \end{pmatrix}$$
#
# That holds on paper. On a computer each step rounds, and the rounding errors grow: after some steps the new vectors are
# no longer orthogonal to the old ones. So it's wise to take off, at each step, whatever has come back along *all* earlier
# vectors. That is **re-orthogonalisation**. You write it with a switch, to see what happens without.
# %% exercise="lanczos" title="Lanczos's method" difficulty=4 importance=4 minutes=35
# hint: Each product is split into what lies along known vectors, which is taken off, and what is new.
# hint: Follow the four steps of the docstring in a loop, with three growing lists. In the last step, stop after alpha.
# hint: w = matvec(basis[-1]); alphas.append(w @ basis[-1]); w = w - alphas[-1] * basis[-1] - betas[-1] * basis[-2] (if there is one); Q = torch.stack(basis); twice w = w - Q.T @ (Q @ w); beta = w.norm(); basis.append(w / beta)
# %% [markdown]
# The eigenvalues of the small matrix $T$ are called **Ritz values**. The largest and the smallest of them soon agree with
# eigenvalues of the large matrix to many digits.
# %% exercise="ritz_pairs" title="From a small matrix to a large one" difficulty=3 importance=3 minutes=20
# hint: An eigenvector of the small matrix is a recipe: so much of the first basis vector, so much of the second, ...
# hint: torch.linalg.eigh gives eigenvalues upwards, and eigenvectors in columns. The basis has its vectors in rows.
# hint: values, vectors = torch.linalg.eigh(torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1)); return values.flip(0), (vectors.T @ basis).flip(0)
# %% result
# the error of the largest eigenvalue, by the number of products.
# Both methods begin at the same random vector and make the same number of products. Lanczos forgets nothing. After 14
# products it's at the last digit, where power iteration has two or three digits. How fast power iteration is depends on how
# much larger the largest eigenvalue is than the next one.


def multiply(v):
    return hessian_vector_product(loss_fn, theta_end, v)


start = torch.randn(len(theta_end), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
largest = eigenvalues[-1].item()
alphas, betas, basis = lanczos(multiply, start, 60)
n_products = [*range(2, 61, 2)]
by_power = [abs(power_iteration(lambda v: hessian @ v, start, n - 1)[0] - largest) for n in n_products]
by_lanczos = [abs(ritz_pairs(alphas[:n], betas[: n - 1], basis[:n])[0][0].item() - largest) for n in n_products]
figure = plots.lines(
    {"power iteration": torch.tensor(by_power) + 1e-16, "Lanczos": torch.tensor(by_lanczos) + 1e-16},
    x=n_products,
    x_title="products with the Hessian",
    y_title="error of the largest eigenvalue",
    title="What it's worth to forget nothing",
)
figure.update_yaxes(type="log", exponentformat="power")
# %% result
# what goes wrong without re-orthogonalisation.
# Counted are Ritz values that agree with the largest eigenvalue, of which there is exactly one. Without
# re-orthogonalisation copies appear, called ghosts: 15 of them after 200 steps. The method has forgotten that it knows this
# direction already, and finds it again. Who counts steep directions with it counts some of them many times.
n_long = 60 if SCALE == "tiny" else 200
careless = lanczos(lambda v: hessian @ v, start, n_long, is_reorthogonalised=False)
careful = lanczos(lambda v: hessian @ v, start, n_long)


def count_copies(alphas, betas, basis, n):
    values, _ = ritz_pairs(alphas[:n], betas[: n - 1], basis[:n])
    return int(((values - largest).abs() < 1e-6 * largest).sum())


counted = [*range(10, n_long + 1, 10)]
copies = {
    "without re-orthogonalisation": [count_copies(*careless, n) for n in counted],
    "with it": [count_copies(*careful, n) for n in counted],
}
plots.lines(
    copies,
    x=counted,
    x_title="Lanczos steps",
    y_title="copies of the largest eigenvalue",
    title="Ghosts of one eigenvalue",
)
# %% [markdown]
# ### The density of all eigenvalues
#
# Lanczos knows something about *all* eigenvalues, not only about the largest ones. The start vector is a mixture of all
# eigenvectors. If it's random, each has about the same share in it. Where does this share lie on the axis of
# eigenvalues? The small matrix answers: at each of its eigenvalues lies a weight, the square of the *first* entry of its
# eigenvector, which is its share in the start. So $T$ is a summary of the whole spectrum, in a few dozen numbers.
# %% exercise="lanczos_quadrature" title="A spectrum in a few numbers" difficulty=3 importance=2 minutes=15
# hint: The start vector is the first basis vector. How much of it does an eigenvector of the small matrix hold?
# hint: Eigenvectors come in columns. So the first entries of all of them are the first row.
# hint: values, vectors = torch.linalg.eigh(small); return values, vectors[0] ** 2
# %% result
# the density of 610 eigenvalues, exactly, and from a few products.
# Each eigenvalue is drawn as a narrow bell. The estimate is the mean over ten random starts of 40 products each, and
# never saw the matrix. On the logarithmic axis you can see the tall hill at 0, and even single eigenvalues far out. For
# networks with millions of parameters this is how spectra are drawn (Ghorbani et al. 2019).
from arena_lib.fundamentals.landscapes import smooth

n_starts = 2 if SCALE == "tiny" else 10
grid = torch.linspace(eigenvalues[0].item() - 0.5, largest + 0.5, 400, dtype=torch.float64)
width = 0.02 * largest
generator = torch.Generator().manual_seed(2)
estimates = []
for _ in range(n_starts):
    random_start = torch.randn(len(theta_end), generator=generator, dtype=torch.float64)
    alphas_of_start, betas_of_start, _ = lanczos(multiply, random_start, 40)
    estimates.append(smooth(*lanczos_quadrature(alphas_of_start, betas_of_start), grid, width))
true_density = smooth(eigenvalues, torch.full_like(eigenvalues, 1 / len(eigenvalues)), grid, width)
figure = plots.lines(
    {"exact": true_density, "by Lanczos": torch.stack(estimates).mean(dim=0)},
    x=grid,
    x_title="eigenvalue of the Hessian",
    y_title="density",
    title="The spectrum of a Hessian",
)
figure.update_yaxes(type="log", exponentformat="power", range=[-6, 2])
# %% [markdown]
# ## 4. Where curvature comes from
#
# *About 60 minutes of exercises. You take the Hessian apart: what moves the outputs, and what the loss makes of it.*
#
# The loss doesn't look at parameters. It looks at outputs. So parameters matter only as far as they move outputs. How
# every output, for every input, moves with every parameter is the **behavioural gradient** $J$: a table with a row for
# each output of each example, and a column for each parameter. (Elsewhere it's called the Jacobian of the network.)
# %% exercise="behavioural_gradient" title="How behaviour moves" difficulty=2 importance=4 minutes=20
# hint: Each row is the gradient of a single number.
# hint: Flatten the outputs, and take the gradient of each one. They share a graph, which must survive.
# hint: outputs = output_fn(point).flatten(); torch.stack([torch.autograd.grad(outputs[i], point, retain_graph=True)[0] for i in range(len(outputs))])
# %% [markdown]
# ### How far behaviour moves
#
# Move the parameters by a small step $\delta$. All outputs together move by $J \delta$. So the distance in behaviour is
#
# $$\frac{1}{2n} \sum_{\text{examples}} \lVert f(\theta + \delta) - f(\theta) \rVert^2 \approx \frac{1}{2n} \lVert J \delta \rVert^2$$
#
# where $n$ is the number of examples. How large it can be for a step of length 1 is what the **singular values** of $J$
# say. Take $J / \sqrt n = U S V^T$. The rows of $V^T$ are directions in the space of parameters. Along the first, behaviour
# moves fastest, by $S_1$ per unit of length. Along the last ones it doesn't move at all. The squares $S_k^2$ are the
# curvatures of this distance. So a basin in which behaviour stays the same is wide where singular values are small.
# %% result
# the distance in behaviour along three singular directions, and what the singular values predict.
# The first, the tenth and the hundredth direction. The predicted parabolas, S² δ² / 2, are made of a single number each.
# They lie so near the measured curves that you see one line for two. Along the hundredth direction a step of the same length
# changes nearly nothing: from the first to the hundredth, basins get wider and wider.
n_rows = min(100, len(x))
few = x[:n_rows]


def logits_of_few(theta):
    return outputs_at(model, theta, few)


gradient_of_few = behavioural_gradient(logits_of_few, theta_end)
_, singular_values, directions = torch.linalg.svd(gradient_of_few / n_rows**0.5, full_matrices=False)
reach = torch.linspace(-1, 1, 41, dtype=torch.float64)


def behavioural_distance(theta):
    return 0.5 * ((logits_of_few(theta) - logits_of_few(theta_end)) ** 2).sum(dim=1).mean()


distances = {}
for rank in (1, 10, 100):
    ends = theta_end - directions[rank - 1], theta_end + directions[rank - 1]
    distances[f"direction {rank}"] = losses_along_line(behavioural_distance, *ends, 41)
    distances[f"direction {rank}, predicted"] = 0.5 * singular_values[rank - 1] ** 2 * reach**2
plots.lines(
    distances, x=reach, x_title="length of the step", y_title="distance in behaviour", title="How fast behaviour moves"
)
# %% [markdown]
# ### From behaviour to loss
#
# The squared distance treats all outputs alike. Cross-entropy doesn't: if an example is decided, with a probability of
# almost 1 for one class, its logits may move freely. How the loss of one example bends when its own logits $z$ move is a
# small matrix with a row and a column for each class. With the probabilities $p = \text{softmax}(z)$ it's
#
# $$H_{out} = \operatorname{diag}(p) - p \, p^T$$
#
# You can check it by hand: the slope of the loss with respect to $z_i$ is $p_i$, less 1 for the true class. And
# $\partial p_i / \partial z_j = p_i (1_{i=j} - p_j)$.
# %% exercise="softmax_hessians" title="How cross-entropy bends" difficulty=2 importance=3 minutes=15
# hint: Which entries of p - p p^T lie on the diagonal, and which don't?
# hint: torch.diag_embed(p) puts each row of p on the diagonal of a matrix of its own. The product of all pairs is an outer product for each example.
# hint: torch.diag_embed(p) - einsum(p, p, "batch i, batch j -> batch i j")
# %% [markdown]
# Now the chain rule, twice. The Hessian of the loss has two terms:
#
# $$H \;=\; \underbrace{\frac1n \sum_{\text{examples}} J^T H_{out} J}_{G} \;+\; \frac1n \sum_{\text{examples}} \sum_k \frac{\partial L}{\partial z_k} \, \nabla^2 z_k$$
#
# The first, $G$, is the **Gauss-Newton matrix**: outputs *move* ($J$), and the loss bends ($H_{out}$). It's never negative in
# any direction. In the second, outputs themselves *bend*. But each bend is multiplied by the slope of the loss there,
# $\partial L / \partial z_k = p_k - 1_{k = \text{true}}$. Once an example is learned, this slope is almost 0, and so is the
# second term. So the better the training set is learned, the better $G$ alone tells the curvature.
#
# Like $H$, $G$ is never written down: it's three steps, from right to left. How do the logits move along $v$? Multiply
# by $H_{out}$. Take that back to the parameters.
# %% exercise="gauss_newton_product" title="Gauss-Newton without a matrix" difficulty=3 importance=3 minutes=25
# hint: J v is one number for each logit. J^T u is one number for each parameter. Neither needs J as a table.
# hint: torch.func.jvp(output_fn, (theta,), (v,)) returns the logits and J v. torch.func.vjp(output_fn, theta) returns the logits and a function that takes u to (J^T u,).
# hint: bent = einsum(softmax_hessians(logits), moved, "batch i j, batch j -> batch i") / len(logits); (product,) = pull_back(bent)
# %% result
# how much of the curvature is Gauss-Newton's, as training goes on.
# The share of H that G leaves unexplained, |H - G| / |H|, measured by products with twenty random directions. At a loss of
# 2 nats it's 23 %, at 0.5 nats less than 2 %. From there on the Hessian is the Gauss-Newton matrix, but for a trifle.
probes = torch.randn(20, len(theta_end), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
goals = [2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02] if SCALE != "tiny" else [1.0, 0.3, 0.1]
student = TwoLayers(49, 10, 10, "relu", seed=3)


def logits_fn(theta):
    return outputs_at(student, theta, x)


rests = []
for goal in goals:
    train_to_loss(student, x, y, goal)
    here = flatten_parameters(student)
    full = torch.stack([hessian_vector_product(loss_fn, here, v) for v in probes])
    newton = torch.stack([gauss_newton_product(logits_fn, here, v) for v in probes])
    rests.append(((full - newton).norm() / full.norm()).item())
figure = plots.lines(
    {"rest": rests},
    x=goals,
    x_title="loss on the training set (nats), falling to the right",
    y_title="|H - G| / |H|",
    title="What Gauss-Newton leaves unexplained",
)
figure.update_xaxes(type="log", autorange="reversed")
figure.update_yaxes(rangemode="tozero")
# %% [markdown]
# ## 5. Directions without curvature
#
# *About 60 minutes of exercises. You explain every direction in which the network's answers don't move.*
#
# Most of the 610 directions are nearly flat. Some are *exactly* flat: parameters move and no answer does. Why?
#
# **Scaling.** For $c > 0$, $\text{relu}(c z) = c \, \text{relu}(z)$. So multiply what comes into a hidden unit by $c$, divide what
# goes out by $c$, and nobody can tell. That's one direction for each hidden unit.
# %% exercise="rescale_hidden" title="Other parameters, the same function" difficulty=2 importance=5 minutes=15
# hint: What comes into a unit is its column of W_in and its bias. What goes out is its row of W_out.
# hint: params["W_in"] * scales multiplies each column by its own scale. To divide rows, the scales must be a column.
# hint: params | {"W_in": params["W_in"] * scales, "b_in": params["b_in"] * scales, "W_out": params["W_out"] / scales[:, None]}
# %% [markdown]
# Such a rescaling moves $\theta$ along a curve on which nothing changes. In which *direction* does the curve set out? Take
# the derivative with respect to $c$ at $c = 1$.
# %% exercise="scaling_directions" title="The direction of a symmetry" difficulty=3 importance=3 minutes=20
# hint: What is the slope of c * w at c = 1, and what that of w / c?
# hint: For each unit begin with zeros in the shape of every parameter. Fill in three places, then flatten in the order of the dictionary.
# hint: moved["W_in"][:, unit] = params["W_in"][:, unit]; moved["b_in"][unit] = params["b_in"][unit]; moved["W_out"][unit] = -params["W_out"][unit]; torch.cat([part.flatten() for part in moved.values()])
# %% [markdown]
# **Shifts.** Softmax doesn't see a number that is added to all logits of an example. So add the same to all entries of
# `b_out`, or to all weights that lead out of one hidden unit.
#
# **What is never used.** A hidden unit that is at 0 for every input is *dead*: all that leads into it or out of it is
# without effect. (So are the weights of a pixel that is 0 in every picture. Our pixels all carry noise.)
#
# **What is never bent.** A unit that is *on* for every input isn't bent by its ReLU either. Its bias does nothing that
# `b_out` couldn't do. And two such units are a linear layer, inside which they can trade: what one takes in, the other can
# take in for it.
#
# **Few data.** $J$ has a row for each output of each example. With fewer rows than parameters, some directions must be
# left that no row sees.
#
# Is that all? Find out. The library gives the other directions in the form of your `scaling_directions`:
# `shift_directions(params)`, `unused_directions(params, some)` and `linear_directions(params, some)`. Measure the number of
# independent directions that leave all *log-probabilities* as they are: the number of parameters, less the rank of the
# behavioural gradient. And count how many are explained: the rank of all explained directions together. `some` are the
# first 200 pictures.
# %% exercise="every_flat_direction" title="Account for every flat direction" difficulty=3 importance=4 minutes=25
# hint: Two ranks: one of the behavioural gradient of the log-probabilities, one of all explained directions stacked.
# hint: The output is outputs_at(model, theta, some).log_softmax(dim=-1). A rank needs a tolerance: singular values below 1e-9 of the largest count as zero. torch.linalg.matrix_rank(matrix, rtol=1e-9) does that.
# hint: explained = torch.cat([scaling_directions(params), shift_directions(params), unused_directions(params, some), linear_directions(params, some)]); n_flat_measured = len(theta_end) - rank of the gradient; n_explained = rank of explained.
from arena_lib.fundamentals.landscapes import linear_directions, shift_directions, unused_directions

params, some = unflatten_parameters(theta_end, model), x[:200]
# region solution
log_gradient = behavioural_gradient(lambda theta: outputs_at(model, theta, some).log_softmax(dim=-1), theta_end)
n_flat_measured = len(theta_end) - int(torch.linalg.matrix_rank(log_gradient, rtol=1e-9))
explained = torch.cat(
    [
        scaling_directions(params),
        shift_directions(params),
        unused_directions(params, some),
        linear_directions(params, some),
    ]
)
n_explained = int(torch.linalg.matrix_rank(explained, rtol=1e-9))
# endregion
assert (log_gradient @ explained.T).abs().max() < 1e-9, "an explained direction moves no log-probability"
assert n_flat_measured == n_explained, f"{n_flat_measured} directions are flat, {n_explained} are explained"
# %% result
# the flat directions, by their reason.
# 80 directions are flat, and 80 are explained. (The reasons overlap a little, so their numbers add up to 82.) The scalings
# and the shifts are there in any such network. And one of its ten units is dead, and another one is always on.
reasons = {
    "scaling": len(scaling_directions(params)),
    "shift": len(shift_directions(params)),
    "never used": len(unused_directions(params, some)),
    "never bent": len(linear_directions(params, some)),
    "all together": n_explained,
    "measured": n_flat_measured,
}
plots.bars(list(reasons.values()), list(reasons), y_title="independent directions", title="Why directions are flat")


# %% [markdown]
# One warning. These directions leave *behaviour* as it is, so $J$ has no part along them, and neither has $G$. But a
# rescaling moves along a *curve*. The Hessian looks along straight lines, and a straight line leaves the curve. Where the
# gradient isn't 0, $H$ has a little curvature along scaling directions too. At a true minimum it has none.
#
# ## 6. Pictures of landscapes
#
# *About 20 minutes of exercises. You draw the well-known pictures, and find out what they don't show.*
#
# How does one draw 610 dimensions? The usual way takes two random directions, and draws the loss in the plane that they
# span. But how far should one go? If a network has small weights, a step of length 1 changes everything; if its weights
# are large, it changes nothing. As you know, *the same function* can have small weights or large ones. So Li et al. (2018)
# scale the direction: what leads into a unit, a *filter*, gets a random direction as long as the filter itself.
# %% exercise="filter_normalise" title="As long as the filter" difficulty=3 importance=3 minutes=20
# hint: What leads into a hidden unit: a row or a column of W_in "d_in d_hidden"?
# hint: The norm of each column is weight.norm(dim=0). Divide by the direction's, multiply by the parameters'.
# hint: moved / moved.norm(dim=0) * part.norm(dim=0) for a matrix, torch.zeros_like(part) for a vector
# %% result
# one function, twice, in two kinds of pictures.
# The network, and a twin: the same function, with hidden units rescaled by 5. The random direction is the same in all curves.
# Without normalisation the twin looks much sharper, and nothing but its scale differs. With normalisation the two curves
# lie on top of each other.
def flat(parts):
    return torch.cat([part.flatten() for part in parts.values()])


twin = rescale_hidden(params, torch.full_like(params["b_in"], 5.0))
generator = torch.Generator().manual_seed(4)
raw = {name: torch.randn(part.shape, generator=generator, dtype=torch.float64) for name, part in params.items()}
raw_length = flat(raw).norm()
span = torch.linspace(-1, 1, 41, dtype=torch.float64)
curves = {}
for name, place in (("network", params), ("twin", twin)):
    plain = 3 * flat(raw) / raw_length
    fitting = flat(filter_normalise(raw, place))
    for kind, step in (("plain", plain), ("normalised", fitting)):
        curves[f"{name}, {kind}"] = losses_along_line(loss_fn, flat(place) - step, flat(place) + step, 41)
plots.lines(
    curves, x=span, x_title="share of the direction", y_title="loss (nats)", title="One function, four pictures"
)
# %% result
# three directions through one place.
# A random direction sees the *mean* of all curvatures, and most are near 0: it looks level. Even the direction of the most
# negative curvature looks level. The steepest one was there all the time, and a picture in two random directions doesn't
# show it. It isn't wrong. But it's a picture of an average.
ways = {
    "a random direction": direction,
    "the steepest": eigenvectors[:, -1],
    "the most negative curvature": eigenvectors[:, 0],
}
through = {name: losses_along_line(loss_fn, theta_end - v, theta_end + v, 41) for name, v in ways.items()}
plots.lines(through, x=span, x_title="length of the step", y_title="loss (nats)", title="Three cuts through one place")
# %% [markdown]
# ### Between two minima
#
# Train twice from different random weights. Is there a wall between the two valleys? Walk straight from one to the other.
# And for comparison walk to a *copy of the same network* whose hidden units have changed places. It has exactly the same answers.
# %% result
# straight from one minimum to another.
# There is a wall: 1.8 nats on the way to another network, and 1.1 on the way to a copy of *itself*, which gives the same
# answers at the end. So a wall on the straight line doesn't say that two networks do different things. It may
# say that their units have other names. Ainsworth et al. (2022) undo that before they look.
other = TwoLayers(49, 10, 10, "relu", seed=1)
train_to_loss(other, x, y, goal=0.1)
order = torch.randperm(10, generator=torch.Generator().manual_seed(5))
shuffled = params | {"W_in": params["W_in"][:, order], "b_in": params["b_in"][order], "W_out": params["W_out"][order]}
walls = {
    "to another network": losses_along_line(loss_fn, theta_end, flatten_parameters(other), 31),
    "to a shuffled copy of itself": losses_along_line(loss_fn, theta_end, flat(shuffled), 31),
}
plots.lines(
    walls, x=torch.linspace(0, 1, 31), x_title="share of the way", y_title="loss (nats)", title="Between two minima"
)
# %% [markdown]
# ## 7. What did you measure?
#
# *About 70 minutes of exercises. You look at a convincing plot, doubt it, and run the experiment that decides.*
#
# *Flat minima generalise better*, people say. The idea is old and beautiful: in a wide valley, the landscape of new data,
# which is a little shifted, has nearly the same height. The usual measure is the **sharpness**, the largest eigenvalue of the
# Hessian at the end of training. You have all it takes. So test it.
#
# Here are networks of one size, trained on the same pictures until all have *the same training loss*. They differ in
# their random start, and in how large the first weights were. For each: its sharpness, and its accuracy on pictures that it
# hasn't seen.
# %%
from arena_lib.fundamentals.landscapes import measure_sharpness

more = make_digits(150, 300) if SCALE == "tiny" else make_digits(600, 1000)
x_more, x_new = (shrink_images(torch.tensor(images).double()) for images in (more.train_images, more.test_images))
y_more, y_new = torch.tensor(more.train_labels), torch.tensor(more.test_labels)
wide = TwoLayers(49, 20, 10, "relu")


def wide_loss(theta):
    return cross_entropy(outputs_at(wide, theta, x_more), y_more)


def sharpness_of(params):
    return measure_sharpness(wide_loss, torch.cat([part.flatten() for part in params.values()]))


def correlate(a, b):
    return torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1].item()


# %% result
# sharpness against accuracy on new pictures.
# Ten networks, and a correlation of -0.88. Look at it, and say what you believe.
gains, seeds = ([0.2, 1.0, 1.8], [2]) if SCALE == "tiny" else ([0.2, 0.6, 1.0, 1.4, 1.8], [2, 3])
networks = [TwoLayers(49, 20, 10, "relu", gain=gain, seed=seed) for gain in gains for seed in seeds]
for network in networks:
    train_to_loss(network, x_more, y_more, goal=0.05)
all_params = [unflatten_parameters(flatten_parameters(network), network) for network in networks]
sharpness = torch.tensor([sharpness_of(one) for one in all_params], dtype=torch.float64)
accuracies = torch.tensor([compute_accuracy(network, x_new, y_new) for network in networks])
print(f"correlation of sharpness and accuracy: {correlate(sharpness, accuracies):.2f}")
plots.scatter(
    {"networks": (sharpness, accuracies)},
    x_title="sharpness: largest eigenvalue of the Hessian",
    y_title="accuracy on new pictures",
    title="The flatter, the better?",
)
# %% [markdown]
# A clear result: the flatter the minimum, the better the network does on new pictures. Many papers have shown such a plot. **Stop here
# for a moment.** Before you read on, write down: what exactly was measured on the axis to the right? Could it be changed while the network
# stays the same?
#
# You know of something that changes parameters and no answer. So here is a tool for a control experiment: a function
# that makes a network *as sharp as you like*, and leaves its function alone.
# %% exercise="raise_sharpness" title="As sharp as you like" difficulty=3 importance=4 minutes=30
# hint: Which of your functions changes parameters, but not what the network does?
# hint: The measure grows with the scale, once the scale is large. So find the scale by halving an interval, as one looks up a word in a dictionary.
# hint: rescale = lambda c: rescale_hidden(params, torch.full_like(params["b_in"], c)); low, high = 1.0, 2.0; double high while measure(rescale(high)) < goal; then 20 times middle = (low + high) / 2, which becomes low where the measure is under the goal, else high.
# %% [markdown]
# Now the control experiment. Give every network a **twin** with the same function, so that among the twins the order is
# *turned round*: the network that was sharpest gets the flattest twin, the flattest gets the sharpest. If sharpness says
# something about how a *function* does on new pictures, that must be impossible.
# %% exercise="what_was_measured" title="Turn the order round" difficulty=3 importance=5 minutes=25
# hint: The twins must be sharper than any of the networks, since raise_sharpness only raises. Which goals turn the order round?
# hint: top = sharpness.max(). A goal such as 1.1 * top * top / sharpness is above top, and the larger the flatter a network was.
# hint: twins = [raise_sharpness(one, sharpness_of, goal) for one, goal in zip(all_params, goals)], with goals = (1.1 * sharpness.max() ** 2 / sharpness).tolist()
# region solution
goals_of_twins = (1.1 * sharpness.max() ** 2 / sharpness).tolist()
twins = [raise_sharpness(one, sharpness_of, goal) for one, goal in zip(all_params, goals_of_twins)]
# endregion
twin_sharpness = torch.tensor([sharpness_of(one) for one in twins])
for one, network in zip(twins, networks):
    answers = outputs_at(network, torch.cat([part.flatten() for part in one.values()]), x_new)
    assert (answers - network(x_new)).abs().max() < 1e-8, "a twin must give the same answers"
assert twin_sharpness.argsort().tolist() == sharpness.argsort(descending=True).tolist(), (
    "the order must be turned round"
)
# %% result
# the same functions again.
# Each network, and its twin: the same answers to every picture, to eight decimals, the same accuracy. Among the twins the
# *sharpest* is best: the correlation is +0.88. So the axis to the right isn't a property of what a network does. It measures in which units its
# parameters are written down (Dinh et al. 2017).
print(f"correlation among the twins: {correlate(twin_sharpness, accuracies):.2f}")
plots.scatter(
    {"networks": (sharpness, accuracies), "twins": (twin_sharpness, accuracies)},
    x_title="sharpness: largest eigenvalue of the Hessian",
    y_title="accuracy on new pictures",
    title="The sharper, the better?",
)
# %% [markdown]
# ### Measure something else
#
# Does that mean that flatness has nothing to do with it? No. It means that this measure can't tell. A better measure
# must not change when units are rescaled. So measure each step in units of the parameter that it changes: not "this
# weight grows by 0.1", but "this weight grows by ten percent". With $D$, the matrix that has $|\theta|$ on its diagonal, the
# curvature in these units is $D H D$. If a parameter is made $c$ times larger, and the function stays, then $H$ shrinks by
# what $D$ grows, twice.
# %% exercise="scale_free_product" title="Curvature in percent" difficulty=2 importance=4 minutes=15
# hint: Three matrices, and a vector on the right. Which product comes first?
# hint: A matrix with |theta| on its diagonal multiplies entry by entry.
# hint: sizes = theta.detach().abs(); sizes * hessian_vector_product(loss_fn, theta, sizes * v)
# %% result
# the scale-free sharpness of networks and twins.
# Twins now lie exactly on their networks, so this is a measure of something that they share. And a correlation is left:
# -0.84. So was the first plot right after all? It may have been, but it couldn't know: nothing in it told the function from the
# way it's written down. Now it does. What it doesn't show is a *cause*. These networks differ in how large their first
# weights were, and that may go with both axes. Whether flatness helps, or goes along with what helps, takes another experiment.
from arena_lib.fundamentals.landscapes import top_eigenpairs


def scale_free_sharpness(params):
    theta = torch.cat([part.flatten() for part in params.values()])
    start = torch.randn(len(theta), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, _ = top_eigenpairs(lambda v: scale_free_product(wide_loss, theta, v), start, k=1)
    return values[0].item()


free = torch.tensor([scale_free_sharpness(one) for one in all_params], dtype=torch.float64)
free_of_twins = torch.tensor([scale_free_sharpness(one) for one in twins], dtype=torch.float64)
print(f"correlation of scale-free sharpness and accuracy: {correlate(free, accuracies):.2f}")
print(f"largest difference between a network and its twin: {(free / free_of_twins - 1).abs().max():.1e}")
plots.scatter(
    {"networks": (free, accuracies), "twins": (free_of_twins, accuracies)},
    x_title="scale-free sharpness: largest eigenvalue of D H D",
    y_title="accuracy on new pictures",
    title="In units of each parameter",
)
# %% [markdown]
# One question is left that no plot of ten networks can answer: would it come out again? We trained ten networks from other
# random starts, three times over. The first plot's correlation was -0.65, -0.93 and -0.90. Then we did the same with 400
# pictures to learn from in place of 600, and changed nothing else: -0.26, -0.09, 0.21 and 0.22. So the pattern belongs to
# one set-up, and not to networks as such. Repeat what you find, and change what shouldn't matter, before you call it a law.
#
# What to take away: before you believe a plot, ask what could move a point along its axis *and leave alone what the plot is
# about*. Then move it. A control experiment of ten lines is worth more than a correlation of any
# size. Sometimes it overthrows the conclusion. Here it overthrew the measure.
#
# ## 8. The edge of stability
#
# *About 20 minutes of exercises. You watch gradient descent, and see what really decides how sharp a minimum is.*
#
# If the sharpness isn't about the function, what sets it? Look at a parabola with the curvature $c$. A step of gradient
# descent with the learning rate $\eta$ takes $x$ to $x - \eta c x = (1 - \eta c) x$. As long as $c < 2 / \eta$, the factor
# lies between -1 and 1, and $x$ shrinks. If $c$ is larger, each step jumps over the bottom and lands *higher* than it began.
#
# So in a place that is sharper than $2 / \eta$, gradient descent can't stay. Textbooks conclude: choose $\eta$ so small that
# this never happens. What does a real network do? Take plain gradient descent, with all examples at once, so that there is no
# noise. Write the loss down at each step, and the sharpness every now and then.
# %% exercise="descend_and_measure" title="Watch the way down" difficulty=2 importance=4 minutes=20
# hint: What happens first at a step: the measurement, or the move?
# hint: Loop over the steps. Where step % every == 0, measure at the present place. Then loss, gradient, move. Keep the place without a history.
# hint: point = place.clone().requires_grad_(True); loss = loss_fn(point); (gradient,) = torch.autograd.grad(loss, point); place = place - lr * gradient; at the end Descent(theta=place, losses=losses, steps=steps, sharpness=sharpness)
# %% result
# the edge of stability.
# Three learning rates, one start, at a sharpness of 15. With small rates the curve rises: on its way down, the network goes
# into ever sharper places. It climbs past 2 / lr, the level line of its rate, is thrown back, and *stays there*, hovering
# a little above the line: with the rate 0.1 mostly by about 4 %, with 0.15 by about 10 %. Nobody told it where to stop.
# (The smallest rate gets there last, and is thrown back just before the run ends.) With the largest rate 2 / lr is 13, less than
# at the start, and it hovers from the beginning. At the edge steps jump from side to side, and the jumping drives the network
# back out of what is too sharp (Cohen et al. 2021).
one_hot = torch.nn.functional.one_hot(y, 10).double()
smooth_model = TwoLayers(49, 20, 10, "tanh", gain=0.4)


def squared_error(theta):
    return ((outputs_at(smooth_model, theta, x) - one_hot) ** 2).sum(dim=1).mean()


rates, n_descent, every = ([0.15], 120, 20) if SCALE == "tiny" else ([0.07, 0.1, 0.15], 1600, 25)
ways_down = {
    lr: descend_and_measure(squared_error, flatten_parameters(smooth_model), lr, n_descent, every) for lr in rates
}
plots.lines(
    {f"lr = {lr}": way.sharpness for lr, way in ways_down.items()},
    x=ways_down[rates[0]].steps,
    x_title="step of gradient descent",
    y_title="sharpness",
    title="Sharpness rises to 2 / lr, and stays",
    references={f"2 / {lr}:": 2 / lr for lr in rates},
)
# %% result
# the losses of the same runs.
# Before the edge the loss falls smoothly. At the edge it goes up and down from step to step, and falls all the same in the long run.
plots.lines(
    {f"lr = {lr}": way.losses for lr, way in ways_down.items()},
    x_title="step of gradient descent",
    y_title="mean squared error",
    title="Not smooth, and still downhill",
)
# %% [markdown]
# That closes the circle. How sharp the place is where full-batch gradient descent ends up is decided by the *learning rate*: here it's $2 / \eta$. If
# you train with several learning rates, and plot sharpness against accuracy, your axis is the learning rate, written
# in another way. So whatever large learning rates do for accuracy, the plot will ascribe to flatness. You would have to show
# that it isn't something else that they do. Now you know how to ask.
#
# ## What you have learned
#
# A landscape is a function of one vector. Its curvature along a direction costs about two gradients, and eigenvalues need
# nothing but such products. Power iteration finds one, Lanczos's method many, and the density of all, if it's kept
# orthogonal.
#
# Curvature comes from behaviour: how outputs move, and how the loss bends with them. Once the examples are learned, little
# else is left. And flat directions have reasons, which you can count to the last one: scalings, shifts, and what's never used.
#
# Sharpness is a number about parameters, not about functions. A plot with it can be convincing and wrong. And gradient
# descent itself, at the edge of stability, sets this number to $2 / \eta$.
#
# ## What comes next
#
# Chapter 1 looks inside networks rather than at the landscape around them. The habit of part 7 stays useful there:
# directions in activations, too, can be rescaled and rotated without a change of behaviour, and a probe may measure
# something else than its name says.
#
# ## On your own
#
# - **Another trap.** Measure the sharpness on batches of 16 examples in place of all, for one fixed network. Plot its mean over many
#   batches against the batch size. Why does it rise as batches get smaller, though the expected Hessian is the same? Which
#   control shows it?
# - **Momentum's edge.** With momentum $\beta$ a parabola is stable up to a curvature of $(2 + 2 \beta) / \eta$. Give
#   `descend_and_measure` momentum, and see whether the sharpness goes there.
# - **Replicate a paper.** Ainsworth et al. 2022 ([arXiv:2209.04836](https://arxiv.org/abs/2209.04836)) permute the units of
#   one network to match another's, and the wall between them sinks. Match the hidden units of `other` to those of `model` by
#   their weights, with `scipy.optimize.linear_sum_assignment`, and draw the line between the minima again. By how much
#   does the wall sink for widths of 10, 40 and 160?
#
# ## Reading
#
# - Dinh et al. 2017, [Sharp minima can generalize for deep nets](https://arxiv.org/abs/1703.04933), sections 3 and 4
# - Cohen et al. 2021, [Gradient descent on neural networks typically occurs at the edge of
#   stability](https://arxiv.org/abs/2103.00065)
# - Li et al. 2018, [Visualizing the loss landscape of neural nets](https://arxiv.org/abs/1712.09913)
# - Ghorbani et al. 2019, [An investigation into neural net optimization via Hessian eigenvalue
#   density](https://arxiv.org/abs/1901.10159)
# - Sagun et al. 2016, [Eigenvalues of the Hessian in deep learning](https://arxiv.org/abs/1611.07476)
# - Martens 2014, [New insights and perspectives on the natural gradient method](https://arxiv.org/abs/1412.1193), on
#   Gauss-Newton
