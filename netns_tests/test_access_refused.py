"""Where nobody can be kept out, a service for some networks only is not put in force: here nft is out of reach."""

from netns_tests.balance import ONE, OUTSIDER, TWO, config, new_vip, service
from netns_tests.daemon import SLACK, Running, eventually

WITHOUT_NFT = [
    "unshare",
    "-m",
    "sh",
    "-c",
    'mount --bind /dev/null /usr/sbin/nft && exec "$@"',
    "-",
]


def test_apply_refuses_and_changes_nothing(bench, balancer):
    vip, other = new_vip(), new_vip()
    balancer.apply(config(service(vip, ONE)))
    before = balancer.rules(), balancer.addresses()
    balancer.write(config(service(vip, ONE, allow=OUTSIDER), service(other, TWO)))
    refused = bench.gateway.run([*WITHOUT_NFT, *balancer.process("apply")], check=False, timeout=60)
    assert refused.returncode != 0
    assert "to allow some clients only needs the nft program; nothing was changed" in refused.stderr
    assert "apt install nftables" in refused.stderr
    assert (balancer.rules(), balancer.addresses()) == before


def test_the_daemon_keeps_it_out_takes_out_what_would_be_open_and_serves_the_rest(bench, tmp_path):
    vip, other = new_vip(), new_vip()

    def start(command, *, log):
        return bench.gateway.start([*WITHOUT_NFT, *command], log=log)

    daemon = Running(bench, tmp_path, start)
    try:
        daemon.balancer.write(config(service(vip, ONE), service(other, TWO)))
        daemon.start()
        eventually(lambda: daemon.serving(vip) == {ONE: 1}, SLACK, "open to everyone")
        daemon.load(service(vip, ONE, allow=OUTSIDER), service(other, TWO))
        eventually(lambda: vip not in str(daemon.balancer.rules()), SLACK, "it is taken out")
        assert set(bench.seen(other, 2)) == {"server-2"}
        eventually(lambda: "host.failed" in daemon.events(), SLACK, "that is told")
        (failed,) = [
            one for one in daemon.api.get("/v1/events")["events"] if one["name"] == "host.failed"
        ]
        assert f"kept out, since anybody would get in: tcp/{vip}:80" in str(failed)
        daemon.load(service(vip, ONE), service(other, TWO))
        eventually(lambda: daemon.serving(vip) == {ONE: 1}, SLACK, "open again")
    finally:
        daemon.close()
