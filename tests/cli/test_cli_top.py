"""`ipvs-lb top` without a terminal: what is on the screen, and what keys mean."""

import copy
from dataclasses import replace

import pytest

from ipvs_lb.cli.top.cells import Span, Style, column, fitted
from ipvs_lb.cli.top.keys import Wish, press
from ipvs_lb.cli.top.pages import help_lines
from ipvs_lb.cli.top.readings import Explanation, Gone, Identity, Known, Rates, Said, identity_of
from ipvs_lb.cli.top.readings import reading as read
from ipvs_lb.cli.top.rows import rows, settled, sight
from ipvs_lb.cli.top.screen import Size, body_height, draw
from ipvs_lb.cli.top.view import Mode, Order, Sight, Sort, View
from tests.cli.conftest import Box
from tests.fake_control import FakeControl
from tests.running_api import Running

ILL = Identity("tcp/10.0.0.16:80", "10.0.0.6:80")
WELL = Identity("tcp/10.0.0.16:80", "10.0.0.4:80")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a daemon answers whose server-2 has failed: its status, and everything explained."""
    control = FakeControl().everything_up()
    control.wait(30)
    control.fail("10.0.0.6")
    control.wait(185)
    path = tmp_path_factory.mktemp("top") / "api.sock"
    with Running(control, path).up() as running:
        return running.get("/v1/status"), running.get("/v1/servers/*/explain")


@pytest.fixture
def status(told):
    return copy.deepcopy(told[0])


@pytest.fixture
def known(status, told):
    servers = {identity_of(one["server"]): one for one in told[1]["servers"]}
    return Known().after_status(status).after(Explanation(told[1]["at"], servers), 0.0)


def seen(known, view=View(), size=Size(), now=0.0):  # noqa: B008  # frozen
    """The screen as text, with the view as it is then."""
    shown = rows(known.reading, view) if known.reading else []
    view = settled(view, shown, body_height(size))
    lines = draw(known, view, shown, size, now)
    return "\n".join("".join(text for text, _ in line) for line in lines), view


def pressed(known, view, *keys, size=Size()):  # noqa: B008
    wish = None
    for key in keys:
        shown = rows(known.reading, view)
        view = settled(view, shown, body_height(size))
        view, wish = press(view, key, shown, body_height(size))
    return view, wish


def places(known, view):
    return [row.identity.place for row in rows(known.reading, view) if row.server]


def server_of(status, identity):
    servers = (one for service in status["services"] for one in service["servers"])
    return next(one for one in servers if identity_of(one) == identity)


def test_80_columns_show_state_weight_connections_and_checks_in_words(known):
    text, _ = seen(known)
    lines = text.splitlines()
    assert lines[0].startswith("ipvs-lb ")
    assert "degraded" in lines[0]
    assert "2 down, 1 disabled, 3 up" in lines[0]
    assert lines[1].endswith("(and 1 more)")
    (well,) = (line for line in lines if line.startswith("> "))
    assert well.split() == [">", "server-1", "up", "1/1", "12", "3", "-", "-", "-", "+"]
    ill = next(line for line in lines if "server-2" in line)
    assert ill.split() == ["server-2", "down", "-/-", "0", "0", "-", "-", "-", "+---"]
    assert "server-1 10.0.0.4:80; up for 3 m 35 s" in text


@pytest.mark.parametrize(
    "size",
    [Size(24, 80), Size(50, 200), Size(24, 100), Size(6, 40), Size(1, 1), Size(3, 20)],
    ids=str,
)
@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.name)
def test_the_screen_is_filled_and_nothing_goes_beyond_it(known, size, mode):
    text, _ = seen(known, View(mode=mode, selected=ILL), size)
    assert len(text.split("\n")) == size.height
    assert max(map(len, text.split("\n"))) <= size.width


def test_a_wide_terminal_shows_since_when_and_the_last_error_of_every_server(known):
    ill = next(
        line for line in seen(known, size=Size(24, 160))[0].splitlines() if "server-2" in line
    )
    assert "3 m 5 s   3 m 5 s ago: status (500 Internal Server Error)" in ill


def test_rates_come_from_two_readings(status):
    later = copy.deepcopy(status)
    later["at"] += 2
    server_of(later, WELL)["traffic"]["connections"] += 9
    server_of(later, WELL)["traffic"]["in_bytes"] += 3_000_000
    found = read(status, later).rates
    assert found[WELL] == Rates(connections=4.5, in_bytes=1_500_000, out_bytes=0)
    text, _ = seen(Known().after_status(status).after_status(later))
    assert next(one for one in text.splitlines() if one.startswith("> ")).split()[6:9] == [
        "4.5",
        "1.5M",
        "0",
    ]


@pytest.mark.parametrize(
    ("passed", "counted"), [pytest.param(0, 9, id="no-time"), pytest.param(2, -9, id="zeroed")]
)
def test_there_is_no_rate_without_two_counters_that_go_together(status, passed, counted):
    later = copy.deepcopy(status)
    later["at"] += passed
    server_of(later, WELL)["traffic"]["connections"] += counted
    assert WELL not in read(status, later).rates


def test_a_weight_that_is_not_in_force_is_shown_and_needs_a_look(known, status):
    server_of(status, WELL)["kernel_weight"] = 9
    known = known.after_status(status)
    assert " 1/9 " in seen(known)[0]
    assert "10.0.0.4:80" in places(known, View(only_trouble=True))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", 6),
        ("mail", 2),
        ("WEB down", 2),
        ("10.0.0.6:80", 1),
        ("mx-1", 1),
        ("nothing-like-it", 0),
    ],
)
def test_a_filter_wants_every_word_in_name_address_service_or_state(known, words, expected):
    assert len(places(known, View(filter=words))) == expected


def test_a_filter_is_typed_and_narrows_at_once(known):
    view, _ = pressed(known, View(), "/", "m", "x", "x", "backspace", "q", "backspace")
    assert view.filter == "mx"
    text, view = seen(known, view)
    assert ("server-1" in text, "mx-1" in text) == (False, True)
    assert "filter: mx_" in text.splitlines()[-1]
    kept, _ = pressed(known, view, "enter")
    assert "[filter: mx]" in seen(known, kept)[0]
    assert pressed(known, view, "escape")[0].filter == ""
    assert pressed(known, kept, "escape")[0].filter == ""


def test_nothing_but_what_needs_a_look(known):
    view, _ = pressed(known, View(), "!")
    assert places(known, view) == ["10.0.0.6:80", "10.0.0.6:443"]
    assert "only what needs a look" in seen(known, view)[0]


def test_a_service_of_ours_that_does_not_serve_needs_a_look_without_any_server(known, status):
    status["services"][2].update(serves=False, servers=[])
    status["services"][0]["servers"] = []
    shown = rows(read(None, status), View(only_trouble=True))
    assert [row.service["name"] for row in shown if row.server is None] == ["web", "mail"]
    assert "no server" not in seen(known)[0]
    assert "NOT SERVING" in seen(known.after_status(status))[0]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (Sort.CONFIGURED, "10.0.0.4:80"),
        (Sort.NAME, "[2001:db8::4]:25"),
        (Sort.STATE, "10.0.0.6:80"),
        (Sort.ACTIVE, "10.0.0.4:443"),
        (Sort.RATE, "10.0.0.4:443"),
        (Sort.SINCE, "10.0.0.6:443"),
    ],
)
def test_the_order_of_servers(status, sort, first):
    later = copy.deepcopy(status)
    later["at"] += 2
    busy = server_of(later, Identity("tcp/10.0.0.16:443", "10.0.0.4:443"))
    busy["active_connections"] = 99
    busy["traffic"]["connections"] += 99
    server_of(later, Identity("tcp/10.0.0.16:443", "10.0.0.6:443"))["since"] += 1
    known = Known().after_status(status).after_status(later)
    view = View(sort=sort)
    assert places(known, view)[0] == first
    backwards = pressed(known, view, "r")[0]
    assert places(known, backwards)[0] != first
    assert sorted(places(known, backwards)) == sorted(places(known, view))
    assert f"sort: {sort}, reversed" in seen(known, backwards)[0]


def test_s_goes_through_every_order():
    sort, through = Sort.CONFIGURED, []
    for _ in Sort:
        sort = sort.following
        through.append(sort)
    assert set(through) == set(Sort)
    assert sort is Sort.CONFIGURED


def test_the_selection_stays_on_its_server_whatever_moves(known, status):
    view = pressed(known, View(), "down")[0]
    assert view.selected == ILL
    for change in (replace(view, sort=Sort.NAME), replace(view, filter="server-2")):
        assert seen(known, change)[1].selected == ILL
    gone = copy.deepcopy(status)
    gone["services"][0]["servers"].pop()
    after = seen(known.after_status(gone), view)[1]
    assert after.selected not in {None, ILL}


def test_the_selected_row_is_always_in_sight(known):
    small = Size(8, 80)
    view = View()
    for key in ["down"] * 9 + ["up"] * 9 + ["end", "home", "pagedown", "pageup", "G", "g"]:
        view, _ = pressed(known, view, key, size=small)
        text, view = seen(known, view, small)
        assert "\n> " in text


@pytest.mark.parametrize("action", ["drain", "enable"])
def test_an_order_is_given_after_a_yes_only_and_to_the_server_that_was_shown(known, action):
    asked, wish = pressed(known, View(selected=ILL), action[0])
    assert wish is None
    foot = seen(known, asked)[0].splitlines()[-1]
    assert foot.startswith(f"{action} web/server-2 of tcp/10.0.0.16:80: ")
    order = Order(action, ILL, "web/server-2")
    assert pressed(known, replace(asked, selected=WELL), "y") == (
        replace(asked, selected=WELL, asked=None, position=1),
        order,
    )
    for key in ("n", "enter", "q", "escape", action[0]):
        assert pressed(known, asked, key)[1] is None


def test_services_and_foreign_servers_take_no_orders(known, status):
    service = Identity(ILL.service)
    assert pressed(known, View(selected=service), "d")[0].asked is None
    status["services"][0]["owner"] = "foreign"
    assert pressed(known.after_status(status), View(selected=ILL), "d")[0].asked is None


def test_all_of_a_server_has_reasons_and_the_results_of_its_checks(known):
    view, _ = pressed(known, View(selected=ILL), "enter")
    assert view.mode is Mode.DETAIL
    text, _ = seen(known, view)
    assert "web/server-2 (tcp/10.0.0.16:80) is out" in text
    assert "why: " in text
    assert text.count(" ago  failed: status (500 Internal Server Error)") == 3
    assert pressed(known, view, "escape")[0].mode is Mode.LIST
    assert pressed(known, view, "d")[0].asked is not None
    assert "nothing is told" in seen(replace(known, explanation=None), view)[0]


def test_long_lines_of_what_is_told_are_folded(known):
    text, _ = seen(known, View(mode=Mode.DETAIL, selected=ILL))
    assert "first byte after 1.2 ms, done" in text
    assert "after 1.3 ms" in text


def test_the_help_fits_80_columns():
    assert max(map(len, help_lines())) <= 80


def test_a_standing_order_is_in_what_is_told_of_its_server(known):
    given = {"action": "drain", "weight": None, "since": 1_700_000_115.0, "expires": None}
    known.explanation.servers[ILL]["server"]["override"] = {**given, "who": "ann", "reason": "disk"}
    try:
        text, _ = seen(known, View(mode=Mode.DETAIL, selected=ILL))
    finally:
        known.explanation.servers[ILL]["server"]["override"] = None
    assert "order:  drain, 1 m 40 s ago by ann: disk" in text


def test_the_help_names_every_key_and_is_scrolled(known):
    view, _ = pressed(known, View(), "?")
    assert "drain the selected server" in seen(known, view)[0]
    few = Size(8, 80)
    end, _ = pressed(known, view, "end", size=few)
    assert "foreign: not of this configuration" in seen(known, end, few)[0]
    assert pressed(known, view, "?")[0].mode is Mode.LIST


def test_q_quits_in_the_list_only(known):
    assert pressed(known, View(), "q")[1] is Wish.QUIT
    assert pressed(known, View(mode=Mode.DETAIL, selected=ILL), "q") == (
        View(selected=ILL, position=2),
        None,
    )
    assert pressed(known, View(), " ")[1] is Wish.LOOK


def test_a_daemon_that_is_gone_is_told_loudly_until_it_is_back(known, status):
    lost = known.after(Gone("no ipvs-lb daemon listens", "start it"), 100.0)
    lost = lost.after(Gone("no ipvs-lb daemon listens", "start it"), 105.0)
    line = seen(lost, size=Size(24, 120), now=112.0)[0].splitlines()[1]
    assert line == (
        "!! NO ANSWER for 12 s; what you see is OLD: no ipvs-lb daemon listens; start it"
    )
    assert "server-1" in seen(lost)[0]
    assert "NO ANSWER" not in seen(lost.after_status(status))[0]
    never = Known().after(Gone("nobody there"), 1.0)
    assert "!! NO ANSWER for 0 s: nobody there" in seen(never, now=1.0)[0]


def test_what_came_of_an_order_is_told_until_the_next_key(known):
    told = known.after(Said("drain web/server-1: it is draining"), 0.0)
    assert seen(told)[0].splitlines()[-1] == "drain web/server-1: it is draining"
    assert "it is draining" not in seen(told.without_said())[0]


def test_checks_are_asked_for_of_what_is_in_sight_or_of_the_one_that_is_shown(known):
    shown = rows(known.reading, View())
    assert sight(View(), shown, 3) == Sight(("tcp/10.0.0.16:80",))
    assert sight(View(mode=Mode.DETAIL, selected=ILL), shown, 3) == Sight(server=ILL)


def test_text_of_others_cannot_steer_the_terminal():
    evil = "a\x1b[2Jb\n\u202ec"
    assert fitted([Span(evil, Style.BAD)], 80) == (Span("a?[2Jb??c", Style.BAD),)
    assert column(evil, 5) == "a?[2~"


def test_wide_characters_take_two_cells():
    assert column("負荷分散", 5) == "負荷~"
    assert fitted([Span("負荷"), Span("分散")], 5) == (Span("負荷"), Span(" "))


def test_without_a_terminal_top_says_what_to_use(box: Box):
    result = box.run("top")
    assert (result.exit_code, "needs a terminal" in result.stderr) == (2, True)
    assert "ipvs-lb status" in result.stderr
