"""Whatever a learner returns, the comparison and the message are made, and none of the learner's code runs.

The values are as bad as we could think of: those with code of their own raise `Asked` from all of it.
"""

import ast
import datetime
import io
import types
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch._subclasses.fake_tensor import FakeTensorMode

import arena_lib.checking.comparison.comparing as comparing
from arena_lib.checking.comparison.comparing import Raised, compare, equal
from arena_lib.checking.comparison.describing import describe
from arena_lib.checking.reports.html import render_html
from arena_lib.checking.reports.messages import MAX_LINES, render_rich, render_text
from arena_lib.checking.results import Result

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR")
MODULES = [
    f"comparison/{name}" for name in ("comparing", "values", "patterns", "places", "shapes", "arrays", "describing")
]
MODULES += ["reports/messages", "reports/html"]


class Asked(Exception):
    """Some code of the learner's value ran."""


def _raise(*args, **kwargs):
    raise Asked


class Hostile:
    """Raises whatever is done to it, beyond `type`."""

    __class__ = property(_raise)
    __repr__ = __str__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __getattr__ = _raise
    __float__ = __int__ = __index__ = __array__ = __format__ = __getattribute__ = __reduce__ = _raise


def _hostile(base):
    names = ("repr", "str", "eq", "ne", "len", "iter", "bool", "format", "float", "int", "getitem", "contains", "pos")
    namespace = {f"__{name}__": _raise for name in names} | {"items": _raise, "keys": _raise, "__hash__": base.__hash__}
    return type(f"Hostile{base.__name__.title()}", (base,), namespace)


class HostileMeta(type):
    __name__ = property(_raise)
    __repr__ = __instancecheck__ = _raise


class OfHostileMeta(metaclass=HostileMeta):
    pass


class HostileTensor(torch.Tensor):
    """Any torch function on it raises."""

    shape = property(_raise)
    dtype = property(_raise)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise Asked


class HostileArray(np.ndarray):
    shape = dtype = size = ndim = property(_raise)
    view = astype = tolist = ravel = __array_ufunc__ = __array_function__ = __getitem__ = _raise


class HostileDispatch(torch.Tensor):
    """Any operation on it raises, below autograd too."""

    @staticmethod
    def __new__(cls):
        return torch.Tensor._make_wrapper_subclass(cls, (2, 3))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise Asked


class Pair(typing.NamedTuple):
    first: object
    second: object


def _endless():
    i = 0
    while True:
        yield i
        i += 1


def _itself():
    items: list = []
    items.append(items)
    return items


def _array_of_hostile():
    array = np.empty((2, 3), dtype=object)
    array[0, 1] = Hostile()
    return array


def makers():
    """A function for each value, since some can be used only once."""
    fake = FakeTensorMode()
    nan = float("nan")
    tensors = [
        lambda: torch.zeros(()),
        lambda: torch.zeros(2, 3),
        lambda: torch.full((2, 3), nan),
        lambda: torch.full((2, 3), -torch.inf),
        lambda: torch.zeros(2, 3, device="meta"),
        lambda: torch.zeros(1).expand(10**8),
        lambda: torch.zeros(1).expand(10**4, 10**4),
        lambda: torch.zeros(0, 3),
        lambda: torch.eye(2, 3).to_sparse(),
        lambda: torch.eye(2, 3).to_sparse_csr(),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        lambda: torch.zeros(2, 3, dtype=torch.complex64).conj(),
        lambda: torch.zeros(2, 3, dtype=torch.bfloat16),
        lambda: torch.zeros(2, 3, dtype=torch.float8_e4m3fn),
        lambda: torch.zeros(2, 3, dtype=torch.uint16),
        lambda: torch.zeros(2, 3, dtype=torch.bool),
        lambda: torch.zeros(2, 3, dtype=torch.int64),
        lambda: torch.zeros(2, 3, requires_grad=True) * 2,
        lambda: torch.nn.Parameter(torch.zeros(2, 3)),
        lambda: torch.nn.parameter.UninitializedParameter(),
        lambda: torch.zeros(2, 3).as_subclass(HostileTensor),
        HostileDispatch,
        lambda: fake.from_tensor(torch.zeros(2, 3)),
        lambda: torch.tensor([[1e38, -1e38, 0], [1, 2, 3]], dtype=torch.float64) * 1e270,
    ]
    arrays = [
        lambda: np.zeros((2, 3)),
        lambda: np.zeros((2, 3), dtype=np.longdouble),
        _array_of_hostile,
        lambda: np.array(["a", "b"]),
        lambda: np.zeros((2, 3)).view(HostileArray),
        lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False]),
        lambda: np.array([1, 2], dtype="datetime64[D]"),
        lambda: np.float32(0.5),
        lambda: np.longdouble(0.5),
        lambda: np.bool_(True),
        lambda: np.datetime64("2020-01-01"),
        lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
    ]
    numbers = [True, 0, 3, 10**5000, -(2**64), 0.5, nan, float("inf"), 1e400, 2j, complex(nan, 1)]
    texts = ["", "loss", "\ud800\x00\x1b[31m\n" * 50, "a" * 10**6, b"bytes", bytearray(b"x")]
    containers = [
        list,
        lambda: [1, 2.5],
        lambda: [Hostile(), torch.zeros(1)],
        _itself,
        lambda: (torch.zeros(2, 3), None),
        lambda: Pair(1, "x"),
        lambda: {"a": torch.zeros(2, 3)},
        lambda: {1: 2, (1, 2): 3, None: 4},
        lambda: {1, 2},
        lambda: frozenset({"a"}),
        lambda: list(range(10**5)),
        lambda: _hostile(list)([1, 2]),
        lambda: _hostile(tuple)([1, 2]),
        lambda: _hostile(dict)(a=1),
        lambda: _hostile(str)("loss"),
        lambda: _hostile(int)(3),
        lambda: _hostile(float)(0.5),
        lambda: _hostile(set)([1]),
    ]
    others = [
        lambda: None,
        Hostile,
        OfHostileMeta,
        lambda: Hostile,
        lambda: OfHostileMeta,
        lambda: (i for i in range(3)),
        _endless,
        lambda: map(_raise, [1]),
        lambda: _raise,
        lambda: len,
        lambda: types.SimpleNamespace(a=1),
        lambda: torch.nn.Linear(2, 3),
        lambda: torch.float32,
        lambda: torch.device("cpu"),
        lambda: torch.Size([2, 3]),
        lambda: Ellipsis,
        lambda: NotImplemented,
        lambda: ValueError("x"),
        lambda: datetime.date(2020, 1, 1),
        lambda: range(3),
        lambda: torch.Generator(),
    ]
    return [*tensors, *arrays, *(lambda v=v: v for v in (*numbers, *texts)), *containers, *others]


