"""Training on a tiny model: it learns, stops, goes on exactly, revives dead latents, and says what is wrong."""

import json
import signal

import pytest
import torch
from tests.saes.training.toys import (
    D_MODEL,
    MLP_IN,
    MLP_OUT,
    RESID,
    TOKENS,
    configure,
    make_model,
    make_sae,
    make_store,
    make_trainer,
)

from arena_lib.core.batches import ShuffledBatches
from arena_lib.core.checkpoints import load_checkpoint
from arena_lib.core.metrics import read_metrics
from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError, ShapeError, TrainingError, UnknownNameError
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE, BatchTopKSAEConfig
from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.autoencoders.matryoshka import MatryoshkaSAE, MatryoshkaSAEConfig
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig
from arena_lib.saes.autoencoders.transcoders import SkipTranscoder, Transcoder, TranscoderConfig
from arena_lib.saes.formats.saelens import load_sae
from arena_lib.saes.training.evaluation import evaluate_sae
from arena_lib.saes.training.store import StoreConfig
from arena_lib.saes.training.trainer import SAETrainer, train_sae

D_SAE = 17
STORE = StoreConfig(batch_size=10, chunk_batches=4)
SIZES = {"d_in": D_MODEL, "d_sae": D_SAE}
VARIANTS = {
    "relu": lambda: ReLUSAE(ReLUSAEConfig(**SIZES, l1_coef=0.1), make_generator(1)),
    "gated": lambda: GatedSAE(GatedSAEConfig(**SIZES, l1_coef=0.1), make_generator(1)),
    "batch_topk": lambda: BatchTopKSAE(BatchTopKSAEConfig(**SIZES, k=2), make_generator(1)),
    "jumprelu": lambda: JumpReLUSAE(
        JumpReLUSAEConfig(**SIZES, l0_coef=0.05, initial_threshold=0.1, bandwidth=0.1), make_generator(1)
    ),
    "matryoshka": lambda: MatryoshkaSAE(MatryoshkaSAEConfig(**SIZES, k=2, widths=(5, D_SAE)), make_generator(1)),
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


class Stop(Exception):
    """Stands for a run that ends without a word."""


class StopAt(SAETrainer):
    """Does something in place of update number `at`."""

    at, do = 0, None

    def training_step(self, batch):
        if self.step == self.at:
            self.do()
        return super().training_step(batch)


def stop_at(step, do, folder, **fields):
    trainer = StopAt(make_sae(), make_store(is_scaled=True), configure(**fields), None, folder)
    trainer.at, trainer.do = step, do
    return trainer


def kill():
    raise Stop


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


# Learning


def test_a_run_learns_and_logs_its_parts(tmp_path):
    trainer = make_trainer(tmp_path, n_steps=120, log_every=20)
    summary = trainer.train()
    rows = read_metrics(tmp_path / "metrics.csv")
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    for name in ("loss", "mse_loss", "aux_loss", "l0", "lr", "grad_norm", "dead_share", "sparsity_scale"):
        assert name in rows[-1]
    assert rows[-1]["l0"] == pytest.approx(2, abs=0.05)
    assert summary.is_finished
    assert trainer.model.W_dec.norm(dim=-1).tolist() == pytest.approx([1.0] * D_SAE)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_goes_on(tmp_path, name):
    whole = make_trainer(sae=VARIANTS[name](), n_steps=12, sparsity_warmup=4)
    whole.train()
    first = make_trainer(tmp_path, sae=VARIANTS[name](), n_steps=12, sparsity_warmup=4)
    assert not first.train(max_seconds=0).is_finished
    again = make_trainer(tmp_path, sae=VARIANTS[name](), n_steps=12, sparsity_warmup=4)
    again.train()
    assert_same(weights(whole), weights(again))


@pytest.mark.parametrize("kind", [Transcoder, SkipTranscoder])
def test_a_transcoder_trains_on_pairs_and_folds_both_scales(kind):
    cfg = TranscoderConfig(d_in=D_MODEL, d_sae=D_SAE, d_out=D_MODEL, l1_coef=0.01)
    model, sae = make_model(), kind(cfg, make_generator(1))
    source = ShuffledBatches(TOKENS, 3)
    before = evaluate_sae(model, sae, TOKENS, MLP_IN, MLP_OUT).fvu
    train_sae(model, sae, MLP_IN, source, configure(n_steps=150), hook_name_out=MLP_OUT, store_config=STORE)
    assert (sae.cfg.hook_name, sae.cfg.hook_name_out) == (MLP_IN, MLP_OUT)
    assert evaluate_sae(model, sae, TOKENS).fvu < min(0.7, before)


def test_the_scale_is_folded_in_at_the_end():
    model, sae, source = make_model(), make_sae(), ShuffledBatches(TOKENS, 3)
    trainer = make_trainer(store=make_store(dtype="bfloat16", is_scaled=True), n_steps=30)
    trainer.train()
    train_sae(model, sae, RESID, source, configure(n_steps=30), store_config=STORE)
    assert trainer.batches.scale != 1
    folded = trainer.fold()
    assert_same(dict(folded.state_dict()), dict(sae.state_dict()))
    acts = model.run_with_cache(TOKENS[:3])[1][RESID]
    scale = trainer.batches.scale
    torch.testing.assert_close(folded(acts) * scale, trainer.model(acts * scale), rtol=1e-4, atol=1e-4)
    assert not folded.training


def test_the_bias_starts_at_the_mean_of_the_first_batch():
    trainer, seen = make_trainer(n_steps=1, lr=1e-9), []
    trainer.batches, store = lambda generator: seen.append(store(generator)) or seen[0], trainer.batches
    trainer.training_step(trainer.batches(trainer.generator))
    torch.testing.assert_close(trainer.model.b_dec.detach(), seen[0].acts.mean(dim=0))
    zeros = make_trainer(n_steps=1, lr=1e-9, initial_bias="zeros")
    zeros.training_step(store(zeros.generator))
    assert zeros.model.b_dec.abs().max() < 1e-6


def test_an_evaluation_sees_the_autoencoder_as_it_will_be_used(tmp_path):
    model, seen = make_model(), []

    def evaluate(sae):
        seen.append(sae)
        return {"added_loss": evaluate_sae(model, sae, TOKENS[:5]).added_loss}

    trainer = make_trainer(tmp_path, store=make_store(model, is_scaled=True), evaluate=evaluate, eval_every=10)
    trainer.train()
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "eval_added_loss" in row]
    assert [row["step"] for row in rows] == [10, 20, 24]
    assert rows[-1]["eval_added_loss"] == pytest.approx(evaluate_sae(model, trainer.fold(), TOKENS[:5]).added_loss)
    assert seen[0] is not trainer.model


