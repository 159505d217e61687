"""The main job on texts whose word influences are known, and on a few hundred real-looking ones."""

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .data import LabelledTexts, load_labelled
from .demo.planted import (
    PlantedCorpus,
    bayes_accuracy,
    generate_planted_corpus,
    recovery,
    to_dataset,
)
from .demo.sentences import load_sentences
from .evaluation.linear import fit_linear
from .influence import InfluenceMatrix
from .terminal import explanation, influence_table, plain_table
from .training import TrainingSettings
from .workflow import RunResult, run

# Invented words share no spelling worth learning, and negation needs every word in its place.
PLANTED = {
    "char_ngram_buckets": 0,
    "embedding_dropout": 0.2,
    "classifier_dropout": 0.2,
    "hidden_dropout": 0.2,
    "word_dropout": 0.0,
}
FIRST_TRY = "I was terrified at first, but in the end the whole evening made me so happy."


def demonstrate(output: Path, *, seed: int, epochs: int) -> None:
    """Run both demonstrations, print the answers and how well the truth is recovered.

    Args:
        output: Folder for the model folders `planted` and `sentences`.
        seed: Seed of the generated corpus and of training.
        epochs: At most this many epochs.
    """
    console = Console()
    console.rule("Planted influences: invented words whose strength is known")
    corpus = generate_planted_corpus(seed)
    train, validation = planted_texts(corpus)
    linear = fit_linear(train, validation, weighting="count", longest_ngram=1, words=str.split)
    with redirect_stdout(sys.stderr):  # what Trainer logs; standard output is for the answers
        planted = run(
            train,
            validation,
            output_dir=output / "planted",
            config=PLANTED,
            settings=TrainingSettings(epochs=epochs, seed=seed),
        )
    _print_questions(console, planted.matrix, corpus)
    console.print(
        plain_table(
            ("accuracy on the validation texts", ""),
            [
                ("Bayes rule (nothing can do better)", f"{bayes_accuracy(corpus.validation):.3f}"),
                ("this model", f"{planted.training.metrics['accuracy']:.3f}"),
                ("logistic regression on words", f"{linear.metrics['accuracy']:.3f}"),
            ],
            "How hard the task is",
        )
    )
    console.print(recovery_table(planted.matrix, corpus))
    console.rule("A few hundred sentences")
    with redirect_stdout(sys.stderr):
        sentences = run_sentences(output / "sentences", seed)
    for label in sentences.matrix.labels:
        rows = sentences.matrix.top_words(label, 5)
        console.print(influence_table(rows, "word", f"Most influential on {label}"))
    explain(console, sentences)
    console.print(
        f"Models and matrices: {output / 'planted'}, {output / 'sentences'}", markup=False
    )
    console.print(
        f"Ask on: hf-attn-attr top {output / 'sentences'} --label joy\n"
        f'        hf-attn-attr explain {output / "sentences"} "your own text"',
        markup=False,
    )


def planted_texts(corpus: PlantedCorpus) -> tuple[LabelledTexts, LabelledTexts]:
    """Training and validation texts of a planted corpus."""
    train, validation = (
        replace(load_labelled(to_dataset(split), labels=corpus.labels), source=f"planted {name}")
        for name, split in (("train", corpus.train), ("validation", corpus.validation))
    )
    return train, validation


def run_sentences(output: Path, seed: int) -> RunResult:
    """The main job on the sentences written for this package; folds all of them.

    They are too few to hold many out for the fold, so the matrix is folded on the training texts
    and says so.
    """
    texts = replace(load_labelled(load_sentences()), source="sentences")
    return run(
        texts,
        output_dir=output,
        fold_on="train",
        settings=TrainingSettings(epochs=30, patience=8, batch_size=16, seed=seed),
    )


def recovery_table(matrix: InfluenceMatrix, corpus: PlantedCorpus) -> Table:
    """How well each measure of a matrix recovers the planted strengths."""
    rows = []
    for name in ("influence", "lower_bound", "joint"):
        found = recovery(matrix.words, getattr(matrix, name), corpus)
        rows.append(
            (
                name,
                f"{found.rho_own:.3f}",
                f"{found.rho:.3f}",
                f"{found.auc_stop:.3f}",
                f"{found.auc_noise:.3f}",
                f"{found.auc_confounded:.3f}",
            )
        )
    return plain_table(
        ("measure", "rho, own class", "rho, all classes", "vs stop", "vs noise", "vs confounded"),
        rows,
        "Recovery of the planted strengths: Spearman (rho) with the truth, and AUC of planted "
        "words against other kinds",
    )


def explain(console: Console, result: RunResult) -> None:
    """Explain one sentence with a trained model."""
    from transformers import pipeline

    ask = pipeline(
        "attention-attribution", model=result.training.model, tokenizer=result.training.tokenizer
    )
    explanation(ask(FIRST_TRY), FIRST_TRY, console)


def _print_questions(console: Console, matrix: InfluenceMatrix, corpus: PlantedCorpus) -> None:
    truth = dict(
        zip(corpus.words, corpus.strength - corpus.strength.mean(1, keepdims=True), strict=True)
    )
    for column, label in enumerate(matrix.labels):
        rows = matrix.top_words(label, 8)
        console.print(influence_table(rows, "word", f"Question 1: what drives {label}?"))
        planted = ", ".join(f"{word} {truth[word][column]:+.1f}" for word in rows["word"])
        console.print(f"planted: {planted}", markup=False, style="dim")
    for label in matrix.labels[:2]:
        word = str(matrix.top_words(label, 1)["word"].iloc[0])
        console.print(
            influence_table(matrix.word(word), "label", f"Question 2: what does {word} do?")
        )
