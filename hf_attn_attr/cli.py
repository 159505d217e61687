"""The command line: a thin shell over the package.

Imports of models and data sit inside the commands, so that `top` and `word` answer without torch.
"""

import io
import json
import math
import os
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import AttnAttrError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from .data import LabelledTexts
    from .training import TrainingResult, TrainingSettings

app = typer.Typer(
    name="hf-attn-attr",
    help="Which words drive which class, for Hugging Face text classifiers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Folder = Annotated[Path, typer.Argument(help="Folder of a model and its influence matrix.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Train = Annotated[
    str, typer.Option(help="Training texts: a parquet, csv or jsonl file, or a Hub dataset.")
]
Validation = Annotated[
    str | None, typer.Option(help="Validation texts, likewise. Default: a tenth of --train.")
]
ExtraTrain = Annotated[str | None, typer.Option(help="More training texts, with the same labels.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the texts. Default: found.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the labels. Default: found.")]
ExtraLabelColumn = Annotated[
    str | None, typer.Option(help="Label column of --extra-train, if it has another name.")
]
LabelMap = Annotated[
    str | None, typer.Option(help="Rename labels: OLD=NEW,...; an empty NEW drops the row.")
]
ProblemType = Annotated[
    str | None,
    typer.Option(
        help="single_label_classification, multi_label_classification or regression; else found."
    ),
]
Preset = Annotated[str, typer.Option(help="default, gate or lin2017.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A config field: FIELD=VALUE.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, order and dropout.")]
Epochs = Annotated[int | None, typer.Option(help="At most this many epochs.")]
BatchSize = Annotated[int | None, typer.Option(help="Texts per step.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
ClassWeights = Annotated[str, typer.Option(help="none, or balanced for rare classes.")]
Thresholds = Annotated[str, typer.Option(help="Multi-label thresholds: global, per_label or none.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]
Split = Annotated[str | None, typer.Option(help="Split of a Hub dataset. Default: train.")]


@app.command()
def demo(
    output: Output = Path("demo"),
    seed: Seed = 0,
    epochs: Annotated[int, typer.Option(help="At most this many epochs.")] = 12,
) -> None:
    """Run the main job on generated texts whose word influences are known.

    Reads nothing, needs no download; writes two model folders under --output.
    Example: `hf-attn-attr demo`
    """
    from .demonstration import demonstrate

    demonstrate(output, seed=seed, epochs=epochs)


@app.command()
def run(
    train: Train,
    output: Output,
    validation: Validation = None,
    extra_train: ExtraTrain = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    extra_label_column: ExtraLabelColumn = None,
    label_map: LabelMap = None,
    problem_type: ProblemType = None,
    preset: Preset = "default",
    set_: Set = None,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    class_weights: ClassWeights = "none",
    thresholds: Thresholds = "global",
    resume: Resume = False,
    fold_on: Annotated[
        str, typer.Option(help="Fold the validation texts, or the train texts.")
    ] = "validation",
    columns: Annotated[
        bool, typer.Option("--columns", help="Also save the attention and attribution columns.")
    ] = False,
    k: Annotated[int, typer.Option("-k", help="Words to print for each class.")] = 10,
    json_: Json = False,
) -> None:
    """Train a classifier, extract attributions, fold them, answer both questions, save all.

    Reads labelled texts; writes model, tokenizer, training.json and influence/ to --output.
    Example: `hf-attn-attr run --train train.csv --validation dev.csv --output model`
    """
    with _working():
        from .workflow import run as run_workflow

        _require_one_of("--fold-on", fold_on, ("validation", "train"))
        settings = _settings(seed, epochs, batch_size, learning_rate, class_weights, thresholds)
        config = _fields(set_)
        texts = _texts(
            train, validation, extra_train, text_column, label_column, extra_label_column,
            label_map, problem_type,
        )  # fmt: skip
        result = run_workflow(
            *texts[:2],
            extra_train=texts[2],
            output_dir=output,
            fold_on=fold_on,  # type: ignore[arg-type]
            preset=preset,
            config=config,
            settings=settings,
            columns=columns,
            resume=resume,
            progress=not json_,
        )
    matrix = result.matrix
    exact = matrix.manifest["method"] == "contribution"
    top_words = {label: matrix.top_words(label, k) for label in matrix.labels} if exact else {}
    if json_:
        answers = {label: _records(rows) for label, rows in top_words.items()}
        _print_json({**_summary(result.training, output), "top_words": answers})
        return
    from .terminal import influence_table, provenance_line

    _print(*_summary_lines(result.training))
    _print(provenance_line(matrix.manifest))
    if not exact:
        _print("This head has no exact attributions; the matrix holds attention only.")
    for label, rows in top_words.items():
        _print(influence_table(rows, "word", f"Most influential on {label}"))
    for word in [word for rows in top_words.values() for word in rows["word"]][:1]:
        _print(influence_table(matrix.word(word), "label", f"Influence of {word}"))
    _print(f"Saved in {output}. Ask on: hf-attn-attr word {output} WORD")


@app.command(name="train")
def train_command(
    train: Train,
    output: Output,
    validation: Validation = None,
    extra_train: ExtraTrain = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    extra_label_column: ExtraLabelColumn = None,
    label_map: LabelMap = None,
    problem_type: ProblemType = None,
    preset: Preset = "default",
    set_: Set = None,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    class_weights: ClassWeights = "none",
    thresholds: Thresholds = "global",
    resume: Resume = False,
    json_: Json = False,
) -> None:
    """Train a classifier and save it.

    Reads labelled texts; writes model, tokenizer and training.json to --output.
    Example: `hf-attn-attr train --train train.csv --output model --set hidden_size=96`
    """
    with _working():
        from .training import train as train_model

        settings = _settings(seed, epochs, batch_size, learning_rate, class_weights, thresholds)
        config = _fields(set_)
        texts = _texts(
            train, validation, extra_train, text_column, label_column, extra_label_column,
            label_map, problem_type,
        )  # fmt: skip
        result = train_model(
            *texts[:2],
            extra_train=texts[2],
            output_dir=output,
            preset=preset,
            config=config,
            settings=settings,
            resume=resume,
            progress=not json_,
        )
    if json_:
        _print_json(_summary(result, output))
        return
    _print(*_summary_lines(result), f"Saved in {output}.")


@app.command()
def extract(
    folder: Folder,
    texts: Annotated[str, typer.Argument(help="Texts: a file or a Hub dataset.")],
    output: Output,
    method: Annotated[str, typer.Option(help="contribution or attention.")] = "contribution",
    text_column: TextColumn = None,
    split: Split = None,
) -> None:
    """Write attention and attribution columns of texts, with a trained model.

    Reads a model folder and texts; writes columns.parquet and columns.json to --output.
    Example: `hf-attn-attr extract model new.csv --output columns`
    """
    with _working():
        from .columns import save_columns
        from .data import load_labelled
        from .extraction import extract as extract_columns
        from .workflow import facts

        model, tokenizer = _model(folder)
        read = load_labelled(texts, split=split, text_column=text_column, require_labels=False)
        columns = extract_columns(read.dataset, model, tokenizer, method=method)
        save_columns(columns, output, facts(model, tokenizer, method, read, "other"))
    _print(
        _count(read),
        f"Columns written to {output}. Next: hf-attn-attr fold {output} -o {folder}",
    )


@app.command()
def fold(
    columns: Annotated[Path, typer.Argument(help="Folder written by `extract`.")],
    output: Output,
    case_sensitive: Annotated[bool, typer.Option(help="Keep words apart by case.")] = False,
) -> None:
    """Fold columns into a matrix of word x class influence.

    Reads columns.parquet and columns.json; writes influence/ to --output.
    Example: `hf-attn-attr fold columns --output model`
    """
    with _working():
        from .columns import load_columns
        from .influence import fold as fold_columns

        dataset, facts = load_columns(columns)
        matrix = fold_columns(
            dataset,
            lowercase=not case_sensitive,
            provenance=facts,
            label_names=facts.get("labels"),
        )
        matrix.save_pretrained(output)
    _print(f"{len(matrix.words)} words x {len(matrix.labels)} labels written to {output}/influence")


@app.command()
def top(
    folder: Folder,
    label: Annotated[str, typer.Option(help="The class.")],
    k: Annotated[int, typer.Option("-k", help="Words to list.")] = 20,
    by: Annotated[str, typer.Option(help="Measure to rank by.")] = "lower_bound",
    min_documents: Annotated[int, typer.Option(help="Leave out words of fewer texts.")] = 3,
    negative: Annotated[bool, typer.Option("--negative", help="What speaks against it.")] = False,
    json_: Json = False,
) -> None:
    """For a class, which words are most influential?

    Reads influence/ in a folder; prints a table, writes nothing.
    Example: `hf-attn-attr top model --label joy`
    """
    from .influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(folder)
    rows = matrix.top_words(label, k, by=by, min_documents=min_documents, negative=negative)
    if json_:
        _print_json({"label": label, "by": by, "words": _records(rows)})
        return
    from .terminal import influence_table, joint_table, provenance_line

    attention = by in ("joint", "p_word_given_class", "p_class_given_word", "lift", "npmi")
    table = joint_table if attention else influence_table
    _print(
        provenance_line(matrix.manifest),
        table(rows, "word", f"Words by {by} {'against' if negative else 'on'} {label}"),
    )


@app.command()
def word(folder: Folder, word: str, json_: Json = False) -> None:
    """For a word, how much does it influence each class?

    Reads influence/ in a folder; prints two tables, writes nothing.
    Example: `hf-attn-attr word model despise`
    """
    from .influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(folder)
    rows = matrix.word(word)
    if json_:
        _print_json({"word": word, "labels": _records(rows)})
        return
    from .terminal import influence_table, joint_table, provenance_line

    _print(
        provenance_line(matrix.manifest),
        influence_table(rows, "label", f"Influence of {word}"),
        joint_table(rows, "label", f"Attention on {word}"),
    )


@app.command()
def explain(
    folder: Folder,
    text: str,
    label: Annotated[
        str | None, typer.Option(help="Ask about this label, not the predicted one.")
    ] = None,
    json_: Json = False,
) -> None:
    """What did each word of one text do?

    Reads a model folder; prints the text and a table, writes nothing.
    Example: `hf-attn-attr explain model "What a lovely day"`
    """
    with _working():
        from transformers import pipeline

        model, tokenizer = _model(folder)
        ask = pipeline("attention-attribution", model=model, tokenizer=tokenizer)
        try:
            answer = ask(text, label=label)
        except ValueError as error:  # an unknown label, or a text that is none
            raise InvalidInputError(str(error)) from error
    if json_:
        _print_json(answer)
        return
    from .terminal import explanation

    explanation(answer, text, _console())


def main() -> None:
    """Entry point; errors that we raise on purpose end with status 1 and their message alone."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding lacks is shown as an escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _complain(f"Warning: {message}")
        try:
            app()
        except (AttnAttrError, OSError) as error:
            _complain(f"Error: {error}")
            sys.exit(1)


def _texts(
    train: str,
    validation: str | None,
    extra_train: str | None,
    text_column: str | None,
    label_column: str | None,
    extra_label_column: str | None,
    label_map: str | None,
    problem_type: str | None,
) -> "tuple[LabelledTexts, LabelledTexts | None, LabelledTexts | None]":
    """Training, validation and extra training texts."""
    from .data import load_labelled

    options: dict[str, Any] = {"text_column": text_column, "label_map": _pairs(label_map)}
    first = load_labelled(train, label_column=label_column, problem_type=problem_type, **options)  # type: ignore[arg-type]
    options |= {"labels": first.labels, "problem_type": first.problem_type}
    second = third = None
    if validation is not None:
        second = load_labelled(validation, label_column=label_column, split="validation", **options)
    if extra_train is not None:
        third = load_labelled(
            extra_train, label_column=extra_label_column or label_column, **options
        )
    return first, second, third


def _pairs(label_map: str | None) -> dict[str, str] | None:
    if label_map is None:
        return None
    pairs = [entry.partition("=") for entry in label_map.split(",") if entry]
    for old, equals, _ in pairs:
        if not old or not equals:
            raise InvalidInputError(f"--label-map is {label_map!r}; write OLD=NEW,OLD=NEW.")
    return {old.strip(): new.strip() for old, _, new in pairs}


def _fields(settings: list[str] | None) -> dict[str, Any]:
    """Config fields from FIELD=VALUE: values are JSON where they can be, else text."""
    from .models.configuration_self_attentive import SelfAttentiveConfig

    # The rest follows from the texts and the tokenizer.
    known = set(SelfAttentiveConfig.__annotations__) - {
        *("vocab_size", "pad_token_id", "keys_to_ignore_at_inference")
    }
    fields: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals or name not in known:
            raise InvalidInputError(
                f"--set is {setting!r}; write FIELD=VALUE with one of the fields {sorted(known)}."
            )
        try:
            fields[name] = json.loads(value, parse_constant=_not_a_number)
        except ValueError:
            fields[name] = value
    return fields


def _not_a_number(name: str) -> None:
    raise ValueError(name)


def _settings(
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    class_weights: str,
    thresholds: str,
) -> "TrainingSettings":
    from .training import TrainingSettings

    _require_one_of("--class-weights", class_weights, ("none", "balanced"))
    _require_one_of("--thresholds", thresholds, ("global", "per_label", "none"))
    for name, value in (("--epochs", epochs), ("--batch-size", batch_size)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} is {value}; it must be at least 1.")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise InvalidInputError(f"--learning-rate is {learning_rate}; it must be above 0, finite.")
    if not 0 <= seed < 2**32:
        raise InvalidInputError(f"--seed is {seed}; it must be at least 0 and below 2^32.")
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    return TrainingSettings(
        seed=seed,
        class_weights=class_weights,  # type: ignore[arg-type]
        thresholds=thresholds,  # type: ignore[arg-type]
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _require_one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInputError(f"{option} is {value!r}; give one of {', '.join(choices)}.")


@contextmanager
def _working() -> "Iterator[None]":
    """Standard output is for the answer: what libraries print meanwhile goes to standard error."""
    with redirect_stdout(sys.stderr):
        yield


def _model(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer, without transformers' progress bar and load report."""
    from transformers.utils import logging

    from .loading import load_model

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return load_model(folder)
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _summary(result: "TrainingResult", folder: Path) -> dict[str, Any]:
    texts = {"training": result.train, "validation": result.validation}
    return {
        "folder": str(folder),
        "metrics": result.metrics,
        "texts": {
            name: {"rows": len(part.dataset), "dropped": part.dropped}
            for name, part in texts.items()
        },
    }


def _summary_lines(result: "TrainingResult") -> list[str]:
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    return [
        f"Training: {_count(result.train)}",
        f"Validation: {_count(result.validation)}; {metrics}",
    ]


def _count(texts: "LabelledTexts") -> str:
    dropped = "".join(f", {n:,} dropped ({why})" for why, n in texts.dropped.items())
    return f"{len(texts.dataset):,} texts{dropped}"


def _records(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    records = rows.to_dict("records")
    return [
        {str(name): None if value != value else value for name, value in record.items()}
        for record in records
    ]


def _print_json(value: Any) -> None:
    # ASCII: valid whatever the terminal's encoding, and nothing in it can drive a terminal.
    print(json.dumps(value, indent=1, allow_nan=False))  # noqa: T201


def _print(*parts: Any) -> None:
    from rich.text import Text

    from .terminal import printable

    console = _console()
    for part in parts:
        if isinstance(part, str):
            console.print(Text(printable(part)), soft_wrap=True)
        else:
            console.print(part)


def _console() -> Any:
    from rich.console import Console

    # Without a terminal rich would assume 80 columns and break long words.
    return Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=120)


def _complain(message: str) -> None:
    from .terminal import printable

    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)  # noqa: T201
