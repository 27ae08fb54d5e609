"""OpenStack's own command, started in a moment: a process that has loaded the client already forks for each start.

What runs is the same program in a process of its own, with the caller's arguments, environment and files. Only loading
Python's modules is saved, which takes a guest kernel ten seconds and more, twenty times in a walkthrough.

`PYTHON -I prompt_client.py SOCKET` is that process, where PYTHON has the client. It needs nothing of this project.
`COMMAND` is the text of a program that is called like the client's, and asks it.
"""

import contextlib
import gc
import importlib
import io
import logging
import os
import socket
import sys

COMMAND = """\
#!{python} -ISs
import array, os, socket, sys
words = [os.getcwd(), *sys.argv[1:], "", *(f"{{n}}={{v}}" for n, v in os.environ.items())]
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({socket!r})
    socket.send_fds(asked, ["\\0".join(words).encode()], [0, 1, 2])
    sys.exit(int(asked.recv(16) or b"70"))
"""
"""To be formatted with `python` and `socket`."""
_LARGEST = 65536
_COMMON = (
    "loadbalancer list", "loadbalancer create", "loadbalancer show", "loadbalancer listener create",
    "loadbalancer pool create", "loadbalancer member create", "loadbalancer healthmonitor create",
    "subnet list", "floating ip create", "network list",
)  # fmt: skip


def load() -> None:
    """Everything that the commands of a walkthrough load."""
    shell = importlib.import_module("openstackclient.shell")
    for command in _COMMON:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.suppress(SystemExit),
        ):
            shell.main([*command.split(), "--help"])
    logging.getLogger().handlers.clear()  # one more for each time
    for name in ("connection", "load_balancer.v2._proxy", "network.v2._proxy"):
        importlib.import_module(f"openstack.{name}")


def answer(asking: socket.socket) -> None:
    """Run what is asked for in a process of its own, and tell its exit status."""
    message, files, _, _ = socket.recv_fds(asking, _LARGEST, 3)
    folder, *words = message.decode().split("\0")
    end = words.index("")
    pid = os.fork()
    if pid == 0:
        for target, source in enumerate(files):
            os.dup2(source, target)
        os.chdir(folder)
        os.environ.clear()
        for pair in words[end + 1 :]:
            name, _, value = pair.partition("=")
            os.environ[name] = value
        become(words[:end])
    for file in files:
        os.close(file)
    _, status = os.waitpid(pid, 0)
    asking.send(b"%d" % os.waitstatus_to_exitcode(status))


def become(arguments: list[str]) -> None:
    """Be the client from now on."""
    shell = importlib.import_module("openstackclient.shell")
    sys.argv = ["openstack", *arguments]
    try:
        status = shell.main()
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def main() -> None:
    """Answer until told to end."""
    load()
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        while True:
            asking, _ = listening.accept()
            with asking:
                answer(asking)


if __name__ == "__main__":
    main()
