"""The program's own log."""

import io

from station.cli.logs import PatientStream


class FullDisk(io.StringIO):
    full = False

    def flush(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


def test_a_line_that_cannot_be_written_stops_nobody_and_is_told():
    disk = FullDisk()
    stream = PatientStream(disk)
    print("one", file=stream, flush=True)
    disk.full = True
    print("two", file=stream, flush=True)
    assert "missing" not in disk.getvalue()
    disk.full = False
    print("three", file=stream, flush=True)
    print("four", file=stream, flush=True)
    assert disk.getvalue().count("missing") == 1
    assert disk.getvalue().index("missing") < disk.getvalue().index("three")
    assert not stream.isatty()
