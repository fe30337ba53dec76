"""What a judged object uses of the learner's own, found in objects rather than in a file."""

import functools

import torch
from torch import nn

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.judging.called_here import failing_helpers, own_parts


def norm(x):
    return x - x.mean()


@functools.cache
def twice(n):
    return 2 * n


class Base(nn.Module):
    def reset(self):
        return [norm(row) for row in self.rows]


class Model(Base):
    @property
    def width(self):
        return twice(3)

    @torch.no_grad()
    def forward(self, x):
        return (lambda y: Head(y))(x).unused_name


class Head:
    unused_name = 3

    def __call__(self, model):
        return isinstance(model, Model) or torch.nn.functional.relu(model)


def unused_name():
    return norm(1)


def test_parts_are_found_through_methods_properties_wrappers_and_other_parts():
    assert own_parts(Model) == {"norm": norm, "twice": twice, "Head": Head}
    assert own_parts(Head) == {"norm": norm, "twice": twice, "Model": Model}
    assert own_parts(functools.partial(unused_name)) == {"norm": norm}


def test_what_has_no_code_has_no_parts():
    for obj in (norm, 3, torch.relu, nn.Linear, None, functools.partial(torch.relu)):
        assert own_parts(obj) == {}


def count_pairs(word_counts):
    return {}


def merge_pair(word, pair):
    return word


def train_bpe(word_counts, n_merges):
    return [merge_pair(word, 3) for word in count_pairs(word_counts)]


def test_helpers_are_judged_where_they_are_used():
    section = load_catalog().section("1.1")
    earlier = [entry for entry in section.exercises if entry.name in ("count_pairs", "merge_pair", "causal_mask")]
    assert failing_helpers(train_bpe, earlier) == {
        "count_pairs": "1.1/count_pairs",
        "merge_pair": "1.1/merge_pair",
    }
    assert failing_helpers(merge_pair, earlier) == {}
