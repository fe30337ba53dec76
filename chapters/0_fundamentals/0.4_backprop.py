# ---
# arena: {id: "0.4", slug: backprop, title: Backprop, hours: 9}
# objectives:
#   - "Check any gradient by trying, and know how far such a check can be trusted"
#   - "Write the backward function of each operation, with everything that broadcasting does to it"
#   - "Record a calculation, sort its graph, and send a gradient back through it: automatic differentiation"
#   - "Train a classifier of pictures on nothing but your own engine"
#   - "Differentiate gradients again, and use second derivatives without ever writing their matrix down"
# ---
# %% [markdown]
# ## What you will build
#
# A network learns by asking one question about each of its numbers: *if this one were a little larger, how much would
# the loss change?* The answer is a derivative, and there may be billions of them. Backpropagation finds all of them in
# about the time that two or three calculations of the loss take. PyTorch does it for you when you write
# `loss.backward()`. In this section you write it yourself, on numpy, until nothing about it is magic.
#
# You write
#
# - **backward functions**, one for each argument of each operation: the chain rule in code,
# - **tensors that remember** how they were made,
# - **backprop** itself: a sort of a graph, and one walk through it,
# - **a network** with a loss and an optimizer, and you train it to read digits,
# - and, at the end, **derivatives of derivatives**, for which your backward functions turn out to be ready.
#
# ### How to work through this
#
# Each exercise is a function or a class with a gap. The docstring says what must hold. A judge looks at your code and
# tells you what is wrong. Each exercise has three hints, from the idea to the step.
#
# You need numpy's arrays and broadcasting (section 0.0), and from school the derivatives of a product, of $1/x$, of
# log and of exp.
# In types, `Arr` is an array of numpy. Shapes are written in words: `"batch classes"` is a table with a row for each
# example and a column for each class.
#
# | part | minutes |
# |---|---|
# | 1. Backward functions | 80 |
# | 2. Tensors that remember | 70 |
# | 3. The way back | 70 |
# | 4. More functions | 120 |
# | 5. A network that learns | 70 |
# | 6. Derivatives of derivatives | 50 |
#
# These are the minutes of the exercises, seven hours and forty minutes together. The nine hours at the top leave the
# rest for reading, and for looking at what comes out.
#
# ## 1. Backward functions
#
# *About 80 minutes of exercises. You measure slopes by trying, then work them out, and take a chain of steps back by hand.*
#
# Before you calculate a single derivative, write a function that needs no calculus. It will tell you, in every later
# part, whether your calculus is right.
#
# The slope of a function at a point says how fast its value changes when the input moves. So move the input: a little
# up, a little down, and compare.
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + \epsilon\, e_i) - f(x - \epsilon\, e_i)}{2 \epsilon}$$
#
# Here $e_i$ is 1 at place $i$ and 0 elsewhere: one entry moves, all others stay. This is called a **central difference**.
# The slopes of all entries together are the **gradient**, and it has the shape of $x$.
# %% exercise="numerical_gradient" title="A slope by trying" difficulty=2 importance=4 minutes=15
# hint: How much does the result change between "a little up" and "a little down", and how far apart are the two?
# hint: For every index of x, copy x twice as floats, move this one entry in each copy, and call the function on both.
# hint: for index in np.ndindex(x.shape): up, down = x.astype(float), x.astype(float); up[index] += eps; down[index] -= eps
# %% [markdown]
# How small should $\epsilon$ be? The smaller, the better the straight line through two points follows the curve. But a
# computer's numbers have about 16 digits. If $\epsilon$ is tiny, the two values agree in nearly all of them, and what is
# left of their difference is rounding.
# %% result
# the error of a slope by trying, for steps of every size.
# The function is exp at 1. A step to one side alone ("forward") has an error that shrinks with eps, a central one
# an error that shrinks with eps squared: its line falls twice as steeply. Towards the left both rise again, for there
# rounding takes over. The best central steps lie between 1e-7 and 1e-5, and are right to ten digits.
import numpy as np

from arena_lib import plots

