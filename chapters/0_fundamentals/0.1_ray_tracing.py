# ---
# arena: {id: "0.1", slug: ray_tracing, title: Ray tracing, hours: 6}
# objectives:
#   - "Turn a question about space into small systems of linear equations, and solve thousands of them at once"
#   - "Write tensor code without loops: broadcasting, batches, masks, and what to do with cases that have no answer"
#   - "Keep memory small with chunks, and move work to another device and back"
#   - "Make a picture of a mesh, light it, and turn it in a film"
# ---
# %% [markdown]
# ## What you will build
#
# A camera, an object and a lamp: in this section you write all that makes a picture of them. At the end a knot that a
# formula made turns in the light of a lamp, and every pixel of that film comes from your code.
#
# Why should somebody who wants to understand language models begin with pictures? Because nearly all code in this field
# is of one kind: the same small calculation for thousands of things at once, written without a loop. Here you can *see*
# whether it's right. A swapped axis, a sign or a case that was forgotten shows as a picture that is upside down, dark or
# full of holes.
#
# You go from small to large:
#
# 1. one ray and one line segment, in a flat world,
# 2. many rays and many segments, all at once,
# 3. a triangle in space,
# 4. a mesh of hundreds of triangles, and the nearest one for each ray,
# 5. light, and motion.
#
# ### How to work through this
#
# Each exercise is a function with a gap: `raise NotImplementedError`. The docstring says what must hold. Write your code in
# place of that line and run the cell. A judge looks at your code: if something is wrong it tells you what, and often
# which mistake it was. Each exercise has three hints, from the idea to the step. Take them when you have been stuck for ten
# minutes.
#
# You should know Python, and have met PyTorch's tensors: how to make them and how to index them. Of mathematics you need
# vectors, and what a system of linear equations is.
#
# Shapes are written in words. `"n_rays 2 3"` is a tensor with three axes: which ray, two points for each, three
# coordinates for each point. (The annotations such as `Float[Tensor, "n_rays 2 3"]` say the same of arguments and
# results. Nothing happens if they are wrong.)
#
# The set-up cell above imports what the stubs mention. The functions whose names begin with `check_` serve only to
# refuse bad arguments in the library's own solutions; no exercise needs them. `PARALLEL` and
# `CHUNK_SIZE` are numbers, `pick_device()` names the fastest device of this machine, and `tests` holds the judges.
#
# | part | minutes |
# |---|---|
# | 1. One ray, one segment | 50 |
# | 2. All at once | 45 |
# | 3. A triangle | 50 |
# | 4. A mesh | 85 |
# | 5. Light and motion | 60 |
#
# These are the minutes of the exercises, nearly five hours together. The six hours at the top leave one for reading, and
# for looking at pictures.
#
# ## 1. One ray, one segment
#
# *About 50 minutes of exercises. You make a camera for a flat world, and find out whether a ray hits a wall.*
#
# Light travels from a lamp to an object, and from there into the eye. A program goes the other way, because most light
# never reaches the eye: for every pixel of the picture it sends out a **ray** from the eye through that pixel, and asks
# what the ray meets first.
#
# A ray begins in a point, its **origin** $O$, and goes on for ever in a **direction** $D$. Its points are
#
# $$O + u D, \qquad u \ge 0.$$
#
# With $u = 0$ that is the origin, with $u = 1$ one step of $D$ farther, with $u = 2$ two steps. A ray is a tensor with the
# two rows $O$ and $D$. Points have three coordinates: $x$ forward, $y$ up, $z$ to the right.
# %% exercise="points_on_ray" title="Along a ray" difficulty=1 importance=3 minutes=5
# hint: Each point is the origin plus so many steps in the direction.
# hint: u has the shape (n_points,) and D the shape (3,). Every point needs its own u and all of D: which axis does u lack?
# hint: O, D = ray; O + u[:, None] * D. The None gives u a second axis of length 1, which broadcasts over the coordinates.
# %% [markdown]
# What you have just used is **broadcasting**: an axis of length 1 is repeated as often as it must be. It's the tool of
# this whole section.
#
# Now a camera. Our first world is flat: it has $x$ and $y$, and $z$ is 0 everywhere. The eye is in the origin. In front
# of it, at $x = 1$, stands a screen with some pixels, one above the other. A ray goes through each.
#
# ![A ray from the origin through a pixel of the screen to a segment](figures/ray_and_segment.png)
#
# The drawing also shows what this part is about: a **segment**, a piece of a line with the two ends $L_1$ and $L_2$. We come
# to it soon.
# %% exercise="make_rays_1d" title="A camera for a flat world" difficulty=2 importance=3 minutes=10
# hint: All rays are alike but for one number: the y of their direction.
# hint: Begin with zeros of the shape (num_pixels, 2, 3). The origins are right then; fill in the x and the y of the directions.
# hint: rays[:, 1, 0] = 1 and rays[:, 1, 1] = torch.linspace(-y_limit, y_limit, num_pixels).
# %% result
# your camera's rays.
# The dots are the pixels. A direction isn't scaled in any way: it leads from the eye exactly to its pixel.
from arena_lib.plots.ray_tracing.rays import rays_1d

