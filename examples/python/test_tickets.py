"""What a suite looks like that tests against jqlite."""

import pytest
from jqlite_fixture import Refused


@pytest.fixture
def billing(jqlite):
    return jqlite.query("create", "tickets.Category", name="Billing")["id"]


def test_a_ticket_is_open_and_of_this_moment(jqlite, billing):
    made = {"return": {"id": None, "status": None, "created": None}}
    ticket = jqlite.query("create", "tickets.Ticket", made, title="The invoice is wrong", category=billing)
    assert ticket == {"id": 1, "status": "open", "created": "2026-01-31T09:30:00.000000Z"}


def test_every_test_begins_with_no_ticket(jqlite):
    assert jqlite.query("count", "tickets.Ticket") == {"count": 0}


def test_tickets_of_before_last_week(jqlite, billing):
    jqlite.query("create", "tickets.Ticket", title="Old", category=billing)
    jqlite.fixture("clock", advance="8d")
    jqlite.query("create", "tickets.Ticket", title="New", category=billing)
    old = {"filter": {"created__lt": "2026-02-01"}}
    assert jqlite.query("retrieve", "tickets.Ticket", old, title=None) == [{"title": "Old"}]


def test_a_snapshot_is_gone_back_to(jqlite, billing):
    jqlite.fixture("snapshot", name="billing")
    for title in ["One", "Two"]:
        jqlite.query("create", "tickets.Ticket", title=title, category=billing)
        jqlite.fixture("restore", name="billing")
    assert jqlite.query("count", "tickets.Ticket") == {"count": 0}
    assert jqlite.query("count", "tickets.Category") == {"count": 1}


def test_a_key_that_has_expired_is_refused(jqlite):
    values = {"name": "shop", "permissions": ["tickets.Ticket:read"], "expires": "2026-03-01"}
    key = jqlite.query("create", "system.ApiKey", **values)["key"]
    assert jqlite.query("count", "tickets.Ticket", key=key) == {"count": 0}
    jqlite.fixture("clock", advance="30d")
    with pytest.raises(Refused) as refused:
        jqlite.query("count", "tickets.Ticket", key=key)
    assert refused.value.status == 401


@pytest.mark.parametrize("number", range(100))
def test_so_many_more(jqlite, number):
    jqlite.query("create", "tickets.Tag", name=f"tag {number}")
    assert jqlite.query("retrieve", "tickets.Tag", id=None, name=None) == [{"id": 1, "name": f"tag {number}"}]