EXPECTED = [
    torch.arange(6.0).reshape(2, 3),
    torch.tensor(1.0),
    torch.full((2, 3), -torch.inf),
    torch.zeros(2, 3, dtype=torch.int64),
    torch.ones(2, 3, dtype=torch.bool),
    1,
    0.5,
    True,
    "loss!",
    None,
    [1, 2],
    [1.5, "a"],
    (torch.ones(2, 3), 1),
    {"a": torch.ones(2, 3)},
    {1, 2},
    np.ones((2, 3)),
    Raised("ValueError", "x"),
    torch.float32,
]

MAKERS = makers()
N_MAKERS = len(MAKERS)


def everything_works(make, expected):
    """Compares and renders in every way; returns the plain text."""
    mismatch = compare(make(), expected, axes="batch seq")
    assert equal(make(), expected) == (mismatch is None)
    status = "failed" if mismatch else "passed"
    result = Result(exercise="1.1/f", status=status, call=f"f(x={describe(make())})", mismatch=mismatch)
    text = render_text(result)
    assert len(text.splitlines()) <= MAX_LINES
    assert all(character.isprintable() or character == "\n" for character in text)
    Console(file=io.StringIO(), width=60).print(render_rich(result))
    render_html(result, expected=expected, actual=make()).encode()
    assert Result.from_json(result.to_json()) == result
    return text


@pytest.mark.parametrize("i", range(N_MAKERS))
def test_any_value_is_described_in_one_short_line(i):
    text = describe(MAKERS[i]())
    assert 0 < len(text) < 400
    assert text.isprintable()


@pytest.mark.parametrize("i", range(N_MAKERS))
def test_any_value_against_any_expected_one(i):
    for expected in EXPECTED:
        everything_works(MAKERS[i], expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_inside_containers(data):
    """Random nests of the same form on both sides, with anything for the learner's leaves."""
    indices, n_expected = st.integers(0, N_MAKERS - 1), len(EXPECTED)
    leaves = st.tuples(indices, st.integers(0, n_expected - 1))
    nest = data.draw(
        st.recursive(
            leaves,
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
            ),
            max_leaves=6,
        )
    )

    def build(part, choose):
        if isinstance(part, tuple):
            return choose(part)
        if isinstance(part, list):
            return [build(inner, choose) for inner in part]
        return {key: build(inner, choose) for key, inner in part.items()}

    everything_works(lambda: build(nest, lambda leaf: MAKERS[leaf[0]]()), build(nest, lambda leaf: EXPECTED[leaf[1]]))


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=24),
    others=st.lists(st.floats(width=32), min_size=1, max_size=24),
    axis=st.sampled_from([1, 2, 3, 4]),
)
def test_any_floats_in_any_shape(values, others, axis):
    shapes = [(axis, len(v) // axis) for v in (values, others)]
    pair = [torch.tensor(v)[: a * b].reshape(a, b) for v, (a, b) in zip((values, others), shapes, strict=True)]
    everything_works(lambda: pair[0], pair[1])
    same = torch.tensor((values * 24)[: pair[1].numel()]).reshape(pair[1].shape)
    everything_works(lambda: same, pair[1])


def test_there_is_no_catch_all():
    """A message is built without a fallback: no handler here takes Exception, so none can have fired."""
    folder = Path(comparing.__file__).parents[1]
    for name in MODULES:
        tree = ast.parse((folder / f"{name}.py").read_text())
        caught = {
            getattr(kind, "id", "everything")
            for handler in ast.walk(tree)
            if isinstance(handler, ast.ExceptHandler)
            for kind in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])
        }
        assert caught <= {"RuntimeError", "TypeError"}, name
