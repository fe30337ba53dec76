"""Judge of the step that gives dead latents their new directions, section 1.5.4.

Shapes:  W_enc "n_inst d_in d_sae", W_dec and directions "n_inst d_sae d_in", is_dead "n_inst d_sae", enc_norm "n_inst"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy import resampling

__test__ = False


def replacing_cases(generator: torch.Generator) -> list[Case]:
    """Some are dead, all, none; tensors, and parameters that are being trained."""

    def case(label: str, n_inst: int, d_in: int, d_sae: int, share: float, *, trained: bool = True) -> Case:
        directions = nn.functional.normalize(torch.randn(n_inst, d_sae, d_in, generator=generator), dim=-1)
        given = {
            "W_enc": torch.randn(n_inst, d_in, d_sae, generator=generator),
            "W_dec": torch.randn(n_inst, d_sae, d_in, generator=generator),
            "is_dead": torch.rand(n_inst, d_sae, generator=generator) < share,
            "directions": directions,
            "enc_norm": 0.2 + torch.rand(n_inst, generator=generator),
        }
        axes = {"W_enc": "n_inst d_in d_sae", "W_dec": "n_inst d_sae d_in"}
        return Case(label=label, call=", ".join(given), given={"tensors": given, "trained": trained}, axes=axes)

    return [
        case("some are dead", 3, 2, 7, 0.4),
        case("all are dead", 2, 4, 3, 1.0),
        case("none is dead", 2, 3, 5, 0.0),
        case("tensors that aren't trained", 1, 3, 6, 0.5, trained=False),
    ]


def replaced(function: Callable[..., Any], case: Case) -> Observations:
    """Both matrices afterwards, what is returned, and what became of the other arguments."""
    given = case.given["tensors"]
    tensors = {name: tensor.clone() for name, tensor in given.items()}
    if case.given["trained"]:
        tensors |= {name: nn.Parameter(tensors[name]) for name in ("W_enc", "W_dec")}
    function(*tensors.values())
    is_alive = ~given["is_dead"]
    W_enc, W_dec = tensors["W_enc"].detach(), tensors["W_dec"].detach()
    alive = (
        torch.equal(W_enc.mT[is_alive], given["W_enc"].mT[is_alive]),
        torch.equal(W_dec[is_alive], given["W_dec"][is_alive]),
    )
    return {
        "W_dec": W_dec,
        "W_enc": W_enc,
        "living latents stay exactly as they are": all(alive),
        "records gradients": not (tensors["W_enc"].is_leaf and tensors["W_dec"].is_leaf),
        "other arguments changed": [name for name in list(given)[2:] if not torch.equal(given[name], tensors[name])],
    }


@torch.no_grad()
def replace_one_by_one(W_enc: Tensor, W_dec: Tensor, is_dead: Tensor, directions: Tensor, enc_norm: Tensor) -> None:
    """Goes through the dead latents."""
    for inst, latent in is_dead.nonzero().tolist():
        W_dec[inst, latent] = directions[inst, latent]
        W_enc[inst, :, latent] = enc_norm[inst] * directions[inst, latent]


def replace_by_data(W_enc: Tensor, W_dec: Tensor, is_dead: Tensor, directions: Tensor, enc_norm: Tensor) -> None:
    """Writes through `.data`, with the mask as an index."""
    scaled = directions * enc_norm[:, None, None]
    W_dec.data[is_dead] = directions[is_dead]
    W_enc.data.mT[is_dead] = scaled[is_dead]


DEC = "W_dec.copy_(torch.where(is_dead[..., None], directions, W_dec))"
ENC = "W_enc.copy_(torch.where(is_dead[:, None], new_enc, W_enc))"
ONE_LENGTH = ("takes one length for all instances", "enc_norm has a length for each instance")
LIVING = "living latents have learned something: only the dead ones get a new direction"

test_replace_latents = exercise(
    reference=resampling.replace_latents,
    cases=replacing_cases,
    observe=replaced,
    accepts=[replace_one_by_one, replace_by_data],
    mistakes=[
        *instead_of(
            DEC,
            {
                "W_dec.copy_(directions)": ("replaces every latent's row of W_dec", LIVING),
                "W_dec.copy_(torch.where(is_dead[..., None], W_dec, directions))": (
                    "replaces the living latents' rows of W_dec",
                    LIVING,
                ),
                "W_dec = torch.where(is_dead[..., None], directions, W_dec)": (
                    "leaves W_dec as it is",
                    "the matrix is changed in place: an assignment only gives a name to another tensor",
                ),
                "W_dec.copy_(torch.where(is_dead[..., None], enc_norm[:, None, None] * directions, W_dec))": (
                    "scales the decoder's rows",
                    "enc_norm is the length in the encoder; a row of W_dec gets length 1",
                ),
                "W_dec.copy_(torch.where(is_dead[..., None], W_dec + directions, W_dec))": (
                    "adds the direction to what was there",
                    "a dead latent's old row goes: the direction replaces it",
                ),
                "W_dec.copy_(torch.where(is_dead[..., None], 0.0, W_dec))": (
                    "sets the rows of W_dec to zero",
                    "a dead latent gets its direction",
                ),
            },
        ),
        *instead_of(
            ENC,
            {
                "W_enc.copy_(new_enc)": ("replaces every latent's column of W_enc", LIVING),
                "W_enc = torch.where(is_dead[:, None], new_enc, W_enc)": (
                    "leaves W_enc as it is",
                    "the matrix is changed in place: with the old encoder a dead latent would stay dead",
                ),
                "W_enc.copy_(torch.where(is_dead[:, None], 0.0, W_enc))": (
                    "sets the columns of W_enc to zero",
                    "a dead latent's encoder gets the same direction as its decoder",
                ),
            },
        ),
        *instead_of(
            "enc_norm[:, None, None] * einops",
            {
                "einops": ("leaves out the encoder's length", "the column of W_enc has length enc_norm"),
                "enc_norm.mean() * einops": ONE_LENGTH,
                "enc_norm[0] * einops": ONE_LENGTH,
                "1 / enc_norm[:, None, None] * einops": (
                    "divides by the encoder's length",
                    "the direction has length 1, so times enc_norm it has that length",
                ),
                "-enc_norm[:, None, None] * einops": (
                    "turns the encoder's direction round",
                    "encoder and decoder get the same direction, or the latent would be silent where it's needed",
                ),
            },
        ),
        Mistake(
            "records gradients",
            "@torch.no_grad()\n",
            "",
            why="a parameter that is trained can't be changed in place while gradients are recorded: @torch.no_grad()",
            raises="RuntimeError",
        ),
    ],
)
