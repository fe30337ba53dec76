"""Small tensor puzzles, and the habits that save hours: name the axes, predict the shape, estimate the time.

python_basics   what Python the course needs: comprehensions, generators, classes, dataclasses
drawings        letters and digits as small colour images, to rearrange
shapes          make tensors, add axes, merge and split them
pictures        images rearranged, reduced and repeated with einops
broadcasting    sizes that fit without copying: tables, averages by group, distances, masks
indexing        take entries by number: fancy indexing, gather, masks, counts
products        trace, products of matrices, and attention scores by einsum
probabilities   softmax and its kin without overflow, entropy, drawing from a distribution, derivatives by hand
predicting      a shape that you predict before the code runs
timing          a time that you estimate from operations and bytes, and what was measured
self_test       questions that say where to begin
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
