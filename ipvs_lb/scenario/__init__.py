"""Scenarios: what is done to servers, network and daemon of a lab, when, and what is expected to follow."""
