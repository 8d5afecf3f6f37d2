"""A support bundle: one file that a technician may give to the vendor of a station that misbehaves (decision 0140)."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from station.bootstrap import support_parts
from station.bootstrap.support_parts import Asked, told
from station.bootstrap.support_site import find_site, words_for
from station.domain.errors import ConfigurationError, StoreUnavailableError

_Gather = Callable[[Asked], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a bundle: its name, what is in it in both languages, and who gathers it."""

    name: str
    vi: str
    en: str
    gather: _Gather


PARTS = (
    Part(
        name="versions.json",
        vi="phiên bản phần mềm, hệ điều hành, máy tính",
        en="versions of programs, system and machine",
        gather=support_parts.versions,
    ),
    Part(
        name="configuration.json",
        vi="cấu hình, không có bí mật; mã băm của chính sách và công thức khử khuẩn",
        en="the configuration without secrets; hashes of policy and recipes",
        gather=support_parts.configuration,
    ),
    Part(name="doctor.json", vi="kết quả `station doctor`", en="what `station doctor` says", gather=support_parts.doctor),
    Part(name="model.json", vi="thẻ của mô hình đang dùng", en="the card of the model in use", gather=support_parts.model),
    Part(
        name="store.json",
        vi="cơ sở dữ liệu bằng con số: số dòng, kích thước, chỗ trống",
        en="the database in figures: rows, sizes, free space",
        gather=support_parts.store,
    ),
    Part(
        name="outbox.json",
        vi="sự kiện gửi hệ thống định vị, bằng con số, và lý do chưa gửi được",
        en="events to tracking in figures, and why some could not be sent",
        gather=support_parts.outbox,
    ),
    Part(name="alarms.json", vi="báo động của bảy ngày qua", en="alarms of the last seven days", gather=support_parts.alarms),
    Part(
        name="lanes.json",
        vi="trạng thái các làn; số bưu gửi đổi trạng thái theo ngày, mọi độ mật gộp chung",
        en="states of the lanes; changes of state by day, pieces of all levels together",
        gather=support_parts.lanes,
    ),
    Part(
        name="audit.json",
        vi="điểm kiểm mới nhất của nhật ký kiểm toán, và phần cuối nhật ký có khớp không",
        en="the audit log's newest checkpoint, and whether the log's end fits it",
        gather=support_parts.audit,
    ),
    Part(
        name="vault.json",
        vi="số ảnh theo ngày, mọi độ mật gộp chung; không có ảnh nào",
        en="number of images by day, of all levels together; no image",
        gather=support_parts.vault,
    ),
    Part(name="log.jsonl", vi="phần cuối nhật ký của chương trình", en="the end of the program's own log", gather=support_parts.own_log),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle in memory, and why parts of it could not be gathered."""

    content: bytes
    troubles: dict[str, str]


def make_bundle(path: Path, *, redact: bool, now: datetime, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Bundle:
    """Gather everything that can be gathered, beside a running station or without one.

    Args:
        path: `station.toml`, which need not hold, nor be there.
        redact: names become pseudonyms, and nothing is told of any single piece.
        now: aware UTC.
        progress: told how many parts are done, of how many.
    """
    site = find_site(path)
    words = words_for(site, redact=redact)
    asked = Asked(site=site, words=words, now=now)
    files: dict[str, str] = {}
    troubles: dict[str, str] = {}
    for number, part in enumerate(PARTS):
        progress(number, len(PARTS))
        try:
            found = part.gather(asked)
        except Exception as error:  # noqa: BLE001 - whatever is broken here is what somebody wants to find out about
            troubles[part.name] = told(error, words)
            continue
        files[part.name] = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=1)
    progress(len(PARTS), len(PARTS))
    files = {"README.md": _readme(troubles, redact=redact, now=now), **files}
    manifest = {"made_at": now.isoformat(timespec="seconds"), "redacted": redact, "files": sorted(files), "not_gathered": troubles}
    files["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, text.encode(errors="replace"))
    return Bundle(content=made.getvalue(), troubles=troubles)


def write_bundle(bundle: Bundle, out: Path) -> None:
    """Write it for its owner alone, whole or not at all.

    Raises:
        ConfigurationError: there is such a file already, or none can be made there.
        StoreUnavailableError: it could not be written to its end; nothing of it is left.
    """
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{out} cannot be made: {error.strerror}", consequence="There is no bundle", remedy="Name another file by --out FILE"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(bundle.content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreUnavailableError(
                f"{out} could not be written: {error.strerror}",
                consequence="There is no bundle, and no half one is left",
                remedy="Make room there, or name a file on another medium by --out FILE",
            ) from error
        raise


def _readme(troubles: dict[str, str], *, redact: bool, now: datetime) -> str:
    listed = [part for part in PARTS if part.name not in troubles]
    missing = [part for part in PARTS if part.name in troubles]
    vi = _VI_REDACTED if redact else _VI_PLAIN
    en = _EN_REDACTED if redact else _EN_PLAIN
    lines = [f"# Gói hỗ trợ trạm soi KT1 / KT1 support bundle, {now:%Y-%m-%d %H:%M} UTC", "", vi, "", _VI_NEVER, ""]
    lines += [f"- `{part.name}`: {part.vi}" for part in listed]
    lines += [f"- `{part.name}`: KHÔNG thu thập được, xem `manifest.json`" for part in missing]
    lines += ["", "---", "", en, "", _EN_NEVER, ""]
    lines += [f"- `{part.name}`: {part.en}" for part in listed]
    lines += [f"- `{part.name}`: could NOT be gathered, see `manifest.json`" for part in missing]
    return "\n".join(lines) + "\n"


_VI_REDACTED = (
    "Gói này có thể đưa cho nhà cung cấp. Số hiệu bưu gửi, tên người, tên đăng nhập, nơi đến, đơn vị gửi, tên máy và địa chỉ "
    "được thay bằng bí danh: cùng một bí danh trong gói này là cùng một tên, và không ai lần ngược lại được, vì khóa tạo bí "
    "danh không được giữ. Từ nào chương trình không tự dùng đều bị thay; câu nào nói về một bưu gửi đều bị bỏ."
)
_EN_REDACTED = (
    "This bundle may be given to the vendor. Numbers of pieces, people's names, logins, destinations, sender units, hosts and "
    "addresses are pseudonyms: within this bundle the same pseudonym is the same name, and nobody can take it back, because "
    "the key that made it is not kept. Every word that the program does not use by itself is replaced; every text about one "
    "piece is left out."
)
_VI_PLAIN = "CHỈ DÙNG NỘI BỘ: gói này có số hiệu bưu gửi, tên người và địa chỉ thật. Để đưa ra ngoài, hãy tạo gói với `--redact`."
_EN_PLAIN = "FOR USE INSIDE THE HOUSE ONLY: this bundle holds real piece numbers, names and addresses. For others make one with `--redact`."
_VI_NEVER = (
    "Không bao giờ có trong gói: khóa, bí mật, mật khẩu hay mã băm của chúng, phiên đăng nhập, ảnh, mã băm ảnh, điểm số hay "
    "phát hiện của một bưu gửi, độ mật của một bưu gửi, ghi chú của người dùng."
)
_EN_NEVER = (
    "Never in a bundle: keys, secrets, passwords or their hashes, sessions, images, hashes of images, a piece's score or "
    "findings, a piece's level, people's notes."
)
