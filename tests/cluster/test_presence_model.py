"""Presence over nodes through troubles: news alternate for each user, and agree with who is there in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.nodes import Node, User
from tests.cluster.stores import Stores, result

LEASE = 10.0
USERS = ["u1", "u2", "u3"]
NUMBERS = st.integers(0, 11)
Step = tuple[str, int, int]
T = TypeVar("T")


class Story:
    """Three nodes and what a witness at the first one hears; that lives, and has one more user, throughout."""

    def __init__(self) -> None:
        self.stores = Stores(None)
        self.roll = self.stores.roll(LEASE)
        self.started = 0
        self.alive: list[Node] = []
        self.ended: list[Node] = []
        self.there: dict[Node, list[tuple[str, User]]] = {}
        self.told: dict[str, list[str]] = {user: [] for user in (*USERS, "steady")}
        self.start()
        self.witness = self.alive[0].join("witness")
        self.there[self.alive[0]].append(("steady", self.alive[0].join("steady")))
        self.start()
        self.start()

    def start(self) -> None:
        self.started += 1
        node = Node(self.stores, self.roll, f"n{self.started}")
        self.alive.append(node)
        self.there[node] = []
        node.beat()

    def step(self, what: str, node: int, user: int) -> None:
        act: Callable[[Node, int], None] = getattr(self, what)
        act(_one_of(self.alive, node), user)
        self.stores.deliver()
        self.listen()

    def listen(self) -> None:
        for news in self.witness.told():
            self.told[news[1:]].append(news[0])

    # Steps

    def comes(self, node: Node, user: int) -> None:
        name = _one_of(USERS, user)
        self.there[node].append((name, node.join(name)))

    def goes(self, node: Node, user: int) -> None:
        here = [each for each in self.there[node] if each[0] != "steady"]
        if here:
            gone = _one_of(here, user)
            self.there[node].remove(gone)
            node.leave(gone[1])

    def wait(self, node: Node, seconds: int) -> None:
        for _ in range(2 * seconds):
            self.stores.clock.advance(0.5)
            for each in self.alive:
                each.beat()

    def sleep(self, node: Node, seconds: int) -> None:
        self.stores.clock.advance(seconds)

    def reconnect(self, node: Node, _: int) -> None:
        node.presence.lost()
        node.beat()

    def kill(self, node: Node, _: int) -> None:
        if node is not self.alive[0]:
            self.alive.remove(node)
            node.tasks.stop()
            self.ended.append(node)
            del self.there[node]
            self.start()

    def cut(self, node: Node, _: int) -> None:
        self.stores.away = True
        for each in self.alive:
            each.presence.lost()

    def back(self, node: Node, first: int) -> None:
        self.stores.away = False
        first %= len(self.alive)
        for each in (*self.alive[first:], *self.alive[:first]):
            each.beat()

    def lose(self, node: Node, first: int) -> None:
        """The store is emptied while it is away; the next trouble comes when all is calm again."""
        self.cut(node, 0)
        self.stores.lose()
        self.back(node, first)
        self.wait(node, 3 * int(LEASE))

    # The end

    def end(self) -> None:
        self.step("back", 0, 0)
        self.step("wait", 0, 6 * int(LEASE))
        there = {user for users in self.there.values() for user, _ in users}
        assert set(result(self.roll.users())) == {"witness", *there}
        assert self.told["steady"] == ["+"]
        for user, told in self.told.items():
            assert told == ["+", "-"] * (len(told) // 2) + ["+"] * (len(told) % 2), (user, told)
            assert len(told) % 2 == (user in there), (user, told)
        for node in (*self.alive, *self.ended):
            node.tasks.stop()
            assert node.house.failures == []


def _one_of(things: list[T], number: int) -> T:
    return things[number % len(things)]


def stories(*troubles: str) -> st.SearchStrategy[list[Step]]:
    # Most of a story is people who come and go.
    steps = st.sampled_from(["comes", "comes", "goes", "goes", "wait", *troubles])
    return st.lists(st.tuples(steps, NUMBERS, NUMBERS), max_size=50)


@given(stories("sleep", "reconnect", "kill", "cut", "back"))
def test_through_everything_but_the_loss_of_the_store(story: list[Step]) -> None:
    _check(story)


@given(stories("reconnect", "lose"))
def test_through_losses_of_the_store(story: list[Step]) -> None:
    _check(story)


def _check(story: list[Step]) -> None:
    told = Story()
    for step in story:
        told.step(*step)
    told.end()
