"""Does the prediction hang on the attention at all? Controls for models with one attention layer.

Where the answer is nearly the same with any other attention, attention explains nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..batching import length_batches
from ..classifier import class_probabilities, evaluating, problem_type
from ..data import LabelledTexts
from ..encoding import encode, longest_text, model_inputs, padding_id
from ..errors import IncompatibleError, InvalidInputError
from .statistics import Interval, mean_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AttentionControls:
    """Controls of the attention of N texts, float64 (N,) each; NaN for texts of one token or none.

    Distances are those of the outputs from the model's own: total variation for a softmax, the
    largest difference of a label's probability for multi-label, of the value for regression.

    Attributes:
        entropy: Of the attention over log n for n tokens, mean over hops: 1 is uniform, 0 all on
            one token.
        conicity: Mean cosine of the hidden states with their mean: near 1 they all point one way,
            and attention to one is attention to any (Mohankumar et al. 2020, section 3.1).
        uniform_distance: With uniform attention instead (Wiegreffe & Pinter 2019, section 3.2).
        uniform_flips: 1 where that changes the decision, else 0; NaN for regression.
        permuted_distance: With attention shuffled within the text, median over permutations (Jain &
            Wallace 2019, section 4.2.1).
        permuted_flips: Share of the permutations that change the decision; NaN for regression.
    """

    entropy: Floats
    conicity: Floats
    uniform_distance: Floats
    uniform_flips: Floats
    permuted_distance: Floats
    permuted_flips: Floats


@dataclass(frozen=True)
class _Pooling:
    """A batch at the point where attention pools: B texts, T tokens, r hops, D values."""

    rows: list[int]
    mask: Tensor  # bool (B, T)
    hidden: Tensor  # (B, T, H)
    values: Tensor  # (B, T, D)
    attention: Tensor  # (B, r, T)

    @property
    def uniform(self) -> Tensor:
        """The same attention on all tokens of a text, (B, r, T)."""
        count = self.mask.sum(1).clamp(min=1)[:, None, None]
        return (self.mask[:, None, :].to(self.values.dtype) / count).expand_as(self.attention)

    def pooled(self, attention: Tensor) -> Tensor:
        """Values pooled by some attention, hop after hop: (B, r * D)."""
        return (attention @ self.values).flatten(1)


@torch.no_grad()
def attention_controls(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    permutations: int = 100,
    thresholds: Floats | None = None,
    seed: int = 0,
) -> AttentionControls:
    """Measure how far a self-attentive model's answers depend on its attention.

    Args:
        model: A self-attentive classifier.
        tokenizer: Its tokenizer.
        texts: N texts.
        permutations: Of each text's attention, each hop by itself.
        thresholds: Of a multi-label model, (C,).
        seed: Seed of the permutations.

    Raises:
        IncompatibleError: If the model is of another type.
    """
    chance = torch.Generator().manual_seed(seed)
    found = np.full((6, len(texts)), np.nan)
    for batch in _poolings(model, tokenizer, texts):
        own = _outputs(model, batch.pooled(batch.attention))
        uniform = _outputs(model, batch.pooled(batch.uniform))
        permuted = [
            _outputs(model, batch.pooled(_shuffled(batch, chance))) for _ in range(permutations)
        ]
        several = (batch.mask.sum(1) > 1).cpu().numpy()
        columns = [
            _entropy(batch),
            _conicity(batch),
            _distance(own, uniform, model),
            _flips(own, uniform, model, thresholds),
            np.median([_distance(own, other, model) for other in permuted], axis=0),
            np.mean([_flips(own, other, model, thresholds) for other in permuted], axis=0),
        ]
        found[:, batch.rows] = np.where(several, np.array(columns), np.nan)
    return AttentionControls(*found)


@dataclass(frozen=True)
class Refit:
    """Accuracy of a head fitted again on pooled values, by cross-validation.

    Attributes:
        learned: With the model's attention.
        uniform: With uniform attention.
        gain: learned - uniform, with its 95% interval over texts.
    """

    learned: float
    uniform: float
    gain: Interval


@torch.no_grad()
def frozen_attention_refit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: LabelledTexts,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Refit:
    """Fit the head anew on values pooled by the model's attention, and by uniform attention.

    A cheap form of the uniform-attention baseline of Wiegreffe & Pinter 2019 (section 3.2): encoder
    and values stay as they were trained; only the head, a logistic regression, is fitted on the
    given texts. If uniform attention does as well, the task does not need this attention.

    Args:
        model: A self-attentive classifier.
        tokenizer: Its tokenizer.
        texts: Texts with one label each, new to the model.
        folds: Of the cross-validation.
        seed: Seed of the folds.

    Raises:
        IncompatibleError: If the model is of another type.
        InvalidInputError: If the texts do not have one label each, or fewer than two of them occur.
    """
    if not texts.labelled or texts.problem_type != "single_label_classification":
        raise InvalidInputError(
            "The head can be fitted again only on texts with one label each; these have "
            + (f"{texts.problem_type} labels." if texts.labelled else "none.")
        )
    gold = np.array(texts.dataset["label"][:])
    if len(np.unique(gold)) < 2 or len(gold) < 2 * folds:
        raise InvalidInputError(
            f"{len(gold)} texts with {len(np.unique(gold))} different labels are too few to fit a "
            f"head on {folds} folds. Give more texts."
        )
    pooled: dict[int, tuple[Floats, Floats]] = {}
    for batch in _poolings(model, tokenizer, texts.dataset["text"][:]):
        pairs = (batch.pooled(batch.attention), batch.pooled(batch.uniform))
        for row, *features in zip(batch.rows, *(_numpy(one) for one in pairs), strict=True):
            pooled[row] = (features[0], features[1])
    right = []
    for which in (0, 1):
        table = np.array([pooled[row][which] for row in range(len(gold))])
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        parts = KFold(folds, shuffle=True, random_state=seed)
        right.append(cross_val_predict(head, table, gold, cv=parts) == gold)
    difference = right[0].astype(float) - right[1].astype(float)
    return Refit(float(right[0].mean()), float(right[1].mean()), mean_interval(difference))


def _poolings(
    model: Any, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> Iterator[_Pooling]:
    # A model loaded as remote code is another class of the same type.
    if model.config.model_type != "self_attentive":
        raise IncompatibleError(
            f"A {model.config.model_type!r} model has many layers of attention, and its prediction "
            "does not follow from one of them; the attention of a self_attentive model can be "
            "exchanged. Test its attention by erasing words instead."
        )
    encoded = encode(tokenizer, texts, longest_text(model, tokenizer))
    pad = padding_id(model, tokenizer)
    with evaluating(model):
        for rows in length_batches([len(text.ids) for text in encoded]):
            inputs = model_inputs(model, [encoded[row] for row in rows], pad)
            base = model.self_attentive
            output = base(**inputs, output_attentions=True)
            values = base.values(*output.value_parts)
            mask = inputs["attention_mask"].bool()
            yield _Pooling(rows, mask, output.last_hidden_state, values, output.attentions[0])


def _shuffled(batch: _Pooling, chance: torch.Generator) -> Tensor:
    """Attention in random order within each text and hop, (B, r, T)."""
    noise = torch.rand(batch.attention.shape, generator=chance).to(batch.attention.device)
    # Padding sorts last, where the text's own padding is too.
    return batch.attention.gather(2, noise.masked_fill(~batch.mask[:, None, :], 2.0).argsort(2))


def _outputs(model: Any, pooled: Tensor) -> Floats:
    logits = _numpy(model.classifier(pooled))
    kind = problem_type(model)
    return logits if kind == "regression" else class_probabilities(logits, kind)


def _distance(one: Floats, other: Floats, model: PreTrainedModel) -> Floats:
    difference = np.abs(one - other)
    if problem_type(model) == "single_label_classification":
        return difference.sum(1) / 2
    return difference.max(1)


def _flips(one: Floats, other: Floats, model: PreTrainedModel, thresholds: Floats | None) -> Floats:
    kind = problem_type(model)
    if kind == "regression":
        return np.full(len(one), np.nan)
    if kind == "single_label_classification":
        return (one.argmax(1) != other.argmax(1)).astype(np.float64)
    limits = 0.5 if thresholds is None else thresholds
    return ((one >= limits) != (other >= limits)).any(1).astype(np.float64)


def _entropy(batch: _Pooling) -> Floats:
    weights = batch.attention.double()
    entropy = -(weights * weights.clamp(min=1e-300).log()).sum(2).mean(1)
    count = batch.mask.sum(1).clamp(min=2).double()
    return _numpy(entropy / count.log())


def _conicity(batch: _Pooling) -> Floats:
    count = batch.mask.sum(1).clamp(min=1)
    hidden = batch.hidden.double()  # 0 at padding
    mean = hidden.sum(1, keepdim=True) / count[:, None, None]
    cosine = torch.nn.functional.cosine_similarity(hidden, mean, dim=2)
    return _numpy((cosine * batch.mask).sum(1) / count)


def _numpy(values: Tensor) -> Floats:
    return values.double().cpu().numpy()
