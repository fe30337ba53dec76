"""Learning from preferences and rewards: what turns a model of text into a model that does what is asked.

Models are handed in: any form of `arena_lib.transformer`, such as `zoo.load("tiny-llama")`.

    prompts      what a policy goes on from, of one length or several; beginnings of stories
    rollouts     what it draws after them, how likely it found each token, and how fast that went
    masking      which tokens of a sample count, and means over those
    logprobs     log-probabilities of drawn tokens, by all logits or by chunks of the vocabulary
    divergences  entropy, the KL divergence in full and from samples, and the terms of a loss made of them
    rewards      functions of texts: a proxy that can be hacked, the truth it stands for, tasks with one right answer
    advantages   how much better a token or a sample was than a value, or than other samples of its prompt
    training     what PPO and GRPO share: phases, the memory of a phase, the frozen reference, checkpoints
    grpo         group relative policy optimisation: samples of one prompt compared with each other
    value_head   a transformer that also says what each text so far is worth
    ppo          proximal policy optimisation with a KL penalty, fixed or adaptive
    best_of_n    the best of n answers, with its exact KL divergence and estimates without bias
    dpo          DPO and IPO: learning from pairs without a reward model and without sampling
    lora         adapters of low rank beside any named weights, merged exactly, in PEFT's files
    preferences  pairs of answers, reward models and their calibration, ensembles
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
