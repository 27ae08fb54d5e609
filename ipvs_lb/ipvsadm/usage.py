"""What `ipvsadm -h` shows."""

from __future__ import annotations

from ipvs_lb import __version__

VERSION = f"ipvsadm v1.31 (ipvs_lb {__version__})\n"
"""The first two words are those of the ipvsadm whose command line this is."""

_USAGE = """\
Usage:
  {program} -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M NETMASK] [--pe ENGINE] [-b FLAGS] [-o]
  {program} -D SERVICE
  {program} -a|-e SERVICE -r HOST[:PORT] [-g|-i|-m] [-w WEIGHT] [-x UPPER] [-y LOWER] [tunnel options]
  {program} -d SERVICE -r HOST[:PORT]
  {program} -L|-l [SERVICE] [-n] [--stats|--rate|--thresholds|--persistent-conn|--tun-info] [--exact] [--nosort]
  {program} -L -c [-n] [--persistent-conn]
  {program} -L --timeout|--daemon
  {program} -Z [SERVICE]
  {program} -C
  {program} -S [-n]
  {program} -R
  {program} --set TCP TCPFIN UDP
  {program} --start-daemon master|backup [daemon options]
  {program} --stop-daemon master|backup

Commands:
  -A, --add-service      add a virtual service           -a, --add-server       add a real server
  -E, --edit-service     edit a virtual service          -e, --edit-server      edit a real server
  -D, --delete-service   delete a virtual service        -d, --delete-server    delete a real server
  -L, -l, --list         list the table (the default)    -Z, --zero             zero counters
  -C, --clear            delete all virtual services     --set                  set timeouts, 0 leaves one as it is
  -S, --save             print the table as rules        -R, --restore          carry out rules from standard input
  --start-daemon         start a sync daemon             --stop-daemon          stop it
  -h, --help             show this                       -v, --version          show the version

SERVICE is one of:
  -t, --tcp-service HOST[:PORT]    -u, --udp-service HOST[:PORT]    --sctp-service HOST[:PORT]
  -f, --fwmark-service MARK [-6, --ipv6]
  An IPv6 address with a port stands in brackets.

Options of services:
  -s, --scheduler NAME             rr wrr lc wlc (the default) lblc lblcr dh sh sed nq fo ovf mh
  -p, --persistent [SECONDS]       clients stay on their server, for 360 seconds if nothing else is said
  -M, --netmask MASK|LENGTH        what counts as one client
  --pe NAME                        a persistence engine: sip
  -b, --sched-flags FLAG,...       sh-fallback sh-port mh-fallback mh-port flag-1 flag-2 flag-3
  -o, --ops                        one-packet scheduling (UDP)
Options of servers:
  -g, --gatewaying                 direct routing (the default)
  -i, --ipip                       tunnel
  -m, --masquerading               address translation
  -w, --weight NUMBER              0 to 65535, 1 if nothing else is said
  -x, --u-threshold NUMBER         most connections            -y, --l-threshold NUMBER   enough room again
  --tun-type ipip|gue|gre          --tun-port PORT             --tun-nocsum|--tun-csum|--tun-remcsum
Options of lists:
  -n, --numeric                    no names of hosts and services
  -c, --connection                 connections
  --stats, --rate, -X, --exact     totals, rates per second, all digits of them
  --thresholds, --persistent-conn, --tun-info
  --nosort                         in the kernel's order       --sort                     the default
Options of sync daemons:
  --mcast-interface NAME           eth0 if nothing else is said
  --syncid NUMBER                  --sync-maxlen BYTES
  --mcast-group ADDRESS            --mcast-port PORT           --mcast-ttl NUMBER

Examples:
  {program} -A -t 10.0.0.16:80 -s rr
  {program} -a -t 10.0.0.16:80 -r 10.0.0.4 -m
  {program} -Ln --stats
"""


def usage(program: str) -> str:
    """The version, and how to use *program*."""
    return VERSION + _USAGE.format(program=program)
