"""The demo's own connection to the simulated hands, against a real socket."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware_sims.control import Control
from firmware_sims.simulated_lane import SimulatedLane
from station.demo.processes import DemoError, SimulatorControl


async def test_an_answer_that_nobody_waited_for_is_not_the_next_ones():
    asked, may_answer = asyncio.Event(), asyncio.Event()
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        while line := await reader.readline():
            request = json.loads(line)
            asked.set()
            if request["do"] == "slow":
                await may_answer.wait()
            writer.write(json.dumps({"ok": True, "about": request["do"]}).encode() + b"\n")
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        control = SimulatorControl(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        slow = asyncio.create_task(control.do("slow"))
        await asked.wait()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        may_answer.set()
        assert await control.do("next") == {"about": "next"}
        await control.close()
        await asyncio.gather(*(task for task in served if task is not None), return_exceptions=True)


async def test_a_truncated_picture_is_named_and_the_simulators_live_on(tmp_path: Path):
    picture = tmp_path / "bag.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (100, 160, 3), dtype=np.uint8)).save(picture)
    picture.write_bytes(picture.read_bytes()[:2000])
    (tmp_path / "manifest.csv").write_text("file,is_threat\nbag.png,0\n", encoding="utf-8")
    simulators = Control(SimulatedLane(seed=1, images=tmp_path))
    async with await asyncio.start_server(simulators.serve, "127.0.0.1", 0) as server:
        control = SimulatorControl(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(DemoError) as refused:
            await control.do("mail", count=1)
        assert str(picture) in refused.value.what
        assert refused.value.remedy
        assert (await control.do("state"))["queue"] == 0
        await control.close()
