"""A transformer whose circuit is known, because its weights were written by hand: induction, and decoys.

Two layers of attention alone. Head 0.1 looks one token back and notes which token stands there; head
1.2 looks for a place whose note is the present token, and copies what stands there to the output. Six more
heads have weights as large, attend as sharply, and change nothing. A method that finds circuits is right if
it finds those two heads and the edges between them, and nothing else.

The stream is laid out in blocks of coordinates, "one-hot" in each: `token` (what stands here), `note` (what
stands before), `out` (what should come next), `dump` (nobody reads it), `empty` (nobody writes it), and one
coordinate `balance`, to which every writer adds -1 so that the mean over d_model stays 0. Each weight:

    W_E            token t -> token[t] - balance
    W_pos          position i -> pos[i], added to the inputs of queries and keys alone
    0.1  W_Q, W_K  query pos[i] -> i, key pos[j] -> j + 1: they match where j = i - 1
         W_V, W_O  token[t] -> note[t] - balance
    1.2  W_Q, W_K  query token[t] -> t, key note[t] -> t: they match where the token before was t;
         b_Q       and a constant query that matches key pos[0] half as well: without a match the head
                   rests on the first position, whose token, START, it does not copy
         W_V, W_O  token[t] -> out[t] - balance, for t other than START
    W_U            out[t] -> logit of t

The decoys, in each layer one of each kind, every weight scaled to the norm of the true head's:

    unread         attends to its own position (layer 0) or to equal tokens (layer 1), and copies the
                   token into `dump`: much is written, and nobody reads it
    nothing to read   reads `empty` and would write to `note` (layer 0) or `out` (layer 1): by its
                   weights it composes with 1.2 as strongly as 0.1 does, but nothing ever flows
    halves apart   the queries and keys of the true head, so the same attention pattern; but W_V fills
                   the first half of d_head and W_O reads the second

The norms take the mean away and would divide by the stream's spread. Their eps is so large (1e12) that
they divide by a constant, which their gain undoes: so a decoy's writing cannot act through the scale.
Last, the whole basis, and each head's inside, is rotated at random, about the direction (1, 1, ..., 1), which
the norms take away. So no single weight shows what it does.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab".
Raises:  ConfigError for sizes that cannot hold a repeated string.
Source:  the circuit of Elhage et al. 2021, "A mathematical framework for transformer circuits"; weights by
         construction: own derivation, after Lindner et al. 2023, arXiv:2301.05062 (Tracr).
Differs: repeated strings are of distinct tokens, for which induction is right everywhere.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.models import Head
from arena_lib.interp.patching import nodes
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig

START = 0
"""The token that begins every sequence."""
MATCH_SCORE = 40.0
"""Attention score of a match, after the division by the root of d_head; all else scores 0."""
REST_SCORE = 20.0
"""Attention score of the resting place."""
LOGIT = 15.0
"""Logit of the token that the circuit predicts; all others are 0."""
NORM_EPS = 1e12
"""So much larger than any variance here that the norms divide by its root, whatever is written."""
N_HEADS = 4
PREVIOUS_TOKEN_HEAD: Head = (0, 1)
INDUCTION_HEAD: Head = (1, 2)

BLOCKS = ("token", "note", "out", "dump", "empty")
Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class KnownCircuit:
    """What is true of the model that `make_known_induction_model` makes."""

    heads: tuple[Head, ...]
    """The heads that matter, (layer, head)."""
    edges: tuple[tuple[nodes.Sender, nodes.Receiver], ...]
    """Every edge along which what the token is flows to the logits, from what writes to what reads."""
    position_inputs: tuple[nodes.HeadInput, ...]
    """Inputs that positions flow into as well; they are the same for every text of a length."""
    decoys: dict[Head, str]
    """Each head that does not matter, and which kind of decoy it is."""


TRUTH = KnownCircuit(
    heads=(PREVIOUS_TOKEN_HEAD, INDUCTION_HEAD),
    edges=(
        (nodes.Embed(), nodes.HeadInput(*PREVIOUS_TOKEN_HEAD, "v")),
        (nodes.Head(*PREVIOUS_TOKEN_HEAD), nodes.HeadInput(*INDUCTION_HEAD, "k")),
        (nodes.Embed(), nodes.HeadInput(*INDUCTION_HEAD, "q")),
        (nodes.Embed(), nodes.HeadInput(*INDUCTION_HEAD, "v")),
        (nodes.Head(*INDUCTION_HEAD), nodes.FinalResidual()),
    ),
    position_inputs=(
        nodes.HeadInput(*PREVIOUS_TOKEN_HEAD, "q"),
        nodes.HeadInput(*PREVIOUS_TOKEN_HEAD, "k"),
        nodes.HeadInput(*INDUCTION_HEAD, "k"),
    ),
    decoys={
        (0, 0): "unread",
        (0, 2): "nothing to read",
        (0, 3): "halves apart",
        (1, 0): "nothing to read",
        (1, 1): "halves apart",
        (1, 3): "unread",
    },
)


def make_known_induction_model(
    *,
    d_vocab: int = 24,
    n_ctx: int = 33,
    generator: torch.Generator | None = None,
    is_rotated: bool = True,
    dtype: torch.dtype = torch.float64,
) -> tuple[AttentionOnly, KnownCircuit]:
    """The hand-set model, and its true heads and edges.

    Sequences begin with the token START (0). With `is_rotated=False` every coordinate keeps the meaning that
    the head of this file gives it. Without a decoy the logits, which lie
    between 0 and 15, change by less than 1e-11 in float64 and 1e-4 in float32.
    """
    if d_vocab < 4 or n_ctx < 5:
        raise ConfigError(
            f"d_vocab must be at least 4 and n_ctx at least 5: got {d_vocab} and {n_ctx}. "
            "A repeated string is START and twice the same tokens, two or more."
        )
    cfg = AttentionOnlyConfig(
        d_model=len(BLOCKS) * d_vocab + n_ctx + 1,
        d_vocab=d_vocab,
        n_ctx=n_ctx,
        n_layers=2,
        n_heads=N_HEADS,
        d_head=max(d_vocab + 1, n_ctx),
        layer_norm_eps=NORM_EPS,
    )
    heads = _Heads(cfg)
    weights = heads.all_weights()
    if is_rotated:
        _rotate(weights, cfg, generator)
    model = AttentionOnly(cfg)
    state = {name: torch.zeros(t.shape, dtype=torch.float64) for name, t in model.state_dict().items()}
    state |= weights | {name: torch.full_like(t, NORM_EPS**0.5) for name, t in state.items() if name.endswith("ln1.w")}
    state["ln_final.w"] = torch.full_like(state["ln_final.w"], NORM_EPS**0.5)
    model.to(dtype).load_state_dict(state)
    return model.eval().requires_grad_(False), TRUTH


def make_repeated_tokens(
    d_vocab: int, length: int, batch: int, generator: torch.Generator | None = None
) -> Int[Tensor, "batch seq"]:
    """START, then `length` distinct tokens in random order, then the same again: seq = 1 + 2 * length."""
    if not 2 <= length < d_vocab:
        raise ConfigError(
            f"length must be between 2 and {d_vocab - 1}: got {length}. The tokens of a copy are all different."
        )
    drawn = torch.stack([1 + torch.randperm(d_vocab - 1, generator=generator)[:length] for _ in range(batch)])
    return torch.cat([torch.full((batch, 1), START), drawn, drawn], dim=1)


class _Heads:
    """The weights by name, in coordinates that have a meaning."""

    def __init__(self, cfg: AttentionOnlyConfig) -> None:
        self.cfg = cfg
        self.start = {block: i * cfg.d_vocab for i, block in enumerate(BLOCKS)}
        self.start["pos"] = len(BLOCKS) * cfg.d_vocab
        self.tokens = torch.arange(cfg.d_vocab)
        self.positions = torch.arange(cfg.n_ctx)

    def all_weights(self) -> Weights:
        """The state dict's entries that are not zero, gains aside."""
        cfg = self.cfg
        weights = {
            "embed.W_E": self.write("token", self.tokens, cfg.d_vocab),
            "pos_embed.W_pos": self.write("pos", self.positions, cfg.n_ctx, is_balanced=False),
            "unembed.W_U": LOGIT * self.read("out", self.tokens, cfg.d_vocab),
            "blocks.1.attn.b_Q": torch.zeros(cfg.n_heads, cfg.d_head, dtype=torch.float64),
        }
        by_head = {PREVIOUS_TOKEN_HEAD: self.previous_token_head(), INDUCTION_HEAD: self.induction_head()}
        true_head = {layer: by_head[layer, head] for layer, head in by_head}
        for (layer, head), kind in TRUTH.decoys.items():
            decoy = {"unread": self.unread, "nothing to read": self.nothing_to_read, "halves apart": self.halves_apart}
            made = decoy[kind](layer, true_head[layer])
            by_head[layer, head] = {
                name: made[name] * true_head[layer][name].norm() / made[name].norm() for name in true_head[layer]
            }
        for layer in range(cfg.n_layers):
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                stacked = torch.stack([by_head[layer, head][name] for head in range(cfg.n_heads)])
                weights[f"blocks.{layer}.attn.{name}"] = stacked
        resting = [
            INDUCTION_HEAD[1],
            *(h for (layer, h), kind in TRUTH.decoys.items() if layer and kind == "halves apart"),
        ]
        weights["blocks.1.attn.b_Q"][resting, cfg.d_vocab] = self.factor(REST_SCORE)
        return weights

    def factor(self, score: float) -> float:
        """What query and key are each multiplied by, so that a match has this score."""
        return float((score * self.cfg.d_head**0.5) ** 0.5)

    def read(self, block: str, which: Tensor, d_out: int, to: Tensor | None = None) -> Float[Tensor, "d_model d_out"]:
        """Coordinates `which` of a block to the entries `to` of the output (the same, if not given)."""
        weight = torch.zeros(self.cfg.d_model, d_out, dtype=torch.float64)
        weight[self.start[block] + which, which if to is None else to] = 1.0
        return weight

    def write(self, block: str, rows: Tensor, d_in: int, *, is_balanced: bool = True) -> Float[Tensor, "d_in d_model"]:
        """Entry `rows[i]` of the input to coordinate i of a block, and -1 to the balance."""
        weight = torch.zeros(d_in, self.cfg.d_model, dtype=torch.float64)
        weight[rows, self.start[block] + torch.arange(len(rows))] = 1.0
        if is_balanced:
            weight[rows, -1] = -1.0
        return weight

    def copy(self, source: str, target: str, tokens: Tensor) -> Weights:
        """W_V and W_O that bring these tokens from one block to another."""
        d_head = self.cfg.d_head
        return {"W_V": self.read(source, tokens, d_head), "W_O": self.write(target, self.tokens, d_head)}

    def match(self, query: Tensor, key: Tensor) -> Weights:
        """W_Q and W_K whose matches have the score MATCH_SCORE."""
        factor = self.factor(MATCH_SCORE)
        return {"W_Q": factor * query, "W_K": factor * key}

    def previous_token_head(self) -> Weights:
        d_head, positions = self.cfg.d_head, self.positions
        key = self.read("pos", positions[:-1], d_head, to=positions[:-1] + 1)
        return self.match(self.read("pos", positions, d_head), key) | self.copy("token", "note", self.tokens)

    def induction_head(self) -> Weights:
        d_head, tokens = self.cfg.d_head, self.tokens[self.tokens != START]
        head = self.match(self.read("token", tokens, d_head), self.read("note", tokens, d_head))
        first = torch.zeros(1, dtype=torch.int64)
        head["W_K"] += self.factor(REST_SCORE) * self.read("pos", first, d_head, to=first + self.cfg.d_vocab)
        return head | self.copy("token", "out", tokens)

    def unread(self, layer: int, true_head: Weights) -> Weights:
        """Sees something, copies it, and nobody reads the copy."""
        block, which = ("pos", self.positions) if layer == 0 else ("token", self.tokens)
        seen = self.read(block, which, self.cfg.d_head)
        return self.match(seen, seen) | self.copy("token", "dump", self.tokens)

    def nothing_to_read(self, layer: int, true_head: Weights) -> Weights:
        """Would write where the true head writes, but reads what is never there."""
        nothing = self.read("empty", self.tokens, self.cfg.d_head)
        return self.match(nothing, nothing) | self.copy("empty", "note" if layer == 0 else "out", self.tokens)

    def halves_apart(self, layer: int, true_head: Weights) -> Weights:
        """Looks where the true head looks, reads the token, and writes from entries that W_V leaves at 0."""
        half = self.cfg.d_head // 2
        W_V = self.read("token", self.tokens, self.cfg.d_head, to=self.tokens % half)
        W_O = self.write("note" if layer == 0 else "out", half + self.tokens[:half], self.cfg.d_head)
        return {"W_Q": true_head["W_Q"], "W_K": true_head["W_K"], "W_V": W_V, "W_O": W_O}


