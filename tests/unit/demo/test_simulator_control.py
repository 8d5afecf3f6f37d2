"""The demo's own connection to the simulated hands, against a real socket."""

import asyncio
import json

from station.demo.processes import SimulatorControl


async def test_an_answer_that_nobody_waited_for_is_not_the_next_ones():
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            asked.set()
            if request["do"] == "slow":
                await may_answer.wait()
            writer.write(json.dumps({"ok": True, "about": request["do"]}).encode() + b"\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        control = SimulatorControl(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        slow = asyncio.create_task(control.do("slow"))
        await asked.wait()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        may_answer.set()
        assert await control.do("next") == {"about": "next"}
        await control.close()