steps = 10.0 ** np.arange(-13, 0.5, 0.5)
point = np.array([1.0])
central = [abs(numerical_gradient(lambda x: np.exp(x).item(), point, eps)[0] - np.e) for eps in steps]
forward = [abs((np.exp(1.0 + eps) - np.e) / eps - np.e) for eps in steps]
figure = plots.lines(
    {"central": np.array(central) + 1e-16, "forward": np.array(forward) + 1e-16},
    x=steps,
    x_title="eps",
    y_title="error of the slope",
    title="How wrong a slope by trying is",
)
figure.update_xaxes(type="log", exponentformat="power")
figure.update_yaxes(type="log", exponentformat="power")
# %% [markdown]
# Trying works for every function. But it calculates the function twice for *each* entry. A network with a million weights
# would have to run two million times for one step. We need something better, and keep trying for checking.
#
# ### One function at a time
#
# Suppose that a loss $L$ was calculated from some input in several steps. One of the steps was $y = \log(x)$. Somebody has
# already worked out how $L$ changes with $y$. We call that number `grad_out`:
#
# $$\text{grad\_out} = \frac{\partial L}{\partial y}$$
#
# How does $L$ change with $x$? If $x$ moves by a little, $y$ moves by $\frac{dy}{dx}$ times as much, and $L$ by
# $\frac{\partial L}{\partial y}$ times that. The two factors multiply. This is the **chain rule**, and it's all that
# backpropagation is made of:
#
# $$\frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} \cdot \frac{dy}{dx}$$
#
# ![A step y = log(x): forward from x to y and on to the loss, backward from grad_out to grad_out times the slope](figures/chain_rule.png)
#
# A **backward function** does this for one step. It gets `grad_out`, the result `out` of the step, and the step's own
# argument, because slopes depend on where one is.
# %% exercise="log_back" title="The derivative of one function" difficulty=1 importance=3 minutes=5
# hint: What is the derivative of the natural logarithm?
# hint: The derivative of log(x) is 1 / x. The chain rule multiplies it by grad_out.
# hint: return grad_out / x
# %% [markdown]
# ### What broadcasting does
#
# With two arguments there is a difficulty that has nothing to do with calculus. Numpy lets you multiply a table by a row,
# and repeats the row for each row of the table. So *one* entry of the row has had an influence at *several* places of the
# result. If it moves, all of these places move, and their effects add up:
#
# ![A row of three is broadcast to two rows; on the way back each column is added up](figures/unbroadcast.png)
#
# The rule: **what is copied on the way forward is added up on the way back.** Broadcasting makes copies in two ways. It
# puts new axes on the left, and it stretches axes of length 1. Both ways must be undone.
#
# Take your time for this one. A wrong `unbroadcast` often gives the right *shape*, and then nothing complains: the network
# just learns badly.
# %% exercise="unbroadcast" title="Add up what was copied" difficulty=3 importance=5 minutes=25
# hint: Line the two shapes up at their right ends. Which axes are new? Which have length 1 in the original?
# hint: The first broadcasted.ndim - original.ndim axes are new. Add up these, and those that have length 1 in the original.
# hint: broadcasted.sum(axis=(*range(n_new), *stretched)).reshape(original.shape), where axis i of the original is axis n_new + i.
# %% [markdown]
# Now the product. If `x` is repeated and multiplied by `y`, each copy meets another entry of `y`. So first multiply,
# then add up. A product has two arguments, so it has two backward functions; `multiply_back0` is for the first.
# %% exercise="multiply_back0" title="A product, for its first factor" difficulty=2 importance=4 minutes=10
# hint: If y is held fixed, how fast does x * y grow with x?
# hint: The slope is y. Multiply grad_out by it, then add up what belongs to copies of one entry of x.
# hint: return unbroadcast(grad_out * y, x)
# %% exercise="multiply_back1" title="A product, for its second factor" difficulty=1 importance=3 minutes=5
# hint: What changes if the two factors swap their roles?
# hint: The slope for y is x, and the result has the shape of y.
# hint: return unbroadcast(grad_out * x, y)
# %% [markdown]
# ### A chain by hand
#
# Four steps lead from $a$, $b$ and $c$ to $g$:
#
# $$d = a \cdot b \qquad e = \log c \qquad f = d \cdot e \qquad g = \log f$$
#
# On the way back you begin at the end. How does $g$ change with itself? Exactly as much: the first `grad_out` is 1. Then
# each backward function takes one step, and what it returns is the `grad_out` of the step before.
# %% exercise="forward_and_back" title="Four steps forward, six back" difficulty=3 importance=4 minutes=20
# hint: Which gradient is known first, and which one can be worked out from it?
# hint: From g to f by log_back; from f to d and to e by the two functions of the product; then from d to a and b, and from e to c.
# hint: grad_f = log_back(np.ones_like(g), g, f), grad_d = multiply_back0(grad_f, f, d, e), grad_e = multiply_back1(grad_f, f, d, e), ...
# %% result
# your chain, beside what trying gives.
# Three numbers, worked out in two ways that have nothing in common. They are 1/a, 1/b and 1/(c log c): the logarithm of
# a product is a sum, so a and b don't know of each other.
abc = np.array([2.0, 4.0, 3.0])


def chain(x):
    return np.log(x[0] * x[1] * np.log(x[2]))


by_chain_rule = [gradient.item() for gradient in forward_and_back(*abc.reshape(3, 1))]
plots.bars(
    {"by the chain rule": by_chain_rule, "by trying": numerical_gradient(chain, abc)},
    ["a = 2", "b = 4", "c = 3"],
    y_title="slope of g",
    title="One chain, two ways to its slopes",
)
# %% [markdown]
# ## 2. Tensors that remember
#
# *About 70 minutes of exercises. You keep backward functions in a table, and record how every tensor was made.*
#
# You have just worked like a machine: forward, and then the same steps backward, each with its backward function. A
# machine can do it, if it knows two things. Which backward function belongs to which argument of which function? And
# which steps were taken?
#
# First the table. A product has two backward functions, so it takes a function *and* the position of an argument to
# find one.
# %% exercise="backward_func_lookup" title="A table of backward functions" difficulty=2 importance=3 minutes=10
# hint: What would you look up in a dictionary: what is the key, and what is the value?
# hint: A key may be a tuple, (forward_fn, arg_position).
# hint: self.back_funcs[forward_fn, arg_position] = back_fn; looking up a missing key raises KeyError by itself.
# %%
# The table for this section. The library's functions fill it at first, and each of yours takes the place of the
# library's from here on: it's yours that will be called.
from arena_lib.fundamentals.backprop.lookup import make_back_funcs

BACK_FUNCS = BackwardFuncLookup()
for (forward_fn, position), back_fn in make_back_funcs().back_funcs.items():
    BACK_FUNCS.add_back_func(forward_fn, position, back_fn)

