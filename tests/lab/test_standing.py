"""How labs that are up are spoken to, and what is said when there is none."""

from __future__ import annotations

import os
import threading

import pytest
from click.testing import CliRunner

from ipvs_lb.cli.program import program
from ipvs_lb.standing.frames import Decoder, Frame, Kind, told
from ipvs_lb.standing.links import WINDOW, GuestEnd, HostEnd
from ipvs_lb.standing.settings import Settings

FRAMES = [Frame(1, Kind.INPUT, b"abc"), Frame(7, Kind.INPUT), told(2, Kind.END, {"status": 3})]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(size):
    stream = b"".join(frame.encode() for frame in FRAMES)
    decoder = Decoder()
    cut = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [frame for part in cut for frame in decoder.feed(part)] == FRAMES


@pytest.mark.parametrize("stream", [b"\0\0\0\1\1\xff\xff\xff\xff", b"\0\0\0\1\x63\0\0\0\0"])
def test_what_is_no_frame_is_refused(stream):
    with pytest.raises(ValueError, match=r"frame|Kind"):
        list(Decoder().feed(stream))


@pytest.mark.real_time
def test_never_more_than_the_window_is_on_its_way_into_a_guest():
    (to_guest, into), (back, out) = os.pipe(), os.pipe()
    host, sent = HostEnd(into), Frame(1, Kind.INPUT, bytes(10 * WINDOW))
    sender = threading.Thread(target=host.send, args=(sent,))
    sender.start()
    received = b""
    try:
        while len(received) < len(sent.encode()):
            part = os.read(to_guest, 100 * WINDOW)
            assert len(part) <= WINDOW
            received += part
            host._note_received(len(part))
    finally:
        sender.join()
        for descriptor in (to_guest, into, back, out):
            os.close(descriptor)
    assert received == sent.encode()


def test_a_guest_tells_how_much_it_has_read(tmp_path):
    file = tmp_path / "line"
    coming = Frame(3, Kind.INPUT, b"hello").encode()
    file.write_bytes(coming)
    descriptor = os.open(file, os.O_RDWR)
    try:
        frames = GuestEnd(descriptor).frames()
        assert next(frames) == Frame(3, Kind.INPUT, b"hello")
    finally:
        os.close(descriptor)
    (told_back,) = Decoder().feed(file.read_bytes().removeprefix(coming))
    assert told_back == Frame(0, Kind.RECEIVED, len(coming).to_bytes(4))


def test_settings_survive_a_command_line():
    settings = Settings(name="x", config="lb.yaml", others=("a", "b"), timing={"fall": 2})
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["exec", "client", "true"], 1, "lab none-of-ours", id="exec"),
        pytest.param(["do", "stop a"], 1, "lab none-of-ours", id="do"),
        pytest.param(["shell"], 1, "lab none-of-ours", id="shell"),
        pytest.param(["down"], 0, "the lab none-of-ours was not up", id="down"),
        pytest.param(["up", "-c", "none.yaml"], 2, "none.yaml", id="no-configuration"),
        pytest.param(["up", "--check", "fall"], 2, "expected KEY=VALUE", id="check"),
        pytest.param(["up", "--name", "a/b"], 2, "is no name of a lab", id="name"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, monkeypatch, words, status, said):
    monkeypatch.chdir(tmp_path)
    ran = CliRunner(env={"IPVS_LB_LAB": "none-of-ours"}).invoke(program, ["lab", *words])
    assert ran.exit_code == status, ran.output
    assert said in ran.output
