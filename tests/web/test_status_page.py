"""The status page in a real browser: what a reader sees, what can be ordered, and that it is fit to be read by all."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from selenium.webdriver.common.keys import Keys

from ipvs_lb.cli.bridge import bridge
from ipvs_lb.errors import KernelError
from ipvs_lb.events import Level
from ipvs_lb.model.config import Config
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.overrides import Action
from ipvs_lb.policy import Member
from tests.daemon_world import REFUSED
from tests.fake_control import CONFIG, HTTP, FakeControl, many, server, service
from tests.running_daemon import TOKEN, VIEWER, Gateway
from tests.web.browser import Browser
from tests.web.conftest import Serve

pytestmark = pytest.mark.real_time

ROW = ".row.server:has(.name[title*='%s'])"
EVIL = '<img src=x onerror="document.title=1">'


def row(name: str) -> str:
    return ROW % f" {name} "


def test_health_changes_and_drains_show_as_they_happen(page: Browser, gateway: Gateway) -> None:
    page.open(gateway.url, token=TOKEN)
    page.sees("up", row("s8"))
    page.run("document.querySelector(arguments[0]).wasHere = true", row("s8"))
    gateway.do(lambda world: world.answer(8, REFUSED))
    page.sees("down", row("s8"))
    page.sees("nothing listens there", row("s8"))
    page.sees("2 of 3 up", ".row.service")
    page.sees("server.down", "#events")
    page.wait(lambda: page.driver.title.startswith("1 down"))
    assert page.run("return document.querySelector(arguments[0]).wasHere", row("s8")) is True

    page.find(f"{row('s4')} .orders button").click()
    page.sees("Drain s4?", "#order")
    page.find("#order-no").click()
    page.find(f"{row('s4')} .orders button").click()
    page.find("#order-reason").send_keys("a new disk")
    page.find("#order-yes").click()
    page.wait(lambda: gateway.world.weights() == {6: 1})
    page.sees("drained by 127.0.0.1: a new disk", row("s4"))
    orders = [e for e in gateway.do(lambda w: w.balancer.events(0)) if e.name == "override.set"]
    assert [(one.facts["action"], one.facts["reason"]) for one in orders] == [
        ("drain", "a new disk")
    ]

    page.wait(lambda: page.text(f"{row('s4')} .orders") == "Enable")
    page.find(f"{row('s4')} .orders button").click()
    page.find("#order-yes").click()
    page.wait(lambda: gateway.world.weights() == {4: 1, 6: 1})
    page.sees("up", row("s4"))


def test_who_may_only_look_has_no_buttons(page: Browser, gateway: Gateway) -> None:
    page.open(gateway.url, token=VIEWER)
    page.sees("live, read only", "#link")
    page.sees("s4", row("s4"))
    assert page.text(f"{row('s4')} .orders") == ""
    page.find(f"{row('s4')} .name").click()
    page.sees("Weight in the kernel", "#sheet")
    assert page.all("#sheet .orders button") == []
    asked = "return fetch('/v1/reload', {method: 'POST', headers: {Authorization: arguments[0]}}).then(r => r.status)"
    assert page.run(asked, f"Bearer {VIEWER}") == 403


def test_a_wrong_token_is_told_and_the_right_one_stays_in_this_tab(
    page: Browser, serve: Serve
) -> None:
    url, _ = serve(FakeControl().everything_up())
    page.open(url)
    page.sees("Who is there?")
    page.find("#token").send_keys("wrong")
    page.find("#enter button").click()
    page.sees("This token is not, or no longer, let in.")
    page.find("#token").send_keys(TOKEN)
    page.find("#enter button").click()
    page.sees("server-1")
    assert page.run("return [localStorage.length, document.cookie, location.href]") == [0, "", url]
    page.driver.refresh()
    page.sees("server-1")
    page.find("#leave").click()
    page.sees("Who is there?")
    assert page.run("return sessionStorage.length") == 0


def test_a_server_is_explained_and_given_another_weight(page: Browser, serve: Serve) -> None:
    control = FakeControl().everything_up().fail("10.0.0.6")
    url, running = serve(control)
    page.open(url, token=TOKEN)
    page.find(f"{row('server-2')} .name").click()
    page.sees("http check of 10.0.0.6:80", "#sheet")
    page.sees("500 Internal Server Error", "#sheet table")
    page.find("#sheet [data-action=weight]").click()
    page.find("#order-weight").send_keys(Keys.CONTROL, "a")
    page.find("#order-weight").send_keys("42")
    page.find("#order-for").send_keys("after 1 hour")
    page.find("#order-yes").click()
    page.wait(lambda: bool(control.overrides))
    ((member, override),) = running.do(lambda control: [*control.overrides.items()])
    assert isinstance(member, Member)
    assert (str(member.server), override.action, override.weight) == (
        "10.0.0.6:80",
        Action.WEIGHT,
        42,
    )
    assert override.expires == override.since + 3600
    page.sees("It ends", "#sheet")


def test_what_is_wrong_with_the_gateway_is_loud(page: Browser, serve: Serve) -> None:
    control = FakeControl().everything_up()
    url, running = serve(control)
    page.open(url, token=TOKEN)
    page.sees("Fine", "#overview")
    assert page.text("#alarms") == ""

    def break_it(control: FakeControl) -> None:
        control.broken["kernel"] = KernelError("no IPVS here")
        control.config_error = ("lb.yaml:8:9: unknown key",)
        control.tell("config.refused", Level.ERROR)

    running.do(break_it)
    page.sees("The kernel cannot be asked", "#alarms")
    page.sees("no IPVS here", "#alarms")
    page.sees("lb.yaml:8:9: unknown key", "#alarms")
    page.sees("Unavailable", "#kernel")
    assert page.find("#alarms").get_attribute("aria-live") == "polite"
    running.do(lambda control: control.broken.clear())
    page.wait(lambda: "cannot be asked" not in page.text("#alarms"))


def test_names_and_errors_are_text_whatever_they_say(page: Browser, serve: Serve) -> None:
    evil = replace(service(EVIL, "10.0.0.16", server(EVIL, "10.0.0.4", HTTP)), name=EVIL)
    control = FakeControl(Config(services=(evil,))).everything_up()
    for probe in control.probes:
        for _ in range(3):
            control.result(probe, Result(error=ErrorClass.STATUS, detail=EVIL))
    control.wait(1)
    control.tell(EVIL, Level.WARNING, reason=EVIL, **{EVIL: EVIL})
    control.config_error = (EVIL,)
    url, _ = serve(control)
    page.open(url, token=TOKEN)
    for place in (".row.service", ".row.server .name", ".row.server .why", "#events", "#alarms"):
        page.sees(EVIL, place)
    page.find(".row.server .name").click()
    page.sees(EVIL, "#sheet table")
    assert page.run("return document.querySelectorAll('img').length") == 1  # its own mark
    assert page.driver.title != "1"


def test_a_thousand_services_are_a_few_rows_at_a_time(page: Browser, serve: Serve) -> None:
    control = FakeControl(many(1000, 2)).everything_up().fail("10.5.249.2")
    url, _ = serve(control)
    page.open(url, token=TOKEN)
    page.sees("1,999 of 2,000 up", "#overview")
    page.find("#unfold").click()
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.sees("server-999-1")
    assert len(page.all("#rows .row")) < 60
    assert page.find("#table").get_attribute("aria-rowcount") == "3001"
    page.find(".chip.down").click()
    page.sees("500 Internal Server Error", ".row.server .why")
    assert page.text(".row.server .name") == "server-999-1"
    page.find(".chip.down").click()
    page.find("#search").send_keys("10.1.2.17:")
    page.wait(lambda: page.text(".row.service .title") == "service-516")
    page.sees("12 + 3", ".row.server .connections")


def test_the_keyboard_is_enough(page: Browser, serve: Serve) -> None:
    url, _ = serve(FakeControl().everything_up())
    page.open(url, token=TOKEN)
    page.sees("server-1")

    def press(key: str) -> None:
        page.driver.switch_to.active_element.send_keys(key)

    def focused() -> str:
        return str(page.run("return document.activeElement.innerText || document.activeElement.id"))

    page.find("body").send_keys("/")
    assert focused() == "search"
    press("server-2")
    page.wait(lambda: page.text(".row.server .name") == "server-2\nserver-2")
    press(Keys.ESCAPE)
    page.wait(lambda: len(page.all(".row.server")) == 6)
    page.find(".row.service .turn").send_keys(Keys.ARROW_DOWN)
    assert focused() == "mx-1"
    press(Keys.ARROW_DOWN)
    press(Keys.ARROW_DOWN)
    assert focused() == "web"
    press(Keys.ENTER)
    page.wait(lambda: len(page.all(".row.server")) == 4)
    press(Keys.ARROW_UP)
    press(Keys.ARROW_UP)
    press(Keys.ENTER)
    page.sees("mx-1", "#sheet-title")
    press(Keys.ESCAPE)
    page.wait(lambda: not page.all("dialog[open]"))
    assert focused() == "mx-1"


_CONTRASTS = """
const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parts = text => text.match(/[\\d.]+/g).map(Number);
const ground = node => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const found = [];
for (const node of document.querySelectorAll('body *')) {
  const says = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!says || !node.getClientRects().length) continue;
  const [one, other] = [light(parts(getComputedStyle(node).color)), light(ground(node))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) found.push(`${node.className || node.id || node.tagName}: ${ratio.toFixed(2)}`);
}
return [getComputedStyle(document.body).backgroundColor, [...new Set(found)]];
"""


def test_everything_can_be_read_in_the_light_and_in_the_dark_and_on_a_phone(
    page: Browser, serve: Serve
) -> None:
    long = server("a-server-with-a-name-that-goes-on-" * 3, "2001:db8:1:2:3:4:5:6", HTTP)
    services = (*CONFIG.services, service("long", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1", long))
    control = FakeControl(Config(services=services)).everything_up().fail("10.0.0.6")
    control.tell("server.down", Level.WARNING, server="10.0.0.6:80", detail="x" * 200)
    control.tell("service.unserved", Level.ERROR, service="tcp/10.0.0.16:80")
    control.config_error = ("lb.yaml:8:9: " + "unknown" * 40,)
    url, _ = serve(control)
    page.open(url, token=TOKEN)
    page.sees("500 Internal Server Error", ".row.server .why")
    grounds = []
    for dark in (False, True):
        page.look(dark=dark)
        ground, pale = page.run(_CONTRASTS)
        assert pale == []
        grounds.append(ground)
    assert grounds[0] != grounds[1]
    for width in (1440, 1281, 1280, 1240, 1100, 900, 768, 390, 320):
        page.look(width, 1600)
        page.sees("a-server-with-a-name", ".row.server .name")
        wide = page.run(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide == [width, width]
        hidden = page.run(
            "return [...document.querySelectorAll('#rows .orders button')].filter(b => {"
            " const box = b.getBoundingClientRect(); return box.width && box.right > document.querySelector('#table').getBoundingClientRect().right; }).length"
        )
        assert hidden == 0, width


def test_a_page_that_was_cut_off_goes_on_where_it_was(page: Browser, serve: Serve) -> None:
    url, running = serve(FakeControl().everything_up())
    page.open(url, token=TOKEN)
    page.sees("server-1", row("server-1"))
    page.run("document.querySelector(arguments[0]).wasHere = true", row("server-1"))
    port = int(url.rpartition(":")[2].strip("/"))
    own = [one.listener for one in running.openings._open]
    assert [one.port for one in own] == [port]
    running.reload(replace(own[0], token="another-one", address=ip_address("127.0.0.1")))
    page.sees("This token is not, or no longer, let in.")
    page.find("#token").send_keys("another-one")
    page.find("#enter button").click()
    page.sees("live", "#link")
    assert page.run("return document.querySelector(arguments[0]).wasHere", row("server-1")) is True


def test_the_bridge_opens_the_page_once(page: Browser, serve: Serve) -> None:
    control = FakeControl().everything_up()
    _, running = serve(control)
    with bridge(running.path) as (address, _):
        page.open(address)
        page.sees("server-1")
        assert "#" not in page.driver.current_url
        page.find(f"{row('mx-1')} .orders button").click()
        page.sees("No other server of this service is up", "#order")
        page.find("#order-yes").click()
        page.wait(lambda: bool(control.overrides))
        page.sees("drained by", row("mx-1"))
        page.find("#leave").click()
        page.sees("Run ipvs-lb web again")
        page.open(address)
        page.sees("Run ipvs-lb web again")