BACK_FUNCS.add_back_func(np.log, 0, log_back)
BACK_FUNCS.add_back_func(np.multiply, 0, multiply_back0)
BACK_FUNCS.add_back_func(np.multiply, 1, multiply_back1)
# %% [markdown]
# ### Recipes
#
# Which steps were taken? Each result will remember that itself. A `Tensor` is an array with a few notes:
#
# | attribute | holds |
# |---|---|
# | `array` | the numbers |
# | `requires_grad` | whether a gradient is wanted for it |
# | `grad` | the gradient, a Tensor, once it has been worked out; None before |
# | `recipe` | how it was made; None if nothing was recorded |
# | `is_leaf` | whether `recipe` is None |
#
# A weight of a network is a tensor that *you* make with `Tensor(array, requires_grad=True)`. It has no recipe: it's a
# **leaf**, and backpropagation will end there. What is calculated from it gets a `Recipe`:
#
# | attribute | holds, for `y = log(x)` |
# |---|---|
# | `func` | the function of arrays that was called: `np.log` |
# | `args` | its arguments, as arrays and numbers: `(x.array,)` |
# | `kwargs` | its arguments by name: `{}` |
# | `parents` | those arguments that were tensors, by position: `{0: x}` |
#
# That's just what a backward function will ask for. Recording costs memory, because a recipe keeps its parents alive. So
# we record only if somebody wants a gradient, and nothing inside `with no_grad():`.
# %% exercise="log_forward" title="A logarithm that remembers" difficulty=2 importance=3 minutes=15
# hint: Two things happen: the array is calculated, in any case; and notes are taken, in some cases.
# hint: Make the result with Tensor(np.log(x.array)). If is_grad_enabled() and x.requires_grad, set its requires_grad and its recipe.
# hint: result.recipe = Recipe(func=np.log, args=(x.array,), kwargs={}, parents={0: x})
# %% [markdown]
# The product is a little harder. Either argument may be a plain number, which has no gradient and is no parent. And one
# tensor that wants a gradient is enough.
# %% exercise="multiply_forward" title="A product that remembers" difficulty=3 importance=3 minutes=20
# hint: Which arguments go into args, which into parents, and at which position?
# hint: args: arg.array of a tensor, else arg. parents: a dictionary of positions, for tensors alone. enumerate((a, b)) counts.
# hint: any(parent.requires_grad for parent in parents.values()) says whether somebody wants a gradient.
# %% [markdown]
# You don't want to write this again for exp, sum and all the others. What differs is one line. So write a function that
# *makes* such functions: it takes numpy's function, and returns one of tensors.
# %% exercise="wrap_forward_fn" title="A maker of functions that remember" difficulty=4 importance=4 minutes=25
# hint: A function may define a function inside, which knows the outer one's arguments, and return it.
# hint: def tensor_func(*args, **kwargs): is multiply_forward for any number of arguments, with numpy_func in place of np.multiply.
# hint: Record if is_differentiable and is_grad_enabled() and one of the parents requires a gradient; args=arrays, kwargs=kwargs.
# %% [markdown]
# The library has made such a function of each that we will need. They do what yours do, and you write them as you
# write them with numpy or PyTorch. From part 4 on you will calculate with tensors yourself, so here they are:
#
# | you write | and get |
# |---|---|
# | `a + b`, `a - b`, `a * b`, `a / b`, `-a` | what the signs say, entry by entry; one of the two may be a number or an array |
# | `maximum(a, b)` | the larger of the two, entry by entry |
# | `x.exp()`, `x.log()` | the function of each entry |
# | `a @ b`, `a.T` | the product of two matrices; a matrix with its axes swapped |
# | `x.sum(dim=1, keepdim=True)`, `x.mean()` | the sum or the mean over one axis, or over all |
# | `x.reshape(2, -1)`, `x.permute(1, 0)` | the same entries in another shape; the axes in another order |
# | `x[rows, columns]` | some of the entries, picked as numpy picks them |
#
# Two things aren't recorded: `x.array` is the plain array, and `x.item()` the plain number of a tensor that has one entry.
#
# You can teach it more. Here *your* `wrap_forward_fn` makes a sine and a cosine of tensors, with backward functions of
# two lines.
# %%
from arena_lib.fundamentals.backprop import FORWARD_FUNCS, Tensor, no_grad

FORWARD_FUNCS[np.sin] = wrap_forward_fn(np.sin)
FORWARD_FUNCS[np.cos] = wrap_forward_fn(np.cos)
BACK_FUNCS.add_back_func(np.sin, 0, lambda grad_out, out, x: grad_out * np.cos(x))
BACK_FUNCS.add_back_func(np.cos, 0, lambda grad_out, out, x: -grad_out * np.sin(x))


def draw_calculation(end, title, names):
    """Goes from a tensor to its parents, again and again, and draws what it finds."""
    from arena_lib.plots.backprop.calculation import calculation

    labels, arrows, waiting = {}, [], [end]
    for tensor in waiting:
        name = names.get(tensor, tensor.recipe.func.__name__ if tensor.recipe else "leaf")
        labels[tensor] = name + "'" * sum(label.strip("'") == name for label in labels.values())
        for parent in tensor.recipe.parents.values() if tensor.recipe else []:
            waiting += [parent] if all(parent is not other for other in waiting) else []
            arrows.append((parent, tensor))
    texts = {
        labels[t]: f"{t.array.item():.3g}" + (f", grad {t.grad.item():.3g}" if t.grad is not None else "")
        for t in waiting
    }
    marked = [labels[tensor] for tensor in waiting if tensor.is_leaf]
    return calculation(texts, [(labels[a], labels[b]) for a, b in arrows], marked=marked, title=title)


