"""Is a circuit the whole story, and no more? Faithfulness, completeness and minimality of a set of heads and MLPs.

A circuit C is a set of nodes of the model M. F(C) is a metric of the model when every node outside C is knocked
out: its output becomes its mean over a reference set, zero, or its output on other prompts.

    faithfulness   |F(M) - F(C)| is small: the circuit alone does the task
    completeness   |F(C - K) - F(M - K)| is small for every K within C: with any part broken, circuit and
                   model break alike, so no understudy was left out
    minimality     for every v in C there is a K within C with |F(C - K - v) - F(C - K)| large: nothing
                   in C is idle

    F = CircuitMetric(model, tokens, metric, mean_knockout(model, reference_tokens))
    compute_faithfulness(F, [(0, 1), (1, 2)]).share

Shapes:  tokens "batch seq"; knocked-out values by hook name, "batch or 1, seq, n_heads d_head" or "... d_model".
Raises:  UnknownNameError for a head or layer that is not there; ConfigError for an MLP of a model without,
         a set K that is no part of the circuit, an empty circuit; ShapeError for a metric that is no number
         and for reference prompts that do not align; what `interp.models` raises.
Source:  Wang et al. 2022, arXiv:2211.00593, sections 2.1 (knockout) and 4 (the three criteria, the greedy search).
Differs: a whole layer's nodes are knocked out in one hook; the metric is any function of the logits;
         the normalised share also takes the empty circuit into account, so that an untrained model or
         a metric that needs no circuit is seen to have nothing to explain.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp import models
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM, check_metric
from arena_lib.interp.patching.nodes import MLP, Head
from arena_lib.wording import counted

Node = Head | MLP
NodeLike = Head | MLP | models.Head
"""A node, or a head as (layer, head)."""
Metric = Callable[[Float[Tensor, "batch seq d_vocab"]], Tensor]
"""From the logits to one number, as a tensor."""
Knockout = dict[str, Tensor]
"""What the output of a knocked-out node becomes: z of all heads, and the MLP's output, by hook name."""


def as_nodes(model: Any, nodes: Iterable[NodeLike]) -> frozenset[Node]:
    """The nodes, if the model has all of them."""
    lm = hooked(model)
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, MLP):
            lm.check_layer(node.layer)
            if not lm.has_mlp:
                raise ConfigError(f"the model must have MLPs for {node}: it has attention only. Leave this node out.")
            found.append(node)
        else:
            layer, head = (node.layer, node.head) if isinstance(node, Head) else node
            found.append(Head(*lm.check_heads([(layer, head)])[0]))
    return frozenset(found)


def all_nodes(model: Any) -> frozenset[Node]:
    """Every head, and every MLP if the model has them: the circuit that is the whole model."""
    lm = hooked(model)
    mlps = [MLP(layer) for layer in range(lm.n_layers)] if lm.has_mlp else []
    return frozenset([*(Head(*head) for head in lm.heads), *mlps])


# -- what a knocked-out node gives -----------------------------------------------------------------


def resample_knockout(model: Any, tokens: Int[Tensor, "batch seq"]) -> Knockout:
    """Outputs on other prompts, one for each prompt that is run."""
    lm = hooked(model)
    with torch.no_grad():
        _, cache = lm.run_with_cache(tokens, names=_hook_names(lm))
    return {name: cache[name].detach() for name in _hook_names(lm)}


def mean_knockout(
    model: Any, tokens: Int[Tensor, "batch seq"], groups: Int[Tensor, " n_prompts"] | None = None
) -> Knockout:
    """Mean outputs over a reference set, position by position.

    With `groups`, prompt i gets the mean over the reference prompts of its own group (its template, in the
    IOI paper); the prompts that are run must then be as many and grouped alike.
    """
    hooked(model).refuse_padding("mean_knockout")
    outputs = resample_knockout(model, tokens)
    if groups is None:
        return {name: output.mean(dim=0, keepdim=True) for name, output in outputs.items()}
    if groups.shape != tokens.shape[:1]:
        raise ShapeError(
            f"groups must name a group for each of {counted(tokens.shape[0], 'prompt')}: got shape {tuple(groups.shape)}. "
            "Give one integer for each prompt."
        )
    _, group_of = groups.unique(return_inverse=True)
    membership = torch.nn.functional.one_hot(group_of).to(next(iter(outputs.values())))
    share = membership @ (membership / membership.sum(dim=0)).T
    return {name: torch.einsum("ij,j...->i...", share, output) for name, output in outputs.items()}


def zero_knockout(model: Any, tokens: Int[Tensor, "batch seq"]) -> Knockout:
    """Nothing at all, for sequences of the length of `tokens`."""
    return {name: torch.zeros_like(output[:1]) for name, output in resample_knockout(model, tokens).items()}


