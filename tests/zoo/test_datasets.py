"""Sets of labelled texts, offline: a toy wheel with two packed CSV files, and the real card."""

import hashlib
import sys
import zipfile

import pytest

from arena_lib import zoo
from arena_lib.errors import FetchError, HashError, MissingDependencyError, UnknownNameError, ZooError
from arena_lib.zoo import datasets, places

FRUIT = """prompt,prompt_len,target
an apple,8,yes
"a leek, white ",14,no
an apple,8,yes
"a
plum",6,yes
a tomato,8,yes
a tomato,8,no
a carrot,8,no
 ,1,no
a pear,6,yes
"""
MOOD = "prompt,target\nTrès bien !,2\nso so,1\nno,0\n"
CARD = """
name = "toy-sets"
form = "texts"
source = "fetched"
description = "Toys."
data = "none"
licence = "MIT"
recipe = "arena zoo fetch toy-sets"
size = {size}
sha256 = "{sha256}"
[download]
package = "toy-package"
version = "1.2"
member = "toy_package/data"
size = {wheel_size}
sha256 = "{wheel_sha256}"
unpacked = 900
[sets.fruit]
file = "1_fruit.csv.zst"
description = "Is it a fruit?"
origin = "us"
licence = "CC0 1.0"
texts = 5
targets = ["no", "yes"]
classes = ["vegetable", "fruit"]
[sets.mood]
file = "2_mood.csv.zst"
description = "How is it?"
origin = "us"
licence = "CC0 1.0"
texts = 3
targets = ["0", "1", "2"]
classes = ["bad", "middling", "good"]
"""


def make_wheel(zoo_folder, folder, *, promised=None, files=("1_fruit.csv.zst", "2_mood.csv.zst")):
    """A wheel with both sets, and the card `toy-sets` that names it; `promised` is the content it promises."""
    zstandard = pytest.importorskip("zstandard", reason="needs the extra `real`")
    packed = [zstandard.ZstdCompressor().compress(text.encode()) for text in (FRUIT, MOOD)]
    wheel = folder / "toy_package-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy_package/__init__.py", "raise SystemExit('the package was imported')")
        for file, content in zip(files, packed, strict=True):
            archive.writestr(f"toy_package/data/{file}", content)
    content = promised if promised is not None else b"".join(packed)
    text = CARD.format(
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        wheel_size=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    (zoo_folder.cards / "toy-sets.toml").write_text(text)
    zoo_folder.forget()
    return wheel


@pytest.fixture
def toy_sets(zoo_folder, tmp_path, fake_pip):
    wheel = make_wheel(zoo_folder, tmp_path)
    fake_pip("copy", wheel)
    return wheel


def test_fetch_writes_one_plain_csv_for_each_set(zoo_folder, toy_sets):
    assert not zoo.is_available("toy-sets")
    folder = zoo.fetch("toy-sets")
    assert zoo.is_available("toy-sets")
    assert folder == zoo.path("toy-sets") == zoo_folder.cache / "toy-sets"
    assert {file.name for file in folder.iterdir()} == {"fruit.csv", "mood.csv", "arena_manifest.json"}
    assert (folder / "fruit.csv").read_bytes() == FRUIT.encode()
    assert (folder / "mood.csv").read_bytes() == MOOD.encode()
    assert not list((zoo_folder.cache / ".downloads").iterdir())


def test_a_second_fetch_downloads_nothing(toy_sets, fake_pip):
    zoo.fetch("toy-sets")
    fake_pip("say", "pip was run again")
    zoo.fetch("toy-sets")


def test_a_set_gives_each_text_once_in_order_with_its_label(toy_sets):
    zoo.fetch("toy-sets")
    fruit = zoo.load_dataset("fruit")
    assert fruit == [("an apple", 1), ("a leek, white", 0), ("a\nplum", 1), ("a carrot", 0), ("a pear", 1)]
    assert fruit[1].prompt == "a leek, white"
    assert fruit[1].target == 0
    assert len(fruit) == zoo.dataset_info("fruit").texts
    assert zoo.load_dataset("mood") == [("Très bien !", 2), ("so so", 1), ("no", 0)]


def test_the_first_of_each_class_are_taken(toy_sets):
    zoo.fetch("toy-sets")
    assert zoo.load_dataset("fruit", n_per_class=2) == [
        ("an apple", 1),
        ("a leek, white", 0),
        ("a\nplum", 1),
        ("a carrot", 0),
    ]


@pytest.mark.parametrize("n_per_class", [0, 3])
def test_more_than_there_are_of_a_class_is_refused(toy_sets, n_per_class):
    zoo.fetch("toy-sets")
    with pytest.raises(ZooError, match=f"n_per_class must be between 1 and 2 for fruit.*: got {n_per_class}"):
        zoo.load_dataset("fruit", n_per_class=n_per_class)


def test_names_and_information_need_no_fetching(toy_sets):
    assert zoo.dataset_names() == ("fruit", "mood")
    assert zoo.dataset_info("mood").classes == ["bad", "middling", "good"]


def test_an_unknown_set_is_answered_with_the_nearest(toy_sets):
    with pytest.raises(UnknownNameError, match=r"no data set is called 'fruits'. Did you mean 'fruit'"):
        zoo.load_dataset("fruits")


def test_a_set_that_was_not_fetched_says_how_to_fetch_it(toy_sets):
    with pytest.raises(FetchError, match=r"toy-sets must be fetched before .* Run: arena zoo fetch toy-sets"):
        zoo.load_dataset("fruit")


@pytest.mark.parametrize("load", [zoo.load, zoo.load_tokenizer, zoo.load_bridge, zoo.load_nnsight])
def test_texts_are_not_loaded_as_a_model(toy_sets, load):
    with pytest.raises(ZooError, match=r"'toy-sets' is texts. Use zoo.load_dataset with one of fruit, mood"):
        load("toy-sets")


def test_without_zstandard_nothing_is_downloaded(toy_sets, fake_pip, monkeypatch):
    log = fake_pip("copy", toy_sets)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingDependencyError, match=r"zstandard.*arena-lib\[real\]"):
        zoo.fetch("toy-sets")
    assert not log.exists()


