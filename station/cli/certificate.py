"""`station certificate export|verify`."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from station.audit.certificate import MOST_BYTES
from station.audit.certificate_check import Proved, check_certificate
from station.audit.certificate_story import CertificateError, Flaw
from station.bootstrap.audit import read_keys
from station.bootstrap.certificates import export_certificate
from station.cli.errors import EXIT_DOES_NOT_HOLD
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.output import put_file
from station.cli.progress import bar
from station.domain.errors import ConfigurationError
from station.settings import load

app = typer.Typer(no_args_is_help=True, help="Giấy xác nhận an toàn / clearance certificates.")

FLAWS: MappingProxyType[Flaw, str] = MappingProxyType(
    {
        Flaw.MALFORMED: "tệp không phải là giấy xác nhận nguyên vẹn / the file is no intact certificate",
        Flaw.CHECKPOINT_UNPROVED: "điểm kiểm không có chữ ký của khóa đã cho / the checkpoint is not signed by the key that was given",
        Flaw.NOT_IN_LOG: "không có trong nhật ký đã ký / it does not stand in the signed log",
        Flaw.SIGNATURE_WRONG: "chữ ký của giấy không đúng / the certificate's own signature is wrong",
        Flaw.FACT_MISSING: "thiếu bản ghi / a fact is missing",
        Flaw.OUT_OF_ORDER: "sai thứ tự / out of order",
        Flaw.OTHER_PIECE: "của bưu gửi hoặc lượt khác / of another piece or visit",
        Flaw.SCAN_DIFFERS: "không phải ảnh soi của bưu gửi này / not this piece's scan",
        Flaw.NOT_CLEARED: "không phải là kết luận không nghi vấn / not cleared",
        Flaw.AUTHORITY_MISSING: "thiếu người có thẩm quyền theo quy định / who must clear has not",
        Flaw.NOT_DISINFECTED: "chưa khử khuẩn đạt sau kết luận / not disinfected after the clearance",
        Flaw.PERMIT_DIFFERS: "lệnh mở cửa không khớp / the permit does not fit",
        Flaw.NOT_RELEASED: "chưa được cho qua / not released",
        Flaw.LEVEL_DIFFERS: "bưu gửi có độ mật, giấy thì không / the piece is marked, the certificate is not",
    }
)


@app.command("export")
def export(
    piece_id: Annotated[str, typer.Argument(metavar="ID", help="The piece.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; else it is shown.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write a released piece's certificate, also beside a running station; of a marked piece nothing of its content is told."""
    configuration = load(configuration_path(config), demo=True)
    with bar("Lá / leaves") as progress:
        content = export_certificate(configuration, piece_id, progress)
    if out is None:
        # Its bytes, whatever encoding and line ends the terminal has.
        typer.echo(content, nl=False)
        return
    put_file(out, content)
    typer.echo(str(out))


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.")],
    key: Annotated[Path, typer.Option("--key", metavar="PUB", help="Public key of the site's audit log; a witness's may stand beside it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a certificate with nothing but its file and a public key; exit code 0: it holds, 1: it does not."""
    keys = read_keys(key)
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", remedy="Name the certificate's file") from error
    try:
        shown = _shown(check_certificate(content, keys))
    except CertificateError as error:
        _say_flaw(error, as_json=as_json)
        raise typer.Exit(EXIT_DOES_NOT_HOLD) from error
    if as_json:
        typer.echo(json.dumps({"holds": True, **asdict(shown)}, ensure_ascii=False))
        return
    for line in _lines(shown):
        typer.echo(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a certificate proves, in figures. Of a marked piece scan and score are None."""

    certificate_id: str
    log: str
    piece_id: str
    visit: int
    form: str
    outcome: str
    released_at: str
    scan_sha256: str | None
    model_sha256: str | None
    score: str | None
    policy_sha256: str
    authority: str
    people: list[str]
    dose_mj_per_cm2: str
    target_mj_per_cm2: str
    recipe_sha256: str
    exit_seen: bool
    leaves: int
    witnessed_at: str | None


def _shown(proved: Proved) -> _Shown:
    certificate, story, log = proved.certificate, proved.story, proved.checkpoint
    clearance, dose = story.clearance.open, story.disinfection.open
    witnessed = log.witnessed_at
    return _Shown(
        certificate_id=certificate.certificate_id,
        log=log.checkpoint.origin,
        piece_id=certificate.piece_id,
        visit=certificate.visit,
        form=certificate.form,
        outcome=certificate.outcome,
        released_at=story.exit.at,
        scan_sha256=story.scan.told["sha256"] if story.scan.told is not None else None,
        model_sha256=clearance["model_sha256"],
        score=story.model.told["score"] if story.model is not None and story.model.told is not None else None,
        policy_sha256=clearance["policy_sha256"],
        authority=clearance["authority"],
        people=clearance["by"],
        dose_mj_per_cm2=dose["dose_mj_per_cm2"],
        target_mj_per_cm2=dose["target_mj_per_cm2"],
        recipe_sha256=dose["recipe_sha256"],
        exit_seen=story.gate.open["exit_seen"],
        leaves=log.checkpoint.size,
        witnessed_at=None if witnessed is None else datetime.fromtimestamp(witnessed, UTC).isoformat(),
    )


def _lines(shown: _Shown) -> list[str]:
    exit_seen = "thấy bưu gửi đi ra / seen to leave" if shown.exit_seen else "theo bộ nhớ của cửa ra / by the gate's own memory"
    return [
        "Giấy xác nhận đúng / the certificate holds",
        f"  {shown.certificate_id}",
        f"  bưu gửi / piece: {shown.piece_id}, lượt / visit {shown.visit}, cho qua lúc / released at {shown.released_at}, {exit_seen}",
        f"  ảnh soi / scan: {shown.scan_sha256 or '-'}; điểm / score: {shown.score or '-'}; mô hình / model: {shown.model_sha256 or '-'}",
        f"  thẩm quyền / authority: {shown.authority}; quy định / policy: {shown.policy_sha256}",
        *(f"    {one}" for one in shown.people),
        f"  liều / dose: {shown.dose_mj_per_cm2} mJ/cm² (≥ {shown.target_mj_per_cm2}); quy trình / recipe: {shown.recipe_sha256}",
        f"  nhật ký / log: {shown.log}, lá / leaves: {shown.leaves}; nhân chứng / witnessed: {shown.witnessed_at or '-'}",
    ]


def _say_flaw(error: CertificateError, *, as_json: bool) -> None:
    if as_json:
        found = {"holds": False, "flaw": error.flaw, "leaf": error.leaf, "kind": error.kind, "detail": error.detail}
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    where = "" if error.leaf is None else f": lá / leaf {error.leaf} ({error.kind})"
    detail = f" ({error.detail})" if error.detail else ""
    typer.echo("Giấy xác nhận KHÔNG đúng / the certificate does NOT hold")
    typer.echo(f"  ✗ {FLAWS[error.flaw]}{where}{detail}")
