"""Comparing moments of records without ever raising on a broken one."""

from datetime import datetime


def is_known_by(moment: datetime, now: datetime) -> bool:
    """True when `moment` is not after `now`; False also when either lacks its time zone."""
    return moment.utcoffset() is not None and now.utcoffset() is not None and moment <= now


def is_after(moment: datetime, earlier: datetime) -> bool:
    """True when `moment` is later than `earlier`; False also when either lacks its time zone."""
    return moment.utcoffset() is not None and earlier.utcoffset() is not None and moment > earlier
