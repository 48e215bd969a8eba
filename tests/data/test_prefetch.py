import threading

import numpy as np
import pytest

from eyas.data.prefetch import Waits, ahead


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_values_come_in_order_whatever_the_depth_and_threads(depth, threads):
    def make(k):
        return np.random.default_rng(k).random(1000 + 37 * (k % 5)).sum()

    assert list(ahead(make, range(40), depth=depth, threads=threads)) == [make(k) for k in range(40)]


def test_no_more_than_depth_values_are_made_ahead():
    made, asked, gate = [], [], threading.Semaphore(0)

    def make(k):
        made.append(k)
        gate.release()
        return k

    def keys():
        for k in range(100):
            asked.append(k)
            yield k

    values = ahead(make, keys(), depth=3)
    assert made == []  # nothing before the first is asked for
    for k in range(5):
        assert next(values) == k
    for _ in range(8):
        assert gate.acquire(timeout=60)  # the five that were taken and three more
    assert asked == made == list(range(8))
    values.close()
    assert made == list(range(8))


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_is_raised_where_its_value_was_due(depth):
    def make(k):
        if k == 3:
            raise ValueError("three")
        return k

    values = ahead(make, range(10), depth=depth)
    assert [next(values) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(values)
    with pytest.raises(StopIteration):
        next(values)


def test_an_error_of_the_keys_is_raised_too():
    def keys():
        yield 1
        raise KeyError("keys")

    values = ahead(lambda k: k, keys(), depth=1)
    with pytest.raises(KeyError):
        list(values)


@pytest.mark.parametrize("how", ["close", "break", "error", "end"])
def test_no_thread_is_left(how):
    before = set(threading.enumerate())
    values = ahead(lambda k: k, range(10), depth=4, threads=3)
    if how == "close":
        next(values)
        values.close()
    elif how == "break":
        for _ in values:
            break
        del values, _
    elif how == "error":
        with pytest.raises(ZeroDivisionError):
            list(ahead(lambda k: 1 // (k - 5), range(10), depth=4))
        values.close()
    else:
        assert list(values) == list(range(10))
    assert set(threading.enumerate()) == before


def test_an_endless_stream_of_keys_is_fine():
    def keys():
        k = 0
        while True:
            yield k
            k += 16

    values = ahead(lambda k: k, keys(), depth=2)
    assert [next(values) for _ in range(5)] == [0, 16, 32, 48, 64]
    values.close()


def test_waiting_and_work_are_counted():
    waits = Waits()

    def make(k):
        return sum(range(20_000))

    assert len(list(ahead(make, range(20), depth=2, waits=waits))) == 20
    assert waits.count == 20
    assert waits.work_s > 0
    assert waits.wait_s >= 0
    inline = Waits()
    list(ahead(make, range(20), depth=0, waits=inline))
    assert inline.wait_s > 0
    assert inline.work_s > 0
