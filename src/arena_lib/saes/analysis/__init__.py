"""What a latent means: where it is active, what its directions say, and what the model does with it.

places          where an SAE reads and writes in a model; editing its latents and nothing else
activations     examples, histograms, statistics over texts; direct feature attribution for attention SAEs
directions      tokens by logit lens, feature splitting, absorption, maps
interventions   ablation, attribution patching, steering, patchscopes
autointerp      explanations by another model, and their scores
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
