"""Wire shapes of sessions, users and tokens."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from station.api.schemas import Asked
from station.domain.access import Action, Role
from station.domain.piece import Secrecy


def _has_only_characters(secret: SecretStr) -> SecretStr:
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        # Not the encoder's own words: they show a piece of the secret.
        raise ValueError("holds something that is no character") from None
    return secret


# A secret is not looked at as text by pydantic: half of a surrogate pair would get as far as its hash.
_Secret = Annotated[SecretStr, Field(min_length=1, max_length=512), AfterValidator(_has_only_characters)]
Name = Annotated[str, Field(max_length=80)]
Roles = Annotated[frozenset[Role], Field(max_length=len(Role))]


class LogInIn(Asked):
    """Who wants to come in."""

    login: str = Field(min_length=1, max_length=64)
    secret: _Secret = Field(alias="password")

    @property
    def password(self) -> str:
        """The password itself; the field would show stars."""
        return self.secret.get_secret_value()


class PasswordIn(Asked):
    """A new password, by the secret of a one-time link."""

    link_secret: _Secret = Field(alias="link")
    secret: _Secret = Field(alias="password")

    @property
    def link(self) -> str:
        """The link's secret itself."""
        return self.link_secret.get_secret_value()

    @property
    def password(self) -> str:
        """The password itself."""
        return self.secret.get_secret_value()


class NewPasswordIn(Asked):
    """Another password, by the present one."""

    present_secret: _Secret = Field(alias="present_password")
    secret: _Secret = Field(alias="password")

    @property
    def present(self) -> str:
        """The present password itself."""
        return self.present_secret.get_secret_value()

    @property
    def password(self) -> str:
        """The new password itself."""
        return self.secret.get_secret_value()


class ConfirmIn(Asked):
    """The password once more."""

    secret: _Secret = Field(alias="password")

    @property
    def password(self) -> str:
        """The password itself."""
        return self.secret.get_secret_value()


class SessionOut(BaseModel):
    """Who is logged in. `csrf_token` goes with every write as `X-CSRF-Token`; a program needs none.

    `viewing_min`: whole minutes for which they have had pictures of scans before them without a rest of ten minutes, since the station
    started. `rest_due`: that is longer than the policy's `viewing_limit_min`. `utc_offset_min`: whole minutes by which the site's clock is
    ahead of UTC.
    """

    user_id: str
    login: str
    display_name: str
    roles: list[Role]
    clearance: Secrecy | None
    permissions: list[Action]
    csrf_token: str | None
    confirmed_for_s: float
    viewing_min: int
    rest_due: bool
    utc_offset_min: int


class UserIn(Asked):
    """A new user."""

    login: str = Field(min_length=1, max_length=64)
    display_name: Name = ""
    roles: Roles
    clearance: Secrecy | None = None


class UserChangeIn(Asked):
    """What is to change; what is left out stays. `clearance` null takes it away."""

    display_name: Name | None = None
    roles: Roles | None = None
    clearance: Secrecy | None = None
    disabled: bool | None = None


class UserOut(BaseModel):
    """A user. `link_expires_at`: until when the link that was made for them may be used; null where none waits."""

    user_id: str
    login: str
    display_name: str
    roles: list[Role]
    clearance: Secrecy | None
    disabled: bool
    has_password: bool
    link_expires_at: datetime | None


class UsersOut(BaseModel):
    """All users, by login."""

    items: list[UserOut]
    next: None = None


class UserChangedOut(BaseModel):
    """What became of a user."""

    user_id: str
    login: str
    display_name: str
    roles: list[Role]
    clearance: Secrecy | None
    disabled: bool


class LinkOut(UserChangedOut):
    """A user with a one-time link. `link` is the path to open, told once: a repeated request gets null."""

    link: str | None
    link_expires_at: datetime


class TokenIn(Asked):
    """A new program."""

    name: str = Field(min_length=1, max_length=64)
    clearance: Secrecy | None = None


class TokenOut(BaseModel):
    """A program's token."""

    token_id: str
    name: str
    clearance: Secrecy | None
    revoked: bool


class NewTokenOut(TokenOut):
    """A new token. `token` goes as `Authorization: Bearer`; it is told once: a repeated request gets null."""

    token: str | None


class TokensOut(BaseModel):
    """All tokens, by name."""

    items: list[TokenOut]
    next: None = None
