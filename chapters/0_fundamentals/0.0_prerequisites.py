# ---
# arena: {id: "0.0", slug: prerequisites, title: Prerequisites, hours: 6}
# objectives:
#   - "Find out what you know already, and begin where it pays"
#   - "Read and write the Python that the course is written in: comprehensions, generators, classes, dataclasses"
#   - "Say the shape of a tensor before the code runs, and rearrange tensors with einops until a picture comes out"
#   - "Broadcast, index, gather and multiply by einsum without loops"
#   - "Compute with logarithms and probabilities so that nothing overflows"
#   - "Estimate within a factor of ten how long a computation takes, and check it"
# ---
# %% [markdown]
# ## What you will build
#
# Welcome. Everything in this course is made of tensors, boxes of numbers with several axes. Most bugs in such code raise no
# error: an axis is summed that should have been kept, two matrices of the same size are confused, and a number comes
# out that looks fine. This section trains the eyes for that, in small puzzles of two to ten minutes.
#
# You will turn six digits into rows, grids and a poster, write softmax so that no number is too large for it, and
# say how long a product of matrices takes before it runs.
#
# ### How to work through this
#
# Each puzzle is a function without a body. Its docstring says what it returns and shows an example. Write the body and run the
# cell: a judge looks at your code. If something is wrong, it says what, and often it recognises the mistake. Nobody is
# counting your attempts. Each puzzle has three hints, from the idea to the step.
#
# Shapes are written in words: `"batch height width"` is a tensor with three axes of these names. There are many
# right ways to write each puzzle, and the judge accepts all of them.
#
# | part | minutes |
# |---|---|
# | 1. Python in small steps | 30 |
# | 2. Shapes | 25 |
# | 3. Pictures | 45 |
# | 4. Broadcasting | 55 |
# | 5. Indexing | 55 |
# | 6. Einsum | 25 |
# | 7. Maths in small steps | 50 |
# | 8. How long will it take? | 25 |
#
# The parts don't depend on each other, so you don't have to do all of them: the questions below say which.
#
# ### Where to begin
#
# Here are seventeen short questions. Answer them without running any code. If you don't know, (d) is an honest answer, and the
# most useful one.
# %%
from arena_lib.fundamentals.puzzles.self_test import questions_as_text, where_to_begin

print(questions_as_text())
# %% [markdown]
# Write your answers here, such as `{"comprehension": "a", "generator": "d"}`, and run the cell. A question that you
# leave out counts as "not sure".
# %%
my_answers = {}
where_to_begin(my_answers)
# %% [markdown]
# Wherever you begin, run this cell first. It has what the pictures and predictions below need.
# %%
import torch

from arena_lib import plots
from arena_lib.fundamentals.puzzles import pictures as targets
from arena_lib.fundamentals.puzzles.drawings import draw
from arena_lib.fundamentals.puzzles.predicting import predict_shape
from arena_lib.fundamentals.puzzles.timing import measure_machine, predict_seconds
from arena_lib.plots.tensors import cells, pictures

digits = draw("012345")
# %% [markdown]
# ## 1. Python in small steps
#
# *About 30 minutes of exercises. You write a comprehension, a generator, a class and a dataclass, the four forms that the
# course uses most.*
#
# A **comprehension** makes a list or a dictionary in one line, from the inside out: *what*, *for each*, *if*.
#
# ```python
# [n * n for n in range(5) if n % 2]          # [1, 9]
# {name: len(name) for name in ["Ada", "Bo"]}  # {"Ada": 3, "Bo": 2}
# ```
#
# A key of a dictionary exists once: if it comes again, the new value takes the old one's place, and the key keeps its
# place in the order.
# %% exercise="count_words" title="Count the words" difficulty=1 importance=3 minutes=5
# hint: A dictionary with the words as keys. How do you get the words of a text?
# hint: text.lower().split() gives a list of words, and a list can count: words.count(word).
# hint: {word: words.count(word) for word in words}
# %% [markdown]
# A **generator** is a function with `yield` in it. Calling it runs nothing yet. Each time somebody asks for the next
# value, the body runs on to the next `yield`, gives the value out and waits there. So it can hand out data one batch at a
# time that wouldn't fit into memory at once. It can be gone through once; a second `list(...)` of it is empty.
#
# The types in the signatures are notes for readers. Python itself doesn't check them. `Sequence[int]` is anything that has a length and
# can be indexed, such as a list; `Iterator[...]` is what `for` can go through once.
# %% exercise="in_batches" title="One batch at a time" difficulty=2 importance=4 minutes=8
# hint: Where does each piece begin? At 0, size, 2 * size ...
# hint: range(0, len(items), size) gives these places. A slice that reaches past the end is simply shorter.
# hint: for start in range(0, len(items), size): yield items[start : start + size]
# %% [markdown]
# A **class** keeps data together with the functions that use it, its methods. `__init__` runs when an instance is made, and
# `self` is that instance. What is stored on `self` belongs to one instance; what stands in the class belongs to all of them.
# Names with two underscores are called by Python: `len(x)` calls `x.__len__()`. A **property** is a method that is
# read like a value, without brackets.
# %% exercise="running_mean" title="A mean that remembers" difficulty=2 importance=4 minutes=10
# hint: Which two numbers are enough to know the mean of all numbers so far?
# hint: Keep the sum and the count on self, and change both in add. Before the first number there is nothing to divide by.
# hint: self.total / self.n if self.n else 0.0
# %% [markdown]
# A **dataclass** is a class whose `__init__` is written for you, from a list of fields. The course uses it for settings.
# `frozen=True` forbids changing a field afterwards, and `kw_only=True` makes callers name each field, so nobody confuses
# two numbers.
# %% exercise="schedule" title="How many steps?" difficulty=2 importance=3 minutes=7
# hint: Ten examples in batches of four are 4 + 4 + 2. How many batches is that?
# hint: // rounds down. To round up, you can round the negative number down: -(-10 // 4) is 3.
# hint: -(-self.n_examples // self.batch_size), and that times self.n_epochs.
# %% result
# all four together: a run of three epochs, in batches of four words.
# Each epoch counts words batch by batch, and the running mean says how long a word is on average.
words_of_text = "a tensor is a box of numbers and a shape is the size of the box".split()
plan = Schedule(n_examples=len(words_of_text), batch_size=4, n_epochs=3)
mean_length, n_done = RunningMean(), 0
for _ in range(plan.n_epochs):
    for batch in in_batches(words_of_text, plan.batch_size):
        n_done += 1
        for word in batch:
            mean_length.add(len(word))
