"""What latents' directions say by themselves: the tokens they favour, and how they lie to each other."""

from arena_lib.saes.analysis.directions.absorption import (
    Absorption,
    AbsorptionConfig,
    compute_absorption,
    find_main_latents,
    make_hierarchy,
)
from arena_lib.saes.analysis.directions.logits import (
    TokenEffects,
    compute_latent_embeddings,
    compute_latent_logits,
    find_top_deembeddings,
    find_top_logits,
    project_embeddings,
    project_to_logits,
    show_top_deembeddings,
    show_top_logits,
)
from arena_lib.saes.analysis.directions.maps import (
    DirectionMap,
    cluster_directions,
    compute_sae_umap_data,
    project_pca,
    project_umap,
)
from arena_lib.saes.analysis.directions.splitting import (
    FeatureSplits,
    compute_cosines,
    find_children,
    find_feature_splits,
    match_one_to_one,
)

__all__ = [
    "Absorption",
    "AbsorptionConfig",
    "DirectionMap",
    "FeatureSplits",
    "TokenEffects",
    "cluster_directions",
    "compute_absorption",
    "compute_cosines",
    "compute_latent_embeddings",
    "compute_latent_logits",
    "compute_sae_umap_data",
    "find_children",
    "find_feature_splits",
    "find_main_latents",
    "find_top_deembeddings",
    "find_top_logits",
    "make_hierarchy",
    "match_one_to_one",
    "project_embeddings",
    "project_pca",
    "project_to_logits",
    "project_umap",
    "show_top_deembeddings",
    "show_top_logits",
]
