"""What the four-layer models read, and in which order: one plan for both.

Random strings come first: from them a model learns within minutes to copy a word that followed before, and all other
tasks are built on that. Then comes everything in short rows, and then, for most of the run, whole rows that begin
with whom things go to and who holds them; at the end more lists, from which a rule is inferred.
"""

from arena_lib.zoo.recipes.running import Plan
from arena_lib.zoo.recipes.story_batches import Stage

EVERYTHING = {
    "repetition": 0.34,
    "story": 0.20,
    "indirect_object": 0.13,
    "nicknames": 0.04,
    "company": 0.06,
    "holders": 0.10,
    "adjectives": 0.05,
    "countries": 0.03,
    "speech": 0.02,
    "facts": 0.02,
    "spelling": 0.01,
}
COMPANIONS = {
    "repetition": 0.09,
    "story": 0.21,
    "indirect_object": 0.24,
    "nicknames": 0.05,
    "company": 0.11,
    "holders": 0.21,
    "adjectives": 0.04,
    "countries": 0.02,
    "speech": 0.01,
    "facts": 0.01,
    "spelling": 0.01,
}
LATER = {
    "repetition": 0.07,
    "story": 0.19,
    "indirect_object": 0.30,
    "nicknames": 0.05,
    "company": 0.08,
    "holders": 0.17,
    "adjectives": 0.09,
    "countries": 0.02,
    "speech": 0.01,
    "facts": 0.01,
    "spelling": 0.01,
}
PLAN = Plan(
    stages=(
        Stage(mixture={"repetition": 1.0}, seq=32, n_shards=12, longest=10),
        Stage(mixture=EVERYTHING, seq=64, n_shards=22, longest=24),
        Stage(mixture=COMPANIONS, seq=128, n_shards=310, answers_every=2),
        Stage(mixture=LATER, seq=128, answers_every=2),
    ),
    steady_steps=27_000,
    cooling_steps=2_000,
)
"""In whole rows every second batch counts the answers about people alone: among all other tokens the one
that tells the giver from the companion is too rare for a model of this size to learn in so few updates.
"""
