"""What a configuration's numbers must be: each check reads named fields of any dataclass, from its `__post_init__`."""

from arena_lib.errors import ConfigError


def check_sizes(config: object, *names: str, least: int = 1) -> None:
    """Raise ConfigError unless each named field of `config` is a whole number of at least `least`."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(
                f"{type(config).__name__}.{name} must be a whole number of at least {least}: got {value!r}. "
                f"Pass {name}={max(least, 1)} or more."
            )


def check_numbers(config: object, *names: str, zero_works: bool = False) -> None:
    """Raise ConfigError unless each named field of `config` is above zero (or zero, where that works)."""
    for name in names:
        value = getattr(config, name)
        if not (0 < value < float("inf") or (zero_works and value == 0)):
            bound = "at least 0" if zero_works else "above 0"
            raise ConfigError(
                f"{type(config).__name__}.{name} must be finite and {bound}: got {value!r}. "
                f"Leave it out to get the default."
            )