print(f"{n_done} steps, as planned: {plan.n_steps}")
print(
    f"mean length {mean_length.mean:.2f}, commonest word {max(count_words(' '.join(words_of_text)).items(), key=lambda item: item[1])}"
)
# %% [markdown]
# ## 2. Shapes
#
# *About 25 minutes of exercises. You make tensors, give them axes, merge and split axes, and begin to predict shapes.*
#
# A tensor's **shape** lists the sizes of its axes. In memory its numbers lie in one long row; the last axis moves
# fastest. `torch.arange(6)` has the six numbers 0 to 5, and `torch.arange(3, 6)` has 3, 4 and 5: as everywhere in Python,
# the end isn't included. `torch.arange(6).reshape(2, 3)` fills the first row of three, then the second.
# %% exercise="count_up" title="Fill the rows" difficulty=1 importance=3 minutes=3
# hint: How many numbers are there, and in what order do they lie?
# hint: torch.arange(n) gives 0 to n - 1 in one row; reshape gives it rows and columns.
# hint: torch.arange(n_rows * n_columns).reshape(n_rows, n_columns)
# %% [markdown]
# `reshape` counts axes by position. **einops** calls them by name, so that code says what it does, and complains when
# sizes don't fit. Its `rearrange` takes a pattern, *what comes in -> what goes out*:
#
# | pattern | what it does |
# |---|---|
# | `"rows columns -> columns rows"` | swaps two axes |
# | `"rows columns -> (rows columns)"` | merges two axes into one |
# | `"(rows columns) -> rows columns"`, with `columns=2` | splits one axis into two |
# | `"rows columns -> rows 1 columns"` | adds an axis of size 1 |
#
# One rule is worth learning by heart: **in brackets, the axis written first moves slowest.** `(rows columns)` goes through all
# columns of row 0, then of row 1. `(columns rows)` goes down the first column first.
# %% exercise="rearrange_1" title="Three rows of two" difficulty=1 importance=3 minutes=3
# hint: torch.arange(3, 9) has the six numbers, in one axis that you split in two.
# hint: On the left stands one axis in brackets, on the right stand its two parts.
# hint: einops.rearrange(torch.arange(3, 9), "(rows columns) -> rows columns", columns=2)
# %% exercise="rearrange_2" title="Two rows of three" difficulty=1 importance=2 minutes=2
# hint: The same as before, with other numbers and another shape.
# hint: You may give the number of rows in place of that of columns.
# hint: einops.rearrange(torch.arange(1, 7), "(rows columns) -> rows columns", rows=2)
# %% exercise="add_axes" title="A batch of one" difficulty=1 importance=3 minutes=2
# hint: Networks take batches of images with channels, even if there is one of each.
# hint: In a pattern, 1 is an axis of size 1. Indexing with None adds one too.
# hint: einops.rearrange(image, "height width -> 1 1 height width")
# %% exercise="flatten_images" title="An image as a row" difficulty=1 importance=4 minutes=3
# hint: Which axis stays, and which three become one?
# hint: Merge the last three axes in the order that they have.
# hint: "batch channel height width -> batch (channel height width)"
# %% [markdown]
# The next one comes back in section 1.1: attention cuts each vector into heads.
# %% exercise="split_heads" title="Cut a vector into heads" difficulty=3 importance=5 minutes=7
# hint: Two things happen: the last axis is split in two, and one of the parts moves.
# hint: Neighbours stay together, so within the bracket n_heads moves slowest.
# hint: "batch seq (n_heads d_head) -> batch n_heads seq d_head"
# %% result
# where each number went: a text of two tokens, cut into three heads.
# The first two numbers of each vector are in head [0], the next two in head [1].
two_tokens = torch.arange(12.0).reshape(1, 2, 6)
cells({"vectors": two_tokens[0], "heads": split_heads(two_tokens, 3)[0]}, title="split_heads")
# %% [markdown]
# ### A habit: say the shape first
#
# Before you run a line, say which shape comes out. It takes a second, and when you are wrong you have found a bug or learned
# something. `predict_shape` compares: it takes your prediction and the code, which runs only afterwards.
#
# What you need to know for the exercise: `sum(dim=1)` adds along the axis with the number 1 and removes that axis;
# `keepdim=True` leaves it, with size 1. In `reshape`, -1 stands for whatever size is left over. `torch.stack` puts tensors
# along a *new* first axis, and `torch.cat` makes the first axis that they have longer.
# %%
predict_shape((6, 3, 8, 10), lambda: digits.transpose(-1, -2))
# %% exercise="predict_shapes" title="Say the shape first" difficulty=2 importance=5 minutes=5
# hint: A sum removes its axis; with keepdim=True the axis stays, with size 1. Stacking adds an axis, joining (cat) doesn't.
# hint: An index with a number removes the axis, a slice keeps it. -1 in reshape stands for whatever is left.
# hint: In order: (2, 4), (2, 1, 4), (3, 4), (2, 2, 4), (6, 4), (2, 2, 3, 4), (4, 3, 4).
x = torch.zeros(2, 3, 4)
expressions = {
    "x.sum(dim=1)": lambda: x.sum(dim=1),
    "x.sum(dim=1, keepdim=True)": lambda: x.sum(dim=1, keepdim=True),
    "x[0]": lambda: x[0],
    "x[:, 1:]": lambda: x[:, 1:],
    "x.reshape(-1, 4)": lambda: x.reshape(-1, 4),
    "torch.stack([x, x])": lambda: torch.stack([x, x]),
    "torch.cat([x, x])": lambda: torch.cat([x, x]),
}
# Without running any of them: which shapes? predicted = {"x.sum(dim=1)": (...), ...}
# region solution
predicted = {
    "x.sum(dim=1)": (2, 4),
    "x.sum(dim=1, keepdim=True)": (2, 1, 4),
    "x[0]": (3, 4),
    "x[:, 1:]": (2, 2, 4),
    "x.reshape(-1, 4)": (6, 4),
    "torch.stack([x, x])": (2, 2, 3, 4),
    "torch.cat([x, x])": (4, 3, 4),
}
# endregion
compared = {text: predict_shape(predicted[text], run) for text, run in expressions.items()}
assert all(comparison.is_right for comparison in compared.values()), "\n".join(
    f"{text}: {comparison}" for text, comparison in compared.items() if not comparison.is_right
)
# %% [markdown]
# ## 3. Pictures
#
# *About 45 minutes of exercises. You rearrange six digits until the picture is right, each time with a line of einops.*
#
# Six digits, drawn by a small program of ours. Each is an image of 10 by 8 pixels with three channels: red, green and
# blue, from 0 (dark) to 1. The batch has the shape `(6, 3, 10, 8)`.
# %%
pictures({f"digits[{i}]": digit for i, digit in enumerate(digits)}, title="The batch, image by image")
# %% [markdown]
# These are your first targets. The shape stands above each picture. Before you write a pattern, ask two questions: which
# axes of the batch make the height of the picture, and which its width?
# %%
pictures(
    {
        "side_by_side(digits)": targets.side_by_side(digits),
        "stack_down(digits)": targets.stack_down(digits),
        "arrange_in_grid(digits, 2)": targets.arrange_in_grid(digits, 2),
    },
    title="Targets",
)
# %% exercise="side_by_side" title="Digits in a row" difficulty=2 importance=4 minutes=5
# hint: The picture's width is made of two axes of the batch. Which?
# hint: batch and width are merged. All columns of digit 0 come first, so batch moves slowest.
# hint: "batch channel height width -> channel height (batch width)"
# %% exercise="stack_down" title="Digits in a column" difficulty=1 importance=3 minutes=3
# hint: Now two axes make the height.
# hint: All rows of digit 0 come first.
# hint: "batch channel height width -> channel (batch height) width"
# %% exercise="arrange_in_grid" title="Digits in a grid" difficulty=3 importance=4 minutes=7
# hint: The batch itself is made of two axes: which row of the grid, and which column.
# hint: Split the batch on the left as (rows columns), and merge rows with height and columns with width on the right.
# hint: "(rows columns) channel height width -> channel (rows height) (columns width)", rows=n_rows
# %% result
# targets on the left, your pictures on the right.
pictures(
    {
        "target: side_by_side": targets.side_by_side(digits),
        "yours: side_by_side": side_by_side(digits),
        "target: stack_down": targets.stack_down(digits),
        "yours: stack_down": stack_down(digits),
        "target: arrange_in_grid": targets.arrange_in_grid(digits, 2),
        "yours: arrange_in_grid": arrange_in_grid(digits, 2),
    },
    n_columns=2,
    title="Rows, columns, grids",
)
# %% [markdown]
# The next targets turn an image, take its channels apart, and weave two images into one.
# %%
pictures(
    {
        "turn_right(digits[2])": targets.turn_right(digits[2]),
        "show_channels(digits[1])": targets.show_channels(digits[1]),
        "weave(digits[0], digits[4])": targets.weave(digits[0], digits[4]),
    },
    title="Targets",
)
# %% exercise="turn_right" title="A quarter to the right" difficulty=3 importance=2 minutes=5
# hint: Swap height and width. What do you see then, a turned image or a mirrored one?
# hint: Swapping two axes mirrors the image at its diagonal. One flip makes a turn of it: of which axis?
# hint: einops.rearrange(image, "channel height width -> channel width height").flip(-1)
# %% exercise="show_channels" title="Red, green, blue" difficulty=2 importance=3 minutes=3
# hint: The result has no channel axis, yet no number is lost. Where did the channels go?
# hint: They are part of the width, and move slowest there.
# hint: "channel height width -> height (channel width)"
# %% exercise="weave" title="Weave two images" difficulty=3 importance=3 minutes=6
# hint: Two images make one new axis, the one that says which image it is.
# hint: torch.stack puts that axis first. In the width, it has to move fastest, so that the columns come in turn.
# hint: einops.rearrange(torch.stack([first, second]), "which channel height width -> channel height (width which)")
# %% result
# turned, taken apart, and woven.
pictures(
    {
        "target: turn_right": targets.turn_right(digits[2]),
        "yours: turn_right": turn_right(digits[2]),
        "target: show_channels": targets.show_channels(digits[1]),
        "yours: show_channels": show_channels(digits[1]),
        "target: weave": targets.weave(digits[0], digits[4]),
        "yours: weave": weave(digits[0], digits[4]),
    },
    n_columns=2,
    title="One image, or two",
)
# %% [markdown]
# So far no number was lost and none was made. `einops.reduce` makes fewer numbers: what is missing on the right is
# averaged (`"mean"`), added (`"sum"`), or only the largest or smallest is kept (`"max"`, `"min"`). `einops.repeat` makes more: what is
# new on the right is repeated. Rearranging, reducing and repeating share one language of patterns.
# %%
pictures(
    {
        "to_grey(digits)[5]": targets.to_grey(digits)[5],
        "lay_over(digits)": targets.lay_over(digits),
        "enlarge(digits[3], 3)": targets.enlarge(digits[3], 3),
        "shrink(side_by_side(digits), 2)": targets.shrink(targets.side_by_side(digits), 2),
    },
    n_columns=4,
    title="Targets",
)
# %% exercise="to_grey" title="Without colour" difficulty=1 importance=3 minutes=3
# hint: Which axis disappears, and what becomes of its numbers?
# hint: einops.reduce with "mean", and a pattern whose right side lacks the channel.
# hint: einops.reduce(images, "batch channel height width -> batch height width", "mean")
# %% exercise="lay_over" title="All on one sheet" difficulty=2 importance=2 minutes=3
# hint: Ink is dark and paper is 1. Of all numbers in one place, which one is seen?
# hint: The smallest, over the batch.
# hint: einops.reduce(images, "batch channel height width -> channel height width", "min")
# %% exercise="enlarge" title="Larger pixels" difficulty=2 importance=3 minutes=5
# hint: Each pixel gets copies beside it and below it. Which new axes are these, and how fast do they move?
# hint: einops.repeat with "(height down) (width along)": the copies of a pixel are neighbours.
# hint: einops.repeat(image, "channel height width -> channel (height down) (width along)", down=factor, along=factor)
# %% exercise="shrink" title="Fewer pixels" difficulty=3 importance=4 minutes=5
# hint: It's the pattern of enlarging, read from right to left.
# hint: Split height and width on the left, and leave the small parts out on the right.
# hint: einops.reduce(image, "channel (height down) (width along) -> channel height width", "mean", down=factor, along=factor)
# %% result
# reduced and repeated. Shrinking is what average pooling does in networks that look at images.
pictures(
    {
        "target: to_grey": targets.to_grey(digits)[5],
        "yours: to_grey": to_grey(digits)[5],
        "target: lay_over": targets.lay_over(digits),
        "yours: lay_over": lay_over(digits),
        "target: enlarge": targets.enlarge(digits[3], 3),
        "yours: enlarge": enlarge(digits[3], 3),
        "target: shrink": targets.shrink(targets.side_by_side(digits), 2),
        "yours: shrink": shrink(side_by_side(digits), 2),
    },
    n_columns=4,
    title="Reduced and repeated",
)
# %% result
# a poster in one expression, made of your own functions.
pictures({"poster": enlarge(arrange_in_grid(draw("TENSORPUZZLE"), 2), 2)}, title="Your poster")
# %% [markdown]
# ## 4. Broadcasting
#
# *About 55 minutes of exercises. You combine tensors of different shapes without loops and without copies.*
#
# `a + b` works for different shapes if they fit. Write one shape under the other, **aligned on the right**. Each pair of sizes must
# be equal, or one of them must be 1 or missing. An axis of size 1 is used again and again, as if it were repeated.
#
# ```
# a      5 1        a      2 3 4        a      3
# b        3        b          4        b      4
# a + b  5 3        a + b  2 3 4        a + b  error
# ```
#
# To make shapes fit, add axes of size 1: `a[:, None]` adds one after the first axis, `a[None, :]` before it. Or keep a
# reduced axis with `keepdim=True`.
# %% exercise="predict_broadcasts" title="Do they fit?" difficulty=2 importance=5 minutes=5
# hint: Write one shape below the other, aligned on the right.
# hint: A missing axis counts as 1. Two sizes fit if they are equal or one of them is 1.
# hint: In order: (5, 3), "error", (2, 3, 4), (4, 3), (4, 4), (1,).
pairs_of_shapes = [((5, 1), (3,)), ((2, 3), (2,)), ((2, 3, 4), (3, 1)), ((3,), (4, 1)), ((4,), (4, 1)), ((1,), (1,))]
# Which shape has the sum of two tensors of each pair? Write a list of shapes, with "error" where they don't fit:
# sums = [(5, 3), ...]
# region solution
sums = [(5, 3), "error", (2, 3, 4), (4, 3), (4, 4), (1,)]
# endregion
compared = [
    predict_shape(shape, lambda pair=pair: torch.zeros(pair[0]) + torch.zeros(pair[1]))
    for shape, pair in zip(sums, pairs_of_shapes, strict=True)
]
assert all(comparison.is_right for comparison in compared), "\n".join(map(str, compared))
# %% [markdown]
# The last pair but one is the most dangerous of all: a vector of 4 and a column of 4 give a matrix of 16. Nothing
# complains, and the mean of that matrix is a plausible number.
# %% exercise="addition_table" title="An addition table" difficulty=1 importance=4 minutes=3
# hint: One vector goes down, the other goes along. Which shapes must they have so that they fit?
# hint: (n_rows, 1) and (1, n_columns).
# hint: down[:, None] + along[None, :]
# %% result
# what goes in and what comes out. Each number of `down` meets each number of `along`.
down, along = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
cells({"down": down[:, None], "along": along[None, :], "table": addition_table(down, along)}, title="addition_table")
# %% exercise="centre_columns" title="Centre each column" difficulty=2 importance=4 minutes=4
# hint: The mean of a column goes over its rows. Which axis disappears?
# hint: dim=0 is the axis that is averaged away. One mean is left for each column, and they lie along a row: aligned on the right, they fit.
# hint: matrix - matrix.mean(dim=0)
# %% [markdown]
# ### By week
#
# A year's temperatures lie in one long vector, day after day: seven numbers of the first week, seven of the second, and so on.
# In the words of einops that one axis is `(week day)`. Take it apart, and you have an axis for the weeks and one for the
# days of a week.
# %% exercise="temperatures_average" title="Each week's mean" difficulty=1 importance=3 minutes=4
# hint: Split the days into weeks, and let the days disappear.
# hint: einops.reduce can split and average in one step.
# hint: einops.reduce(temps, "(week day) -> week", "mean", day=7)
# %% exercise="temperatures_differences" title="Warmer than usual?" difficulty=2 importance=3 minutes=5
# hint: Each day needs its week's mean beside it. How do n_weeks numbers become n_days?
# hint: Repeat each mean seven times, with the copies beside one another: (week day).
# hint: temps - einops.repeat(temperatures_average(temps), "week -> (week day)", day=7)
# %% exercise="temperatures_normalized" title="How unusual?" difficulty=3 importance=3 minutes=6
# hint: The difference that you have, divided by the spread of its week.
# hint: einops.rearrange gives a row for each week; .std(dim=1) its spread. Repeat it as you did the mean.
# hint: deviations = einops.rearrange(temps, "(week day) -> week day", day=7).std(dim=1)
# %% result
# three weeks, of which each is warmer than the one before.
# The differences show the warm weekends, whatever the week. (The temperatures are made up.)
warm_weekends = torch.tensor([0.0, 0, 1, 0, 1, 3, 4]).repeat(3) + torch.tensor([5.0, 12.0, 20.0]).repeat_interleave(7)
plots.lines(
    {
        "temperature": warm_weekends,
        "less its week's mean": temperatures_differences(warm_weekends),
        "over its week's spread": temperatures_normalized(warm_weekends),
    },
    x_title="day",
    y_title="degrees, or spreads",
    title="Temperatures by week",
)
# %% [markdown]
# ### Every row with every row
#
# Much in interpretability asks how alike two directions are. The **dot product** of two vectors is the sum of the products of
# their entries: the first times the first, the second times the second, all added up. Of two vectors that both have
# length 1 it is the cosine of the angle between them: 1 for the same direction, 0 for a right angle, and -1 for the
# opposite direction. So there are two steps: make every row as long as 1, then take all dot products.
# %% exercise="normalize_rows" title="Rows of length 1" difficulty=2 importance=5 minutes=5
# hint: Each row has a length. What shape must the lengths have, so that each row is divided by its own?
# hint: (n_rows, 1). Without keepdim the lengths would lie along a row, and in a square matrix nobody would notice.
# hint: matrix / matrix.norm(dim=1, keepdim=True)
# %% exercise="cos_sim_matrix" title="How alike are they?" difficulty=2 importance=5 minutes=5
# hint: At length 1, a cosine is a dot product.
# hint: A product of a matrix with its own transpose holds the dot products of all pairs of rows.
# hint: rows = normalize_rows(matrix); rows @ rows.T
# %% result
# how alike the drawings of ten digits are, as rows of 80 pixels.
# 1 on the diagonal. Look for the darkest place beside it: 3 and 8 share most of their ink.
ink = 1 - draw("0123456789").mean(dim=1)
names_of_digits = list("0123456789")
plots.matrix(
    cos_sim_matrix((ink > 0).float().flatten(1)),
    rows=names_of_digits,
    columns=names_of_digits,
    row_title="digit",
    column_title="digit",
    quantity="cosine",
    title="Cosines between digits",
)
# %% [markdown]
# Two sets of points, and every distance between them, is the same table once more. Only that each entry is now made of whole
# rows: point i has its coordinates, and so has point j. So there are three axes at first, for i, for j and for the coordinates, and
# the last one is summed away.
# %% exercise="distance_matrix" title="How far apart?" difficulty=3 importance=4 minutes=7
# hint: All differences at once have three axes: which point of the first set, which of the second, and which coordinate.
# hint: first[:, None, :] - second[None, :, :] has the shape (n_first, n_second, dim).
# hint: (differences**2).sum(dim=-1).sqrt()
# %% result
# a map with three towns, dark where the nearest one is near.
# The bright ridges between them are borders: there two towns are equally far.
places = torch.cartesian_prod(torch.arange(24.0), torch.arange(36.0))
towns = torch.tensor([[5.0, 6.0], [17.0, 14.0], [8.0, 29.0]])
to_nearest = distance_matrix(places, towns).amin(dim=1)
pictures({"how far to the nearest town": (to_nearest / to_nearest.max()).reshape(1, 24, 36)})
# %% [markdown]
# ### Comparing makes masks
#
# Comparisons broadcast too. A column of numbers compared with a row of numbers is a table of True and False.
#
# The first use: a network has an output for each class, and a label is a single number. To compare the two, the label
# becomes a row with a 1 in its own column, which is called **one-hot**.
# %% exercise="one_hot" title="A one for each label" difficulty=2 importance=4 minutes=5
# hint: Each entry answers a question: is this row's label this column's number?
# hint: labels[:, None] is a column. Compare it with the row torch.arange(n_classes).
# hint: (labels[:, None] == torch.arange(n_classes)).float()
# %% [markdown]
# The second use: a language model learns to predict each token of a text from those before it. So a position mustn't look at
# what comes after it. A mask says for each pair of positions whether one may look at the other. Some models also limit
# how far back they look: to a **window**.
# %% exercise="can_see" title="Who may look at whom" difficulty=3 importance=5 minutes=6
# hint: How many steps back is position k from position q?
# hint: positions[:, None] - positions[None, :] holds q - k. It must be at least 0, and below the window.
# hint: (steps_back >= 0) & (steps_back < window)
# %% result
# what six positions may look at, with a window of three and without a limit.
# The right one is the causal mask of section 1.1.
cells({"window of three": can_see(6, 3), "no limit": can_see(6, 6)}, title="can_see")
# %% [markdown]
# ## 5. Indexing
#
# *About 55 minutes of exercises. You pick entries by number, in every way that later sections need.*
#
# | you write | you get |
# |---|---|
# | `x[2]` | one entry of the first axis, which disappears |
# | `x[1:4]`, `x[::2]` | a piece, or every second entry; the axis stays |
# | `x[mask]` | the entries where a mask of booleans is True |
# | `x[indexes]` | the entries with these numbers, in this order |
# | `x[rows, columns]` | for each pair of numbers, one entry |
#
# The last line is the one that people get wrong. Two tensors of numbers go along **together**, in pairs:
# `x[[0, 1], [2, 0]]` has two entries, `x[0, 2]` and `x[1, 0]`, and no square of four.
#
# Whatever can be read by an index can be written by it: `x[mask] = 0` changes `x` itself. That is called **in place**, and
# whoever else uses `x` sees the change. `y = x` makes no copy, only a second name for the same tensor; `x.clone()` is a
# copy.
# %% exercise="collect_rows" title="These rows" difficulty=1 importance=3 minutes=2
# hint: A tensor of whole numbers is an index.
# hint: In brackets after the matrix, it picks along the first axis.
# hint: matrix[row_indexes]
# %% exercise="collect_columns" title="These columns" difficulty=1 importance=3 minutes=2
# hint: The same along the second axis.
# hint: A colon keeps the first axis as it is.
# hint: matrix[:, column_indexes]
# %% exercise="checkerboard" title="A checkerboard" difficulty=2 importance=2 minutes=5
# hint: Even rows and odd rows are two patterns. Which columns are 1 in each?
# hint: board[::2, ::2] are the even columns of the even rows, and one may write into it.
# hint: board[::2, ::2] = 1; board[1::2, 1::2] = 1
# %% exercise="zero_outliers" title="Drop what is too large" difficulty=2 importance=4 minutes=5
# hint: A mask says where |x| is above the limit. What must not happen to x itself?
# hint: torch.where(mask, a, b) makes a new tensor: a where the mask is True, else b.
# hint: torch.where(x.abs() > limit, 0.0, x)
# %% exercise="classifier_accuracy" title="How many are right?" difficulty=2 importance=5 minutes=4
# hint: The guess is the class with the largest score.
# hint: scores.argmax(dim=1) == true_classes is a mask. Its mean is the share, once it is made of floats.
# hint: (scores.argmax(dim=1) == true_classes).float().mean()
# %% exercise="total_price_indexing" title="At the till" difficulty=1 importance=3 minutes=3
# hint: Each item is the number of a good. What does it cost?
# hint: prices[items] has a price for each item.
# hint: prices[items].sum().item()
# %% [markdown]
# ### Gather
#
# Often each row has indexes of its own: for each example its label, for each position its next token. `matrix.gather(dim=1,
# index=indexes)` does that. The result has the shape of the *index*, and each of its numbers says where to look **along
# dim**; along all other axes it looks where it stands itself.
# %% result
# which cells are gathered: each row has its own two columns.
to_gather, of_each_row = torch.arange(12.0).reshape(3, 4), torch.tensor([[3, 0], [1, 1], [2, 3]])
cells(
    {"matrix": to_gather, "indexes": of_each_row, "gathered": to_gather.gather(dim=1, index=of_each_row)},
    title="matrix.gather(dim=1, index=indexes)",
)
# %% exercise="gather_2d" title="Each row its own columns" difficulty=2 importance=5 minutes=8
# hint: Row i of the indexes belongs to row i of the matrix.
# hint: Use gather along the columns. Or index with two tensors that broadcast: row numbers as a column, and the indexes.
# hint: matrix.gather(dim=1, index=indexes)
# %% exercise="total_price_gather" title="At the till again" difficulty=1 importance=2 minutes=3
# hint: With one axis, gather is the same as an index.
# hint: The axis is 0, and the index is items.
# hint: prices.gather(dim=0, index=items).sum().item()
# %% exercise="integer_array_indexing" title="By coordinates" difficulty=3 importance=4 minutes=8
# hint: Each column of coords belongs to one axis of the matrix.
# hint: An index in brackets may be a tuple, with a tensor of numbers for each axis: matrix[rows, columns] is matrix[(rows, columns)].
# hint: matrix[tuple(coords.T)]
# %% [markdown]
# The texts of a batch rarely have the same length, but a tensor has straight edges. So shorter texts are filled up at the end with
# tokens that mean nothing, the **padding**. Often one wants what a model computed at the last real token.
# %% exercise="last_vectors" title="The last real token" difficulty=3 importance=5 minutes=8
# hint: Text i has its last token at position lengths[i] - 1.
# hint: Two tensors of numbers that go along together: which text, and which position.
# hint: vectors[torch.arange(len(vectors)), lengths - 1]
# %% exercise="count_values" title="How often does each occur?" difficulty=3 importance=3 minutes=7
# hint: counts[values] += 1 doesn't work: an equal number is added once only.
# hint: Compare each value with each number, as in one_hot, and add along the values. Or look up torch.bincount.
# hint: (values[:, None] == torch.arange(n_values)).sum(dim=0)
# %% result
# three pictures of yours: a board, a wave with its outliers dropped, and dice.
# In ten thousand throws of two dice, your count_values finds the triangle.
two_dice = torch.randint(1, 7, (10_000, 2), generator=torch.Generator().manual_seed(0)).sum(dim=1)
pictures({"checkerboard(5, 8)": checkerboard(5, 8)}).show()
wave = torch.sin(torch.arange(60) / 4) * torch.arange(60) / 10
plots.lines(
    {"wave": wave, "zero_outliers(wave, 3.0)": zero_outliers(wave, 3.0)}, y_title="value", title="Outliers dropped"
).show()
plots.bars(
    count_values(two_dice, 13)[2:] / 10_000,
    [str(n) for n in range(2, 13)],
    y_title="share of throws",
    title="The sum of two dice",
).show()
# %% [markdown]
# ## 6. Einsum
#
# *About 25 minutes of exercises. You write every kind of product with one function, and read off what is summed.*
#
# A product of matrices, $C_{ik} = \sum_j A_{ij} B_{jk}$, is written `einsum(A, B, "i j, j k -> i k")`. Three rules cover everything:
#
# - An axis with **one name in two tensors** is gone through together: equal positions are multiplied.
# - An axis that is **missing on the right** is summed over.
# - An axis **on the right** is kept, in the order in which it stands there.
#
# With einops the names are words. The first five puzzles take arrays of numpy, where einsum comes from; einops doesn't mind.
# %% exercise="einsum_trace" title="Along the diagonal" difficulty=2 importance=2 minutes=3
# hint: On the diagonal both axes have the same number.
# hint: One name for both axes, and nothing on the right.
# hint: einops.einsum(mat, "n n ->")
# %% exercise="einsum_mv" title="Matrix times vector" difficulty=1 importance=4 minutes=3
# hint: Which axis do the two share, and which is left?
# hint: The columns are shared, and summed over; the rows are left.
# hint: einops.einsum(mat, vec, "rows columns, columns -> rows")
# %% exercise="einsum_mm" title="Matrix times matrix" difficulty=1 importance=5 minutes=4
# hint: The columns of the first and the rows of the second are one axis.
# hint: Call it inner on both sides of the comma, and leave it out on the right.
# hint: einops.einsum(mat1, mat2, "rows inner, inner columns -> rows columns")
# %% exercise="einsum_inner" title="Vector times vector" difficulty=1 importance=4 minutes=2
# hint: One shared axis, and a number comes out.
# hint: The right side is empty.
# hint: einops.einsum(vec1, vec2, "n, n ->")
# %% exercise="einsum_outer" title="All products" difficulty=1 importance=4 minutes=3
# hint: Nothing is shared and nothing is summed over.
# hint: Two names, and both are on the right.
# hint: einops.einsum(vec1, vec2, "rows, columns -> rows columns")
# %% exercise="batched_product" title="A batch of products" difficulty=2 importance=4 minutes=4
# hint: The batch is shared and kept.
# hint: It has one name on both sides of the comma, and stands on the right.
# hint: "batch rows inner, batch inner columns -> batch rows columns"
# %% [markdown]
# The last one has four axes, and is the heart of a transformer. Each position of a text asks for something: that is a vector,
# its **query**. Each position also says what it has to offer: its **key**. How well the two fit is their dot product. It is
# computed for several heads at once, which don't mix, just as the texts of a batch don't.
# %% exercise="attention_scores" title="Queries and keys" difficulty=3 importance=5 minutes=6
# hint: What do a query and a key share? The text, the head, and d_head.
# hint: Only d_head is summed over. Queries and keys have positions of their own: seq_q and seq_k.
# hint: "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k"
# %% result
# one head looks for equal tokens: where query and key are the same one-hot vector, the score is 1.
# The text is "b a n a n a". Each "a" finds the other two, and itself.
tokens_of_banana = torch.tensor([1, 0, 2, 0, 2, 0])
vectors_of_banana = torch.eye(3)[tokens_of_banana][None, :, None, :]
plots.matrix(
    attention_scores(vectors_of_banana, vectors_of_banana)[0, 0],
    rows=[f"{letter} {i}" for i, letter in enumerate("banana")],
    columns=[f"{letter} {i}" for i, letter in enumerate("banana")],
    row_title="query",
    column_title="key",
    quantity="score",
    title="Equal tokens find each other",
)
# %% [markdown]
# ## 7. Maths in small steps
#
# *About 50 minutes of exercises. You measure slopes, tame exponentials, and draw from distributions.*
#
# **Derivatives.** The derivative $f'(x)$ says how much $f$ changes for a small step of $x$: $f(x + h) \approx f(x) + h f'(x)$.
# Training is nothing but that: how does the loss change if a weight does? Four rules go a long way.
#
# | function | derivative |
# |---|---|
# | $x^n$ | $n x^{n-1}$ |
# | $e^x$ | $e^x$ |
# | $\ln x$ | $1/x$ |
# | $f(g(x))$ | $f'(g(x)) \, g'(x)$, the chain rule |
#
# You can check any derivative by two calls of the function, with a small step to both sides. A step to one side alone
# has an error as large as the step. To both sides, the largest part of the error cancels, and what is left is like the step squared.
# %% exercise="numerical_derivative" title="A slope from two calls" difficulty=1 importance=4 minutes=6
# hint: A slope is how much the value changes, divided by how far one went.
# hint: From x - step to x + step it is two steps.
# hint: (function(x + step) - function(x - step)) / (2 * step)
# %% result
# a curve, the slope that you measured at each point, and the one by the rule.
# The two lines for the slope lie on one another.
curve_x = torch.linspace(-2, 2, 41)
plots.lines(
    {
        "x ** 3 - 2 * x": curve_x**3 - 2 * curve_x,
        "measured slope": [numerical_derivative(lambda x: x**3 - 2 * x, x) for x in curve_x.tolist()],
        "3 * x ** 2 - 2": 3 * curve_x**2 - 2,
    },
    x=curve_x,
    x_title="x",
    y_title="value",
    title="A curve and its slope",
)
# %% [markdown]
# **Logarithms** undo exponentials: $\ln e^x = x$. They make sums of products, $\ln(ab) = \ln a + \ln b$, and
# $\ln(a^n) = n \ln a$. The probability of a text is a product of many small numbers, and soon too small for a computer. Its
# logarithm is a sum of ordinary numbers. In this course $\log$ is always the natural logarithm.
#
# **Softmax** makes probabilities of any numbers, which are then called logits:
#
# $$\text{softmax}(x)_i = \frac{e^{x_i}}{\sum_k e^{x_k}}$$
#
# The largest logit gets the largest probability, none is 0, and they sum to one. Adding the same number to all logits changes nothing, because it
# cancels. That is lucky, for $e^{1000}$ is infinite for a computer. Take the largest logit from all of them first, and no
# exponential is above 1.
# %% exercise="batched_logsumexp" title="A sum that never overflows" difficulty=3 importance=4 minutes=8
# hint: exp of the largest entry is where it overflows. What if the largest entry were 0?
# hint: Take each row's maximum m out: m + log of the sum of exp(x - m). Mind the shapes: keepdim for x - m, not for the result.
# hint: largest = matrix.max(dim=1, keepdim=True).values; largest.squeeze(1) + (matrix - largest).exp().sum(dim=1).log()
# %% exercise="batched_softmax" title="Softmax" difficulty=2 importance=5 minutes=6
# hint: Exponentials, divided by their sum, row by row.
# hint: Take each row's largest entry from it before exp, and keep the summed axis.
# hint: exps = (matrix - matrix.max(dim=1, keepdim=True).values).exp(); exps / exps.sum(dim=1, keepdim=True)
# %% exercise="batched_logsoftmax" title="Its logarithm" difficulty=2 importance=5 minutes=5
# hint: The log of a quotient is a difference. Don't take the log of a softmax: what was rounded to 0 is lost.
# hint: log softmax(x) = x - logsumexp(x), row by row. It's more exact if the row's largest entry is taken from x first.
# hint: shifted = matrix - matrix.max(dim=1, keepdim=True).values; shifted - batched_logsumexp(shifted)[:, None]
# %% [markdown]
# How wrong is a model? It gave a probability to each class, and then the true label turned up. Its **loss** is its surprise, minus
# the logarithm of the probability of that label. That is 0 if it was certain and right, 0.69 for a probability of one half, and
# grows without end as the probability goes to 0. The mean of this over many examples, the **cross-entropy**, is what
# language models are trained on.
# %% exercise="batched_cross_entropy_loss" title="How surprised?" difficulty=3 importance=5 minutes=7
# hint: The loss of an example is minus the log-probability of its true label.
# hint: From each row of log-probabilities pick one entry, as in last_vectors or gather_2d.
# hint: -batched_logsoftmax(logits)[torch.arange(len(logits)), true_labels]
# %% result
# the same three logits, divided by a temperature before the softmax.
# Cold makes the largest take all, hot makes all alike.
three_logits = torch.tensor([2.0, 1.0, 0.0])
plots.bars(
    {f"temperature {t}": batched_softmax(three_logits[None] / t)[0] for t in (0.25, 1.0, 4.0)},
    ["logit 2", "logit 1", "logit 0"],
    y_title="probability",
    title="Softmax at three temperatures",
)
# %% [markdown]
# **Probabilities** are numbers from 0 to 1 that sum to one. Two ideas come back everywhere.
#
# The **expectation** of something is its mean, weighted by probabilities: $\sum_i p_i x_i$. And the **entropy**, $-\sum_i p_i \ln
# p_i$, is the expected surprise. It's 0 where one outcome is certain and $\ln n$ where $n$ outcomes are equally likely.
# %% exercise="entropy" title="Expected surprise" difficulty=3 importance=4 minutes=8
# hint: Each outcome has a surprise, -log p, and happens with probability p. What of an outcome with p = 0?
# hint: 0 * log(0) is NaN for a computer, and 0 in truth. Put another number in place of 0 before the log.
# hint: logs = torch.where(probs > 0, probs, 1.0).log(); (-probs * logs).sum(dim=1)
# %% [markdown]
# To draw from a distribution, lay the probabilities end to end: (0.5, 0.2, 0.3) cuts the line from 0 to 1 at 0.5 and 0.7. A random
# place on that line, which `torch.rand` gives, falls into piece i with the probability of i. (PyTorch has a
# function for the whole, too.)
# %% exercise="sample_distribution" title="Throw a loaded die" difficulty=3 importance=4 minutes=10
# hint: Cut the line from 0 to 1 into pieces as long as the probabilities. A random point falls into one of them.
# hint: probs.cumsum(dim=0) holds the ends of the pieces. How many of them does the point lie beyond?
# hint: (torch.rand(n)[:, None] >= probs.cumsum(dim=0)[:-1]).sum(dim=1), or torch.searchsorted.
# %% result
# a loaded die: what was asked for, and what came out in ten thousand throws.
torch.manual_seed(0)
loaded = torch.tensor([0.05, 0.1, 0.1, 0.1, 0.15, 0.5])
throws = sample_distribution(loaded, 10_000)
plots.bars(
    {"probability": loaded, "share of throws": torch.bincount(throws, minlength=6) / 10_000},
    [str(face) for face in range(1, 7)],
    y_title="probability, or share",
    title=f"A loaded die, entropy {entropy(loaded[None]).item():.2f} nats",
)
# %% [markdown]
# ## 8. How long will it take?
#
# *About 25 minutes of exercises. You estimate times from operations and bytes, and compare them with a clock.*
#
# Before you start a run, you want to know whether it takes a minute or a day. A factor of ten is good enough, and it takes one line of
# arithmetic. A computation does **operations** (additions and multiplications) and moves **bytes** between memory and
# processor. Both happen at the same time, so the slower one decides. And every call costs a little, even if it does nothing.
#
# For a sum of two vectors of $n$ numbers in float32: $n$ operations, and $12 n$ bytes, for two vectors are read and one
# is written, at four bytes a number. Moving the bytes takes far longer than adding. A product of two large matrices is the opposite: each number is used
# many times.
# %% exercise="matmul_cost" title="Count a product" difficulty=2 importance=4 minutes=7
# hint: How many entries has the result, and what does each of them take?
# hint: Each entry takes n_inner multiplications and n_inner additions. The numbers that are read and written are those of three matrices.
# hint: 2 * n_rows * n_inner * n_columns operations; (n_rows * n_inner + n_inner * n_columns + n_rows * n_columns) * bytes_per_number bytes
# %% [markdown]
# How fast is *this* machine? Three numbers say it: operations in a second, bytes in a second, and the time of a call that
# does next to nothing. `measure_machine()` measures them in about a second.
# %%
this_machine = measure_machine()
print(this_machine)
# %% exercise="estimate_seconds" title="The slower one decides" difficulty=2 importance=4 minutes=8
# hint: How long do the operations take, and how long the bytes?
# hint: Both at the same time, so the larger of the two; then add what each call costs.
# hint: max(n_operations / machine.operations_per_second, n_bytes / machine.bytes_per_second) + machine.seconds_per_call
# %% result
# when does a product of matrices wait for memory, and when for arithmetic?
# Small matrices cost what a call costs. Then the time grows with the cube of the size. (Both axes are logarithmic.)
sizes = [4, 16, 64, 256, 1024, 4096]
seconds_by_size = [estimate_seconds(*matmul_cost(n, n, n), this_machine) for n in sizes]
figure = plots.lines(
    {"estimated seconds": seconds_by_size}, x=sizes, x_title="rows", y_title="seconds", title="n by n times n by n"
)
figure.update_xaxes(type="log").update_yaxes(type="log")
# %% [markdown]
# Now try it. Estimate first, then measure. Nothing judges whether the clock agrees: it depends on the machine, and on what
# else the machine is doing. If you are off by more than ten, find out why. That is where one learns.
# %% exercise="estimate_three" title="Estimate, then measure" difficulty=2 importance=4 minutes=10
# hint: For each of the three, count operations and bytes. float32 has four bytes.
# hint: The sum reads two vectors and writes one. The product of matrices is matmul_cost. The loop makes 1000 calls.
# hint: estimate_seconds(n, 12 * n, this_machine) for the sum; 1000 * estimate_seconds(10, 120, this_machine) for the loop.
n = 1_000_000
a, b, square = torch.ones(n), torch.ones(n), torch.ones(300, 300)
# About how many seconds does each take?
#   "sum": a + b         "product": square @ square         "loop": 1000 times a[:10] + b[:10], where slicing costs a call too
# estimates = {"sum": ..., "product": ..., "loop": ...}
# region solution
estimates = {
    "sum": estimate_seconds(n, 12 * n, this_machine),
    "product": estimate_seconds(*matmul_cost(300, 300, 300), this_machine),
    "loop": 3 * 1000 * estimate_seconds(10, 120, this_machine),
}
# endregion
to_measure = {
    "sum": lambda: a + b,
    "product": lambda: square @ square,
    "loop": lambda: [a[:10] + b[:10] for _ in range(1000)],
}
timings = {name: predict_seconds(estimates[name], run) for name, run in to_measure.items()}
assert set(timings) == {"sum", "product", "loop"}
assert all(timing.predicted > 0 for timing in timings.values())
# %% result
# what you said, and what the clock said.
# A thousand small calls cost more than one large one: that is why this section had no loops.
for name, timing in timings.items():
    print(f"{name}: {timing}")
