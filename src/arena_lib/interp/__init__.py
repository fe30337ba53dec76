"""Mechanistic interpretability: what the parts of a transformer do, and which of them matter.

Every function takes our `Transformer`, TransformerLens's `TransformerBridge`, or where it makes sense
a model of nnsight: `hooking.hooked` makes them look alike.

    heads         what attention heads look at; what is lost without them
    attribution   which part wrote a logit; the logit lens
    weights       factored matrices, OV and QK circuits, composition
    patching      activation, attribution and path patching: plain loops, and fast forms held equal to them
    circuits      faithfulness, completeness, minimality; a hand-set circuit whose truth is known
    ioi           indirect object identification: prompts, classes of heads, the circuit
    probes        linear probes, what they show and what they don't
    steering      function vectors, activation addition, steering hooks
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