# %% result
# the chain from part 1, as its tensors remember it.
# It was calculated by your functions that remember. Nobody has written down the arrows: they follow from the recipes.
# Leaves are orange squares. Below each name is its value. (A dash tells the second `multiply` from the first one.)
a, b, c = (Tensor(number, requires_grad=True) for number in (2.0, 4.0, 3.0))
g = log_forward(multiply_forward(multiply_forward(a, b), log_forward(c)))
names = {a: "a", b: "b", c: "c", g: "g"}
draw_calculation(g, "What g remembers", names)
# %% [markdown]
# ## 3. The way back
#
# *About 70 minutes of exercises. You put a graph into order, and send a gradient through it.*
#
# The picture is a **graph**: nodes, and arrows between them. Backpropagation walks it from the end to the leaves. In which
# order? Look at this one, in which $d$ is used twice:
#
# ![A graph in which d leads to the loss directly, and through e as well](figures/diamond.png)
#
# $d$ gets a share of its gradient from $L$ directly, and another one through $e$. It may pass its gradient on only when
# *both* have arrived. So $e$ must come before $d$, though $d$ is only one arrow away from $L$. An order in which
# every node comes after all nodes that it depends on is called a **topological order**.
#
# You will write the sort for any graph, with "children" for the nodes that an arrow leads to. It puts children first.
# For backpropagation we turn the arrows of the pictures round: the "children" of a tensor are what it was made from. So
# leaves come first and the end comes last. Read backwards, the order begins at the end, and nothing is passed on too early.
#
# A graph that leads back to where it began has no such order, and must be refused. That two ways meet is no such cycle.
# %% exercise="topological_sort" title="Children first" difficulty=4 importance=4 minutes=25
# hint: When may a node be added to the order? When all of its children are in it.
# hint: A function visit(node) that calls itself for every child, and then adds the node. A node that was added is skipped.
# hint: Keep two sets of id(node): those that are done, and those whose children are being visited. To meet one of the second kind again is a cycle.
# %% [markdown]
# Does your sort call itself? That's the shortest way to write it, and it will do for every graph of this section. But it
# goes one call deeper for each arrow, and after about a thousand calls inside each other Python stops with a
# `RecursionError`. A total that a loop of a thousand turns adds up is such a chain. The library's sort keeps a list of
# the nodes that it is in the middle of, in place of the calls, so there a graph may be as deep as memory allows.
#
# Now everything is there. Keep a dictionary with the gradient of each tensor. It begins with one entry: the end has the
# gradient 1 (or `end_grad`). Then walk. When a tensor's turn comes its gradient is complete, and
#
# - a **leaf** keeps it, in `grad`,
# - any other tensor passes it on. For each parent, the table has a backward function, and the recipe has its arguments.
#
# The sort asks a function for the children of a node. For a tensor the library has it: `get_parents(tensor)` gives those
# of its parents that require a gradient. All others are left out of the order, so leave them out when you pass a gradient
# on, too: a recipe's `parents` holds them as well.
#
# What a parent gets from several places is added up. Two things are easily missed. First, `gradients[parent] += share`
# would change an array in place that another tensor may be using as well. Write `gradients[parent] + share`. Second, a
# leaf's gradient is *added* to a `grad` that is there already: that's PyTorch's convention as well, and the reason
# why every training loop calls `zero_grad`.
# %% exercise="backprop" title="Backpropagation" difficulty=5 importance=5 minutes=45
# hint: The loop runs over the tensors in an order in which each one's gradient is complete. Two cases: has it a recipe?
# hint: for node in reversed(topological_sort(end_node, get_parents)): take its gradient out of the dictionary; a leaf keeps it, others call a backward function for each parent that requires a gradient.
# hint: back_func = BACK_FUNCS.get_back_func(recipe.func, position); share = back_func(gradient, node.array, *recipe.args, **recipe.kwargs)
# %% result
# the same graph, with gradients.
# The values at the leaves are those of the bars in part 1, and this time nobody told the machine which steps to take.
backprop(g)
draw_calculation(g, "What g remembers, and what backprop found", names)
# %% result
# a function with its slope, found by your backprop at 200 points at once.
# Where the curve is flat the slope crosses 0. (One call is enough: the points don't influence each other, so each point's
# slope is its own.) The dots are by trying.
x = Tensor(np.linspace(-4, 4, 200), requires_grad=True)
y = np.sin(x * x) * x
backprop(y)
tried = numerical_gradient(lambda x: (np.sin(x * x) * x).sum(), x.array)
figure = plots.lines(
    {"x sin(x²)": y.array, "its slope by your backprop": x.grad.array},
    x=x.array,
    x_title="x",
    y_title="value",
    title="A function and its slope",
)
figure.add_scatter(x=x.array[::5], y=tried[::5], mode="markers", name="slope by trying", marker={"color": "black"})
# %% [markdown]
# ### Conventions
#
# Where mathematics leaves a choice, engines choose. This one does as PyTorch does, with these exceptions:
#
# | | here | PyTorch |
# |---|---|---|
# | gradient of relu at 0 | 0.5, for `maximum` shares ties | 0 (but its `maximum` shares ties, too) |
# | backward from a tensor with several entries | begins with ones | refused unless a gradient is given |
# | the call | `backprop(loss)` | `loss.backward()` |
# | numbers from a list | float64 | float32 |
# | `cross_entropy` (part 5) | one loss for each example | the mean |
# | changing an array that a recipe holds | not noticed | an error |
#
# ## 4. More functions
#
# *About 120 minutes of exercises. You write the backward functions that a network needs.*
#
# Backprop doesn't change any more. All that a new operation needs is its backward functions.
# %% exercise="negative_back" title="A change of sign" difficulty=1 importance=1 minutes=5
# hint: What is the slope of -x?
# hint: It's -1 everywhere.
# hint: return -grad_out
# %% exercise="exp_back" title="The function that is its own derivative" difficulty=1 importance=2 minutes=5
# hint: What is the derivative of exp(x)?
# hint: It's exp(x), and that has been calculated already.
# hint: return grad_out * out
# %% [markdown]
# A quotient $x / y$ is $x$ times $1 / y$. When $y$ grows, $1 / y$ falls, and it falls fastest where $y$ is small: its
# derivative is $-1 / y^2$. For $x$, above the line, there is nothing new. For $y$ there is.
# %% exercise="true_divide_back1" title="Below the line" difficulty=3 importance=2 minutes=15
# hint: x / y is x times 1 / y. What is the derivative of 1 / y?
# hint: The slope for y is -x / y**2, which is -out / y. Then add up what was broadcast.
# hint: return unbroadcast(-grad_out * out / y, y)
# %% [markdown]
# ### Functions that move entries
#
# `reshape` and `permute` calculate nothing. They move entries to other places, so the way back moves each gradient to
# where its entry came from.
# %% exercise="reshape_back" title="Back into shape" difficulty=1 importance=2 minutes=5
# hint: Which shape must the gradient for x have?
# hint: reshape never changes the order in which the entries lie. So reshape back.
# hint: return np.reshape(grad_out, x.shape)
# %% exercise="permute_back" title="Every axis back to its place" difficulty=3 importance=2 minutes=10
# hint: If axis 0 of x has become axis 2, where must axis 2 of grad_out go?
# hint: The way back is the inverse permutation: for each axis of x, its place in axes.
# hint: return np.transpose(grad_out, tuple(np.argsort(axes)))
# %% [markdown]
# `sum` is broadcasting's mirror image. Broadcasting copies, and its way back adds up. `sum` adds up, and its way back
# copies: each entry that went into a sum gets the sum's gradient.
# %% exercise="sum_back" title="From one to many" difficulty=3 importance=3 minutes=25
# hint: Each entry of x has the slope 1. So what does it get, and in which shape?
# hint: If the axes were dropped (no keepdim, and dim is not None), put them back with length 1. Then broadcast to the shape of x.
# hint: np.broadcast_to(np.expand_dims(grad_out, dim), x.shape); without expand_dims if the axes are there, or if all were summed.
# %% [markdown]
# ### The larger of two
#
# `np.maximum(x, y)` passes on whichever is larger, so the gradient goes there and nothing goes to the other. But what if
# they are equal? Left of the tie one slope holds, right of it another. There is no right answer, only a convention:
# each gets half. A central difference says the same, because it goes one step into each side.
# %% exercise="maximum_back0" title="The winner takes it, ties share it" difficulty=3 importance=3 minutes=15
# hint: Three cases at every place: x is larger, y is larger, both are equal.
# hint: np.where(condition, a, b) chooses place by place, and can be put inside another one.
# hint: unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), x)
# %% exercise="maximum_back1" title="The same for the other one" difficulty=1 importance=2 minutes=5
# hint: What changes if x and y swap their roles?
# hint: The gradient goes to y where y is larger, and half of it where they are equal.
# hint: Compare with <, and unbroadcast to the shape of y.
# %% [markdown]
# Most networks are made of products of matrices with a **relu** in between: what is below 0 becomes 0. You have all that
# it takes: `maximum`, from the table in part 2, remembers what it was called with, and its two backward functions are those
# that you have just written.
# %% exercise="relu" title="Nothing below zero" difficulty=1 importance=2 minutes=5
# hint: relu(x) is the larger of two things.
# hint: maximum is imported above: it takes tensors and numbers, and remembers.
# hint: return maximum(x, 0.0)
# %% [markdown]
# ### The product of matrices
#
# Entry $(i, k)$ of $z = x\,y$ is $\sum_j x_{ij}\, y_{jk}$. Which entries of $z$ does $x_{ij}$ take part in? Row $i$, all of
# it. In entry $(i, k)$ its slope is $y_{jk}$. So
#
# $$\frac{\partial L}{\partial x_{ij}} = \sum_k \text{grad\_out}_{ik}\; y_{jk}$$
#
# Look at the letters: that's a product of matrices again. Shapes alone almost give it away, except where a matrix is
# square: there a missing transpose goes unnoticed. The judge looks at squares as well.
# %% exercise="matmul2d_back0" title="A product of matrices, for the first" difficulty=3 importance=4 minutes=20
# hint: The sum in the formula runs over k, the columns of grad_out and the columns of y.
# hint: A product of matrices sums over columns of the first and rows of the second. So which matrix must be transposed?
# hint: return grad_out @ y.T
# %% exercise="matmul2d_back1" title="A product of matrices, for the second" difficulty=2 importance=4 minutes=10
# hint: Which entries of z does y_jk take part in, and with which slope? Write the formula down as above.
# hint: The sum runs over i, the rows of x and the rows of grad_out.
# hint: return x.T @ grad_out
# %%
# From here on yours are called.
from arena_lib.fundamentals.backprop import arrays

