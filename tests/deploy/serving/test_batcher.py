"""Batches of requests in flight: who shares one, who waits, who is refused, and who is not harmed."""

import asyncio
import contextlib
import threading
import time

import pytest

from capsmith.deploy.serving.batcher import Batcher, Closed, Overloaded
from tests.support.served import BROKEN, BROKEN_SEARCH, ServedCaptioner, pixels_of, text_for


@pytest.fixture
def captioner():
    made = ServedCaptioner()
    yield made
    made.open()


def run(captioner, test, **limits):
    """Runs a coroutine ``test(batcher)`` and closes the batcher after it."""

    async def main():
        batcher = Batcher(captioner, "m", **limits)
        try:
            return await asyncio.wait_for(test(batcher), 20)
        finally:
            captioner.open()
            await asyncio.wait_for(batcher.close(), 20)

    return asyncio.run(main())


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


def beam(captioner, **settings):
    return captioner.chosen(None, settings)


async def start(batcher, captioner, *colours, **settings):
    """Starts a request for each colour and waits until all are in the queue."""
    before = batcher.waiting
    tasks = [asyncio.create_task(batcher.caption(pixels_of(one), beam(captioner, **settings))) for one in colours]
    await until(lambda: batcher.waiting == before + len(colours))
    return tasks


async def texts(tasks):
    return [caption.text for (caption,) in await asyncio.gather(*tasks)]


def test_requests_that_gather_while_the_cnn_is_busy_share_its_next_batch(captioner):
    captioner.shut("encode")

    async def test(batcher):
        first = await start(batcher, captioner, 1)
        await until(lambda: captioner.encoded == [[1]])
        others = await start(batcher, captioner, 2, 3, 4)
        captioner.open()
        return await texts(first + others)

    assert run(captioner, test) == [text_for(colour, beam(captioner)) for colour in (1, 2, 3, 4)]
    assert captioner.encoded == [[1], [2, 3, 4]]


def test_images_that_are_encoded_while_the_search_is_busy_share_its_next_batch(captioner):
    captioner.shut("search")

    async def test(batcher):
        tasks = await start(batcher, captioner, 1)
        await until(lambda: captioner.searched == [[1]])
        for colour in (2, 3, 4):  # the CNN goes on
            tasks += await start(batcher, captioner, colour)
            await until(lambda: captioner.encoded[-1] == [colour])  # noqa: B023
        await until(lambda: len(batcher._queue._encoded) == 3)
        captioner.open()
        return await texts(tasks)

    assert run(captioner, test) == [text_for(colour, beam(captioner)) for colour in (1, 2, 3, 4)]
    assert captioner.encoded == [[1], [2], [3], [4]]
    assert captioner.searched == [[1], [2, 3, 4]]


def test_an_idle_model_does_not_wait(captioner):
    async def test(batcher):
        started = time.perf_counter()
        await batcher.caption(pixels_of(1), beam(captioner))
        return time.perf_counter() - started

    assert run(captioner, test, max_wait=5) < 1


def test_an_idle_model_waits_for_an_announced_request(captioner):
    async def test(batcher):
        with batcher.expecting():
            first = await start(batcher, captioner, 1)
            await asyncio.sleep(0.05)
            assert captioner.encoded == []
            second = await start(batcher, captioner, 2)
        await texts(first + second)

    run(captioner, test, max_wait=5)
    assert captioner.encoded == [[1, 2]]


def test_an_announced_request_that_never_comes_delays_only_by_max_wait(captioner):
    async def test(batcher):
        with batcher.expecting():
            await batcher.caption(pixels_of(1), beam(captioner))

    run(captioner, test, max_wait=0.01)


def test_a_batch_has_at_most_max_batch_images_and_a_request_may_span_several(captioner):
    captioner.shut("encode")

    async def test(batcher):
        tasks = [asyncio.create_task(batcher.caption(pixels_of(*range(n, n + 5)), beam(captioner))) for n in (0, 5)]
        await until(lambda: batcher.waiting == 10)
        captioner.open()
        return [[caption.words[1] for caption in captions] for captions in await asyncio.gather(*tasks)]

    assert run(captioner, test, max_batch=4) == [list("01234"), list("56789")]
    assert max(map(len, captioner.encoded + captioner.searched)) <= 4
    assert sum(map(len, captioner.encoded)) == 10


