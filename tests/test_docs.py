"""The documentation: its tables agree with the code, and what it shows works when it is run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from rtwist.auth.identity import identity_from_claims
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.policy import ASKABLE, TABLE, Entry, Kind, Policy, Who, subject
from rtwist.auth.token import TokenVerifier, mint
from rtwist.domain.emission import Emission
from rtwist.domain.event import read_event
from rtwist.domain.kinds import DETECTED
from rtwist.domain.notification import Addressees
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.routesfile import read_routes
from rtwist.domain.rules import BUILT_IN
from rtwist.engineio.lifecycle import ON_POLLING, ON_WEBSOCKET, Event, State, step
from rtwist.gateway import Gateway
from rtwist.rest import Rest
from rtwist.settings import SETTINGS
from rtwist.socketio import Options, Server, Socket
from tests.support.clients import CLIENTS, require_chromium, require_node_modules, run_node
from tests.support.processes import ROOT, Program, free_port
from tests.support.service import API_KEY, JWT_SECRET, Service

README = ROOT / "README.rst"
DOCS = sorted((ROOT / "docs").glob("*.rst"))
ROOMS = ROOT / "docs" / "rooms.rst"
PAGES = [README, ROOT / "CHANGELOG.rst", *DOCS]


# Reading reStructuredText, as far as these pages go


def code_blocks(page: Path, language: str) -> list[str]:
    """The code of every block in `language`, without its indentation."""
    found = []
    for block in page.read_text().split(f".. code-block:: {language}\n")[1:]:
        lines = []
        for line in block.splitlines():
            if line and not line.startswith(" "):
                break
            lines.append(line[4:])
        found.append("\n".join(lines).strip("\n") + "\n")
    return found


def tables(page: Path) -> list[list[list[str]]]:
    """Every list-table as rows of cells, the header first."""
    found = []
    for block in re.split(r"^\.\. list-table::.*\n", page.read_text(), flags=re.MULTILINE)[1:]:
        rows: list[list[str]] = []
        for line in block.splitlines():
            if line and not line.startswith(" "):
                break
            if line.startswith("   * - "):
                rows.append([line[7:].strip()])
            elif line.startswith(("   * -", "     -")):
                if line.startswith("   *"):
                    rows.append([])
                rows[-1].append(line[7:].strip())
            elif rows and line.strip():
                rows[-1][-1] += " " + line.strip()
        found.append(rows)
    return found


def table(page: Path, *header: str) -> list[list[str]]:
    """The rows below the header that begins with these cells."""
    matching = [rows[1:] for rows in tables(page) if tuple(rows[0][: len(header)]) == header]
    assert len(matching) == 1, (page, header)
    return matching[0]


def literals(cell: str) -> list[str]:
    """What stands between double backquotes."""
    return re.findall(r"``(.+?)``", cell)


# Tables against the code


def documented_options(page: Path) -> Iterator[tuple[str, list[str], str]]:
    for header, *rows in tables(page):
        if header[:3] == ["option", "environment", "default"]:
            yield from (
                (option.strip("`"), literals(names), default.strip("`")) for option, names, default, _ in rows
            )


OPTIONS = [
    (f"--{setting.option}", list(setting.env_names), setting.default_text or "none") for setting in SETTINGS
]


def test_every_option_is_on_the_page_of_options_once() -> None:
    assert sorted(documented_options(ROOT / "docs" / "options.rst")) == sorted(OPTIONS)


def test_the_options_in_the_readme_are_as_on_that_page() -> None:
    shown = list(documented_options(README))
    assert len(shown) > 5
    assert [option for option in shown if option not in OPTIONS] == []


def test_every_route_is_in_the_readme() -> None:
    documented = {row[0].strip("`") for row in table(README, "route")}
    routes = set()
    for rule in Rest._app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            routes.add(f"{method} {re.sub(r'<[a-z]+:', '<', rule.rule)}")
    assert documented == routes


def client_events() -> set[str]:
    verifier = TokenVerifier(SharedSecrets("x" * 32), now=time.time)
    gateway = Gateway(Server(_Never()), verifier=verifier, owners=OrderBook(), now=time.time)  # type: ignore[arg-type]
    return set(gateway.requests.names)


class _Never:
    """A clock for servers that nobody connects to."""

    def seconds(self) -> float:
        return 0.0


def test_every_request_of_clients_is_in_the_readme() -> None:
    documented = {name for row in table(README, "event", "argument") for name in literals(row[0])}
    assert documented == client_events()


def test_the_life_of_a_session_is_as_the_protocol_page_shows_it() -> None:
    page = ROOT / "docs" / "protocol.rst"
    header = next(rows[0] for rows in tables(page) if rows[0][0] == "state")
    assert header[1:] == [event.name for event in Event]
    shown = table(page, "state")
    assert [row[0] for row in shown] == [state.name for state in State]
    for state, row in zip(State, shown, strict=True):
        expected = [step(state, event) for event in Event]
        assert row[1:] == ["" if after is None else after.name for after in expected]


def test_the_packets_are_treated_as_the_protocol_page_shows_it() -> None:
    shown = table(ROOT / "docs" / "protocol.rst", "packet", "by polling", "by WebSocket")
    assert shown == [[kind.name, ON_POLLING[kind].name, ON_WEBSOCKET[kind].name] for kind in ON_POLLING]


def test_the_limits_are_as_the_security_page_shows_them() -> None:
    options = {f"--{setting.option}": setting for setting in SETTINGS}
    for name, default, _, option in table(ROOT / "docs" / "security.rst", "limit", "default"):
        module, _, attribute = name.strip("`").partition(".options.Options.")
        if attribute:
            value = getattr(Options(), attribute)
        else:
            module, _, attribute = module.rpartition(".")
            value = getattr(import_module(f"rtwist.{module}"), attribute)
        assert f"{value:.0f}" == default, name
        if option:
            assert options[option.strip("`")].default == value, option


def test_every_limit_that_is_an_option_is_on_the_security_page() -> None:
    page = (ROOT / "docs" / "security.rst").read_text()
    limits = [one.option for one in SETTINGS if one.name.startswith("max-") or one.name.endswith("-timeout")]
    assert len(limits) > 30
    assert [name for name in limits if f"``--{name}``" not in page and name != "ping-timeout"] == []


def test_the_attacks_of_the_security_page_are_carried_out() -> None:
    rows = table(ROOT / "docs" / "security.rst", "attack", "what happens", "tests")
    assert len(rows) > 30
    for attack, outcome, tests in rows:
        assert all((attack, outcome, literals(tests))), attack
        for name in literals(tests):
            assert name.startswith("tests/"), (attack, name)
            assert "def test_" in (ROOT / name).read_text(), (attack, name)


def test_who_may_be_in_which_room_is_as_the_rooms_page_shows_it() -> None:
    shown = [tuple(word.strip("`") for word in row) for row in table(ROOMS, "kind of room")]
    assert shown == [(kind.name.lower(), *(who.name.lower() for who in row)) for kind, row in TABLE.items()]
    assert {row[0].strip("`") for row in table(ROOMS, "word")} == {who.name.lower() for who in Who}


def test_the_claims_of_the_rooms_page_are_taken_and_mean_what_it_says() -> None:
    (claims,) = map(json.loads, code_blocks(ROOMS, "json"))
    identity = identity_from_claims(claims, expires_at=0.0)
    answers = {order: Policy().entry(identity, subject(Kind.ORDER, order)) for order in ("7", "77")}
    assert answers == {"7": Entry.GRANTED, "77": Entry.REFUSED}
    guest = identity_from_claims({"sub": "u", "rooms": ["!*", "order:7"]}, expires_at=0.0)
    asked = [subject(kind, "7") for kind in ASKABLE.values()]
    assert [Policy().entry(guest, room).name for room in asked] == ["REFUSED", "GRANTED", "REFUSED", "REFUSED"]


def test_the_names_in_the_library_table_exist() -> None:
    rows = table(ROOT / "docs" / "library.rst", "Node", "Python")
    names = {name for row in rows for name in re.findall(r"(?<![/\w])(?:io|socket)\.[a-z_]+", row[1])}
    assert len(names) > 25
    io = Server(_Never())
    for name in names:
        owner, _, attribute = name.partition(".")
        assert hasattr(io if owner == "io" else Socket, attribute), name
    for row in rows:
        for option in re.findall(r"([a-z_]+)=|``(allow_request|max_payload)``", row[1]):
            assert any(hasattr(Options(), name) for name in option) or option[0] in ("ack", "close"), row


DOMAIN, RULES = ROOT / "docs" / "domain.rst", ROOT / "docs" / "rules.rst"
AUDIENCES = {
    "company, super admins": {"company:c1", "super_admin"},
    "company, super admins, shop": {"company:c1", "super_admin", "shop:s1"},
    "shop": {"shop:s1"},
    "both shops, followers of the transfer": {
        *("shop:s1", "shop:s2", "transfer:t1|company:c1", "transfer:t1|shop:s1", "transfer:t1|shop:s2"),
        "transfer:t1|super_admin",
    },
    "customer": {"user:u1"},
    "user": {"user:u1"},
    "role": {"role:r1"},
    "subscribers of the product": {"product:p1"},
    "followers of the order": {
        "order:7|user:u1",
        "order:7|company:c1",
        "order:7|shop:s1",
        "order:7|super_admin",
    },
    "everyone": set(),
}
NAMED = {"userId": "u1", "customerId": "u1", "userIds": ["u1"], "companyId": "c1", "shopId": "s1"}
NAMED |= {"role": "r1", "roles": ["r1"]}
IDS = {
    "orderId": "7",
    "paymentId": "p1",
    "productId": "p1",
    "transferId": "t1",
    "fromShopId": "s1",
    "toShopId": "s2",
}


def emissions_of(kind: str, data: dict[str, Any]) -> list[Emission]:
    answers = Router(BUILT_IN, OrderBook()).route(read_event({"type": kind, "data": data}, now=0.0))
    return [answer for answer in answers if isinstance(answer, Emission)]


def test_the_emissions_are_as_the_pages_show_them() -> None:
    shown: dict[str, list[tuple[str, set[str]]]] = {}
    kind = ""
    for page in (DOMAIN, RULES):
        for event, emission, audience in table(page, "event", "emission", "to"):
            kind = event.strip("`") or kind
            shown.setdefault(kind, []).append((emission.strip("`"), AUDIENCES[audience]))
    documented = {kind.partition(".")[0] for kind in shown}
    assert documented == {pattern.partition(".")[0] for pattern in BUILT_IN}
    for kind, rows in shown.items():
        emissions = emissions_of(kind, {**NAMED, **IDS})
        assert [(one.event, set(one.rooms)) for one in emissions] == rows


def test_a_notification_goes_to_whom_the_rules_page_says() -> None:
    rows = table(RULES, "notification with")
    documented = {literals(row[0])[0] for row in rows[:-1]}
    assert documented == {field.encode_name for field in msgspec.structs.fields(Addressees)}
    for number, (name, emission, audience) in enumerate(rows):
        later = [literals(row[0])[0] for row in rows[number:-1]]
        (told,) = emissions_of("notification.created", {one: NAMED[one] for one in later})
        assert (told.event, set(told.rooms)) == (emission.strip("`"), AUDIENCES[audience]), name


def test_everybody_else_gets_the_fields_of_the_rules_page() -> None:
    kinds = {"inventory:stock_changed": "inventory.updated", "inventory:alert": "inventory.out_of_stock"}
    kinds |= {"notification:broadcast": "notification.created", "announcement:new": "announcement.published"}
    texts = ("productName", "subject", "content", "name", "email", "status", "currency")
    everything = {**dict.fromkeys(texts, "x"), "quantity": 0, "price": 1, "metadata": {}, "secret": 1, **IDS}
    addressed = {"notification:broadcast": {}, "notification:new": {"userId": "u1"}}
    for name, fields in table(RULES, "emission to all who listen"):
        emission = name.strip("`")
        data = {**everything, **addressed.get(emission, {**NAMED, "shopIds": ["s1"]})}
        found = emissions_of(kinds.get(emission, emission.replace(":", ".")), data)
        told = next(one.data for one in found if one.event == emission)
        assert set(told) == set(literals(fields)), emission


def test_the_properties_that_tell_the_domain_are_on_the_rules_page() -> None:
    shown = [
        (tuple(literals(names)), domain.strip("`")) for names, domain in table(RULES, "properties", "domain")
    ]
    assert shown == list(DETECTED)


def test_the_route_of_the_rules_page_is_one() -> None:
    for text in code_blocks(RULES, "toml"):
        assert read_routes(text, "the page")


def test_the_customer_gets_the_fields_of_the_domain_page() -> None:
    everything = {
        "orderId": "7",
        "orderNumber": "N",
        "userId": "u1",
        "paymentId": "p",
        "amount": 1,
        "currency": "EUR",
    }
    for name, fields in table(ROOT / "docs" / "domain.rst", "emission", "fields"):
        kind = "order.shipped" if "order" in name else "payment.failed"
        emissions = emissions_of(kind, {**everything, "secret": 1})
        told = next(one.data for one in emissions if one.event == name.strip("`"))
        assert set(told) == set(literals(fields))


def test_files_and_modules_named_in_the_pages_exist() -> None:
    for page in PAGES:
        text = page.read_text()
        targets = re.findall(r"<([^<>:]+\.(?:rst|svg))>`_", text) + re.findall(r"\.\. image:: (\S+)", text)
        assert [one for one in targets if not (page.parent / one).is_file()] == []
        for name in re.findall(r"``((?:rtwist|examples|tests|docs)/[\w/.]+)``", text):
            assert (ROOT / name).exists(), (page, name)
    floors = ROOT / "docs" / "architecture.rst"
    for name in re.findall(r"``([a-z]+/[a-z_]+\.py)``", floors.read_text()):
        assert (ROOT / "rtwist" / name).is_file() or (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_are_plain(page: Path) -> None:
    text = page.read_text()
    assert max(len(line) for line in text.splitlines()) <= 118
    assert "\t" not in text
    for title, line in re.findall(r"^(\S.*)\n([=~-]{3,})$", text, re.MULTILINE):
        assert len(line) == len(title), title


# Event names in snippets

CLIENTS_OWN = {"connect", "connect_error", "disconnect"}


@cache
def words_of_the_code() -> frozenset[str]:
    """Every string constant of the package."""
    words = set()
    for file in (ROOT / "rtwist").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
    return frozenset(words)


def test_the_events_of_the_snippets_exist() -> None:
    snippets = code_blocks(README, "js") + code_blocks(README, "ts")
    heard = {name for code in snippets for name in re.findall(r"\.on\('([^']+)'", code)}
    asked = {name for code in snippets for name in re.findall(r"\.emit\('([^']+)'", code)}
    assert {"connected", "order:update"} <= heard
    assert heard - CLIENTS_OWN <= words_of_the_code()
    assert asked <= client_events()


# Snippets, run


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service("--cors-origins", "*") as running:
        yield running


@pytest.fixture
def token() -> str:
    return mint(JWT_SECRET, user="u1", company="c1", shops=["s1"], now=time.time())


def node(code: str, *arguments: str) -> Program:
    """A module run by node where the tests' packages are found."""
    argv = [require_node_modules(), "--input-type=module", "-e", code, *arguments]
    return Program(argv, cwd=CLIENTS)