# Stopping and going on


@pytest.mark.parametrize("step", [3, 6, 13])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, step):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    with pytest.raises(Stop):
        stop_at(step, kill, tmp_path / "cut").train()
    again = make_trainer(tmp_path / "cut")
    again.train()
    assert_same(weights(whole), weights(again))
    assert torch.equal(whole._n_idle, again._n_idle)
    assert read_metrics(tmp_path / "whole" / "metrics.csv") == read_metrics(tmp_path / "cut" / "metrics.csv")


def test_ctrl_c_keeps_a_checkpoint(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="after 9 of 24 updates; the checkpoint is in"):
        stop_at(8, lambda: signal.raise_signal(signal.SIGINT), tmp_path).train()
    assert load_checkpoint(tmp_path)[1]["step"] == 9
    whole, again = make_trainer(), make_trainer(tmp_path)
    whole.train()
    again.train()
    assert_same(weights(whole), weights(again))


def test_a_run_that_resamples_goes_on_exactly(tmp_path):
    fields = {"resampling": "advanced", "resample_every": 7, "dead_window": 2, "n_steps": 30, "decay_share": 0.5}
    whole = make_trainer(**fields)
    whole.train()
    with pytest.raises(Stop):
        stop_at(8, kill, tmp_path, **fields).train()
    again = make_trainer(tmp_path, **fields)
    again.train()
    assert_same(weights(whole), weights(again))


def test_a_finished_run_is_only_loaded(tmp_path):
    source = ShuffledBatches(TOKENS, 3)
    first, second = make_sae(), make_sae()
    train_sae(make_model(), first, RESID, source, configure(), tmp_path, store_config=STORE)
    summary = train_sae(
        make_model(), second, RESID, ShuffledBatches(TOKENS, 3), configure(), tmp_path, store_config=STORE
    )
    assert summary.step == 24
    assert_same(dict(first.state_dict()), dict(second.state_dict()))


