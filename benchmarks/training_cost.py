"""What training costs beside a stock `Trainer` and beside a bare loop.

    python benchmarks/training_cost.py --data DATA [--rounds 3]

The default model on SST-2, one thread, CPU seconds, arms interleaved, medians, as ratios. Whole
trainings, evaluation and checkpoints of every epoch included: ours, and a stock `Trainer` with
random batches and its own defaults on the same model, epochs, batch size and learning rate; the
validation accuracy stands beside. Steps alone: `Trainer` with our arguments and a bare PyTorch loop
over batches grouped in the same way. Results go to `results/training_cost.json`.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import common
import torch
from peers import one_thread
from tasks import TASKS, Texts, load
from torch.nn.utils import clip_grad_norm_
from transformers import (
    EvalPrediction,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from hf_attn_attr import TrainingSettings
from hf_attn_attr.metrics import single_label_metrics
from hf_attn_attr.training import fit
from hf_attn_attr.training.examples import Collator, Examples, examples
from hf_attn_attr.training.starting import new_model, new_tokenizer

EPOCHS, BATCH, RATE = 3, 32, 2e-3


@dataclass
class Setting:
    """What every arm trains on, and from."""

    texts: Texts
    work: Path
    tokenizer: Any
    train: Examples
    validation: Examples

    def model(self) -> Any:
        """A new model, the same each time."""
        set_seed(0)
        return new_model(self.texts.train, self.tokenizer, preset="default", config=None)

    @property
    def collator(self) -> Collator:
        """Makes batches."""
        return Collator(self.texts.train, self.tokenizer.pad_token_id)


def main() -> None:
    """Measure, print a table, write JSON."""
    options = common.parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    texts = load(TASKS["sst"], asked.data)
    tokenizer = new_tokenizer(texts.train, None, TrainingSettings(), [])
    train, validation = (
        examples(part.dataset["text"][:], part.dataset["label"][:], tokenizer, 512)
        for part in (texts.train, texts.validation)
    )
    setting = Setting(texts, asked.work / "training_cost", tokenizer, train, validation)
    arms: dict[str, Callable[[Setting], float | None]] = {
        "whole: ours": ours,
        "whole: stock Trainer, random batches": stock,
        "steps: Trainer, our arguments": steps,
        "steps: bare loop": bare,
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    accuracy: dict[str, float] = {}
    with one_thread():
        for _ in range(asked.rounds):
            for name, run in arms.items():
                shutil.rmtree(setting.work, ignore_errors=True)
                started = time.process_time()
                reached = run(setting)
                seconds[name].append(time.process_time() - started)
                if reached is not None:
                    accuracy[name] = reached
                print(name, seconds[name][-1], reached, flush=True)
    steps_taken = EPOCHS * -(-len(train) // BATCH)
    result = {"steps": steps_taken, "seconds": seconds, "accuracy": accuracy}
    common.save("training_cost", result)
    report(result)


def ours(setting: Setting) -> float:
    """`train`, but for saving the model."""
    settings = TrainingSettings(
        epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE, patience=EPOCHS
    )
    result = fit(
        setting.texts.train,
        setting.texts.validation,
        output_dir=setting.work,
        settings=settings,
        tokenizer=setting.tokenizer,
        progress=False,
    )
    return result.metrics["accuracy"]


def stock(setting: Setting) -> float:
    """Whatever `Trainer` does by itself."""

    def accuracy(prediction: EvalPrediction) -> dict[str, float]:
        return single_label_metrics(prediction.predictions, prediction.label_ids)

    trainer = Trainer(
        model=setting.model(),
        args=arguments(
            setting,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
        ),
        train_dataset=setting.train,
        eval_dataset=setting.validation,
        data_collator=setting.collator,
        compute_metrics=accuracy,
    )
    trainer.train()
    return float(trainer.evaluate()["eval_accuracy"])


def arguments(setting: Setting, **more: Any) -> TrainingArguments:
    """What all trainings have in common, and `more`."""
    return TrainingArguments(
        str(setting.work),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        **more,
    )


def steps(setting: Setting) -> None:
    """`Trainer` as `train` sets it up, without evaluation, checkpoints and averaging."""
    Trainer(
        model=setting.model(),
        args=arguments(
            setting,
            weight_decay=0.01,
            warmup_steps=0.05,
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            save_strategy="no",
        ),
        train_dataset=setting.train,
        data_collator=setting.collator,
    ).train()


def bare(setting: Setting) -> None:
    """The same steps in a loop of PyTorch's own."""
    model = setting.model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    total = EPOCHS * -(-len(setting.train) // BATCH)
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.05 * total), total)
    lengths = [len(row["input_ids"]) for row in setting.train]
    collate = setting.collator
    for _ in range(EPOCHS):
        order = list(LengthGroupedSampler(BATCH, lengths=lengths))
        for start in range(0, len(order), BATCH):
            batch = collate([setting.train[row] for row in order[start : start + BATCH]])
            model(**batch).loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def report(result: dict[str, Any]) -> None:
    """Print what was measured."""
    middle = {name: median(values) for name, values in result["seconds"].items()}
    units = {
        "whole": middle["whole: stock Trainer, random batches"],
        "steps": middle["steps: bare loop"],
    }
    common.show(
        f"Training on SST-2, {result['steps']} steps, one thread",
        ["", "seconds", "ratio", "accuracy"],
        [
            (
                name,
                f"{value:.1f}",
                f"{value / units[name.split(':')[0]]:.2f}",
                f"{result['accuracy'][name]:.4f}" if name in result["accuracy"] else "",
            )
            for name, value in middle.items()
        ],
    )


if __name__ == "__main__":
    main()
