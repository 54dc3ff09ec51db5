"""State of one viewer: one evented `Session`, shared by all panels."""

from grainsmith.ui.session.session import Session, open_sessions, session_of

__all__ = ["Session", "open_sessions", "session_of"]
