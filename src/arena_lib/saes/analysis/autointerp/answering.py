"""Who answers a conversation: an endpoint that speaks OpenAI's protocol, or a model on this machine.

    ask = Endpoint(EndpointConfig(base_url="http://localhost:8000/v1", model="some-model"))
    ask = LocalModel(zoo.load("smollm2"))

Many servers speak that protocol, local ones among them (vLLM, llama.cpp, Ollama). Only the standard library is used.

Raises:  ConfigError for an address that isn't HTTP, or options that cannot work; FetchError for an endpoint that doesn't
         answer, or not in the protocol's form.
Source:  the chat completions interface of OpenAI's API, as servers of other makers take it.
"""

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import torch

from arena_lib.errors import ConfigError, FetchError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.steering.writing import GREEDY_WRITING, write_with_hooks
from arena_lib.saes.analysis.autointerp.explaining import Messages
from arena_lib.transformer.fast.generation import WritingConfig

KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that a key is read from where none is given."""
BUSY = (408, 429, 500, 502, 503, 504)
"""HTTP answers after which it is worth trying again."""
LONGEST_QUOTE = 200
"""Characters of a server's complaint that a message quotes."""


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Where to ask, and how."""

    base_url: str
    """The address up to the version, such as http://localhost:8000/v1."""
    model: str
    """The model's name at that endpoint."""
    api_key: str | None = field(default=None, repr=False)
    """None: what the environment variable OPENAI_API_KEY holds; local servers need none."""
    temperature: float = 0.7
    """0 for the likeliest answer."""
    max_tokens: int = 200
    """The longest answer, in tokens."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""
    n_tries: int = 4
    """How often to ask where the endpoint is busy or not reached, each time after a longer wait."""
    first_wait: float = 1.0
    """Seconds before the second try; twice as many before each further one."""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"base_url must begin with http:// or https://: got {self.base_url!r}. Give the address up to the version, such "
                "as http://localhost:8000/v1."
            )
        for name, least in (("temperature", 0), ("max_tokens", 1), ("timeout", 0), ("n_tries", 1), ("first_wait", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} must be at least {least}: got {getattr(self, name)}. See its default.")


class Endpoint:
    """Asks an endpoint: call it with messages."""

    def __init__(self, cfg: EndpointConfig) -> None:
        self.cfg = cfg

    def __call__(self, messages: Messages) -> str:
        """The answer to a conversation; asked again where the endpoint is busy."""
        for attempt in range(self.cfg.n_tries):
            try:
                return self._ask(messages)
            except _BusyError as busy:
                if attempt + 1 == self.cfg.n_tries:
                    raise FetchError(
                        f"the endpoint must answer: got {busy} from {self.cfg.base_url} after {self.cfg.n_tries} tries. Check "
                        "that it runs and that the address is right, or try later."
                    ) from busy
                time.sleep(self.cfg.first_wait * 2**attempt)
        raise AssertionError("unreachable")

    def _ask(self, messages: Messages) -> str:
        cfg = self.cfg
        body = {
            "model": cfg.model,
            "messages": end_with_question(messages),
            "temperature": cfg.temperature,
            "max_tokens": cfg.max_tokens,
        }
        headers = {"Content-Type": "application/json"}
        key = cfg.api_key or os.environ.get(KEY_VARIABLE)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        url = cfg.base_url.rstrip("/") + "/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=cfg.timeout) as response:
                raw = response.read()
        except urllib.error.HTTPError as error:
            with error:
                complaint = error.read().decode("utf-8", "replace")[:LONGEST_QUOTE]
            if error.code in BUSY:
                raise _BusyError(f"HTTP {error.code}") from error
            raise FetchError(
                f"the endpoint must take the question: got HTTP {error.code} from {cfg.base_url}: {complaint!r}. Check the "
                "model's name, and the key (api_key, or the variable " + KEY_VARIABLE + ")."
            ) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise _BusyError(str(getattr(error, "reason", error)) or type(error).__name__) from error
        return _read_answer(raw, cfg.base_url)


class LocalModel:
    """Asks a model on this machine: any that `hooked` takes and that has a tokenizer."""

    def __init__(
        self,
        model: Any,
        max_new_tokens: int = 60,
        *,
        options: WritingConfig = GREEDY_WRITING,
        generator: torch.Generator | None = None,
    ) -> None:
        self.lm = hooked(model)
        self.max_new_tokens, self.options, self.generator = max_new_tokens, options, generator

    def __call__(self, messages: Messages) -> str:
        """The answer to a conversation, which is written by the tokenizer's template if it has one."""
        prompt, has_start = self.write_prompt(messages)
        written = write_with_hooks(
            self.lm,
            prompt,
            [],
            self.max_new_tokens,
            options=self.options,
            generator=self.generator,
            prepend_bos=not has_start,
        )
        return written[len(prompt) :].strip()

    def write_prompt(self, messages: Messages) -> tuple[str, bool]:
        """The conversation as one text, and whether the token that begins a text is part of it.

        If the last message is the assistant's, the model goes on with it; else with an answer of its own.
        """
        tokenizer = getattr(self.lm.model, "tokenizer", None)
        goes_on = bool(messages) and messages[-1]["role"] == "assistant"
        if getattr(tokenizer, "chat_template", None):
            ending = {"continue_final_message": True} if goes_on else {"add_generation_prompt": True}
            assert tokenizer is not None  # it has a template
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, **ending))
            return text, text.startswith(getattr(tokenizer, "bos_token", None) or "\0")
        lines = [message["content"] if message["role"] == "system" else _spoken(message) for message in messages]
        return "\n\n".join(lines) + ("" if goes_on else "\n\nAnswer:"), False


def end_with_question(messages: Messages) -> Messages:
    """The conversation with how the answer is to begin asked for in the question, where the assistant had begun it.

    Many endpoints refuse a conversation whose last message is the assistant's, or answer it anew.
    """
    if [message["role"] for message in messages[-2:]] != ["user", "assistant"]:
        return messages
    question, beginning = messages[-2]["content"], messages[-1]["content"]
    return [*messages[:-2], {"role": "user", "content": f"{question}\n\nBegin your answer with: {beginning}"}]


class _BusyError(Exception):
    """The endpoint may answer if it is asked again."""


def _spoken(message: dict[str, str]) -> str:
    return f"{'Question' if message['role'] == 'user' else 'Answer'}: {message['content']}"


def _read_answer(raw: bytes, base_url: str) -> str:
    """The text of the first choice in what an endpoint sends."""
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise FetchError(
            f"the endpoint must answer in the form of chat completions: got {raw[:LONGEST_QUOTE]!r} from {base_url}. Check that "
            "the address ends with the version, such as /v1."
        ) from error
    if not isinstance(content, str):
        raise FetchError(
            f"the endpoint must answer with text: got {type(content).__name__} from {base_url}. Take a model that writes text."
        )
    return content
