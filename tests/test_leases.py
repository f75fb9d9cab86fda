"""Connections and the lives of their tokens, on a clock; the wall clock is a number of its own and may jump."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jwt
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from rtwist.auth.keys import SharedSecrets
from rtwist.auth.revocation import RevokedTokens
from rtwist.auth.token import MAX_NUMERIC_DATE, TokenVerifier
from rtwist.domain.emission import Reassign, Revoke
from rtwist.domain.owners import OrderBook
from rtwist.domain.timestamps import iso
from rtwist.errors import KeysUnavailable
from rtwist.gateway import Gateway
from rtwist.leases import RECHECK_SECONDS, LeaseOptions
from rtwist.socketio import Socket
from tests.socketio.fakes import Guest, House

SECRET = "a secret of the tests that is long enough"
START = 1_700_000_000.0


class Keys:
    """Shared secrets; those for tokens with the `kid` "late" come when they are let go, with "away" never."""

    algorithms = SharedSecrets.algorithms

    def __init__(self) -> None:
        self._secrets = SharedSecrets(SECRET)
        self.gates: list[Deferred[None]] = []

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[bytes]:
        if header.get("kid") == "away":
            raise KeysUnavailable("the key server is away")
        if header.get("kid") == "late":
            self.gates.append(Deferred())
            await self.gates[-1]
        return await self._secrets.keys_for(header)


class Place:
    """A house with a gateway; `wall` is what its wall clock shows."""

    def __init__(self, house: House, *, leeway: float = 0.0, **lease: float) -> None:
        self.house = house
        self.wall = START
        self.keys = Keys()
        verifier = TokenVerifier(
            self.keys, leeway=leeway, revocations=RevokedTokens(leeway=leeway), now=lambda: self.wall
        )
        self.gateway = Gateway(
            house.io, verifier=verifier, owners=OrderBook(), now=lambda: self.wall, lease=LeaseOptions(**lease)
        )

    def token(self, lifetime: float = 600.0, *, kid: str | None = None, **claims: Any) -> str:
        body = {"userId": "u1", "iat": int(self.wall), "exp": self.wall + lifetime, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, SECRET, headers=None if kid is None else {"kid": kid})

    def join(self, lifetime: float = 600.0, **claims: Any) -> tuple[Guest, Socket]:
        guest = self.house.guest()
        socket = guest.enter(auth={"token": self.token(lifetime, **claims)})
        guest.hear()
        return guest, socket

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Both clocks go on."""
        for _ in range(int(seconds / step)):
            self.wall += step
            self.house.clock.advance(step)

    def jump(self, seconds: float) -> None:
        """The wall clock alone is set."""
        self.wall += seconds


@pytest.fixture
def house() -> Iterator[House]:
    with capturedLogs() as logs:
        # Heartbeats are none of this file's business.
        made = House(logs, ping_interval=1e8)
        yield made
        made.end()
        assert not any("eyJ" in str(event) for event in logs), "no token is ever logged"


@pytest.fixture
def place(house: House) -> Place:
    return Place(house)


def events(guest: Guest) -> list[tuple[str, Any]]:
    """The events that have come, as name and argument."""
    packets = [packet for packet in guest.hear() if packet.startswith("2")]
    return [tuple(json.loads(packet[1:])) for packet in packets]


def ask(guest: Guest, *event: Any) -> Any:
    """The acknowledgement of an event that is answered at once."""
    guest.say(f"27{json.dumps(event)}")
    (answer,) = [packet for packet in guest.hear() if packet.startswith("37")]
    return json.loads(answer.removeprefix("37"))[0]


def refused(answer: Any) -> tuple[str, str]:
    assert (set(answer), answer["success"]) == ({"success", "error"}, False)
    return answer["error"]["code"], answer["error"]["message"]


