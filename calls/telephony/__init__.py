"""The LiveKit control plane: what is asked of the server. Network I/O, so never inside a transaction."""
