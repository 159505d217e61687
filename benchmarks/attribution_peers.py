"""Token attributions of a classifier by other libraries, called as their manuals say.

Each function takes texts and a `Subject` and returns, where its terms can be held against ours, a
list of float (words, C) arrays, one a text; the others return None.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast, pipeline

from hf_attn_attr.attribution.embedding_gradients import embedding_module
from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.encoding import Encoded, encode, longest_text, owners

Terms = list[NDArray[Any]] | None
CAPTUM_BATCH = 16  # texts that are padded together, in the order given
ROWS = (
    8  # of one text in a pass, for methods that need many; then few texts share it, of like length
)
UNIT_TOKENS = 512  # a pass of the unit: hardly any padding, and larger ones are no faster


@dataclass(frozen=True)
class Subject:
    """What is explained, and the settings that all share.

    Attributes:
        model: An encoder with a classification head.
        tokenizer: Its tokenizer.
        steps: Of integrated gradients.
        batch_tokens: Padded tokens of a pass, at most.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    steps: int
    batch_tokens: int

    @property
    def classes(self) -> range:
        """The classes to attribute: all."""
        return range(self.model.config.num_labels)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokens and the words they belong to."""
        return encode(self.tokenizer, texts, longest_text(self.model, self.tokenizer))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One batched forward pass, texts of like length together: float32 (N, C)."""
        ids = [text.ids for text in self.encode(texts)]
        found = np.zeros((len(ids), len(self.classes)), np.float32)
        with torch.no_grad():
            for rows in length_batches([len(one) for one in ids], UNIT_TOKENS):
                inputs = padded([ids[row] for row in rows], self.tokenizer.pad_token_id)
                found[rows] = self.model(**inputs).logits.numpy()
        return found

    def tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all the texts, special ones included."""
        return sum(len(text.ids) for text in self.encode(texts))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, in the form captum wants."""
        return self.model(input_ids=ids, attention_mask=mask).logits


@dataclass(frozen=True)
class Batch:
    """A padded batch for captum: token ids, mask and owners, (b, T) each, and the most rows."""

    texts: list[int]
    ids: torch.Tensor
    mask: torch.Tensor
    owner: torch.Tensor
    rows: int


def in_order(subject: Subject, encoded: Sequence[Encoded]) -> Iterator[Batch]:
    """Texts as they come, padded to the longest of each batch."""
    for start in range(0, len(encoded), CAPTUM_BATCH):
        texts = list(range(start, min(start + CAPTUM_BATCH, len(encoded))))
        yield _batch(subject, encoded, texts)


