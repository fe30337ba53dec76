"""Preferences: pairs of answers of which one was liked better, and models that learn from them what is good.

answers        tokens of prompts and answers, and which of them count; pairs of them
labels         who wins a comparison, drawn from known rewards with a stated noise
bradley_terry  the loss, how often a model is right, and whether its confidence can be trusted
reward_model   a transformer with one number for a whole text
ensembles      several reward models, and what to make of their disagreement
training       reward models trained on pairs
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
