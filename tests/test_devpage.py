"""The development page: what it shows, to whom, and under which policy."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.web.test.requesthelper import DummyRequest

from rtwist.devpage import dev_page, is_loopback, script_safe_json
from tests.support.clients import require_chromium, run_node
from tests.support.service import Service

TOKEN, KEY = "header.payload.signature", "key</script><script>alert(1)</script>\u2028&"
LOOPBACK = IPv4Address("TCP", "127.0.0.1", 50000)


def request(
    host: str | None = "localhost:8009",
    *,
    client: object = LOOPBACK,
    method: bytes = b"GET",
    origin: str | None = None,
    **headers: str,
) -> DummyRequest:
    asked = DummyRequest([b""])
    asked.client = client
    asked.method = method
    if host is not None:
        asked.requestHeaders.setRawHeaders("host", [host])
    if origin is not None:
        asked.requestHeaders.setRawHeaders("origin", [origin])
    for name, value in headers.items():
        asked.requestHeaders.setRawHeaders(name.replace("_", "-"), [value])
    dev_page(TOKEN, KEY, path="/live/").render(asked)
    return asked


def body(asked: DummyRequest) -> str:
    return b"".join(asked.written).decode()


def header(asked: DummyRequest, name: str) -> str | None:
    values = asked.responseHeaders.getRawHeaders(name)
    return None if values is None else ", ".join(values)


def test_the_settings_reach_the_page_unchanged() -> None:
    page = body(request())
    settings = re.search(r'<script type="application/json" id="settings">(.*)</script>', page)
    assert settings is not None
    assert json.loads(settings[1]) == {"token": TOKEN, "apiKey": KEY, "path": "/live/"}


def test_no_setting_can_end_the_script_element() -> None:
    assert body(request()).count("</script>") == 2
    assert re.fullmatch(r"[^<>&\u2028\u2029]*", script_safe_json(["<>&\u2028\u2029", KEY]))


def test_nothing_of_the_template_is_left_open() -> None:
    assert "@" not in re.sub(r"@media", "", body(request()))


def test_only_scripts_and_styles_with_the_nonce_run_and_each_answer_has_its_own() -> None:
    nonces = set()
    for _ in range(2):
        asked = request()
        policy = header(asked, "content-security-policy") or ""
        nonce = re.search(r"script-src 'nonce-([\w-]+)'; style-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert nonce[1] == nonce[2]
        assert body(asked).count(f'nonce="{nonce[1]}"') == 2
        assert not re.search(r"<[^>]* on\w+=|<[^>]* style=", body(asked))
        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        nonces.add(nonce[1])
    assert len(nonces) == 2


def test_the_page_is_not_kept_and_not_shared() -> None:
    asked = request()
    assert header(asked, "cache-control") == "no-store"
    assert header(asked, "cross-origin-resource-policy") == "same-origin"
    assert header(asked, "x-content-type-options") == "nosniff"
    assert header(asked, "access-control-allow-origin") is None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8009", "LocalHost:1", "127.0.0.1:8009", "[::1]:8009", "[::1]"]
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    asked = request(host)
    assert asked.responseCode == 200
    assert f"connect-src 'self' ws://{host} wss://{host};" in (header(asked, "content-security-policy") or "")


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "localhost.evil.example", "evil.example:8009", "127.0.0.1.nip.io", "localhost:",
     "localhost:8009 evil", "localhost; script-src *", "localhost:\u0668", "[::2]"],
)  # fmt: skip
def test_other_names_are_refused_without_the_secrets(host: str | None) -> None:
    refused(request(host))


@pytest.mark.parametrize(
    "client",
    [IPv4Address("TCP", "192.0.2.1", 1), IPv6Address("TCP", "2001:db8::1", 1), UNIXAddress(b"/tmp/x"), None],
)
def test_other_machines_are_refused(client: object) -> None:
    refused(request(client=client))


@pytest.mark.parametrize("client", [IPv4Address("TCP", "127.8.0.1", 1), IPv6Address("TCP", "::1", 1)])
def test_this_machine_is_answered(client: object) -> None:
    assert request(client=client).responseCode == 200


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:192.0.2.1", False),
     ("localhost", False), ("", False), (None, False)],
)  # fmt: skip
def test_loopback_addresses(address: str | None, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_pages_of_other_sites_are_refused() -> None:
    refused(request(origin="https://evil.example"))
    refused(request(origin="null"))
    refused(request(origin="http://localhost:3000"))
    assert request(origin="http://localhost:8009").responseCode == 200


def test_who_comes_by_a_proxy_is_refused() -> None:
    refused(request(x_forwarded_for="192.0.2.1"))
    refused(request(forwarded="for=192.0.2.1"))


def test_only_reading_is_possible() -> None:
    asked = request(method=b"POST")
    assert asked.responseCode == 405
    assert TOKEN not in body(asked)
    head = request(method=b"HEAD")
    assert head.responseCode == 200
    assert body(head) == ""


def refused(asked: DummyRequest) -> None:
    assert asked.responseCode == 403
    assert TOKEN not in body(asked)
    assert header(asked, "access-control-allow-origin") is None


IN_THE_BROWSER = """
const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');
const [executablePath, url] = process.argv.slice(1);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
(async () => {
  const browser = await chromium.launch({ executablePath, args });
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (line) => problems.push(line.text()));
  await page.goto(url.replace('127.0.0.1', 'localhost'));
  await page.waitForSelector('#state.connected');
  await page.waitForSelector('#events li');
  assert.match(await page.textContent('#rooms'), /user:u1, company:c1, shop:s1/);

  const said = (form, text) => page.waitForFunction(
    ([id, part]) => document.querySelector(`#${id} output`).textContent.includes(part), [form, text]);
  await page.click('#subscribe button');
  await said('subscribe', 'order:7, pending');
  await page.click('#publish button');
  await said('publish', '4 emissions, 4 receivers');
  await page.selectOption('#publish select', 'order.shipped');
  await page.click('#publish button');
  await said('publish', '2 emissions, 2 receivers');
  await page.click('#subscribe button[value]');
  await said('subscribe', 'unsubscribe_order: order:7');
  await page.fill('#publish input', 'a|b');
  await page.click('#publish button');
  await said('publish', 'orderId must not contain');
  const events = await page.$$eval('#events b', (cells) => cells.map((cell) => cell.textContent));
  assert.deepEqual(events, ['order:update', 'order:status_updated', 'order:update', 'order:status_updated',
    'order:shop_order', 'order:new_order', 'connected']);

  const rows = await page.$$eval('#events code', (cells) => cells.map((cell) => ({ text: cell.textContent,
    lines: [...cell.children].map((one) => one.offsetHeight / parseFloat(getComputedStyle(one).lineHeight)) })));
  for (const { text } of rows) assert.match(JSON.parse(text).timestamp, /Z$/);
  for (const { lines } of rows) assert.ok(lines.length > 2 && Math.max(...lines) < 1.5, lines.join());

  const colour = () => page.$eval('#state', (state) => getComputedStyle(state).color);
  const quiet = await page.$eval('.quiet', (one) => getComputedStyle(one).color);
  assert.notEqual(await colour(), quiet);
  await page.evaluate(() => show('connecting'));
  assert.equal(await colour(), quiet);
  await page.evaluate(() => show('not connected', 'failed'));
  assert.notEqual(await colour(), quiet);

  assert.equal(problems.length, 1, problems.join());
  assert.match(problems[0], /400/);
  await page.evaluate(() => { document.body.innerHTML += '<img src=x onerror="window.hit=1">'; });
  while (problems.length < 2) await page.waitForTimeout(20);
  assert.match(problems[1], /Content Security Policy/);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  await browser.close();
  console.log('all is as it should be');
})().catch((error) => { console.log(error); process.exit(1); });
"""


def test_the_page_in_a_browser() -> None:
    with Service("--dev") as service:
        output, status = run_node(["-e", IN_THE_BROWSER, require_chromium(), service.url])
    assert (status, output.strip()) == (0, "all is as it should be"), output


def test_the_service_shows_the_page_to_nobody_else() -> None:
    with Service("--dev") as service:
        for headers, expected in (
            ({}, 200),
            ({"Host": "evil.example"}, 403),
            ({"Origin": "https://evil.example"}, 403),
        ):
            with urlopen(service.url, headers) as answer:
                assert answer.status == expected
                assert answer.headers["Access-Control-Allow-Origin"] is None
                assert (b'"token":"ey' in answer.read()) is (expected == 200)
    with Service() as service, urlopen(service.url, {}) as answer:
        assert answer.status == 404


def urlopen(url: str, headers: Mapping[str, str]) -> Any:
    opener = urllib.request.build_opener(_Kept, urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(f"{url}/", headers=dict(headers)), timeout=10)  # noqa: S310 - ours


class _Kept(urllib.request.HTTPErrorProcessor):
    """Errors are answers, too."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response