def test_different_settings_share_the_cnn_but_not_the_search(captioner):
    captioner.shut("encode")

    async def test(batcher):
        blocked = await start(batcher, captioner, 0)
        await until(lambda: captioner.encoded == [[0]])
        long = await start(batcher, captioner, 1, 3, max_length=20)
        short = await start(batcher, captioner, 2, 4, max_length=9)
        captioner.open()
        await texts(blocked)
        return await texts(long + short)

    expected = [text_for(n, beam(captioner, max_length=length)) for n, length in ((1, 20), (3, 20), (2, 9), (4, 9))]
    assert run(captioner, test) == expected
    assert captioner.encoded == [[0], [1, 3, 2, 4]]
    assert sorted(captioner.searched) == [[0], [1, 3], [2, 4]]


def test_an_expensive_search_lets_others_take_turns(captioner):
    captioner.shut("search")

    async def test(batcher):
        blocked = await start(batcher, captioner, 0)
        await until(lambda: captioner.searched == [[0]])
        costly = asyncio.create_task(
            batcher.caption(pixels_of(*range(100, 106)), beam(captioner, beam_size=10, include=["a", "red green"] * 15))
        )
        await until(lambda: batcher.waiting == 7)
        cheap = await start(batcher, captioner, 1, max_length=9)
        await until(lambda: len(batcher._queue._encoded) == 7)
        captioner.open()
        await texts(blocked + cheap)
        await costly

    run(captioner, test)
    assert all(len(batch) == 1 for batch in captioner.searched)
    assert captioner.searched.index([1]) <= 2


def test_the_queue_is_bounded_in_images(captioner):
    captioner.shut()

    async def test(batcher):
        tasks = [asyncio.create_task(batcher.caption(pixels_of(*range(5)), beam(captioner)))]
        await until(lambda: batcher.waiting == 5)
        with pytest.raises(Overloaded) as refused:
            await batcher.caption(pixels_of(1, 2, 3, 4), beam(captioner))
        assert 1 <= refused.value.retry_after <= 60
        tasks.append(asyncio.create_task(batcher.caption(pixels_of(7, 8, 9), beam(captioner))))
        await until(lambda: batcher.waiting == 8)
        with pytest.raises(Overloaded):
            await batcher.caption(pixels_of(1), beam(captioner))
        captioner.open()
        return [len(captions) for captions in await asyncio.gather(*tasks)]

    assert run(captioner, test, max_queue=8) == [5, 3]


def test_an_empty_queue_accepts_a_request_of_any_size(captioner):
    async def test(batcher):
        return len(await batcher.caption(pixels_of(*range(12)), beam(captioner)))

    assert run(captioner, test, max_queue=4) == 12


def test_retry_after_grows_with_the_time_of_an_image(captioner):
    captioner.shut()

    async def test(batcher):
        batcher._seconds["search"] = 2.0
        waiting = asyncio.create_task(batcher.caption(pixels_of(*range(8)), beam(captioner)))
        await until(lambda: batcher.waiting == 8)
        with pytest.raises(Overloaded) as refused:
            await batcher.caption(pixels_of(1), beam(captioner))
        captioner.open()
        await waiting
        return refused.value.retry_after

    assert run(captioner, test, max_queue=8) == 16


@pytest.mark.parametrize("stage", ["encode", "search"])
def test_a_client_that_goes_away_frees_its_places(captioner, stage):
    captioner.shut(stage)

    async def test(batcher):
        first = await start(batcher, captioner, 1)
        await until(lambda: getattr(captioner, f"{stage}ed".replace("eed", "ed")) == [[1]])
        gone = asyncio.create_task(batcher.caption(pixels_of(2, 3, 4), beam(captioner)))
        await until(lambda: batcher.waiting == 4)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        await until(lambda: batcher.waiting == 1)
        last = await start(batcher, captioner, 5)
        captioner.open()
        return await texts(first + last)

    assert run(captioner, test, max_queue=4) == [text_for(n, beam(captioner)) for n in (1, 5)]
    assert sum(captioner.searched, []) == [1, 5]


