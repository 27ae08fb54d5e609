"""The daemon's face: HTTP and JSON on a unix socket, and on TCP where that is configured.

Rules kept here:
1. What is shown is a function of one `Snapshot`; what is ordered goes through `Control` and nowhere else.
2. A refused request changes nothing, and says what was expected, all problems at once.
3. A client that is slow, silent, greedy or broken costs bounded memory and time, and nobody else notices.
4. Nobody is asked who he is on the unix socket: its mode and the kernel's word for the peer decide.
"""
