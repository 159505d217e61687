"""The command line: a thin shell over the package.

Imports of models and data sit inside the commands, so that `top` and `word` answer without torch.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import AttnAttrError, InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

    from .data import LabelledTexts
    from .training import TrainingSettings

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
    """Run the main job on generated texts whose word influences are known. Needs no download.

    Writes two model folders under --output. Example: `hf-attn-attr demo`
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
    from .workflow import run as run_workflow

    if fold_on not in ("validation", "train"):
        raise InvalidInputError(f"--fold-on is {fold_on!r}; give validation or train.")
    texts = _texts(
        train, validation, extra_train, text_column, label_column, extra_label_column, label_map,
        problem_type,
    )  # fmt: skip
    result = run_workflow(
        *texts[:2],
        extra_train=texts[2],
        output_dir=output,
        fold_on=fold_on,  # type: ignore[arg-type]
        preset=preset,
        config=_fields(set_),
        settings=_settings(seed, epochs, batch_size, learning_rate, class_weights, thresholds),
        columns=columns,
        resume=resume,
        progress=not json_,
    )
    matrix = result.matrix
    if json_:
        _print_json({"metrics": result.training.metrics, "folder": str(output)})
        return
    from rich.console import Console

    from .terminal import influence_table, provenance_line

    console = Console()
    _print_counts(console, result.training.train, result.training.validation)
    console.print(
        "Validation: " + ", ".join(f"{name} {x:.4f}" for name, x in result.training.metrics.items())
    )
    if matrix.manifest["method"] == "contribution":
        console.print(provenance_line(matrix.manifest))
        for label in matrix.labels:
            rows = matrix.top_words(label, k)
            console.print(influence_table(rows, "word", f"Most influential on {label}"))
        first = matrix.top_words(matrix.labels[0], 1)
        if len(first):
            word = str(first["word"].iloc[0])
            console.print(influence_table(matrix.word(word), "label", f"Influence of {word}"))
    else:
        console.print("This head has no exact attributions; the matrix holds attention only.")
    console.print(f"Saved in {output}. Ask on: hf-attn-attr word {output} WORD")


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
    from .training import train as train_model

    texts = _texts(
        train, validation, extra_train, text_column, label_column, extra_label_column, label_map,
        problem_type,
    )  # fmt: skip
    result = train_model(
        *texts[:2],
        extra_train=texts[2],
        output_dir=output,
        preset=preset,
        config=_fields(set_),
        settings=_settings(seed, epochs, batch_size, learning_rate, class_weights, thresholds),
        resume=resume,
        progress=not json_,
    )
    _print_json({"metrics": result.metrics, "folder": str(output)})


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
    from .columns import save_columns
    from .data import load_labelled
    from .extraction import extract as extract_columns
    from .extraction import provenance
    from .workflow import corpus_facts

    model, tokenizer = _model(folder)
    read = load_labelled(texts, split=split, text_column=text_column, require_labels=False)
    columns = extract_columns(read.dataset, model, tokenizer, method=method)
    facts = {**provenance(model, tokenizer, method), "corpus": corpus_facts(read)}
    save_columns(columns, output, {**facts, "folded_on": "other"})
    print(f"{len(columns)} texts written to {output}. Next: hf-attn-attr fold {output} -o {folder}")  # noqa: T201


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
    from .columns import load_columns
    from .influence import fold as fold_columns

    dataset, facts = load_columns(columns)
    matrix = fold_columns(dataset, lowercase=not case_sensitive, provenance=facts)
    matrix.save_pretrained(output)
    print(f"{len(matrix.words)} words x {len(matrix.labels)} labels written to {output}/influence")  # noqa: T201


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

    Reads influence/ in a folder. Example: `hf-attn-attr top model --label joy`
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

    Reads influence/ in a folder. Example: `hf-attn-attr word model despise`
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

    Reads a model folder. Example: `hf-attn-attr explain model "What a lovely day"`
    """
    from transformers import pipeline

    model, tokenizer = _model(folder)
    if label is not None and label not in model.config.label2id:
        raise InvalidInputError(
            f"The model has no label {label!r}. It has {sorted(model.config.label2id)}."
        )
    ask = pipeline("attention-attribution", model=model, tokenizer=tokenizer)
    try:
        answer = ask(text, **({} if label is None else {"label": label}))
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    if json_:
        _print_json(answer)
        return
    from rich.console import Console

    from .terminal import explanation

    explanation(answer, text, Console())


def main() -> None:
    """Entry point; errors that we raise on purpose end with status 1 and their message alone."""
    try:
        app()
    except (AttnAttrError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
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
    fields: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInputError(f"--set is {setting!r}; write FIELD=VALUE.")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


def _settings(
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    class_weights: str,
    thresholds: str,
) -> "TrainingSettings":
    from .training import TrainingSettings

    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    return TrainingSettings(
        seed=seed,
        class_weights=class_weights,  # type: ignore[arg-type]
        thresholds=thresholds,  # type: ignore[arg-type]
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _model(folder: Path) -> tuple[Any, Any]:
    from .loading import load_model

    return load_model(folder)


def _records(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    records = rows.to_dict("records")
    return [
        {str(name): None if value != value else value for name, value in record.items()}
        for record in records
    ]


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))  # noqa: T201


def _print(*parts: Any) -> None:
    from rich.console import Console

    console = Console()
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def _print_counts(console: Any, train: "LabelledTexts", validation: "LabelledTexts") -> None:
    for name, texts in (("training", train), ("validation", validation)):
        dropped = "".join(f", {n} dropped ({why})" for why, n in texts.dropped.items() if n)
        console.print(f"{len(texts.dataset):,} {name} texts{dropped}", markup=False)
