"""The commands that make a model or a matrix: demo, run and train.

Imports of models and data sit inside them, so that other commands answer without torch.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidInputError
from .app import app
from .options import (
    AttentionWeight,
    BatchSize,
    Classes,
    ClassWeights,
    Dask,
    EmbeddingMode,
    Epochs,
    ExtraLabelColumn,
    ExtraTrain,
    InitEmbeddings,
    Json,
    LabelColumn,
    LabelMap,
    LearningRate,
    MaxWords,
    Method,
    Model,
    NumProc,
    Option,
    Output,
    Preset,
    ProblemType,
    RationaleColumn,
    Results,
    Resume,
    Seed,
    Seeds,
    Set,
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
    read_texts,
    require_one_of,
    training_settings,
)
from .printing import (
    answer,
    print_json,
    print_parts,
    summary,
    summary_lines,
    working,
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
    max_words: MaxWords = None,
    num_proc: NumProc = None,
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
            "--max-words": max_words,
            "--num-proc": num_proc,
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
            model, texts, output, attribution, text_column, given,
            columns=columns, max_words=max_words, num_proc=num_proc, k=k, json_=json_,
        )  # fmt: skip
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
            max_words=max_words,
            num_proc=num_proc,
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