rays_1d(make_rays_1d(9, 10.0), title="A camera with nine pixels")
# %% [markdown]
# ### Where do they meet?
#
# The points of a segment are $L_1 + v\,(L_2 - L_1)$, with $v$ from 0 (the first end) to 1 (the second). The ray and the
# segment meet where both are in the same place:
#
# $$O + u D = L_1 + v\,(L_2 - L_1)$$
#
# Everything here is known but $u$ and $v$. Bring them to one side:
#
# $$u\,D + v\,(L_1 - L_2) = L_1 - O$$
#
# In a flat world that is two equations, one for $x$ and one for $y$, with two unknowns. As a matrix, whose *columns* are
# what $u$ and $v$ are multiplied with:
#
# $$\begin{pmatrix} D_x & (L_1 - L_2)_x \\ D_y & (L_1 - L_2)_y \end{pmatrix} \begin{pmatrix} u \\ v \end{pmatrix} =
# \begin{pmatrix} (L_1 - O)_x \\ (L_1 - O)_y \end{pmatrix}$$
#
# `torch.stack([a, b], dim=1)` makes a matrix whose columns are the vectors `a` and `b`, and
# `torch.linalg.solve(matrix, vector)` gives $u$ and $v$. This finds where the two *lines* meet. The ray meets the segment
# only if, besides, $u \ge 0$ (not behind the eye) and $0 \le v \le 1$ (not beyond an end).
#
# ### When there is no answer
#
# Parallel lines never meet, and then the equations have no solution: the matrix is **singular**, and
# `torch.linalg.solve` stops with an error. So we ask before.
#
# In a textbook a matrix is singular if its determinant is 0. With numbers of seven digits that isn't enough: for the
# columns (0.9, 0.4) and three times that, which are parallel, rounding makes it 0.00000008. So we ask whether it's *small*. But small beside
# what? If all lengths are measured in kilometres instead of metres, the determinant of a 2 x 2 matrix shrinks by a
# factor of a million, and the lines are no more parallel than they were. There is a natural yardstick. The determinant is
# the area that the two columns span. That area is largest when they are perpendicular, and then it is the product of
# their lengths.
# %% exercise="is_singular" title="How parallel is parallel?" difficulty=3 importance=4 minutes=15
# hint: Compare the determinant's size with the largest value that it could have.
# hint: The lengths of the columns: a column's entries lie along the axis before the last one. The determinants: torch.linalg.det takes a whole batch.
# hint: torch.linalg.det(matrices).abs() <= PARALLEL * matrices.norm(dim=-2).prod(dim=-1)
# %% [markdown]
# Now one ray and one segment. Take a single case at a time, with plain `if`s: the next part makes it fast.
# %% exercise="intersect_ray_1d" title="Does it hit?" difficulty=3 importance=4 minutes=20
# hint: Write down the equations for u and v. Which vectors are the columns of the matrix?
# hint: Keep x and y alone, ray[:, :2]. Stack D and L_1 - L_2 as columns; if that is singular the answer is False.
# hint: matrix = torch.stack([D, L_1 - L_2], dim=1); u, v = torch.linalg.solve(matrix, L_1 - O); bool(u >= 0 and v >= 0 and v <= 1)
# %% result
# which rays hit the wall.
# Five of the nine do. Pixel by pixel your function is asked, in a loop over the rays.
camera = make_rays_1d(9, 10.0)
wall = torch.tensor([[1.5, -13.0, 0.0], [2.2, 6.0, 0.0]])
rays_1d(camera, wall[None], hits=[intersect_ray_1d(ray, wall) for ray in camera], title="One wall")
# %% [markdown]
# ## 2. All at once
#
# *About 45 minutes of exercises. You answer the same question for all rays and all segments, without a loop.*
#
# A small picture has ten thousand rays, and a simple object a thousand surfaces. That makes ten million systems of
# equations. In a loop each one costs about a tenth of a millisecond, nearly all of it for Python and for starting
# operations: a quarter of an hour for one picture. One call of `torch.linalg.solve` takes them all, if we can hand them over as one
# tensor. The recipe is always the same:
#
# 1. make a tensor that has an axis for each kind of thing, here `"n_rays n_segments ..."`,
# 2. do the calculation for all of its entries,
# 3. reduce the axes that the answer doesn't have, here with *any* over the segments.
#
# The first step is broadcasting. If `D` has the shape `(n_rays, 1, 2)` and `L_1` the shape `(1, n_segments, 2)`, then their
# sum, difference or product has the shape `(n_rays, n_segments, 2)`. One function that you need doesn't broadcast:
# `torch.stack` wants equal shapes. `torch.broadcast_tensors(a, b)` brings both into their common shape first.
# %% exercise="make_systems_1d" title="Every ray with every segment" difficulty=3 importance=4 minutes=15
# hint: Give the rays' parts an axis of length 1 for the segments, and the segments' parts one for the rays.
# hint: rays[:, None, 0, :2] are the origins with the shape (n_rays, 1, 2). Stacked tensors need equal shapes: torch.broadcast_tensors makes them equal.
# hint: torch.stack(torch.broadcast_tensors(D, L_1 - L_2), dim=-1) makes them columns; the vectors are L_1 - O.
# %% [markdown]
# There is a difficulty with the second step. If a single matrix of the batch is singular, `torch.linalg.solve` refuses the
# *whole* batch. An `if` can't help: it would need a loop. The way out is used everywhere in tensor code:
#
# 1. find the cases without an answer, as a tensor of True and False (a **mask**),
# 2. put something harmless in their place, so that the calculation goes through,
# 3. write over the results that this made up.
#
# What to write? **NaN**, "not a number", is a good choice: it compares False with everything. `nan >= 0` is False, and so is
# `nan <= 1`. So whatever asks "is $u \ge 0$ and $0 \le v \le 1$?" gets the right answer, No, with no further care.
# %% exercise="solve_or_nan" title="A batch in which some have no answer" difficulty=3 importance=5 minutes=15
# hint: is_singular gives the mask. Which matrix is certainly not singular?
# hint: torch.where(condition, a, b) takes a where the condition is True and b elsewhere, and broadcasts. The mask lacks two axes of the matrices, and one of the solutions.
# hint: singular = is_singular(matrices)[..., None]; solve torch.where(singular[..., None], torch.eye(n), matrices), with the eye in the dtype of matrices; then torch.where(singular, torch.nan, solutions).
# %% [markdown]
# Now the two come together. Mind that the comparisons must work entry by entry: `&` in place of `and`, with brackets around
# each comparison, since `&` binds more tightly than `>=`.
# %% exercise="intersect_rays_1d" title="Which rays hit anything?" difficulty=3 importance=4 minutes=15
# hint: What is asked about u and v is the same as for one ray.
# hint: solve_or_nan(*make_systems_1d(rays, segments)) has the shape (n_rays, n_segments, 2); unbind(dim=-1) makes u and v of it.
# hint: ((u >= 0) & (v >= 0) & (v <= 1)).any(dim=1)
# %% result
# a room with some walls.
# Wall 0 is so turned that one ray runs exactly parallel to it, and wall 3 lies behind the others. No ray has asked for
# its own `if`.
walls = torch.tensor(
    [
        [[1.2, -0.5, 0.0], [2.2, -1.0, 0.0]],
        [[1.5, 0.2, 0.0], [1.5, 0.8, 0.0]],
        [[2.6, 1.4, 0.0], [2.0, 2.4, 0.0]],
        [[3.0, -2.2, 0.0], [3.0, 0.1, 0.0]],
    ]
)
fan = make_rays_1d(21, 1.0)
rays_1d(fan, walls, hits=intersect_rays_1d(fan, walls), title="Four walls")
# %% [markdown]
# ## 3. A triangle
#
# *About 50 minutes of exercises. You leave the flat world: a camera with rows and columns, and a triangle in space.*
#
# The camera in space has a screen with rows and columns, still at $x = 1$. As a tensor of rays it stays one long list: row
# after row, the lowest first. A picture is made by reshaping what the rays have seen.
# %% exercise="make_rays_2d" title="A camera with rows and columns" difficulty=3 importance=3 minutes=15
# hint: Every y goes together with every z, and z changes fastest.
# hint: y.repeat_interleave(num_pixels_z) and z.repeat(num_pixels_y) have an entry for each pixel; or torch.cartesian_prod, which gives all combinations in this order.
# hint: pixels = torch.cartesian_prod(torch.ones(1), y, z); torch.stack([torch.zeros_like(pixels), pixels], dim=1)
# %% [markdown]
# Nearly everything that is drawn by computers is made of triangles. A triangle with the corners $A$, $B$ and $C$ is flat
# whatever its corners are, and its points are easy to name: go some way from $A$ towards $B$, and some way towards $C$.
#
# $$A + v\,(B - A) + w\,(C - A), \qquad v \ge 0,\; w \ge 0,\; v + w \le 1$$
#
# ![v counts from A towards B and w from A towards C; beyond the edge from B to C v + w is greater than 1](figures/triangle_coordinates.png)
#
# The last condition is easily forgotten. Without it one has a parallelogram, twice as large. The numbers $v$ and $w$ are
# called **barycentric coordinates**.
#
# The ray meets the triangle where $O + u D = A + v\,(B - A) + w\,(C - A)$. Three coordinates, three unknowns:
#
# $$-u\,D + v\,(B - A) + w\,(C - A) = O - A$$
# %% exercise="triangle_ray_intersects" title="One ray, one triangle" difficulty=3 importance=4 minutes=20
# hint: It's intersect_ray_1d with three columns in place of two.
# hint: The columns are -D, B - A and C - A. is_singular says whether the ray is parallel to the triangle, or the triangle has no area.
# hint: matrix = torch.stack([-D, B - A, C - A], dim=1); u, v, w = torch.linalg.solve(matrix, O - A); all of u, v, w at least 0, and v + w at most 1.
# %% [markdown]
# And at once for all rays. There is only one triangle, so `B - A` has the shape `(3,)` while `-D` has the shape
# `(n_rays, 3)`: once more they must have one shape before they are stacked.
# %% exercise="raytrace_triangle" title="All rays, one triangle" difficulty=3 importance=4 minutes=15
# hint: The matrices must have the shape (n_rays, 3, 3), and a stack needs columns of equal shapes.
# hint: torch.broadcast_tensors(-D, B - A, C - A) makes the shapes equal. Then solve_or_nan, and the same four conditions with &.
# hint: u, v, w = solve_or_nan(torch.stack(columns, dim=-1), O - A).unbind(dim=-1)
# %% result
# your first picture in space.
# White is a ray that hits. The triangle's corner at the lower left is nearer to you, which one can't see yet.
from arena_lib.plots.ray_tracing.pictures import brightness

