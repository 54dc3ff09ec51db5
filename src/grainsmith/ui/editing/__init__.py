"""The edit engine: history, tools, overlays and autosave of the grains, without widgets.

Its per-viewer objects are parts of the session, created on first use::

    editor = session_of(viewer).part(Editor)
"""
