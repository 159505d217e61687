"""How to train, and what training gives back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from transformers import PreTrainedTokenizerFast

from ..data import LabelledTexts
from ..errors import InvalidInputError
from ..models.modeling_self_attentive import SelfAttentiveForSequenceClassification

Source = Any  # whatever `load_labelled` reads
MANY_TEXTS = 40_000
WORDS_IN_ALL, MOST_WORDS_IN_ALL = 4_000_000, 12_000_000
FEWEST_STEPS, FEWEST_WORDS_IN_ALL = 1_200, 800_000
EmbeddingMode = Literal["project", "fine_tune", "two_channel", "frozen"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; what to train is the config.

    Attributes:
        epochs: At most this many passes over the training texts; None for as many as the texts
            need, see `settled`.
        patience: Stop after this many epochs without a better validation metric; None for a third
            of the epochs, at least 3.
        batch_size: Texts per step; None for 32, or 64 where there are very many.
        learning_rate: Peak of the schedule: short warm-up, then linear to 0.
        weight_decay: AdamW's.
        class_weights: "balanced" weighs each class by the inverse of its share; "none" does not.
        averaging: Decay per step of the moving average of the weights, which is what is kept; 0
            keeps the last weights.
        label_smoothing: Share of each target spread evenly over the classes.
        attention_weight: Weight of the cross-entropy between attention and the rationale of a text,
            where it has one, beside the cross-entropy of its label (Mathew et al. 2021); 0 leaves
            rationales alone.
        thresholds: Multi-label thresholds tuned on the validation texts: one for all labels
            ("global"), one each ("per_label"), or 0.5 ("none").
        init_embeddings: Pretrained word vectors to start from: a Hub encoder (its name or folder),
            whose vectors of single words are distilled, or a file of word vectors. Character
            n-grams are then off, unless the config sets `char_ngram_buckets`.
        embedding_mode: What becomes of them: "project" adds a trained projection of the fixed
            vectors to a trained table; "fine_tune" starts the table at them; "two_channel" keeps
            them fixed in half of the columns; "frozen" keeps them fixed and trains no table.
        teacher: A fine-tuned Hub classifier (its name or folder) to distil (Hinton et al. 2015;
            Tang et al. 2019).
        teacher_weight: Share of the teacher's probabilities in the targets of labelled texts; the
            rest is the label. Unlabelled texts have the teacher's alone.
        teacher_ngrams: The teacher also labels this many random word n-grams of each training text
            (Tang et al. 2019), which shows what it makes of single words and short phrases.
        holdout: Share of the training texts held out where no validation texts are given.
        seed: Seed of initial weights, order and dropout.
        seeds: Train this many models, with seeds `seed`, `seed + 1`, ..., and keep the best.
    """

    epochs: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    class_weights: Literal["none", "balanced"] = "none"
    averaging: float = 0.99
    label_smoothing: float = 0.0
    attention_weight: float = 1.0
    thresholds: Literal["global", "per_label", "none"] = "global"
    init_embeddings: str | None = None
    embedding_mode: EmbeddingMode = "project"
    teacher: str | None = None
    teacher_weight: float = 0.5
    teacher_ngrams: int = 0
    holdout: float = 0.1
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "seeds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInputError(f"{name} is {value}; it must be at least 1.")
        if self.teacher_ngrams < 0:
            raise InvalidInputError(
                f"teacher_ngrams is {self.teacher_ngrams}; it must be at least 0."
            )
        if self.teacher_ngrams and self.teacher is None:
            raise InvalidInputError(
                f"teacher_ngrams is {self.teacher_ngrams}, but there is no teacher to label them. "
                "Set teacher."
            )
        if not 0 <= self.attention_weight < math.inf:
            raise InvalidInputError(
                f"attention_weight is {self.attention_weight}; it must be at least 0, and finite."
            )
        for name in ("averaging", "label_smoothing", "teacher_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; it must be in [0, 1].")
        if self.embedding_mode != "project" and self.init_embeddings is None:
            raise InvalidInputError(
                f"embedding_mode is {self.embedding_mode!r}, but there are no vectors to start "
                "from. Set init_embeddings."
            )

    def settled(self, texts: Sequence[str]) -> "TrainingSettings":
        """These settings with epochs, patience and batch size chosen for the texts where None.

        Ten passes, fewer over many words: about four million in all, at least two passes. More
        where that would be too few steps, or too few words: up to 30 passes or twelve million
        words.
        """
        words = max(1, sum(len(text.split()) for text in texts))
        batch_size = self.batch_size or (64 if len(texts) > MANY_TEXTS else 32)
        steps = max(1, len(texts)) / batch_size
        enough = math.ceil(max(FEWEST_STEPS / steps, FEWEST_WORDS_IN_ALL / words))
        usual = min(10, round(WORDS_IN_ALL / words))
        few = min(30, enough, round(MOST_WORDS_IN_ALL / words))
        epochs = self.epochs or max(2, usual, few)
        patience = self.patience or max(3, epochs // 3)
        return replace(self, batch_size=batch_size, epochs=epochs, patience=patience)


@dataclass(frozen=True)
class TrainingResult:
    """A trained model, its tokenizer, and what it reached.

    Attributes:
        model: In eval mode, gauge measured, the parts of its embeddings folded into one table.
        tokenizer: Its tokenizer.
        train: The training texts, those of `extra_train` included.
        validation: The validation texts.
        metrics: On the validation texts, by name.
        history: The metrics of every epoch.
        preset: The preset it started from.
        config: The fields of the config that were set on top of it.
        unlabelled: Number of unlabelled texts it was trained with.
        settings: How it was trained.
        seeds: Seed and metrics of every model trained. `model` is the best of them on the
            validation texts, so its own metrics flatter it; the mean over seeds does not.
    """

    model: SelfAttentiveForSequenceClassification
    tokenizer: PreTrainedTokenizerFast
    train: LabelledTexts
    validation: LabelledTexts
    metrics: dict[str, float]
    history: list[dict[str, float]]
    preset: str
    config: dict[str, Any]
    unlabelled: int
    settings: TrainingSettings
    seeds: list[dict[str, float]]
