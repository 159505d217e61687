"""The switch of cuDNN: off where it is asked for, and as it was after; no GPU is needed."""

import contextlib
import threading

import pytest
import torch

from hf_attn_attr.models.precision import without_cudnn

CUDNN = torch.backends.cudnn
CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_off_within_and_as_it_was_after(monkeypatch, enabled):
    monkeypatch.setattr(CUDNN, "enabled", enabled)
    with without_cudnn(CUDA):
        with without_cudnn(CUDA):
            assert not CUDNN.enabled
        assert not CUDNN.enabled
    assert CUDNN.enabled == enabled


def test_an_error_within_sets_it_back():
    with contextlib.suppress(KeyError), without_cudnn(CUDA):
        raise KeyError
    assert CUDNN.enabled


def test_other_devices_change_nothing():
    for device in ("cpu", "meta", "mps"):
        with without_cudnn(torch.device(device)):
            assert CUDNN.enabled


def test_the_last_of_several_threads_sets_it_back():
    entered, left = threading.Event(), threading.Event()

    def work():
        with without_cudnn(CUDA):
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=work)
    with without_cudnn(CUDA):
        thread.start()
        assert entered.wait(60)
    assert not CUDNN.enabled
    left.set()
    thread.join(60)
    assert CUDNN.enabled
