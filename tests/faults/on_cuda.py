"""The same texts on the CPU and on CUDA, for the test that compares them.

python on_cuda.py FOLDER

Writes FOLDER/found.json, a list of `[what, difference, size]`: the largest difference of any
number, and the largest number, at least 1. Without a CUDA device it writes nothing.
"""

import json
import random
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from attribution.zoo import TEXTS, TOKENIZER_OF, build, tokenizer
from datasets import Dataset
from test_extraction import make
from transformers import pipeline

from hf_attn_attr import extract, fold, train_tokenizer
from hf_attn_attr.attribution import METHODS
from hf_attn_attr.data import load_labelled
from hf_attn_attr.demo.sentences import load_sentences
from hf_attn_attr.loading import load_model
from hf_attn_attr.workflow import run

FLOATS = ("attention", "attribution", "attribution_context", "probabilities")
OURS = (
    {},
    {"num_attention_hops": 2, "value_source": "both"},
    {"rnn_type": "gru", "attention_type": "key_value", "num_hidden_layers": 2},
    {"value_source": "both_gated", "num_attention_hops": 4},
)


def flat(values):
    """All numbers of a column of lists, which holds None where there is none."""
    return np.array([number for row in values for number in row or ()], np.float64)


def compared(what, here, there):
    """One line of the answer."""
    here, there = np.asarray(here, np.float64), np.asarray(there, np.float64)
    return [what, np.abs(here - there).max(initial=0), max(1.0, np.abs(here).max(initial=0))]


def columns(what, model, words, texts, method):
    """Every column of numbers, and the influence of the 20 top words of each label."""
    dataset = Dataset.from_dict({"text": texts})
    here = extract(dataset, model.cpu(), words, method=method)
    there = extract(dataset, model.cuda(), words, method=method)
    for name in set(FLOATS) & set(here.column_names):
        yield compared(f"{what}: {name}", flat(here[name][:]), flat(there[name][:]))
    one, other = fold(here), fold(there)
    by = "joint" if method == "attention" else "lower_bound"
    for label in one.labels:
        left, right = (matrix.top_words(label, 20, by=by)[by] for matrix in (one, other))
        yield compared(f"{what}: top words of {label}", left, right)
    if method == "contribution":
        yield from answers(what, model, words, texts)


def answers(what, model, words, texts):
    """A pipeline on CUDA, text by text and in batches, and the model's logits on the CPU."""
    ask = pipeline("text-classification", model=model, tokenizer=words, top_k=None, device=0)
    asked = [text for text in texts if text]

    def scores(batch_size):
        found = ask(asked, batch_size=batch_size)
        rows = [sorted(row, key=lambda one: one["label"]) for row in found]
        return [one["score"] for row in rows for one in row]

    yield compared(f"{what}: a pipeline's batches", scores(1), scores(16))
    inputs = words(asked, padding=True, return_tensors="pt")
    with torch.no_grad():
        there = model.cuda()(**inputs.to("cuda")).logits.cpu()
        here = model.cpu()(**inputs.to("cpu")).logits
    yield compared(f"{what}: logits", here.flatten(), there.flatten())


def trained(folder):
    """A model trained on CUDA, its folder, and its columns on either."""
    data = load_labelled(load_sentences())
    result = run(data, output_dir=folder, config={"embedding_size": 64, "hidden_size": 64})
    model, words = load_model(folder)
    assert result.training.model.device.type == "cuda"
    assert model.device.type == "cpu"
    for name, tensor in result.training.model.state_dict().items():
        yield compared(f"trained: {name}", tensor.cpu(), model.state_dict()[name])
    texts = data.dataset["text"][:200]
    yield from columns("trained", model, words, texts, "contribution")


def main():
    """Our models by every method they take, small models of others, and one trained there."""
    if not torch.cuda.is_available():
        return
    draw = random.Random(5)
    vocabulary = ["good", "bad", "film", "day", "a", "very", "dull"]
    lengths = [0, 1, 2, 3, 5, 8, 13, 40, 300] * 8
    texts = [" ".join(draw.choices(vocabulary, k=length)) for length in lengths]
    words = train_tokenizer(texts)
    lines = []
    for (number, fields), method in product(enumerate(OURS), METHODS):
        if method != "attention_rollout" and (number == 0 or method == "contribution"):
            model = make(words, **fields)
            lines += columns(f"ours {number}, {method}", model.eval(), words, texts, method)
    for name, kind in TOKENIZER_OF.items():
        for method in ("integrated_gradients", "occlusion"):
            model = build(name).float()
            lines += columns(f"{name}, {method}", model, tokenizer(kind), TEXTS, method)
    folder = Path(sys.argv[1])
    lines += trained(folder / "run")
    (folder / "found.json").write_text(json.dumps(lines))


if __name__ == "__main__":
    main()