@pytest.mark.parametrize("broken", [BROKEN, BROKEN_SEARCH])
def test_an_error_in_one_job_does_not_harm_the_others(captioner, broken):
    captioner.shut("encode")

    async def test(batcher):
        blocked = await start(batcher, captioner, 0)
        await until(lambda: captioner.encoded == [[0]])
        tasks = await start(batcher, captioner, 1, broken, 2)
        captioner.open()
        results = await asyncio.gather(*blocked, *tasks, return_exceptions=True)
        again = await batcher.caption(pixels_of(9), beam(captioner))
        assert batcher.waiting == 0
        return results, again

    results, again = run(captioner, test)
    assert [one[0].words[1] for one in (*results[:2], results[3], again)] == ["0", "1", "2", "9"]
    assert isinstance(results[2], ValueError if broken == BROKEN else MemoryError)


def test_pixels_of_a_wrong_size_are_an_error_of_their_job_only(captioner):
    captioner.shut("encode")

    async def test(batcher):
        blocked = await start(batcher, captioner, 0)
        await until(lambda: captioner.encoded == [[0]])
        wrong = asyncio.create_task(batcher.caption([[pixels_of(1)[0][0][:4]]], beam(captioner)))
        await until(lambda: batcher.waiting == 2)
        right = await start(batcher, captioner, 2)
        captioner.open()
        return await asyncio.gather(wrong, *blocked, *right, return_exceptions=True)

    run(captioner, test)


def test_details_and_attention_are_computed_for_those_who_want_them(captioner):
    captioner.shut("encode")

    async def test(batcher):
        blocked = await start(batcher, captioner, 0)
        await until(lambda: captioner.encoded == [[0]])
        wishes = {1: (True, False), 2: (False, False), 3: (True, True), 4: (True, False)}
        tasks = [asyncio.create_task(batcher.caption(pixels_of(n), beam(captioner), *w)) for n, w in wishes.items()]
        await until(lambda: batcher.waiting == 5)
        captioner.open()
        await texts(blocked)
        return [caption for (caption,) in await asyncio.gather(*tasks)]

    plain, bare, attended, other = run(captioner, test)
    assert [len(c.probabilities) for c in (plain, bare, attended, other)] == [4, 0, 4, 4]
    assert [c.attention is not None for c in (plain, bare, attended, other)] == [False, False, True, False]
    assert sorted(colour for batch, _ in captioner.detailed for colour in batch) == [0, 1, 3, 4]


def test_close_finishes_what_was_accepted_and_refuses_the_rest(captioner):
    captioner.shut()

    async def test(batcher):
        tasks = await start(batcher, captioner, 1, 2, 3)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.02)
        with pytest.raises(Closed):
            await batcher.caption(pixels_of(4), beam(captioner))
        captioner.open()
        await closing
        return await texts(tasks)

    assert len(run(captioner, test)) == 3
    assert not [thread for thread in threading.enumerate() if thread.name in ("encode m", "search m")]


def test_giving_up_ends_all_requests_at_once(captioner):
    captioner.shut()

    async def test(batcher):
        tasks = await start(batcher, captioner, 1, 2, 3)
        batcher.give_up()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(Closed):
            await batcher.caption(pixels_of(4), beam(captioner))
        return results

    assert [type(one) for one in run(captioner, test)] == [Closed] * 3


@pytest.mark.parametrize("stage", ["pass_on", "next_encoded"])
def test_a_thread_that_fails_refuses_requests_instead_of_letting_them_wait(captioner, stage, monkeypatch, log_lines):
    captioner.shut("encode")

    async def test(batcher):
        tasks = await start(batcher, captioner, 1)
        await until(lambda: captioner.encoded == [[1]])
        tasks += await start(batcher, captioner, 2)

        def fail(*args):
            raise SystemError("a mistake of ours")

        monkeypatch.setattr(batcher._queue, stage, fail)
        captioner.open()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(Closed):
            await batcher.caption(pixels_of(4), beam(captioner))
        return results

    results = run(captioner, test)
    assert isinstance(results[1], Closed) or stage == "next_encoded"  # the second image may share the last batch
    assert any("stopped working: SystemError" in line for line in log_lines)


def test_an_observer_is_told_about_each_batch_and_cannot_stop_the_service(captioner):
    seen = []

    def observe(stage, images, seconds):
        seen.append((stage, images))
        assert seconds >= 0
        raise RuntimeError("observer")

    async def test(batcher):
        await batcher.caption(pixels_of(1, 2), beam(captioner))
        await batcher.caption(pixels_of(3), beam(captioner))

    run(captioner, test, observe=observe)
    assert seen == [("encode", 2), ("search", 2), ("encode", 1), ("search", 1)]


def test_no_images_are_no_work(captioner):
    async def test(batcher):
        return await batcher.caption([], beam(captioner))

    assert run(captioner, test) == []


