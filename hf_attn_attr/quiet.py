"""Loading models without what transformers prints about it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_loading(*, bars: bool = False) -> Iterator[None]:
    """Without transformers' load report, which our loaders check themselves.

    Args:
        bars: Leave progress bars on.
    """
    from transformers.utils import logging

    verbosity, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
