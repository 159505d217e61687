"""The commands that publish."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from ..quiet import quiet_loading
from .app import app
from .options import Folder, Json, require_one_of
from .printing import print_json, print_parts, records, working

if TYPE_CHECKING:
    from ..remote import Publication

License = Annotated[
    str | None, typer.Option(help="Licence of the model, as on the Hub: mit, cc-by-4.0, ...")
]
Language = Annotated[str | None, typer.Option(help="Language of its texts, as on the Hub: en.")]


@app.command()
def push(
    folder: Folder,
    repo: Annotated[str, typer.Argument(help="Hub repository: user/name.")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who sees it. Default: as it is; new: public."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to commit to.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    no_code: Annotated[
        bool, typer.Option("--no-code", help="Leave out the code that replaces this package.")
    ] = False,
    license: License = None,
    language: Language = None,
    what: Annotated[
        str,
        typer.Option(help="model; or, as a data set by itself, columns or table (of influence)."),
    ] = "model",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go up.")] = False,
    json_: Json = False,
) -> None:
    """Publish a model and its influence on the Hub, in one commit.

    Reads model, influence/, training.json, evaluation.json, report.html, influence.png and
    README.md; writes a repository. With --what columns or table it is a data set; columns hold the
    texts themselves.
    The token is that of `hf auth login`, or HF_TOKEN.
    Example: `hf-attn-attr push model user/model`
    """
    require_one_of("--what", what, ("model", "columns", "table"))
    given = {"license": license, "private": private, "revision": revision}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    options |= {"create_pr": create_pr, "dry_run": dry_run}
    with working():
        if what == "columns":
            from ..columns import load_columns
            from ..hub import push_columns

            columns, provenance = load_columns(folder)
            done = push_columns(columns, repo, provenance, **options)
        elif what == "table":
            from ..influence import InfluenceMatrix

            matrix = InfluenceMatrix.from_pretrained(folder)
            done = matrix.push_to_hub(repo, repo_type="dataset", **options)
        else:
            from ..hub import push_folder

            options |= {} if language is None else {"language": language}
            with quiet_loading():
                done = push_folder(folder, repo, code=not no_code, **options)
    if json_:
        print_json(asdict(done))
    else:
        print_parts(*_lines(done, dry_run=dry_run))


@app.command()
def card(
    folder: Folder,
    repo: Annotated[
        str | None, typer.Option(help="Where it will be published: its examples load from there.")
    ] = None,
    license: License = None,
    language: Language = None,
    picture: Annotated[
        bool, typer.Option("--picture", help="Draw influence.png too; needs matplotlib.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also where README.md was written by hand.")
    ] = False,
) -> None:
    """Write the model card of a folder from what lies in it.

    Reads config, influence/, training.json and evaluation.json; writes README.md and, if asked,
    influence.png. `push` renders it anew, and keeps the licence and language given here.
    Example: `hf-attn-attr card model --license apache-2.0 --language en`
    """
    from ..cards import RENDERED
    from ..files import write_bytes
    from ..hub import folder_card
    from ..layout import CARD, PICTURE

    path = folder / CARD
    if path.is_file() and not overwrite and RENDERED not in path.read_text(encoding="utf-8"):
        raise InvalidInputError(
            f"{path} was written or changed by hand. Move it away, or give --overwrite."
        )
    if picture:
        from ..influence import InfluenceMatrix
        from ..report import save_picture

        save_picture(InfluenceMatrix.from_pretrained(folder), folder / PICTURE)
    text = folder_card(folder, repo, license=license, language=language)
    write_bytes(path, text.encode())
    print_parts(f"Written to {path}.")


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="Folder or Hub name; NAME@REVISION for another.")],
    after: Annotated[str, typer.Argument(help="What to compare it with, likewise.")],
    label: Annotated[str | None, typer.Option(help="This class alone.")] = None,
    k: Annotated[int, typer.Option("-k", help="Words to list of each kind of change.")] = 10,
    min_documents: Annotated[int, typer.Option(help="Leave out words of fewer texts.")] = 3,
    json_: Json = False,
) -> None:
    """What changed between two revisions, two models or two corpora: words gained, lost, flipped.

    Reads two influence matrices; prints tables, writes nothing. Shown is what the errors of both do
    not explain, with at most 5% false findings expected; and, without a difference, words that only
    one of them attests because the other has too few texts of them.
    Example: `hf-attn-attr compare user/model@v1 user/model@v2`
    """
    from ..influence import InfluenceMatrix
    from ..influence.comparison import CHANGES, ranked

    matrices = []
    for source in (before, after):
        name, at, revision = source.rpartition("@")
        known = not at or Path(source).is_dir()
        matrices.append(
            InfluenceMatrix.from_pretrained(source)
            if known
            else InfluenceMatrix.from_pretrained(name, revision=revision)
        )
    rows = matrices[0].compare(matrices[1], min_documents)
    if label is not None:
        if label not in matrices[0].labels:
            raise InvalidInputError(
                f"{label!r} is not a label of these matrices. Their labels are "
                f"{list(matrices[0].labels)}."
            )
        rows = rows[rows["label"] == label]
    counts = {name: int((rows["change"] == name).sum()) for name in CHANGES}
    found = {name: ranked(rows[rows["change"] == name])[:k] for name in CHANGES[:-1]}
    if json_:
        print_json({"counts": counts, **{name: records(part) for name, part in found.items()}})
        return
    from ..terminal import change_table

    print_parts(
        f"{len(rows)} words and classes compared: "
        + ", ".join(f"{count} {name}" for name, count in counts.items()),
        *(change_table(part, name.capitalize()) for name, part in found.items() if len(part)),
    )


def _lines(done: "Publication", *, dry_run: bool) -> list[str]:
    lines = [
        f"{what:>9}  {name}"
        for what, names in (
            ("new", done.added),
            ("changed", done.changed),
            ("unchanged", done.unchanged),
            ("deleted", done.deleted),
            ("left", done.kept),
        )
        for name in names
    ]
    if dry_run:
        return [*lines, f"Nothing was published. Without --dry-run it goes to {done.url}"]
    if not done.differs:
        return [*lines, f"Nothing new for {done.url} (commit {done.commit})."]
    return [*lines, f"Published at {done.pull_request or done.url} (commit {done.commit})."]