def snippet(language: str, marker: str) -> str:
    """The one block of the README that holds `marker`."""
    (found,) = [code for code in code_blocks(README, language) if marker in code]
    return found


def test_the_first_snippet_shows_an_order(service: Service, token: str) -> None:
    code = snippet("js", "YOUR-TOKEN")
    assert "http://localhost:8009" in code
    code = code.replace("http://localhost:8009", service.url).replace("YOUR-TOKEN", token)
    with node(code) as page:
        page.wait_for_output("connected as u1 in [ 'user:u1', 'company:c1', 'shop:s1' ]")
        page.wait_for_output("order 7: { success: true")
        service.publish({"type": "order.shipped", "data": {"orderId": "7", "orderNumber": "N7", "userId": "u1"}})
        page.wait_for_output("Your order #N7 is now shipped")
        page.wait_for_output("order 7 is shipped")


def test_the_first_snippet_shows_why_it_is_refused(service: Service) -> None:
    code = snippet("js", "YOUR-TOKEN").replace("http://localhost:8009", service.url)
    with node(code) as page:
        page.wait_for_output("not connected: Invalid or expired token")


REACT = """
import { JSDOM } from 'jsdom';
const { window } = new JSDOM('<p id="root"></p>');
for (const [name, value] of Object.entries({ window, document: window.document, navigator: window.navigator })) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
const { createElement } = await import('react');
const { createRoot } = await import('react-dom/client');
function Page({ id }) {
  const { order, state } = useOrder(url, token, id);
  console.log('order', id, state, order?.orderId ?? 'none', order?.status ?? 'unknown');
  if (order?.orderId === String(id)) setTimeout(next);
  return createElement('b', null, state);
}
const [url, token, ...ids] = process.argv.slice(1).map((text) => Number(text) || text);
const root = createRoot(window.document.getElementById('root'));
function next() {
  if (ids.length) root.render(createElement(Page, { id: ids.shift() }));
  else { root.unmount(); window.close(); }
}
next();
"""
VUE = """
import { createRenderer, watchEffect } from 'vue';
const nothing = () => ({});
const [url, token, ...ids] = process.argv.slice(1).map((text) => Number(text) || text);
const id = ref(ids.shift());
const next = () => { if (ids.length) id.value = ids.shift(); else app.unmount(); };
const app = createRenderer({ createComment: nothing, insert() {}, remove() {}, parentNode: nothing }).createApp({
  setup() {
    const { order, state } = useOrder(url, token, id);
    watchEffect(() => {
      const found = order.value;
      console.log('order', id.value, state.value, found?.orderId ?? 'none', found?.status ?? 'unknown');
      if (found?.orderId === String(id.value)) setTimeout(next);
    });
    return () => null;
  },
});
app.mount({});
"""
ANGULAR = """
import { Injector } from '@angular/core';
const injector = Injector.create({ providers: [{ provide: OrderFeed, useFactory: () => new OrderFeed() }] });
const feed = injector.get(OrderFeed);
const [url, token, ...ids] = process.argv.slice(1).map((text) => Number(text) || text);
let id, last;
function next() {
  id = ids.shift();
  if (id !== undefined) return feed.follow(url, token, id);
  clearInterval(timer);
  injector.destroy();
}
const timer = setInterval(() => {
  const found = feed.order();
  const now = `order ${id} ${feed.state()} ${found?.orderId ?? 'none'} ${found?.status ?? 'unknown'}`;
  if (now !== last) console.log(last = now);
  if (found?.orderId === String(id)) next();
}, 10);
next();
"""


