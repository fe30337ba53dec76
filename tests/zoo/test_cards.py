import json
import re

import pytest

from arena_lib.errors import UnknownNameError, ZooError
from arena_lib.zoo import cards

GOOD = """name = "toy"
form = "gpt2"
source = "bundled"
description = "A toy."
data = "none"
licence = "MIT"
recipe = "a command"
parameters = 3
size = 5
sha256 = "{sha256}"
[reached]
story_loss = 2.5
""".format(sha256="0" * 64)
DOWNLOAD = """[download]
package = "p"
version = "1"
member = "m"
size = 1
sha256 = "{sha256}"
unpacked = 2
""".format(sha256="1" * 64)


def read(tmp_path, text, name="toy"):
    file = tmp_path / f"{name}.toml"
    file.write_text(text)
    return cards.read_card(file)


def test_every_card_of_the_zoo_is_valid_and_listed():
    files = {file.stem for file in cards.CARDS.glob("*.toml")}
    assert set(cards.names()) == files
    assert "smollm2" in files
    for name in cards.names():
        assert cards.info(name).name == name
        json.dumps(cards.info(name).to_dict())


def test_names_come_bundled_first_then_by_alphabet(zoo_folder):
    zoo_folder.add_card("b")
    zoo_folder.add_card("c")
    zoo_folder.add_card("a", source="fetched")
    with (zoo_folder.cards / "a.toml").open("a") as file:
        file.write(DOWNLOAD)
    zoo_folder.forget()
    assert cards.names() == ("b", "c", "a")


def test_a_card_keeps_what_its_file_says(tmp_path):
    card = read(tmp_path, "seed = 11\n" + GOOD)
    assert card == cards.Card(
        name="toy",
        form="gpt2",
        source="bundled",
        description="A toy.",
        data="none",
        licence="MIT",
        recipe="a command",
        seed=11,
        parameters=3,
        size=5,
        sha256="0" * 64,
        reached={"story_loss": 2.5},
    )


