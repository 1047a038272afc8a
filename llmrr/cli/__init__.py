"""The command line: thin Typer adapters over the core. ``output`` is the only printer."""
