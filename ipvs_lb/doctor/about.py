"""What is behind each finding: the page docs/reference/doctor.md tells it."""

from __future__ import annotations

from typing import Final

ABOUT: Final = {
    "ipvs.missing": "The kernel has no IPVS, or this process may not use it (CAP_NET_ADMIN). Distributions ship it as the"
    " module `ip_vs`; some cloud and container kernels are built without (CONFIG_IP_VS).",
    "scheduler.missing": "Each scheduler is a module of its own, `ip_vs_rr` say. Debian and Ubuntu have all of them in the"
    " kernel's package, or in `linux-modules-extra`.",
    "persistence_engine.missing": "Persistence by SIP call id needs `ip_vs_pe_sip`, where the schedulers' modules are.",
    "kernel.too_old": "What the configuration asks for came with a later kernel. An older one refuses it, or takes the"
    " unknown attribute for nothing and does something else.",
    "forwarding.off": "A gateway forwards what servers answer. Without `ip_forward` (`ipv6.conf.all.forwarding` for IPv6)"
    " the kernel drops it. `manage_sysctls: yes` has the daemon set it.",
    "sysctl.missing": "The finding says which kernel parameter and what for. `manage_sysctls: yes` has the daemon set all of"
    " them; put the command's assignment into `/etc/sysctl.d/` for the next boot.",
    "ftp_helper.missing": "FTP opens a second connection that its control connection names; `ip_vs_ftp` finds it and has it"
    " led to the same server. It knows masq servers and port 21 only.",
    "redirects.sent": "Where clients and servers share a link, a router tells clients to go straight to the server (ICMP"
    " redirect), past the gateway, which then does not see the answer. The larger of `all` and the interface's own counts.",
    "vip.no_interface": "`interface` of a VIP names a link that is not there. A dummy interface is one that always is.",
    "vip.link_down": "The VIP is on a link that is switched off, or has no carrier: look at the cable and at the switch.",
    "vip.duplicate": "Two hosts answer for one address, and each client believes the one it heard last. Often a dr server"
    " without `arp_ignore`, or an old gateway that still has the VIP. `--probe` asks the links.",
    "dr.answers_arp": "A dr server has the VIP, on `lo`, and must not answer for it on the link. `--probe` asks the links.",
    "dr.routed": "Direct routing changes the hardware address of a packet and nothing else: no router carries it further."
    " A tunnel reaches servers behind routers, and they still answer clients themselves.",
    "server.unreachable": "The routing table has no way to the server's address. A route is missing, or an address is mistyped.",
    "service.no_server": "All servers are out or have weight 0. `ipvs-lb explain SERVICE/*` says of each why.",
    "service.not_in_kernel": "The configuration was changed and not applied, or somebody has removed the service."
    " The daemon repairs that by itself; `ipvs-lb apply` does it once.",
    "masq.clients_beside_servers": "The server answers a client in its own subnet directly, from its own address. The client"
    " asked the VIP and drops that. With `source_nat` such clients have the gateway's address as their source.",
    "masq.routed": "IPVS changes addresses back in what servers answer, so that must come by here: routers between here and"
    " the server have to lead clients' networks to this gateway. It cannot be seen from here whether they do.",
    "tunnel.mtu": "The tunnel's header takes room: 20 bytes over IPv4, 40 over IPv6, more for GRE and GUE. A larger MTU on the"
    " way to the servers has room for both, or clients are told a smaller packet size (MSS).",
    "vip.exposed": "A VIP is an address of the gateway: whatever listens on all addresses, sshd say, answers there as well."
    " `guard_vips: yes` lets services alone answer.",
    "server.local": "A real server that is the gateway itself gets packets without any change (the kernel's *local* method),"
    " whatever the configuration says; its port must be the service's, and it fails together with the gateway.",
    "gateway.own_requests": "With dr and tunnel the answer has the VIP as its source, which the gateway has itself, so it"
    " takes such packets for forged. `curl VIP` on the gateway therefore hangs while clients are served.",
    "state.damaged": "The state directory tells what is ours. Without it `apply` believes what the configuration declares;"
    " the damaged file was set aside under another name.",
    "state.writable": "Only root may write there: a generation that somebody else has put there would be rolled back to.",
    "state.space": "Less than 64 MB are left where the state is. Orders and generations are written before they count.",
    "config.refused": "The daemon was told to read a configuration with mistakes, and works on with the one before."
    " `validate` names them by line.",
    "daemon.absent": "The configuration has health checks, and nothing executes them: `ipvs-lb apply` only fills the table.",
    "manager.other": "keepalived, ldirectord, kube-proxy or kube-router runs in this network namespace. ipvs_lb leaves"
    " foreign services alone; the others may not, and repair what they take for drift.",
    "conntrack.full": "More than four fifths of `nf_conntrack_max` are tracked. It counts every connection through a firewall"
    " with state; about 300 bytes each.",
    "connection_table.small": "IPVS looks connections up in a table of fixed size, which it gets when the module is loaded;"
    " more than eight to a row on average are slow. 2 to the 20 rows take 8 MB.",
    "estimation.costly": "The kernel adds rates up for each service and server every two seconds. From some ten thousands"
    " on that is felt; without, `status` has totals and no rates. Before Linux 6.2 all of it was done in one timer.",
    "files.limit": "Every check that is under way has a socket. The limit is that of the running daemon, or of this"
    " process where none runs.",
    "clock.went_back": "The newest generation is from the future. Orders with an end and drains go by the clock.",
    "clock.unsynchronised": "The kernel says that nothing keeps its clock right (adjtimex(2), STA_UNSYNC).",
    "service.foreign": "Neither declared nor recorded as ours: made by hand, by another tool, or by an ipvs_lb whose state"
    " directory is gone. `ipvs-lb adopt` takes them over; `apply --prune` removes them.",
    "not_seen": "Something could not be looked at, mostly for lack of rights: CAP_NET_ADMIN for the table and addresses,"
    " CAP_NET_RAW for `--probe`.",
}
"""Why a finding is one, by its code."""
