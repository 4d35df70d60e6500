"""Conversations by the chat templates of the models that webalign runs, against transformers, text for text.

Templates whose licences keep them out of this repository come with packages: Llama 3, 3.1, 3.2, Gemma 3 and others with TRL;
more of them, and those of llama.cpp, out of its source where WEBALIGN_LLAMA_SOURCE names it unpacked.
"""

import json
import os
import time
from pathlib import Path

import trl

from interop import FIXTURES, HERE, Skip, check, main, need, node, work

from fixture_programs import DATA, drawn_programs, rendered  # noqa: E402, of the fixtures
from fixture_templates import both, conversations, files_of  # noqa: E402, of the fixtures

#: Of TRL's own, those of text models whose templates must be rendered alike.
OF_TRL = ["llama3", "llama3_1", "llama3_2", "gemma", "gemma3", "qwen2_5", "qwen3", "qwen3_instruct_2507", "phi3"]
#: Of llama.cpp's: the same of other makers, and what is known to be beyond the interpreter.
OF_LLAMA = ["meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct", "google-gemma-2-2b-it", "mistralai-Mistral-Nemo-Instruct-2407", "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B"]  # fmt: skip

#: Llama 2's, from the description of its prompt: Meta's own stands in no package.
LLAMA_2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}\
{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""


def compare(templates, chats):
    """Renders all at once here; the number of texts that are equal, or an error that shows the first one that is not."""
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


@check("50 conversations by the templates of the fixtures")
def _():
    folder = FIXTURES / "templates"
    return compare({path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}, conversations())


@check("50 conversations by Llama 3, 3.1, 3.2, Gemma, Gemma 3, Qwen2.5, Qwen3 and Phi 3")
def _():
    return compare(trl_templates(), conversations())


@check("50 conversations by the form of Llama 2")
def _():
    return compare({"llama2": LLAMA_2}, conversations())


@check("400 more conversations by all of these")
def _():
    own = {path.stem: path.read_text(encoding="utf-8") for path in (FIXTURES / "templates").glob("*.jinja")}
    return compare({**own, **trl_templates(), "llama2": LLAMA_2}, conversations(450, seed=1)[50:])


@check("50 conversations by templates out of llama.cpp's source")
def _():
    if not (source := os.environ.get("WEBALIGN_LLAMA_SOURCE")):
        raise Skip("WEBALIGN_LLAMA_SOURCE names no unpacked source of llama.cpp")
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
