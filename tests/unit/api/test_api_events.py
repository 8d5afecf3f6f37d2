"""The feed and its stream: nothing is missed without being told, nobody slows a writer."""

import asyncio
import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from station.workflow.feed import EventFeed
from tests.support.api_station import LANE, Desk


def read(answer: httpx.Response) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def stream(desk: Desk, last: str | None = None):
    headers = {"Last-Event-ID": last} if last else {}
    return desk.client.stream("GET", "/api/v1/events", headers=headers)


def test_the_stream_brings_lanes_ticks_and_changes(desk: Desk) -> None:
    with stream(desk) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read(answer)
        first = next(events)
        assert (first["event"], first["id"]) == ("reset", "run1-0")
        seen: dict[str, dict[str, str]] = {}
        while not {"lane", "tick", "piece"} <= seen.keys():
            event = next(events)
            if event["event"] == "tick" and "piece" not in seen:
                desk.handlers._tell_piece("EE1", "held")
            seen[event["event"]] = event
        assert json.loads(seen["lane"]["data"])["lane_id"] == LANE
        assert json.loads(seen["tick"]["data"])["lane_age_s"][LANE] < 1
        assert seen["piece"]["id"] == "run1-1"
        assert "id" not in seen["lane"]


def test_a_lane_that_falls_silent_shows_its_age(desk: Desk) -> None:
    desk.lane.stale = True
    with stream(desk) as answer:
        ages = (json.loads(event["data"])["lane_age_s"][LANE] for event in read(answer) if event["event"] == "tick")
        assert next(age for age in ages if age > 0.9) > 0.9


def test_the_stream_resumes_after_the_last_id(desk: Desk) -> None:
    for number in range(5):
        desk.feed.publish("piece", json.dumps({"n": number}))
    with stream(desk, "run1-3") as answer:
        events = read(answer)
        assert next(events)["event"] == "resumed"
        assert [json.loads(next(events)["data"])["n"] for _ in range(2)] == [3, 4]


@pytest.mark.parametrize("last", ["run0-3", "nonsense", "run1-x", "run1-", "run1-" + "9" * 30])
def test_an_id_of_another_run_means_everything_anew(desk: Desk, last: str) -> None:
    desk.feed.publish("piece", "{}")
    with stream(desk, last) as answer:
        first = next(read(answer))
        assert (first["event"], first["id"]) == ("reset", "run1-1")


def test_who_falls_behind_the_ring_is_told(desk: Desk) -> None:
    for _ in range(70):
        desk.feed.publish("piece", "{}")
    with stream(desk, "run1-2") as answer:
        events = read(answer)
        assert [next(events)["event"] for _ in range(2)] == ["resumed", "reset"]
        assert next(events)["id"] == "run1-7"


def test_stopping_the_server_ends_the_stream(desk: Desk) -> None:
    with stream(desk) as answer:
        events = read(answer)
        next(events)
        desk.server.stop()
        assert all(event["event"] in {"lane", "tick"} for event in events)


async def test_writers_in_threads_reach_a_reader_in_order() -> None:
    feed = EventFeed(epoch="e", capacity=10_000)

    def write(name: str) -> None:
        for number in range(500):
            feed.publish(name, str(number))

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    seen = []
    with feed.subscribe(0) as subscription:
        for thread in threads:
            thread.start()
        while len(seen) < 1500:
            batch = await subscription.next(5)
            assert not batch.missed
            seen += batch.events
    for thread in threads:
        thread.join()
    assert [event.number for event in seen] == list(range(1, 1501))
    for name in "abc":
        assert [int(event.data) for event in seen if event.type == name] == list(range(500))


async def test_a_reader_waits_no_longer_than_it_wants_and_wakes_at_once() -> None:
    feed = EventFeed(epoch="e", capacity=4)
    with feed.subscribe(0) as subscription:
        assert (await subscription.next(0.01)).events == ()
        waiting = asyncio.create_task(subscription.next(30))
        await asyncio.sleep(0)
        feed.publish("x", "{}")
        assert [event.number for event in (await waiting).events] == [1]
        waiting = asyncio.create_task(subscription.next(30))
        await asyncio.sleep(0)
        feed.close()
        assert (await waiting).closed
    for bad in ("a\nb", "a\rb"):
        with pytest.raises(ValueError, match="one line"):
            feed.publish("x", bad)
    with pytest.raises(ValueError, match="letters and digits"):
        EventFeed(epoch="a-b")
