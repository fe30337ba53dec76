"""Judges of what changes the logits, temperature and penalty, and of the next token by all options together."""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.tests.transformer_from_scratch.draws import TOLERANCES, VOCAB, draws_case, generator_mistakes, many_draws
from arena_lib.tests.transformer_from_scratch.sampling import PROBABILITIES
from arena_lib.transformer import sampling
from arena_lib.transformer.sampling import SamplingConfig

__test__ = False


def apply_temperature_cases(generator: torch.Generator) -> list[Case]:
    """Bold, random, and neutral."""
    return [
        Case(label=label, args=(torch.randn(7, generator=generator), temperature), axes={"output": VOCAB})
        for label, temperature in [("below 1", 0.4), ("above 1", 2.5), ("exactly 1", 1.0), ("close to 0", 0.01)]
    ]


test_apply_temperature = exercise(
    reference=sampling.apply_temperature,
    cases=apply_temperature_cases,
    accepts=[lambda logits, t: logits * (1 / t)],
    mistakes=instead_of(
        "logits / temperature",
        {
            "logits ** (1 / temperature)": (
                "takes a root of the logits",
                "it is probabilities that are raised to 1 / temperature; logits are divided by it",
            ),
            "logits.softmax(dim=-1) ** (1 / temperature)": (
                "raises the probabilities to a power",
                "logits are asked for: divided by the temperature they give these probabilities",
            ),
            "logits / temperature**0.5": (
                "divides by the root of the temperature",
                "logits are divided by the temperature itself",
            ),
            "logits / temperature**2": (
                "divides by the square of the temperature",
                "logits are divided by the temperature itself",
            ),
            "logits // temperature": ("rounds to whole numbers", "/ divides, // rounds down as well"),
            "logits / max(temperature, 1.0)": ("ignores temperatures below 1", "below 1 the distribution gets sharper"),
            "logits / max(temperature, 0.1)": (
                "raises low temperatures",
                "every temperature above 0 counts as it is; close to 0 the likeliest token gets nearly everything",
            ),
            "(logits - logits.max()) / temperature": (
                "shifts the logits",
                "the divided logits themselves are asked for: softmax does the shift",
            ),
            "logits.mul_(temperature)": (
                "multiplies by the temperature, in place",
                "a high temperature must flatten, and the caller may need the logits again",
            ),
            "logits * temperature": (
                "multiplies by the temperature",
                "the logits are divided by the temperature, so that a high one makes the distribution flatter",
            ),
            "logits.div_(temperature)": (
                "changes the logits in place",
                "the caller may need the logits again, so return new ones",
            ),
            "(logits / temperature).softmax(dim=-1)": (
                "returns probabilities",
                "the result is logits: the softmax comes later, when a token is drawn",
            ),
            "(logits / temperature).log_softmax(dim=-1)": (
                "returns log-probabilities",
                "the result is the logits divided by the temperature, without a constant subtracted",
            ),
            "logits.softmax(dim=-1) / temperature": (
                "divides the probabilities",
                "temperature acts on logits, before the softmax",
            ),
            "logits.clone()": ("ignores the temperature", "below 1 the distribution gets sharper, above 1 flatter"),
            "logits - temperature": (
                "subtracts the temperature",
                "subtracting the same number from all logits changes nothing for the softmax: divide by the temperature",
            ),
        },
    ),
)


def apply_frequency_penalty_cases(generator: torch.Generator) -> list[Case]:
    """Repeated tokens, a reward in place of a penalty, and a text without the last tokens of the vocabulary."""
    texts = [
        ("tokens that occur more than once", [3, 0, 3, 6, 3, 0], 1.5),
        ("a negative penalty", [6, 1, 1], -0.5),
        ("a text of one token", [2], 2.0),
    ]
    return [
        Case(
            label=label,
            args=(torch.tensor(text), torch.randn(7, generator=generator), penalty),
            axes={"output": VOCAB},
        )
        for label, text, penalty in texts
    ]


def frequency_penalty_by_loop(input_ids: Tensor, logits: Tensor, freq_penalty: float) -> Tensor:
    """Walks through the text."""
    logits = logits.clone()
    for token in input_ids.tolist():
        logits[token] -= freq_penalty
    return logits


def frequency_penalty_by_one_hot(input_ids: Tensor, logits: Tensor, freq_penalty: float) -> Tensor:
    """Sums one-hot rows."""
    return logits - freq_penalty * torch.nn.functional.one_hot(input_ids, logits.numel()).sum(0)


