"""In-context tasks: their answers are right, and no shortcut gives them."""

from collections import Counter

import pytest

from arena_lib.storyworld import lexicon, tasks
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.labels import Document

N = 300


def make_indirect_objects(**kwargs: str) -> list[Document]:
    choose = Chooser("tasks", 0)
    return [tasks.tell_indirect_object(choose, **kwargs, n_transfers=1) for _ in range(N)]


def final_sentence(document: Document) -> list[str]:
    last = document.labels.sentence[-1]
    return [word for word, sentence in zip(document.words, document.labels.sentence, strict=True) if sentence == last]


@pytest.mark.parametrize("form", ["pair", "triple", "distractor"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_recipient_is_the_companion_who_does_not_give(form: str, split: str) -> None:
    for document in make_indirect_objects(form=form, split=split):
        answer = document.words[document.answers[-1]]
        present = document.people[:3] if form == "triple" else document.people[:2]
        # Who gives is named since the clause, if there is one, that says who is together.
        n_givers = len(present) - 1
        names = [word for word in final_sentence(document)[:-2] if word in document.people]
        assert document.facts["correct"] == answer == document.words[-2]
        assert {*names[-n_givers:], answer} == set(present)


def test_pairs_and_distractors_have_both_orders_equally_often() -> None:
    for form in ("pair", "distractor"):
        orders = Counter(document.facts["order"] for document in make_indirect_objects(form=form))
        assert set(orders) == {"giver_first", "giver_last"}
        assert min(orders.values()) > N * 0.4


def test_in_a_triple_each_of_the_three_gets_things() -> None:
    places = Counter(
        document.people.index(str(document.facts["correct"])) for document in make_indirect_objects(form="triple")
    )
    assert set(places) == {0, 1, 2}
    assert min(places.values()) > N * 0.2


def test_shortcuts_do_not_answer() -> None:
    documents = make_indirect_objects()
    shortcuts = Counter()
    for document in documents:
        before = document.words[: document.answers[-1]]
        names = [word for word in before if word in document.people]
        counts = Counter(names)
        shortcuts["first name"] += names[0] == document.facts["correct"]
        shortcuts["last name but the giver"] += [name for name in names if name != names[-1]][-1] == document.facts[
            "correct"
        ]
        once = [name for name in counts if counts[name] == 1]
        shortcuts["only name that occurs once"] += once == [document.facts["correct"]]
    assert max(shortcuts.values()) < 0.8 * N


def test_a_distractor_is_named_and_never_takes_part() -> None:
    for document in make_indirect_objects(form="distractor"):
        absent = document.people[2]
        assert absent in document.words
        assert absent not in final_sentence(document)


def test_names_and_frames_of_an_indirect_object_can_be_held_out_each_alone() -> None:
    by_names = make_indirect_objects(split="test", frames_of="train")
    by_frames = make_indirect_objects(split="train", frames_of="test")
    assert all(set(document.people) <= lexicon.HELD_OUT_NAMES for document in by_names)
    assert not any(set(document.people) & lexicon.HELD_OUT_NAMES for document in by_frames)
    texts = ["|".join(" ".join(document.words) for document in documents) for documents in (by_names, by_frames)]
    assert ["bought the" in text for text in texts] == [False, True]
    assert ["had a long talk" in text for text in texts] == [True, False]


def test_there_are_up_to_three_transfers_and_the_last_is_the_one_described() -> None:
    choose = Chooser("tasks", 3)
    documents = [tasks.tell_indirect_object(choose) for _ in range(N)]
    counts = Counter(len(document.answers) for document in documents)
    assert set(counts) == {1, 2, 3}
    assert counts[1] > counts[2] > counts[3] > N / 10
    assert all(document.words[document.answers[-1]] == document.facts["correct"] for document in documents)
    assert all({document.words[i] for i in document.answers} <= set(document.people) for document in documents)


def test_articles_fit_the_next_word() -> None:
    texts = [" ".join(document.words) for document in make_indirect_objects()]
    assert not any(f" a {vowel}" in text for text in texts for vowel in "aeiou")
    assert any(" an " in text for text in texts)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_holder_is_who_got_the_thing_last(split: str) -> None:
    choose = Chooser("tasks", 1)
    for _ in range(N):
        document = tasks.tell_holders(choose, split)
        assert len(document.things) in (2, 3)
        assert len(document.answers) == 1
        assert document.words.count("?") == 1
        asked = next(word for word in document.words[document.words.index("Who") :] if word in document.things)
        told = [i for i, word in enumerate(document.words[: document.words.index("Who")]) if word == asked]
        sentence = document.labels.sentence == document.labels.sentence[told[-1]]
        words = [word for word, here in zip(document.words, sentence, strict=True) if here]
        names = [word for word in words if word in document.people]
        holder = names[0] if "took" in words or len(names) == 1 else names[-1]
        assert document.words[document.answers[0]] == holder == document.facts["correct"]
        assert document.labels.holders[-1, document.things.index(asked)] == document.people.index(holder)


def test_holders_move_things_as_often_as_asked() -> None:
    choose = Chooser("tasks", 2)
    documents = [tasks.tell_holders(choose, n_things=2, n_moves=0) for _ in range(50)]
    assert {document.facts["moved"] for document in documents} == {0}
    assert {document.labels.sentence[-1] for document in documents} == {2}
    documents = [tasks.tell_holders(choose, n_things=3, n_moves=2) for _ in range(50)]
    assert {document.labels.sentence[-1] for document in documents} == {5}
    assert {document.facts["moved"] for document in documents} == {0, 1}


def test_nicknames_are_no_names_and_fill_nothing_else() -> None:
    choose = Chooser("tasks", 4)
    documents = [tasks.tell_indirect_object(choose, are_nicknamed=True) for _ in range(N)]
    for document in documents:
        assert set(document.people) <= set(lexicon.NICKNAMES)
        assert not set(document.words) & set(lexicon.ALL_NAMES)
        assert document.words[document.answers[-1]] == document.facts["correct"]
        mentions = [word for word in document.words if word in lexicon.NICKNAMES]
        assert set(mentions) == set(document.people)
    assert len({name for document in documents for name in document.people}) > 0.9 * len(lexicon.NICKNAMES)


def test_the_company_of_one_is_the_other_and_held_out_names_keep_company_too() -> None:
    choose = Chooser("tasks", 5)
    documents = [tasks.tell_company(choose) for _ in range(N)]
    for document in documents:
        present = document.people[:3] if document.facts["form"] == "triple" else document.people[:2]
        at = document.words.index("?")
        asked = [word for word in document.words[at - 3 : at] if word in document.people]
        answer = document.words[document.answers[-1]]
        assert answer == document.facts["correct"] == document.words[-2]
        assert sorted([answer, *asked]) == sorted(present)
        assert not {"gave", "got", "bought", "to"} & set(document.words[at - 5 :])
        assert document.labels.sentence[-1] >= 1
    assert {document.facts["form"] for document in documents} == {"pair", "triple", "distractor"}
    assert any(set(document.people) & lexicon.HELD_OUT_NAMES for document in documents)
    assert all(set(tasks.tell_company(choose, "test").people) <= lexicon.HELD_OUT_NAMES for _ in range(20))
    firsts = sum(document.people[0] == document.facts["correct"] for document in documents)
    assert 0.3 * N < firsts < 0.6 * N


def test_who_is_together_is_a_plural_subject() -> None:
    choose = Chooser("tasks", 6)
    for _ in range(N):
        document = tasks.tell_indirect_object(choose)
        first = document.labels.sentence[document.words.index(document.people[0])]
        words = [word for word, here in zip(document.words, document.labels.sentence == first, strict=True) if here]
        at = words.index(document.people[0])
        if words[at + 1 : at + 3] == ["and", document.people[1]] or words[at + 1] == ",":
            assert document.labels.number[document.words.index(document.people[0])] == 1


@pytest.mark.parametrize(
    ("kind", "rule", "word", "answer"),
    [
        ("adjectives", "opposite", "hot", "cold"),
        ("adjectives", "same", "hot", "hot"),
        ("adjectives", "comparative", "hot", "hotter"),
        ("countries", "capital", "Peru", "Lima"),
        ("countries", "same", "Peru", "Peru"),
        ("countries", "people", "Peru", "Peruvian"),
    ],
)
def test_rules_map_words(kind: str, rule: str, word: str, answer: str) -> None:
    assert tasks.RULES[kind][rule][word] == answer
    document = tasks.tell_rule(Chooser(0), kind, rule=rule, n_pairs=len(tasks.RULES[kind][rule]))
    at = document.words.index(word)
    assert document.words[at + 2] == answer


def test_rules_of_a_kind_share_their_words_and_come_equally_often() -> None:
    for kind, rules in tasks.RULES.items():
        assert len({frozenset(table) for table in rules.values()}) == 1
        choose = Chooser("tasks", kind)
        counts = Counter(tasks.tell_rule(choose, kind).facts["rule"] for _ in range(N))
        assert set(counts) == set(rules)
        assert min(counts.values()) > N / 5


def test_a_list_is_pairs_and_each_second_word_an_answer() -> None:
    document = tasks.tell_rule(Chooser(4), "adjectives", rule="opposite", n_pairs=3)
    words = document.words
    assert len(words) == 12
    assert [words[i] for i in (1, 3, 5, 7, 9, 11)] == [":", ",", ":", ",", ":", "."]
    assert document.answers == (2, 6, 10)
    assert all(lexicon.OPPOSITE[words[i - 2]] == words[i] for i in document.answers)
    assert len({words[i - 2] for i in document.answers}) == 3


def test_lists_have_five_to_ten_pairs() -> None:
    choose = Chooser(5)
    assert {len(tasks.tell_rule(choose).answers) for _ in range(N)} == set(range(5, 11))


def test_repetition_repeats_and_marks_what_can_be_foretold() -> None:
    document = tasks.tell_repetition(Chooser(6), ["a", "b", "c"], length=5, n_copies=3)
    assert document.words == document.words[:5] * 3
    assert document.answers == tuple(range(6, 15))


def test_repetitions_differ_in_length_and_number_and_fit_a_row() -> None:
    choose = Chooser(7)
    documents = [tasks.tell_repetition(choose, ["a", "b"]) for _ in range(N)]
    assert {document.facts["n_copies"] for document in documents} == {2, 3, 4}
    lengths = {int(document.facts["length"]) for document in documents}
    assert (min(lengths), max(lengths) > 40) == (4, True)
    assert max(len(document.words) for document in documents) <= 120


def test_speech_is_said_again_word_for_word() -> None:
    choose = Chooser(8)
    for _ in range(30):
        document = tasks.tell_speech(choose, ["hat", "owl", "pear"])
        length = int(document.facts["length"])
        said = document.words[document.words.index(":") + 1 :][:length]
        assert [document.words[i] for i in document.answers] == said


def test_spelling_uses_bytes() -> None:
    document = tasks.tell_spelling(Chooser(9))
    assert all(document.words[i].startswith("<0x") for i in document.answers)


def test_facts_are_true() -> None:
    choose = Chooser(10)
    n_checked = 0
    for _ in range(100):
        words = tasks.tell_facts(choose).words
        for i, word in enumerate(words):
            if word == "capital" and words[i - 1] == "The":
                assert lexicon.CAPITAL[words[i + 2]] == words[i + 4]
                n_checked += 1
            if word == "opposite":
                assert lexicon.OPPOSITE[words[i + 2]] == words[i + 4]
                n_checked += 1
            if word == "speak":
                assert lexicon.PEOPLE_OF[words[i - 1]] == words[i + 1]
    assert n_checked > 50
