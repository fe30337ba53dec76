"""The store of activations: every row once, mixed, masked, scaled, and exact after a stop."""

import json

import pytest
import torch
from tests.saes.training.toys import D_MODEL, MLP_IN, MLP_OUT, RESID, SEQ, TOKENS, make_model, make_store

from arena_lib.core.batches import ShuffledBatches, random_windows
from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError, ConfigError, ShapeError, TrainingError, UnknownNameError
from arena_lib.saes.training.store import Activations, StoreConfig, compute_scale, mix_halves, pick_positions
from arena_lib.transformer.fast.padding import pad_left


class Rows:
    """Rows of tokens one after the other, with its place as state; nothing is drawn."""

    def __init__(self, batch: int = 3):
        self.batch, self.n = batch, 0

    def __call__(self, generator):
        self.n += 1
        return TOKENS[torch.arange(self.n, self.n + self.batch) % len(TOKENS)]

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


class Counter:
    """A hook that puts running numbers in place of activations, so that each row can be told from all others."""

    def __init__(self):
        self.n = 0

    def __call__(self, resid, hook):
        batch, seq, _ = resid.shape
        numbers = torch.arange(self.n, self.n + batch * seq, dtype=resid.dtype).unflatten(0, (batch, seq))
        self.n += batch * seq
        return numbers[..., None].expand_as(resid).clone()


def make_counting_store(**fields):
    model = make_model()
    store = make_store(model, **fields)
    model.add_hook(RESID, Counter())
    return store


def serve(store, n, seed=0):
    return torch.stack([batch.acts for batch in store.batches(n, seed)])


def distances(rows, others):
    return torch.cdist(rows.double(), others.double())


def test_each_row_is_served_once_but_for_half_of_the_first_chunk():
    served = serve(make_counting_store(), 4 * 6)[..., 0].flatten().int()  # six chunks of 40 after the first
    counts = torch.bincount(served, minlength=7 * 40)
    assert counts.max() == 1
    assert counts[:40].sum() == 20  # the first is there to be mixed with
    assert (counts[40 : 6 * 40] == 1).all()
    assert counts[6 * 40 :].sum() == 20  # the other half is still to come


def test_a_batch_mixes_two_chunks_in_random_order():
    batch = serve(make_counting_store(batch_size=100), 7)[6, :, 0]  # of the second chunk that is served
    chunks = batch // 400
    assert set(chunks.tolist()) == {1, 2}
    assert 27 <= (chunks == 1).sum() <= 73  # half of 100, within five standard errors
    assert (batch.diff() == 1).sum() < 10
    assert batch.sort().values.diff().max() > 5  # a sample, not a stretch


def test_rows_of_a_batch_of_tokens_are_used_up_across_chunks():
    served = serve(make_counting_store(source=Rows(batch=5), batch_size=8, chunk_batches=2), 20)[..., 0].flatten()
    counts = torch.bincount(served.int(), minlength=11 * 16)  # eleven chunks of 16 rows, from batches of 35 tokens
    assert (counts[16 : 10 * 16] == 1).all()
    assert len(counts) == 11 * 16


def test_padding_and_what_is_left_out_never_enters_the_buffer():
    mask = torch.ones(3, SEQ, dtype=torch.bool)
    mask[0, 3:] = mask[2, 5:] = False
    model = make_model()
    tokens = TOKENS[:3]
    clean = model.run_with_cache(tokens)[1][RESID].detach()
    for pair in ((tokens, mask), pad_left(tokens, mask)):
        store = make_store(model, source=lambda generator, pair=pair: pair)
        rows = serve(store, 4).flatten(0, 1)
        near = distances(rows, clean[mask]).min(dim=1).values
        assert near.max() < 1e-4
        assert distances(clean[mask], rows).min(dim=1).values.max() < 1e-4
        assert distances(clean[~mask], rows).min() > 1e-2


def test_positions_that_are_left_out():
    tokens = torch.tensor([[0, 3, 0, 5], [2, 0, 4, 1]])
    mask = torch.tensor([[False, True, True, True], [True, True, True, True]])
    picked = pick_positions(tokens, mask, skip_first=True, skip_tokens=(0,))
    assert picked.tolist() == [[False, False, False, True], [False, False, True, True]]
    assert pick_positions(tokens, None, skip_first=False, skip_tokens=()).all()
    assert mask[0].tolist() == [False, True, True, True]