BACK_FUNCS.add_back_func(np.negative, 0, negative_back)
BACK_FUNCS.add_back_func(np.exp, 0, exp_back)
BACK_FUNCS.add_back_func(np.true_divide, 1, true_divide_back1)
BACK_FUNCS.add_back_func(arrays.reshape_array, 0, reshape_back)
BACK_FUNCS.add_back_func(arrays.permute_array, 0, permute_back)
BACK_FUNCS.add_back_func(arrays.sum_array, 0, sum_back)
BACK_FUNCS.add_back_func(np.maximum, 0, maximum_back0)
BACK_FUNCS.add_back_func(np.maximum, 1, maximum_back1)
BACK_FUNCS.add_back_func(arrays.matmul2d, 0, matmul2d_back0)
BACK_FUNCS.add_back_func(arrays.matmul2d, 1, matmul2d_back1)
# %% result
# a check that says where a gradient is wrong.
# `check_gradient` compares backprop with trying, at a point that you choose, and says nothing if they agree. Your backprop
# passes on a small network. Then we put a mistake into the table: relu's gradient gets through everywhere. The check
# names the argument, the entry and the point. (After that the table is as it was.)
from arena_lib.errors import GradientError
from arena_lib.fundamentals.backprop import check_gradient

rng = np.random.default_rng(0)