def _rotate(weights: Weights, cfg: AttentionOnlyConfig, generator: torch.Generator | None) -> None:
    """Turns the stream's basis about (1, ..., 1), and each head's queries with its keys, values with its output."""
    stream = _rotation(cfg.d_model, generator, fixes_ones=True)
    for name in ("embed.W_E", "pos_embed.W_pos"):
        weights[name] = weights[name] @ stream
    weights["unembed.W_U"] = stream.T @ weights["unembed.W_U"]
    for layer in range(cfg.n_layers):
        inside = torch.stack([_rotation(cfg.d_head, generator) for _ in range(2 * cfg.n_heads)])
        for_qk, for_ov = inside.chunk(2)
        attn = f"blocks.{layer}.attn."
        for name, turn in (("W_Q", for_qk), ("W_K", for_qk), ("W_V", for_ov)):
            weights[attn + name] = stream.T @ weights[attn + name] @ turn
        weights[attn + "W_O"] = for_ov.mT @ weights[attn + "W_O"] @ stream
        if attn + "b_Q" in weights:
            weights[attn + "b_Q"] = (weights[attn + "b_Q"][:, None] @ for_qk)[:, 0]


def _rotation(size: int, generator: torch.Generator | None, *, fixes_ones: bool = False) -> Float[Tensor, "size size"]:
    """A random orthogonal matrix; with `fixes_ones` one that leaves the vector (1, ..., 1) as it is."""
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    if not fixes_ones:
        return torch.linalg.qr(drawn).Q
    basis = torch.linalg.qr(torch.cat([torch.ones(size, 1, dtype=torch.float64), drawn[:, 1:]], dim=1)).Q
    turned = torch.eye(size, dtype=torch.float64)
    turned[1:, 1:] = _rotation(size - 1, generator)
    return basis @ turned @ basis.T
