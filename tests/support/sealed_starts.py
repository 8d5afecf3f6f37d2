"""What a start finds that may go on from a seal, without a station and without writing anything."""

from contextlib import closing
from typing import Any

from station.audit.findings import Report
from station.audit.log_check import LogCheck
from station.audit.reading import check_log, take_sealed
from station.audit.seal import Seal
from station.bootstrap.audit import AuditFiles
from station.domain.errors import StoreError
from station.storage.store import SqliteReader
from tests.support.audit_logs import LOG_KEY


def seal_of(files: AuditFiles) -> Seal:
    """The seal of a log that holds and is signed to its end."""
    check = LogCheck(files.keys)
    with closing(SqliteReader(files.database.parent, files.database.name)) as reader:
        reader.read(lambda view: check_log(view, check))
    seal = check.seal(LOG_KEY.origin)
    assert seal is not None
    return seal


def look(files: AuditFiles, seal: Seal | None) -> tuple[bool, Report | str]:
    """Whether a start could go on from the seal, and what it found, or why it could not look."""
    check, sealed = LogCheck(files.keys), False
    with closing(SqliteReader(files.database.parent, files.database.name)) as reader:
        check.file_damaged(reader.audit_damage())
        try:

            def query(view: Any) -> bool:
                went_on = seal is not None and take_sealed(view, check, seal)
                check_log(view, check)
                return went_on

            sealed = reader.read(query)
        except StoreError as error:
            return False, error.what
    return sealed, check.report()


def check_behind(files: AuditFiles, seal: Seal) -> Report:
    """What a start behind the seal finds; that the log could not be read is a damaged file."""
    found = look(files, seal)[1]
    if isinstance(found, Report):
        return found
    check = LogCheck()
    check.file_damaged([found])
    return check.report()
