"""The statistical test behind `make bench ONLY=enumeration`."""

import pytest

from bench.timing import mann_whitney


def test_the_test_of_the_times_tells_two_samples_apart_and_one_from_itself() -> None:
    apart = mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert apart[0] == 0
    assert apart[1] == pytest.approx(0.0121858, abs=1e-6)  # what SciPy 1.16 gives, asymptotic
    assert mann_whitney([1, 1, 2], [1, 1, 2]) == (0.5, 1.0)
    numbers = [float(n * 7919 % 1009) for n in range(1000)]
    assert mann_whitney(numbers[::2], numbers[1::2])[1] > 0.05
    assert mann_whitney(numbers[::2], [n + 100 for n in numbers[1::2]])[1] < 0.001
