"""How each shipped policy was trained: one file for each, with its SETTINGS and `train(folder, steps, device, resume)`.

`arena zoo train NAME` calls it. The settings are those of the study of the same name (`benchmarks/studies/ppo.py`), the
seed is 0. `folder/run` gets checkpoints to resume from, `folder/model` the finished policy, weights in float32.
"""
