"""Function vectors with nnsight: what a few heads write when a prompt shows a task, put where nothing shows it.

    clean prompts      hot: cold, big: small, dry:    the task can be read off the pairs
    corrupted prompts  hot: loud, big: rich, dry:     it can't: the answers are wrong
    zero-shot prompts  dry:                           nothing is shown

Shapes:  prompts -> hidden state "d_model", heads' effects "n_layers n_heads", function vector "d_model".
Raises:  UnknownNameError for a layer or head that isn't there; TokenError for answers of several tokens;
         ConfigError for a model that nnsight doesn't wrap in GPT-2's or Llama's form.
Source:  Todd et al. 2023, arXiv:2310.15213, sections 2.2 to 2.4 (equations 2 to 5) and 3.
Differs: effects are differences of log-probabilities, where the paper takes probabilities, so that prompts
         whose answer is unlikely count too. The same by hooks, on any model: `head_effects.py`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Head
from arena_lib.interp.nnsight_models import block, out_projection
from arena_lib.interp.steering.icl import ICLDataset, answer_tokens, decode_each


@torch.no_grad()
def calculate_h(model: Any, dataset: ICLDataset, layer: int = -1) -> tuple[list[str], Float[Tensor, " d_model"]]:
    """What the model answers to each prompt, and the mean hidden state at the last token after one layer.

    Trace `dataset.prompts`. The first result is the list of answers: the likeliest token after each prompt,
    as text with its space (`model.tokenizer.decode` of one token id; `decode_each` does it for all). The second
    is h: the output of layer `layer` (negative: from the end) at the last position, averaged over the prompts.
    """
    with model.trace(dataset.prompts):
        h = block(model, layer).output[:, -1].mean(dim=0).save()
        guesses = model.lm_head.output[:, -1].argmax(dim=-1).save()
    return decode_each(model.tokenizer, guesses), h


@torch.no_grad()
def intervene_with_h(
    model: Any, zero_shot_dataset: ICLDataset, h: Float[Tensor, " d_model"], layer: int
) -> tuple[list[str], list[str]]:
    """Answers to `zero_shot_dataset.prompts` without and with h added to the output of layer `layer`.

    h is added at the last position of each prompt, to what the layer put out, and nowhere else. Both results
    are lists of answers, as in `calculate_h`.
    """
    with model.trace() as tracer:
        with tracer.invoke(zero_shot_dataset.prompts):
            without = model.lm_head.output[:, -1].argmax(dim=-1).save()
        with tracer.invoke(zero_shot_dataset.prompts):
            block(model, layer).output[:, -1] += h
            with_h = model.lm_head.output[:, -1].argmax(dim=-1).save()
    return decode_each(model.tokenizer, without), decode_each(model.tokenizer, with_h)


@torch.no_grad()
def calculate_h_and_intervene(
    model: Any, dataset: ICLDataset, zero_shot_dataset: ICLDataset, layer: int
) -> tuple[list[str], list[str]]:
    """`calculate_h` on `dataset` and `intervene_with_h` on `zero_shot_dataset`, in one forward pass.

    Three invocations of one trace: one computes h from the prompts that show the task, one answers the
    zero-shot prompts, and one answers them with that h added. The results are those of `intervene_with_h`:
    answers without and with h. More traces give the same numbers, and are accepted, but take longer on a GPU.
    """
    with model.trace() as tracer:
        h_is_there = tracer.barrier(2)
        with tracer.invoke(dataset.prompts):
            h = block(model, layer).output[:, -1].mean(dim=0)
            h_is_there()
        with tracer.invoke(zero_shot_dataset.prompts):
            without = model.lm_head.output[:, -1].argmax(dim=-1).save()
        with tracer.invoke(zero_shot_dataset.prompts):
            h_is_there()
            block(model, layer).output[:, -1] += h
            with_h = model.lm_head.output[:, -1].argmax(dim=-1).save()
    return decode_each(model.tokenizer, without), decode_each(model.tokenizer, with_h)


@torch.no_grad()
def calculate_h_and_intervene_logprobs(
    model: Any, dataset: ICLDataset, zero_shot_dataset: ICLDataset, layer: int
) -> tuple[list[float], list[float]]:
    """As `calculate_h_and_intervene`, with the log-probability of each right answer in place of the answers.

    For each zero-shot prompt: the log-probability (in nats, natural logarithm) that the model gives the first
    and only token of `zero_shot_dataset.completions` after the prompt, among all tokens; `answer_tokens(
    model.tokenizer, completions)` gives the ids. Results: a list of floats without h, and one with h.
    """
    answers = answer_tokens(model.tokenizer, zero_shot_dataset.completions)
    rows = torch.arange(len(answers))
    with model.trace() as tracer:
        h_is_there = tracer.barrier(2)
        with tracer.invoke(dataset.prompts):
            h = block(model, layer).output[:, -1].mean(dim=0)
            h_is_there()
        with tracer.invoke(zero_shot_dataset.prompts):
            without = model.lm_head.output[:, -1].log_softmax(dim=-1)[rows, answers].save()
        with tracer.invoke(zero_shot_dataset.prompts):
            h_is_there()
            block(model, layer).output[:, -1] += h
            with_h = model.lm_head.output[:, -1].log_softmax(dim=-1)[rows, answers].save()
    return without.tolist(), with_h.tolist()


@torch.no_grad()
def calculate_mean_z(model: Any, dataset: ICLDataset) -> Float[Tensor, "n_layers n_heads d_head"]:
    """Each head's z at the last token of a prompt, averaged over `dataset.prompts`.

    z is what a head has gathered, before W_O makes it part of the residual stream. `out_projection(model,
    layer).input`, "batch seq n_heads*d_head", holds the z of all heads of a layer side by side: first all
    entries of head 0, then those of head 1, and so on. All layers can be read in one trace, in their order.
    """
    lm = hooked(model)
    means = []
    with model.trace(dataset.prompts):
        for layer in range(lm.n_layers):
            z = out_projection(model, layer).input[:, -1].mean(dim=0)
            means.append(z.reshape(lm.n_heads, lm.d_head))
    return torch.stack(means)


@torch.no_grad()
def calculate_fn_vectors_and_intervene(
    model: Any, dataset: ICLDataset, layers: list[int] | None = None
) -> Float[Tensor, "n_layers n_heads"]:
    """The causal indirect effect of each head: how much its mean z does for the right answer where the task isn't shown.

    For each head of each of `layers` (all, if None): run the corrupted prompts (`dataset.create_corrupted_dataset()`)
    with that head's z at the last position replaced by its mean over the clean prompts (`calculate_mean_z`),
    and nothing else changed. Layers are counted from 0. The effect is the log-probability of the right answer with that change, less
    the log-probability without, averaged over the prompts. Row i of the result is layer `layers[i]`.

    Right answers are `dataset.completions`; the corrupted prompts ask the same questions. One trace for each
    layer will do, with an invocation for each head.
    """
    lm = hooked(model)
    corrupted = dataset.create_corrupted_dataset()
    answers = answer_tokens(model.tokenizer, dataset.completions)
    rows = torch.arange(len(answers))
    mean_z = calculate_mean_z(model, dataset)

    def mean_logprob(logits: Float[Tensor, "batch seq d_vocab"]) -> Float[Tensor, ""]:
        return logits[:, -1].log_softmax(dim=-1)[rows, answers].mean()

    effects = []
    for layer in range(lm.n_layers) if layers is None else layers:
        logprobs = []
        with model.trace() as tracer:
            with tracer.invoke(corrupted.prompts):
                logprobs.append(mean_logprob(model.lm_head.output))
            for head in range(lm.n_heads):
                with tracer.invoke(corrupted.prompts):
                    z = out_projection(model, layer).input
                    z[:, -1, head * lm.d_head : (head + 1) * lm.d_head] = mean_z[layer, head]
                    logprobs.append(mean_logprob(model.lm_head.output))
        without, *with_mean = logprobs
        effects.append(torch.stack(with_mean) - without)
    return torch.stack(effects)


@torch.no_grad()
def calculate_fn_vector(model: Any, dataset: ICLDataset, head_list: Sequence[Head]) -> Float[Tensor, " d_model"]:
    """The function vector: the sum of what these heads write, on average, at the last token of a clean prompt.

    A head writes z @ W_O into the residual stream, where W_O, "d_head d_model", is its own part of the layer's
    output weights: `hooked(model).W_O(layer)[head]` (in Llama's form these are columns head*d_head to
    (head+1)*d_head of `o_proj.weight`, transposed). Take each head's mean z (`calculate_mean_z`), map it,
    and add up over `head_list`, whose entries are (layer, head). The layer's bias, where there is one,
    belongs to no head and is left out.
    """
    lm = hooked(model)
    mean_z = calculate_mean_z(model, dataset)
    written = [mean_z[layer, head] @ lm.W_O(layer)[head] for layer, head in lm.check_heads(head_list)]
    return torch.stack(written).sum(dim=0)


@torch.no_grad()
def intervene_with_fn_vector(
    model: Any,
    word: str,
    layer: int,
    fn_vector: Float[Tensor, " d_model"],
    prompt_template: str = 'The word "{x}" means',
    n_tokens: int = 5,
) -> tuple[str, str]:
    """How the model goes on for `n_tokens` tokens after a prompt about `word`, without and with the vector.

    The prompt is `prompt_template.format(x=word)`. Both continuations are greedy (`do_sample=False`), and shorter
    only where the model ends its text. With the vector, it is added to the output of layer `layer` at the last position of the prompt, once: not while the
    tokens after it are made. Both results are whole texts, the prompt included and special tokens left
    out (`model.tokenizer.decode(ids, skip_special_tokens=True)`).
    """
    prompt = prompt_template.format(x=word)
    with model.generate(max_new_tokens=n_tokens, do_sample=False) as tracer:
        with tracer.invoke(prompt):
            without = tracer.result.save()
        with tracer.invoke(prompt):
            block(model, layer).output[:, -1] += fn_vector
            with_vector = tracer.result.save()
    texts = [model.tokenizer.decode(ids[0], skip_special_tokens=True) for ids in (without, with_vector)]
    return texts[0], texts[1]
