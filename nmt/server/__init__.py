"""The HTTP server: models, a queue of texts, and the APIs that clients already speak. It needs the extra `server`."""