class TestTheEnd:
    def test_the_client_is_warned_then_told_then_disconnected(self, place: Place) -> None:
        guest, socket = place.join(600)
        place.pass_time(539.5)
        assert guest.hear() == []
        place.pass_time(0.5)
        end = iso(START + 600)
        assert events(guest) == [
            ("auth:expiring", {"expiresAt": end, "expiresIn": 60, "timestamp": iso(START + 540)})
        ]
        place.pass_time(64.5)
        assert (guest.hear(), socket.connected) == ([], True)
        place.pass_time(0.5)
        told, left = guest.hear()
        assert json.loads(told[1:]) == [
            "auth:expired",
            {"code": "token_expired", "message": "The token has expired", "expiresAt": end,
             "timestamp": iso(START + 605)},
        ]  # fmt: skip
        assert (left, guest.gone, socket.connected) == ("1", True, False)

    def test_warning_and_grace_are_options(self, house: House) -> None:
        place = Place(house, warning=10.0, grace=0.0)
        guest, _ = place.join(60)
        place.pass_time(49.5)
        assert guest.hear() == []
        place.pass_time(0.5)
        assert [name for name, _ in events(guest)] == ["auth:expiring"]
        place.pass_time(9.5)
        assert not guest.gone
        place.pass_time(0.5)
        assert guest.gone

    def test_half_of_a_short_life_goes_by_before_the_warning(self, place: Place) -> None:
        guest, _ = place.join(30)
        place.pass_time(14.5)
        assert guest.hear() == []
        place.pass_time(0.5)
        assert [(name, told["expiresIn"]) for name, told in events(guest)] == [("auth:expiring", 15)]

    def test_the_leeway_counts_at_the_end_as_at_the_beginning(self, house: House) -> None:
        place = Place(house, leeway=100.0)
        guest, _ = place.join(-50)
        place.pass_time(54.5)
        assert (guest.hear(), guest.gone) == ([], False)
        place.pass_time(0.5)
        assert guest.gone

    def test_each_socket_has_its_own_end_and_one_timer_serves_all(self, place: Place) -> None:
        guests = [place.join(100 + number)[0] for number in range(50)]
        assert len(place.house.clock.getDelayedCalls()) == 2, "one for all heartbeats, and one for the tokens"
        place.pass_time(104.5)
        assert [guest.gone for guest in guests] == [False] * 50
        for number in range(50):
            place.pass_time(0.5)
            assert [guest.gone for guest in guests] == [True] * (number + 1) + [False] * (49 - number)
            place.pass_time(0.5)

    def test_who_comes_later_may_be_due_first(self, place: Place) -> None:
        place.join(6000)
        place.pass_time(1)
        guest, _ = place.join(10)
        place.pass_time(5)
        assert [name for name, _ in events(guest)] == ["auth:expiring"]

    def test_who_has_left_leaves_no_timer(self, place: Place) -> None:
        guest, _ = place.join()
        guest.leave()
        assert place.house.clock.getDelayedCalls() == []

    def test_the_last_second_of_the_calendar(self, place: Place) -> None:
        guest, _ = place.join(MAX_NUMERIC_DATE - START)
        place.pass_time(60)
        assert (guest.hear(), guest.gone) == ([], False)

    @pytest.mark.parametrize("exp", ["9" * 400, "1e400", "-1", "NaN"])
    def test_a_date_that_is_none_lets_nobody_in_and_refreshes_nothing(self, place: Place, exp: str) -> None:
        token = _signed(f'{{"userId":"u1","exp":{exp}}}')
        stranger, (guest, _) = place.house.guest(), place.join()
        stranger.say("0" + json.dumps({"token": token}))
        assert json.loads(stranger.hear()[0][1:])["data"] == {"code": "token_invalid"}
        assert refused(ask(guest, "refresh_token", token))[0] == "token_invalid"
        stranger.leave()


class TestClocksThatJump:
    def test_forward_over_the_end(self, place: Place) -> None:
        guest, _ = place.join(3600)
        place.pass_time(5)
        place.jump(7200)
        place.pass_time(RECHECK_SECONDS)
        assert guest.gone

    def test_forward_but_not_so_far(self, place: Place) -> None:
        guest, _ = place.join(7200)
        place.jump(3600)
        place.pass_time(3000)
        assert (guest.hear(), guest.gone) == ([], False)
        place.pass_time(540)
        assert [name for name, _ in events(guest)] == ["auth:expiring"]

    def test_backward(self, place: Place) -> None:
        guest, _ = place.join(600)
        place.jump(-3600)
        place.pass_time(3600 + 539.5)
        assert (guest.hear(), guest.gone) == ([], False)
        place.pass_time(65.5)
        assert guest.gone

    def test_backward_after_the_warning(self, place: Place) -> None:
        guest, _ = place.join(100)
        place.pass_time(50)
        assert [name for name, _ in events(guest)] == ["auth:expiring"]
        place.jump(-1000)
        place.pass_time(1054.5)
        assert (guest.hear(), guest.gone) == ([], False)
        place.pass_time(0.5)
        assert guest.gone

    def test_a_process_that_slept(self, place: Place) -> None:
        guest, _ = place.join(600)
        place.jump(5000)
        place.house.clock.advance(5000)
        assert guest.gone


