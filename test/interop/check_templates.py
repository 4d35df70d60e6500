"""Compares conversations rendered by the chat templates of supported models with transformers: the texts must be equal.

Templates whose license does not allow copies in this repository come from packages: TRL contains those of Llama 3, 3.1 and 3.2,
Gemma 3 and others. More are read from the source of llama.cpp if WEBALIGN_LLAMA_SOURCE is its unpacked folder.
"""

import json
import os
import time
from pathlib import Path

import trl

from interop import FIXTURES, HERE, Skip, check, main, need, node, work

from fixture_programs import DATA, drawn_programs, rendered  # noqa: E402, of the fixtures
from fixture_templates import both, conversations, files_of  # noqa: E402, of the fixtures

#: Templates in TRL of text models that webalign must render like transformers.
OF_TRL = ["llama3", "llama3_1", "llama3_2", "gemma", "gemma3", "qwen2_5", "qwen3", "qwen3_instruct_2507", "phi3"]
#: The same for llama.cpp, and templates that the interpreter is known not to support.
OF_LLAMA = ["meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct", "google-gemma-2-2b-it", "mistralai-Mistral-Nemo-Instruct-2407", "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B"]  # fmt: skip

#: Llama 2's template, written from the description of its prompt: no package contains Meta's.
LLAMA_2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}\
{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""


def compare(templates, chats):
    """Renders all conversations in webalign; returns how many texts are equal, or raises an error that shows the first difference."""
    job = {"templates": templates, "files": files_of(next(iter(templates.values()))), "conversations": chats}
    (work / "templates.json").write_text(json.dumps(job))
    node(HERE / "templates.mjs", work / "templates.json", work / "rendered.json")
    ours = json.loads((work / "rendered.json").read_text())
    equal = refused = 0
    for name, template in templates.items():
        for chat, theirs, mine in zip(chats, both(template, chats), ours[name], strict=True):
            for expected, actual in zip(theirs, mine, strict=True):
                assert actual.get("text") == expected, f"{name}: {chat}: {actual} instead of {expected!r}"
                equal += expected is not None
                refused += expected is None
    return f"{equal} texts equal, {refused} refused by both, of {len(templates)} templates"


def trl_templates():
    folder = need(Path(trl.__file__).parent / "chat_templates")
    return {name: (folder / f"{name}.jinja").read_text(encoding="utf-8") for name in OF_TRL}


@check("50 conversations render alike with the templates of the fixtures")
def _():
    folder = FIXTURES / "templates"
    return compare({path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}, conversations())


@check("50 conversations render alike with Llama 3, 3.1, 3.2, Gemma, Gemma 3, Qwen2.5, Qwen3 and Phi 3")
def _():
    return compare(trl_templates(), conversations())


@check("50 conversations render alike with Llama 2's format")
def _():
    return compare({"llama2": LLAMA_2}, conversations())


@check("400 more conversations render alike with all of these templates")
def _():
    own = {path.stem: path.read_text(encoding="utf-8") for path in (FIXTURES / "templates").glob("*.jinja")}
    return compare({**own, **trl_templates(), "llama2": LLAMA_2}, conversations(450, seed=1)[50:])


@check("50 conversations render alike with templates from llama.cpp's source")
def _():
    if not (source := os.environ.get("WEBALIGN_LLAMA_SOURCE")):
        raise Skip("set WEBALIGN_LLAMA_SOURCE to the unpacked source of llama.cpp")
    folder = need(Path(source) / "models/templates")
    return compare({name: (folder / f"{name}.jinja").read_text(encoding="utf-8") for name in OF_LLAMA}, conversations())


@check("2,000 programs drawn by a grammar, others every day")
def _():
    seed = int(time.time() // 86_400)
    drawn = drawn_programs(2000, seed)
    data = json.loads(DATA)
    messages, tools = data.pop("messages"), data.pop("tools")
    row = json.dumps({"messages": messages, "tools": tools, "chat_template_kwargs": data})
    job = {"programs": drawn, "row": row, "files": files_of("")}
    (work / "programs.json").write_text(json.dumps(job))
    node(HERE / "programs.mjs", work / "programs.json", work / "programs-rendered.json")
    ours = json.loads((work / "programs-rendered.json").read_text())
    equal = refused = only_here = 0
    for source, mine in zip(drawn, ours, strict=True):
        expected = rendered(source)
        only_here += expected is not None and "refused" in mine
        if expected is None or "refused" not in mine:
            assert mine.get("text") == expected, f"seed {seed}: {source!r}: {mine} instead of {expected!r}"
            equal += expected is not None
            refused += expected is None
    assert only_here <= 0.02 * len(drawn), f"seed {seed}: {only_here} of {len(drawn)} are refused here alone"
    return f"seed {seed}: {equal} equal, {refused} refused by both, {only_here} here alone"


main(__name__)