height, width = (20, 28) if SCALE == "tiny" else (120, 168)
screen = make_rays_2d(height, width, 0.5, 0.7)
triangle = torch.tensor([[1.5, -0.6, -0.9], [3.0, 1.2, -0.3], [2.5, -0.4, 1.4]])
brightness({"a triangle": raytrace_triangle(screen, triangle).reshape(height, width)})
# %% [markdown]
# ## 4. A mesh
#
# *About 85 minutes of exercises. You find the nearest of many triangles for each ray, then do it faster, in less memory, and
# on another device.*
#
# A **mesh** is many triangles that together make a surface. It's a tensor `"n_triangles 3 3"`. Now a ray may meet several
# triangles, and what it sees is the nearest one. So it isn't enough to know *whether* it hits; we need $u$, which says how
# far away the hit is, counted in lengths of $D$.
#
# And a miss? We call it **infinity**. Then "the nearest" is simply the smallest number, hit or miss, and a ray that misses
# everything gets infinity by itself. (NaN wouldn't do here: the smallest of 2 and NaN is NaN.)
# %% exercise="intersect_triangles" title="How far to each triangle?" difficulty=3 importance=4 minutes=20
# hint: As in part 2, with an axis for the rays and an axis for the triangles.
# hint: O and D have the shape (n_rays, 1, 3), and A, B and C the shape (n_triangles, 3). Solve as before; is_hit has the shape (n_rays, n_triangles).
# hint: O, D = rays[:, None].unbind(dim=2); A, B, C = triangles.unbind(dim=1); at the end torch.where(is_hit, u, torch.inf).
# %% exercise="raytrace_mesh" title="What is nearest?" difficulty=2 importance=4 minutes=10
# hint: A miss is infinity, so no case needs care of its own.
# hint: The result has an entry for each ray: reduce the axis of the triangles.
# hint: intersect_triangles(rays, triangles).amin(dim=1)
# %% [markdown]
# Time for something to look at. `make_pawn` turns an outline about the upright axis and makes triangles of it, all by a
# formula. Adding a vector moves the whole mesh, here three steps in front of the camera.
# %% result
# a chess pawn, by its distances.
# Dark is near: the foot is wider than the head, so it comes closer to the camera. If your picture is upside down or lies
# on its side, look at the order of your rays.
from arena_lib.fundamentals.ray_tracing import make_pawn, make_torus_knot
from arena_lib.plots.ray_tracing.pictures import distances, film

