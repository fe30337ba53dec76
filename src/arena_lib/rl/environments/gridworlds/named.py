"""The gridworlds as gymnasium environments with an id of their own, for `make_env("arena/Norvig-v0")` and the like."""

from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.environments.gridworlds.worlds import CliffWalking, FrozenLake, Norvig, Windy


class NorvigGym(DiscreteEnviroGym):
    """Russell and Norvig's grid."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(Norvig(), render_mode)


class CliffWalkingGym(DiscreteEnviroGym):
    """Cliff walking."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(CliffWalking(), render_mode)


class WindyGym(DiscreteEnviroGym):
    """The windy grid."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(Windy(), render_mode)


class FrozenLakeGym(DiscreteEnviroGym):
    """The slippery frozen lake."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(FrozenLake(), render_mode)