class TestRefreshing:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_new_token_lets_stay(self, place: Place, wrapped: bool) -> None:
        guest, _ = place.join(600)
        place.pass_time(590)
        guest.hear()
        token = place.token(600)
        answer = ask(guest, "refresh_token", {"token": token} if wrapped else token)
        assert answer == {"success": True, "expiresAt": iso(place.wall + 600)}
        place.pass_time(539.5)
        assert guest.hear() == []
        place.pass_time(0.5)
        assert [name for name, _ in events(guest)] == ["auth:expiring"]
        place.pass_time(65)
        assert guest.gone

    @pytest.mark.parametrize("fresh", [True, False])
    def test_a_client_that_answers_every_warning_is_not_warned_without_end(
        self, place: Place, fresh: bool
    ) -> None:
        guest, _ = place.join(30)
        token, warnings = place.token(30), 0
        for _ in range(600):
            place.pass_time(0.1, step=0.1)
            if "auth:expiring" in [name for name, _ in events(guest)]:
                warnings += 1
                ask(guest, "refresh_token", place.token(30) if fresh else token)
        assert warnings <= 10
        assert guest.gone is not fresh

    def test_it_needs_no_acknowledgement(self, place: Place) -> None:
        guest, _ = place.join(600)
        guest.say(f"2{json.dumps(['refresh_token', place.token(5000)])}")
        place.pass_time(700)
        assert (guest.hear(), guest.gone) == ([], False)
        guest.say('2["refresh_token","nonsense"]')
        assert events(guest) == [
            ("error", {"event": "refresh_token", "code": "token_invalid", "message": "Invalid or expired token"})
        ]

    def test_a_shorter_one_counts_too(self, place: Place) -> None:
        guest, _ = place.join(6000)
        assert ask(guest, "refresh_token", place.token(100))["success"]
        place.pass_time(105)
        assert guest.gone

    def test_the_rooms_follow_the_new_claims(self, place: Place) -> None:
        guest, socket = place.join(companyId="c1", shopIds=["s1", "s2"], role="clerk")
        ask(guest, "join_room", "chat")
        ask(guest, "subscribe_order", "o1")
        assert ask(guest, "refresh_token", place.token(companyId="c2", shopIds=["s2"], role="super_admin"))[
            "success"
        ]
        assert socket.rooms == {
            socket.id, "user:u1", "company:c2", "shop:s2", "role:super_admin", "super_admin", "chat",
            "order:o1", "order:o1|user:u1", "order:o1|company:c2", "order:o1|shop:s2", "order:o1|super_admin",
        }  # fmt: skip

    def test_the_companies_hear_of_the_move(self, place: Place) -> None:
        colleague, _ = place.join(userId="u8", companyId="c1")
        other, _ = place.join(userId="u9", companyId="c2")
        guest, _ = place.join(companyId="c1")
        assert [name for name, _ in events(colleague)] == ["presence:online"]
        ask(guest, "refresh_token", place.token(companyId="c2"))
        assert [name for name, _ in events(colleague)] == ["presence:offline"]
        assert [name for name, _ in events(other)] == ["presence:online"]

    @pytest.mark.parametrize("value", [None, "", {}, {"token": None}, {"token": ""}, {"Token": "x"}])
    def test_without_a_token(self, place: Place, value: Any) -> None:
        guest, _ = place.join()
        assert refused(ask(guest, "refresh_token", value))[0] == "bad_request"
        guest.say('28["refresh_token"]')
        assert '"bad_request"' in guest.hear()[0]

    @pytest.mark.parametrize(
        "value", [7, True, [], "x", {"token": 7}, {"token": {"token": "x"}}, "a.b.c", "x" * 9000]
    )
    def test_with_what_is_none(self, place: Place, value: Any) -> None:
        guest, _ = place.join()
        assert refused(ask(guest, "refresh_token", value)) == ("token_invalid", "Invalid or expired token")
        assert not guest.gone

    def test_with_a_bad_one_the_old_one_still_counts(self, place: Place) -> None:
        guest, socket = place.join(600, companyId="c1")
        bad = {
            place.token(600, userId="u2"): ("forbidden", "this token is another user's"),
            place.token(-1): ("token_expired", "Invalid or expired token"),
            place.token(0): ("token_expired", "Invalid or expired token"),
            place.token(exp=None): ("token_invalid", "Invalid or expired token"),
            place.token(userId=None): ("token_invalid", "Invalid or expired token"),
            place.token(600, iat=START - 1): ("forbidden", "this token was issued before the one in use"),
            place.token(600, kid="away"): ("unavailable", "tokens cannot be checked at the moment; try again"),
            jwt.encode({"userId": "u1", "exp": START + 900}, SECRET * 2): (
                "token_invalid",
                "Invalid or expired token",
            ),
        }
        for token, refusal in bad.items():
            assert refused(ask(guest, "refresh_token", token)) == refusal
        assert "company:c1" in socket.rooms
        place.pass_time(605)
        assert guest.gone

    def test_a_revoked_one(self, place: Place) -> None:
        guest, _ = place.join(600)
        place.gateway.accounts.revoke(Revoke(token_id="t2"))
        assert refused(ask(guest, "refresh_token", place.token(jti="t2")))[0] == "token_revoked"
        assert ask(guest, "refresh_token", place.token(jti="t3"))["success"]

    def test_tokens_without_end_are_refused_before_they_are_looked_at(self, place: Place) -> None:
        guest, socket = place.join(companyId="c1")
        companies = [f"c{number % 2}" for number in range(25)]
        answers = [ask(guest, "refresh_token", place.token(companyId=company)) for company in companies]
        assert [answer["success"] for answer in answers] == [True] * 20 + [False] * 5
        assert {refused(answer)[0] for answer in answers[20:]} == {"rate_limited"}
        assert refused(ask(guest, "refresh_token", "nonsense"))[0] == "rate_limited"
        assert socket.data["identity"].company_id == "c1"
        place.pass_time(1)
        assert refused(ask(guest, "refresh_token", "nonsense"))[0] == "token_invalid"

    def test_others_wait_until_it_is_decided(self, place: Place) -> None:
        guest, socket = place.join(companyId="c1")
        token = place.token(companyId="c2", kid="late")
        guest.say(f"21{json.dumps(['refresh_token', token])}", '22["subscribe_order","o1"]')
        assert guest.hear() == []
        place.keys.gates[0].callback(None)
        assert [packet[:2] for packet in guest.hear()] == ["31", "32"]
        assert "order:o1|company:c2" in socket.rooms

    def test_the_deadline_comes_first(self, place: Place) -> None:
        guest, socket = place.join(600)
        place.pass_time(604)
        guest.hear()
        guest.say(f"21{json.dumps(['refresh_token', place.token(kid='late')])}")
        place.pass_time(1)
        assert guest.gone
        said = guest.hear()
        place.keys.gates[0].callback(None)
        assert (guest.hear(), socket.connected, socket.rooms) == ([], False, frozenset())
        assert said[-1] == "1"
        assert place.house.clock.getDelayedCalls() == []

    def test_the_new_token_comes_first(self, place: Place) -> None:
        guest, _ = place.join(600)
        place.pass_time(604)
        guest.say(f"21{json.dumps(['refresh_token', place.token(kid='late')])}")
        place.keys.gates[0].callback(None)
        place.pass_time(100)
        assert not guest.gone

    def test_a_token_that_expires_while_its_keys_come(self, place: Place) -> None:
        guest, _ = place.join(600)
        guest.say(f"21{json.dumps(['refresh_token', place.token(5, kid='late')])}")
        place.pass_time(6)
        place.keys.gates[0].callback(None)
        assert '"token_expired"' in guest.hear()[0]


