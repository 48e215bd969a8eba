import json

import pytest

from eyas.flows.books import Books
from eyas.training.feed import Tax


def settled(tax, *, waited=10.0, loop=100.0):
    books = Books({})
    books.settle(loop, evaluated_s=0, waited_s=waited, saved_s=0, images=1000, tax=tax)
    return books


def test_the_loader_tax_is_waiting_and_gathering_and_augmentation_stands_beside_it():
    rates = settled(Tax(wait_s=1.0, gather_s=2.0, augment_s=20.0)).rates()
    assert rates["loader_tax"] == pytest.approx(0.03)
    assert rates["augment_tax"] == pytest.approx(0.2)
    assert rates["images_per_second"] == pytest.approx(10)


def test_before_the_first_step_nothing_is_divided_by_nothing():
    assert Books({}).rates() == {"images_per_second": 0.0, "loader_tax": 0.0, "augment_tax": 0.0}


def test_earlier_processes_count_and_books_survive_a_checkpoint():
    told = json.loads(json.dumps(settled(Tax(1.0, 2.0, 3.0)).to_dict()))
    books = settled(Tax(4.0, 5.0, 6.0))
    books.restore(told)
    assert books.tax() == Tax(5.0, 7.0, 9.0)
    assert books.rates()["loader_tax"] == pytest.approx(12 / 200)
    del told["tax"]  # as an older eyas wrote it
    books.restore(told)
    assert books.tax() == Tax(4.0, 5.0, 6.0)


@pytest.mark.parametrize(
    ("tax", "streamed", "threads", "advice"),
    [
        (Tax(0.5, 1.0, 50.0), False, 1, "none"),
        (Tax(5.0, 40.0, 1.0), True, 2, "pack"),
        (Tax(5.0, 1.0, 40.0), False, 1, "augment"),
        (Tax(5.0, 1.0, 0.5), False, 1, "threads"),
        (Tax(0.0, 9.0, 1.0), False, 0, "threads"),
        (Tax(1.0, 9.0, 1.0), False, 1, "disk"),
    ],
)
def test_what_to_do_follows_from_what_took_long(tax, streamed, threads, advice):
    assert settled(tax).advice(streamed=streamed, threads=threads) == advice
