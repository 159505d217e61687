"""Options that several commands share, and what they mean to the package."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from .completion import methods

if TYPE_CHECKING:
    from ..data import LabelledTexts
    from ..training import TrainingSettings

Folder = Annotated[Path, typer.Argument(help="Folder of a model and its influence matrix.")]
Source = Annotated[
    str, typer.Argument(help="Folder of an influence matrix, or a Hub name like user/model.")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of the Hub repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Train = Annotated[
    str, typer.Option(help="Training texts: a parquet, csv or jsonl file, or a Hub dataset.")
]
TrainOrModel = Annotated[
    str | None,
    typer.Option("--train", help="Training texts: a parquet, csv or jsonl file, or a Hub dataset."),
]
Model = Annotated[
    str | None,
    typer.Option(help="Train nothing: a classifier from the Hub or a folder, with --texts."),
]
MaxWords = Annotated[
    int | None,
    typer.Option(help="Tell this many words apart, the first to appear; count others as one."),
]
NumProc = Annotated[
    int | None, typer.Option(help="Processes that share the extraction. Default: this one alone.")
]
Texts = Annotated[str | None, typer.Option(help="Texts to fold with --model; they need no labels.")]
Method = Annotated[
    str,
    typer.Option(
        help="auto (contribution where exact, else occlusion), contribution, occlusion, "
        "integrated_gradients, input_x_gradient, attention or attention_rollout.",
        autocompletion=methods,
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="An option of the method: steps=N, baseline=pad|mask|zero|mean or max_error=X of "
        "integrated_gradients, by=mask|delete of occlusion.",
    ),
]
Classes = Annotated[
    str, typer.Option(help="For gradient methods: all, or labels to attribute alone: A,B.")
]
ClassesOrPredicted = Annotated[
    str,
    typer.Option(
        help="For gradient methods: all, predicted (of each text; such columns do not fold), or "
        "labels to attribute alone: A,B."
    ),
]
WordRuleName = Annotated[
    str,
    typer.Option(
        "--word-rule", help="What a word is: pre_tokens (of the tokenizer) or whitespace."
    ),
]
WindowOverlap = Annotated[
    int | None,
    typer.Option(help="Read long texts whole, in windows that share so many tokens. Default: cut."),
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
Preset = Annotated[str, typer.Option(help="default, fast, plain or lin2017.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A config field: FIELD=VALUE.")]
InitEmbeddings = Annotated[
    str | None,
    typer.Option(
        help="Word vectors to start from: a Hub encoder to distil, or a file (.txt, .vec, .bin, "
        ".safetensors, model2vec). Influence then includes their lexical knowledge."
    ),
]
EmbeddingMode = Annotated[
    str, typer.Option(help="What becomes of them: project, fine_tune, two_channel or frozen.")
]
Teacher = Annotated[
    str | None, typer.Option(help="A fine-tuned Hub classifier with the same labels to distil.")
]
TeacherWeight = Annotated[
    float | None, typer.Option(help="Share of the teacher in the targets of labelled texts.")
]
TeacherNgrams = Annotated[
    int | None, typer.Option(help="Random word n-grams of each text that the teacher labels too.")
]
RationaleColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of --train with human rationales for attention to learn: character spans "
        "[[start, end], ...], or a number per word beside a column `words` or `tokens`."
    ),
]
AttentionWeight = Annotated[
    float | None, typer.Option(help="Weight of the rationales beside the labels. Default: 1.")
]
Unlabelled = Annotated[
    str | None,
    typer.Option(help="Texts without labels: for --teacher, and for words with --init-embeddings."),
]
Seeds = Annotated[int, typer.Option(help="Train this many models, keep the best, show the spread.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, order and dropout.")]
Epochs = Annotated[
    int | None, typer.Option(help="At most this many epochs. Default: by the amount of text.")
]
BatchSize = Annotated[
    int | None, typer.Option(help="Texts per step. Default: 32, or 64 for very many texts.")
]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
ClassWeights = Annotated[str, typer.Option(help="none, or balanced for rare classes.")]
Thresholds = Annotated[str, typer.Option(help="Multi-label thresholds: global, per_label or none.")]
Dask = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Scheduler of a Dask cluster that folds --texts (parquet) with --model.",
    ),
]
Results = Annotated[
    str | None,
    typer.Option(
        help="For --dask: folder or URL that all machines reach, for finished shards. Default: "
        "shards/ in --output."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]
Split = Annotated[str | None, typer.Option(help="Split of a Hub dataset. Default: train.")]


def read_texts(
    train: str,
    validation: str | None,
    extra_train: str | None,
    unlabelled: str | None,
    text_column: str | None,
    label_column: str | None,
    extra_label_column: str | None,
    label_map: str | None,
    problem_type: str | None,
    rationale_column: str | None,
) -> "dict[str, LabelledTexts | None]":
    """The texts that `train` and `run` take, by the names of their arguments."""
    from ..data import load_labelled

    options: dict[str, Any] = {"text_column": text_column, "label_map": name_pairs(label_map)}
    first = load_labelled(
        train,
        label_column=label_column,
        problem_type=problem_type,  # type: ignore[arg-type]
        rationale_column=rationale_column,
        **options,
    )
    options |= {"labels": first.labels, "problem_type": first.problem_type}
    second = third = None
    if validation is not None:
        second = load_labelled(validation, label_column=label_column, split="validation", **options)
    if extra_train is not None:
        third = load_labelled(
            extra_train, label_column=extra_label_column or label_column, **options
        )
    fourth = None
    if unlabelled is not None:
        fourth = load_labelled(unlabelled, text_column=text_column, require_labels=False)
    return {
        "train_texts": first,
        "validation_texts": second,
        "extra_train": third,
        "unlabelled": fourth,
    }


def name_pairs(label_map: str | None) -> dict[str, str] | None:
    """Pairs of old and new names from OLD=NEW,OLD=NEW."""
    if label_map is None:
        return None
    pairs = [entry.partition("=") for entry in label_map.split(",") if entry]
    for old, equals, _ in pairs:
        if not old or not equals:
            raise InvalidInputError(f"--label-map is {label_map!r}; write OLD=NEW,OLD=NEW.")
    return {old.strip(): new.strip() for old, _, new in pairs}


def attribution_arguments(
    method: str = "auto",
    option: list[str] | None = None,
    classes: str = "all",
    word_rule: str = "pre_tokens",
    window_overlap: int | None = None,
) -> dict[str, Any]:
    """Arguments of `AttributionExtractor` from the options of the command line."""
    options: dict[str, Any] = {}
    for setting in option or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInputError(f"--option is {setting!r}; write NAME=VALUE.")
        options[name] = _value(value)
    return {
        "method": method,
        "options": options,
        "classes": classes if classes in ("all", "predicted") else classes.split(","),
        "word_rule": word_rule,
        "window_overlap": window_overlap,
    }


def config_fields(settings: list[str] | None) -> dict[str, Any]:
    """Config fields from FIELD=VALUE: values are JSON where they can be, else text."""
    from ..models.configuration_self_attentive import SelfAttentiveConfig

    # The rest follows from the texts, the tokenizer and the other options.
    known = set(SelfAttentiveConfig.__annotations__) - {
        *("vocab_size", "pad_token_id", "keys_to_ignore_at_inference"),
        *("static_embedding_size", "static_embedding_mode", "word_vectors", "teacher"),
        "attention_supervision",
    }
    fields: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals or name not in known:
            raise InvalidInputError(
                f"--set is {setting!r}; write FIELD=VALUE with one of the fields {sorted(known)}."
            )
        fields[name] = _value(value)
    return fields


def _value(text: str) -> Any:
    """JSON where it can be, else text."""
    try:
        return json.loads(text, parse_constant=_not_a_number)
    except ValueError:
        return text


def _not_a_number(name: str) -> None:
    raise ValueError(name)


def training_settings(**given: Any) -> "TrainingSettings":
    """Settings from the options that were given; None leaves the default.

    Raises:
        InvalidInputError: If a value is none of the choices or out of range.
    """
    from ..training import TrainingSettings

    require_one_of("--class-weights", given["class_weights"], ("none", "balanced"))
    require_one_of("--thresholds", given["thresholds"], ("global", "per_label", "none"))
    require_one_of(
        "--embedding-mode",
        given["embedding_mode"],
        ("project", "fine_tune", "two_channel", "frozen"),
    )
    rate, seed = given["learning_rate"], given["seed"]
    if rate is not None and not 0 < rate < math.inf:
        raise InvalidInputError(f"--learning-rate is {rate}; it must be above 0, finite.")
    if not 0 <= seed < 2**32:
        raise InvalidInputError(f"--seed is {seed}; it must be at least 0 and below 2^32.")
    return TrainingSettings(**{name: value for name, value in given.items() if value is not None})


def attention_option(weight: float | None, rationale_column: str | None) -> dict[str, float]:
    """The setting of --attention-weight, if given; it is of no use without rationales."""
    if weight is None:
        return {}
    if rationale_column is None:
        raise InvalidInputError(
            f"--attention-weight is {weight}, but there are no rationales for attention to learn. "
            "Name their column with --rationale-column."
        )
    return {"attention_weight": weight}


def require_one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise InvalidInputError(f"{option} is {value!r}; give one of {', '.join(choices)}.")
