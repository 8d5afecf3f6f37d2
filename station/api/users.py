"""`/users` and `/tokens`: who may come in, for administrators. Nobody is deleted: a login is one person for good."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from station.api import access_schemas as schemas
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.ports.access import Account
from station.workflow.accounts import UNCHANGED, Change, Made
from station.workflow.once import Answer

WELCOME = "/welcome#"
"""The page on which a link is used; what stands behind the sign never leaves the browser with the address."""

SeesUsers = Annotated[Caller, Depends(Needs(Action.SEE_USERS))]
ChangesUsers = Annotated[Caller, Depends(Needs(Action.CHANGE_USERS))]
UserPath = Annotated[str, Path(pattern=r"^u-[0-9a-f]{1,32}$")]
TokenPath = Annotated[str, Path(pattern=r"^m-[0-9a-f]{1,32}$")]


def router(context: Context) -> APIRouter:
    """The routes of these resources."""
    routes = resource(tag="users")
    accounts = context.accounts

    @routes.get("/users")
    async def users(_caller: SeesUsers) -> schemas.UsersOut:
        """Every user."""
        return schemas.UsersOut(items=[out(account) for account in accounts.users()])

    @routes.post("/users", status_code=HTTPStatus.CREATED, response_model=schemas.LinkOut)
    async def add(caller: ChangesUsers, body: schemas.UserIn, once: OnceKey) -> Answer:
        """Add a user; the link by which they choose a password is told once and lasts a day."""
        made = await accounts.add(
            body.login, display_name=body.display_name, roles=body.roles, clearance=body.clearance, by=caller, once=once
        )
        return _with_link(made)

    @routes.get("/users/{user_id}")
    async def user(_caller: SeesUsers, user_id: UserPath) -> schemas.UserOut:
        """One user."""
        return out(accounts.user(user_id))

    @routes.patch("/users/{user_id}", response_model=schemas.UserChangedOut)
    async def change(caller: ChangesUsers, user_id: UserPath, body: schemas.UserChangeIn, once: OnceKey) -> Answer:
        """Change name, roles or clearance, disable or enable. A change of what a user may do ends their sessions."""
        wanted = Change(
            display_name=body.display_name,
            roles=body.roles,
            clearance=body.clearance if "clearance" in body.model_fields_set else UNCHANGED,
            disabled=body.disabled,
        )
        return (await accounts.change(user_id, wanted, by=caller, once=once)).answer

    @routes.post("/users/{user_id}/password-link", response_model=schemas.LinkOut)
    async def new_link(caller: ChangesUsers, user_id: UserPath, once: OnceKey) -> Answer:
        """Make a one-time link by which the user chooses a new password."""
        return _with_link(await accounts.new_link(user_id, by=caller, once=once))

    @routes.get("/tokens")
    async def tokens(_caller: SeesUsers) -> schemas.TokensOut:
        """Every program's token."""
        items = [
            schemas.TokenOut(token_id=one.token_id, name=one.name, clearance=one.clearance, revoked=one.revoked)
            for one in accounts.tokens()
        ]
        return schemas.TokensOut(items=items)

    @routes.post("/tokens", status_code=HTTPStatus.CREATED, response_model=schemas.NewTokenOut)
    async def add_token(caller: ChangesUsers, body: schemas.TokenIn, once: OnceKey) -> Answer:
        """Make a token for a program, for example the tracking system."""
        made = await accounts.add_token(body.name, clearance=body.clearance, by=caller, once=once)
        return made.answer | {"token": made.secret}

    @routes.post("/tokens/{token_id}/revoke", response_model=schemas.TokenOut)
    async def revoke(caller: ChangesUsers, token_id: TokenPath, once: OnceKey) -> Answer:
        """The program may not ask any more."""
        return (await accounts.revoke_token(token_id, by=caller, once=once)).answer

    def out(account: Account) -> schemas.UserOut:
        user = account.user
        return schemas.UserOut(
            user_id=user.user_id,
            login=user.login,
            display_name=user.display_name,
            roles=sorted(user.roles),
            clearance=user.clearance,
            disabled=user.disabled,
            has_password=account.password_hash is not None,
            link_expires_at=accounts.link_expires_at(user.user_id),
        )

    return routes


def _with_link(made: Made) -> Answer:
    return made.answer | {"link": f"{WELCOME}{made.secret}" if made.secret is not None else None}
