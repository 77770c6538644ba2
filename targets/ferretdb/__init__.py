"""FerretDB 1.x: MongoDB's protocol over SQLite, one server. Its sessions are those of `targets.mongodb`."""
