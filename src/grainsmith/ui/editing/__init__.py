"""Edit grains: history, tools, shortcuts and autosave. No widgets."""
