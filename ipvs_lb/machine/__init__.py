"""The edge to what the machine tells about itself in /proc and its like; nothing is ever changed."""
