"""Minimal correct devices for the driver tests, written from the contracts; bytes in, answers out."""

import struct
import zlib
from abc import ABC, abstractmethod


def crc16(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class ModbusPeer:
    """A Modbus slave with the common registers of both units; subclasses add their own."""

    magic = 0
    input_words: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()
    serial_line = False

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.inputs: dict[int, int] = {}
        self.holdings: dict[int, int] = {}
        for first, last in self.blocks:
            self.inputs.update(dict.fromkeys(range(first, last + 1), 0))
        self.holdings.update(dict.fromkeys((100, 101, 110, 111, 112, 113), 0))
        self.put(0, ">HHI", self.magic, 1, 4711)
        self.put(16, ">f", -123.45)
        self.boot = 3
        self.served = 0
        self.writes: list[tuple[int, bytes]] = []
        self._buffer = b""

    def put(self, address: int, layout: str, *values: float) -> None:
        data = struct.pack(layout, *values)
        for at in range(0, len(data), 2):
            self.inputs[address + at // 2] = int.from_bytes(data[at : at + 2], "big")

    def held(self, address: int, layout: str) -> tuple[float, ...]:
        words = struct.calcsize(layout) // 2
        return struct.unpack(layout, b"".join(self.holdings[address + n].to_bytes(2, "big") for n in range(words)))

    def put_held(self, address: int, layout: str, *values: int) -> None:
        data = struct.pack(layout, *values)
        self.holdings.update({address + at // 2: int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)})

    def reboot(self) -> None:
        self.boot += 1
        self.holdings.update(dict.fromkeys(self.holdings, 0))

    def refresh(self) -> None:
        """Every reading differs from the one before, so that a stale one shows."""
        self.served += 1
        for block, _ in self.blocks:
            self.inputs[block + (18 if block == 0 else 0)] = self.served & 0xFFFF
        for _, last in self.blocks:
            self.inputs[last] = self.served & 0xFFFF
        self.inputs[8] = self.served & 0xFFFF
        self.inputs[9] = self.holdings[100]
        self.inputs[15] = self.boot
        self.put(20, ">I", 1000 * self.served)

    def on_write(self, address: int, data: bytes) -> None:
        self.writes.append((address, data))
        if address == 113:
            self.inputs[6], self.inputs[7] = self.holdings[113], 1 if self.holdings[113] == self.holdings[112] else 2

    def answer(self, pdu: bytes) -> bytes:
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        table = self.inputs if function == 4 else self.holdings
        if function in {3, 4}:
            count = int.from_bytes(pdu[3:5], "big")
            if function == 4:
                self.refresh()
            if any(address + n not in table for n in range(count)):
                return bytes([function | 0x80, 2])
            return bytes([function, 2 * count]) + b"".join(table[address + n].to_bytes(2, "big") for n in range(count))
        data = pdu[3:5] if function == 6 else pdu[6:]
        words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        if any(address + n not in table for n in range(len(words))):
            return bytes([function | 0x80, 2])
        for n, word in enumerate(words):
            table[address + n] = word
        self.on_write(address, data)
        return pdu[:5]

    def feed(self, data: bytes) -> list[bytes]:
        """Requests in, whole answer frames out."""
        self._buffer += data
        answers = []
        while (taken := self._take()) is not None:
            head, pdu = taken
            answers.append(self.frame(head, self.answer(pdu)))
        return answers

    def _take(self) -> tuple[bytes, bytes] | None:
        buffer = self._buffer
        if self.serial_line:
            if len(buffer) < 8:
                return None
            size = 8 if buffer[1] in {3, 4, 6} else 9 + buffer[6]
            if len(buffer) < size:
                return None
            assert crc16(buffer[: size - 2]) == buffer[size - 2 : size]
            self._buffer = buffer[size:]
            return buffer[:1], buffer[1 : size - 2]
        if len(buffer) < 8 or len(buffer) < 6 + int.from_bytes(buffer[4:6], "big"):
            return None
        size = 6 + int.from_bytes(buffer[4:6], "big")
        self._buffer = buffer[size:]
        return buffer[:7], buffer[7:size]

    def frame(self, head: bytes, pdu: bytes) -> bytes:
        if self.serial_line:
            return (body := head + pdu) + crc16(body)
        return head[:4] + (len(pdu) + 1).to_bytes(2, "big") + head[6:7] + pdu

    def unframe(self, frame: bytes) -> tuple[bytes, bytes]:
        return (frame[:1], frame[1:-2]) if self.serial_line else (frame[:7], frame[7:])


class LanePeer(ModbusPeer):
    magic = 0x4B54
    blocks = ((0, 66), (200, 309))

    def __init__(self, unit: int = 1) -> None:
        super().__init__(unit)
        self.holdings.update(dict.fromkeys(range(120, 137), 0))

    def refresh(self) -> None:
        super().refresh()
        self.inputs[201], self.inputs[202] = self.holdings[100], self.boot
        self.put(203, ">I", 1000 * self.served)
        self.inputs[47] |= self.holdings[129]
        self.put(27, ">5h", *self.held(120, ">5h"))


class UnitPeer(ModbusPeer):
    magic = 0x4B55
    blocks = ((0, 124),)

    def __init__(self, unit: int = 2, *, serial_line: bool = False) -> None:
        super().__init__(unit)
        self.serial_line = serial_line
        self.holdings.update(dict.fromkeys(range(120, 131), 0))


def stx(body: str) -> bytes:
    data = (body + ",").encode()
    return b"\x02" + data + bytes([(-sum(data) & 0x7F) | 0x40]) + b"\x03"


class SilentPeer:
    """Says nothing by itself."""

    boot = 1

    def feed(self, _data: bytes) -> list[bytes]:
        return []

    def reboot(self) -> None: ...


def s10(number: int) -> str:
    """The UPU S10 identifier of a serial number of up to eight digits."""
    serial = f"{number:08d}"
    check = 11 - sum(weight * int(digit) for weight, digit in zip((8, 6, 4, 2, 3, 5, 9, 7), serial, strict=True)) % 11
    digit = {10: 0, 11: 5}.get(check, check)
    return f"EE{serial}{digit}VN"


class ReaderPeer:
    """A barcode reader: for each piece that passes under it (`feed`) one code, each another one."""

    def __init__(self) -> None:
        self.boot = 3
        self.served = 0
        self.code = ""

    def reboot(self) -> None:
        self.boot += 1

    def feed(self, _data: bytes) -> list[bytes]:
        self.served += 1
        self.code = s10(47312481 + self.served)
        return [f"]C0{self.code}\r\n".encode()]


class StxPeer(ABC):
    """Frames and commands of the STX family; `served` numbers the monitor readings, whose mA tells which one it is."""

    def __init__(self) -> None:
        self.boot = 3
        self.on = 0
        self.kv_set = self.ma_set = 0
        self.served = 0
        self.arcs = False
        self.commands: list[str] = []
        self._buffer = b""

    def reboot(self) -> None:
        self.boot += 1
        self.on = self.kv_set = self.ma_set = 0

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        answers = []
        while b"\x03" in self._buffer:
            frame, _, self._buffer = self._buffer.partition(b"\x03")
            body = frame[1:-2].decode()
            assert stx(body) == frame + b"\x03"
            self.commands.append(body)
            command, _, argument = body.partition(",")
            answers.append(stx(self.answer(command, int(argument or 0))))
        return answers

    @abstractmethod
    def answer(self, command: str, argument: int) -> str: ...

    def set_or_get(self, command: str, argument: int) -> str:
        if command == "10":
            self.kv_set = argument
        elif command == "11":
            self.ma_set = argument
        elif command in {"14", "15"}:
            return f"{command},{self.kv_set if command == '14' else self.ma_set}"
        return f"{command},$"


class XrvPeer(StxPeer):
    """A Spellman XRV: 160 kV, 4 mA."""

    def __init__(self) -> None:
        super().__init__()
        self.remote = 1
        self.interlock = 1
        self.faults = [0] * 27

    def answer(self, command: str, argument: int) -> str:
        if command == "98":
            refused = "2" if not self.interlock else "4" if any(self.faults) else "$"
            self.on = argument if refused == "$" else 0
            return "98," + ("$" if not argument else refused)
        if command == "99":
            self.remote = argument
        elif command == "31":
            self.faults = [0] * 27
        self.served += command == "19"
        kv = 0 if not self.on or self.arcs else round(self.kv_set / 1.2)
        readings = {
            "19": [kv, self.served % 1000, *[0] * 6],
            "22": [self.on, self.interlock, self.interlock, 0, int(any(self.faults)), 1 - self.remote, *[0] * 9, 1, 1],
            "28": [160, 4, 0],
            "68": self.faults,
        }
        return ",".join([command, *map(str, readings[command])]) if command in readings else self.set_or_get(command, argument)


class Xrb011Peer(StxPeer):
    """A Spellman XRB011: 80 kV, 0.7 mA; the answer to 32 is headed 22. Its watchdog is 5 s until it is set, and after a restart."""

    def __init__(self) -> None:
        super().__init__()
        self.interlock_open = 0
        self.watchdog_s = 5

    def reboot(self) -> None:
        super().reboot()
        self.watchdog_s = 5

    def answer(self, command: str, argument: int) -> str:
        if command == "99":
            self.on = argument & (1 - self.interlock_open)
            return "99,E#2" if argument and self.interlock_open else "99,$"
        if command == "28":
            self.watchdog_s = argument
        self.served += command == "20"
        readings = {
            "20": [0, 0, 0, self.served % 1000, 0, 0, 0],
            "22": [self.on, self.interlock_open, 0],
            "32": [*[0] * 7, self.interlock_open],
        }
        if command in readings:
            return ",".join([command.replace("32", "22"), *map(str, readings[command])])
        return self.set_or_get(command, argument)


class DetectorPeer:
    """An `LSP/1` detector's command side, and its lines."""

    def __init__(self, pixels: int = 8) -> None:
        self.pixels = pixels
        self.exposure = 3000
        self.trigger = "ENCODER"
        self.acquisition = 0
        self.boot = 3
        self.served = 0
        self.made = 0
        self._buffer = b""

    def reboot(self) -> None:
        self.boot += 1
        self.acquisition, self.exposure, self.trigger = 0, 3000, "ENCODER"

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        answers = []
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            answers.append(self.answer(line.strip().decode()).encode() + b"\r\n")
        return answers

    def answer(self, line: str) -> str:
        word, _, argument = line.partition(" ")
        if word == "IDN?":
            return (
                f"OK boot={self.boot} vendor=X model=LD-DE serial=1 firmware=1 lsp=1 pixels={self.pixels} pixel_pitch_um=800 "
                "line_pitch_um=800 he_offset_um=4000 bits=16 energies=2"
            )
        if word == "TEMP?":
            self.served += 1
            return f"OK {20 + self.served % 400 / 10:.1f}"
        if word == "START":
            self.acquisition, self.made = int(argument), 0
        if word == "STOP":
            self.acquisition, made = 0, self.made
            return f"OK {made}"
        if word == "EXP":
            self.exposure = int(argument)
        if word == "TRIG":
            self.trigger = argument
        answers = {
            "PIX?": str(self.pixels),
            "EXP?": str(self.exposure),
            "TRIG?": self.trigger,
            "CAL?": "dark_counts=1000 air_counts=45875 full_scale=65535 bad_pixels=",
        }
        return f"OK {answers.get(word, argument)}"

    def line(self, number: int, *, acquisition: int | None = None, lost: int = 0, flags: int = 1) -> bytes:
        """One line whose pixels spell its number."""
        head = struct.pack(
            ">4sBBBBIIIQHHHH",
            b"XLIN", 1, flags, 2, 16, self.acquisition if acquisition is None else acquisition, number, 8 * number, 4000 * number,
            self.pixels, lost, self.boot, 0,
        )  # fmt: skip
        payload = struct.pack(f"<{2 * self.pixels}H", *[number & 0xFFFF] * self.pixels, *[number + 1 & 0xFFFF] * self.pixels)
        self.made = max(self.made, number + 1)
        return head + zlib.crc32(head + payload).to_bytes(4, "big") + payload
