"""Rewards: functions of texts, each text's goodness as one number.

    checking    asking a reward function, and refusing by name what it must not give
    scaling     rewards made comparable: normalised, whitened
    characters  how often a character occurs, the classical first reward
    moods       storyworld's proxy, which can be hacked, and stories that end well
    sentences   storyworld's truth: the share of sentences that are grammatical and new
    holders     whether the story's question about a thing is answered rightly

A reward function takes a list of texts and gives a tensor "batch".
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
