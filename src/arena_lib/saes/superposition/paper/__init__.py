"""The figures of Elhage et al. 2022 and Henighan et al. 2023, each trained and drawn by one function."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
