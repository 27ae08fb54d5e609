"""The http, https and tls methods against servers on loopback."""

from __future__ import annotations

import gzip
import ssl

import pytest

from ipvs_lb.model.checks import HttpCheck, Tls, TlsCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.web import server_name
from tests.probes.servers import Authority, answering, flooding, free_port, run, serving

pytestmark = pytest.mark.real_time

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_the_expected_status_passes_with_its_timings():
    async with serving(answering(OK)) as port:
        result = await run(HttpCheck(), port)
    assert result.passed
    assert result.detail == "status 200"
    timings = result.timings
    assert timings.connect is not None
    assert timings.first_byte is not None
    assert timings.tls is None
    assert timings.connect <= timings.first_byte <= timings.total


async def test_another_status_fails():
    async with serving(answering(b"HTTP/1.1 503 Busy\r\n\r\n")) as port:
        result = await run(HttpCheck(expect_codes=((200, 299), (404, 404))), port)
    assert (result.error, result.detail) == (
        ErrorClass.STATUS,
        "status 503, expected 200-299,404",
    )


async def test_a_redirect_is_not_followed():
    where = f"Location: http://127.0.0.1:{free_port()}/\r\n".encode()
    async with serving(answering(b"HTTP/1.1 302 Found\r\n" + where + b"\r\n")) as port:
        assert (await run(HttpCheck(expect_codes=((302, 302),)), port)).passed
        assert (await run(HttpCheck(), port)).error is ErrorClass.STATUS


async def test_a_huge_redirect_is_cut():
    where = b"HTTP/1.1 302 Found\r\nLocation: http://x/" + b"a" * 100_000
    async with serving(answering(where)) as port:
        result = await run(HttpCheck(expect_codes=((302, 302),)), port)
    assert result.error is ErrorClass.TOO_LARGE


async def test_endless_headers_are_cut():
    async with serving(flooding(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 50)) as port:
        assert (await run(HttpCheck(), port)).error is ErrorClass.TOO_LARGE


async def test_endless_interim_answers_are_cut():
    async with serving(flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50)) as port:
        assert (await run(HttpCheck(), port)).error is ErrorClass.TOO_LARGE


async def test_an_endless_body_is_looked_at_up_to_the_limit():
    async with serving(flooding(OK, b"x" * 65536)) as port:
        result = await run(HttpCheck(body_contains="needle", body_limit=100_000), port)
    assert result.error is ErrorClass.BODY
    assert "100000" in result.detail


async def test_a_body_in_the_smallest_chunks_is_bounded_in_what_it_costs():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    extension = b"1;" + b"e" * 200 + b"\r\nx\r\n"
    async with serving(flooding(head, extension * 100)) as port:
        result = await run(HttpCheck(body_contains="needle"), port)
    assert result.error is ErrorClass.TOO_LARGE


async def test_a_body_that_is_wanted_is_found():
    async with serving(answering(OK + "alles grün".encode())) as port:
        assert (await run(HttpCheck(body_contains="grün"), port)).passed
        assert (await run(HttpCheck(body_regex="gr.n$"), port)).passed
        missed = await run(HttpCheck(body_regex="^gr"), port)
    assert missed.error is ErrorClass.BODY


async def test_a_compressed_bomb_is_not_unpacked():
    bomb = gzip.compress(b"needle" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    async with serving(answering(head + bomb)) as port:
        result = await run(HttpCheck(body_contains="needleneedle"), port)
    assert result.error is ErrorClass.BODY


async def test_a_pattern_that_explodes_is_stopped():
    async with serving(answering(OK + b"a" * 40 + b"!")) as port:
        result = await run(HttpCheck(body_regex="(a|aa|b|c)+(a|aa)*(a|aa)*$"), port)
    assert result.error is ErrorClass.CHECK
    assert "too long" in result.detail
    assert result.timings.total < 1.5


async def test_a_pattern_that_is_none_is_the_check_s_mistake():
    async with serving(answering(OK)) as port:
        assert (await run(HttpCheck(body_regex="("), port)).error is ErrorClass.CHECK


async def test_a_request_that_could_be_split_is_never_sent():
    result = await run(HttpCheck(headers=(("A", "b\r\nC: d"),)), 9)
    assert result.error is ErrorClass.CHECK


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.org", "example.org"),
        ("example.org:8443", "example.org"),
        ("10.0.0.4", None),
        ("10.0.0.4:443", None),
        ("[2001:db8::1]", None),
        ("[2001:db8::1]:443", None),
    ],
)
def test_only_a_name_is_sent_as_sni(host, name):
    assert server_name(host) == name


