"""A transformer that says, after each token, what comes next and what the text so far is worth.

Both read the same vector: the residual stream at the end, normalised. The value at place i is that of the state in which
the token at place i + 1 is drawn, since that is what the model has read. So the token at place t, an action, belongs to
values[:, t - 1], as it belongs to logits[:, t - 1].

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab", values "batch seq"
Raises:  what the transformer raises; ConfigError where the head or adapters wouldn't train.
Source:  Ziegler et al. 2019, arXiv:1909.08593, section 2.1 (a policy that shares all but its head with the value function);
         own choice of the head's form.
Differs: no hook: the head reads what `ln_final` returns, its gain included.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask

HIDDEN_PER_INPUT = 4
"""Width of the head's hidden layer, as a multiple of d_model: that of a transformer's MLP."""


class TransformerWithValueHead(nn.Module):
    """`base_model` with a value head: d_model -> 4 d_model -> 1, with ReLU between.

    `base_model` is kept as it is, no copy, with its config as `cfg`. `value_head` is two nn.Linear and what stands between,
    in order, on the device and in the dtype of the model's weights. The weights of the first begin with a standard deviation
    of d_model ** -0.5, drawn by `generator` if there is one. Both biases and the last layer begin at zero, so that every value
    is 0 at first: the mean of normalised rewards.
    """

    def __init__(self, base_model: Transformer, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.base_model = base_model
        self.cfg = base_model.cfg
        d_model = base_model.cfg.d_model
        weight = base_model.unembed.W_U
        hidden, output = nn.Linear(d_model, HIDDEN_PER_INPUT * d_model), nn.Linear(HIDDEN_PER_INPUT * d_model, 1)
        with torch.no_grad():
            hidden.weight.normal_(0.0, d_model**-0.5, generator=generator)
            for zeros in (hidden.bias, output.weight, output.bias):
                zeros.zero_()
        self.value_head = nn.Sequential(hidden, nn.ReLU(), output).to(weight.device, weight.dtype)

    def run_value_head(self, normalized: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq"]:
        """One number for each vector: what `value_head` gives, without its last axis of length 1."""
        return self.value_head(normalized).squeeze(-1)

    def forward_with_value_head(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Mask | None = None
    ) -> tuple[Float[Tensor, "batch seq d_vocab"], Float[Tensor, "batch seq"]]:
        """Logits, those of `base_model(input_ids)`, and values, from one pass.

        1. The residual stream after the last block: base_model(input_ids, stop_at_layer=n_layers).
        2. base_model.ln_final normalises it.
        3. base_model.unembed makes logits of it, and `run_value_head` values.
        """
        base = self.base_model
        resid = base(input_ids, stop_at_layer=base.cfg.n_layers, attention_mask=attention_mask)
        normalized = base.ln_final(resid)
        return base.unembed(normalized), self.run_value_head(normalized)

    def forward(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Mask | None = None
    ) -> tuple[Float[Tensor, "batch seq d_vocab"], Float[Tensor, "batch seq"]]:
        """As `forward_with_value_head`."""
        return self.forward_with_value_head(input_ids, attention_mask)


def get_optimizer(
    model: TransformerWithValueHead,
    base_lr: float,
    head_lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.AdamW:
    """AdamW, which is Adam without weight decay, with a learning rate for the transformer and one for its value head.

    There are two groups. The first holds base_model's parameters, those that require gradients, and learns at `base_lr`; the
    second holds the head's and learns at `head_lr`. The head is new and has much to learn; the transformer knows its language
    already. It minimises, so the loss is minus the objective.
    """
    require_trainable(model)
    groups = [
        {
            "params": [parameter for parameter in model.base_model.parameters() if parameter.requires_grad],
            "lr": base_lr,
        },
        {"params": list(model.value_head.parameters()), "lr": head_lr},
    ]
    return torch.optim.AdamW(groups, betas=betas, eps=eps, weight_decay=weight_decay)


def require_trainable(model: TransformerWithValueHead) -> None:
    """Raise ConfigError unless the value head trains, and all else that trains is in base_model."""
    is_head_frozen = not all(parameter.requires_grad for parameter in model.value_head.parameters())
    if is_head_frozen or hasattr(model, "lora"):
        kind = "a frozen one" if is_head_frozen else "adapters beside the whole model"
        raise ConfigError(
            f"the value head must train, as it starts at zero, and all else that trains must be in base_model: got {kind}. "
            "Attach adapters to model.base_model, which leaves the head as it is."
        )