@pytest.mark.parametrize(
    ("sae", "store", "message"),
    [
        (VARIANTS["batch_topk"], make_store, "class is 'TopKSAE' there and 'BatchTopKSAE' here"),
        (lambda: make_sae(k=3), make_store, "k is 2 there and 3 here"),
        (make_sae, lambda: make_store(hook_name="blocks.0.hook_resid_post"), "hook_name is 'blocks.1.hook_resid_post'"),
        (make_sae, lambda: make_store(batch_size=6), "a store must go on with the hooks and the configuration"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, sae, store, message):
    SAETrainer(make_sae(), make_store(), configure(n_steps=3), None, tmp_path).train()
    with pytest.raises(CheckpointError, match=message):
        SAETrainer(sae(), store(), configure(n_steps=3), None, tmp_path).train()


# Dead latents


def kill_latents(sae, idle=(2, 5, 11)):
    with torch.no_grad():
        sae.b_enc[list(idle)] = -100.0


def test_idle_latents_are_counted_until_they_are_active():
    trainer = make_trainer(n_steps=9, dead_window=4, sae=make_sae(aux_coef=0.0))
    kill_latents(trainer.model)
    for step in range(9):
        trainer.training_step(trainer.batches(trainer.generator))
        assert (trainer._n_idle[[2, 5, 11]] == step + 1).all()
        assert trainer.dead[[2, 5, 11]].all() == (step >= 3)
    assert trainer.measure()["dead_share"] == pytest.approx(trainer.dead.float().mean().item())


def test_dead_latents_reach_the_loss_once_the_window_has_passed():
    trainer, seen = make_trainer(n_steps=6, dead_window=3), []
    compute_loss = trainer.model.compute_loss

    def watch(acts, target, *, dead, sparsity_scale):
        seen.append(dead)
        return compute_loss(acts, target, dead=dead, sparsity_scale=sparsity_scale)

    trainer.model.compute_loss = watch
    kill_latents(trainer.model)
    trainer.train()
    assert seen[:3] == [None] * 3
    assert seen[3][[2, 5, 11]].all()


@pytest.mark.parametrize("resampling", ["simple", "advanced"])
def test_dead_latents_get_new_weights_and_their_moments_are_forgotten(resampling):
    sae = make_sae(aux_coef=0.0)
    kill_latents(sae)
    trainer = make_trainer(sae=sae, n_steps=30, dead_window=4, resampling=resampling, resample_every=8)
    for _ in range(8):
        before = trainer.model.W_dec[[2, 5, 11]].detach().clone()
        trainer.training_step(trainer.batches(trainer.generator))
    after = trainer.model.W_dec[[2, 5, 11]].detach()
    assert (torch.cosine_similarity(before, after, dim=-1) < 0.999).all()
    assert (trainer.model.b_enc[[2, 5, 11]] == 0).all()
    assert (trainer._n_idle[[2, 5, 11]] == 0).all()
    moments = trainer.optimizer.state[trainer.model.W_dec]["exp_avg"]
    assert (moments[[2, 5, 11]] == 0).all()
    assert (moments[[0, 1, 3]] != 0).any()


def test_none_are_replaced_near_the_end_and_by_default():
    for fields in ({"resampling": "simple", "decay_share": 1.0}, {}):
        sae = make_sae(aux_coef=0.0)
        kill_latents(sae)
        make_trainer(sae=sae, n_steps=12, dead_window=3, resample_every=4, **fields).train()
        assert (sae.b_enc[[2, 5, 11]] < -90).all()


# What is wrong is said


def test_broken_activations_name_hook_and_step_and_keep_the_checkpoint(tmp_path):
    model = make_model()
    trainer = SAETrainer(make_sae(), make_store(model, is_scaled=True), configure(), None, tmp_path)
    step = trainer.training_step

    def break_model(batch):
        if trainer.step == 10:
            with torch.no_grad():
                model.blocks[0].mlp.W_out[0, 0] = torch.inf
        return step(batch)

    trainer.training_step = break_model
    message = r"activations at blocks\.1\.hook_resid_post must be finite: got NaN .* before step 13\."
    with pytest.raises(TrainingError, match=message):
        trainer.train()
    tensors, state = load_checkpoint(tmp_path)
    assert state["step"] == 12
    assert all(tensor.isfinite().all() for name, tensor in tensors.items() if name.startswith("model."))


def test_an_autoencoder_without_a_living_latent_is_refused(tmp_path):
    sae = VARIANTS["relu"]()
    with torch.no_grad():
        sae.b_enc.fill_(-100)
    trainer = make_trainer(tmp_path, sae=sae, dead_window=3, checkpoint_every=2)
    with pytest.raises(
        TrainingError, match=r"at least one latent must be active: got none of 17 in the last 3 updates"
    ):
        trainer.train()
    assert load_checkpoint(tmp_path)[1]["step"] == 2


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"d_in must be the width of .*blocks.1.hook_resid_post, 6: got 9\. Make"):
        SAETrainer(make_sae(d_in=9), make_store(), configure())
    with pytest.raises(ShapeError, match=r"d_out must be the width .* no target hook, None: got 6"):
        SAETrainer(make_sae(d_out=6, subtract_b_dec=False), make_store(), configure())
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks\.1\.hook_resid'"):
        train_sae(make_model(), make_sae(), "blocks.1.hook_resid", ShuffledBatches(TOKENS, 3), configure())


def test_the_manifest_says_what_was_trained(tmp_path):
    make_trainer(tmp_path, n_steps=2).train()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model"]["class"] == "TopKSAE"
    assert manifest["model"]["hook_name"] == RESID
    assert manifest["config"]["dead_window"] == 5


def test_the_finished_autoencoder_is_written_as_it_will_be_used(tmp_path):
    sae = make_sae()
    train_sae(make_model(), sae, RESID, ShuffledBatches(TOKENS, 3), configure(), tmp_path, store_config=STORE)
    loaded = load_sae(tmp_path / "sae")
    assert loaded.cfg == sae.cfg
    acts = make_model().run_with_cache(TOKENS[:3])[1][RESID]
    torch.testing.assert_close(loaded(acts), sae(acts))
