"""People, programs, sessions, links, browsers and tries in the store; a database of before takes them up."""

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command

from station.domain.access import Role
from station.domain.accounts import AccessEvent, MachineToken, User
from station.domain.errors import ConflictError
from station.domain.guesses import Tries
from station.domain.piece import PieceState, Secrecy
from station.ports.access import AccessState, Account, KnownBrowser, Link, Session, StoredToken
from station.storage import access
from station.storage.migrations import config_for
from station.storage.sqlite import writing_engine
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.access_steps import record
from tests.support.store_facts import announcement, arrive, at, check_audit, opened

AN = User(user_id="u-1", login="an", display_name="Nguyễn An", roles=frozenset({Role.OPERATOR, Role.REVIEWER}), clearance=Secrecy.B)
TOKEN = StoredToken(token=MachineToken(token_id="m-1", name="tracking", clearance=Secrecy.A), token_sha256="cd" * 32)
SESSION = Session(token_sha256="ab" * 32, user_id="u-1", made_at=at(), seen_at=at(), confirmed_at=None)


@pytest.fixture
def store(tmp_path: Path):
    with opened(tmp_path / "data", group_commit=False) as opened_store:
        yield opened_store


def state(store: SqliteStore) -> AccessState:
    return store.read(lambda view: view.access_state())


def tries(store: SqliteStore) -> dict[str, Tries]:
    return store.read(lambda view: view.tries())


def test_what_is_put_is_there_and_is_replaced_and_dropped(store: SqliteStore):
    account = Account(user=AN, password_hash=None)
    store.write(lambda uow: (uow.put_account(account), uow.put_session(SESSION), uow.put_token(TOKEN))).result()
    store.write(lambda uow: uow.put_link(Link(link_sha256="l1", user_id="u-1", expires_at=at(1)))).result()
    store.write(lambda uow: uow.put_link(Link(link_sha256="l2", user_id="u-1", expires_at=at(2)))).result()
    store.write(lambda uow: uow.set_tries("account:x", Tries(failures=1, last_at=at()))).result()
    found = state(store)
    assert (found.accounts, found.sessions, found.tokens) == ((account,), (SESSION,), (TOKEN,))
    assert [link.link_sha256 for link in found.links] == ["l2"]
    assert tries(store) == {"account:x": Tries(failures=1, last_at=at())}
    changed = Account(user=replace(AN, roles=frozenset(), clearance=None, disabled=True), password_hash="$argon2id$x")
    store.write(lambda uow: (uow.put_account(changed), uow.put_session(replace(SESSION, confirmed_at=at(5))))).result()
    store.write(lambda uow: uow.set_tries("account:x", Tries(failures=2, last_at=at(1)))).result()
    assert (state(store).accounts, state(store).sessions[0].confirmed_at, tries(store)["account:x"].failures) == (
        (changed,),
        at(5),
        2,
    )
    store.write(lambda uow: (uow.drop_sessions_of("u-1"), uow.drop_links_of("u-1"), uow.set_tries("account:x", None))).result()
    found = state(store)
    assert (found.sessions, found.links, tries(store)) == ((), (), {})


def test_a_login_is_one_users_for_good(store: SqliteStore):
    store.write(lambda uow: uow.put_account(Account(user=replace(AN, disabled=True), password_hash=None))).result()
    with pytest.raises(ConflictError):
        store.write(lambda uow: uow.put_account(Account(user=replace(AN, user_id="u-2"), password_hash=None))).result()
    assert [one.user.user_id for one in state(store).accounts] == ["u-1"]


def test_of_browsers_and_tries_only_the_newest_are_kept(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access, "TRIES_KEPT", 3)
    store.write(lambda uow: uow.put_account(Account(user=AN, password_hash=None))).result()
    for number in range(25):
        browser = KnownBrowser(token_sha256=f"b{number}", user_id="u-1", seen_at=at(number))
        store.write(lambda uow, one=browser: uow.put_browser(one)).result()
        store.write(lambda uow, n=number: uow.set_tries(f"source:{n}", Tries(failures=1, last_at=at(n)))).result()
    found = state(store)
    assert {one.token_sha256 for one in found.browsers} == {f"b{number}" for number in range(5, 25)}
    assert list(tries(store)) == ["source:22", "source:23", "source:24"]


def test_what_happens_to_people_stands_in_the_audit_log(store: SqliteStore):
    store.write(lambda uow: record(uow, AccessEvent.LOGGED_IN, at(), about=AN, person="an", source="10.0.0.7")).result()
    store.write(lambda uow: record(uow, AccessEvent.TOKEN_ADDED, at(), about=TOKEN.token, person="an")).result()
    store.write(lambda uow: record(uow, AccessEvent.LOG_IN_REFUSED, at(), about=None, person="", count=7)).result()
    facts = [row.evidence for row in store.read(lambda view: view.evidence("ACCESS"))]
    assert [(fact.visit, fact.event, fact.login, fact.roles, fact.clearance, fact.count) for fact in facts] == [
        (1, "logged-in", "an", ("operator", "reviewer"), "B", 1),
        (2, "token-added", "tracking", ("machine",), "A", 1),
        (3, "log-in-refused", "", (), None, 7),
    ]
    assert check_audit(store) == 3


def test_a_database_from_before_is_taken_up(tmp_path: Path):
    engine = writing_engine(tmp_path / DATABASE_NAME)
    with engine.begin() as connection:
        config = config_for()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    with opened(tmp_path) as store:
        arrive(store, "P1")
        assert store.read(lambda view: view.access_state()).accounts == ()
        assert store.read(lambda view: view.piece("P1")).state is PieceState.ARRIVED


def test_only_pieces_of_the_levels_that_may_be_seen_are_listed(store: SqliteStore):
    for name, secrecy in (("P0", None), ("PC", Secrecy.C), ("PB", Secrecy.B), ("PA", Secrecy.A)):
        store.write(lambda uow, n=name, s=secrecy: uow.announce(announcement(n, secrecy=s), at())).result()
    seen = {
        levels: {piece.piece_id for piece in store.read(lambda view, of=levels: view.pieces(levels=of))}
        for levels in (frozenset(), frozenset({Secrecy.C}), frozenset({Secrecy.C, Secrecy.B}), frozenset(Secrecy))
    }
    assert list(map(sorted, seen.values())) == [["P0"], ["P0", "PC"], ["P0", "PB", "PC"], ["P0", "PA", "PB", "PC"]]
