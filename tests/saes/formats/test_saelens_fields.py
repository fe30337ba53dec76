"""Fields that change the function are honoured or refused by name."""

from pathlib import Path

import pytest
from tests.saes.formats.every_variant import make_variants

from arena_lib.errors import CheckpointError
from arena_lib.saes.formats.saelens import make_fields
from arena_lib.saes.formats.saelens_fields import (
    FUNCTION_FIELDS,
    IGNORED_FIELDS,
    TRAINING_FIELDS,
    check_fields,
    make_config,
    name_architecture,
)

FILE = Path("cfg.json")


def fields_of(name="TopKSAE", **changes):
    fields = make_fields(make_variants()[name]) | changes
    fields["metadata"] = {key: value for key, value in fields["metadata"].items() if key != "arena_lib"}
    return fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize_activations": "layer_norm"}, "must be 'none': got 'layer_norm', and it needs each input's own"),
        ({"normalize_activations": "expected_average_only_in"}, "isn't in the weights; fold it in with SAELens"),
        ({"normalize_activations": "new"}, "got 'new', and its meaning isn't known"),
        ({"reshape_activations": "hook_z"}, "got 'hook_z' with hook_name ''"),
        ({"dtype": "float8"}, "must be one of bfloat16, float16, float32, float64: got 'float8'"),
        ({"architecture": "temporal"}, "must be one of standard, gated.*: got 'temporal'. Use SAELens"),
        ({"finetuning_scaling_factor": True, "activation_fn": "relu"}, "got activation_fn, finetuning_scaling_factor"),
    ],
)
def test_what_no_variant_does_is_refused(changes, message):
    fields = fields_of(**changes)
    fields["metadata"]["hook_name"] = None
    with pytest.raises(CheckpointError, match=message):
        check_fields(fields, FILE)


def test_one_head_of_a_hook_is_refused():
    fields = fields_of()
    fields["metadata"]["hook_head_index"] = 3
    with pytest.raises(CheckpointError, match="must read a whole hook: got hook_head_index=3"):
        check_fields(fields, FILE)


def test_a_file_of_before_version_6_is_refused():
    with pytest.raises(
        CheckpointError, match=r"lacks architecture, dtype, apply_b_dec_to_input, metadata\. Load an older"
    ):
        check_fields({"d_in": 4, "d_sae": 8, "hook_point": "blocks.0.hook_resid_pre"}, FILE)


def test_heads_side_by_side_are_honoured():
    fields = fields_of(reshape_activations="hook_z")
    fields["metadata"]["hook_name"] = "blocks.1.attn.hook_z"
    check_fields(fields, FILE)
    assert make_config(fields)[1].hook_name == "blocks.1.attn.hook_z"


def test_fields_of_training_arrive_under_our_names():
    fields = fields_of("ReLUSAE", l1_coefficient=2.5, lp_norm=1.0)
    check_fields(fields, FILE)
    assert make_config(fields)[1].l1_coef == 2.5
    assert make_config(fields_of("ReLUSAE"))[1].l1_coef == 0.0


def test_a_k_that_is_no_whole_number_is_refused():
    with pytest.raises(Exception, match=r"k must be a whole number of at least 1: got 2\.5|type"):
        make_config(fields_of(architecture="batchtopk", k=2.5))


def test_every_variant_has_saelens_name():
    names = {name: name_architecture(sae) for name, sae in make_variants().items()}
    assert names == {
        "ReLUSAE": "standard",
        "DecoderNormSAE": "standard",
        "GatedSAE": "gated",
        "TopKSAE": "topk",
        "PlainTopKSAE": "topk",
        "BatchTopKSAE": "jumprelu",
        "MatryoshkaSAE": "jumprelu",
        "JumpReLUSAE": "jumprelu",
    }
    transcoders = {name: name_architecture(sae) for name, sae in make_variants(is_transcoder=True).items()}
    assert transcoders["Transcoder"] == transcoders["ReLUSAE"] == "transcoder"
    assert transcoders["SkipTranscoder"] == "skip_transcoder"
    assert transcoders["JumpReLUSkipTranscoder"] == "jumprelu_skip_transcoder"
    assert transcoders["BatchTopKSAE"] == "jumprelu_transcoder"
    assert transcoders["TopKSkipTranscoder"] == "topk_skip_transcoder"


def test_no_field_has_two_meanings():
    assert not FUNCTION_FIELDS & IGNORED_FIELDS
    assert not (FUNCTION_FIELDS | IGNORED_FIELDS) & TRAINING_FIELDS.keys()