def small_network(x, weight, bias):
    return (relu(x @ weight + bias).exp().sum(dim=1) / 3.0).log()


inputs = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
check_gradient(small_network, *inputs, backprop=backprop)

BACK_FUNCS.add_back_func(np.maximum, 0, lambda grad_out, out, x, y: grad_out)
try:
    check_gradient(small_network, *inputs, backprop=backprop)
except GradientError as error:
    print(error)
BACK_FUNCS.add_back_func(np.maximum, 0, maximum_back0)
# %% result
# the slope of relu, by three conventions.
# At 0 your engine and the central difference say 0.5. A difference to the right says 1, and PyTorch's relu says 0. All
# are defensible, and for training it makes no difference: an entry of exactly 0 is rare.
import torch

places = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
ours, theirs = Tensor(places, requires_grad=True), torch.tensor(places, requires_grad=True)
backprop(relu(ours))
torch.relu(theirs).sum().backward()
plots.bars(
    {
        "your backprop": ours.grad.array,
        "central difference": numerical_gradient(lambda x: np.maximum(x, 0).sum(), places),
        "PyTorch": theirs.grad.numpy(),
    },
    [f"x = {place:g}" for place in places],
    y_title="slope of relu",
    title="At 0 the slope is a convention",
)
# %% [markdown]
# ## 5. A network that learns
#
# *About 70 minutes of exercises. You write a layer, a loss and an optimizer, and train a network to read digits.*
#
# A **linear layer** gives each output a weighted sum of all inputs, and adds a constant, the **bias**. Its weights are
# leaves. The class `Parameter` is a `Tensor` that always requires a gradient, and `Module` finds all parameters that
# are kept as attributes: `module.parameters()`. A call of a module, `module(x)`, calls its `forward`.
#
# The first weights are random. If all were equal, all outputs would be equal, get equal gradients, and stay equal
# for ever. They are small, and the more inputs there are the smaller, so that a sum over many inputs doesn't grow.
# %% exercise="linear" title="A layer" difficulty=3 importance=4 minutes=25
# hint: What does the layer keep, in which shapes, and what does it calculate?
# hint: weight is "out_features in_features", so forward multiplies x by its transpose, and adds the bias if there is one.
# hint: Parameter(rng.uniform(-bound, bound, (out_features, in_features))) with bound = 1 / np.sqrt(in_features); x @ self.weight.T + self.bias
# %% [markdown]
# ### How surprised is it?
#
# The network gives a number for each class, a **logit**. **Softmax** makes probabilities of them: $e^{z_k}$ over the sum
# of all $e^{z_j}$. The loss of an example is how surprising its true class $t$ is under these probabilities: minus the
# logarithm of its probability, counted in *nats*.
#
# $$\text{loss} = -\log \frac{e^{z_t}}{\sum_j e^{z_j}} = -\Bigl(z_t - m - \log \sum_j e^{z_j - m}\Bigr)$$
#
# A network that knows nothing and gives each of ten classes a tenth has the loss $\log 10 = 2.30$. Why the $m$?
# It changes nothing: to take $m$ away from every logit is to divide by $e^m$, above the line of the fraction and below it.
# But $e^{1000}$ is more than a computer's float can hold. With the largest logit for $m$, no exponent
# is above 0. It's a constant: the loss doesn't depend on it, so it needs no gradient, and `logits.array.max(...)` will do.
# %% exercise="cross_entropy" title="The price of a surprise" difficulty=3 importance=4 minutes=20
# hint: Log-probabilities first, for all classes. Then pick one in each row.
# hint: shifted = logits - maximum; log_probs = shifted - log of the sum of exp(shifted) over the classes, with keepdim.
# hint: -log_probs[np.arange(len(log_probs)), true_labels.array] picks the entry of the true label in every row.
# %% [markdown]
# ### Downhill
#
# The gradient points uphill: if a weight grows, the loss changes by its gradient. So go the other way, in small steps.
# With a batch of random examples in each step this is called **stochastic gradient descent**.
# %% exercise="sgd" title="One step downhill" difficulty=2 importance=4 minutes=15
# hint: Each parameter moves against its gradient, by the learning rate times as much.
# hint: Work with .array: what the optimizer does isn't to be recorded. Skip parameters whose grad is None.
# hint: parameter.array = parameter.array - self.lr * parameter.grad.array, and parameter.grad = None in zero_grad.
# %% exercise="training_step" title="All of it, in one step" difficulty=2 importance=4 minutes=10
# hint: In which order: forget old gradients, find new ones, use them?
# hint: The loss is the mean of cross_entropy(model(Tensor(images)), Tensor(labels)).
# hint: optimizer.zero_grad(); backprop(loss); optimizer.step(); return loss.item()
# %% [markdown]
# ### Digits
#
# The pictures are drawn by a program, so there's nothing to download: strokes that shake, lean, are shifted and
# stretched, with a thick pen or a thin one, and noise on every pixel. They have 14 by 14 pixels.
#
# `ImageData` holds pictures and labels to learn from, and others to be tested on. Any pictures will do. Once you have
# Fashion-MNIST (section 0.2 brings a part of it), make an `ImageData` of its arrays, with values from 0 to 1, and run
# the cells below again with it as `data`.
# %% result
# what the network will see, one column for each digit.
# Can you read them all? Some are hard, and the best a network does will have something to do with that.
from arena_lib.fundamentals.backprop.classifier import (
    ImageData,
    compute_accuracy,
    make_digits,
    predict,
    train_classifier,
)
from arena_lib.plots.backprop.image_rows import image_rows

