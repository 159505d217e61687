"""The commands.

Imports of models and data sit inside them, so that `top` and `word` answer without torch.
"""

import io
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import AttnAttrError, InvalidInputError
from ..quiet import quiet_loading
from . import completion
from .options import (
    AttentionWeight,
    BatchSize,
    Classes,
    ClassesOrPredicted,
    ClassWeights,
    Csv,
    Dask,
    EmbeddingMode,
    Epochs,
    ExtraLabelColumn,
    ExtraTrain,
    Folder,
    InitEmbeddings,
    Json,
    LabelColumn,
    LabelMap,
    LearningRate,
    Method,
    Model,
    Option,
    Output,
    Preset,
    ProblemType,
    RationaleColumn,
    Results,
    Resume,
    Revision,
    Seed,
    Seeds,
    Set,
    Source,
    Split,
    Teacher,
    TeacherNgrams,
    TeacherWeight,
    TextColumn,
    Texts,
    Thresholds,
    Train,
    TrainOrModel,
    Unlabelled,
    Validation,
    WindowOverlap,
    WordRuleName,
    attention_option,
    attribution_arguments,
    config_fields,
    name_pairs,
    read_texts,
    require_one_of,
    training_settings,
)
from .printing import (
    answer,
    complain,
    console,
    count,
    print_csv,
    print_json,
    print_parts,
    records,
    summary,
    summary_lines,
    working,
)