def by_length(subject: Subject, encoded: Sequence[Encoded], rows: int = 1) -> Iterator[Batch]:
    """Texts of like length together, as many as leave room for `rows` of each in a pass."""
    for texts in length_batches([len(text.ids) for text in encoded], subject.batch_tokens // rows):
        yield _batch(subject, encoded, texts)


def one_by_one(subject: Subject, encoded: Sequence[Encoded]) -> Iterator[Batch]:
    """A text at a time, without padding."""
    return (_batch(subject, encoded, [text]) for text in range(len(encoded)))


Batching = Callable[[Subject, Sequence[Encoded]], Iterator[Batch]]


def _batch(subject: Subject, encoded: Sequence[Encoded], texts: list[int]) -> Batch:
    chosen = [encoded[text] for text in texts]
    inputs = padded([text.ids for text in chosen], subject.tokenizer.pad_token_id)
    ids = inputs["input_ids"]
    rows = max(1, subject.batch_tokens // ids.shape[1])
    return Batch(texts, ids, inputs["attention_mask"], owners(chosen, ids.shape[1]), rows)


def captum_integrated_gradients(
    subject: Subject, texts: Sequence[str], batching: Batching
) -> Terms:
    """`LayerIntegratedGradients` of the embeddings, from the padding token, class by class."""
    from captum.attr import LayerIntegratedGradients

    method = LayerIntegratedGradients(subject.forward, embedding_module(subject.model))

    def attribute(batch: Batch, label: int) -> torch.Tensor:
        return method.attribute(
            batch.ids,
            batch.ids.masked_fill(batch.owner >= 0, subject.tokenizer.pad_token_id),
            target=label,
            additional_forward_args=(batch.mask,),
            n_steps=subject.steps,
            method="gausslegendre",
            internal_batch_size=max(batch.rows, len(batch.texts)),
        ).sum(-1)

    return _by_class(subject, texts, batching, attribute)


def captum_input_x_gradient(subject: Subject, texts: Sequence[str], batching: Batching) -> Terms:
    """`LayerGradientXActivation` of the embeddings, class by class."""
    from captum.attr import LayerGradientXActivation

    method = LayerGradientXActivation(subject.forward, embedding_module(subject.model))

    def attribute(batch: Batch, label: int) -> torch.Tensor:
        found = method.attribute(batch.ids, label, additional_forward_args=(batch.mask,))
        return found.sum(-1)

    return _by_class(subject, texts, batching, attribute)


def captum_feature_ablation(subject: Subject, texts: Sequence[str], batching: Batching) -> Terms:
    """`FeatureAblation` of words by the mask token, class by class."""

    def attribute(batch: Batch, label: int) -> torch.Tensor:
        return _first_tokens(_ablation(subject, batch, label), batch.owner)

    return _by_class(subject, texts, batching, attribute)


def captum_all_classes_at_once(subject: Subject, texts: Sequence[str]) -> Terms:
    """`FeatureAblation` of one text after the other, its classes as the outputs of one call.

    This is as few passes as it can do; the manual speaks of one output for each text.
    """
    encoded = subject.encode(texts)
    found = []
    for batch in one_by_one(subject, encoded):
        terms = _ablation(subject, batch, None).double()  # (C, T)
        found.append(_words(_first_tokens(terms, batch.owner).T.numpy(), batch.owner[0].numpy()))
    return found


def _ablation(subject: Subject, batch: Batch, label: int | None) -> torch.Tensor:
    from captum.attr import FeatureAblation

    with torch.no_grad():
        return FeatureAblation(subject.forward).attribute(
            batch.ids,
            baselines=subject.tokenizer.mask_token_id,
            target=label,
            additional_forward_args=(batch.mask,),
            feature_mask=batch.owner + 1,  # feature 0 is what no word owns
            perturbations_per_eval=max(1, batch.rows // len(batch.texts)),
        )


def _first_tokens(terms: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Each word's difference at its first token alone: captum writes it at all of them."""
    again = torch.nn.functional.pad(owner, (1, 0), value=-1)[:, :-1] == owner
    return terms.masked_fill(again | (owner < 0), 0)


def _by_class(
    subject: Subject,
    texts: Sequence[str],
    batching: Batching,
    attribute: Callable[[Batch, int], torch.Tensor],
) -> Terms:
    encoded = subject.encode(texts)
    found: list[Any] = [None] * len(encoded)
    for batch in batching(subject, encoded):
        terms = torch.stack([attribute(batch, label) for label in subject.classes], -1)
        for row, text in enumerate(batch.texts):
            found[text] = _words(terms[row].detach().double().numpy(), batch.owner[row].numpy())
    return found


def _words(terms: NDArray[Any], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over the tokens of each word: (words, C)."""
    total = np.zeros((owner.max(initial=-1) + 1, terms.shape[1]))
    np.add.at(total, owner[owner >= 0], terms[owner >= 0])
    return total


def transformers_interpret(subject: Subject, texts: Sequence[str]) -> Terms:
    """`SequenceClassificationExplainer`, a text and a class at a time."""
    from transformers_interpret import SequenceClassificationExplainer

    explain = SequenceClassificationExplainer(subject.model, subject.tokenizer)
    for text in texts:
        for label in subject.classes:
            explain(text, index=label, n_steps=subject.steps)
    return None


def shap_text(subject: Subject, texts: Sequence[str], **settings: Any) -> Terms:
    """The `Explainer` of shap for a pipeline, for all classes; `settings` of the call."""
    import shap

    classify = pipeline(
        "text-classification", model=subject.model, tokenizer=subject.tokenizer, top_k=None,
        batch_size=settings.get("batch_size", 1),
    )  # fmt: skip
    shap.Explainer(classify)(list(texts), silent=True, **settings)
    return None


def lime_text(subject: Subject, texts: Sequence[str], **settings: Any) -> Terms:
    """`LimeTextExplainer`, for all classes; `settings` of the call."""
    from lime.lime_text import LimeTextExplainer

    def probabilities(changed: Sequence[str]) -> NDArray[Any]:
        shifted = np.exp(subject.logits(changed))
        return shifted / shifted.sum(1, keepdims=True)

    explainer = LimeTextExplainer(random_state=0)
    for text in texts:
        explainer.explain_instance(text, probabilities, labels=tuple(subject.classes), **settings)
    return None
