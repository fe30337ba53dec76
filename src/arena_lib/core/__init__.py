"""What every subject shares, by noun: seeds, device, checkpoints, metrics, progress, configs, training.

It knows nothing of any subject and nothing of the course. Import from the module of the noun:
`from arena_lib.core.seeds import make_generator`. Nothing is imported here, so that
`arena_lib.core.progress` loads no torch.
"""