data = make_digits(600, 300) if SCALE == "tiny" else make_digits(4000, 1000)
of_each = [np.flatnonzero(data.train_labels == digit)[:3] for digit in range(data.n_classes)]
image_rows(data.train_images[np.stack(of_each, axis=1).ravel()], title="Three pictures of each digit")
# %% [markdown]
# The network has one hidden layer. Everything below is yours: `Linear`, `relu`, `cross_entropy`, `SGD`, `training_step`,
# the table of backward functions, and `backprop`. The library's `train_classifier` only deals out the batches.
# %% result
# it learns.
# The loss begins near 2.3, as it must, and falls. The accuracy is the share of test pictures, none of which it has
# learned from, that it reads right. Five networks, each begun from other weights, come out between 94.5 and 95.0 %, in
# about a second each. The line is the mean of the five, each point of ten steps, and the band is two standard errors of
# that mean to either side. (At the scale "tiny" you see one network and fewer pictures.)
from arena_lib.fundamentals.backprop.classifier import Module
from arena_lib.plots.rl.mean_curves import mean_curves


class TwoLayers(Module):
    def __init__(self, n_pixels, d_hidden, n_classes, rng):
        self.hidden = Linear(n_pixels, d_hidden, rng=rng)
        self.output = Linear(d_hidden, n_classes, rng=rng)

    def forward(self, x):
        return self.output(relu(self.hidden(x.reshape(len(x), -1))))


n_seeds, n_epochs = (1, 5) if SCALE == "tiny" else (5, 15)
losses, accuracies = [], []
for seed in range(n_seeds):
    model = TwoLayers(data.n_pixels, 64, data.n_classes, np.random.default_rng(seed))
    optimizer = SGD(model.parameters(), lr=0.3)
    losses.append(train_classifier(model, optimizer, data, n_epochs=n_epochs, seed=seed, step=training_step))
    accuracies.append(compute_accuracy(model, data.test_images, data.test_labels))
print("accuracy on the test set:", ", ".join(f"{accuracy:.1%}" for accuracy in accuracies))
mean_curves({"loss": losses}, y_title="loss (nats)", title="Learning to read", window=10, limits=(0.0, np.inf))
# %% result
# the pictures that the last network gets wrong.
# Above each one: what it is, and what the network takes it for.
guesses = predict(model, data.test_images)
wrong = np.flatnonzero(guesses != data.test_labels)[:20]
image_rows(
    data.test_images[wrong],
    [f"{data.test_labels[i]}, not {guesses[i]}" for i in wrong],
    title="Mistakes on the test set",
)
# %% result
# what the hidden layer looks for.
# The weights of twenty of its neurons, in the shape of a picture. A neuron is pleased by ink where it's red, and put off
# by ink where it's blue. You can see strokes, and places that must be empty. (If one looks like noise, as the seventh does
# at the scale "full", it's a "dead" one: hardly any picture lifts it above 0, so hardly any gradient reaches its weights.)
weights = model.hidden.weight.array[:20].reshape(-1, *data.train_images.shape[1:])
image_rows(weights, is_signed=True, title="Weights of hidden neurons")
# %% [markdown]
# ## 6. Derivatives of derivatives
#
# *About 50 minutes of exercises. You differentiate your own backpropagation.*
#
# A slope has a slope: the second derivative, or curvature. It says how a valley bends, how large a step may be, which
# directions are flat. To find it by backpropagation, a gradient must be a tensor that remembers how it was made.
#
# Look at your `log_back`. It returns `grad_out / x`. Given two arrays, that's an array. But what if `grad_out` and `x` were
# *tensors*? Then `/` is the division that remembers, and the result is a tensor with a recipe. The same goes for
# `np.where`, `@` and `.sum()`: numpy asks tensors what to do. You have written your backward functions for arrays,
# and they work for tensors without a single change, if they are made of what tensors can do: the operators and methods of
# the table in part 2, and `np.where`. Did you write entries into an array, or call something else, such as `np.sign`
# or `np.einsum`? That's right for arrays, and stops here with an error. Then write that function once more, or put the
# library's in its place: `BACK_FUNCS.add_back_func(np.maximum, 0, elementwise_back.maximum_back0)`, where
# `elementwise_back` and `shape_back` are modules of `arena_lib.fundamentals.backprop`.
#
# So all that's missing is a walk through the graph that hands them tensors.
# %% exercise="compute_gradients" title="Backprop that remembers" difficulty=4 importance=4 minutes=30
# hint: It's your backprop, with three changes: gradients are tensors, the arguments of backward functions are tensors, and results are returned instead of kept.
# hint: The arguments: where the recipe has a parent for a position, take the parent, else what is in args. In place of node.array take node.
# hint: args = [recipe.parents.get(position, arg) for position, arg in enumerate(recipe.args)]; back_func(gradients[node], node, *args, **recipe.kwargs)
# %% result
# a bell curve and its first four derivatives.
# Each curve is the slope of the one before it. You can check that by eye: where one has a peak, the next crosses 0. Nobody
# worked out a formula: `compute_gradients` was called on its own results.
x = Tensor(np.linspace(-4, 4, 161), requires_grad=True)
curves = [np.exp(-x * x / 2.0)]
for _ in range(4):
    curves += compute_gradients(curves[-1], [x])
