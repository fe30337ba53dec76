"""What each method of `arena_lib.rlhf` reaches on storyworld, seed by seed: reward, true reward and KL from the reference.

python -m benchmarks.studies.rlhf --seeds 0-4
python -m benchmarks.studies.rlhf --table
"""
