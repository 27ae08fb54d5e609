"""`ipvs-lb top`: the running daemon on a whole terminal, live.

`readings`, `view`, `rows`, `keys`, `cells`, `screen` and `pages` work out what is to be seen and what a key means, without any I/O;
`feed` asks the daemon in a thread of its own, `terminal` draws with curses, and `command` is the command.
"""
