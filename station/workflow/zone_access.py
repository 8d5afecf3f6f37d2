"""Taking an access to the lane's zones as seen, after somebody has looked."""

from station.domain.errors import RefusedError
from station.ports.lane_plc import Command, CommandResult, LanePlc, Zone


async def clear_access(plc: LanePlc) -> None:
    """Take every access to a zone as seen.

    Raises:
        RefusedError: the PLC does not agree.
    """
    status = await plc.connect()
    for zone in Zone:
        if status.access_bits >> zone & 1:
            result = await plc.command(Command.CLEAR_ACCESS, int(zone))
            if result is not CommandResult.ACCEPTED:
                raise RefusedError(
                    f"The PLC does not clear zone {zone.name.lower()}: {result.name.lower()}",
                    consequence="The lane stays stopped",
                    remedy="Take everything out of the zone and close its hood",
                )
