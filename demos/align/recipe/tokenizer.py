"""Trains the byte-level BPE tokenizer on the training stories and writes its two files.

All 256 bytes are in the vocabulary, so every text has ids. BOS is added by the
post-processor, EOS never is. It never sees the held-out stories.
"""
import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from stories import real_stories

BOS, EOS, PAD = "<s>", "</s>", "<pad>"


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--stories", default="../shared/data/tinystories.txt")
    cli.add_argument("--out", default="demos/align/model")
    cli.add_argument("--vocab", type=int, default=1024)
    args = cli.parse_args()
    training, held_out = real_stories(args.stories)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        training,
        trainers.BpeTrainer(
            vocab_size=args.vocab,
            special_tokens=[PAD, BOS, EOS],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[(BOS, bos)]
    )

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")

    counts = [len(e.ids) - 1 for e in tokenizer.encode_batch(held_out)]
    size = sum(len(s.encode()) for s in held_out)
    assert all(tokenizer.decode(tokenizer.encode(s).ids) == s for s in held_out[:50])
    print(f"vocabulary {tokenizer.get_vocab_size()}, {size / sum(counts):.2f} bytes a token, longest story {max(counts)} tokens")


if __name__ == "__main__":
    main()