async def test_https_passes_with_any_certificate_when_nobody_asks(authority):
    async with serving(answering(OK), tls=authority.server("other", days=-5)) as port:
        result = await run(HttpCheck(tls=Tls()), port)
    assert result.passed
    assert result.timings.connect is not None
    assert result.timings.tls is not None
    assert result.timings.connect <= result.timings.tls <= result.timings.total


@pytest.mark.parametrize(
    ("certificate", "tls", "host", "reason"),
    [
        pytest.param(("web.test", 30), {"server_name": "web.test"}, None, None, id="name"),
        pytest.param(("web.test", 30), {}, "web.test:8443", None, id="host-header"),
        pytest.param(("127.0.0.1", 30), {}, None, None, id="address"),
        pytest.param(("web.test", 30), {}, "other.test", "mismatch", id="other-name"),
        pytest.param(("web.test", -1), {}, "web.test", "expired", id="expired"),
    ],
)
async def test_verification_looks_at_name_and_time(authority, certificate, tls, host, reason):
    check = HttpCheck(host=host, tls=Tls(verify=True, ca_file=str(authority.file), **tls))
    async with serving(
        answering(OK), tls=authority.server(certificate[0], days=certificate[1])
    ) as port:
        result = await run(check, port)
    if reason is None:
        assert result.passed
        return
    assert result.error is ErrorClass.TLS
    assert reason in result.detail


async def test_verification_without_a_ca_file_uses_the_system_s(authority):
    async with serving(answering(OK), tls=authority.server("127.0.0.1")) as port:
        result = await run(HttpCheck(tls=Tls(verify=True)), port)
    assert result.error is ErrorClass.TLS
    assert "certificate not accepted" in result.detail


async def test_sni_is_sent_also_where_nothing_is_verified(authority):
    """keepalived #2351 #804 #2707"""
    asked: list[str | None] = []
    context = authority.server("web.test")
    context.sni_callback = lambda _object, name, _context: asked.append(name)
    async with serving(answering(OK), tls=context) as port:
        await run(HttpCheck(host="web.test", tls=Tls()), port)
        await run(TlsCheck(tls=Tls(server_name="sni.test")), port)
        await run(TlsCheck(), port)
    assert asked == ["web.test", "sni.test", None]


async def test_a_client_certificate_is_shown_to_a_server_that_wants_one(authority):
    chain, key = authority.issue("probe", file="client")
    mine = Tls(certificate=str(chain), key=str(key))
    context = authority.server("x", clients=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # from 1.3 on the refusal comes later
    async with serving(answering(OK), tls=context) as port:
        assert (await run(HttpCheck(tls=mine), port)).passed
        refused = await run(HttpCheck(tls=Tls()), port)
    assert refused.error is ErrorClass.TLS


@pytest.mark.parametrize("field", ["ca_file", "certificate"])
async def test_a_file_that_is_missing_is_the_check_s_mistake(authority, field):
    tls = Tls(verify=True, **{field: "/nowhere.pem"})
    async with serving(answering(OK), tls=authority.server("x")) as port:
        result = await run(HttpCheck(tls=tls), port)
    assert result.error is ErrorClass.CHECK
    assert "/nowhere.pem" in result.detail


async def test_a_renewed_ca_file_is_noticed(authority, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(Authority(tmp_path).file.read_bytes())
    check = HttpCheck(tls=Tls(verify=True, ca_file=str(ca)))
    async with serving(answering(OK), tls=authority.server("127.0.0.1")) as port:
        assert (await run(check, port)).error is ErrorClass.TLS
        ca.write_bytes(authority.file.read_bytes())
        assert (await run(check, port)).passed


@pytest.mark.parametrize(
    ("days", "wanted", "error", "detail"),
    [
        (30, 29, None, "certificate expires in 30 days"),
        (30, 31, ErrorClass.TLS, "certificate expires in 30 days, wanted at least 31"),
        (-5, 0, ErrorClass.TLS, "certificate expired 5 days ago"),
    ],
)
async def test_a_certificate_about_to_expire_is_noticed_without_verification(
    authority, days, wanted, error, detail
):
    async with serving(answering(), tls=authority.server("x", days=days)) as port:
        result = await run(TlsCheck(min_days=wanted), port)
    assert (result.error, result.detail) == (error, detail)


async def test_a_server_without_tls_fails_the_handshake():
    async with serving(answering(OK)) as port:
        result = await run(HttpCheck(tls=Tls()), port)
    assert result.error is ErrorClass.TLS
    assert "WRONG_VERSION_NUMBER" in result.detail


async def test_a_server_name_that_cannot_be_one_is_the_check_s_mistake(authority):
    async with serving(answering(OK), tls=authority.server("x")) as port:
        result = await run(HttpCheck(tls=Tls(server_name=".x")), port)
    assert result.error is ErrorClass.CHECK
