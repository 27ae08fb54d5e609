"""OpenStack Octavia's load-balancing API, version 2, over one gateway: its objects, words, states and faults.

Octavia's words stay in this package; what they come to is in the model's (`compile`).
"""
