import dataclasses

import pytest

from eyas.errors.messages import say
from eyas.hardware.plan import Job, Wishes, changes, decide, from_list
from eyas.machine import look

HERE = look()
JOB = Job(pixels=32 * 32, per_image_resampling=False, batch_size=128, cuda=False)


def machine(*isa, cores=4):
    return dataclasses.replace(HERE, isa=isa, cores=cores)


@pytest.mark.parametrize(
    ("isa", "precision"),
    [((), "fp32"), (("avx2", "avx512"), "fp32"), (("avx512_bf16",), "bf16"), (("avx512_bf16", "amx_bf16"), "bf16")],
)
def test_bf16_only_where_the_cpu_has_it(isa, precision):
    assert decide(machine(*isa), JOB, Wishes())["precision"] == precision


def test_every_choice_has_a_reason():
    assert all(c.reason for c in decide(machine(), JOB, Wishes()).choices)


def test_what_the_user_says_wins_and_is_named_so():
    plan = decide(machine("amx_bf16"), JOB, Wishes(precision="fp32", threads=1, parts=3))
    told = {c.name: (c.value, c.reason) for c in plan.choices}
    assert told["precision"] == ("fp32", say("plan.you_said_so"))
    assert told["threads"] == (1, say("plan.you_said_so"))
    assert told["parts"] == (3, say("plan.you_said_so"))


def test_images_that_are_resampled_are_made_ahead():
    assert decide(machine(), JOB, Wishes())["loader_threads"] == 0
    assert decide(machine(), dataclasses.replace(JOB, per_image_resampling=True), Wishes())["loader_threads"] == 1


def test_a_plan_survives_its_json():
    plan = decide(machine(), JOB, Wishes())
    assert from_list(plan.to_list()) == plan


def test_changes_name_what_differs():
    a, b = decide(machine(), JOB, Wishes(threads=1)), decide(machine(), JOB, Wishes(threads=2))
    assert changes(a, b) == ["threads 1 -> 2"]


def test_more_threads_than_cores_are_taken_with_a_word():
    here = machine()
    told = {c.name: (c.value, c.reason) for c in decide(here, JOB, Wishes(threads=1000, workers=here.cores)).choices}
    assert told["threads"] == (1000, say("plan.you_said_so_over", n=here.cores))
    assert told["workers"] == (here.cores, say("plan.you_said_so"))


def test_where_the_images_are_follows_from_what_they_take():
    here = dataclasses.replace(machine(), memory_free_bytes=10_000_000_000)
    for size, where in ((10**9, "memory"), (5 * 10**9, "mapped"), (9 * 10**9, "disk"), (10**12, "disk")):
        assert decide(here, dataclasses.replace(JOB, pack_bytes=size), Wishes())["images"] == where
    unknown = dataclasses.replace(here, memory_free_bytes=0)
    assert decide(unknown, dataclasses.replace(JOB, pack_bytes=10**9), Wishes())["images"] == "mapped"
    plan = decide(here, dataclasses.replace(JOB, streamed="it does not fit"), Wishes())
    assert plan["images"] == "streamed"
    assert plan["loader_threads"] == here.cores
    assert any("it does not fit" in choice.reason for choice in plan.choices)


def test_a_device_is_fed_by_more_threads_than_a_processor():
    cuda = dataclasses.replace(JOB, cuda=True)
    assert decide(machine(cores=16), cuda, Wishes())["loader_threads"] == 8
    assert decide(machine(cores=2), cuda, Wishes())["loader_threads"] == 1
    assert decide(machine(cores=16), cuda, Wishes(loader_threads=3))["loader_threads"] == 3