class TestEventsAndNewTokens:
    def company_after(self, place: Place, at: float | None, iat: float) -> set[str]:
        guest, socket = place.join(companyId="c1", iat=START - 100)
        place.gateway.accounts.apply(Reassign("u1", company_id="c2", at=at))
        ask(guest, "refresh_token", place.token(companyId="c9", iat=iat))
        return {room for room in socket.rooms if room.startswith("company:")}

    def test_the_token_is_newer(self, place: Place) -> None:
        assert self.company_after(place, START - 50, START - 49) == {"company:c9"}

    def test_the_event_is_newer(self, place: Place) -> None:
        assert self.company_after(place, START - 50, START - 51) == {"company:c2"}

    def test_an_event_of_now(self, place: Place) -> None:
        assert self.company_after(place, None, START - 1) == {"company:c2"}

    def test_an_event_while_the_new_token_is_checked(self, place: Place) -> None:
        guest, socket = place.join(companyId="c1", iat=START - 100)
        guest.say(f"21{json.dumps(['refresh_token', place.token(companyId='c9', kid='late', iat=START - 50)])}")
        place.gateway.accounts.apply(Reassign("u1", company_id="c2"))
        place.keys.gates[0].callback(None)
        assert {room for room in socket.rooms if room.startswith("company:")} == {"company:c2"}

    def test_an_event_older_than_the_token_moves_nobody(self, place: Place) -> None:
        _, socket = place.join(companyId="c1")
        place.gateway.accounts.apply(Reassign("u1", company_id="c2", at=START - 5))
        assert "company:c1" in socket.rooms
        place.gateway.accounts.apply(Reassign("u1", company_id="c2", at=START))
        assert "company:c2" in socket.rooms


