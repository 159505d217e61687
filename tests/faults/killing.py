"""Processes that die: at every line of chosen files, or at any moment."""

import contextlib
import gc
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

KILLED, DONE = "killed", "done"

# Without this, processes share tqdm's lock, and one that is killed keeps it for ever.
tqdm.set_lock(threading.RLock())


def _fork(action: Callable[[], None]) -> int:
    """Run `action` in a process of its own; it ends with status 0 if all went well."""
    with tqdm.get_lock():  # its other threads hold it at times, and are not there after the fork
        process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setpgid(0, 0)
        gc.freeze()  # what waits for its threads when it is cleared away would wait for ever
        action()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _wait(process: int) -> str:
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return KILLED
    assert status == 0, f"the process failed with status {status}"
    return DONE


def run(action: Callable[[], None]) -> float:
    """Seconds that `action` takes in a process of its own."""
    start = time.monotonic()
    assert _wait(_fork(action)) == DONE
    return time.monotonic() - start


def killed_after(action: Callable[[], None], seconds: float) -> bool:
    """Whether SIGKILL, sent to the process of `action` and its children, came before its end."""
    process = _fork(action)

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):  # over already
            os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # its children, if it was a group already
            os.killpg(process, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        return _wait(process) == KILLED
    finally:
        timer.cancel()
        timer.join()


def landed(kills: int, seconds: float, kill: Callable[[float], bool]) -> Iterator[float]:
    """Call `kill` with random moments of a job until enough of them came before its end.

    Yields the moment after each that did.
    """
    draw, found = random.Random(0), 0
    for _ in range(20 * kills):
        moment = draw.uniform(0, seconds)
        if kill(moment):
            found += 1
            yield moment
        else:  # it is faster than when its time was taken
            seconds = (seconds + moment) / 2
        if found == kills:
            return
    raise AssertionError(f"{found} of {kills} kills came before the end of the job")


def crashes(action: Callable[[], None], *modules: ModuleType, every: int = 1) -> Iterator[int]:
    """Run `action` again and again, killed at the first, second, ... line that it runs of modules.

    With `every` only at each so many lines. Yields the number of the line after each crash, until
    the action comes to its end.
    """
    files = {str(Path(str(module.__file__))) for module in modules}
    line = 0
    while True:
        line += every

        def doomed(last: int = line) -> None:
            seen = 0

            def inside(frame, event, argument):
                nonlocal seen
                seen += event == "line"
                if seen == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return inside

            def enter(frame, event, argument):
                return inside if frame.f_code.co_filename in files else None

            sys.settrace(enter)
            action()

        if _wait(_fork(doomed)) == DONE:
            return
        yield line
