"""Stand-ins for services that the server collects from, over real HTTP: for demonstrations, tests and load tests."""
