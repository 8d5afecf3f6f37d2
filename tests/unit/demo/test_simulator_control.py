"""The demo's own connection to the simulated hands, against a real socket."""

import asyncio
import json

from station.demo.processes import SimulatorControl


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
