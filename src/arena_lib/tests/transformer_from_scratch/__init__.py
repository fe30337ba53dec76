"""Judges of section 1.1, Transformer from scratch."""

from arena_lib.tests.transformer_from_scratch.architecture import (
    test_gated_mlp,
    test_mlp,
    test_transformer_block,
)
from arena_lib.tests.transformer_from_scratch.attention import test_attention
from arena_lib.tests.transformer_from_scratch.beam_filtering import test_filter_beams
from arena_lib.tests.transformer_from_scratch.beam_search import test_beam_search
from arena_lib.tests.transformer_from_scratch.beams import test_extend_beams
from arena_lib.tests.transformer_from_scratch.bpe_encoding import (
    test_bpe_decode,
    test_bpe_encode,
)
from arena_lib.tests.transformer_from_scratch.bpe_pairs import test_count_pairs, test_merge_pair
from arena_lib.tests.transformer_from_scratch.bpe_training import test_train_bpe
from arena_lib.tests.transformer_from_scratch.cached_generation import (
    test_forward_with_cache,
    test_generate_with_cache,
)
from arena_lib.tests.transformer_from_scratch.causal_masks import test_cached_causal_mask, test_causal_mask
from arena_lib.tests.transformer_from_scratch.cross_entropy import test_cross_entropy_next_token
from arena_lib.tests.transformer_from_scratch.embeddings import test_embed, test_pos_embed, test_unembed
from arena_lib.tests.transformer_from_scratch.kv_cache import (
    test_attend_with_cache,
    test_kv_cache,
)
from arena_lib.tests.transformer_from_scratch.llama_attention import test_grouped_query_attention, test_repeat_kv
from arena_lib.tests.transformer_from_scratch.next_token import (
    test_apply_frequency_penalty,
    test_apply_temperature,
    test_sample_next_token,
)
from arena_lib.tests.transformer_from_scratch.norms import test_layer_norm, test_layer_norm_epsilon, test_rms_norm
from arena_lib.tests.transformer_from_scratch.repeated_ngrams import test_ban_repeated_ngrams
from arena_lib.tests.transformer_from_scratch.rotary import test_apply_rotary, test_rotary_angles
from arena_lib.tests.transformer_from_scratch.sampler import test_sample
from arena_lib.tests.transformer_from_scratch.sampling import (
    test_greedy_search,
    test_sample_basic,
    test_sample_top_k,
)
from arena_lib.tests.transformer_from_scratch.top_p import test_sample_top_p
from arena_lib.tests.transformer_from_scratch.training import test_measure_accuracy, test_training_step
from arena_lib.tests.transformer_from_scratch.whole_models import test_demo_llama, test_demo_transformer

__test__ = False

__all__ = [
    "test_apply_frequency_penalty",
    "test_apply_rotary",
    "test_apply_temperature",
    "test_attend_with_cache",
    "test_attention",
    "test_ban_repeated_ngrams",
    "test_beam_search",
    "test_bpe_decode",
    "test_bpe_encode",
    "test_cached_causal_mask",
    "test_causal_mask",
    "test_count_pairs",
    "test_cross_entropy_next_token",
    "test_demo_llama",
    "test_demo_transformer",
    "test_embed",
    "test_extend_beams",
    "test_filter_beams",
    "test_forward_with_cache",
    "test_gated_mlp",
    "test_generate_with_cache",
    "test_greedy_search",
    "test_grouped_query_attention",
    "test_kv_cache",
    "test_layer_norm",
    "test_layer_norm_epsilon",
    "test_measure_accuracy",
    "test_merge_pair",
    "test_mlp",
    "test_pos_embed",
    "test_repeat_kv",
    "test_rms_norm",
    "test_rotary_angles",
    "test_sample",
    "test_sample_basic",
    "test_sample_next_token",
    "test_sample_top_k",
    "test_sample_top_p",
    "test_train_bpe",
    "test_training_step",
    "test_transformer_block",
    "test_unembed",
]