# --- models that are compiled for each size ---------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """Compiles sizes as soon as there is nothing to do."""
    monkeypatch.setattr("capsmith.deploy.serving.batch_queue.IDLE", 0.01)


def test_sizes_are_compiled_when_there_has_been_nothing_to_do_for_a_while(captioner, monkeypatch):
    monkeypatch.setattr("capsmith.deploy.serving.batch_queue.IDLE", 0.3)

    async def test(batcher):
        await asyncio.to_thread(batcher.warm_up, pixels_of(0)[0], beam(captioner))
        for colour in range(1, 6):
            await asyncio.sleep(0.02)
            await batcher.caption(pixels_of(colour), beam(captioner))
        before = list(captioner.encoded)
        await until(lambda: len(captioner.encoded) > 6)
        return before

    assert run(captioner, test, keras=True, max_batch=2) == [[0], [1], [2], [3], [4], [5]]
    assert captioner.encoded[6:] == [[0, 0]]


def test_batches_of_keras_are_filled_up_to_sizes_that_were_compiled_before(captioner, impatient):
    async def test(batcher):
        await asyncio.to_thread(batcher.warm_up, pixels_of(0)[0], beam(captioner))
        assert captioner.encoded[0] == [0]
        await until(lambda: [len(batch) for batch in captioner.searched] == [1, 2, 4, 8] and not batcher.waiting)
        captioner.shut("encode")
        tasks = await start(batcher, captioner, 1)
        await until(lambda: len(captioner.encoded) == 5)
        tasks += await start(batcher, captioner, 2, 3, 4)
        captioner.open()
        return await texts(tasks)

    assert run(captioner, test, keras=True, max_batch=8) == [text_for(n, beam(captioner)) for n in (1, 2, 3, 4)]
    assert captioner.encoded[4:] == [[1], [2, 3, 4, 4]]
    assert {len(batch) for batch in captioner.encoded + captioner.searched} == {1, 2, 4, 8}


def test_a_size_is_used_only_when_it_is_compiled(captioner, impatient):
    batches = []
    original = captioner.encode
    captioner.encode = lambda pixels: (batches.append(len(pixels)), original(pixels))[1]

    async def busy(batcher):
        warm = asyncio.create_task(asyncio.to_thread(batcher.warm_up, pixels_of(0)[0], beam(captioner)))
        await until(lambda: batches)
        await batcher.caption(pixels_of(*range(1, 9)), beam(captioner))
        await warm
        await until(lambda: batcher._queue.limit == 4)
        await batcher.caption(pixels_of(*range(1, 9)), beam(captioner))

    run(captioner, busy, keras=True, max_batch=4, max_queue=64)
    assert batches[:1] == [1] and batches[-2:] == [4, 4]
    assert [size for place, size in enumerate(batches) if size not in batches[:place]] == [1, 2, 4]


def test_one_thread_at_a_time_computes_with_keras(captioner):
    inside, most = [], []

    def counted(method):
        def wrapper(*args, **kwargs):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            try:
                return method(*args, **kwargs)
            finally:
                inside.pop()

        return wrapper

    captioner.encode, captioner.caption_features = counted(captioner.encode), counted(captioner.caption_features)

    async def test(batcher):
        await asyncio.gather(*(batcher.caption(pixels_of(n), beam(captioner)) for n in range(12)))

    run(captioner, test, keras=True, max_batch=2)
    assert max(most) == 1


def test_the_warm_up_raises_what_the_captioner_raises(captioner):
    async def test(batcher):
        with pytest.raises(ValueError, match="the CNN fails"):
            await asyncio.to_thread(batcher.warm_up, pixels_of(BROKEN)[0], beam(captioner))

    run(captioner, test)


def test_a_client_that_goes_away_while_the_cnn_waits_for_others_ends_nothing(captioner):
    """Its image is the only one, and another upload is announced, for which the idle CNN waits."""

    async def test(batcher):
        with batcher.expecting():
            (task,) = await start(batcher, captioner, 1)
            task.cancel()
            await until(lambda: batcher.waiting == 0)
        await asyncio.sleep(0.6)
        assert batcher.is_alive
        (caption,) = await asyncio.wait_for(batcher.caption(pixels_of(2), beam(captioner)), 5)
        return caption.text

    assert run(captioner, test, max_wait=0.3) == text_for(2, beam(captioner))
