"""Extracted columns that several benchmarks read: trained and extracted once for each seed."""

from pathlib import Path

import tasks
from datasets import Dataset

from hf_attn_attr import TrainingSettings, extract
from hf_attn_attr.columns import COLUMNS, load_columns, save_columns
from hf_attn_attr.demo import generate_planted_corpus
from hf_attn_attr.demonstration import PLANTED, planted_texts
from hf_attn_attr.workflow import run


def columns_of(name: str, seed: int, data: Path | None, work: Path, split: str) -> Dataset:
    """Columns of the "train" or "validation" texts of a task, or of the corpus "planted".

    Args:
        name: "planted" (a new corpus for each seed), or a key of `tasks.TASKS`.
        seed: Seed of the model.
        data: Folder of the data sets; not needed for "planted".
        work: Folder to keep models and columns in.
        split: Which texts. Those of "validation" are new to the model.
    """
    folder = work / f"columns_{name}_{seed}"
    if not (folder / split / COLUMNS).is_file():
        if name == "planted":
            train, validation = planted_texts(generate_planted_corpus(seed))
            config, epochs = PLANTED, 12
        else:
            assert data is not None, f"--data is needed for {name}"
            texts = tasks.load(tasks.TASKS[name], data)
            train, validation, config = texts.train, texts.validation, None
            epochs = TrainingSettings().epochs
        settings = TrainingSettings(seed=seed, epochs=epochs)
        result = run(
            train,
            validation,
            output_dir=folder,
            preset="plain",
            config=config,
            settings=settings,
            progress=False,
        )
        save_columns(result.columns, folder / "validation", {})
        trained = result.training
        save_columns(extract(train.dataset, trained.model, trained.tokenizer), folder / "train", {})
    return load_columns(folder / split)[0]
