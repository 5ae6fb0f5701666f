"""Stand-ins, over real connections, for the services that the server calls."""
