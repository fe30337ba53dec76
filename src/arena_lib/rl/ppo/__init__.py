"""Proximal policy optimisation: networks, advantages, objectives, rollouts and the two trainers."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
