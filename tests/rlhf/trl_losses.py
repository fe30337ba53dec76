"""The loss that trl's DPOTrainer computes for our pairs on transformers' form of our models, and its gradients."""

import torch

from arena_lib.transformer.huggingface import to_huggingface


def compute_trl_dpo(policy, reference, pairs, beta, loss_type, folder):
    """Its loss, and the gradient of each weight, in float64; rows are unpadded, as trl pads on the right."""
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    from arena_lib.storyworld import save_tokenizer

    save_tokenizer(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    rows = Dataset.from_list([{"prompt": "Mary", "chosen": " felt glad.", "rejected": " felt sad."}] * 2)
    config = DPOConfig(
        output_dir=str(folder),
        beta=beta,
        loss_type=[loss_type],
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_dropout=False,
    )
    models = [to_huggingface(model).double() for model in (policy, reference)]
    trainer = DPOTrainer(
        model=models[0], ref_model=models[1], args=config, train_dataset=rows, processing_class=tokenizer
    )
    net = models[0].eval()
    loss = trainer.compute_loss(net, right_padded(pairs))
    loss.backward()
    return float(loss.detach()), {name: weight.grad for name, weight in net.named_parameters()}


def right_padded(pairs):
    """The pairs as trl's collator gives them: chosen rows, then rejected ones, filled on the right."""
    both = pairs.both
    lengths = both.attention_mask.sum(dim=1)
    n_prompt = both.attention_mask[:, : both.n_prompt].sum(dim=1)
    ids = torch.zeros_like(both.tokens)
    for row, length in enumerate(lengths):
        ids[row, :length] = both.tokens[row][both.attention_mask[row]]
    place = torch.arange(ids.shape[1])
    is_real = place < lengths[:, None]
    is_completion = is_real & (place >= n_prompt[:, None])
    return {"input_ids": ids, "attention_mask": is_real.long(), "completion_mask": is_completion.long()}
