"""Scenarios in virtual time: the daemon's own engine between a kernel in memory and servers that are only described.

Rules kept here:
1. What decides is what decides on a gateway: engine, policy and plan are the real ones.
2. The same scenario gives the same course every time: chance has a seed, and no clock of the machine is read.
"""
