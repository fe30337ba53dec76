"""What every subject shares, by noun: seeds, device, checkpoints, manifests, metrics, progress.

It knows nothing of any subject and nothing of the course. Import from the module
of the noun, `from arena_lib.core.seeds import make_generator`; the names below
are those that a reader of a paper's code meets most.
"""

from arena_lib.core.checkpoints import load_checkpoint, save_checkpoint
from arena_lib.core.device import pick_device
from arena_lib.core.progress import progress
from arena_lib.core.seeds import make_generator, seed_everything

__all__ = ["load_checkpoint", "make_generator", "pick_device", "progress", "save_checkpoint", "seed_everything"]