app = typer.Typer(
    name="hf-attn-attr",
    help="Which words drive which class, for Hugging Face text classifiers.",
    epilog="Exit status: 0 done; 1 something is wrong with input or files, said on standard error; "
    "2 wrong usage; 130 interrupted. NO_COLOR=1 switches colours off; they are off where output is "
    "no terminal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


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
    from ..demonstration import demonstrate

    demonstrate(output, seed=seed, epochs=epochs)


@app.command()
def run(
    output: Output,
    train: TrainOrModel = None,
    model: Model = None,
    texts: Texts = None,
    method: Method = "auto",
    option: Option = None,
    classes: Classes = "all",
    word_rule: WordRuleName = "pre_tokens",
    window_overlap: WindowOverlap = None,
    validation: Validation = None,
    extra_train: ExtraTrain = None,
    unlabelled: Unlabelled = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    extra_label_column: ExtraLabelColumn = None,
    label_map: LabelMap = None,
    problem_type: ProblemType = None,
    rationale_column: RationaleColumn = None,
    attention_weight: AttentionWeight = None,
    preset: Preset = "default",
    set_: Set = None,
    init_embeddings: InitEmbeddings = None,
    embedding_mode: EmbeddingMode = "project",
    teacher: Teacher = None,
    teacher_weight: TeacherWeight = None,
    teacher_ngrams: TeacherNgrams = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
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
    dask: Dask = None,
    results: Results = None,
    k: Annotated[int, typer.Option("-k", help="Words to print for each class.")] = 10,
    json_: Json = False,
) -> None:
    """Train a classifier, extract attributions, fold them, answer both questions, save all.

    Reads labelled texts; writes model, tokenizer, training.json and influence/ to --output. With
    --model nothing is trained: reads --texts, writes influence/; --dask lets a cluster do so.
    Example: `hf-attn-attr run --train train.csv --validation dev.csv --output model`
    """
    attribution = attribution_arguments(method, option, classes, word_rule, window_overlap)
    if dask is not None:
        from .engines import run_on_cluster

        unfit = {
            **{"--train": train, "--validation": validation, "--extra-train": extra_train},
            "--columns": columns,
        }
        run_on_cluster(
            dask, model, texts, output, results, attribution, text_column, unfit, k=k, json_=json_
        )
        return
    if results is not None:
        raise InvalidInputError("--results is where --dask keeps finished shards. Give --dask too.")
    if model is not None:
        from .any_classifier import run_model

        given = {"--train": train, "--validation": validation, "--extra-train": extra_train}
        run_model(
            model, texts, output, attribution, text_column, given, columns=columns, k=k, json_=json_
        )
        return
    if train is None or texts is not None or attribution != attribution_arguments():
        raise InvalidInputError(
            "Give --train to train a classifier, or --model and --texts (and perhaps --method and "
            "its options) for one that is trained already."
        )
    with working():
        from ..workflow import run as run_workflow

        require_one_of("--fold-on", fold_on, ("validation", "train"))
        settings = training_settings(
            init_embeddings=init_embeddings, embedding_mode=embedding_mode, teacher=teacher,
            teacher_weight=teacher_weight, teacher_ngrams=teacher_ngrams, seed=seed, seeds=seeds,
            epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            class_weights=class_weights, thresholds=thresholds,
            **attention_option(attention_weight, rationale_column),
        )  # fmt: skip
        config = config_fields(set_)
        sources = read_texts(
            train, validation, extra_train, unlabelled, text_column, label_column,
            extra_label_column, label_map, problem_type, rationale_column,
        )  # fmt: skip
        result = run_workflow(
            **sources,
            output_dir=output,
            fold_on=fold_on,  # type: ignore[arg-type]
            preset=preset,
            config=config,
            settings=settings,
            columns=columns,
            resume=resume,
            progress=not json_,
        )
    told = summary(result.training, output), summary_lines(result.training)
    answer(result.matrix, output, k, *told, json_=json_)


@app.command(name="train")
def train_command(
    train: Train,
    output: Output,
    validation: Validation = None,
    extra_train: ExtraTrain = None,
    unlabelled: Unlabelled = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    extra_label_column: ExtraLabelColumn = None,
    label_map: LabelMap = None,
    problem_type: ProblemType = None,
    rationale_column: RationaleColumn = None,
    attention_weight: AttentionWeight = None,
    preset: Preset = "default",
    set_: Set = None,
    init_embeddings: InitEmbeddings = None,
    embedding_mode: EmbeddingMode = "project",
    teacher: Teacher = None,
    teacher_weight: TeacherWeight = None,
    teacher_ngrams: TeacherNgrams = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
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
    with working():
        from ..training import train as train_model

        settings = training_settings(
            init_embeddings=init_embeddings, embedding_mode=embedding_mode, teacher=teacher,
            teacher_weight=teacher_weight, teacher_ngrams=teacher_ngrams, seed=seed, seeds=seeds,
            epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            class_weights=class_weights, thresholds=thresholds,
            **attention_option(attention_weight, rationale_column),
        )  # fmt: skip
        config = config_fields(set_)
        texts = read_texts(
            train, validation, extra_train, unlabelled, text_column, label_column,
            extra_label_column, label_map, problem_type, rationale_column,
        )  # fmt: skip
        result = train_model(
            **texts,
            output_dir=output,
            preset=preset,
            config=config,
            settings=settings,
            resume=resume,
            progress=not json_,
        )
    if json_:
        print_json(summary(result, output))
        return
    print_parts(*summary_lines(result), f"Saved in {output}.")


@app.command()
def evaluate(
    folder: Folder,
    data: Annotated[
        str | None,
        typer.Option(
            help="Texts new to the model: a file or a Hub dataset. Default: its validation texts, "
            "where they can be found again."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Classifier of the matrix in FOLDER. Default: that in FOLDER."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Texts whose words are erased one text at a time; over the corpus and for halves, "
            "three times as many. Default: 300, or 100 (halves: 900) where the model is not "
            "self-attentive.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample and of draws.")] = 0,
    seeds: Annotated[
        int,
        typer.Option(min=0, help="Train the model with so many other seeds, and compare. Slow."),
    ] = 0,
    train: Annotated[
        list[str] | None,
        typer.Option(
            help="For --seeds: the model's training texts, then its extra ones, each with --train. "
            "Default: as recorded, in the current folder."
        ),
    ] = None,
    rationale_column: RationaleColumn = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    split: Annotated[str, typer.Option(help="Split of a Hub dataset.")] = "test",
    json_: Json = False,
) -> None:
    """How good is the model, and which of its numbers may be believed?

    Reads a folder and texts; prints a verdict for each check, writes evaluation.json and the
    verdicts in influence/manifest.json. Predictions of multi-label models use their thresholds.
    --seeds keeps finished refits in FOLDER/refits, so that an interrupted run goes on.
    Example: `hf-attn-attr evaluate model --data test.csv`
    """
    from .evaluation import evaluate_and_tell

    evaluate_and_tell(
        folder,
        data,
        model,
        sample=sample,
        seed=seed,
        seeds=seeds,
        train=train or [],
        rationale_column=rationale_column,
        json_=json_,
        text_column=text_column,
        label_column=label_column,
        label_map=name_pairs(label_map),
        split=split,
    )


@app.command()
def extract(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a Hub classifier.")],
    texts: Annotated[str, typer.Argument(help="Texts: a file or a Hub dataset.")],
    output: Output,
    method: Method = "auto",
    option: Option = None,
    classes: ClassesOrPredicted = "all",
    word_rule: WordRuleName = "pre_tokens",
    window_overlap: WindowOverlap = None,
    text_column: TextColumn = None,
    split: Split = None,
) -> None:
    """Write attention and attribution columns of texts, with a trained model.

    Reads a model and texts; writes columns.parquet and columns.json to --output.
    Example: `hf-attn-attr extract model new.csv --output columns`
    """
    with working():
        from ..columns import save_columns
        from ..data import load_labelled
        from ..extraction import extract_with
        from ..workflow import facts
        from .any_classifier import extractor_of, tell_cost

        read = load_labelled(texts, split=split, text_column=text_column, require_labels=False)
        extractor = extractor_of(
            model, attribution_arguments(method, option, classes, word_rule, window_overlap)
        )
        tell_cost(extractor, read)
        columns = extract_with(extractor, read.dataset)
        save_columns(columns, output, facts(extractor, read, "other"))
    print_parts(
        count(read),
        f"Columns written to {output}. Next: hf-attn-attr fold {output} -o {model}",
    )


@app.command()
def fold(
    columns: Annotated[
        str, typer.Argument(help="Folder written by `extract`, or the Hub name of such columns.")
    ],
    output: Output,
    case_sensitive: Annotated[bool, typer.Option(help="Keep words apart by case.")] = False,
) -> None:
    """Fold columns into a matrix of word x class influence.

    Reads columns.parquet and columns.json; writes influence/ to --output.
    Example: `hf-attn-attr fold columns --output model`
    """
    with working():
        from ..columns import load_columns
        from ..workflow import matrix_of

        dataset, facts = load_columns(columns)
        matrix = matrix_of(dataset, facts, lowercase=not case_sensitive)
        matrix.save_pretrained(output)
    print_parts(
        f"{len(matrix.words)} words x {len(matrix.labels)} labels written to {output}/influence"
    )


@app.command()
def top(
    source: Source,
    label: Annotated[str, typer.Option(help="The class.", autocompletion=completion.labels)],
    k: Annotated[int, typer.Option("-k", help="Words to list.")] = 20,
    by: Annotated[
        str, typer.Option(help="Measure to rank by.", autocompletion=completion.measures)
    ] = "lower_bound",
    min_documents: Annotated[int, typer.Option(help="Leave out words of fewer texts.")] = 3,
    negative: Annotated[bool, typer.Option("--negative", help="What speaks against it.")] = False,
    revision: Revision = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """For a class, which words are most influential?

    Reads influence/ in a folder or on the Hub; prints a table, writes nothing.
    Example: `hf-attn-attr top model --label joy`
    """
    from ..influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(source, revision=revision)
    rows = matrix.top_words(label, k, by=by, min_documents=min_documents, negative=negative)
    if json_:
        print_json({"label": label, "by": by, "words": records(rows)})
        return
    if csv:
        print_csv(rows)
        return
    from ..terminal import influence_table, joint_table, provenance_line

    attention = by in ("joint", "p_word_given_class", "p_class_given_word", "lift", "npmi")
    table = joint_table if attention else influence_table
    print_parts(
        provenance_line(matrix.manifest),
        table(rows, "word", f"Words by {by} {'against' if negative else 'on'} {label}"),
    )


@app.command()
def word(
    source: Source,
    word: str,
    revision: Revision = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """For a word, how much does it influence each class?

    Reads influence/ in a folder or on the Hub; prints two tables, writes nothing.
    Example: `hf-attn-attr word user/model despise`
    """
    from ..influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(source, revision=revision)
    rows = matrix.word(word)
    if json_:
        print_json({"word": word, "labels": records(rows)})
        return
    if csv:
        print_csv(rows)
        return
    from ..terminal import influence_table, joint_table, provenance_line

    print_parts(
        provenance_line(matrix.manifest),
        influence_table(rows, "label", f"Influence of {word}"),
        joint_table(rows, "label", f"Attention on {word}"),
    )


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a Hub classifier.")],
    text: str,
    method: Method = "auto",
    label: Annotated[
        str | None, typer.Option(help="Ask about this label, not the predicted one.")
    ] = None,
    option: Option = None,
    word_rule: WordRuleName = "pre_tokens",
    window_overlap: WindowOverlap = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """What did each word of one text do?

    Reads a model; prints the text and a table, writes nothing.
    Example: `hf-attn-attr explain model "What a lovely day"`
    """
    with working():
        from transformers import pipeline

        from .any_classifier import load

        attribution = attribution_arguments(
            method, option, word_rule=word_rule, window_overlap=window_overlap
        )
        del attribution["classes"]  # the label's alone
        classifier, tokenizer = load(model)
        ask = pipeline(
            "attention-attribution", model=classifier, tokenizer=tokenizer, **attribution
        )
        found = ask(text, label=label)
    if json_:
        print_json(found)
        return
    if csv:
        import pandas as pd

        print_csv(pd.DataFrame(found["words"]).assign(label=found["label"]))
        return
    from ..terminal import explanation

    explanation(found, text, console())


def main() -> None:
    """Entry point; errors that we raise on purpose end with status 1 and their message alone."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding lacks is shown as an escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: complain(f"Warning: {message}")
        try:
            app()
        except (AttnAttrError, OSError) as error:
            complain(f"Error: {error}")
            sys.exit(1)


def _model(folder: Path) -> tuple[Any, Any]:
    from ..loading import load_model

    with quiet_loading():
        return load_model(folder)
