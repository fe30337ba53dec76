import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from arena_lib.errors import CheckpointError, ConfigError, TokenError
from arena_lib.transformer.tokens.bpe import byte_alphabet
from arena_lib.transformer.tokens.tokenizer import CACHED_WORDS, BPETokenizer, cut_into_words

STORY = [
    "Mary went to the kitchen, and John's sister didn't follow her. She'll be back in 1984!",
    "aaab bcbc abab abab aaab aaaaab low lower lowest  lowly\n\n\tthe the the cat, the hat; das Mädchen – 東京 東京の 🙂🙂",
    "Она сказала: «привет, привет». 12 123 1234 ½ don't won't can't I'VE we've",
]
SPECIAL = ("<|end|>", "<|end", "[PAD]", "a b")
texts = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=12)
    | st.sampled_from([*SPECIAL, "low", " lowest", "the", "  ", "aaaa", "東京"]),
    max_size=8,
).map("".join)


def train_theirs(d_vocab, special=(), texts=STORY):
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


@pytest.fixture(scope="module")
def ours():
    return BPETokenizer.train(STORY, 330, SPECIAL)


@pytest.fixture(scope="module")
def theirs(ours):
    return Tokenizer.from_str(json.dumps(ours._as_json()))


@pytest.fixture(scope="module")
def digits():
    ours = BPETokenizer.train(STORY, 300, has_single_digits=True)
    return ours, Tokenizer.from_str(json.dumps(ours._as_json()))


@pytest.mark.parametrize(("d_vocab", "special"), [(256, ()), (257, ()), (290, ("<|end|>",)), (400, SPECIAL)])
def test_training_learns_what_the_trainer_of_the_tokenizers_library_learns(d_vocab, special):
    ours, theirs = BPETokenizer.train(STORY, d_vocab, special), train_theirs(d_vocab, special)
    model = json.loads(theirs.to_str())["model"]
    assert ours.vocab == model["vocab"]
    assert [list(pair) for pair in ours.merges] == model["merges"]
    assert len(ours) == ours.d_vocab == d_vocab


@given(st.lists(st.text("ab c", max_size=20), max_size=5))
def test_training_learns_the_same_on_random_texts(random_texts):
    theirs = train_theirs(275, texts=random_texts)
    assert BPETokenizer.train(random_texts, 275).vocab == theirs.get_vocab()


def test_training_stops_at_d_vocab_where_two_merges_make_one_token():
    # "abb" arises from (a, bb) and from (ab, b).
    stream = ["abb abb abb abb bb bb bb bb bb bb ab ab ab ab ab ab ab"]
    for d_vocab in range(257, 268):
        theirs = json.loads(train_theirs(d_vocab, texts=stream).to_str())["model"]
        ours = BPETokenizer.train(stream, d_vocab)
        assert (ours.vocab, [list(pair) for pair in ours.merges]) == (theirs["vocab"], theirs["merges"])


@given(texts)
def test_ids_are_those_of_the_tokenizers_library_and_decode_to_the_text(ours, theirs, text):
    ids = ours.encode(text)
    assert ids == theirs.encode(text).ids
    assert ours.decode(ids) == text
    assert theirs.decode(ids, skip_special_tokens=False) == text


@given(st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=15) | st.text("1 2a٣½\n", max_size=15))
def test_ids_with_single_digits_are_those_of_the_tokenizers_library(digits, text):
    ours, theirs = digits
    assert ours.encode(text) == theirs.encode(text).ids


@given(st.lists(st.integers(0, 329), max_size=12))
def test_any_ids_decode_as_in_the_tokenizers_library(ours, theirs, ids):
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


def test_merges_do_not_cross_words_or_special_tokens(ours):
    assert ours.encode("low<|end|>er") == [*ours.encode("low"), 0, *ours.encode("er")]
    assert ours.encode("<|end<|end|>") == [1, 0]


def test_special_tokens_come_first_then_bytes(ours):
    assert [ours.token(token_id) for token_id in range(6)] == [*SPECIAL, "!", '"']
    assert ours.token(259) == sorted(byte_alphabet().values())[-1]


def test_decode_takes_a_tensor(ours):
    assert ours.decode(torch.tensor(ours.encode("the cat"))) == "the cat"


def test_saving_and_loading_keeps_everything(tmp_path, digits, ours):
    for tokenizer in (ours, digits[0]):
        assert tokenizer.save(tmp_path) == tmp_path / "tokenizer.json"
        for path in (tmp_path, tmp_path / "tokenizer.json"):
            again = BPETokenizer.load(path)
            assert again._as_json() == tokenizer._as_json()
            assert again.special_tokens == tokenizer.special_tokens
            assert again.has_single_digits is tokenizer.has_single_digits
        assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab_size() == len(tokenizer)


