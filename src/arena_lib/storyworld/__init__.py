"""Storyworld: a generated language of short stories in which the state of the world is known at every token.

    >>> from arena_lib import storyworld
    >>> document = storyworld.tell("story", storyworld.Chooser(0))
    >>> len(document.words) == len(document.labels.sentence)
    True

Files: lexicon (words), frames and companion_frames (sentences), world (state), labels, grammar (stories),
tasks (in-context tasks), tokenizer, corpus (rows for training), report (entropies).
"""

from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.corpus import MIXTURE, VERSION, make_marked_rows, make_rows, tell, tell_many
from arena_lib.storyworld.grammar import tell_story
from arena_lib.storyworld.labels import Document, Labels
from arena_lib.storyworld.tasks import (
    RULES,
    tell_company,
    tell_facts,
    tell_holders,
    tell_indirect_object,
    tell_repetition,
    tell_rule,
    tell_speech,
    tell_spelling,
)
from arena_lib.storyworld.tokenizer import (
    END_OF_TEXT,
    encode_words,
    list_vocabulary_words,
    save_tokenizer,
    tokenizer_json,
    vocabulary,
)

__all__ = [
    "END_OF_TEXT",
    "MIXTURE",
    "RULES",
    "VERSION",
    "Chooser",
    "Document",
    "Labels",
    "encode_words",
    "list_vocabulary_words",
    "make_marked_rows",
    "make_rows",
    "save_tokenizer",
    "tell",
    "tell_company",
    "tell_facts",
    "tell_holders",
    "tell_indirect_object",
    "tell_many",
    "tell_repetition",
    "tell_rule",
    "tell_speech",
    "tell_spelling",
    "tell_story",
    "tokenizer_json",
    "vocabulary",
]