test_apply_frequency_penalty = exercise(
    reference=sampling.apply_frequency_penalty,
    cases=apply_frequency_penalty_cases,
    accepts=[frequency_penalty_by_loop, frequency_penalty_by_one_hot],
    equivalent={
        "torch.bincount(input_ids, minlength=logits.shape[0]) -> torch.bincount(input_ids, minlength=logits.shape[-1])": (
            "logits have one axis"
        )
    },
    mistakes=[
        *instead_of(
            "logits - freq_penalty * counts",
            {
                "logits * (1 - freq_penalty) ** counts": (
                    "multiplies the logits once for each time",
                    "the penalty is subtracted, whatever the logit's sign",
                ),
                "logits - freq_penalty**counts": (
                    "raises the penalty to the power of the count",
                    "a token that occurs n times loses n * freq_penalty",
                ),
                "logits - freq_penalty * len(input_ids)": (
                    "lowers every token by the length of the text",
                    "each token loses freq_penalty for each time that it occurs itself",
                ),
                "logits + freq_penalty * counts": (
                    "adds the penalty",
                    "a token that occurred often must become less likely",
                ),
                "logits * (1 - freq_penalty * counts)": (
                    "multiplies the logits by the counts",
                    "freq_penalty times the count is subtracted from the logit, whatever its sign",
                ),
                "logits / (1 + freq_penalty * counts)": (
                    "divides the logits by the counts",
                    "freq_penalty times the count is subtracted from the logit, whatever its sign",
                ),
                "logits.sub_(freq_penalty * counts)": (
                    "changes the logits in place",
                    "the caller may need the logits again, so return new ones",
                ),
                "logits - counts": ("ignores freq_penalty", "each occurrence costs freq_penalty"),
                "logits - freq_penalty * counts / len(input_ids)": (
                    "divides the counts by the length of the text",
                    "each occurrence costs freq_penalty, however long the text is",
                ),
                "logits - abs(freq_penalty) * counts": (
                    "treats a negative penalty as a positive one",
                    "a negative penalty makes repeated tokens likelier",
                ),
                "logits - max(freq_penalty, 0.0) * counts": (
                    "ignores a negative penalty",
                    "a negative penalty makes repeated tokens likelier",
                ),
                "(logits - freq_penalty * counts).softmax(dim=-1)": (
                    "returns probabilities",
                    "the result is logits: the softmax comes later, when a token is drawn",
                ),
            },
        ),
        *instead_of(
            "torch.bincount(input_ids, minlength=logits.shape[0])",
            {
                f"torch.bincount({ids}, minlength=logits.shape[0]){end}": (name, why)
                for ids, end, name, why in [
                    (
                        "input_ids",
                        ".clamp(max=1)",
                        "counts a repeated token once",
                        "the penalty grows with every occurrence; counting once is a presence penalty",
                    ),
                    (
                        "input_ids.unique_consecutive()",
                        "",
                        "counts a token that is repeated at once only once",
                        "every occurrence counts, also right after another",
                    ),
                    ("input_ids[-1:]", "", "counts the last token only", "every token of the text counts"),
                    ("input_ids[:-1]", "", "leaves the last token out", "every token of the text counts"),
                    ("input_ids[1:]", "", "leaves the first token out", "every token of the text counts"),
                    ("input_ids", ".sub(1).clamp(min=0)", "lets the first time go free", "the first time counts too"),
                    ("input_ids", ".square()", "squares the counts", "n times cost n * freq_penalty"),
                    ("input_ids", ".log1p()", "takes the logarithm of the counts", "n times cost n * freq_penalty"),
                    ("input_ids", ".eq(0)", "lowers the tokens that don't occur", "tokens that occur are lowered"),
                    (
                        "input_ids",
                        ".mul(torch.bincount(input_ids, minlength=logits.shape[0]) + 1) / 2",
                        "takes a larger penalty from time to time",
                        "each occurrence costs freq_penalty: n times cost n * freq_penalty",
                    ),
                    (
                        "torch.arange(min(len(input_ids), len(logits)))",
                        "",
                        "lowers the places of the text, not its tokens",
                        "input_ids holds token ids: they say which logits are lowered",
                    ),
                ]
            },
        ),
        *instead_of(
            ", minlength=logits.shape[0]",
            {
                "": (
                    "returns counts for only a part of the vocabulary",
                    "bincount stops at the largest token of the text unless minlength says how long it must be",
                )
            },
        ),
    ],
)


def next_token_cases(generator: torch.Generator) -> list[Case]:
    """Each option by itself and in company; with a reward, the order of penalty and temperature decides."""
    logits = PROBABILITIES.log()
    repeating, twos = torch.tensor([3, 1, 3, 1, 3, 3]), torch.tensor([2, 2])
    options = {
        "greedy": SamplingConfig(temperature=0.0),
        "greedy with a penalty": SamplingConfig(temperature=0.0, frequency_penalty=0.7),
        "a low temperature": SamplingConfig(temperature=0.5),
        "a temperature and top-k": SamplingConfig(temperature=0.4, top_k=3),
        "top-k of one": SamplingConfig(top_k=1),
        "a temperature and top-p": SamplingConfig(temperature=3.0, top_p=0.55),
        "a penalty and top-p": SamplingConfig(top_p=0.4, frequency_penalty=0.7),
        "a penalty": SamplingConfig(frequency_penalty=1.2),
        "no options": SamplingConfig(),
    }
    with_generator = {"a temperature and top-k", "a temperature and top-p", "no options"}
    reward = SamplingConfig(temperature=2.5, frequency_penalty=-1.5)
    return [
        draws_case("a reward and a temperature", twos, logits, reward),
        *(
            draws_case(label, repeating, logits, chosen, with_generator=label in with_generator)
            for label, chosen in options.items()
        ),
    ]