class TestRevoking:
    def revoke(self, place: Place, **whom: Any) -> int:
        return place.gateway.accounts.revoke(Revoke(**whom))

    def test_the_client_is_told_and_disconnected(self, place: Place) -> None:
        guest, socket = place.join()
        assert self.revoke(place, user_id="u1") == 1
        told, left = guest.hear()
        assert json.loads(told[1:]) == [
            "auth:revoked",
            {"code": "token_revoked", "message": "The token was revoked", "timestamp": iso(START)},
        ]
        assert (left, guest.gone, socket.connected) == ("1", True, False)

    def test_nobody_else_is(self, place: Place) -> None:
        concerned, _ = place.join(companyId="c1", jti="t1")
        others = [place.join(userId="u2", companyId="c1", jti="t2")[0], place.join(iat=START + 1, jti="t3")[0]]
        assert self.revoke(place, user_id="u1") == 1
        assert concerned.gone
        assert [guest.gone for guest in others] == [False, False]
        assert self.revoke(place, token_id="t2") == 1
        assert [guest.gone for guest in others] == [True, False]
        assert self.revoke(place, company_id="c9") == 0
        assert self.revoke(place, issued_before=START) == 0
        place.pass_time(1)
        assert self.revoke(place) == 1

    def test_a_token_that_is_being_checked(self, place: Place) -> None:
        guest = place.house.guest()
        guest.say("0" + json.dumps({"token": place.token(kid="late")}))
        assert self.revoke(place, user_id="u1") == 0
        place.keys.gates[0].callback(None)
        assert json.loads(guest.hear()[0][1:])["data"] == {"code": "token_revoked"}
        guest.leave()

    def test_a_token_that_was_checked_a_moment_ago(self, place: Place) -> None:
        gate: Deferred[None] = Deferred()
        place.house.io.use(lambda _: gate)
        guest = place.house.guest()
        guest.say("0" + json.dumps({"token": place.token()}))
        assert self.revoke(place, user_id="u1") == 0
        gate.callback(None)
        place.pass_time(0.5)
        assert guest.gone
        assert '"auth:revoked"' in guest.hear()[-2]

    def test_who_was_moved_is_still_of_the_company_of_its_token(self, place: Place) -> None:
        guest, _ = place.join(companyId="c1")
        place.gateway.accounts.apply(Reassign("u1", company_id="c2"))
        assert self.revoke(place, company_id="c1") == 1
        assert guest.gone


def _signed(payload: str) -> str:
    """A token with these bytes in it; PyJWT would not write most of them."""
    head, body = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in ('{"alg":"HS256"}', payload))
    signature = hmac.new(SECRET.encode(), head + b"." + body, hashlib.sha256).digest()
    return b".".join([head, body, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
