"""The napari plugin: dock, panels, editing, session, layers and widgets."""
