"""How long somebody has looked at images without a rest."""

from datetime import datetime, timedelta

from domain_facts import NOW

from station.domain.rest import REST, Spell, viewing_time, with_image

MINUTE = timedelta(minutes=1)


def after(*minutes: float) -> Spell:
    spell = None
    for one in minutes:
        spell = with_image(spell, NOW + one * MINUTE)
    assert spell is not None
    return spell


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


def test_who_has_seen_no_image_has_not_viewed() -> None:
    assert viewing_time(None, NOW) == timedelta(0)


def test_images_one_after_the_other_are_one_spell_up_to_the_last() -> None:
    spell = after(0, 4, 13, 22.9)
    assert viewing_time(spell, at(22.9)) == 22.9 * MINUTE
    assert viewing_time(spell, at(25)) == 22.9 * MINUTE


def test_a_rest_ends_the_spell_and_the_next_image_begins_another() -> None:
    spell = after(0, 5)
    assert viewing_time(spell, at(5) + REST - timedelta(microseconds=1)) == 5 * MINUTE
    assert viewing_time(spell, at(5) + REST) == timedelta(0)
    assert with_image(spell, at(5) + REST) == Spell(began_at=at(15), last_at=at(15))


def test_a_clock_that_went_back_begins_another_spell() -> None:
    assert with_image(after(0, 5), at(3)) == Spell(began_at=at(3), last_at=at(3))
