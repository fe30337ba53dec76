# ---
# arena: {id: "0.2", slug: cnns_and_resnets, title: CNNs and ResNets, hours: 6}
# objectives:
#   - "Write the layers of a network as modules: what they keep, how they begin, what they calculate"
# ---
# %% [markdown]
# ## Draft
# %% exercise="relu" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="linear" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="flatten" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="simple_mlp" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="training_step" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="compute_accuracy" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="train" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="conv2d" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="batch_norm2d" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="average_pool" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="residual_block" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="block_group" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="resnet34" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="predict" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="get_resnet_for_feature_extraction" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
# %% exercise="train_resnet" minutes=5 difficulty=1 importance=3
# hint: a
# hint: b
# hint: c