def next_token_by_probabilities(input_ids: Tensor, logits: Tensor, options: Any) -> int:
    """Works on one list of probabilities from which tokens are struck out."""
    logits = frequency_penalty_by_loop(input_ids, logits, options.frequency_penalty)
    if not options.temperature:
        return int(logits.argmax())
    probabilities, order = (logits / options.temperature).softmax(-1).sort(descending=True)
    rank = torch.arange(len(logits))
    if options.top_k:
        probabilities = probabilities * (rank < options.top_k)
    if options.top_p:
        probabilities = probabilities * (probabilities.cumsum(-1) - probabilities < options.top_p)
    return int(order[torch.multinomial(probabilities, 1)])


test_sample_next_token = exercise(
    reference=sampling.sample_next_token,
    cases=next_token_cases,
    observe=many_draws,
    tolerance=TOLERANCES,
    accepts=[next_token_by_probabilities],
    mistakes=[
        *instead_of(
            "options.frequency_penalty)",
            {
                "max(options.frequency_penalty, 0.0))": (
                    "ignores a negative penalty",
                    "a negative penalty makes repeated tokens likelier",
                ),
                "options.frequency_penalty * bool(options.top_k or options.top_p or not options.temperature))": (
                    "draws from all tokens without the penalty",
                    "the penalty comes first, and acts on every way to choose",
                ),
                "0.0)": (
                    "forgets the frequency penalty",
                    "the penalty comes first, and applies to every way of choosing a token",
                ),
                "-options.frequency_penalty)": (
                    "rewards repetition",
                    "the penalty is subtracted from the logits of tokens that occurred",
                ),
                "options.frequency_penalty * (options.temperature or 1.0))": (
                    "applies the temperature before the penalty",
                    "the penalty is in units of the model's own logits, so it is subtracted before they are divided",
                ),
                "options.frequency_penalty * options.temperature)": (
                    "applies the temperature before the penalty, except for the greedy choice",
                    "the penalty comes first: it is subtracted before logits are divided, and before the greedy choice",
                ),
                "options.frequency_penalty * (options.temperature > 0))": (
                    "chooses greedily without the penalty",
                    "the penalty comes first, and acts on the greedy choice too",
                ),
            },
        ),
        *instead_of(
            "apply_frequency_penalty(input_ids,",
            {
                "apply_frequency_penalty(input_ids.unique(),": (
                    "counts a repeated token once",
                    "the penalty grows with every occurrence",
                ),
            },
        ),
        *instead_of(
            "logits = apply_frequency_penalty(",
            {
                "logits[:] = apply_frequency_penalty(": (
                    "writes the penalised logits into its argument",
                    "the caller may need the logits again: give the new ones a name of their own",
                ),
            },
        ),
        *instead_of(
            "apply_temperature(logits, options.temperature)",
            {
                "apply_temperature(logits, 1.0 if options.top_k else options.temperature)": (
                    "draws by top-k without the temperature",
                    "the logits are divided by it before any draw",
                ),
                "apply_temperature(logits.softmax(dim=-1), options.temperature)": (
                    "takes the softmax before it divides by the temperature",
                    "the draws take logits, and do the softmax themselves",
                ),
                "logits": (
                    "forgets the temperature",
                    "every draw is from the logits divided by the temperature",
                ),
                "logits * options.temperature": (
                    "multiplies by the temperature",
                    "the logits are divided by the temperature, so that a low one makes likely tokens likelier",
                ),
                "apply_temperature(logits, 1.0 if options.top_k or options.top_p else options.temperature)": (
                    "draws by top-k and top-p without the temperature",
                    "the logits are divided by the temperature before any draw",
                ),
            },
        ),
        *instead_of(
            "sample_top_p(logits, options.top_p, generator=generator)",
            {
                "sample_basic(logits, generator=generator)": (
                    "ignores top_p",
                    "a top_p above zero switches on top-p sampling",
                ),
                "sample_top_k(logits, 1 + int(((logits * options.temperature).sort(descending=True).values.softmax(dim=-1)"
                ".cumsum(dim=-1) < options.top_p).sum()), generator=generator)": (
                    "cuts by top-p before it divides by the temperature",
                    "the probabilities that top_p cuts are those of the logits divided by the temperature",
                ),
            },
        ),
        *instead_of(
            "options.top_k > 0",
            {"False": ("ignores top_k", "a top_k above zero switches on sampling among the k most likely tokens")},
        ),
        *instead_of(
            "return greedy_search(logits)",
            {
                "return sample_basic(logits, generator=generator)": (
                    "draws at random when the temperature is 0",
                    "a temperature of 0 means the greedy choice: the most likely token",
                )
            },
        ),
        *generator_mistakes(sampling.sample_next_token),
    ],
)
