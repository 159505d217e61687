"""What is evaluated: a model, its influence matrix, and texts that are new to the model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..classifier import label_thresholds, problem_type
from ..data import LabelledTexts
from ..errors import InvalidInputError
from ..extraction import AttributionExtractor
from ..influence import InfluenceMatrix, WordRule
from .corpus_erasure import CorpusErasure
from .erasure import Eraser, Way
from .rankings import random_scores
from .refits import Refits
from .text_erasure import ErasureTest, TextFaithfulness

SAMPLE, SAMPLE_OF_OTHERS = 300, 100
"""Texts for the checks that erase text by text, where nothing else is asked for: of a
self-attentive model, and of any other, one pass of which costs what many of these cost."""
CORPUS_FACTOR = 3
"""Texts of the checks over a corpus, for one of those that erase text by text."""
HALVED = CORPUS_FACTOR * SAMPLE
"""Texts whose halves are compared, where nothing else is asked for: of any model, since halves of
few texts agree badly whatever the model."""


def usual_sample(model: PreTrainedModel) -> int:
    """Texts for the checks that erase text by text, where nothing else is asked for."""
    return SAMPLE if model.config.model_type == "self_attentive" else SAMPLE_OF_OTHERS


@dataclass(frozen=True)
class Subject:
    """What is checked, and on which texts.

    Attributes:
        extractor: A sequence classifier, and how its words are attributed.
        texts: Texts, labelled or not.
        matrix: The model's influence matrix, if there is one.
        trained_on: Whether the model was trained on these very texts.
        sample: Texts for the checks that erase words text by text, at most; those over a corpus
            take `CORPUS_FACTOR` times as many.
        halved: Texts whose halves are compared, at most; None for as many as over a corpus.
        seed: Seed of the sample and of draws.
        progress: Called with the number of texts just read by the model.
        refits: How to train it with other seeds, where that is asked for.
    """

    extractor: AttributionExtractor
    texts: LabelledTexts
    matrix: InfluenceMatrix | None = None
    trained_on: bool = False
    sample: int = SAMPLE
    halved: int | None = None
    seed: int = 0
    progress: Callable[[int], None] = lambda _: None
    refits: Refits | None = None

    @property
    def model(self) -> PreTrainedModel:
        """The classifier."""
        return self.extractor.model

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return self.extractor.labels

    @property
    def problem_type(self) -> str:
        """As in transformers' configurations."""
        return problem_type(self.model)

    @property
    def word_rule(self) -> WordRule:
        """When two spellings are one word."""
        return WordRule(**self.matrix.manifest["word_rule"]) if self.matrix else WordRule()

    @property
    def folded_on(self) -> bool:
        """Whether the matrix was folded on these very texts."""
        facts = self.matrix.manifest.get("provenance", {}) if self.matrix else {}
        return bool(facts.get("corpus", {}).get("sha256") == self.texts.digest)

    @property
    def thresholds(self) -> NDArray[np.float64] | None:
        """Of a multi-label model, (C,)."""
        if self.problem_type != "multi_label_classification":
            return None
        return label_thresholds(self.model)

    @cached_property
    def corpus_texts(self) -> LabelledTexts:
        """The texts of the checks over a corpus: all, or a sample of them."""
        every = len(self.texts.dataset)
        rows = np.sort(self._order(every)[: CORPUS_FACTOR * self.sample])
        return replace(self.texts, dataset=self.texts.dataset.select(rows))

    @property
    def halved_texts(self) -> Dataset:
        """The texts whose halves are compared."""
        texts = self.texts.dataset
        most = CORPUS_FACTOR * self.sample if self.halved is None else self.halved
        return texts.select(np.sort(self._order(len(texts))[:most]))

    @cached_property
    def corpus(self) -> CorpusErasure:
        """Those texts, ready for erasure."""
        texts = self.corpus_texts.dataset["text"][:]
        eraser = Eraser(self.extractor, texts, progress=self.progress)
        return CorpusErasure(eraser, texts, self.word_rule)

    @cached_property
    def text_test(self) -> ErasureTest:
        """A sample of them, ready for erasure text by text."""
        chosen = np.sort(self._order(len(self.corpus_texts.dataset))[: self.sample])
        return ErasureTest(self.corpus.eraser, self.problem_type, self.thresholds, chosen)

    @property
    def tested_texts(self) -> Dataset:
        """The sampled texts that can be tested.

        Raises:
            InvalidInputError: If there are none.
        """
        if not len(self.text_test.texts):
            raise InvalidInputError(
                "No text of the sample can be tested: each has fewer than two words, or no "
                "predicted label."
            )
        return self.corpus_texts.dataset.select(self.text_test.texts)

    def attributing(self, method: str, **arguments: Any) -> AttributionExtractor:
        """An extractor of another method that reads texts as the subject's own does."""
        own = self.extractor
        return AttributionExtractor(
            own.model,
            own.tokenizer,
            method,
            context=False,
            batch_tokens=own.batch_tokens,
            word_rule=own.word_rule,
            window_overlap=own.window_overlap,
            **arguments,
        )

    @cached_property
    def references(self) -> dict[Way, dict[str, TextFaithfulness]]:
        """The tests of the worst and of the best ranking of the sample, by every way.

        "random" is a random order; "leave_one_out" ranks words by what is lost without each.
        """
        test = self.text_test
        counts = test.eraser.word_counts[test.texts]
        chance = random_scores(counts, np.random.default_rng(self.seed))
        return {
            way: {
                "random": test.test(chance, way),
                "leave_one_out": test.test(test.losses(way), way),
            }
            for way in test.eraser.ways
        }

    def _order(self, count: int) -> NDArray[np.int64]:
        return np.random.default_rng(self.seed).permutation(count)
