"""Compares adapters that webalign exported as GGUF, in llama.cpp on a base model written by gguf-py, with PEFT on the same model."""

import copy

from peft import PeftModel

from interop import agree, check, cli, fixture_model, main, need, token_ids, webalign_logits, with_tokenizer, work
from peft_made import MADE, load, logits_of, peft_made

# llama.cpp's CPU kernels read GELU from a float16 table (11 significant bits).
GELU = {"gemma2": 5e-4, "gemma3": 5e-4, "gpt2": 5e-4}
# Long enough for every rotary frequency, and shorter than the windows of Mistral, Qwen2 and Phi-3, which llama.cpp lacks.
SEQUENCES = token_ids(5, 32, 97)
SHORT = token_ids(40, 5, 97)


def gemma_as_llama_cpp_has_it(name):
    """A Gemma with the query scale of published models, which llama.cpp assumes; the fixtures use another one."""
    from fixture_architectures import MODELS, add_random_lora, random_model

    config = copy.deepcopy(MODELS[name]())
    config.query_pre_attn_scalar = config.head_dim
    folder = work / f"{name}-llama"
    model = random_model(config, 7051)
    model.save_pretrained(folder)
    add_random_lora(model, 7053).save_pretrained(folder / "adapter")
    return with_tokenizer(folder)


MODELS = {
    "tiny-llama": (lambda: fixture_model("tiny-llama"), SEQUENCES),
    "llama3": (lambda: fixture_model("llama3"), SEQUENCES),
    "smollm2": (lambda: fixture_model("smollm2"), SEQUENCES),
    "mistral": (lambda: fixture_model("mistral"), SHORT),
    "qwen2": (lambda: fixture_model("qwen2"), SHORT),
    "qwen3": (lambda: fixture_model("qwen3"), SEQUENCES),
    "gemma2": (lambda: gemma_as_llama_cpp_has_it("gemma2"), SEQUENCES),
    "gemma3": (lambda: gemma_as_llama_cpp_has_it("gemma3"), SEQUENCES),
    "gpt2": (lambda: fixture_model("gpt2"), SEQUENCES),
    "granite": (lambda: fixture_model("granite"), SEQUENCES),
    "smollm3": (lambda: fixture_model("smollm3"), SEQUENCES),
    "olmo2": (lambda: fixture_model("olmo2"), SEQUENCES),
    "phi3": (lambda: fixture_model("phi3"), SHORT),
}


def peft_logits(folder, adapter, sequences):
    return logits_of(PeftModel.from_pretrained(load(folder), adapter).eval(), sequences)


def exported(model, adapter, out):
    cli("export", "--format", "gguf", "--model", model, "--adapter", adapter, "--out", out, "--overwrite")
    return out / "adapter.gguf"


for name, (folder_of, sequences) in MODELS.items():

    @check(f"{name}: the adapter exported as GGUF gives the same logits in llama.cpp")
    def _(name=name, folder_of=folder_of, sequences=sequences):
        need("llama_cpp")
        from gguf_model import llama_logits, write_gguf

        model = folder_of()
        base = write_gguf(model, work / f"{name}.gguf")
        lora = exported(model, model / "adapter", work / f"{name}-gguf")
        plain, adapted = llama_logits(base, sequences), llama_logits(base, sequences, lora)
        theirs = peft_logits(model, model / "adapter", sequences)
        job = {"model": model, "sequences": sequences}
        ours, ours_plain = webalign_logits({**job, "adapters": [{"path": model / "adapter"}]}, job)
        bound = GELU.get(name, 1e-4)
        figures = [agree(found, here, bound) for found, here in ((plain, ours_plain), (adapted, ours), (adapted, theirs))]
        return "base {}; adapter {}; PEFT and llama.cpp {}".format(*figures)


@check("tiny-llama: rsLoRA and per-layer ranks and alphas, exported as GGUF, give PEFT's logits in llama.cpp")
def _():
    need("llama_cpp")
    from gguf_model import llama_logits, write_gguf

    model = fixture_model("tiny-llama")
    base = write_gguf(model, work / "base.gguf")
    figures = []
    for kind in ("rsLoRA", "ranks and alphas by pattern"):
        folder = work / f"peft-{kind.replace(' ', '-')}"
        peft_made(load(model), **MADE[kind][1]).save_pretrained(folder)
        lora = exported(model, folder, work / f"{folder.name}-gguf")
        figures.append(agree(llama_logits(base, SEQUENCES, lora), peft_logits(model, folder, SEQUENCES)))
    return "; ".join(figures)


main(__name__)