def test_sets_need_no_gguf(toy_sets, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    zoo.fetch("toy-sets")


def test_sets_of_other_bytes_are_refused(zoo_folder, tmp_path, fake_pip):
    fake_pip("copy", make_wheel(zoo_folder, tmp_path, promised=b"what the card promises"))
    with pytest.raises(HashError, match=r"the sets of toy-sets must have the sha256 .* Nothing of it was used"):
        zoo.fetch("toy-sets")
    assert not (zoo_folder.cache / "toy-sets").exists()


def test_a_wheel_without_a_set_is_refused(zoo_folder, tmp_path, fake_pip):
    fake_pip("copy", make_wheel(zoo_folder, tmp_path, files=("1_fruit.csv.zst", "3_other.csv.zst")))
    with pytest.raises(ZooError, match=r"toy-package-1.2.whl must be a zip with 2_mood.csv.zst"):
        zoo.fetch("toy-sets")


def test_a_changed_file_is_refused_until_it_is_fetched_again(toy_sets):
    file = zoo.fetch("toy-sets") / "mood.csv"
    file.write_text(MOOD + "more,1\n")
    with pytest.raises(HashError, match=r"mood.csv must have the sha256 .* Run: arena zoo fetch toy-sets"):
        zoo.load_dataset("mood")
    zoo.fetch("toy-sets")
    assert len(zoo.load_dataset("mood")) == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [("prompt,target\na,yes\nb,maybe\n", 3), ("text,target\na,yes\n", 2), ("prompt,target\na,yes\nb\n", 3)],
)
def test_a_file_that_does_not_hold_to_its_card_is_refused(toy_sets, text, line):
    with pytest.raises(ZooError, match=f"fruit.csv must be a CSV .* targets of no, yes: line {line} does not"):
        datasets.parse_texts(text, zoo.dataset_info("fruit"), "fruit.csv")


def test_the_manifest_lists_what_unpacked_it(toy_sets):
    import json

    manifest = json.loads((zoo.fetch("toy-sets") / places.MANIFEST).read_text())
    assert manifest["versions"].keys() == {"arena-lib", "zstandard"}
    assert manifest["files"].keys() == {"fruit.csv", "mood.csv"}


@pytest.mark.real
@pytest.mark.skipif(not zoo.is_available("sae-probes"), reason="not fetched; run: arena zoo fetch sae-probes")
@pytest.mark.parametrize("name", zoo.dataset_names())
def test_the_real_sets_hold_what_their_card_says(name):
    texts, card = zoo.load_dataset(name), zoo.dataset_info(name)
    assert len(texts) == len({text.prompt for text in texts}) == card.texts
    assert {text.target for text in texts} == set(range(len(card.classes)))
    assert all(text.prompt == text.prompt.strip() != "" for text in texts)


@pytest.mark.real
@pytest.mark.skipif(not zoo.is_available("sae-probes"), reason="not fetched; run: arena zoo fetch sae-probes")
@pytest.mark.parametrize(
    ("name", "prompt", "meaning"),
    [
        ("truth-science", "Q: What does a keratometer measure in the cornea?\nA: curve", "true"),
        (
            "truth-misconceptions",
            "Q. Why is Russia a member of the EU?\nA. Russia is in the EU for economic reasons",
            "false",
        ),
        ("truth-commonsense", "Waste has no use", "false"),
        ("places", "Sappada", "Italy"),
        ("historical-figures", "Andreas Rudolph", "man"),
        ("sentiment", "clueless and inept", "negative"),
        ("spam", "Missed call alert. These numbers called but left no message. 07008009200", "spam"),
        ("grammar", "John write books.", "ungrammatical"),
    ],
)
def test_the_labels_of_the_real_sets_mean_what_their_card_says(name, prompt, meaning):
    (label,) = [text.target for text in zoo.load_dataset(name) if text.prompt == prompt]
    assert zoo.dataset_info(name).classes[label] == meaning
