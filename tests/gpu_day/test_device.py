import time

import pytest
import torch

from scripts.gpu_day import device
from scripts.gpu_day.device import Sampler, mark, seconds_between, take_rate, union, use_tf32

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("spans", "total"),
    [([], 0), ([(0, 2), (1, 3)], 3), ([(5, 6), (0, 1)], 2), ([(0, 9), (1, 2), (8, 10)], 10)],
)
def test_time_that_two_streams_share_counts_once(spans, total):
    assert union(spans) == total


def test_a_rate_is_the_time_of_one_call(monkeypatch):
    calls = []
    monkeypatch.setattr(device, "mark", lambda where: 0.25 * len(calls))
    assert take_rate(CPU, lambda: calls.append(1), 2.0) == 0.25
    assert len(calls) == 1 + 1 + 8


def test_marks_measure_time():
    began = mark(CPU)
    time.sleep(0.02)
    assert 0.02 <= seconds_between(began, mark(CPU)) < 1


def test_tf32_is_as_it_was_afterwards():
    before = torch.backends.cudnn.allow_tf32
    with use_tf32(not before):
        assert torch.backends.cudnn.allow_tf32 is not before
    assert torch.backends.cudnn.allow_tf32 is before


def test_samples_after_the_end_do_not_count():
    sampler = Sampler(CPU)
    sampler.samples = [(1.0, 10.0), (2.0, 30.0), (3.0, 90.0)]
    assert sampler.take_mean(2.5) == 20
    assert sampler.take_mean(0.5) == "no sample"


def test_a_sampler_tells_why_it_has_no_samples(monkeypatch):
    def refuse(device):
        raise ModuleNotFoundError("pynvml does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    with Sampler(torch.device("cuda")) as sampler:
        time.sleep(0.3)
    assert sampler.take_mean() == "ModuleNotFoundError: pynvml does not seem to be installed"
