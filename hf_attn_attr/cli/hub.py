"""The commands that publish."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..quiet import quiet_loading
from .commands import app
from .options import Folder, Json
from .printing import print_json, print_parts, working

if TYPE_CHECKING:
    from ..remote import Publication


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go up.")] = False,
    json_: Json = False,
) -> None:
    """Publish a model and its influence on the Hub, in one commit.

    Reads model, influence/, training.json, evaluation.json and report.html; writes a repository.
    The token is that of `hf auth login`, or HF_TOKEN.
    Example: `hf-attn-attr push model user/model`
    """
    with working():
        from ..hub import push_folder

        with quiet_loading():
            done = push_folder(
                folder,
                repo,
                private=private,
                revision=revision,
                create_pr=create_pr,
                code=not no_code,
                dry_run=dry_run,
            )
    if json_:
        print_json(asdict(done))
    else:
        print_parts(*_lines(done, dry_run=dry_run))


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
