"""Who may come in to a demo: made anew at each start, with passwords that are printed and count on simulators only."""

import secrets
from collections.abc import Callable

from station.demo.client import Credentials
from station.domain.access import Role
from station.domain.piece import Secrecy
from station.workflow.accounts import Accounts

EVERYTHING, OPERATOR, REVIEWERS, TRACKING = "demo", "demo-operator", ("demo-reviewer-1", "demo-reviewer-2"), "tracking"
_AT_WORK = (Role.OPERATOR, Role.REVIEWER, Role.SUPERVISOR, Role.TECHNICIAN)
PEOPLE: tuple[tuple[str, tuple[Role, ...], Secrecy | None], ...] = (
    (EVERYTHING, _AT_WORK, Secrecy.A),
    (OPERATOR, (Role.OPERATOR,), Secrecy.A),
    (REVIEWERS[0], (Role.REVIEWER,), Secrecy.A),
    (REVIEWERS[1], (Role.REVIEWER,), Secrecy.A),
    ("demo-uncleared", (Role.OPERATOR, Role.REVIEWER), None),
    ("demo-auditor", (Role.AUDITOR,), None),
    ("demo-admin", (Role.ADMINISTRATOR,), None),
)


async def let_people_in(accounts: Accounts, note: Callable[[str], None]) -> Credentials:
    """Make the demo's people and the tracking system's token, and print how the people log in."""
    passwords = {}
    note("Đăng nhập / log in:")
    for login, roles, clearance in PEOPLE:
        passwords[login] = secrets.token_urlsafe(12)
        await accounts.set_demo_user(login, password=passwords[login], roles=roles, clearance=clearance)
        note(f"  {login}: {passwords[login]}  ({', '.join(roles)}; độ mật / clearance {clearance or '-'})")
    for old in accounts.tokens():
        if old.name == TRACKING and not old.revoked:
            await accounts.revoke_token(old.token_id)
    made = await accounts.add_token(TRACKING, clearance=Secrecy.A)
    return Credentials(passwords=passwords, tokens={TRACKING: made.secret or ""}, reader=OPERATOR)
