"""Small real classifiers of several architectures, with real tokenizers of three kinds."""

import re
from functools import cache

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    measure_gauge,
    train_tokenizer,
)

TEXTS = [
    "I love this wonderful film, truly.",
    "What a dreadful, dreadful mess!!!",
    "unbelievably dull",
    "fine",
    "日本 cafe\u0301 👍🏽 and  more\n",
]
LABELS = {0: "anger", 1: "joy", 2: "love"}
TOKENIZER_OF = {
    "bert": "wordpiece",
    "distilbert": "wordpiece",
    "roberta": "bytes",
    "modernbert": "bytes",
    "deberta": "unigram",
    "gpt2": "bytes",
    "ours": "words",
}
ENCODERS = ["bert", "distilbert", "roberta", "modernbert", "deberta"]


def pieces(start="", inside=""):
    """Word pieces of the texts, the same in every process, which a trainer's are not."""
    words = {word for text in TEXTS for word in re.findall(r"\w+|[^\w\s]", text.lower())}
    words |= {"I", "What"}
    found = {start + character for word in words for character in word}
    found |= {inside + character for word in words for character in word}
    for word in words:
        found |= {start + word[:3], *(inside + word[at : at + 3] for at in range(3, len(word), 3))}
    return sorted(found)


@cache
def tokenizer(kind):
    """A tokenizer that knows the texts: wordpiece, bytes (BPE), unigram or words (ours)."""
    if kind == "words":
        return train_tokenizer(TEXTS * 2, unknown="pieces")
    if kind == "wordpiece":
        names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        vocabulary = dict.fromkeys([*names.values(), *pieces(inside="##")])
        vocabulary = {piece: number for number, piece in enumerate(vocabulary)}
        backend = Tokenizer(models.WordPiece(vocabulary, unk_token=names["unk"]))
        backend.normalizer = normalizers.BertNormalizer()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        # RoBERTa counts positions from the padding index on, so it must be 1 as in the config.
        names = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
        if kind == "bytes":
            backend = Tokenizer(models.BPE())
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            trainer = trainers.BpeTrainer(
                special_tokens=list(names.values()),
                show_progress=False,
                vocab_size=300,
                initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            )
            backend.train_from_iterator(TEXTS, trainer)
        else:
            scores = dict.fromkeys(names.values(), 0.0)
            scores |= {piece: -8.0 + len(piece) for piece in ["▁", *pieces(start="▁")]}
            backend = Tokenizer(models.Unigram(list(scores.items()), unk_id=3))
            backend.normalizer = normalizers.NFKC()
            backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens(list(names.values()))
    cls, sep = names["cls"], names["sep"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        special_tokens=[(name, backend.token_to_id(name)) for name in (cls, sep)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=10**9,
        **{f"{role}_token": name for role, name in names.items()},
    )


def build(name, problem="single_label_classification", **fields):
    """A model in eval mode with weights large enough that nothing is nearly linear."""
    words = tokenizer(TOKENIZER_OF[name])
    labels = {0: "value"} if problem == "regression" else LABELS
    common = {
        "vocab_size": len(words),
        "id2label": labels,
        "label2id": {label: index for index, label in labels.items()},
        "problem_type": problem,
        "pad_token_id": words.pad_token_id,
    }
    wide = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 128,
        **fields,
    }
    torch.manual_seed(0)
    if name == "bert":
        model = BertForSequenceClassification(BertConfig(**common, **wide))
    elif name == "roberta":
        model = RobertaForSequenceClassification(RobertaConfig(**common, **wide))
    elif name == "deberta":
        model = DebertaV2ForSequenceClassification(
            DebertaV2Config(**common, **wide, relative_attention=True, pos_att_type=["p2c", "c2p"])
        )
    elif name == "distilbert":
        model = DistilBertForSequenceClassification(
            DistilBertConfig(
                **common, dim=16, n_layers=2, n_heads=2, hidden_dim=24, seq_classif_dropout=0.1,
                max_position_embeddings=128, **fields,
            )
        )  # fmt: skip
    elif name == "modernbert":
        special = {"cls_token_id": 0, "bos_token_id": 0, "sep_token_id": 2, "eos_token_id": 2}
        model = ModernBertForSequenceClassification(
            ModernBertConfig(**common, **wide, **special, local_attention=8)
        )
    elif name == "gpt2":
        model = GPT2ForSequenceClassification(
            GPT2Config(
                **common,
                bos_token_id=0,
                eos_token_id=2,
                n_embd=16,
                n_layer=2,
                n_head=2,
                n_positions=128,
                **fields,
            )
        )
    else:
        model = SelfAttentiveForSequenceClassification(
            SelfAttentiveConfig(
                **common, embedding_size=12, hidden_size=8, num_attention_hops=2,
                char_ngram_buckets=50, **fields,
            )
        )  # fmt: skip
        model.set_char_ngrams(words)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    if name == "ours" and not model.config.head_hidden_size:
        measure_gauge(model, words, TEXTS)
    return model.double().eval()