def compiled(code: str) -> str:
    """TypeScript as JavaScript, without the decorator, which needs Angular's own compiler."""
    compiler = (
        "const ts = require('typescript'); let code = '';"
        "process.stdin.on('data', (part) => code += part).on('end', () => {"
        "const out = ts.transpileModule(code, { reportDiagnostics: true, compilerOptions:"
        "{ target: 'ES2022', module: 'ESNext', experimentalDecorators: true, useDefineForClassFields: false } });"
        "if (out.diagnostics.length) throw new Error(out.diagnostics[0].messageText);"
        "process.stdout.write(out.outputText); });"
    )
    done = subprocess.run(
        [require_node_modules(), "-e", compiler],
        cwd=CLIENTS, input=code.replace("@Injectable()\n", ""), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("framework", ["react", "vue", "angular"])
def test_the_snippets_of_the_frameworks_follow_an_order(service: Service, token: str, framework: str) -> None:
    if framework == "angular":
        code = "import '@angular/compiler';\n" + compiled(snippet("ts", "@angular/core")) + ANGULAR
    else:
        code = snippet("js", f"from '{framework}'") + {"react": REACT, "vue": VUE}[framework]
    order = {"react": 1100, "vue": 1200, "angular": 1300}[framework]
    with node(code, service.url, token, f"order-of-{framework}", str(order), str(order + 1)) as page:
        for followed in (f"order-of-{framework}", order, order + 1):
            page.wait_for_output(f"order {followed} live none unknown")
            service.publish({"type": "order.shipped", "data": {"orderId": followed, "userId": "u1"}})
            page.wait_for_output(f"order {followed} live {followed} shipped")
        assert page.wait() == 0, "the connection outlives the component"
    service.publish({"type": "order.created", "data": {"orderId": order + 2, "userId": "u2"}})
    with node(code, service.url, token, str(order + 2)) as page:
        page.wait_for_output("this order is not yours to follow none unknown")
    with node(code, service.url, "nonsense", str(order)) as page:
        page.wait_for_output("Invalid or expired token none unknown")


def test_an_expired_token_is_replaced_and_a_wrong_one_leads_to_the_login(service: Service, token: str) -> None:
    old = mint(JWT_SECRET, user="u1", lifetime=-10, now=time.time())
    code = snippet("js", "showLogin") + (
        "const tokens = JSON.parse(process.argv[2]);\n"
        "const login = (why) => console.log('login:', why);\n"
        "const next = async () => { if (tokens[0]) return tokens.shift(); throw new Error('no token'); };\n"
        "const socket = connect(process.argv[1], next, login);\n"
        "socket.on('connected', ({ userId }) => console.log('in:', userId));\n"
    )
    for tokens, expected in (
        ([old, token], "in: u1"),
        ([old, old, old, token], "login: Invalid or expired token"),
        (["nonsense", token], "login: Invalid or expired token"),
        ([], "login: Authentication required"),
    ):
        with node(code, service.url, json.dumps(tokens)) as page:
            page.wait_for_output(expected)


def test_the_snippet_that_keeps_a_client_signed_in_does() -> None:
    code = snippet("js", "keepSignedIn") + (
        "import { io } from 'socket.io-client';\n"
        "const [url, first, second] = process.argv.slice(1);\n"
        "const [socket, witness] = [io(url, { auth: { token: first } }), io(url, { auth: { token: first } })];\n"
        "keepSignedIn(socket, async () => second);\n"
        "socket.on('disconnect', (reason) => console.log('signed out:', reason));\n"
        "witness.on('disconnect', () => socket.emit('leave_room', 'x', () => console.log('still in')));\n"
    )
    with Service("--expiry-warning", "2", "--expiry-grace", "0") as service:
        first, second = (mint(JWT_SECRET, user="u1", lifetime=life, now=time.time()) for life in (3, 600))
        with node(code, service.url, first, second) as page:
            page.wait_for_output("still in")
            assert not any("signed out" in line for line in page.output)


def curl(command: str, service: Service) -> dict[str, Any]:
    """What a curl command of the pages answers."""
    assert shutil.which("curl"), "curl is not on PATH: install it, then run `make test`"
    done = subprocess.run(
        ["bash", "-c", command.replace("http://localhost:8009", service.url)],
        env={**os.environ, "API_KEY": API_KEY}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_curl_commands_are_taken() -> None:
    commands = [code for code in code_blocks(README, "sh") if code.startswith("curl")]
    with Service() as service:
        answers = [curl(command, service) for command in commands]
        assert [answer["success"] for answer in answers] == [True] * 5
        first, bare, several, emit, revoke = (answer["data"] for answer in answers)
        assert first["accepted"] == bare["accepted"] == 1
        assert (several["accepted"], several["emissions"]) == (2, 5)
        assert (emit, revoke) == ({"receivers": 0}, {"disconnected": 0})
        assert curl(commands[0], service)["data"]["duplicates"] == 1
        status, answer = service.request("POST", "/events", {"type": "weather.changed", "data": {}})
        assert (status, answer["error"]["code"]) == (400, "bad_request")
        assert "unknown kind" in answer["error"]["message"]


def test_the_commands_for_a_token_make_one() -> None:
    (commands,) = [code for code in code_blocks(README, "sh") if "rtwist token" in code]
    commands = commands.replace("python3", sys.executable)
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done.stdout), done.stderr


def library_program(port: int) -> str:
    """The server of the README on another port."""
    (code,) = [block for block in code_blocks(README, "python") if "rtwist.socketio" in block]
    assert "(3000, io.site())" in code
    return code.replace("(3000, io.site())", f"({port}, io.site(), interface='127.0.0.1')")


@pytest.mark.parametrize("program", ["README.rst", "chat", "echo", "engine_echo"])
def test_a_busy_port_ends_a_program_with_one_line(program: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [f"examples/{program}.py", "--port", str(port)]
        if program == "README.rst":
            argv = ["-c", library_program(port)]
        started = Program([sys.executable, *argv])
        assert started.wait() == 1
    (line,) = started.output
    assert line.startswith(f"Couldn't listen on 127.0.0.1:{port}: ")


def test_the_python_of_a_login_service_makes_a_token_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", JWT_SECRET)
    (code,) = [block for block in code_blocks(README, "python") if "import jwt" in block]
    made: dict[str, Any] = {}
    exec(code, made)  # noqa: S102 - it is our own
    verified = TokenVerifier(SharedSecrets(JWT_SECRET), now=time.time).verify(made["token"])
    identity = Deferred.fromCoroutine(verified).result
    assert identity.rooms == ("user:u1", "company:c1", "shop:s1", "role:manager")
    assert 3500 < identity.expires_at - time.time() <= 3600


def test_the_library_snippet_of_the_readme_is_a_server() -> None:
    port = free_port()
    with Program([sys.executable, "-c", library_program(port)]) as server:
        server.wait_for_port(port)
        client = (
            "import { io } from 'socket.io-client';\n"
            f"const socket = io('http://127.0.0.1:{port}');\n"
            "socket.on('chat', (text) => console.log('heard', text)).emit('chat', 'hello');\n"
        )
        with node(client) as page:
            page.wait_for_output("heard hello")


LIBRARY_CLIENT = """
import { io } from 'socket.io-client';
import assert from 'node:assert/strict';
const url = process.argv[1];
const open = (path = '', auth = {}) => io(url + path, { auth, forceNew: true });
const next = (socket, event) => new Promise((done) => socket.once(event, (...args) => done(args)));
const one = open(), two = open();
await Promise.all([next(one, 'connect'), next(two, 'connect')]);

const heard = next(two, 'chat');
one.emit('chat', 'hello');
assert.deepEqual(await heard, ['hello']);

const order = [];
await Promise.all([
  one.emitWithAck('add slowly', 1, 1).then((sum) => order.push(sum)),
  one.emitWithAck('add', 20, 1).then((sum) => order.push(sum)),
]);
assert.deepEqual(order, [2, 21]);
const photo = await one.emitWithAck('photo', new Uint8Array([7, 8, 9]));
assert.equal(photo.size, 3);
assert.deepEqual([...photo.first], [7, 8]);

const silent = next(one, 'your answer');
one.emit('ask me');
assert.deepEqual(await silent, ['none']);
one.on('question', (text, ack) => ack('blue'));
const answered = next(one, 'your answer');
one.emit('ask me');
assert.deepEqual(await answered, ['blue']);

const [refusal] = await next(open('/members'), 'connect_error');
assert.deepEqual([refusal.message, refusal.data], ['Who are you?', { code: 'no_name' }]);
const ada = open('/members', { name: 'Ada' });
assert.deepEqual(await next(ada, 'hello'), ['Ada']);
const said = next(ada, 'said');
ada.emit('say', 'HELLO');
assert.deepEqual(await next(ada, 'warning'), ['do not shout']);
ada.emit('say', 'hello');
assert.deepEqual(await said, ['Ada', 'hello']);
assert.equal((await next(open('/nowhere'), 'connect_error'))[0].message, 'Invalid namespace');

assert.equal(await one.emitWithAck('enter', 'lobby'), 1);
const came = next(one, 'somebody came');
assert.equal(await two.emitWithAck('enter', 'lobby'), 2);
assert.deepEqual(await came, [two.id]);
for (const socket of [one, two]) socket.on('are you there', (ack) => ack());
assert.equal(await one.emitWithAck('count', 'lobby'), 2);
assert.equal(await one.emitWithAck('enter', 'quiet'), 1);
const told = [];
one.on('told', (text) => told.push(`one ${text}`));
two.on('told', (text) => told.push(`two ${text}`));
two.emit('tell most', 'lobby', 'a');
two.emit('tell', 'lobby', 'b');
while (told.length < 3) await next(two, 'told').then(() => new Promise((done) => setTimeout(done, 50)));
assert.deepEqual(told.sort(), ['one b', 'two a', 'two b']);
const position = next(two, 'position');
one.emit('position', 3, 4);
assert.deepEqual(await position, [3, 4]);
const price = next(two, 'price');
one.emit('price', 'tea', 5);
assert.deepEqual(await price, ['tea', 5]);

const online = await fetch(url + '/online');
assert.equal(await online.text(), '2');
const id = one.id;
one.disconnect();
console.log('left', id);
await new Promise((done) => setTimeout(done, 300));
console.log('all is as shown');
process.exit();
"""


def test_the_program_of_the_library_page_works() -> None:
    port = free_port()
    code = "\n".join(code_blocks(ROOT / "docs" / "library.rst", "python"))
    assert '"tcp:3000:' in code
    with Program([sys.executable, "-c", code.replace('"tcp:3000:', f'"tcp:{port}:')]) as server:
        server.wait_for_port(port)
        with node(LIBRARY_CLIENT, f"http://127.0.0.1:{port}") as client:
            gone = client.wait_for_output("left ").removeprefix("left ")
            client.wait_for_output("all is as shown")
        server.wait_for_output(f"{gone} has left: client namespace disconnect")
        assert not any("Traceback" in line for line in server.output), server.output


@pytest.mark.parametrize("code", code_blocks(DOMAIN, "python") + code_blocks(RULES, "python"))
def test_the_python_of_the_pages_about_rules_runs(code: str) -> None:
    exec(code, {})  # noqa: S102 - it is our own


# The chat

CHAT_CLIENT = """
import { io } from 'socket.io-client';
import assert from 'node:assert/strict';
const url = process.argv[1];
const open = (name) => io(url, { auth: { name }, forceNew: true });
const next = (socket, event) => new Promise((done) => socket.once(event, (...args) => done(args)));
assert.equal((await next(open('  '), 'connect_error'))[0].data.code, 'bad_name');
const ada = open('Ada'), other = open('Ada');
await Promise.all([next(ada, 'connect'), next(other, 'connect')]);
assert.ok((await ada.emitWithAck('say', 'too early')).error);
assert.ok((await ada.emitWithAck('enter', 'x'.repeat(31))).error);
const { room } = await ada.emitWithAck('enter', ' lobby ');
assert.equal(room, 'lobby');
const people = next(ada, 'people').then(() => next(ada, 'people'));
const names = [(await ada.emitWithAck('enter', 'lobby')).name, (await other.emitWithAck('enter', 'lobby')).name];
assert.deepEqual(names.sort(), ['Ada', 'Ada 2']);
const typing = next(ada, 'typing');
other.emit('typing', true);
assert.equal((await typing)[0].on, true);
const said = next(ada, 'said');
assert.deepEqual(await other.emitWithAck('say', ' hello '), {});
assert.equal((await said)[0].text, 'hello');
assert.ok((await other.emitWithAck('say', ' ')).error);
const left = next(ada, 'news');
const alone = next(ada, 'people');
other.disconnect();
assert.match((await left)[0], / has left$/);
assert.equal((await alone)[0].length, 1);
const page = await (await fetch(url + '/')).text();
assert.match(page, /<title>Chat<\\/title>/);
const script = await fetch(url + '/socket.io/socket.io.js');
assert.equal(script.status, 200);
console.log('all is as it should be');
process.exit();
"""


def test_the_chat_works() -> None:
    require_node_modules()
    port = free_port()
    with Program([sys.executable, "examples/chat.py", "--port", str(port)]) as chat:
        chat.wait_for_output(f"chat at http://127.0.0.1:{port}/")
        with node(CHAT_CLIENT, f"http://127.0.0.1:{port}") as client:
            client.wait_for_output("all is as it should be")
        assert not any("Traceback" in line for line in chat.output), chat.output


CHAT_IN_THE_BROWSER = """
const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');
const [executablePath, url] = process.argv.slice(1);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
(async () => {
  const browser = await chromium.launch({ executablePath, args });
  const enter = async (name) => {
    const page = await browser.newPage();
    page.on('pageerror', (error) => { console.log(error); process.exit(1); });
    await page.goto(url);
    await page.fill('#name', name);
    await page.click('#door button');
    await page.waitForSelector('#people li');
    return page;
  };
  const shows = (page, id, text) => page.waitForFunction(
    ([where, part]) => document.getElementById(where).innerText.includes(part), [id, text]);
  const ada = await enter('Ada'), grace = await enter('Grace');
  await Promise.all([shows(ada, 'people', 'Ada (you)'), shows(ada, 'people', 'Grace')]);
  await grace.locator('#text').pressSequentially('<b>Hello</b>');
  await shows(ada, 'hint', 'Grace is typing');
  await grace.press('#text', 'Enter');
  await shows(ada, 'messages', '<b>Hello</b>');
  assert.equal(await ada.innerText('#hint'), '');
  await grace.click('#leave');
  await shows(ada, 'messages', 'Grace has left');
  await grace.fill('#room', 'elsewhere');
  await grace.click('#door button');
  await shows(grace, 'title', 'elsewhere');
  await browser.close();
  console.log('all is as it should be');
})().catch((error) => { console.log(error); process.exit(1); });
"""


def test_the_page_of_the_chat_works() -> None:
    port = free_port()
    with Program([sys.executable, "examples/chat.py", "--port", str(port)]) as chat:
        chat.wait_for_output("chat at")
        output, status = run_node(["-e", CHAT_IN_THE_BROWSER, require_chromium(), f"http://127.0.0.1:{port}/"])
    assert (status, output.strip()) == (0, "all is as it should be"), output


def test_the_chat_says_what_to_do_without_the_javascript_client(tmp_path: Path) -> None:
    with Program([sys.executable, "examples/chat.py", "--client-dist", str(tmp_path)]) as chat:
        assert "npm install socket.io-client" in chat.wait_for_output("the page needs the JavaScript client")
        assert chat.wait() == 2
