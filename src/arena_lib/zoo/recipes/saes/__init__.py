"""How each shipped sparse autoencoder was trained: one file for each, with its RECIPE and `train(folder, ...)`.

`arena zoo train NAME` calls it. `folder/run` gets checkpoints to resume from, `folder/model` the finished autoencoder in
SAELens's format, weights in bfloat16.
"""
