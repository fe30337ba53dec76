"""How each bundled model was made: one file for each model, with `train(folder, steps, device, resume)`.

`arena zoo train NAME` calls it. A recipe is seeded, runs on a CPU or on CUDA, keeps checkpoints to resume from, and
writes the finished model to `folder/model` in the format of the zoo, weights in bfloat16. The recipes of agents are in
`policies`.
"""

from arena_lib.zoo.recipes.story_batches import Stage, StoryBatches

__all__ = ["Stage", "StoryBatches"]
