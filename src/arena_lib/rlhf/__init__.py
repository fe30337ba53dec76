"""Learning from preferences and rewards: what turns a model of text into a model that does what is asked.

Models are handed in: any form of `arena_lib.transformer`, such as `zoo.load("tiny-llama")`.

best_of_n    the best of n answers, with its exact KL divergence and estimates without bias
divergences  entropy, the KL divergence in full and from samples, and the terms of a loss made of them
dpo          DPO and IPO: learning from pairs without a reward model and without sampling
logprobs     log-probabilities of sampled tokens, by all logits or by chunks of the vocabulary
lora         adapters of low rank beside any named weights, merged exactly, in PEFT's files
masking      which tokens of a sample count, and means over those
preferences  pairs of answers, reward models and their calibration, ensembles
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
