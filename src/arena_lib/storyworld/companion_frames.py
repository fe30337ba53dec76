"""Frames of the indirect-object task: who is together, what is said between, who gives what to whom.

`{A}`, `{B}` and `{C}` are together, `{D}` is not; `{M}` is one of those together;
`{S}` gives and `{R}` gets, with `{T}` beside the giver where three are together. A
question names `{N}` (and `{O}`); `{H}` answers it.
The second list of a pair is held out: no training text of the task has these
sentences, as a whole or within a longer one. What is new in them is how they are put
together: any two neighbouring words are neighbours somewhere in training text, up to
which name, thing, place or article it is. (That `bought` goes with `from` must be put
together; that one can hand over a thing cannot be known without having read it.)

Source: after Wang et al. 2022, arXiv:2211.00593, section 2; the sentences are ours.
"""

Frames = tuple[tuple[str, ...], tuple[str, ...]]
"""Frames for training text, and those held out."""

PAIR_CLAUSES: Frames = (
    (
        "When {A} and {B} went to the {p} ,",
        "While {A} and {B} were working in the {p} ,",
        "After {A} and {B} came to the {p} ,",
        "As {A} and {B} walked through the {p} ,",
        "When {A} met {B} in the {p} ,",
        "Before {A} and {B} left the {p} ,",
        "Because {A} and {B} were in the {p} ,",
        "On {day} , when {A} and {B} were in the {p} ,",
        "While {A} was in the {p} with {B} ,",
        "After {A} saw {B} near the {p} ,",
        "When {A} and {B} sat in the {p} ,",
        "After {A} found {B} in the {p} ,",
        "As {A} sat in the {p} with {B} ,",
        "Before {A} left the {p} with {B} ,",
        "When {A} came to the {p} with {B} ,",
        "Because {A} was with {B} in the {p} ,",
        "One {time} , when {A} and {B} played in the {p} ,",
        "On {day} , as {A} and {B} came to the {p} ,",
        "While {A} talked to {B} in the {p} ,",
        "When {A} asked {B} for help in the {p} ,",
    ),
    (
        "Once {A} and {B} reached the {p} ,",
        "While {A} and {B} walked to the {p} ,",
        "After {A} met {B} near the {p} ,",
        "Because {A} saw {B} in the {p} ,",
        "In the {season} , when {A} and {B} left the {p} ,",
    ),
)
PAIR_SENTENCES: Frames = (
    (
        "{A} and {B} had a long talk in the {p} .",
        "{A} was in the {p} with {B} .",
        "One {time} , {A} and {B} sat in the {p} .",
        "{A} saw {B} near the {p} .",
        "{A} went to the {p} and {B} came too .",
        "In the {p} , {A} found {B} .",
        "The friends {A} and {B} played in the {p} .",
        "{A} asked {B} for help in the {p} .",
        "On {day} , {A} and {B} were in the {p} .",
        "There were two people in the {p} , {A} and {B} .",
        "{A} and {B} worked in the {p} .",
        "{A} came to the {p} with {B} .",
        "{A} stayed in the {p} with {B} .",
        "{A} ran to the {p} and met {B} .",
        "{A} and {B} came from {city} to the {p} .",
        "{A} and {B} were friends and lived in {city} .",
        "{A} was a friend of {B} .",
        "It was {cold} , and {A} sat in the {p} with {B} .",
        "On {day} , {A} met {B} by the {p} .",
        "After that , {A} and {B} went to the {p} .",
        "{A} talked to {B} in the {p} .",
        "{A} had a long talk with {B} .",
    ),
    (
        "{A} and {B} spent the {time} in the {p} .",
        "{A} walked to the {p} with {B} .",
        "The {time} was {cold} , and {A} met {B} in the {p} .",
        "{A} and {B} stayed in the {p} .",
        "{A} found {B} near the {p} .",
    ),
)
TRIPLES: Frames = (
    (
        "When {A} , {B} and {C} went to the {p} ,",
        "While {A} , {B} and {C} were working in the {p} ,",
        "After {A} , {B} and {C} came to the {p} ,",
        "As {A} , {B} and {C} walked through the {p} ,",
        "Before {A} , {B} and {C} left the {p} ,",
        "Because {A} , {B} and {C} were in the {p} ,",
        "When {A} met {B} and {C} in the {p} ,",
        "{A} , {B} and {C} sat in the {p} .",
        "On {day} , {A} , {B} and {C} were in the {p} .",
        "One {time} , {A} , {B} and {C} played in the {p} .",
        "{A} was in the {p} with {B} and {C} .",
        "{A} saw {B} and {C} near the {p} .",
        "In the {p} , {A} found {B} and {C} .",
        "{A} and {B} met {C} in the {p} .",
        "{A} and {B} were in the {p} with {C} .",
        "There were three people in the {p} , {A} , {B} and {C} .",
        "{A} , {B} and {C} had a long talk .",
        "{A} , {B} and {C} were friends .",
    ),
    (
        "Once {A} , {B} and {C} reached the {p} ,",
        "{A} , {B} and {C} walked to the {p} .",
        "{A} met {B} and {C} by the {p} .",
        "The {time} was {cold} , and {A} met {B} and {C} in the {p} .",
    ),
)
MIDDLES: Frames = (
    (
        "{M} was {trait} .",
        "{M} felt {mood} .",
        "{M} was very {trait} .",
        "{M} lived in {city} .",
        "{M} was a {job} .",
        "{M} worked as a {job} .",
        "{M} wanted to be a {job} .",
        "{M} loved to eat {foods} .",
        "{M} had {a} {o} .",
        "{M} laughed .",
        "The {time} was {cold} .",
        "The {p} was {cold} .",
        "It was a {cold} {time} .",
        "It was raining .",
        "Both were {mood} .",
        "They were {mood} .",
    ),
    (
        "{M} was {a} {trait} {job} .",
        "{M} thought that the {time} was {cold} .",
        "{M} had {a} {adj} {o} .",
        "The {season} was {cold} .",
    ),
)
DISTRACTORS: Frames = (
    (
        "{D} was not there .",
        "{D} was in the {q} .",
        "{D} was not in the {p} .",
        "{D} stayed in the {q} .",
        "{D} walked to the {q} .",
        "{D} went to the {q} .",
        "{D} sat in the {q} .",
        "{D} worked in the {q} .",
        "{D} was working in the {q} .",
        "{D} ate {foods} in the {q} .",
        "{D} had never been to the {p} .",
        "{D} was far away in {city} .",
        "{D} lived in {city} .",
        "{D} was born in {city} .",
        "{D} did not come .",
        "One {time} , {D} was in the {q} .",
        "On {day} , {D} ran to the {q} .",
        "In the {q} , {D} played a game .",
        "Soon {D} returned to the {q} .",
        "They talked about {D} .",
        "Nobody saw {D} .",
    ),
    (
        "{D} spent the {time} in the {q} .",
        "On {day} , {D} came to the {q} .",
        "{D} walked through the {q} .",
        "{D} played in the {q} .",
    ),
)
TRANSFERS: Frames = (
    (
        "{S} gave the {o} to {R} .",
        "{S} gave {a} {adj} {o} to {R} .",
        "{S} handed the {o} to {R} .",
        "{S} passed the {o} to {R} .",
        "{S} passed {a} {colour} {o} to {R} .",
        "{S} wanted to give the {o} to {R} .",
        "{S} sold {a} {colour} {o} to {R} .",
        "{S} sold some {foods} to {R} .",
        "{S} wanted to sell {a} {adj} {o} to {R} .",
        "{S} showed the {o} to {R} .",
        "{S} brought some {foods} to {R} .",
        "{S} threw the {o} to {R} .",
        "{S} offered {foods} to {R} .",
        "{S} offered {a} {o} to {R} .",
        "{S} told a story to {R} .",
        "{S} wrote a letter to {R} .",
        "{S} said thank you to {R} .",
        "{S} spoke to {R} .",
        "{S} bought {a} {o} for {R} .",
        "{S} made a cake for {R} .",
        "{S} found {a} {adj} {o} for {R} .",
        "{S} left the {o} for {R} .",
        "{S} played a game with {R} .",
        "{S} took the {o} from {R} .",
        "{S} got {a} {o} from {R} .",
    ),
    (
        "{S} brought the {o} to {R} .",
        "{S} handed {a} {colour} {o} to {R} .",
        "{S} bought some {foods} for {R} .",
        "{S} made {a} {adj} {o} for {R} .",
        "{S} bought the {o} from {R} .",
    ),
)
JOINT_TRANSFERS: Frames = (
    tuple(frame.replace("{S}", "{S} and {T}") for frame in TRANSFERS[0]),
    tuple(frame.replace("{S}", "{S} and {T}") for frame in TRANSFERS[1]),
)
OPENERS: tuple[str, ...] = ("Then", "Soon", "Later ,", "After that ,")

ASK_PAIR: Frames = (
    ("Who was with {N} ? {H} .", "Who was there with {N} ? {H} ."),
    ("Who was in the {p} with {N} ? {H} .",),
)
ASK_TRIPLE: Frames = (
    ("Who was with {N} and {O} ? {H} .", "Who was there with {N} and {O} ? {H} ."),
    ("Who was in the {p} with {N} and {O} ? {H} .",),
)

TABLES: tuple[Frames, ...] = (PAIR_CLAUSES, PAIR_SENTENCES, TRIPLES, MIDDLES, DISTRACTORS, TRANSFERS, JOINT_TRANSFERS)
"""Every pair of lists of the task."""
QUESTIONS: tuple[Frames, ...] = (ASK_PAIR, ASK_TRIPLE)
"""What is asked where nobody gives anything."""
