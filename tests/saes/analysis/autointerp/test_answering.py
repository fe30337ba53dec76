"""Endpoints that speak OpenAI's protocol, on a server of the test's own, and models on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from arena_lib import zoo
from arena_lib.errors import ConfigError, FetchError
from arena_lib.saes.analysis.autointerp.answering import Endpoint, EndpointConfig, LocalModel

MESSAGES = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Where is Tina?"}]
GOOD = json.dumps({"choices": [{"message": {"role": "assistant", "content": " in the garden "}}]})


@pytest.fixture
def server():
    """A server that gives the answers it is told, in turn, and keeps what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
            code, answer = self.server.answers.pop(0)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *rest):
            pass

    served = HTTPServer(("127.0.0.1", 0), Handler)
    served.asked, served.answers = [], []
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def make_endpoint(server, **options):
    cfg = {"base_url": f"http://127.0.0.1:{server.server_port}/v1/", "model": "some-model", "first_wait": 0.0}
    return Endpoint(EndpointConfig(**{**cfg, **options}))


def test_the_question_is_in_the_protocols_form(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    server.answers += [(200, GOOD), (200, GOOD)]
    assert make_endpoint(server, temperature=0.0, max_tokens=9)(MESSAGES) == " in the garden "
    assert make_endpoint(server, api_key="secret")(MESSAGES) == " in the garden "
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer from-the-environment"
    assert body == {"model": "some-model", "messages": MESSAGES, "temperature": 0.0, "max_tokens": 9}
    assert server.asked[1][1]["Authorization"] == "Bearer secret"
    monkeypatch.delenv("OPENAI_API_KEY")
    server.answers.append((200, GOOD))
    make_endpoint(server)(MESSAGES)
    assert "Authorization" not in server.asked[2][1]


def test_an_answer_that_was_begun_is_asked_for_in_the_question(server):
    server.answers += [(200, GOOD), (200, GOOD)]
    begun = [*MESSAGES, {"role": "assistant", "content": "Tina is"}]
    make_endpoint(server)(begun)
    question = {"role": "user", "content": "Where is Tina?\n\nBegin your answer with: Tina is"}
    assert server.asked[0][2]["messages"] == [MESSAGES[0], question]
    alone = [{"role": "assistant", "content": "Tina is"}]
    make_endpoint(server)(alone)
    assert server.asked[1][2]["messages"] == alone


def test_a_key_is_never_shown():
    assert "secret" not in repr(EndpointConfig(base_url="http://localhost/v1", model="m", api_key="secret"))


def test_a_busy_endpoint_is_asked_again_and_no_more_than_that(server):
    server.answers += [(429, ""), (503, ""), (200, GOOD)]
    assert make_endpoint(server)(MESSAGES) == " in the garden "
    assert len(server.asked) == 3
    server.answers += [(503, "")] * 3
    with pytest.raises(FetchError, match=r"got HTTP 503 from http://127.0.0.1:\d+/v1/ after 2 tries"):
        make_endpoint(server, n_tries=2)(MESSAGES)
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("code", "answer", "message"),
    [
        (401, "no such key", "got HTTP 401 .*'no such key'. Check the model's name, and the key"),
        (200, "<html>", "in the form of chat completions: got b'<html>'"),
        (200, '{"choices": []}', "in the form of chat completions"),
        (200, '{"choices": [{"message": {"content": null}}]}', "must answer with text: got NoneType"),
    ],
)
def test_other_answers_are_said_as_they_are(server, code, answer, message):
    server.answers.append((code, answer))
    with pytest.raises(FetchError, match=message):
        make_endpoint(server)(MESSAGES)
    assert len(server.asked) == 1


def test_no_server_is_said_after_the_last_try(server):
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match="Check that it runs and that the address is right"):
        Endpoint(EndpointConfig(base_url=f"http://127.0.0.1:{port}/v1", model="m", n_tries=2, first_wait=0.0))(MESSAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "file:///etc/passwd"}, "must begin with http:// or https://: got 'file"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"n_tries": 0}, "n_tries must be at least 1"),
        ({"temperature": float("nan")}, "temperature must be at least 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EndpointConfig(**{"base_url": "http://localhost/v1", "model": "m", **options})


def test_a_local_model_goes_on_with_the_conversation():
    model = zoo.load("tiny-llama")
    ask = LocalModel(model, 5)
    prompt, has_start = ask.write_prompt(MESSAGES)
    assert prompt == "Be short.\n\nQuestion: Where is Tina?\n\nAnswer:"
    assert not has_start
    assert prompt + ask(MESSAGES) == model.generate(prompt, 5).replace(prompt + " ", prompt)
    begun = [*MESSAGES, {"role": "assistant", "content": "Tina is in the"}]
    assert ask.write_prompt(begun)[0].endswith("\n\nAnswer: Tina is in the")


def test_a_template_is_used_where_the_tokenizer_has_one():
    model = zoo.load("tiny-llama")
    model.tokenizer.chat_template = (
        "{% for m in messages %}<|endoftext|>{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<|endoftext|>assistant:{% endif %}"
    )
    ask = LocalModel(model, 3)
    prompt, has_start = ask.write_prompt(MESSAGES)
    assert prompt == "<|endoftext|>system: Be short.<|endoftext|>user: Where is Tina?<|endoftext|>assistant:"
    assert has_start
    begun = [*MESSAGES, {"role": "assistant", "content": "Tina is"}]
    assert ask.write_prompt(begun)[0].endswith("<|endoftext|>assistant: Tina is")
    model.tokenizer.chat_template = None