def _hook_names(lm: HookedLM) -> list[str]:
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    return names + [f"blocks.{layer}.hook_mlp_out" for layer in range(lm.n_layers) if lm.has_mlp]


# -- running a circuit -----------------------------------------------------------------------------


def run_circuit(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    circuit: Collection[NodeLike],
    knockout: Knockout,
    positions: Mapping[Node, Bool[Tensor, "batch seq"]] | None = None,
) -> Float[Tensor, "batch seq d_vocab"]:
    """The logits with every node outside the circuit knocked out.

    `positions` restricts a node of the circuit: it is kept where True and knocked out elsewhere.
    """
    lm = hooked(model)
    kept = as_nodes(lm, circuit)
    where = positions or {}
    hooks = []
    for layer in range(lm.n_layers):
        heads = [_kept_at(Head(layer, head), kept, where, tokens) for head in range(lm.n_heads)]
        is_kept = torch.stack(heads, dim=-1)[..., None]
        hooks.append((f"blocks.{layer}.attn.hook_z", is_kept))
        if lm.has_mlp:
            hooks.append((f"blocks.{layer}.hook_mlp_out", _kept_at(MLP(layer), kept, where, tokens)[..., None]))
    attached = [(name, partial(_replace, is_kept=mask, value=knockout[name])) for name, mask in hooks if not mask.all()]
    return lm.run(tokens, attached)


def _kept_at(
    node: Node, kept: frozenset[Node], positions: Mapping[Node, Tensor], tokens: Int[Tensor, "batch seq"]
) -> Bool[Tensor, "batch seq"]:
    """Where a node keeps its own output."""
    everywhere = torch.full(tokens.shape, node in kept, device=tokens.device)
    return everywhere & positions[node] if node in positions else everywhere


def _replace(output: Tensor, hook: Any, *, is_kept: Tensor, value: Tensor) -> Tensor:
    """The output where a node is kept, the knocked-out value elsewhere."""
    if value.shape[1:] != output.shape[1:] or value.shape[0] not in (1, output.shape[0]):
        raise ShapeError(
            f"knocked-out outputs must align with the prompts: got {tuple(value.shape)} for {tuple(output.shape)}. "
            "Use reference prompts of the same length, and as many where each has its own."
        )
    return torch.where(is_kept, output, value)


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """How much of the model's behaviour a circuit has."""

    full: float
    """F(M), the metric of the whole model."""
    circuit: float
    """F(C)."""
    empty: float
    """F of the empty circuit: every node knocked out."""

    @property
    def difference(self) -> float:
        """|F(M) - F(C)|."""
        return abs(self.full - self.circuit)

    @property
    def share(self) -> float:
        """(F(C) - F(empty)) / (F(M) - F(empty)): 1 for a faithful circuit, 0 for one that does nothing.

        Where the nodes change nothing at all there is nothing to share: NaN.
        """
        explained = self.full - self.empty
        return (self.circuit - self.empty) / explained if explained else float("nan")


@dataclass(kw_only=True)
class CompletenessScore:
    """How alike circuit and model break when K is taken from both."""

    knocked_out: frozenset[Node]
    """K, nodes of the circuit."""
    circuit: float
    """F(C - K)."""
    model: float
    """F(M - K)."""

    @property
    def difference(self) -> float:
        """|F(C - K) - F(M - K)|."""
        return abs(self.circuit - self.model)


@dataclass(kw_only=True)
class MinimalityScore:
    """What one node is worth to the circuit when K is gone."""

    knocked_out: frozenset[Node]
    """K, nodes of the circuit other than this one."""
    difference: float
    """|F(C - K - v) - F(C - K)|."""
    share: float
    """That, as a share of |F(M)|."""


class CircuitMetric:
    """F: from a set of nodes to the metric of the model with all others knocked out. Remembers what it computed."""

    def __init__(
        self,
        model: Any,
        tokens: Int[Tensor, "batch seq"],
        metric: Metric,
        knockout: Knockout,
        positions: Mapping[Node, Bool[Tensor, "batch seq"]] | None = None,
    ) -> None:
        self.lm, self.tokens, self.metric = hooked(model), tokens, metric
        self.knockout, self.positions = knockout, positions
        self.nodes = all_nodes(self.lm)
        self._known: dict[tuple[frozenset[Node], bool], float] = {}

    def __call__(self, circuit: Iterable[NodeLike]) -> float:
        """F of this circuit; `positions` are not asked for nodes of the whole model (see `full`)."""
        return self._measure(as_nodes(self.lm, circuit), self.positions)

    def without(self, knocked_out: Iterable[NodeLike]) -> float:
        """F(M - K): the whole model, at all positions, but for these nodes."""
        return self._measure(self.nodes - as_nodes(self.lm, knocked_out), None)

    @property
    def full(self) -> float:
        """F(M)."""
        return self.without(())

    def _measure(self, kept: frozenset[Node], positions: Mapping[Node, Tensor] | None) -> float:
        key = (kept, positions is None)
        if key not in self._known:
            with torch.no_grad():
                logits = run_circuit(self.lm, self.tokens, kept, self.knockout, positions)
            self._known[key] = float(check_metric(self.metric(logits)))
        return self._known[key]

    def part_of(self, circuit: Iterable[NodeLike], part: Iterable[NodeLike]) -> tuple[frozenset[Node], frozenset[Node]]:
        """A circuit and a set of its nodes, checked."""
        whole, some = as_nodes(self.lm, circuit), as_nodes(self.lm, part)
        if some - whole:
            raise ConfigError(
                f"K must be a part of the circuit: got {sorted(map(str, some - whole))}, which are not in it. "
                "Knock out nodes of the circuit alone."
            )
        return whole, some


