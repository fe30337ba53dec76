"""Mechanistic interpretability: what the parts of a transformer do, and which of them matter.

Every function takes our `Transformer`, TransformerLens's `TransformerBridge`, or a model of
nnsight: `models.hooked` makes them look alike.
"""
