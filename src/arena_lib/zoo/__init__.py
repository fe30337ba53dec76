"""Small trained models that ship with arena_lib; real ones and real data sets one command away.

    from arena_lib import zoo
    zoo.names()                     what there is, bundled models first
    zoo.info("smollm2")             the model's card: data, licence, recipe, figures, hash
    zoo.load("tiny-gpt")            our Transformer, its tokenizer attached
    zoo.path("tiny-gpt")            its folder, which transformers opens
    zoo.load_bridge("tiny-gpt")     the same in TransformerLens
    zoo.load_nnsight("tiny-gpt")    the same in nnsight
    zoo.load_policy("ppo-cartpole") a trained agent: observations -> actions
    zoo.plot_curve("ppo-cartpole")  how it learned
    zoo.load_sae("sae-tiny-llama-topk")  a sparse autoencoder of tiny-llama's activations
    zoo.fetch("smollm2")            a real language model into the cache, once
    zoo.fetch("sae-probes")         sets of labelled texts into the cache, once
    zoo.load_dataset("sentiment")   [(prompt, label), ...] of one of them

Importing this package loads no torch; loading a model does.
"""

from arena_lib.zoo.cards import Card, Download, PolicyFacts, SAEFacts, TextSet, info, names
from arena_lib.zoo.datasets import LabelledText, dataset_info, dataset_names, load_dataset
from arena_lib.zoo.fetching import fetch, keep_trained
from arena_lib.zoo.loading import load, load_bridge, load_nnsight, load_tokenizer
from arena_lib.zoo.places import cache_folder, is_available, path
from arena_lib.zoo.policies import load_policy, plot_curve, policy_names
from arena_lib.zoo.saes import load_sae, sae_names

__all__ = [
    "Card",
    "Download",
    "LabelledText",
    "PolicyFacts",
    "SAEFacts",
    "TextSet",
    "cache_folder",
    "dataset_info",
    "dataset_names",
    "fetch",
    "info",
    "is_available",
    "keep_trained",
    "load",
    "load_bridge",
    "load_dataset",
    "load_nnsight",
    "load_policy",
    "load_sae",
    "load_tokenizer",
    "names",
    "path",
    "plot_curve",
    "policy_names",
    "sae_names",
]
