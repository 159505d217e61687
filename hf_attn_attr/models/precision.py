"""Float32 that is float32 on a GPU too."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_within = 0
_before = True


@contextmanager
def without_cudnn(device: torch.device) -> Iterator[None]:
    """PyTorch's own kernels for RNNs and convolutions on CUDA; on other devices nothing changes.

    cuDNN rounds their inputs to TensorFloat-32, with 10 bits of fraction, unless it is told not to,
    and even then short-cuts tanh: the states of an LSTM are off by 3e-4 and 6e-6 of 1 (H100, torch
    2.11), where PyTorch's kernels are as near as the CPU's (2e-7). Which of cuDNN's kernels runs
    depends on the sizes. And it has no backward pass of RNNs in eval mode.

    The switch is the process's: threads may be within together, and the last one sets it back.

    Source: PyTorch's notes on CUDA semantics, "TensorFloat-32 (TF32) on Ampere devices".
    """
    global _within, _before
    if device.type != "cuda":
        yield
        return
    with _lock:
        if not _within:
            _before = torch.backends.cudnn.enabled
            torch.backends.cudnn.enabled = False
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within:
                torch.backends.cudnn.enabled = _before
