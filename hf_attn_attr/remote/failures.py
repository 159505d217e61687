"""What can go wrong with the Hub, in our words. A message never holds a token."""

from collections.abc import Iterator
from contextlib import contextmanager

from hf_attn_attr.errors import HubError, InvalidInputError

# Seconds before what failed in passing is tried again, where huggingface_hub does not.
WAITS = (1.0, 4.0, 15.0)
_PASSING = (408, 429, 500, 502, 503, 504)


@contextmanager
def told(repo_id: str, repo_type: str = "model", revision: str | None = None) -> Iterator[None]:
    """Raises what huggingface_hub raises as our errors.

    Raises:
        InvalidInputError: If `repo_id` can be no repository's name.
        HubError: For everything else, saying what to do.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx

    place = _place(repo_id, revision)
    try:
        yield
    except errors.HFValidationError as error:
        raise InvalidInputError(
            f"{repo_id!r} cannot be the name of a repository. Wanted 'user/name', of letters, "
            "digits, '-', '_' and '.'."
        ) from error
    except errors.GatedRepoError as error:
        raise HubError(
            f"{repo_id} is gated. Ask for access on its page, then log in with `hf auth login` or "
            "pass a token."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"There is no {repo_type} repository {repo_id} on the Hub that you may see. Check the "
            "name; if it is private, log in with `hf auth login` or pass a token that may read it."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"{repo_id} has no revision {revision!r}. Give a branch, a tag or a commit of it."
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise HubError(f"{place} lacks a file: {_first_line(error)}") from error
    except errors.HfHubHTTPError as error:
        raise HubError(_http_failure(error, place)) from error
    except (
        errors.LocalEntryNotFoundError,
        errors.RevisionResolutionError,
        errors.OfflineModeIsEnabled,
        httpx.TransportError,
    ) as error:
        raise unreachable(repo_id, repo_type, revision, error) from error


def unreachable(
    repo_id: str, repo_type: str, revision: str | None, cause: BaseException | None = None
) -> HubError:
    """The error for what the cache lacks while the Hub cannot be asked."""
    download = repo_id + (f" --revision {revision}" if revision else "")
    if repo_type != "model":
        download += f" --repo-type {repo_type}"
    return HubError(
        f"The Hub cannot be reached{_reason(cause)}, and {_place(repo_id, revision)} is not in the "
        f"cache, or only in part. Fetch it while you are online: hf download {download}"
    )


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _PASSING
    return isinstance(error, httpx.TransportError)


def _http_failure(error: "BaseException", place: str) -> str:
    status = error.response.status_code  # type: ignore[attr-defined]
    if status == 401:
        return (
            f"The Hub does not know you ({place}: 401). Log in with `hf auth login` or pass a "
            "token that is still valid."
        )
    if status == 403:
        return f"You may not do this with {place} (403). Use a token with the right to write there."
    if status == 429:
        return f"The Hub is asked too often (429), by you or from your address: {place}. Wait."
    if status >= 500:
        return f"The Hub is in trouble ({status}): {place}. Try again later."
    return f"The Hub refused this for {place}: {_first_line(error)}"


def _place(repo_id: str, revision: str | None) -> str:
    return f"{repo_id} at {revision}" if revision else repo_id


def _reason(error: BaseException | None) -> str:
    """Offline by wish, or the first line of the first cause, in brackets."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return " (HF_HUB_OFFLINE is set)"
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    return "" if error is None else f" ({type(error).__name__}: {_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
