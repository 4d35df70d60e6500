"""Compares ids and decoded texts of every kind of tokenizer with the tokenizers library: no text may differ.

The kinds are those of fixture_tokenizers.py: the steps of common tokenizers, with vocabularies trained here on the data in ../shared.
The texts are those of the data and 30,000 random ones with the characters of Unicode 15.0 (from the package unicodedata2; without
it, of the version of this Python). Steps that use tables of characters are tested with every character.
"""

import importlib
import importlib.util
import json
import random
import unicodedata
from functools import cache

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from interop import HERE, ROOT, SHARED, check, main, need, node, work

from fixture_tokenizers import HARD, kinds, random_texts, result  # noqa: E402, of the fixtures
from fixture_tokens import TEXTS  # noqa: E402

DATA = SHARED / "data"
RANDOM = 30_000
#: Extra tokens compared with the fixtures, and the number of lines that vocabularies are trained on.
MORE, LINES = 3000, 4000
KINDS = list(json.loads((ROOT / "test/fixtures/tokenizers.json").read_text(encoding="utf-8"))["kinds"])


@cache
def unicode():
    return importlib.import_module("unicodedata2") if importlib.util.find_spec("unicodedata2") else unicodedata


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


@cache
def data_texts():
    """Every text of the data, without duplicates."""
    need(DATA)
    found = {}
    for path in sorted(DATA.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            found.update(dict.fromkeys(strings(json.loads(line))))
    stories = need(DATA / "tinystories.txt").read_text(encoding="utf-8").split("<|endoftext|>")
    return [*found, *stories]


@cache
def texts():
    made = TEXTS + HARD + data_texts() + random_texts(RANDOM, seed=1, data=unicode())
    (work / "texts.json").write_text(json.dumps(made))
    return made


@cache
def trained():
    lines = random.Random(0).sample(data_texts(), LINES) + HARD * 3
    return kinds(lines, MORE)


def ours(tokenizer, file, decode):
    folder = work / "tokenizer"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (work / "jobs.json").write_text(json.dumps([{"tokenizer": str(folder), "file": str(file), "decode": decode}]))
    node(HERE / "tokens.mjs", work / "jobs.json", work / "ids.json")
    return json.loads((work / "ids.json").read_text())[0]


def compare(tokenizer):
    given = texts()
    tokens = 0
    for text, mine in zip(given, ours(tokenizer, work / "texts.json", True), strict=True):
        theirs = result(tokenizer, text)
        expected = [*theirs, theirs[-1]][:3]
        assert mine == expected, f"{text!r}: {mine} instead of {expected}"
        tokens += len(expected[0])
    return f"0 of {len(given)} texts differ ({RANDOM} random, Unicode {unicode().unidata_version}), {tokens} tokens, tokenizers {tokenizers.__version__}"


for kind in KINDS:

    @check(f"a tokenizer with the steps of {kind} gives the library's ids and decoded texts")
    def _(kind=kind):
        return compare(trained()[kind])


ORIGINALS = {"stories260K": SHARED / "models/stories260K", "the embedded model": ROOT / "demos/align/model"}

for name, folder in ORIGINALS.items():

    @check(f"the tokenizer of {name} gives the library's ids and decoded texts")
    def _(folder=folder):
        return compare(Tokenizer.from_file(str(need(folder / "tokenizer.json"))))


#: Steps that change a character (NORMALIZERS) or split the text at it (PRE_TOKENIZERS).
NORMALIZERS = {
    "NFC": normalizers.NFC(), "NFD": normalizers.NFD(), "NFKC": normalizers.NFKC(), "NFKD": normalizers.NFKD(), "Lowercase": normalizers.Lowercase(),
    "StripAccents": normalizers.StripAccents(), "Strip": normalizers.Sequence([normalizers.Replace("a", ""), normalizers.Strip()]), "Nmt": normalizers.Nmt(),
    "BertNormalizer": normalizers.BertNormalizer(), "accents of BertNormalizer": normalizers.BertNormalizer(strip_accents=True, lowercase=False),
}  # fmt: skip
PRE_TOKENIZERS = {
    "Digits": pre_tokenizers.Digits(), "Punctuation": pre_tokenizers.Punctuation(), "Whitespace": pre_tokenizers.Whitespace(), "WhitespaceSplit": pre_tokenizers.WhitespaceSplit(),
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer(), "ByteLevel": pre_tokenizers.ByteLevel(add_prefix_space=False),
    **{f"Split by {pattern}": pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (r"\d", r"\s", r"\w", r"\p{N}", r"\p{L}", r"\p{P}", r"\p{S}", r"\p{Lu}", r"\p{M}", "(?i)[a-zα-ωſk]", r"\b", r"[[:alnum:]]", r"[[:punct:]]")},
}  # fmt: skip


def of_words():
    """A model that shows where a text was split: each piece other than `a` becomes one unknown token."""
    return Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, "<unk>"))


def of_bytes():
    """A model with one token per byte of its input."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


def every_character(tokenizer):
    known = unicode()
    characters = [chr(code) for code in range(0x110000) if known.category(chr(code)) not in ("Cn", "Cs", "Co")]
    given = [f"a{character}a{character}" for character in characters]
    (work / "characters.json").write_text(json.dumps(given))
    theirs = [encoding.ids for encoding in tokenizer.encode_batch(given)]
    different = [f"U+{ord(text[1]):04X}" for text, mine, expected in zip(given, ours(tokenizer, work / "characters.json", False), theirs, strict=True) if mine != expected]
    assert not different, f"{len(different)} characters: {', '.join(different[:20])}"
    return f"0 of {len(given)} characters differ, Unicode {known.unidata_version}"


for name, step in NORMALIZERS.items():

    @check(f"{name} treats every character as the library does")
    def _(step=step):
        tokenizer = of_bytes()
        tokenizer.normalizer = step
        return every_character(tokenizer)


for name, step in PRE_TOKENIZERS.items():

    @check(f"{name} treats every character as the library does")
    def _(name=name, step=step):
        tokenizer = of_words()
        tokenizer.pre_tokenizer = step
        return every_character(tokenizer)


main(__name__)
