"""Principal components: the directions in which activations differ most.

Shapes:  activations "n_statements d_model" -> components "d_model k"
Raises:  ShapeError for more components than the activations can have.
Source:  Pearson 1901; as used on activations by Marks and Tegmark 2023, arXiv:2310.06824, section 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ShapeError


def get_pca_components(activations: Float[Tensor, "n_statements d_model"], k: int = 2) -> Float[Tensor, "d_model k"]:
    """The k directions of greatest variance, one in each column, the greatest first.

    The mean over statements is subtracted first: what counts is how statements differ. The columns have
    length 1 and stand at right angles to each other. Their signs are arbitrary: a direction and its
    opposite are the same axis. `activations` themselves stay as they are.

    One way: of the centred matrix X = U S V^T (singular value decomposition) take the first k columns of V.
    Another: the k eigenvectors of X^T X with the largest eigenvalues.
    """
    n_statements, d_model = activations.shape
    if not 1 <= k <= min(n_statements, d_model):
        raise ShapeError(
            f"k must be between 1 and {min(n_statements, d_model)}, the smaller side of the activations: got {k} for "
            f"shape {(n_statements, d_model)}. Ask for fewer components or give more statements."
        )
    centred = activations - activations.mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    return directions[:k].T