order = ["exp(-x²/2)", "first derivative", "second", "third", "fourth"]
plots.lines(
    {name: curve.array for name, curve in zip(order, curves)},
    x=x.array,
    x_title="x",
    y_title="value",
    title="Derivatives of derivatives",
)
# %% [markdown]
# ### Curvature in many dimensions
#
# With $n$ weights there are $n$ slopes, and $n^2$ second derivatives, one for each pair of weights. Their matrix is the
# **Hessian**, $H$. For a million weights it has a million million entries, and nobody can write it down. But often one only
# needs to know how the gradient changes along *one* direction $v$, which is $Hv$. And that is cheap:
#
# $$H v = \nabla\bigl(\nabla f \cdot v\bigr)$$
#
# The gradient times $v$, added up, is a number. Take *its* slope for $x_i$. Since $v$ is a constant, that is
# $\sum_j \frac{\partial^2 f}{\partial x_i\, \partial x_j} v_j$: row $i$ of the Hessian, times $v$. So the gradient of
# that number is what we want. Two walks through a graph, no matrix.
# %% exercise="hessian_vector_product" title="A matrix that is never written down" difficulty=3 importance=4 minutes=20
# hint: What is a number here, so that it has a gradient?
# hint: Make a leaf of x's array, call the function on it, take the gradient. Multiply it by v, add up, take the gradient again.
# hint: (gradient,) = compute_gradients(function(point), [point]); (product,) = compute_gradients((gradient * v.detach()).sum(), [point])
# %% result
# what curvature is good for: two ways down a narrow valley.
# Gradient descent goes straight downhill, which in a narrow valley is mostly across. Newton's method asks how the slope
# itself changes, and goes where it would be 0 if the valley were a parabola: it solves H step = gradient. The columns
# of H come from your hessian_vector_product. Lines join places of one height, and the darker the higher. After seven
# steps Newton is at the lowest point to the last digit, while gradient descent is still a ten-thousandth above it after
# thirty.
from arena_lib.plots.backprop.paths import paths_over_surface


def valley(x):
    return np.exp(x[0] + 3.0 * x[1] - 0.1) + np.exp(x[0] - 3.0 * x[1] - 0.1) + np.exp(-x[0] - 0.1)


def slope_at(place):
    leaf = Tensor(place, requires_grad=True)
    return compute_gradients(valley(leaf), [leaf])[0].array


def hessian_at(place):
    columns = [hessian_vector_product(valley, Tensor(place), Tensor(direction)).array for direction in np.eye(2)]
    return np.stack(columns, axis=1)


start = np.array([-1.7, 0.85])
newton, descent = [start], [start]
for _ in range(7):
    newton.append(newton[-1] - np.linalg.solve(hessian_at(newton[-1]), slope_at(newton[-1])))
for _ in range(30):
    descent.append(descent[-1] - 0.06 * slope_at(descent[-1]))
across, along = np.linspace(-2, 0.6, 70), np.linspace(-1, 1, 60)
heights = [[np.log(valley(np.array([right, up]))) for right in across] for up in along]
paths_over_surface(
    heights, across, along, {"gradient descent": descent, "Newton": newton}, title="Two ways down a valley"
)
# %% [markdown]
# ## What you have learned
#
# Backpropagation is the chain rule, a table and a walk. The chain rule says what one step does. The table says which
# backward function belongs to which argument. The walk visits each tensor once its gradient is complete, in a
# topological order. What is copied on the way forward is added up on the way back, and the other way round.
#
# You have found out how far a gradient by trying can be trusted, and that it finds mistakes which shapes don't. You have
# trained a network with nothing but your own code. And since your backward functions are made of the same operations
# that they differentiate, derivatives of every order were there for the taking.
#
# ## What comes next
#
# PyTorch does all this with faster functions, on GPUs, and for hundreds of operations. From the next sections on you
# use it, and you know what `loss.backward()` does. Section 0.6 uses Hessian-vector products to look at the landscape
# that training walks through.
#
# ## On your own
#
# - **Convolve.** Give the engine a function of arrays for a 2D convolution and its two backward functions, check
#   them with `check_back_func`, and train a small convolutional network on the digits. How many of your first network's
#   mistakes does it get right?
# - **Forward mode.** Backprop goes from one result to all inputs. Write the opposite: carry, beside every array, how fast
#   it changes when *one* input moves. When is that cheaper? Check $H v$ by putting one mode inside the other.
# - **Replicate a paper.** Andrychowicz et al. 2016 ([arXiv:1606.04474](https://arxiv.org/abs/1606.04474)) learn the
#   optimizer itself, by gradients that flow through its steps. With `compute_gradients` yours can do so: learn the best
#   learning rate for the valley, by the gradient of the height after ten steps.
#
# ## Reading
#
# - Baydin et al. 2018, [Automatic differentiation in machine learning: a survey](https://arxiv.org/abs/1502.05767), section 3
# - Rumelhart, Hinton and Williams 1986, [Learning representations by back-propagating
#   errors](https://doi.org/10.1038/323533a0)
# - Pearlmutter 1994, [Fast exact multiplication by the Hessian](https://doi.org/10.1162/neco.1994.6.1.147)
# - Griewank and Walther 2008, [Evaluating derivatives](https://doi.org/10.1137/1.9780898717761), for all the rest
