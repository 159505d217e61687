"""The `attention-attribution` pipeline: a label, and what each word of the text did for it."""

from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from .words import require_text, word_spans

TASK = "attention-attribution"


class AttentionAttributionPipeline(Pipeline):
    """Predicted label, its score, and attention and attribution of every word.

    Returns for each text `{"label", "score", "words": [{"word", "start", "end", "attention",
    "attribution"}, ...]}`. `word` is `text[start:end]`; `attention` sums to 1 over the words;
    `attribution` is the word's exact signed part of the label's logit (None where the model has no
    exact decomposition), centred over classes for single-label models, as in an influence matrix.
    `label=` asks about another label than the predicted one. For regression `score` is the value.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_video_processor = False
    _load_tokenizer = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.model.config.model_type != "self_attentive":
            raise ValueError(
                f"The {TASK} pipeline is for self_attentive models; this one is "
                f"{self.model.config.model_type!r}. Use the text-classification pipeline, or train "
                "a self_attentive model."
            )

    def _sanitize_parameters(
        self, label: str | None = None, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if kwargs:
            raise ValueError(f"Unknown parameter {sorted(kwargs)[0]!r}; there is `label`.")
        if label is not None and label not in self.model.config.label2id:
            known = sorted(self.model.config.label2id)
            raise ValueError(f"The model has no label {label!r}. It has {known}.")
        return {}, {}, {} if label is None else {"label": label}

    def preprocess(self, inputs: str, **_: Any) -> dict[str, Any]:
        """Token ids of one text and its words."""
        require_text(inputs)
        config = self.model.config
        limit = min(self.tokenizer.model_max_length, getattr(config, "max_length", None) or 10**9)
        encoded = self.tokenizer(
            inputs, truncation=True, max_length=limit, return_offsets_mapping=True
        )
        spans, owner = word_spans(inputs, encoded.word_ids(), encoded.pop("offset_mapping"))
        tensors = {
            name: torch.tensor([encoded[name]], dtype=torch.int64)
            for name in self.tokenizer.model_input_names
        }
        return {**tensors, "text": inputs, "spans": spans, "owner": owner}

    def _forward(self, model_inputs: dict[str, Any], **_: Any) -> dict[str, Any]:
        tensors = {name: model_inputs[name] for name in self.tokenizer.model_input_names}
        exact = not self.model.config.head_hidden_size
        output = self.model(**tensors, output_attentions=True, output_attributions=exact)
        return {
            "logits": output.logits,
            "attention": output.attentions[0].mean(1),
            "attribution": output.attributions if exact else None,
            **{name: model_inputs[name] for name in ("text", "spans", "owner", "attention_mask")},
        }

    def postprocess(
        self, model_outputs: dict[str, Any], label: str | None = None
    ) -> dict[str, Any]:
        """The answer for one text."""
        config = self.model.config
        logits = model_outputs["logits"][0].double()
        kind = config.problem_type or (
            "regression" if config.num_labels == 1 else "single_label_classification"
        )
        scores = {
            "single_label_classification": lambda: logits.softmax(-1),
            "multi_label_classification": logits.sigmoid,
            "regression": lambda: logits,
        }[kind]()
        index = int(scores.argmax()) if label is None else config.label2id[label]
        real = model_outputs["attention_mask"][0].bool()
        owner = model_outputs["owner"]
        attention = model_outputs["attention"][0][real].double().tolist()
        attribution = None
        if model_outputs["attribution"] is not None:
            terms = model_outputs["attribution"][0][real].double()
            if kind == "single_label_classification":
                terms = terms - terms.mean(-1, keepdim=True)
            attribution = terms[:, index].tolist()
        text, spans = model_outputs["text"], model_outputs["spans"]
        words = [
            {
                "word": text[start:end],
                "start": start,
                "end": end,
                "attention": 0.0,
                "attribution": None if attribution is None else 0.0,
            }
            for start, end in spans
        ]
        for token, word in enumerate(owner):
            if word >= 0:
                words[word]["attention"] += attention[token]
                if attribution is not None:
                    words[word]["attribution"] += attribution[token]
        answer = {"label": config.id2label[index], "score": float(scores[index])}
        if kind == "multi_label_classification":
            thresholds = config.thresholds or [0.5] * config.num_labels
            answer["labels"] = [
                config.id2label[number]
                for number, threshold in enumerate(thresholds)
                if scores[number] >= threshold
            ]
        return {**answer, "words": words}


if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
    PIPELINE_REGISTRY.register_pipeline(
        TASK,
        pipeline_class=AttentionAttributionPipeline,
        pt_model=AutoModelForSequenceClassification,
        type="text",
    )
