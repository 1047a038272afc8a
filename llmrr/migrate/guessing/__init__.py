"""Settings of programs that no reader knows, by the names of their fields: tables (``shapes``),
lists (``lists``), records (``records``), and what looks alike and is none (``foreign``)."""
