"""rtwist: pushes domain events to the browsers that may see them, as a Socket.IO server on Twisted."""

__version__ = "0.1.0"
