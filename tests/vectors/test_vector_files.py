"""Vector files of every kind give back what was written, and damage is named."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hf_attn_attr import CorruptArtifactError, IncompatibleError, InvalidInputError, NonFiniteError
from hf_attn_attr.vectors import is_encoder, load_vectors

GLOVE = b"the 0.5 -1\ncat 1.5 2\ndog 3 4\n"


def as_text(row, words, vectors, header):
    lines = [f"{len(words)} {vectors.shape[1]}\n"] if header else []
    for word, vector in zip(words, vectors, strict=True):
        lines.append(row(word, " ".join(repr(float(number)) for number in vector)))
    return "".join(lines).encode()


def as_binary(words, vectors, end):
    rows = (
        word.encode() + b" " + vector.tobytes() + end
        for word, vector in zip(words, vectors, strict=True)
    )
    return f"{len(words)} {vectors.shape[1]}\n".encode() + b"".join(rows)


FORMATS = {
    "glove.txt": lambda w, v: as_text("{} {}\n".format, w, v, header=False),
    "word2vec.txt": lambda w, v: as_text("{} {}\n".format, w, v, header=True),
    "fasttext.vec": lambda w, v: as_text("{} {} \n".format, w, v, header=True),
    "windows.vec": lambda w, v: as_text("{} {}\r\n".format, w, v, header=True),
    "word2vec.bin": lambda w, v: as_binary(w, v, b"\n"),
    "gensim.bin": lambda w, v: as_binary(w, v, b""),
}

file_words = st.text(
    st.characters(codec="utf-8", exclude_characters=" \t\n\r\x0b\x0c"), min_size=1, max_size=8
)


@st.composite
def contents(draw):
    words = draw(st.lists(file_words, min_size=1, max_size=6, unique=True))
    shape = (len(words), draw(st.integers(2, 5)))
    numbers = st.floats(-1e6, 1e6, width=32)
    return words, draw(arrays(np.dtype("<f4"), shape, elements=numbers))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("ending", ["", ".gz"])
@given(content=contents())
@settings(max_examples=25)
def test_every_format_gives_back_its_words_and_vectors(tmp_path_factory, name, ending, content):
    words, vectors = content
    path = tmp_path_factory.getbasetemp() / f"{name}{ending}"
    data = FORMATS[name](words, vectors)
    path.write_bytes(gzip.compress(data) if ending else data)
    read = load_vectors(path, words)
    assert read.words == tuple(words)
    assert np.array_equal(read.vectors, vectors)
    assert read.source == f"read from {path.name}"


def test_binary_rows_may_lie_across_blocks(tmp_path):
    words = [f"word{row}" for row in range(4000)]
    vectors = np.random.default_rng(0).normal(size=(4000, 150)).astype("<f4")
    (tmp_path / "x.bin").write_bytes(as_binary(words, vectors, b"\n"))
    read = load_vectors(tmp_path / "x.bin", words[::7])
    assert read.words == tuple(words[::7])
    assert np.array_equal(read.vectors, vectors[::7])


def test_only_wanted_words_are_kept_and_the_first_row_counts(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"the 0 1\nParis 2 3\nPARIS 4 5\ngreat 6 7\nParis 8 9\ngreats 0 0\n")
    read = load_vectors(path, ["paris", "Great", "absent", "paris"])
    assert read.words == ("Paris", "great")
    assert read.vectors.tolist() == [[2, 3], [6, 7]]
    _, found = read.table(["paris", "Great", "absent"])
    assert found.tolist() == [True, True, False]


def test_words_of_glove_may_hold_spaces(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"the 0 1\n. . . 2 3\nat x@y.z 4 5\n. 6 7\n")
    read = load_vectors(path, [". . .", "at x@y.z", "."])
    assert dict(zip(read.words, read.vectors.tolist(), strict=True)) == {
        ". . .": [2, 3],
        "at x@y.z": [4, 5],
        ".": [6, 7],
    }


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.txt", GLOVE + b"bird 1\n", "line 4: 1 numbers, not 2"),
        ("x.txt", b"3 2\n" + GLOVE.replace(b"dog 3", b"dog"), "line 4: 1 numbers, not 2"),
        ("x.txt", GLOVE.replace(b"dog", b"cat 7"), "line 3: 3 numbers, not 2"),
        ("x.txt", GLOVE.replace(b"1.5", b"1,5"), "line 2: could not convert"),
        ("x.vec", b"4 2\n" + GLOVE, "ends after 3 rows, its header says 4"),
        ("x.vec", b"4 0\n" + GLOVE, "not a file of word vectors"),
        ("x.txt", b"once upon a time\n", "not a file of word vectors"),
        ("x.txt", b"", "not a file of word vectors"),
        ("x.txt", b"\n", "not a file of word vectors"),
        ("x.txt", b"x" * (1 << 22), "not a file of word vectors"),
        ("x.bin", GLOVE, "not a file of word vectors"),
        ("x.bin", b"2 2\n" + b"x" * (1 << 18), "not a file of word vectors"),
        ("x.bin", b"2 2\ncat 12345678\ndog 1234567", "ends after 1 rows, its header says 2"),
        ("x.txt.gz", gzip.compress(GLOVE, mtime=0)[:-12], "cannot be read"),
        ("x.txt.gz", GLOVE, "cannot be read"),
        ("x.txt", b"the 1 2\n", "none of the 1 wanted words"),
        ("x.csv", GLOVE, "not a known kind of vector file"),
        ("x.safetensors", b"abc", "cannot be read"),
    ],
)
def test_damage_is_named(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=reason):
        load_vectors(tmp_path / name, ["cat"])


@pytest.mark.parametrize("name", ["x.txt", "x.bin", "x.vec.gz", "x.safetensors"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(InvalidInputError, match=name):
        load_vectors(tmp_path / name, ["cat"])


@pytest.mark.parametrize("bad", ["nan", "inf", "1e99"])
def test_a_number_that_is_not_finite_is_refused_where_it_is_wanted(tmp_path, bad):
    path = tmp_path / "x.txt"
    path.write_text(f"the 1 2\ncat 1 {bad}\n")
    with pytest.raises(NonFiniteError, match="'cat', number 2"):
        load_vectors(path, ["the", "cat"])
    assert load_vectors(path, ["the"]).words == ("the",)


@given(st.sampled_from([b"", b"2 2\n", b"a 1 2\n"]), st.binary(max_size=80))
@settings(max_examples=300)
def test_arbitrary_bytes_are_read_or_refused(tmp_path_factory, start, data):
    for name in ("fuzz.txt", "fuzz.bin"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(start + data)
        try:
            read = load_vectors(path, ["a"])
        except InvalidInputError:
            continue
        assert set(read.words) <= {"a", "A"}


PIECES = ["[UNK]", "[CLS]", "[SEP]", "un", "##do", "##able", "cat"]
ROWS = np.random.default_rng(0).normal(size=(len(PIECES), 4)).astype(np.float32)


def model_folder(folder, tensors, config=None, table="model.safetensors"):
    """A model2vec model whose tokenizer knows PIECES."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(
        models.WordPiece({piece: row for row, piece in enumerate(PIECES)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.enable_padding(length=8)
    tokenizer.enable_truncation(1)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / table)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("config", [None, {"model_type": "model2vec"}, {"tokenizer_name": "x"}])
def test_a_model2vec_word_is_the_mean_of_its_known_tokens(tmp_path, config):
    folder = model_folder(tmp_path / "model", {"embeddings": ROWS}, config)
    assert not is_encoder(folder)
    read = load_vectors(folder, ["undoable", "cat", "zebra", "cat-un", "cat"])
    assert read.words == ("undoable", "cat", "cat-un")
    assert np.allclose(read.vectors[0], ROWS[[3, 4, 5]].mean(axis=0))
    assert np.allclose(read.vectors[1], ROWS[6])
    assert np.allclose(read.vectors[2], ROWS[[6, 3]].mean(axis=0))  # "-" is unknown
    assert read.source == "read from model"


def test_weights_and_mapping_of_model2vec_are_applied(tmp_path):
    weights = np.arange(1.0, 8.0)
    mapping = np.array([0, 0, 0, 1, 2, 1, 2])
    tensors = {"embeddings": ROWS[:3].astype(np.float16), "weights": weights, "mapping": mapping}
    read = load_vectors(model_folder(tmp_path / "model", tensors), ["undo"])
    wanted = (4 * ROWS[1] + 5 * ROWS[2]) / 2
    assert np.allclose(read.vectors[0], wanted, atol=1e-2)


def test_a_table_of_sentence_transformers_is_found_below(tmp_path):
    model_folder(tmp_path / "0_StaticEmbedding", {"embedding.weight": ROWS})
    read = load_vectors(tmp_path, ["cat"])
    assert np.array_equal(read.vectors[0], ROWS[6])
    assert read.source == f"read from {tmp_path.name}"


def test_a_model2vec_name_is_read_from_what_the_hub_gave(tmp_path, monkeypatch):
    repository = tmp_path / "models--someone--static"
    model_folder(
        repository / "snapshots" / "abc", {"embeddings": ROWS}, {"model_type": "model2vec"}
    )
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    read = load_vectors("someone/static", ["cat"])
    assert np.array_equal(read.vectors[0], ROWS[6])
    assert read.source == "read from someone/static"


@pytest.mark.parametrize("name", ["vocab.txt", "words.txt"])
def test_a_table_with_a_word_list(tmp_path, name):
    save_file({"any": ROWS[:3], "bias": ROWS[0]}, tmp_path / "x.safetensors")
    (tmp_path / name).write_text("the\nParis\n\u2028\n", encoding="utf-8")
    read = load_vectors(tmp_path / "x.safetensors", ["paris", "the"])
    assert read.words == ("the", "Paris")
    assert np.array_equal(read.vectors, ROWS[:2])
    assert read.source == "read from x.safetensors"


@pytest.mark.parametrize(
    ("tensors", "error", "reason"),
    [
        ({"a": ROWS, "b": ROWS}, InvalidInputError, r"2 matrices \(a, b\)"),
        ({"embeddings": ROWS, "weight": ROWS}, InvalidInputError, "2 matrices"),
        ({"a": ROWS[0]}, InvalidInputError, "0 matrices"),
        ({"embeddings": ROWS[:5]}, IncompatibleError, "tokens up to number 6, the table has 5"),
        ({"embeddings": ROWS, "weights": ROWS[0]}, IncompatibleError, "4 weights for 7 tokens"),
        ({"embeddings": ROWS, "mapping": np.array([0, 7])}, IncompatibleError, "rows 0 to 7"),
        ({"embeddings": ROWS, "mapping": np.array([0, -1])}, IncompatibleError, "rows -1 to 0"),
        ({"embeddings": ROWS * np.nan}, NonFiniteError, "'cat'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, tensors, error, reason):
    with pytest.raises(error, match=reason):
        load_vectors(model_folder(tmp_path, tensors), ["cat"])


def test_of_several_matrices_the_one_with_a_known_name_is_read(tmp_path):
    folder = model_folder(tmp_path, {"other": ROWS + 1, "embeddings": ROWS})
    assert np.array_equal(load_vectors(folder, ["cat"]).vectors[0], ROWS[6])


def test_a_table_without_words_or_with_too_few_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"any": ROWS}, path)
    with pytest.raises(InvalidInputError, match="which words its rows are"):
        load_vectors(path, ["cat"])
    (tmp_path / "vocab.txt").write_text("the\ncat\n")
    with pytest.raises(IncompatibleError, match="2 words, the table has 7 rows"):
        load_vectors(path, ["cat"])
    (tmp_path / "vocab.txt").write_bytes(b"\xff\n")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        load_vectors(path, ["cat"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidInputError, match=r"tokenizer\.json cannot be read"):
        load_vectors(path, ["cat"])


def test_a_damaged_config_is_named(tmp_path):
    (model_folder(tmp_path, {"embeddings": ROWS}) / "config.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"config\.json"):
        load_vectors(tmp_path, ["cat"])


def test_no_model_library_is_loaded_for_a_file(tmp_path):
    (tmp_path / "x.txt").write_bytes(GLOVE)
    code = (
        "import sys; from hf_attn_attr.vectors import load_vectors; "
        f"load_vectors({str(tmp_path / 'x.txt')!r}, ['cat']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
