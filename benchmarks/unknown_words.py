"""Unknown words: [UNK], or spelled with known words, endings and characters?

    python benchmarks/unknown_words.py --data DATA [--seeds 3]

Trains the default model on SST-2 sentences with both tokenizers and reports validation accuracy,
and the share of the validation words that become [UNK].
"""

from typing import Any, Literal

import common

from hf_attn_attr import TrainingSettings, load_labelled, train, train_tokenizer

RULES: tuple[Literal["pieces", "unk"], ...] = ("unk", "pieces")


def main() -> None:
    """Run, print a table, write `results/unknown_words.json`."""
    arguments = common.parser(__doc__).parse_args()
    training, validation = (
        load_labelled(arguments.data / f"sst_{split}.parquet", label_column="polarity")
        for split in ("train", "validation")
    )
    result: dict[str, Any] = {}
    for rule in RULES:
        tokenizer = train_tokenizer(training.dataset["text"][:], unknown=rule)
        ids = tokenizer(validation.dataset["text"][:])["input_ids"]
        unknown = sum(text.count(tokenizer.unk_token_id) for text in ids)
        accuracies = [
            train(
                training,
                validation,
                output_dir=arguments.work / f"unknown_{rule}_{seed}",
                preset="plain",
                tokenizer=tokenizer,
                settings=TrainingSettings(seed=seed),
                progress=False,
            ).metrics["accuracy"]
            for seed in range(arguments.seeds)
        ]
        result[rule] = {
            "accuracy": accuracies,
            "unknown_tokens": unknown / sum(map(len, ids)),
            "vocabulary": len(tokenizer),
        }
    common.save("unknown_words", result)
    common.show(
        "SST-2 validation",
        ("unknown words", "accuracy", "tokens that are [UNK]", "vocabulary"),
        [
            (
                rule,
                common.spread(figures["accuracy"]),
                f"{figures['unknown_tokens']:.4f}",
                str(figures["vocabulary"]),
            )
            for rule, figures in result.items()
        ],
    )


if __name__ == "__main__":
    main()