def test_a_fetched_card_has_its_download(tmp_path):
    card = read(tmp_path, GOOD.replace('"bundled"', '"fetched"') + DOWNLOAD)
    assert card.download == cards.Download(package="p", version="1", member="m", size=1, sha256="1" * 64, unpacked=2)
    assert card.seed is None
    assert card.to_dict()["download"]["unpacked"] == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'form = "gpt2"',
            'form = "rnn"',
            "form of toy.toml must be one of gpt2, llama, attention-only, policy, sae, texts: got 'rnn'",
        ),
        ('"bundled"', '"stolen"', "source of toy.toml must be one of bundled, fetched, trained: got 'stolen'"),
        (
            '"bundled"',
            '"fetched"',
            "[download] of toy.toml must be there for fetched models and only for them: got None",
        ),
        ('name = "toy"', 'name = "boy"', "name of toy.toml must be the file's name, 'toy': got 'boy'"),
        ("parameters = 3", "parameters = 0", "parameters of toy.toml must be positive: got 0"),
        ("size = 5", "size = -1", "size of toy.toml must be positive: got -1"),
        ("size = 5", 'size = "5"', "size of toy.toml must be of type int: got '5'"),
        ("size = 5", "size = true", "size of toy.toml must be of type int: got True"),
        ("size = 5", "size = 5\nseed = 1.5", "seed of toy.toml must be of type int: got 1.5"),
        ("0" * 64, "0" * 63, "sha256 of toy.toml must be 64 hexadecimal digits in lower case"),
        ("0" * 64, "A" * 64, "sha256 of toy.toml must be 64 hexadecimal digits in lower case"),
        ("0" * 64, "0" * 65, "sha256 of toy.toml must be 64 hexadecimal digits in lower case"),
        ("story_loss = 2.5", 'story_loss = "low"', "reached.story_loss of toy.toml must be a number: got 'low'"),
        ("story_loss = 2.5", "story_loss = true", "reached.story_loss of toy.toml must be a number: got True"),
        ("[reached]\nstory_loss = 2.5", "reached = 2", "[reached] of toy.toml must be a table: got 2"),
        ('licence = "MIT"\n', "", "toy.toml must have the key 'licence': it has data, description"),
        ("size = 5", "size = ", "toy.toml must be TOML"),
    ],
)
def test_a_card_that_breaks_the_format_is_rejected(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(ZooError, match=re.escape(message)):
        read(tmp_path, GOOD.replace(old, new))


def test_an_unknown_key_is_rejected_with_the_nearest_known_one(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no key of toy.toml is called 'license'. Did you mean 'licence'"):
        read(tmp_path, 'license = "MIT"\n' + GOOD)


def test_the_download_of_a_card_is_checked_too(tmp_path):
    fetched = GOOD.replace('"bundled"', '"fetched"')
    with pytest.raises(ZooError, match=re.escape("toy.toml [download] must have the key 'package'")):
        read(tmp_path, fetched + DOWNLOAD.replace('package = "p"\n', ""))
    with pytest.raises(ZooError, match=r"sha256 of toy.toml must be 64"):
        read(tmp_path, fetched + DOWNLOAD.replace("1" * 64, "1"))
    with pytest.raises(ZooError, match=re.escape("toy.toml [download] must be a table: got 3")):
        read(tmp_path, "download = 3\n" + fetched)
    with pytest.raises(ZooError, match=re.escape("[download] of toy.toml must be there for fetched models and only")):
        read(tmp_path, GOOD + DOWNLOAD)


def test_an_unknown_model_is_answered_with_the_nearest_names(zoo_folder):
    zoo_folder.add_card("tiny-gpt")
    with pytest.raises(UnknownNameError, match=r"no model is called 'tiny-gtp'. Did you mean 'tiny-gpt'"):
        cards.info("tiny-gtp")
    with pytest.raises(UnknownNameError, match="There are: tiny-gpt"):
        cards.info("../cards/x")


POLICY = """name = "toy"
form = "policy"
source = "bundled"
description = "A toy."
data = "none"
licence = "MIT"
recipe = "a command"
parameters = 3
size = 5
sha256 = "{sha256}"
[policy]
environment = "CartPole-v1"
algorithm = "ppo"
steps = 200
evaluation_seed = 5
returns = [9.0, 7]
random_returns = [1.0, 3.0]
tolerance = 0
curve = [[100, 1.5], [200, 7]]
[policy.settings]
lr = 0.1
[policy.versions]
torch = "2.0"
""".format(sha256="0" * 64)


def test_a_card_of_a_policy_says_how_it_was_trained_and_what_it_brings(tmp_path):
    card = read(tmp_path, POLICY)
    assert card.policy == cards.PolicyFacts(
        environment="CartPole-v1",
        algorithm="ppo",
        settings={"lr": 0.1},
        steps=200,
        evaluation_seed=5,
        returns=[9.0, 7.0],
        random_returns=[1.0, 3.0],
        tolerance=0.0,
        versions={"torch": "2.0"},
        curve=[[100, 1.5], [200, 7.0]],
    )
    assert json.loads(json.dumps(card.to_dict()))["policy"]["curve"] == [[100, 1.5], [200, 7]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[9.0, 7]", "[]", "returns of toy.toml [policy] must be a list of numbers: got []"),
        ("[9.0, 7]", '[9.0, "7"]', "returns of toy.toml [policy] must be a list of numbers: got [9.0, '7']"),
        ("[9.0, 7]", "9.0", "returns of toy.toml [policy] must be of type list: got 9.0"),
        ("tolerance = 0", 'tolerance = "no"', "tolerance of toy.toml [policy] must be of type float | int: got 'no'"),
        ("[200, 7]]", "[200]]", "curve of toy.toml [policy] must be a list of pairs of numbers: got [200]"),
        ("[[100, 1.5], [200, 7]]", "[]", "curve of toy.toml [policy] must be a list of pairs of numbers: got None"),
        ("steps = 200\n", "", "toy.toml [policy] must have the key 'steps'"),
        ("[policy.settings]\nlr = 0.1", "", "toy.toml [policy] must have the key 'settings'"),
        ('form = "policy"', 'form = "gpt2"', "[policy] of toy.toml must be there for policies and only for them"),
        (POLICY[POLICY.index("[policy]") :], "", "[policy] of toy.toml must be there for policies and only for them"),
        ("parameters = 3\n", "", "parameters of toy.toml must be there for models and only for them"),
    ],
)
def test_a_card_of_a_policy_that_breaks_the_format_is_rejected(tmp_path, old, new, message):
    assert old in POLICY
    with pytest.raises(ZooError, match=re.escape(message)):
        read(tmp_path, POLICY.replace(old, new))


TEXTS = """name = "toy"
form = "texts"
source = "fetched"
description = "A toy."
data = "none"
licence = "MIT"
recipe = "a command"
size = 5
sha256 = "{sha256}"
{download}
[sets.fruit]
file = "1_fruit.csv.zst"
description = "Is it a fruit?"
origin = "us"
licence = "CC0 1.0"
texts = 4
targets = ["no", "yes"]
classes = ["vegetable", "fruit"]
""".format(sha256="2" * 64, download=DOWNLOAD)


def test_a_card_of_texts_has_its_sets_and_no_parameters(tmp_path):
    card = read(tmp_path, TEXTS)
    assert card.parameters is None
    assert card.sets == {
        "fruit": cards.TextSet(
            file="1_fruit.csv.zst",
            description="Is it a fruit?",
            origin="us",
            licence="CC0 1.0",
            texts=4,
            targets=["no", "yes"],
            classes=["vegetable", "fruit"],
        )
    }
    assert card.to_dict()["sets"]["fruit"]["classes"] == ["vegetable", "fruit"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 5", "size = 5\nparameters = 3", "parameters of toy.toml must be there for models and only for them"),
        (
            '["no", "yes"]',
            '["no"]',
            "targets of toy.toml [sets.fruit] must be two or more different strings: got ['no']",
        ),
        ('["no", "yes"]', '["no", "no"]', "targets of toy.toml [sets.fruit] must be two or more different strings"),
        ('["no", "yes"]', "[0, 1]", "targets of toy.toml [sets.fruit] must be a list of strings: got [0, 1]"),
        ('["no", "yes"]', '"no"', "targets of toy.toml [sets.fruit] must be of type list: got 'no'"),
        ('"vegetable", "fruit"', '"a", "a"', "classes of toy.toml [sets.fruit] must be two or more different strings"),
        ('"vegetable", "fruit"', '"a", "b", "c"', "classes of toy.toml [sets.fruit] must be as many as targets, 2"),
        (
            'licence = "CC0 1.0"',
            'licence = "see the source"',
            "licence of toy.toml [sets.fruit] must be one of Apache-2.0",
        ),
        ('origin = "us"\n', "", "toy.toml [sets.fruit] must have the key 'origin'"),
        (TEXTS[TEXTS.index("[sets") :], "", "[sets] of toy.toml must be there for texts and only for them"),
        (TEXTS[TEXTS.index("[sets") :], "[sets]\nfruit = 3", "toy.toml [sets.fruit] must be a table: got 3"),
        ('form = "texts"', 'form = "gpt2"\nparameters = 1', "[sets] of toy.toml must be there for texts and only"),
    ],
)
def test_a_card_of_texts_that_breaks_the_format_is_rejected(tmp_path, old, new, message):
    assert old in TEXTS
    with pytest.raises(ZooError, match=re.escape(message)):
        read(tmp_path, TEXTS.replace(old, new))


def test_a_model_must_say_its_parameters(tmp_path):
    with pytest.raises(ZooError, match=r"parameters of toy.toml must be there for models"):
        read(tmp_path, GOOD.replace("parameters = 3\n", ""))


def test_sets_that_are_no_table_are_rejected(tmp_path):
    with pytest.raises(ZooError, match=re.escape("[sets] of toy.toml must be a table: got 3")):
        read(tmp_path, "sets = 3\n" + TEXTS[: TEXTS.index("[sets")])


def test_every_data_set_states_its_licence_and_those_not_free_are_flagged():
    texts = {name: part for card in cards.names() for name, part in cards.info(card).sets.items()}
    assert {name: part.restriction for name, part in texts.items() if part.restriction} == {
        "truth-science": "non-commercial",
        "historical-figures": "unknown licence",
        "sentiment": "unknown licence",
        "grammar": "unknown licence",
    }
    assert {part.licence for part in texts.values() if part.restriction is None} <= set(cards.FREE_LICENCES)
    assert cards.info("sae-probes").to_dict()["sets"]["grammar"]["restriction"] == "unknown licence"
