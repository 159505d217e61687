"""A corpus in parquet files, and a small classifier."""

import pytest
import torch

from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    measure_gauge,
    train_tokenizer,
)
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.tokenization import save_tokenizer

from .parquet_texts import WORDS, some_texts, write_parquet


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Two files; their row groups, null and empty texts fit no shard. The last shard is short."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = some_texts(8 * CHUNK - 100)
    write_parquet(folder / "a.parquet", texts[:5000])
    write_parquet(folder / "b.parquet", texts[5000:])
    return folder


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """Folder of a classifier that answers one word, "overflow", with infinity."""
    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = train_tokenizer([" ".join(WORDS), "overflow"] * 2)
    torch.manual_seed(0)
    model = SelfAttentiveForSequenceClassification(
        SelfAttentiveConfig(
            vocab_size=len(tokenizer),
            num_labels=3,
            embedding_size=12,
            hidden_size=8,
            char_ngram_buckets=0,
            max_length=24,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4)
        measure_gauge(model, tokenizer, [" ".join(WORDS[i : i + 9]) for i in range(0, 300, 3)])
        overflow = tokenizer.convert_tokens_to_ids("overflow")
        model.get_input_embeddings().weight[overflow] = 3e38
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, str(folder))
    return folder