side = 24 if SCALE == "tiny" else 80
screen = make_rays_2d(side, side, 0.4, 0.4)
place = torch.tensor([3.0, 0.0, 0.0])
pawn = make_pawn(12, 6) + place
distances(raytrace_mesh(screen, pawn).reshape(side, side), title=f"A pawn of {len(pawn)} triangles")
# %% [markdown]
# ### Without solving anything
#
# `torch.linalg.solve` can do any matrix of any size, and that costs time. For three unknowns there is a formula, and Möller
# and Trumbore saw in 1997 that most of it can be shared. It needs two things from your mathematics course.
#
# **Cramer's rule**: each unknown is a quotient of two determinants. Below stands the determinant of the matrix. Above stands
# that of the matrix in which the unknown's column is replaced by the right side.
#
# **The determinant of three columns** $a$, $b$, $c$ is $a \cdot (b \times c)$, the volume of the box that they span.
# Turning the three round in a circle changes nothing, and swapping two changes the sign.
#
# With $e_1 = B - A$, $e_2 = C - A$ and $T = O - A$ our system is $-u D + v\,e_1 + w\,e_2 = T$. All four determinants come out
# of two cross products, $P = D \times e_2$ and $Q = T \times e_1$:
#
# $$\det = e_1 \cdot P, \qquad u = \frac{e_2 \cdot Q}{\det}, \qquad v = \frac{T \cdot P}{\det}, \qquad w = \frac{D
# \cdot Q}{\det}$$
#
# Take $v$ as an example. Its column $e_1$ is replaced by $T$, so what stands above is the determinant of $-D$, $T$, $e_2$.
# Swap the first two, and the minus is gone: $T \cdot (D \times e_2) = T \cdot P$.
#
# `torch.linalg.cross(a, b)` takes the last axis for the three coordinates and broadcasts the others. A dot product of
# many vectors at once is `(a * b).sum(dim=-1)`.
#
# Where the determinant is 0 we divide by 0. That raises no error: it gives infinity or NaN, which the mask must catch.
# %% exercise="moller_trumbore" title="Two cross products" difficulty=4 importance=3 minutes=25
# hint: Compute the vectors in the order of the docstring, each with an axis for the rays and one for the triangles.
# hint: torch.linalg.cross broadcasts only between tensors with equally many axes: triangles[None] gives the corners their axis for the rays. A dot product is (a * b).sum(dim=-1).
# hint: O, D = rays[:, None].unbind(dim=2); A, B, C = triangles[None].unbind(dim=2); and is_hit needs one more condition, ~is_parallel.
# %% result
# the same distances, in less time.
# Both of your functions answer for every ray and every triangle of the pawn, and agree up to rounding. How long each takes
# depends on the machine; the second should be several times faster.
import time

