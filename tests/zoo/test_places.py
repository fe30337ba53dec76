import os
import sys

import pytest

from arena_lib import zoo
from arena_lib.errors import FetchError, HashError, UnknownNameError, ZooError
from arena_lib.zoo import places


def test_path_is_the_folder_once_its_hash_is_right(zoo_folder):
    zoo_folder.add_card("toy", content=b"weights")
    folder = zoo_folder.weights / "toy"
    assert not zoo.is_available("toy")
    with pytest.raises(ZooError, match=r"model.safetensors must be in .*toy: it isn't. Reinstall arena-lib"):
        zoo.path("toy")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    assert zoo.path("toy") == folder
    assert zoo.is_available("toy")


def test_an_unknown_name_is_answered_with_the_nearest(zoo_folder):
    zoo_folder.add_card("tiny-gpt")
    with pytest.raises(UnknownNameError, match=r"no model is called 'tiny-gtp'. Did you mean 'tiny-gpt'"):
        zoo.load("tiny-gtp")
    with pytest.raises(UnknownNameError, match="Did you mean 'gpt2'"):
        zoo.load("gpt-2")
    with pytest.raises(UnknownNameError):
        zoo.is_available("tiny-gtp")


def test_a_card_goes_before_a_hub_name(zoo_folder):
    zoo_folder.add_card("gpt2")
    assert not places.is_hub_name("gpt2")
    assert places.is_hub_name("gpt2-xl")
    assert places.is_hub_name("a/b")
    assert not places.is_hub_name("pythia")


def test_what_was_not_fetched_says_how_to_fetch_it(zoo_folder, toy_wheel):
    with pytest.raises(FetchError, match=r"toy must be fetched before it is loaded: .* Run: arena zoo fetch toy"):
        places.path("toy")


@pytest.mark.parametrize("content", ["{", "[]", '{"files": 3}'])
def test_an_unreadable_manifest_is_refused(zoo_folder, toy_wheel, content):
    folder = zoo_folder.cache / "toy"
    folder.mkdir(parents=True)
    (folder / places.MANIFEST).write_text(content)
    with pytest.raises(ZooError, match=r"arena_manifest.json must be readable: .* Run: arena zoo fetch toy"):
        places.path("toy")


def test_a_file_is_hashed_again_only_when_it_changed(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    good = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    places._compute_sha256.cache_clear()
    places.verify_file(file, good, "")
    places.verify_file(file, good, "")
    assert places._compute_sha256.cache_info().misses == 1
    file.write_bytes(b"abd")
    os.utime(file, ns=(5, 5))
    with pytest.raises(HashError, match=rf"must have the sha256 {good}: got a52d159f.* \(3 bytes\).* do this"):
        places.verify_file(file, good, "do this")


def test_the_cache_is_where_the_environment_says_or_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path))
    assert places.cache_folder() == tmp_path / "zoo"
    monkeypatch.setenv("ARENA_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert places.cache_folder() == tmp_path / "xdg" / "arena_lib" / "zoo"