def test_first_positions_and_tokens_are_left_out_by_the_store():
    store = make_counting_store(source=Rows(), skip_first=True, skip_tokens=(4,))
    served = serve(store, 12)[..., 0].flatten().int()
    source = Rows()
    tokens = torch.cat([source(None) for _ in range(20)])
    is_out = tokens == 4
    is_out[:, 0] = True
    assert not is_out.flatten()[served].any()
    counts = torch.bincount(served)
    kept = (~is_out).flatten().nonzero().flatten()
    assert (counts[kept[40 : 3 * 40]] == 1).all()


def test_a_transcoders_pairs_belong_to_the_same_positions():
    model = make_model()
    store = make_store(model, MLP_IN, hook_name_out=MLP_OUT)
    assert (store.d_in, store.d_out) == (D_MODEL, D_MODEL)
    cache = model.run_with_cache(TOKENS)[1]
    inputs, outputs = (cache[name].detach().flatten(0, 1) for name in (MLP_IN, MLP_OUT))
    for batch in store.batches(6):
        nearest = distances(batch.acts, inputs).argmin(dim=1)
        torch.testing.assert_close(batch.target, outputs[nearest], rtol=1e-4, atol=1e-5)


def test_a_scale_makes_the_mean_norm_the_root_of_the_width():
    store = make_store(MLP_IN and make_model(), MLP_IN, hook_name_out=MLP_OUT, is_scaled=True)
    batches = list(store.batches(8))
    for part in ("acts", "target"):
        rows = torch.cat([getattr(batch, part) for batch in batches])
        assert rows.norm(dim=-1).mean().item() == pytest.approx(D_MODEL**0.5, rel=0.15)
    plain = list(make_store(make_model(), MLP_IN, hook_name_out=MLP_OUT).batches(8))
    torch.testing.assert_close(batches[3].acts, plain[3].acts * store.scale)
    torch.testing.assert_close(batches[3].target, plain[3].target * store.scale_out)
    assert store.scale != store.scale_out
    assert compute_scale(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).item() == pytest.approx(2**0.5 / 3)


