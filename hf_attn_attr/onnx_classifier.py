"""An exported classifier: labels and words without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptArtifactError, InvalidInputError, MissingDependencyError
from .files import read_json, sound
from .layout import CONFIG, ONNX, TOKENIZER
from .models.words import Span, require_text, word_spans

_BATCH = 32  # texts of like length


class OnnxClassifier:
    """Answers like `pipeline("attention-attribution")`, from what `export_onnx` wrote.

    Needs onnxruntime and tokenizers, not torch nor transformers.

    Args:
        folder: With `model.onnx`, `config.json` and `tokenizer.json`.
        providers: Of onnxruntime, what to compute on; None for the processor.

    Attributes:
        labels: In the order of the logits.
        problem_type: "single_label_classification", "multi_label_classification" or "regression".

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        CorruptArtifactError: If a file is missing or cannot be read.
    """

    def __init__(self, folder: str | Path, *, providers: Sequence[str] | None = None):
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError(
                "Reading a graph needs onnxruntime: pip install 'hf-attn-attr[onnx]'."
            ) from error
        from tokenizers import Tokenizer

        folder = Path(folder)
        for name in (ONNX, CONFIG, TOKENIZER):
            if not (folder / name).is_file():
                raise CorruptArtifactError(
                    f"{folder} has no {name}. Export the model again: hf-attn-attr export."
                )
        # onnxruntime's and tokenizers' errors have no common class.
        with sound(f"{folder} holds no sound graph", "Export the model again."):
            config = read_json(folder / CONFIG)
            names = config["id2label"]
            self.labels = [names[str(index)] for index in range(len(names))]
            alone = "regression" if len(self.labels) == 1 else "single_label_classification"
            self.problem_type: str = config.get("problem_type") or alone
            self._thresholds = np.array(config.get("thresholds") or [0.5] * len(self.labels))
            self._pad = config["pad_token_id"]
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._tokenizer.no_padding()
            self._tokenizer.encode_special_tokens = True  # a typed "[PAD]" is text
            self._tokenizer.enable_truncation(config["max_length"])
            self._session = onnxruntime.InferenceSession(
                str(folder / ONNX), providers=list(providers or ["CPUExecutionProvider"])
            )

    def __call__(self, texts: Sequence[str], label: str | None = None) -> list[dict[str, Any]]:
        """The answers for some texts; see `hf_attn_attr.answering.answers` for what is in one.

        Args:
            texts: The texts.
            label: The label to ask about; by default the likeliest one of each text.

        Raises:
            InvalidInputError: If a text is none, or there is no such label.
        """
        if label is not None and label not in self.labels:
            raise InvalidInputError(f"The model has no label {label!r}. It has {self.labels}.")
        for row, text in enumerate(texts):
            try:
                require_text(text)
            except ValueError as error:
                raise InvalidInputError(f"Row {row}: {error}") from error
        encoded = self._tokenizer.encode_batch(list(texts))
        words = [
            word_spans(text, found.word_ids, found.offsets)
            for text, found in zip(texts, encoded, strict=True)
        ]
        answers: list[dict[str, Any]] = [{}] * len(texts)
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row].ids))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            found = self._run([encoded[row].ids for row in rows], [words[row][1] for row in rows])
            for row, logits, attention, terms in zip(rows, *found[:3], strict=True):
                answers[row] = self._answer(
                    texts[row], words[row][0], logits, attention, terms, label
                )
        return answers

    def _run(
        self, ids: Sequence[Sequence[int]], owners: Sequence[Sequence[int]]
    ) -> list[NDArray[np.float32]]:
        shape = (len(ids), max(1, max(map(len, ids))))
        inputs = {
            "input_ids": np.full(shape, self._pad, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "word_ids": np.full(shape, -1, dtype=np.int64),
        }
        for row, (tokens, owner) in enumerate(zip(ids, owners, strict=True)):
            inputs["input_ids"][row, : len(tokens)] = tokens
            inputs["attention_mask"][row, : len(tokens)] = 1
            inputs["word_ids"][row, : len(owner)] = owner
        found: list[NDArray[np.float32]] = self._session.run(None, inputs)
        return found

    def _answer(
        self,
        text: str,
        spans: Sequence[Span],
        logits: NDArray[np.float32],
        attention: NDArray[np.float32],
        terms: NDArray[np.float32],
        label: str | None,
    ) -> dict[str, Any]:
        scores = self._scores(logits.astype(np.float64))
        index = int(scores.argmax()) if label is None else self.labels.index(label)
        answer: dict[str, Any] = {"label": self.labels[index], "score": float(scores[index])}
        if self.problem_type == "multi_label_classification":
            above = np.flatnonzero(scores >= self._thresholds)
            answer["labels"] = [self.labels[number] for number in above]
        terms = terms[: len(spans)].astype(np.float64)
        if self.problem_type == "single_label_classification":
            terms = terms - terms.mean(1, keepdims=True)
        answer["words"] = [
            {
                "word": text[start:end],
                "start": start,
                "end": end,
                "attention": float(weight),
                "attribution": float(term[index]),
            }
            for (start, end), weight, term in zip(spans, attention, terms, strict=False)
        ]
        return answer

    def _scores(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.problem_type == "regression":
            return logits
        if self.problem_type == "multi_label_classification":
            return np.exp(-np.logaddexp(0.0, -logits))
        shifted = np.exp(logits - logits.max())
        return shifted / shifted.sum()
