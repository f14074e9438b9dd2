from __future__ import annotations

from numba import njit

from watchbill.runners.compiling import compiling, kernels_loaded


def test_a_compilation_is_told_and_a_second_call_is_not() -> None:
    def double(x: int) -> int:
        return 2 * x

    kernel, told = njit(double), []
    with compiling(lambda done, about: told.append((done, about))):
        assert kernel(2) == 4
        assert kernel(3) == 6
    assert len(told) == 1
    assert told[0][0] == 0
    assert told[0][1] >= 1


def test_nothing_is_told_outside() -> None:
    told: list[int] = []
    with compiling(lambda done, _about: told.append(done)):
        pass
    assert njit(lambda x: x)(1) == 1
    assert told == []


def test_kernels_of_loaded_modules_are_counted() -> None:
    import watchbill.core.tables  # noqa: F401 - loads some

    assert kernels_loaded() > 3
