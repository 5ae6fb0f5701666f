"""The migrations of the database; `HEAD` is the newest revision."""

HEAD = "0006"
