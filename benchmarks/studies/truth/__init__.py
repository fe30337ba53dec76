"""The truth study: which of Storyworld's labels do autoencoders of tiny-llama recover, beside what needs no training?

`python -m benchmarks truth --search` scores every setting that was tried on worlds of its own, `--seeds 0-4` the chosen
ones on worlds that chose nothing, and `--table` writes docs/sae_truth.md from what is stored.
"""