# -- the three criteria -----------------------------------------------------------------------------


def compute_faithfulness(F: CircuitMetric, circuit: Iterable[NodeLike]) -> Faithfulness:
    """F(M), F(C) and F of the empty circuit (section 4.1 of the paper)."""
    return Faithfulness(full=F.full, circuit=F(circuit), empty=F(()))


def compute_completeness(
    F: CircuitMetric, circuit: Iterable[NodeLike], knocked_out: Iterable[NodeLike]
) -> CompletenessScore:
    """F(C - K) and F(M - K) for one K (section 4.2)."""
    whole, K = F.part_of(circuit, knocked_out)
    return CompletenessScore(knocked_out=K, circuit=F(whole - K), model=F.without(K))


def random_completeness(
    F: CircuitMetric, circuit: Iterable[NodeLike], n_sets: int, generator: torch.Generator | None = None
) -> list[CompletenessScore]:
    """Completeness for random K: each node of the circuit is in K with probability one half."""
    nodes = sort_nodes(F.part_of(circuit, ())[0])
    draws = torch.rand(n_sets, len(nodes), generator=generator) < 0.5
    return [compute_completeness(F, nodes, [n for n, taken in zip(nodes, row, strict=True) if taken]) for row in draws]


def greedy_completeness(F: CircuitMetric, circuit: Iterable[NodeLike], n_steps: int = 10) -> CompletenessScore:
    """The K that a greedy search finds to separate circuit and model the most (section 4.2).

    Each step adds to K the node that makes |F(C - K) - F(M - K)| largest; the largest on the way counts.
    """
    whole, _ = F.part_of(circuit, ())
    best = current = compute_completeness(F, whole, ())
    for _ in range(min(n_steps, len(whole))):
        left = sort_nodes(whole - current.knocked_out)
        current = max(
            (compute_completeness(F, whole, current.knocked_out | {node}) for node in left),
            key=lambda score: score.difference,
        )
        best = max(best, current, key=lambda score: score.difference)
    return best


def compute_minimality(
    F: CircuitMetric,
    circuit: Iterable[NodeLike],
    sets: Mapping[NodeLike, Collection[NodeLike]] | None = None,
    n_steps: int = 2,
) -> dict[Node, MinimalityScore]:
    """For each node of the circuit what it is worth, with the K that `sets` gives or a greedy search finds (section 4.3).

    The search begins with the empty K and adds up to `n_steps` nodes, each the one with which the
    node is worth most; the most on the way counts. A node that is worth nothing with every K is idle.
    """
    whole, _ = F.part_of(circuit, ())
    given = {next(iter(as_nodes(F.lm, [node]))): F.part_of(whole, K)[1] for node, K in (sets or {}).items()}
    return {
        node: _worth(F, whole, node, given[node]) if node in given else _search_worth(F, whole, node, n_steps)
        for node in sort_nodes(whole)
    }


def _worth(F: CircuitMetric, whole: frozenset[Node], node: Node, K: frozenset[Node]) -> MinimalityScore:
    difference = abs(F(whole - K - {node}) - F(whole - (K - {node})))
    return MinimalityScore(knocked_out=K - {node}, difference=difference, share=_share(difference, F.full))


def _search_worth(F: CircuitMetric, whole: frozenset[Node], node: Node, n_steps: int) -> MinimalityScore:
    best = current = _worth(F, whole, node, frozenset())
    for _ in range(min(n_steps, len(whole) - 1)):
        left = sort_nodes(whole - current.knocked_out - {node})
        tried = [_worth(F, whole, node, current.knocked_out | {other}) for other in left]
        current = max(tried, key=lambda score: score.difference)
        best = max(best, current, key=lambda score: score.difference)
    return best


def _share(difference: float, full: float) -> float:
    return difference / abs(full) if full else float("nan")


def sort_nodes(nodes: Iterable[Node]) -> list[Node]:
    """Nodes from the first layer to the last, a layer's heads before its MLP."""
    return sorted(nodes, key=lambda node: (node.writes_at, getattr(node, "head", -1)))