# %% [markdown]
# ## What you have learned
#
# You name axes instead of counting them, and you know that in brackets the first name moves slowest. You align shapes on
# the right before you add them. You pick entries with indexes that go along together, and you read from an einsum what
# is summed. Your softmax never overflows. And before a line runs, you can say which shape comes out and about
# how long it takes.
#
# ## What comes next
#
# The rest of this chapter uses all of this at once. If you came for language models, go on with section 1.1: its attention
# is your `split_heads`, `attention_scores`, `can_see` and `batched_softmax`, in this order. If you came for agents,
# section 2.1 needs nothing but numpy.
#
# ## On your own
#
# - **Your own puzzles.** Draw a word with `draw`, think of a picture, and find the pattern: each letter mirrored, letters cut into
#   upper and lower halves, a checkerboard of letters. Give it to a friend as a target.
# - **Without torch.** Write `one_hot`, `gather_2d` and `batched_softmax` in numpy. What is `gather` called there?
# - **Replicate a paper.** FlashAttention ([arXiv:2205.14135](https://arxiv.org/abs/2205.14135)) computes attention without ever
#   writing the scores to memory. Count operations and bytes of plain attention for `seq` of 1024 and 4096 with
#   `matmul_cost`. Which of its steps wait for memory on your machine? Compare with figure 2 of the paper.
#
# ## Reading
#
# - Rogozhnikov 2022, [Einops: clear and reliable tensor manipulations with Einstein-like
#   notation](https://openreview.net/forum?id=oapKSVM2bcj)
# - Harris et al. 2020, [Array programming with NumPy](https://doi.org/10.1038/s41586-020-2649-2), figure 1 for indexing and
#   broadcasting
# - Williams, Waterman and Patterson 2009, [Roofline: an insightful visual performance
#   model](https://doi.org/10.1145/1498765.1498785)
# - Blanchard, Higham and Higham 2021, [Accurately computing the log-sum-exp and softmax
#   functions](https://doi.org/10.1093/imanum/draa038)