few_rays = screen[:: max(1, len(screen) // 2000)]
answers = {}
for function in (intersect_triangles, moller_trumbore):
    started = time.perf_counter()
    answers[function.__name__] = function(few_rays, pawn)
    print(
        f"{function.__name__:20} {time.perf_counter() - started:.3f} s for {answers[function.__name__].numel():,} pairs"
    )
solved, crossed = (answer.nan_to_num(posinf=0.0) for answer in answers.values())
print(f"largest difference   {(solved - crossed).abs().max():.1e}")
# %% [markdown]
# ### In chunks
#
# Count the bytes before you run something large. With 64,000 rays and 1,000 triangles there are 64 million pairs. One number for
# each takes 256 MB, a vector 768 MB, a matrix 2.3 GB, and there are several of each at a time.
#
# None of that must exist at once. Take 64 triangles at a time, and remember for each ray only the nearest hit *so far*.
# Then memory doesn't grow with the mesh at all. It's often faster, too, because small tensors stay in the processor's
# cache.
#
# While we are at it: let the function also say *which* triangle is the nearest. For light we need to know.
#
# Two tools: `distances.min(dim=1)` gives the smallest distance of each ray, and at which place it stands.
# `torch.where(is_nearer, new, old)` takes what is new where `is_nearer` is True, and keeps what is old elsewhere.
# %% exercise="raytrace_in_chunks" title="The best so far" difficulty=3 importance=5 minutes=20
# hint: At first nothing is hit: what are the distance and the triangle then? Each chunk improves them for some of the rays.
# hint: moller_trumbore(rays, chunk).min(dim=1) gives distances and places in the chunk. Compare with the nearest so far before you overwrite it.
# hint: is_nearer = distances < nearest; nearest = torch.where(is_nearer, distances, nearest); triangle_idx = torch.where(is_nearer, start + idx, triangle_idx).
# %% [markdown]
# ### On another device
#
# A GPU does the same thing to many numbers at once better than anything else. Using one is simple: tensors have a device, and
# an operation runs where its tensors are. So move everything that takes part, compute, and move the result back. If one
# tensor is left behind, you get an error that names two devices.
#
# You don't need a GPU for this exercise. Code that takes the device as an argument runs on each of them, the CPU as well.
# (The judge tries it with PyTorch's device `"meta"`, on which tensors have shapes and no values.)
# %% exercise="raytrace_mesh_gpu" title="There and back" difficulty=1 importance=3 minutes=10
# hint: Which tensors take part, and where does whoever called want the result?
# hint: tensor.to(device) gives a copy there, and leaves the tensor itself where it was.
# hint: distances, _ = raytrace_in_chunks(rays.to(device), triangles.to(device)); return distances.to(rays.device)
# %% result
# a knot, by its distances.
# `make_torus_knot` lays a tube along a knotted curve. One strand passes in front of the other, so it's darker.
knot = make_torus_knot(48, 6) + place if SCALE == "tiny" else make_torus_knot() + place
screen = make_rays_2d(side, side, 0.5, 0.5)
knot_distances = raytrace_mesh_gpu(screen, knot)
distances(knot_distances.reshape(side, side), title=f"A knot of {len(knot)} triangles on {pick_device()}")
# %% [markdown]
# ## 5. Light and motion
#
# *About 60 minutes of exercises. You light the mesh, turn it, and make a film.*
#
# How bright is a surface? The same light that falls squarely on a small patch is spread over a larger one if the surface is
# tilted, so each part of it gets less. That's why evenings are colder than noon. Lambert wrote it down in 1760:
# brightness goes with the cosine of the angle between the light and the surface's **normal**, the direction in which the
# surface faces.
#
# ![Light on a surface that faces it, and on one that is tilted by 60 degrees](figures/lambert.png)
#
# A normal is a vector of length 1. For a triangle it is easy to get: the cross product of two edges is perpendicular to both.
# There are two such directions, one to either side. Which one comes out depends on the order of the corners, so meshes
# keep a rule: *seen from outside, the corners go round counterclockwise*. Then $(B - A) \times (C - A)$ points outwards.
# %% exercise="triangle_normals" title="Which way does it face?" difficulty=2 importance=3 minutes=10
# hint: Two edges of a triangle span it. What is perpendicular to both?
# hint: torch.linalg.cross of B - A and C - A, divided by its length. What happens where the length is 0?
# hint: lengths = normals.norm(dim=-1, keepdim=True); torch.where(lengths > 0, normals / lengths, 0)
# %% [markdown]
# The cosine of the angle between two vectors of length 1 is their dot product. So with a vector `light` that points to
# where the light comes from, a triangle gets `normal . light`, and the length of `light` says how strong it is.
#
# If that is negative, the triangle faces away from the light, and gets nothing. In a real room it isn't black even so:
# walls and air send light to it from all sides. A constant stands for all of that, the **ambient** light.
# %% exercise="lambert_intensity" title="Lambert's law" difficulty=2 importance=3 minutes=10
# hint: A dot product for each triangle, no less than 0, plus a number.
# hint: normals @ light has an entry for each triangle; clamp(min=0) raises what is negative to 0.
# hint: ambient_intensity + (normals @ light).clamp(min=0)
# %% [markdown]
# All parts are there. One thing needs care: a ray that hits nothing has the triangle -1, and `intensities[-1]` is no error
# but the *last* triangle's brightness.
# %% exercise="raytrace_mesh_lambert" title="A lit picture" difficulty=3 importance=4 minutes=20
# hint: Which triangle does each ray see, how bright is each triangle, and so how bright is each ray?
# hint: raytrace_in_chunks gives the triangles, triangle_normals and lambert_intensity the brightness of each. Move all three tensors to the device first.
# hint: torch.where(triangle_idx >= 0, intensities[triangle_idx], 0).to(rays.device)
# %% result
# by lamplight.
# The lamp is above the camera, to its left. Each triangle has one brightness, so you can see them all. (Nothing throws a
# shadow yet: a strand that faces the lamp is lit, even if another one stands in between.)
light = torch.tensor([-0.48, 0.58, -0.4])
lit = {
    name: raytrace_mesh_lambert(screen, mesh, light, 0.15).reshape(side, side)
    for name, mesh in {"a pawn": pawn, "a knot": knot}.items()
}
brightness(lit, title="Lit")
# %% [markdown]
# ### Turning
#
# To turn a point by an angle $\theta$ about the upright axis, leave $y$ alone and mix $x$ and $z$. A matrix says how, and its
# columns are what becomes of the three axes:
#
# $$\begin{pmatrix} \cos\theta & 0 & \sin\theta \\ 0 & 1 & 0 \\ -\sin\theta & 0 & \cos\theta \end{pmatrix}$$
# %% exercise="rotation_matrix" title="A rotation as a matrix" difficulty=2 importance=3 minutes=10
# hint: Four of the nine entries depend on theta, the others are 0 or 1.
# hint: torch.stack puts nine tensors without axes into one; zeros and ones must be tensors too. Or fill a tensor of zeros, in the dtype of theta.
# hint: torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos]).reshape(3, 3)
# %% [markdown]
# The matrix turns about the origin, which is where the camera is. Our knot should turn about its own middle.
#
# Mind also that points are *rows* in our tensors. $M p$ with a column $p$ becomes `p @ M.T` with a row.
# %% exercise="rotate_mesh" title="Turn it where it stands" difficulty=2 importance=3 minutes=10
# hint: Bring the middle to the origin, turn, and bring it back.
# hint: (triangles - center) broadcasts over triangles and corners; the matrix belongs to the last axis.
# hint: (triangles - center) @ rotation_matrix(theta).T + center
# %% result
# your film. Press play.
# Each frame turns the knot a little further and traces it anew. With the slider you stop it at any angle.
n_frames, film_side = (4, 20) if SCALE == "tiny" else (24, 60)
degrees = [360 * i // n_frames for i in range(n_frames)]
film_screen = make_rays_2d(film_side, film_side, 0.5, 0.5)
moving = make_torus_knot(48, 6) + place if SCALE == "tiny" else make_torus_knot(72, 8) + place
frames = [
    raytrace_mesh_lambert(
        film_screen, rotate_mesh(moving, torch.deg2rad(torch.tensor(float(angle))), place), light, 0.15
    )
    for angle in degrees
]
film(
    torch.stack(frames).reshape(n_frames, film_side, film_side),
    [f"{angle}°" for angle in degrees],
    title="A knot, turning",
)
# %% [markdown]
# ### How fast can it be?
#
# Look at the formulas of Möller and Trumbore once more. Each determinant is a sum of products of something that depends on
# the ray alone and something that depends on the triangle alone. For example $\det = -D \cdot N$ with $N = e_1 \times
# e_2$. For all rays and all triangles that's one **matrix product**, `-D @ N.T`, the operation that processors do best.
# Three more give $u$, $v$ and $w$, with the ray's *moment* $O \times D$ beside its direction. The library's
# `raytrace_by_products` does that, and a test holds that it finds what your form finds.
# %% result
# your form and the library's, on the same scene.
from arena_lib.fundamentals.ray_tracing import raytrace_by_products

for function in (raytrace_in_chunks, raytrace_by_products):
    started = time.perf_counter()
    _, seen = function(film_screen, moving)
    print(f"{function.__name__:22} {time.perf_counter() - started:.3f} s, {int((seen >= 0).sum())} rays hit")
# %% [markdown]
# ## What you have learned
#
# You have turned questions about space into systems of equations, and solved millions of them without a loop: an axis for each
# kind of thing, one calculation, and a reduction at the end. You have met cases without an answer, and given them a value
# with which the next step works by itself: NaN where something is compared, infinity where the smallest is sought, -1
# where an index is missing and a mask must say so. You have counted bytes before running something, worked in chunks,
# and moved work to another device and back.
#
# ## What comes next
#
# Section 0.2 makes networks that look at pictures. Convolutions are once more the same small calculation at many places
# at once, and the trick there is to describe those places without copying a single number.
#
# ## On your own
#
# - **Shadows.** From each point that is hit, send a second ray towards the lamp. If it meets anything, the lamp gives
#   nothing there. Begin it a tiny step away from the surface, or every point is in the shadow of its own triangle.
# - **A smooth surface.** Give every corner the mean of the normals of the triangles that meet there, and mix the three
#   normals of a hit by $1 - v - w$, $v$ and $w$. You need $v$ and $w$ from `moller_trumbore`. Why does the outline stay
#   jagged?
# - **Replicate a paper.** Mildenhall et al. 2020 ([arXiv:2003.08934](https://arxiv.org/abs/2003.08934)) train a network to
#   say how dense and how bright each point of space is, from pictures alone. Your film is such a set of pictures, with
#   known cameras: leave the knot where it is and turn the rays instead. Train a small network on 20 frames, and
#   predict the other four.
#
# ## Reading
#
# - Möller and Trumbore 1997, [Fast, minimum storage ray/triangle
#   intersection](https://doi.org/10.1080/10867651.1997.10487468): three pages
# - Woop, Benthin and Wald 2013, [Watertight ray/triangle intersection](https://jcgt.org/published/0002/01/05/): what to do
#   about a ray that slips between two triangles because of rounding
# - Shirley, [Ray tracing in one weekend](https://raytracing.github.io/books/RayTracingInOneWeekend.html): how to go on, to
#   glass, metal and soft shadows
# - Pharr, Jakob and Humphreys 2023, [Physically based rendering](https://pbr-book.org/4ed/contents), chapters 1 and 6: how
#   it's done in earnest, with trees of boxes that spare most rays most triangles