def test_reading_what_the_tokenizers_library_saved(tmp_path):
    theirs = train_theirs(310, ("<|end|>",))
    file = tmp_path / "any.json"
    theirs.save(str(file))
    text = "Mary's  sister<|end|> lowest 東京"
    assert BPETokenizer.load(file).encode(text) == theirs.encode(text).ids
    data = json.loads(file.read_text())
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]  # the older way of writing them
    data["added_tokens"].append({**data["added_tokens"][0], "id": 500, "content": "<new>"})  # in no vocabulary
    file.write_text(json.dumps(data))
    ours = BPETokenizer.load(file)
    assert ours.encode(text + "<new>") == [*theirs.encode(text).ids, 500]
    assert ours.d_vocab == 501


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"normalizer": {"type": "NFC"}}, "normalizer is {'type': 'NFC'}"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer is {'type': 'Whitespace'}"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "pre_tokenizer is"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}}, "pre_tokenizer is"),
        ({"model": {"type": "WordLevel", "vocab": {}}}, "model.type is 'WordLevel'"),
        (
            {"added_tokens": [{"content": "x", "id": 0, "lstrip": True, "rstrip": False, "single_word": False}]},
            "added_tokens",
        ),
    ],
)
def test_a_file_that_would_give_other_ids_is_refused(tmp_path, ours, change, named):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**ours._as_json(), **change}))
    with pytest.raises(CheckpointError, match="plain byte-level BPE tokenizer") as caught:
        BPETokenizer.load(file)
    assert named in str(caught.value)


@pytest.mark.parametrize("name", ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"])
def test_a_model_setting_that_would_give_other_ids_is_refused(tmp_path, ours, name):
    data = ours._as_json()
    data["model"][name] = 0.5
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=f"its model.{name} is 0.5"):
        BPETokenizer.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pre_tokenizer": null, "model": {}}', "\x00"])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"tokenizer.json must be .* Give the path of another file"):
        BPETokenizer.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"missing\.json must be"):
        BPETokenizer.load(tmp_path / "missing.json")


def test_a_vocabulary_that_is_too_small_says_the_least():
    with pytest.raises(ConfigError, match=r"at least 257, for 256 bytes and 1 special token: got 256\. Make it larger"):
        BPETokenizer.train([], 256, ["<|end|>"])


@pytest.mark.parametrize("special", [("x", "x"), ("!",)])
def test_special_tokens_that_are_taken_are_refused(special):
    with pytest.raises(ConfigError, match="must differ from each other and from the characters of bytes"):
        BPETokenizer.train([], 300, special)


def test_an_empty_special_token_is_refused():
    with pytest.raises(ConfigError, match="must have a character"):
        BPETokenizer.train([], 300, [""])


def test_training_with_less_text_than_asked_for_gives_fewer_tokens():
    assert BPETokenizer.train(["ab"], 300).d_vocab == 257


def test_a_vocabulary_that_lacks_tokens_says_which():
    vocab = {token: index for index, token in enumerate(byte_alphabet().values())}
    with pytest.raises(ConfigError, match=r"it lacks \['ab'\]\. Add"):
        BPETokenizer(vocab, [("a", "b")])
    with pytest.raises(ConfigError, match=r"it lacks \['<s>'\]\. Add"):
        BPETokenizer(vocab, [], ["<s>"])
    with pytest.raises(ConfigError, match=r"it lacks .* and more\. Add"):
        BPETokenizer({}, [])
    with pytest.raises(ConfigError, match="an id of its own"):
        BPETokenizer({**vocab, "ab": 7}, [])
    with pytest.raises(ConfigError, match="an id of its own"):
        BPETokenizer({**vocab, "ab": -1}, [])


@pytest.mark.parametrize("token_id", [-1, 330, 10**9])
def test_an_id_outside_the_vocabulary_is_named(ours, token_id):
    with pytest.raises(TokenError, match=rf"ids must be from 0 to 329: got {token_id}\. Use"):
        ours.decode([5, token_id])


def test_a_lone_surrogate_is_named(ours):
    with pytest.raises(TokenError, match=r"lone surrogate '\\ud800' at character 2"):
        ours.encode("ab\ud800")


def test_the_cache_of_words_has_a_limit_and_changes_no_ids(ours):
    tokenizer = pickle.loads(pickle.dumps(ours))
    first = tokenizer.encode("the cat")
    first.append(-1)
    assert tokenizer.encode("the cat") == first[:-1]
    tokenizer._ids_by_word = {str(index): [] for index in range(CACHED_WORDS)}
    assert tokenizer.encode("the cat") == first[:-1]
    assert len(tokenizer._ids_by_word) == 2


def test_digits_are_cut_off_before_words():
    assert cut_into_words("a  12b") == ["a", " ", " 12", "b"]
    assert cut_into_words("a  12b", True) == ["a", "  ", "1", "2", "b"]
