"""Hooks and caches for modules of one's own."""

import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.activations.root_module import HookedRootModule


class Layer(nn.Module):
    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d_in, d_out)
        self.hook_pre, self.hook_post = HookPoint(), HookPoint()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hook_post(self.hook_pre(self.linear(x)).relu())


class MLP(HookedRootModule):
    def __init__(self, is_set_up: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(3, 8), Layer(8, 5)])
        self.out = nn.Linear(5, 2)
        self.hook_out = HookPoint()
        if is_set_up:
            self.setup()

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.hook_out(self.out(x)) * scale


NAMES = ["hook_out", *(f"layers.{i}.hook_{name}" for i in (0, 1) for name in ("pre", "post"))]


@pytest.fixture(params=[True, False], ids=["set up", "named when needed"])
def mlp(request: pytest.FixtureRequest) -> MLP:
    torch.manual_seed(0)
    return MLP(request.param)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_everything_is_cached_by_name(mlp: MLP, x: torch.Tensor) -> None:
    output, cache = mlp.run_with_cache(x)
    assert torch.equal(output, mlp(x))
    assert sorted(cache) == sorted(NAMES) == sorted(mlp.hook_dict)
    assert torch.equal(cache["layers.0.hook_post"], mlp.layers[0](x))
    assert torch.equal(cache["hook_out"], output)
    assert torch.equal(mlp.run_with_cache(x, scale=2.0)[0], 2 * output)
    assert all(point.is_idle for point in mlp.hook_dict.values())


def test_a_filter_a_device_and_the_batch_axis(mlp: MLP, x: torch.Tensor) -> None:
    _, whole = mlp.run_with_cache(x[:1])
    _, some = mlp.run_with_cache(x[:1], names_filter=lambda name: name.endswith("post"), remove_batch_dim=True)
    assert list(some) == ["layers.0.hook_post", "layers.1.hook_post"]
    assert torch.equal(some["layers.1.hook_post"], whole["layers.1.hook_post"][0])
    assert mlp.run_with_cache(x, device="meta")[1]["hook_out"].is_meta
    with pytest.raises(ShapeError, match=r"the batch must have length 1 to be removed: got \[\(4,\)\]"):
        mlp.run_with_cache(x, remove_batch_dim=True)
    with pytest.raises(UnknownNameError, match=r"'layers\.0\.hook_pos'.*hook_post"):
        mlp.run_with_cache(x, names_filter="layers.0.hook_pos")


def test_hooks_change_what_follows_and_leave(mlp: MLP, x: torch.Tensor) -> None:
    ablated = mlp.run_with_hooks(x, fwd_hooks=[("layers.1.hook_post", lambda acts, hook: acts * 0)])
    torch.testing.assert_close(ablated, mlp.out.bias.expand(4, 2))
    seen: list[torch.Tensor] = []
    mlp.run_with_hooks(x, bwd_hooks=[("hook_out", lambda grad, hook: seen.append(grad))]).sum().backward()
    assert torch.equal(seen[0], torch.ones(4, 2))
    mlp.layers[1].hook_post.add_hook(lambda acts, hook: acts * 0)
    torch.testing.assert_close(mlp(x), ablated)
    mlp.reset_hooks()
    assert not torch.equal(mlp(x), ablated)


def test_options_reach_the_module_with_hooks_and_without(mlp: MLP, x: torch.Tensor) -> None:
    expected = 3.0 * mlp(x)
    torch.testing.assert_close(mlp.run_with_hooks(x, scale=3.0), expected)
    torch.testing.assert_close(mlp.run_with_cache(x, scale=3.0)[0], expected)


def test_gradients_come_by_name(mlp: MLP, x: torch.Tensor) -> None:
    class Loss(MLP):
        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            return super().forward(x, scale).sum()

    model = Loss()
    _, cache = model.run_with_cache(x, incl_bwd=True)
    torch.testing.assert_close(cache["layers.1.hook_post_grad"], model.out.weight.sum(dim=0).expand(4, 5))
    assert model.out.weight.grad is None


def test_a_module_without_points_is_told() -> None:
    class Bare(HookedRootModule):
        pass

    with pytest.raises(ConfigError, match="must have a hook point: got Bare without any"):
        Bare().setup()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        Bare().nothing