def test_the_buffer_is_made_once_and_holds_the_dtype():
    store = make_store(dtype="bfloat16")
    before = store._buffer.data_ptr()
    batch = [*store.batches(9)][-1]
    assert store._buffer.data_ptr() == before
    assert store._buffer.shape == (60, D_MODEL)
    assert (store._buffer.dtype, batch.acts.dtype) == (torch.bfloat16, torch.float32)
    assert not batch.acts.is_inference()
    assert not batch.acts.requires_grad
    torch.testing.assert_close(batch.acts, [*make_store().batches(9)][-1].acts, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("n_before", [1, 4, 5, 8, 11])
@pytest.mark.parametrize("make_source", [Rows, lambda: ShuffledBatches(TOKENS, 3)])
def test_a_store_goes_on_exactly_where_it_stopped(n_before, make_source):
    generator = make_generator(9)
    store = make_store(source=make_source(), is_scaled=True, dtype="bfloat16", skip_first=True)
    for _ in range(n_before):
        store(generator)
    state, place = store.state_dict(), generator.get_state()
    expected = [store(generator).acts for _ in range(9)]
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    rest = json.loads(json.dumps({name: value for name, value in state.items() if name not in tensors}))
    other = make_store(source=make_source(), is_scaled=True, dtype="bfloat16", skip_first=True)
    again = make_generator(1)
    again.set_state(place)
    other.load_state_dict({**rest, **{name: tensor.clone() for name, tensor in tensors.items()}})
    for acts in expected:
        assert torch.equal(other(again).acts, acts)


def test_a_source_that_draws_from_the_generator_goes_on_too():
    stream = TOKENS.flatten()
    store, generator = make_store(source=random_windows(stream, 3, SEQ)), make_generator(2)
    for _ in range(7):
        store(generator)
    state, place = store.state_dict(), generator.get_state()
    expected = [store(generator).acts for _ in range(6)]
    other = make_store(source=random_windows(stream, 3, SEQ))
    other.load_state_dict(state)
    generator.set_state(place)
    assert all(torch.equal(other(generator).acts, acts) for acts in expected)


def test_a_store_that_was_not_used_has_nothing_to_remember():
    store = make_store()
    assert store.state_dict() == {"chunks": []}
    store.load_state_dict({"chunks": []})
    assert torch.equal(serve(store, 2), serve(make_store(), 2))


def test_seeds_decide_the_batches():
    assert torch.equal(serve(make_store(), 6, seed=1), serve(make_store(), 6, seed=1))
    assert not torch.equal(serve(make_store(), 6, seed=1), serve(make_store(), 6, seed=2))


def test_a_checkpoint_of_another_store_is_refused():
    store = make_store()
    serve(store, 2)
    with pytest.raises(CheckpointError, match="must go on with the hooks and the configuration of its checkpoint"):
        make_store(batch_size=20).load_state_dict(store.state_dict())
    with pytest.raises(CheckpointError, match=r"got .*blocks.0.hook_resid_post"):
        make_store(hook_name="blocks.0.hook_resid_post").load_state_dict(store.state_dict())


def test_broken_activations_are_named_with_hook_and_step():
    model = make_model()
    store = make_store(model)
    serve(store, 6)
    store.check_finite()
    with torch.no_grad():
        model.blocks[0].mlp.W_out[2, 1] = torch.nan
    for _ in store.batches(3):
        pass
    with pytest.raises(TrainingError, match=r"at blocks.1.hook_resid_post must be finite: got NaN .* before step 9\."):
        store.check_finite()


def test_broken_activations_at_padding_do_not_matter():
    model = make_model()
    mask = torch.ones(3, SEQ, dtype=torch.bool)
    mask[:, 5:] = False
    model.add_hook(
        RESID, lambda resid, hook: resid.masked_fill((torch.arange(resid.shape[1]) >= 5)[:, None], torch.inf)
    )
    store = make_store(model, source=lambda generator: (TOKENS[:3], mask))
    serve(store, 5)
    store.check_finite()


def test_sources_that_cannot_fill_a_buffer_are_refused():
    nothing = torch.zeros(3, SEQ, dtype=torch.bool)
    nothing[:, 0] = True
    store = make_store(source=lambda generator: (TOKENS[:3], nothing), skip_first=True)
    with pytest.raises(ConfigError, match="100 batches one after the other in which every position is padding"):
        serve(store, 1)
    it = iter([TOKENS[:3], TOKENS[3:6]])
    with pytest.raises(ConfigError, match="must give tokens without end: got its end"):
        serve(make_store(source=lambda generator: next(it)), 1)


def test_a_model_of_another_width_is_refused():
    store = make_store()
    serve(store, 1)
    store.reader.hook_names = ("blocks.1.mlp.hook_post",)
    with pytest.raises(ShapeError, match=r"activations must keep their width, \(6,\): got \[10\]"):
        serve(store, 4)


@pytest.mark.usefixtures("without_types")
def test_what_is_no_source_and_no_hook_is_refused():
    with pytest.raises(ConfigError, match=r"must be a function from a generator to the next batch: got Tensor\."):
        make_store(source=TOKENS)
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks\.7\.hook_resid_post'"):
        make_store(hook_name="blocks.7.hook_resid_post")
    with pytest.raises(ConfigError, match=r"chunk_batches must be even.*got 3\. Pass 4\."):
        StoreConfig(chunk_batches=3)
    with pytest.raises(ConfigError, match=r"dtype must be 'float32' or 'bfloat16': got 'float16'"):
        StoreConfig(dtype="float16")
    with pytest.raises(ConfigError, match=r"StoreConfig.batch_size must be a whole number of at least 1: got 0"):
        StoreConfig(batch_size=0)


def test_a_batch_moves_to_a_device():
    batch = Activations(torch.ones(2, 3), torch.ones(2, 5)).to(torch.device("cpu"))
    assert batch.acts.shape == (2, 3)
    assert batch.target.shape == (2, 5)
    assert Activations(torch.ones(2, 3)).to(torch.device("cpu")).target is None


def test_what_is_mixed_is_half_of_each_chunk_and_nothing_is_lost():
    generator = make_generator(0)
    held, chunk = torch.arange(6.0)[:, None] - 10, torch.arange(12.0)[:, None]
    split, order = (torch.randperm(12, generator=generator) for _ in range(2))
    served, later = mix_halves(held, chunk, split, order)
    assert sorted(served[served < 0].tolist()) == held[:, 0].tolist()
    assert sorted([*served[served >= 0].tolist(), *later[:, 0].tolist()]) == chunk[:, 0].tolist()
    assert later[:, 0].tolist() == split[6:].tolist()
    assert served[:, 0].tolist() != sorted(served[:, 0].tolist())
