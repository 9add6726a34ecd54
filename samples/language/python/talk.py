"""A language model at work: a text is gone on with, a person is answered, a text becomes a vector.

talk.py complete MODEL PROMPT     the text that follows
talk.py chat MODEL                answers each line of stdin
talk.py embed MODEL TEXT          a vector as JSON
"""

import json
import sys

from wasi_nn import Context, Graph, Tensor

PROMPT, OPTIONS = 0, 1
TURN = "<|im_start|>{}\n{}<|im_end|>\n"  # chat models are told who speaks; this is ChatML
ANSWER = "<|im_start|>assistant\n"


def text(content: str) -> Tensor:
    data = content.encode()
    return Tensor([len(data)], "u8", data)


def start(model: str, **options: object) -> Context:
    context = Graph.load_by_name(model).open()
    named = {name.replace("_", "-"): value for name, value in options.items()}
    context.set_input(OPTIONS, text(json.dumps(named)))
    return context


def ask(context: Context, prompt: str) -> str:
    context.set_input(PROMPT, text(prompt))
    context.compute()
    return context.output(0).decode()


def chat(context: Context) -> None:
    history = TURN.format("system", "You are a helpful assistant.")
    for line in sys.stdin:
        if line.strip():
            history += TURN.format("user", line.strip()) + ANSWER
            answer = ask(context, history)
            print(answer, flush=True)
            history += answer + "<|im_end|>\n"


match sys.argv[1:]:
    case ["complete", model, prompt]:
        print(ask(start(model, n_predict=64, temp=0, ctx_size=1024), prompt))
    case ["chat", model]:
        chat(start(model, n_predict=256, temp=0, ctx_size=2048))
    case ["embed", model, words]:
        print(ask(start(model, embedding=True, ctx_size=1024), words))
    case _:
        sys.exit("usage: talk.py complete MODEL PROMPT | chat MODEL | embed MODEL TEXT")
